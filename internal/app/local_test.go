package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/quota/memory"
	"github.com/plumbline/plumbline/internal/store"
)

// deadLedger cannot be asked.
type deadLedger struct{ quota.Ledger }

func (deadLedger) Standings(context.Context, quota.Subject, *quota.LimitSet, time.Time) ([]quota.Standing, error) {
	return nil, errors.New("the ledger is away")
}

// apartLedger is one whose shared part is away: it tells of no limit that does not count in this process.
type apartLedger struct{ quota.Ledger }

func (apartLedger) Standings(context.Context, quota.Subject, *quota.LimitSet, time.Time) ([]quota.Standing, error) {
	return nil, nil
}

// shortDir gives a folder whose sockets have short names.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// serving serves the admin socket of a folder, and gives what closes it.
func serving(t *testing.T, dir string, a asker) func() {
	t.Helper()
	l := newLocal(t.Context(), AdminSocket(dir), slog.New(slog.DiscardHandler), repairer{asker: a}.handle)
	if l == nil {
		t.Fatal("there is no admin socket")
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- l.serve(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	}
}

// Who serves and cannot say so says why. That is not the same as that nobody serves: then the records would be shown for
// what is in force.
func TestWhoServesCannotSay(t *testing.T) {
	set, err := quota.Compile([]quota.Limit{{
		ID: "each-cost", Scope: quota.ScopeUser, Dimension: quota.DimensionCost, Window: quota.WindowDay, Value: 1,
	}})
	if err != nil {
		t.Fatal(err)
	}
	limits := func() *quota.LimitSet { return set }
	fresh := func(context.Context) error { return nil }
	stale := func(context.Context) error { return errors.New("the control data is away") }
	for why, a := range map[string]asker{
		"the control data is away":                    {stale, limits, memory.New(memory.Options{})},
		"the ledger is away":                          {fresh, limits, deadLedger{}},
		"how much of the limits is used is not known": {fresh, limits, apartLedger{}},
	} {
		dir := shortDir(t)
		stop := serving(t, dir, a)
		all, err := askRunning(dir)(t.Context(), quota.Subject{User: "ann"})
		if err == nil || errors.Is(err, errNotRunning) || !strings.Contains(err.Error(), why) || all != nil {
			t.Errorf("%s: %v, %v", why, all, err)
		}
		stop()
		if _, err := askRunning(dir)(t.Context()); !errors.Is(err, errNotRunning) {
			t.Errorf("when it has stopped: %v", err)
		}
	}
}

// Nobody has served a folder that is new.
func TestNobodyServes(t *testing.T) {
	if _, err := askRunning(shortDir(t))(t.Context()); !errors.Is(err, errNotRunning) {
		t.Errorf("of a new folder: %v", err)
	}
	if err := (*local)(nil).serve(t.Context()); err != nil {
		t.Errorf("without a socket: %v", err)
	}
	(*local)(nil).close()
}

// An answer that is none, or that comes from something else, is an error, and no standings are made of it.
func TestAnswersThatAreNone(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"no JSON":   func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") },
		"not found": http.NotFound,
		"an error":  func(w http.ResponseWriter, _ *http.Request) { http.Error(w, `{"standings":[]}`, http.StatusTeapot) },
		"cut short": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, `{}`)
		},
		"no answer":    func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"another type": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"standings":"none"}`) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := shortDir(t)
			lis, err := net.Listen("unix", AdminSocket(dir))
			if err != nil {
				t.Fatal(err)
			}
			server := &http.Server{Handler: answer, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
			go server.Serve(lis)
			defer server.Close()
			all, err := askRunning(dir)(t.Context(), quota.Subject{User: "ann"})
			if err == nil || errors.Is(err, errNotRunning) || all != nil {
				t.Errorf("%v, %v", all, err)
			}
		})
	}
}

// The mode that new files have is as before when the socket is made, and what is said is JSON.
func TestAdminSocketLeavesTheUmask(t *testing.T) {
	dir := shortDir(t)
	defer serving(t, dir, asker{
		func(context.Context) error { return nil }, func() *quota.LimitSet { return nil }, memory.New(memory.Options{}),
	})()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o640); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm()&0o600 != 0o600 || info.Mode().Perm() == 0o600 {
		t.Errorf("a new file has mode %v, %v", info.Mode(), err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", AdminSocket(dir))
	}}}
	res, err := client.Post("http://admin"+standingsPath, "application/json", strings.NewReader(`{"subjects":[{}]}`))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if got := res.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("the answer is %s", got)
	}
}

const callers = `
teams: [{id: support}, {id: sales}]
users: [{id: ann, team: support}, {id: ben}]
apps: [{id: helpdesk, team: support}, {id: crm, team: sales}, {id: script}]
limits:
  - {id: each, scope: team, dimension: tokens, window: day, value: 1000, zone: Europe/Berlin}
  - {id: stray, scope: team, model: no-such-model, dimension: tokens, window: hour, value: 100000, zone: Europe/Berlin}
