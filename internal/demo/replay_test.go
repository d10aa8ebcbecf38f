package demo

import (
	"path/filepath"
	"testing"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/replay"
)

// The whole tour, through Envoy and back, is decided again from its records just as it was.
func TestTourReplays(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "kept")
	s := startDemo(t, Options{Tour: true, DataDir: dir})
	if err := s.end(); err != nil {
		t.Fatal(err)
	}
	rules, err := app.LoadPolicy(filepath.Join(dir, "policy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	log, err := audit.OpenReader(t.Context(), app.AuditPath(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	report, err := replay.Run(t.Context(), log, replay.Options{Policy: rules})
	if err != nil {
		t.Fatal(err)
	}
	if same := report.Same; same.Records == 0 || same.Records != report.Replayed || same.Differences != 0 || report.Total.Changed != 0 {
		t.Errorf("%+v", report)
	}
	for _, c := range report.NotReplayed {
		if c.Cause != replay.CauseBeforeFacts {
			t.Errorf("%+v cannot be replayed", c)
		}
	}
	met := map[core.Reason]bool{}
	for _, r := range report.Rules {
		met[r.Reason] = true
	}
	for _, reason := range []core.Reason{core.ReasonOffTask, core.ReasonModelNotAllowed, core.ReasonQuotaExhausted} {
		if !met[reason] {
			t.Errorf("the tour is to meet %s; its rules were %+v", reason, report.Rules)
		}
	}
}
