package main

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unicode"

	"github.com/plumbline/plumbline/internal/intent/testset"
	"github.com/plumbline/plumbline/internal/testkit"
)

// atRoot runs the test at the root of the repository, where training runs.
func atRoot(t *testing.T) (data string) {
	t.Helper()
	data = testkit.SharedData(t)
	t.Chdir(testkit.Root(t))
	return data
}

// TestTrainingIsRepeatable trains again and compares with what is committed, byte for byte: the shipped weights are what
// this code makes of the named data, and the figures are theirs.
func TestTrainingIsRepeatable(t *testing.T) {
	if testing.Short() {
		t.Skip("trains for half a minute")
	}
	if runtime.GOARCH != "amd64" {
		t.Skip("the last bits of math.Exp differ between architectures; the weights are made on amd64")
	}
	data, dir := atRoot(t), t.TempDir()
	o := options{data: data, weights: filepath.Join(dir, "weights"), head: filepath.Join(dir, "head"), report: filepath.Join(dir, "report")}
	if err := run(io.Discard, o); err != nil {
		t.Fatal(err)
	}
	for made, committed := range map[string]string{
		o.weights: "internal/intent/weights.bin",
		o.head:    "internal/detect/head.bin",
		o.report:  "internal/intent/train/report.txt",
	} {
		got, err := os.ReadFile(made)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(committed)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("training gives other bytes than %s: run make models and commit what changes", committed)
		}
	}
}

// judging gives the prompts of all test sets.
func judging(t *testing.T, data string) []testset.Prompt {
	t.Helper()
	set, err := testset.Load(data)
	if err != nil {
		t.Fatal(err)
	}
	blind, err := testset.LoadBlind(data)
	if err != nil {
		t.Fatal(err)
	}
	second, err := testset.LoadSecondBlind(data)
	if err != nil {
		t.Fatal(err)
	}
	if len(set) < 600 || len(blind) < 300 || len(second) < 280 {
		t.Errorf("the test sets have %d, %d and %d prompts", len(set), len(blind), len(second))
	}
	return append(append(set, blind...), second...)
}

// TestNoLineIsNearToWhatJudges holds that no line that was written whole has half of the runs of four words of a prompt that
// judges. It names the line and where the prompt is from, and tells nothing of the blind set's texts.
func TestNoLineIsNearToWhatJudges(t *testing.T) {
	set := judging(t, atRoot(t))
	holding, runsOf := map[string][]int{}, make([]int, len(set))
	for i, p := range set {
		for run := range runsOfFour(p.Text) {
			holding[run] = append(holding[run], i)
		}
	}
	const (
		common = 3 // prompts, from which on a run is only how people begin: what is the best way to
		few    = 4 // runs, below which prompts are alike by chance
	)
	for run, in := range holding {
		if len(in) >= common {
			delete(holding, run)
			continue
		}
		for _, i := range in {
			runsOf[i]++
		}
	}
	for _, label := range labels() {
		s, err := readSource(label)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range s.prompts {
			shared := map[int]int{}
			for run := range runsOfFour(line) {
				for _, i := range holding[run] {
					shared[i]++
				}
			}
			for i, n := range shared {
				if runsOf[i] >= few && 2*n >= runsOf[i] {
					t.Errorf("%q is near to one of %s", line, set[i].Source)
				}
			}
		}
	}
}

func runsOfFour(text string) map[string]bool {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	runs := map[string]bool{}
	for i := 0; i+4 <= len(words); i++ {
		runs[strings.Join(words[i:i+4], " ")] = true
	}
	return runs
}

// TestNothingIsLearntThatJudges compares all prompts of training and validation with the test sets, by their letters.
func TestNothingIsLearntThatJudges(t *testing.T) {
	data := atRoot(t)
	train, err := learnt(data, labels())
	if err != nil {
		t.Fatal(err)
	}
	validation, err := readValidation(data)
	if err != nil {
		t.Fatal(err)
	}
	set := judging(t, data)
	bare := func(text string) string {
		return strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
				return r
			}
			return -1
		}, strings.ToLower(text))
	}
	judges := map[string]string{}
	for _, p := range set {
		judges[bare(p.Text)] = p.Source + " " + p.ID
	}
	for _, p := range append(train, validation...) {
		if of, known := judges[bare(p.text)]; known {
			t.Errorf("%s %q is learnt and judges: %s", p.label, p.text, of)
		}
	}
}

func TestTemplatesAreFilled(t *testing.T) {
	w := &writer{lexicon: map[string][]string{"x": {"[a|b]{y}"}, "y": {"[c|]"}, "loop": {"{loop}"}}, rand: rand.New(rand.NewPCG(1, 1))}
	got := map[string]bool{}
	for range 200 {
		text, err := w.fill("xs[i] {x} {unknown} { [d|e]", 0)
		if err != nil {
			t.Fatal(err)
		}
		got[text] = true
	}
	if len(got) != 8 || !got["xs[i] bc {unknown} { d"] || !got["xs[i] a {unknown} { e"] {
		t.Errorf("%v", got)
	}
	if _, err := w.fill("{loop}", 0); err == nil {
		t.Error("an endless template is filled")
	}
}
