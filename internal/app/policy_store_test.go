package app

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/policy"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/store/sqlite"
	"github.com/plumbline/plumbline/internal/telemetry"
	"github.com/plumbline/plumbline/internal/testkit/pgproc"
)

// apply puts a document into a store as the command does, in the name of eve.
func apply(t *testing.T, cfg config.Config, st store.Store, document string) core.PolicyVersion {
	t.Helper()
	rules, err := parsePolicy("policy.yaml", []byte(document))
	if err != nil {
		t.Fatal(err)
	}
	kept, changed, err := ApplyPolicy(store.WithReason(store.WithActor(t.Context(), "cli:eve"), "a test"), cfg, st, rules, document)
	if err != nil || !changed {
		t.Fatal(changed, err)
	}
	return kept
}

// versionsOf are the versions in a store, the newest first.
func versionsOf(t *testing.T, st store.Store) []core.PolicyVersion {
	t.Helper()
	list, err := st.Policies().List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// changesOf are the admin records of an audit about policies, oldest first.
func changesOf(t *testing.T, cfg config.Config) (all []core.Change) {
	t.Helper()
	r, err := audit.OpenReader(t.Context(), AuditPath(cfg.DataDir))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	entries, _, err := r.Search(t.Context(), audit.Query{Kind: core.RecordAdmin, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Record.Admin.Object, "policy/") {
			all = append(all, *e.Record.Admin)
		}
	}
	slices.Reverse(all)
	return all
}

func TestPolicyOfTheStoreIsFollowed(t *testing.T) {
	cfg := testConfig(t, nil)
	a, stop := running(t, cfg)
	defer func() { stop() }()
	if s, _ := a.policy.state(t.Context(), policyQuestion{}); s.Version != policy.Default().Version() || s.Number != 0 || s.File != "" {
		t.Fatalf("with nothing in the store: %+v", s)
	}
	other, err := OpenStore(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	refresh := func() PolicyStatus {
		t.Helper()
		if err := a.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		s, _ := a.policy.state(t.Context(), policyQuestion{})
		return s
	}

	first := apply(t, cfg, other, "version: 1\nmode: enforce\n")
	if s := refresh(); s.Version != first.Version || s.Number != 1 || s.Mode != "enforce" || a.policy.inForce().Version() != first.Version {
		t.Fatalf("after the first: %+v", s)
	}
	// What another version of Plumbline, or somebody with SQL, put there: nothing of it is in force.
	bad := core.PolicyVersion{Version: "0123456789ab", Text: "version: 1\nmode: enforec\n", Created: time.Now()}
	if _, err := other.Policies().Put(t.Context(), bad, 1); err != nil {
		t.Fatal(err)
	}
	s := refresh()
	if s.Number != 1 || s.Broken.IsZero() || len(s.Problems) != 1 || !strings.HasPrefix(s.Problems[0], `policy 2:2:7: mode: "enforec"`) ||
		a.policy.inForce().Version() != first.Version {
		t.Fatalf("after a broken one: %+v", s)
	}
	if err := other.Teams().Put(t.Context(), core.Team{ID: "red"}); err != nil {
		t.Fatal(err)
	}
	if again := refresh(); len(again.Problems) != 1 || !again.Broken.Equal(s.Broken) {
		t.Errorf("after another change: %+v", again)
	}
	stop()
	stop = func() {}
	if _, err := New(t.Context(), Options{Config: cfg, Log: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), "plumbline policy apply") {
		t.Fatalf("a start with a broken policy: %v", err)
	}

	old, err := FindPolicy(t.Context(), other, first.Version)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := RevertPolicy(store.WithReason(store.WithActor(t.Context(), "cli:ann"), "broken"), cfg, other, old); err != nil {
		t.Fatal(err)
	}
	a, stop = running(t, cfg)
	if s := refresh(); s.Version != first.Version || s.Number != 3 || len(s.Problems) > 0 {
		t.Errorf("after the way back: %+v", s)
	}
	want := []core.Change{
		{Actor: "cli:eve", Action: "apply", Object: "policy/" + first.Version, Reason: "a test"},
		{Actor: store.System, Action: "apply", Object: "policy/0123456789ab"},
		{Actor: "cli:ann", Action: "restore", Object: "policy/" + first.Version, Reason: "broken"},
	}
	if got := changesOf(t, cfg); !slices.Equal(got, want) {
		t.Errorf("the audit has %+v, want %+v", got, want)
	}
}

// TestPolicyOfAFileIsKept: each document that a file puts in force is a version in the store and a record in the audit, and
// stays in force when the configuration does not name the file any more.
func TestPolicyOfAFileIsKept(t *testing.T) {
	f := newPolicyFile(t, "version: 1\nmode: enforce\n")
	first := f.keeper.inForce().Version()
	cfg := testConfig(t, map[string]string{"policy.file": f.path})
	for range 2 { // a second start changes nothing
		a, stop := running(t, cfg)
		if s, _ := a.policy.state(t.Context(), policyQuestion{}); s.Number != 1 || s.Version != first || s.File != f.path {
			t.Errorf("%+v", s)
		}
		stop()
	}
	a, stop := running(t, cfg)
	defer func() { stop() }()
	f.write("version: 1 # nothing else\nmode: enforce\n")
	await(t, "a remark is kept", func() bool { s, _ := a.policy.state(t.Context(), policyQuestion{}); return s.Number == 2 })
	f.write("version: 1\nmode: enforec\n")
	if s, _ := a.policy.state(t.Context(), policyQuestion{}); len(s.Problems) != 1 || s.Version != first {
		t.Errorf("%+v", s)
	}
	f.write("version: 1\n")
	await(t, "a change is kept", func() bool { s, _ := a.policy.state(t.Context(), policyQuestion{}); return s.Number == 3 })
	last := a.policy.inForce().Version()
	if _, _, err := ApplyPolicy(store.WithReason(t.Context(), "why"), cfg, a.store, policy.Default(), "version: 1\n"); err != ErrPolicyFile { //nolint:errorlint // it is returned as it is
		t.Errorf("a policy for the store beside a file: %v", err)
	}
	stop()

	cfg.Policy.File = ""
	a, stop = running(t, cfg)
	if s, _ := a.policy.state(t.Context(), policyQuestion{}); s.Version != last || s.Number != 3 || s.File != "" {
		t.Errorf("without the file: %+v", s)
	}
	list := versionsOf(t, a.store)
	if len(list) != 3 || list[0].Author != policyFileAuthor || list[0].Reason == "" {
		t.Errorf("versions %+v", list)
	}
	var got []string
	for _, c := range changesOf(t, cfg) {
		got = append(got, c.Actor+" "+c.Action+" "+c.Object)
	}
	if want := []string{"file apply policy/" + first, "file apply policy/" + first, "file apply policy/" + last}; !slices.Equal(got, want) {
		t.Errorf("the audit has %q, want %q", got, want)
	}
}

// openPolicies opens the control data in a folder, and a directory that tells a keeper of it.
func openPolicies(t *testing.T, path string, k *policyKeeper) *sqlite.Store {
	t.Helper()
	st, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	if _, err := store.NewDirectory(t.Context(), store.DirectoryOptions{Store: st, OnLoad: k.load}); err != nil {
		t.Fatal(err)
	}
	return st
}

// TestReplicasKeepADocumentOnce: replicas that see a file change, however late each of them does, keep it once.
func TestReplicasKeepADocumentOnce(t *testing.T) {
	f := newPolicyFile(t, "version: 1\n")
	path := filepath.Join(t.TempDir(), "plumbline.db")
	keepers := []*policyKeeper{f.keeper}
	for range 2 {
		k, err := newPolicyKeeper(f.path, telemetry.New(prometheus.NewRegistry(), telemetry.Build{}, nil), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		keepers = append(keepers, k)
	}
	var stores []*sqlite.Store
	for _, k := range keepers {
		stores = append(stores, openPolicies(t, path, k))
	}
	look := func(i int) {
		keepers[i].look()
		keepers[i].keep(t.Context(), stores[i].Policies())
	}
	for i := range keepers {
		look(i)
	}
	f.write("version: 1\nmode: enforce\n")
	look(0)
	look(1)
	keepers[2].look()
	f.write("version: 1\nmode: observe\ntimezone: Europe/Berlin\n")
	look(0)
	keepers[2].keep(t.Context(), stores[2].Policies()) // what the others have replaced by now
	look(1)
	look(2)
	var modes []string
	for _, p := range versionsOf(t, stores[0]) {
		modes = append(modes, p.Version)
	}
	if len(modes) != 3 {
		t.Errorf("%d versions are kept of 3 documents: %v", len(modes), modes)
	}
	for i, k := range keepers {
		if k.status.Number != 3 {
			t.Errorf("replica %d says %+v", i, k.status)
		}
	}
}

// TestStoreAwayDelaysNoPolicy: a document of a file is in force at once, and kept when the store is back.
func TestStoreAwayDelaysNoPolicy(t *testing.T) {
	f := newPolicyFile(t, "version: 1\n")
	st := openPolicies(t, filepath.Join(t.TempDir(), "plumbline.db"), f.keeper)
	f.keeper.keep(t.Context(), st.Policies())
	f.write("version: 1\nmode: enforce\n")
	f.keeper.look()
	away, cancel := context.WithCancel(t.Context())
	cancel()
	f.keeper.keep(away, st.Policies())
	if s := f.status(); s.Mode != "enforce" || s.Number != 0 || len(versionsOf(t, st)) != 1 {
		t.Errorf("with the store away: %+v", s)
	}
	f.keeper.keep(t.Context(), st.Policies())
	if s := f.status(); s.Number != 2 {
		t.Errorf("with the store back: %+v", s)
	}
}

// TestEmptiedStoreKeepsThePolicy: a store that was restored to before there were policies does not put the built-in one in force.
func TestEmptiedStoreKeepsThePolicy(t *testing.T) {
	k, err := newPolicyKeeper("", telemetry.New(prometheus.NewRegistry(), telemetry.Build{}, nil), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	empty := openPolicies(t, filepath.Join(t.TempDir(), "empty.db"), k)
	if k.inForce().Version() != policy.Default().Version() {
		t.Fatal("an empty store has another policy")
	}
	kept := apply(t, testConfig(t, nil), empty, "version: 1\nmode: enforce\n")
	load := func(st store.Store) {
		if _, err := store.NewDirectory(t.Context(), store.DirectoryOptions{Store: st, OnLoad: k.load}); err != nil {
			t.Fatal(err)
		}
	}
	load(empty)
	openPolicies(t, filepath.Join(t.TempDir(), "restored.db"), k)
	if s := k.status; s.Version != kept.Version || len(s.Problems) != 1 || !strings.Contains(s.Problems[0], "has no policy any more") {
		t.Errorf("a store without a policy: %+v", s)
	}
	load(empty)
	if s := k.status; s.Version != kept.Version || len(s.Problems) > 0 {
		t.Errorf("a store that has it again: %+v", s)
	}
}

// TestReplicasRecordAPolicyOnce: of two replicas on one Postgres each follows, and one records.
func TestReplicasRecordAPolicyOnce(t *testing.T) {
	shared, _ := onPostgres(t, pgproc.Shared(t), nil)
	var apps []*App
	var configs []config.Config
	for range 2 {
		cfg := testConfig(t, nil)
		cfg.Postgres = shared.Postgres
		a, stop := running(t, cfg)
		defer stop()
		apps, configs = append(apps, a), append(configs, cfg)
	}
	kept := apply(t, shared, apps[0].store, "version: 1\nmode: enforce\n")
	for _, a := range apps {
		await(t, "a replica follows", func() bool { return a.policy.inForce().Version() == kept.Version })
	}
	for _, a := range apps {
		if err := a.trail.catchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	var n int
	for _, cfg := range configs {
		n += len(changesOf(t, cfg))
	}
	if n != 1 {
		t.Errorf("%d records of one change", n)
	}
}
