package evaluation_test

import (
	"flag"
	"path/filepath"
	"testing"

	"github.com/plumbline/plumbline/internal/detect/evaluation"
	"github.com/plumbline/plumbline/internal/testkit"
)

var update = flag.Bool("update", false, "rewrite docs/evaluation-attacks.md")

// TestReferenceOfEvaluation measures again: the page must say what comes out, and what comes out must keep the bounds.
func TestReferenceOfEvaluation(t *testing.T) {
	testkit.SharedData(t, "intent")
	testkit.SharedData(t, "sentences")
	report, err := evaluation.Run(testkit.SharedData(t))
	if err != nil {
		t.Fatal(err)
	}
	ordinary := evaluation.Sum("ordinary", report.Ordinary)
	if ordinary.Prompts < 100_000 {
		t.Errorf("only %d ordinary prompts were read", ordinary.Prompts)
	}
	if ordinary.Secrets*10_000 > ordinary.Prompts {
		t.Errorf("secrets are found in %d of %d ordinary prompts, more than one in 10,000", ordinary.Secrets, ordinary.Prompts)
	}
	if ordinary.Attacks*10_000 > ordinary.Prompts {
		t.Errorf("attacks are found in %d of %d ordinary prompts, more than one in 10,000", ordinary.Attacks, ordinary.Prompts)
	}
	for _, row := range append(report.Lookalikes, ordinary) {
		if row.Blocked > 0 {
			t.Errorf("%s: the default policy blocks %d", row.Source, row.Blocked)
		}
	}
	testkit.Golden(t, filepath.Join(testkit.Root(t), "docs", "evaluation-attacks.md"), report.Page(), *update, "run with -update")
}
