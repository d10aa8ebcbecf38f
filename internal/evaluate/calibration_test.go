package evaluate

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"testing"

	"github.com/plumbline/plumbline/internal/calibrate"
	"github.com/plumbline/plumbline/internal/deviation"
)

// invented are prompts about invoices and about the weather, of which many are alike and none is there twice.
func invented(n int) ([]Task, []Prompt) {
	words := []string{"invoice", "payment", "reminder", "customer", "refund", "account", "paris", "tennis", "kitchen", "letter"}
	random := rand.New(rand.NewPCG(7, 7))
	tasks := []Task{{ID: "billing", Title: "Invoices and payments", Set: "s", Labels: []string{"billing"}}}
	var prompts []Prompt
	for i := range n {
		text := fmt.Sprintf("please check %s %s and %s for number %d", words[random.IntN(10)], words[random.IntN(10)], words[random.IntN(6)], i)
		prompts = append(prompts, Prompt{"s", "billing", text})
		prompts = append(prompts, Prompt{"s", "weather", fmt.Sprintf("will it rain in oslo on day %d", i)})
	}
	return tasks, prompts
}

func scorer(t *testing.T) *deviation.Scorer {
	t.Helper()
	s, err := deviation.Default()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var tried = promising(0.05, 80, 100)

func promising(alpha float64, n, draws int) CalibrationOptions {
	return CalibrationOptions{Promises: []PromiseOptions{{alpha, n, n}}, Draws: draws, Examples: 3}
}

// TestCalibrationKeepsThePromise: what is stopped is what the theory says, and not far less.
func TestCalibrationKeepsThePromise(t *testing.T) {
	tasks, prompts := invented(1200)
	r, err := Calibration(t.Context(), scorer(t), tasks, prompts, tried)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Promises) != 2 || !r.Holds() {
		t.Fatalf("%+v", r)
	}
	for _, p := range r.Promises {
		if mean := float64(calibrate.Most(0.05, 80)) / 81; p.Realised > 1.2*mean || p.Expected < 0.95 || p.Caught < 0.5 || p.Worst < p.Realised {
			t.Errorf("%+v: the mean is to be below %v", p, mean)
		}
	}
	again, err := Calibration(t.Context(), scorer(t), tasks, prompts, tried)
	if err != nil || fmt.Sprint(again) != fmt.Sprint(r) {
		t.Errorf("the same prompts give another report: %v", err)
	}
}

// TestCalibrationRefusesLeaks: a prompt that something was trained with neither calibrates nor tests, however it is written.
func TestCalibrationRefusesLeaks(t *testing.T) {
	tasks, prompts := invented(1200)
	o := tried
	o.Trained = []string{"  PLEASE check" + prompts[10].Text[len("please check"):], "something else"}
	_, err := Calibration(t.Context(), scorer(t), tasks, prompts, o)
	var leak *LeakError
	if !errors.As(err, &leak) || leak.Count != 1 || leak.Task != "billing" {
		t.Errorf("%v, want one leak", err)
	}
	twice := append(prompts, prompts...) //nolint:gocritic // both are needed
	if _, err := Calibration(t.Context(), scorer(t), tasks, twice, tried); err != nil {
		t.Errorf("an example that is there twice: %v", err)
	}
}

// TestExpected: against all that can be drawn, one by one.
func TestExpected(t *testing.T) {
	const n, m, k = 4, 6, 2
	held, all := 0, 0
	for set := range 1 << (n + m) { // which of the scores 0 … 9 calibrate
		if bits.OnesCount(uint(set)) != n {
			continue
		}
		all++
		farther, calibrating := 0, 0
		for i := n + m - 1; calibrating < k; i-- {
			if set>>i&1 == 1 {
				calibrating++
			} else {
				farther++
			}
		}
		if farther <= 2 { // of six, a share of 0.4
			held++
		}
	}
	if got, want := expected(0.4, k, n, m), float64(held)/float64(all); math.Abs(got-want) > 1e-12 {
		t.Errorf("expected %v, want %v", got, want)
	}
}

func TestCalibrationRefusesTooLittle(t *testing.T) {
	tasks, prompts := invented(400)
	for name, o := range map[string]CalibrationOptions{
		"no draws":          promising(0.05, 100, 0),
		"nothing to test":   promising(0.05, 300, 1),
		"not for 1 %":       promising(0.01, 100, 1),
		"a wrong share":     promising(0, 100, 1),
		"nothing promised":  {Draws: 1},
		"too many examples": {Promises: tried.Promises, Draws: 1, Examples: 500},
	} {
		if _, err := Calibration(t.Context(), scorer(t), tasks, prompts, o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
