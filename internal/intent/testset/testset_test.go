package testset

import (
	"testing"

	"github.com/plumbline/plumbline/internal/testkit"
)

func TestTextsAreThoseLabelled(t *testing.T) {
	prompts, err := Load(testkit.SharedData(t))
	if err != nil {
		t.Fatal(err)
	}
	blind, err := LoadBlind(testkit.SharedData(t))
	if err != nil || len(blind) < 300 {
		t.Fatalf("%d blind prompts, %v", len(blind), err)
	}
	second, err := LoadSecondBlind(testkit.SharedData(t))
	if err != nil || len(second) < 280 {
		t.Fatalf("%d prompts of the second blind set, %v", len(second), err)
	}
	prompts = append(append(prompts, blind...), second...) // no prompt is in two
	seen := map[string]bool{}
	for _, p := range prompts {
		if p.Source == "" || p.ID == "" || p.Label == "" || digest(p.Text) != p.SHA256 {
			t.Errorf("%s %s: a part is missing, or the text is not that of the hash", p.Source, p.ID)
		}
		if seen[p.SHA256] {
			t.Errorf("%s %s stands twice", p.Source, p.ID)
		}
		seen[p.SHA256] = true
	}
}

func TestWithoutTheDataItSaysWhatIsMissing(t *testing.T) {
	if _, err := Load(t.TempDir()); err == nil {
		t.Error("prompts without their texts are given")
	}
}
