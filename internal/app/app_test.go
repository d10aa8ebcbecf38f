package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/identity"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/store"
)

func TestMain(m *testing.M) {
	if os.Getenv(rollingChild) != "" {
		if err := rollUntilKilled(os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if os.Getenv(trailChild) != "" {
		fmt.Fprintln(os.Stderr, trailUntilKilled(os.Args[1], os.Args[2], os.Args[3]))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

const people3 = `
teams: [{id: support}]
users: [{id: ann, team: support}, {id: ben}]
apps: [{id: helpdesk, team: support}]
tasks:
  - {id: a-own, title: Own work, users: [ann]}
  - {id: b-team, title: Work of the team, teams: [support]}
  - {id: c-both, title: Work of both, users: [ann], teams: [support]}
limits:
  - {id: ann-day, scope: user, subject: ann, dimension: tokens, window: day, value: 1000}
`

func testConfig(t *testing.T, settings map[string]string) config.Config {
	t.Helper()
	flags := map[string]string{"data_dir": filepath.Join(t.TempDir(), "data"), "ops.listen": "127.0.0.1:0"}
	for k, v := range settings {
		flags[k] = v
	}
	cfg, _, err := config.Load(config.LoadOptions{Flags: flags, ReadFile: os.ReadFile})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// running builds a Plumbline, runs it and returns a function that stops it and waits.
func running(t *testing.T, cfg config.Config) (*App, func()) {
	t.Helper()
	a, err := New(t.Context(), Options{Config: cfg, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return a, run(t, a)
}

// run runs a Plumbline and returns a function that stops it and waits.
func run(t *testing.T, a *App) func() {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

func seedPeople(t *testing.T, a *App) {
	t.Helper()
	o, err := ParseObjects("objects.yaml", []byte(people3))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(a.Store().Apply(store.WithActor(t.Context(), "test"), o), a.Refresh(t.Context())); err != nil {
		t.Fatal(err)
	}
}

func TestOpsListener(t *testing.T) {
	a, stop := running(t, testConfig(t, nil))
	defer stop()
	for path, want := range map[string]string{"/healthz": "alive", "/readyz": "ready", "/metrics": "plumbline_build_info"} {
		res, err := http.Get(a.OpsURL() + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
			t.Errorf("%s answers %s without %q", path, res.Status, want)
		}
	}
	res, err := http.Get(a.OpsURL() + "/debug/pprof/")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusNotFound {
		t.Errorf("profiles are served without being asked for: %s", res.Status)
	}
}

func TestSecondPlumblineOnOneDirectoryIsRefused(t *testing.T) {
	cfg := testConfig(t, nil)
	_, stop := running(t, cfg)
	defer stop()
	if _, err := New(t.Context(), Options{Config: cfg, Log: slog.New(slog.DiscardHandler)}); err == nil {
		t.Fatal("a second Plumbline serves the same directory")
	}
}

func TestPortInUseSaysHowToChangeIt(t *testing.T) {
	a, stop := running(t, testConfig(t, nil))
	defer stop()
	taken := strings.TrimPrefix(a.OpsURL(), "http://")
	_, err := New(t.Context(), Options{Config: testConfig(t, map[string]string{"ops.listen": taken}), Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), taken) || !strings.Contains(err.Error(), "PLUMBLINE_OPS_LISTEN") {
		t.Errorf("error %v does not name %s and how to change it", err, taken)
	}
}

// Each change to the control data is in the audit once, with its actor, also after a start.
func TestChangesReachTheAuditOnce(t *testing.T) {
	cfg := testConfig(t, nil)
	a, stop := running(t, cfg)
	seedPeople(t, a)
	if err := a.trail.catchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop()
	b, stop := running(t, cfg)
	defer stop()
	if err := b.Store().Users().Delete(store.WithActor(t.Context(), "cli:root"), "ben"); err != nil {
		t.Fatal(err)
	}
	if err := b.trail.catchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	r, err := audit.OpenReader(t.Context(), AuditPath(cfg.DataDir))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	entries, _, err := r.Search(t.Context(), audit.Query{Kind: core.RecordAdmin, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	got := map[core.Change]int{}
	for _, e := range entries {
		got[*e.Record.Admin]++
	}
	want := map[core.Change]int{{Actor: "cli:root", Action: "delete", Object: "user/ben"}: 1}
	for _, object := range []string{"team/support", "user/ann", "user/ben", "app/helpdesk", "task/a-own", "task/b-team", "task/c-both", "limit/ann-day"} {
		want[core.Change{Actor: "test", Action: "put", Object: object}] = 1
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changes in the audit (-want +got):\n%s", diff)
	}
}

// The ledger is a cache of the records: what was charged before a start counts after it.
func TestLedgerIsRebuiltFromTheAudit(t *testing.T) {
	cfg := testConfig(t, nil)
	a, stop := running(t, cfg)
	seedPeople(t, a)
	now := time.Now().UTC().Truncate(time.Microsecond)
	err := a.audit.Append(t.Context(), core.Record{
		Kind: core.RecordOutcome, Time: now, Exchange: "exchange-1", Principal: core.Principal{User: "ann"}, Model: "gpt-4o-mini",
		Settled: &core.Charge{Admitted: now, Requests: 1, InputTokens: 300, OutputTokens: 45, Cost: 7},
	})
	if err != nil {
		t.Fatal(err)
	}
	stop()
	b, stop := running(t, cfg)
	defer stop()
	standings, err := b.ledger.Standings(t.Context(), quota.Subject{User: "ann", Model: "gpt-4o-mini"}, b.directory.Snapshot().Limits(), now)
	if err != nil {
		t.Fatal(err)
	}
	if len(standings) != 1 || standings[0].Used != 345 {
		t.Errorf("standings %+v, want one with 345 used", standings)
	}
}

func TestTasksAreCompiledWhenTheirTextChanges(t *testing.T) {
	a, stop := running(t, testConfig(t, nil))
	defer stop()
	seedPeople(t, a)
	p := newPeople(a.scorer)
	p.fresh = func() error { return nil }
	p.load(a.directory.Snapshot())
	before := p.current.Load()

	task, err := a.Store().Tasks().Get(t.Context(), "a-own")
	if err != nil {
		t.Fatal(err)
	}
	task.Title = "Other work"
	if err := errors.Join(a.Store().Tasks().Put(t.Context(), task), a.Refresh(t.Context())); err != nil {
		t.Fatal(err)
	}
	p.load(a.directory.Snapshot())
	after := p.current.Load()
	if before.compiled["a-own"]() == after.compiled["a-own"]() {
		t.Error("a task with a new title was not compiled again")
	}
	if before.compiled["b-team"]() != after.compiled["b-team"]() {
		t.Error("a task without a change was compiled again")
	}
	var ids []string
	for _, task := range after.Tasks(core.Principal{User: "ann", Team: "support"}) {
		ids = append(ids, task.ID())
	}
	if diff := cmp.Diff([]string{"a-own", "b-team", "c-both"}, ids); diff != "" {
		t.Errorf("ann's tasks (-want +got):\n%s", diff)
	}
}

func TestCredentialsOfNobodyAreRefused(t *testing.T) {
	a, stop := running(t, testConfig(t, nil))
	defer stop()
	if _, _, err := CreateKey(t.Context(), a.Store(), "no-such-app", "", time.Hour); !errors.Is(err, store.ErrConflict) {
		t.Errorf("a key for an app that does not exist: %v", err)
	}
	if _, _, err := CreateKey(t.Context(), a.Store(), "helpdesk", "", 0); err == nil {
		t.Error("a key that never expires was made")
	}
	if _, _, err := IssueToken(t.Context(), a.Store(), a.cfg.Identity, identity.IssueRequest{User: "no-such-user", Lifetime: time.Hour}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a token for a user that does not exist: %v", err)
	}
}
