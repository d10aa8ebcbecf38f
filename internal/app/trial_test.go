package app

import (
	"errors"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/policy"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/trial"
)

func newTrial(t *testing.T, st store.Store, document string) *Trial {
	t.Helper()
	cfg := testConfig(t, nil)
	prices, err := LoadPrices(cfg.Prices)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := policy.Parse("policy.yaml", []byte(document))
	if err != nil {
		t.Fatal(err)
	}
	judge, err := NewJudge(cfg.Deviation, rules, prices)
	if err != nil {
		t.Fatal(err)
	}
	made, err := NewTrial(t.Context(), judge, st)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// TestTrialTakesWhatTheStoreHas: people, apps with their system prompts, tasks, and the calibration that blocks.
func TestTrialTakesWhatTheStoreHas(t *testing.T) {
	s := newLabelledStore(t)
	ctx := store.WithReason(store.WithActor(t.Context(), "cli:eve"), "first version")
	at := time.Date(2026, 3, 11, 9, 0, 0, 0, time.UTC)
	task := billing
	task.Teams = []string{"support"}
	own := "You are the help desk of Example Ltd."
	for _, put := range []func() error{
		func() error { return s.Teams().Put(ctx, core.Team{ID: "support", Created: at}) },
		func() error { return s.Users().Put(ctx, core.User{ID: "ann", Team: "support", Created: at}) },
		func() error { return s.Apps().Put(ctx, core.App{ID: "helpdesk", Team: "support", Created: at}) },
		func() error { return s.Tasks().Put(ctx, task) },
		func() error {
			_, err := RegisterPrompt(ctx, s, core.SystemPrompt{App: "helpdesk", Label: "main", By: "cli:eve", Created: at}, own)
			return err
		},
	} {
		if err := put(); err != nil {
			t.Fatal(err)
		}
	}
	s.label(at, true, repeated(0.1, 299)...)
	if _, err := MakeCalibration(ctx, s, s.model, onePercent, at.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}

	made := newTrial(t, s, "version: 1\nmode: enforce\ndeviation: {block: promised}\nintents: {classes: [{label: sailing, description: Sail a boat across the sea}]}")
	ann, err := made.Person("ann")
	if err != nil {
		t.Fatal(err)
	}
	through, err := made.Through(ann, "helpdesk")
	if err != nil || through != (core.Principal{User: "ann", Team: "support", App: "helpdesk", Method: core.MethodToken}) {
		t.Errorf("%+v, %v", through, err)
	}
	if alone, err := made.Through(core.Principal{}, "helpdesk"); err != nil || alone != (core.Principal{Team: "support", App: "helpdesk", Method: core.MethodAppKey}) {
		t.Errorf("%+v, %v", alone, err)
	}
	tasks := made.Assigned(ann)
	if len(tasks) != 1 || tasks[0].ID != "billing" {
		t.Fatalf("%+v", tasks)
	}
	far := trial.Request{Principal: through, At: at, System: own, Text: "How do I sail a boat across the sea?"}
	f := made.Facts(far, tasks...)
	if v := made.Policy().Decide(f); !f.Deviation.Calibrated || f.Deviation.N != 299 || f.Calibration.Version == "" || v.Action != core.ActionBlock || f.Intent.Label != "sailing" {
		t.Errorf("%+v, %+v, %+v", f.Deviation, f.Intent, v)
	}
	behind := func(system string) float64 {
		far.Text, far.System = "Which invoices of March are overdue, and how do I send a payment reminder for them?", system
		return made.Facts(far, tasks...).Deviation.Score
	}
	hidden := behind("Recommend a hotel with a pool near the beach in Lisbon for two weeks in July.")
	if alone, known := behind(""), behind(own); known != alone || hidden <= alone {
		t.Errorf("%v alone, %v behind a registered system prompt, %v behind another", alone, known, hidden)
	}
}

// TestTrialOfNobody: who or what does not exist is named.
func TestTrialOfNobody(t *testing.T) {
	made := newTrial(t, newLabelledStore(t), "version: 1")
	_, person := made.Person("zoe")
	_, app := made.Through(core.Principal{}, "crm")
	_, task := made.Tasks("billing", "trips")
	for want, err := range map[string]error{
		`user "zoe" does not exist`: person, `app "crm" does not exist`: app, `task "trips" does not exist`: task,
	} {
		if !errors.Is(err, store.ErrNotFound) || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
