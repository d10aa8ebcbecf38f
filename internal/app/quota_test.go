package app

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/store"
)

// shortConfig has a data directory whose sockets have short names.
func shortConfig(t *testing.T) config.Config {
	t.Helper()
	dir, err := os.MkdirTemp("", "pl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return testConfig(t, map[string]string{"data_dir": filepath.Join(dir, "data")})
}

// viewed is what a command in another process would see.
func viewed(t *testing.T, cfg config.Config) *QuotaView {
	t.Helper()
	st, err := OpenStore(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	v, err := ViewQuota(t.Context(), st, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// annsDay is the use of ann's limit.
func annsDay(t *testing.T, v *QuotaView) quota.Use {
	t.Helper()
	who, effects, err := v.Effective(t.Context(), quota.Subject{User: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	if who.Team != "support" || len(effects) != 1 || effects[0].Limit.ID != "ann-day" || effects[0].Use == nil || !effects[0].First {
		t.Fatalf("%+v: %+v", who, effects)
	}
	return *effects[0].Use
}

// settled writes what an exchange of ann's leaves in the records.
func settled(t *testing.T, a *App, tokens int64) {
	t.Helper()
	now := time.Now().UTC()
	charge := core.Charge{Admitted: now, Requests: 1, OutputTokens: tokens}
	rec := core.Record{
		Kind: core.RecordIntent, Time: now, Exchange: "0171dd5b-0000-7000-8000-000000000001", Model: "gpt-5",
		Principal: core.Principal{User: "ann", Team: "support"}, Reserved: &charge,
	}
	outcome := rec
	outcome.Kind, outcome.Reserved, outcome.Settled, outcome.Finish = core.RecordOutcome, nil, &charge, core.FinishComplete
	if err := errors.Join(a.audit.Append(t.Context(), rec), a.audit.Append(t.Context(), outcome)); err != nil {
		t.Fatal(err)
	}
}

// While a Plumbline runs, what it has in memory is shown: what is settled and what is held. When none runs, the records are,
// and it is not made up what is held.
func TestQuotaIsToldByWhoServesAndElseByTheRecords(t *testing.T) {
	cfg := shortConfig(t)
	if v := viewed(t, cfg); v.Running {
		t.Error("a Plumbline that was never started runs")
	}
	a, stop := running(t, cfg)
	seedPeople(t, a)
	ann := quota.Subject{User: "ann", Team: "support", Model: "gpt-5"}
	for id, tokens := range map[string]int64{"settled": 300, "held": 200} {
		r := quota.Request{ID: id, Subject: ann, Limits: a.limits(), At: time.Now(), Amounts: quota.Amounts{Requests: 1, OutputTokens: tokens}}
		if _, err := a.ledger.Reserve(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.ledger.Settle(t.Context(), "settled", quota.Amounts{Requests: 1, OutputTokens: 300}); err != nil {
		t.Fatal(err)
	}
	settled(t, a, 300)

	v := viewed(t, cfg)
	use := annsDay(t, v)
	if !v.Running || use.Used != 500 || use.Posted != 300 || use.Pending == nil || *use.Pending != 200 || use.Remaining != 500 {
		t.Errorf("running: %v, %+v", v.Running, use)
	}
	counters, err := v.Usage(t.Context())
	if err != nil || len(counters) != 1 || counters[0].For != "ann" || counters[0].Used != 500 || *counters[0].Pending != 200 {
		t.Errorf("usage of what runs: %+v, %v", counters, err)
	}

	stop()
	v = viewed(t, cfg)
	use = annsDay(t, v)
	if v.Running || use.Used != 300 || use.Posted != 300 || use.Pending != nil || use.Remaining != 700 {
		t.Errorf("stopped: %v, %+v", v.Running, use)
	}
	counters, err = v.Usage(t.Context())
	if err != nil || len(counters) != 1 || counters[0].Used != 300 || counters[0].Pending != nil {
		t.Errorf("usage of what is stopped: %+v, %v", counters, err)
	}
	if _, err := os.Lstat(AdminSocket(cfg.DataDir)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the admin socket is left: %v", err)
	}
}

// A limit that was set a moment ago is in force when it is asked about.
func TestWhoServesIsAskedAboutTheLimitsOfNow(t *testing.T) {
	cfg := shortConfig(t)
	a, stop := running(t, cfg)
	defer stop()
	seedPeople(t, a)
	fresh := quota.Limit{ID: "fresh", Scope: quota.ScopeUser, Dimension: quota.DimensionRequests, Window: quota.WindowDay, Value: 5}
	if err := a.Store().Limits().Put(store.WithActor(t.Context(), "test"), fresh); err != nil {
		t.Fatal(err)
	}
	_, effects, err := viewed(t, cfg).Effective(t.Context(), quota.Subject{User: "ben"})
	if err != nil || len(effects) != 2 || effects[1].Limit.ID != "fresh" || effects[1].Use == nil {
		t.Errorf("%+v, %v", effects, err)
	}
}

// Many subjects are asked about in several questions, and answered in their order.
func TestManySubjectsAreAskedAbout(t *testing.T) {
	cfg := shortConfig(t)
	a, stop := running(t, cfg)
	defer stop()
	seedPeople(t, a)
	subjects := make([]quota.Subject, 2*maxAsked+1)
	for i := range subjects {
		subjects[i].User = "ben"
	}
	last := len(subjects) - 1
	subjects[last].User = "ann"
	all, err := askRunning(cfg.DataDir)(t.Context(), subjects...)
	if err != nil || len(all) != len(subjects) || len(all[0]) != 0 || len(all[last]) != 1 {
		t.Errorf("%d answers, %v", len(all), err)
	}
}

// The admin socket is its owner's alone, takes nothing but questions, and none that is too large.
func TestAdminSocket(t *testing.T) {
	cfg := shortConfig(t)
	_, stop := running(t, cfg)
	defer stop()
	path := AdminSocket(cfg.DataDir)
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	many := `{"subjects":[` + strings.Repeat("{},", maxAsked) + "{}]}"
	for _, tt := range []struct {
		method, path, body string
		want               int
	}{
		{"POST", standingsPath, `{"subjects":[{"User":"ann"}]}`, http.StatusOK},
		{"POST", standingsPath, "", http.StatusBadRequest},
		{"POST", standingsPath, many, http.StatusBadRequest},
		{"POST", standingsPath, `{"subjects":[{"User":"` + strings.Repeat("x", maxQuestion) + `"}]}`, http.StatusBadRequest},
		{"GET", standingsPath, "", http.StatusMethodNotAllowed},
		{"GET", "/metrics", "", http.StatusNotFound},
	} {
		req, err := http.NewRequestWithContext(t.Context(), tt.method, "http://admin"+tt.path, bytes.NewReader([]byte(tt.body)))
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != tt.want {
			t.Errorf("%s %s: %d, want %d", tt.method, tt.path, res.StatusCode, tt.want)
		}
	}
}

// The socket of a Plumbline that was killed is replaced; what is no socket is left alone, and governing goes on without.
func TestAdminSocketOfOneThatDied(t *testing.T) {
	cfg := shortConfig(t)
	path := AdminSocket(cfg.DataDir)
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		t.Fatal(err)
	}
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	if _, err := askRunning(cfg.DataDir)(t.Context()); !errors.Is(err, errNotRunning) {
		t.Errorf("of one that died: %v", err)
	}
	_, stop := running(t, cfg)
	if _, err := askRunning(cfg.DataDir)(t.Context()); err != nil {
		t.Errorf("after it was replaced: %v", err)
	}
	stop()

	if err := os.WriteFile(path, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	a, err := New(t.Context(), Options{Config: cfg, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	run(t, a)()
	kept, err := os.ReadFile(path)
	if diff := cmp.Diff("kept", string(kept)); err != nil || diff != "" || !strings.Contains(log.String(), "level=WARN") {
		t.Errorf("%v %s; log:\n%s", err, diff, log.String())
	}
}