`

// seeded is a store of callers and limits, and the view of a command on it.
func seeded(t *testing.T) (store.Store, *QuotaView) {
	t.Helper()
	cfg := shortConfig(t)
	st, err := OpenStore(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	o, err := ParseObjects("objects.yaml", []byte(callers))
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Apply(store.WithActor(t.Context(), "test"), o); err != nil {
		t.Fatal(err)
	}
	v, err := ViewQuota(t.Context(), st, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return st, v
}

// The team of a caller is the user's, else the one that is named, else the app's; who does not exist is said.
func TestQuotaOfACallerWithItsTeam(t *testing.T) {
	_, v := seeded(t)
	for _, tt := range []struct {
		user, named, app string
		team, wrong      string
	}{
		{user: "ann", team: "support"},
		{user: "ann", named: "support", team: "support"},
		{user: "ann", app: "crm", team: "support"},
		{user: "ann", named: "sales", wrong: `user "ann" is of team "support", not "sales"`},
		{user: "ben"},
		{user: "ben", named: "sales", team: "sales"},
		{user: "ben", app: "crm", team: "sales"},
		{user: "ben", named: "support", app: "crm", team: "support"},
		{user: "ben", app: "script"},
		{app: "helpdesk", team: "support"},
		{named: "sales", app: "helpdesk", team: "sales"},
		{named: "sales", team: "sales"},
		{user: "zoe", wrong: `user "zoe" does not exist`},
		{named: "nobodys", wrong: `team "nobodys" does not exist`},
		{user: "ann", app: "none", wrong: `app "none" does not exist`},
	} {
		who, effects, err := v.Effective(t.Context(), quota.Subject{User: tt.user, Team: tt.named, App: tt.app, Model: "gpt-5"})
		if tt.wrong != "" {
			if err == nil || err.Error() != tt.wrong || effects != nil {
				t.Errorf("%+v: %v, %v", tt, effects, err)
			}
			continue
		}
		if err != nil || who != (quota.Subject{User: tt.user, Team: tt.team, App: tt.app, Model: "gpt-5"}) {
			t.Errorf("%+v: %+v, %v", tt, who, err)
			continue
		}
		if applies := effects[0].Relevance == quota.RelevanceApplies; applies != (tt.team != "") {
			t.Errorf("%+v: the limit of each team is %s", tt, effects[0].Relevance)
		}
	}
}

// Who called at another replica alone has used of the shared counters too.
func TestUsageKnowsCallersOfOtherReplicas(t *testing.T) {
	_, v := seeded(t)
	ledger, limits := memory.New(memory.Options{}), v.snapshot.Limits()
	ben := quota.Subject{User: "ben", Team: "sales", Model: "gpt-5"}
	if err := ledger.Replay(core.Charge{Admitted: v.At, Requests: 1, OutputTokens: 70}, ben, limits); err != nil {
		t.Fatal(err)
	}
	v.Running, v.ask = true, quota.AskLedger(ledger, limits, v.At)
	v.others = func(context.Context) ([]quota.Subject, error) { return []quota.Subject{ben}, nil }
	uses, err := v.Usage(t.Context())
	if err != nil || len(uses) != 1 || uses[0].For != "sales" || uses[0].Used != 70 {
		t.Errorf("%+v, %v", uses, err)
	}
	v.others = func(context.Context) ([]quota.Subject, error) { return nil, errors.New("the records are away") }
	if uses, err := v.Usage(t.Context()); err == nil || uses != nil {
		t.Errorf("without the records of others: %+v, %v", uses, err)
	}
}

// A view knows its limits and their zones; doubts are told of them and of the price table.
func TestQuotaViewKnowsItsLimits(t *testing.T) {
	st, v := seeded(t)
	if !v.Has("each") || v.Has("none") {
		t.Errorf("has each: %t, has none: %t", v.Has("each"), v.Has("none"))
	}
	if v.Zone("each").String() != "Europe/Berlin" || v.Zone("none") != time.UTC {
		t.Errorf("zones %v and %v", v.Zone("each"), v.Zone("none"))
	}
	doubts, err := DoubtLimits(t.Context(), st, shortConfig(t))
	if err != nil || len(doubts) != 2 || doubts[0].Limit != "stray" || doubts[1].Limit != "stray" || doubts[0].By != "each" && doubts[1].By != "each" {
		t.Errorf("%+v, %v", doubts, err)
	}
}

// A use that cannot be told is an error, not a use of nothing.
func TestQuotaThatCannotBeTold(t *testing.T) {
	st, _ := seeded(t)
	cfg := shortConfig(t)
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(AuditPath(cfg.DataDir), []byte("no database"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ViewQuota(t.Context(), st, cfg); err == nil {
		t.Error("records that cannot be read are none")
	}
	dir := shortConfig(t)
	if err := os.MkdirAll(dir.DataDir, 0o700); err != nil {
		t.Fatal(err)
	}
	defer serving(t, dir.DataDir, asker{
		func(context.Context) error { return errors.New("away") }, func() *quota.LimitSet { return nil }, memory.New(memory.Options{}),
	})()
	if v, err := ViewQuota(t.Context(), st, dir); err == nil || v.Running {
		t.Errorf("who serves cannot say: %v", err)
	}
}
