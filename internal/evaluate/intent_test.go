package evaluate

import (
	"math"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/intent"
)

func TestIntent(t *testing.T) {
	c, err := intent.Default()
	if err != nil {
		t.Fatal(err)
	}
	r, err := Intent(c, []Prompt{
		{Label: "translation", Text: "Translate this sentence into French"},
		{Label: "translation", Text: "How do you say thank you in Korean?"},
		{Label: "coding", Text: "Write a Python function that merges two dictionaries"},
		{Label: "maths", Text: "Translate this sentence into German"}, // mislabelled
		{Label: core.LabelUncertain, Text: "hello there"},
		{Label: "coding", Text: "..."},
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.Prompts != 6 || r.Unscored != 1 || r.Forced.Prompts != 4 || r.Floor.Out != 1 || r.Model != c.Version() {
		t.Errorf("%+v", r)
	}
	// Of translation two of three given are right and both wanted are found, of coding all, of maths none.
	if got, want := r.Forced.MacroF1.Value, (0.8+1+0)/3; math.Abs(got-want) > 1e-9 {
		t.Errorf("macro-F1 %v, want %v", got, want)
	}
	if r.Forced.Accuracy.Value != 0.75 || r.Forced.Accuracy.SE < 0.15 || r.Forced.Accuracy.SE > 0.28 { // 0.217 by the formula
		t.Errorf("accuracy %+v", r.Forced.Accuracy)
	}
	if r.Floor.Uncertain.Value != 1 || r.Floor.OutAUROC < 0.5 {
		t.Errorf("floor %+v", r.Floor)
	}
	for _, class := range r.Classes {
		if class.Label == "maths" && (class.Prompts != 1 || len(class.Mistaken) != 1 || class.Mistaken[0] != "translation 1") {
			t.Errorf("%+v", class)
		}
	}
	for name, prompts := range map[string][]Prompt{
		"is no class":         {{Label: "cooking", Text: "Boil an egg"}},
		"no prompt has a cla": {{Label: core.LabelUncertain, Text: "hello there"}},
	} {
		if _, err := Intent(c, prompts); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestCalibrationError(t *testing.T) {
	sure := []judged{{want: 1, got: 1, confidence: 0.9}, {want: 1, got: 2, confidence: 0.9}, {want: 0, got: 0, confidence: 0.3}}
	if got, want := calibrationError(sure), (0.8+0.7)/3; math.Abs(got-want) > 1e-9 {
		t.Errorf("got %v, want %v", got, want)
	}
}
