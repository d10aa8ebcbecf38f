package app

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/policy"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/telemetry"
	"github.com/plumbline/plumbline/internal/wholefile"
	"github.com/plumbline/plumbline/internal/yamldoc"
)

// policyFile is a document that a keeper watches, and the metrics it keeps.
type policyFile struct {
	t        *testing.T
	path     string
	registry *prometheus.Registry
	keeper   *policyKeeper
}

func newPolicyFile(t *testing.T, document string) *policyFile {
	f := &policyFile{t: t, path: filepath.Join(t.TempDir(), "policy.yaml"), registry: prometheus.NewRegistry()}
	f.write(document)
	metrics := telemetry.New(f.registry, telemetry.Build{}, nil)
	var err error
	if f.keeper, err = newPolicyKeeper(f.path, metrics, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *policyFile) write(document string) {
	f.t.Helper()
	if err := os.WriteFile(f.path, []byte(document), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

func (f *policyFile) status() PolicyStatus {
	f.t.Helper()
	s, err := f.keeper.state(f.t.Context(), policyQuestion{})
	if err != nil {
		f.t.Fatal(err)
	}
	return s
}

func (f *policyFile) wantMetrics(want string) {
	f.t.Helper()
	if err := testutil.GatherAndCompare(f.registry, strings.NewReader(want), "plumbline_policy_stale", "plumbline_policy_reads_total"); err != nil {
		f.t.Error(err)
	}
}

func TestPolicyIsReloadedAndTheLastGoodOneStays(t *testing.T) {
	f := newPolicyFile(t, "version: 1\n")
	first := f.keeper.inForce()

	f.write("version: 1\nmode: enforce\n")
	if s := f.status(); s.Mode != "enforce" || len(s.Problems) > 0 || f.keeper.inForce().Mode() != policy.ModeEnforce {
		t.Fatalf("%+v", s)
	}
	good := f.keeper.inForce()

	f.write("version: 1\nmode: enforec\n")
	s := f.status()
	if f.keeper.inForce() != good || s.Version != good.Version() || s.Broken.IsZero() ||
		len(s.Problems) != 1 || !strings.Contains(s.Problems[0], `policy.yaml:2:7: mode: "enforec"`) {
		t.Fatalf("a broken document: %+v", s)
	}
	f.status() // looked at again: told once
	f.wantMetrics(`
# HELP plumbline_policy_reads_total Policy documents that were read, by result: good, bad.
# TYPE plumbline_policy_reads_total counter
plumbline_policy_reads_total{result="bad"} 1
plumbline_policy_reads_total{result="good"} 1
# HELP plumbline_policy_stale 1 while the policy document as it is now cannot be put in force, and the last good one stays.
# TYPE plumbline_policy_stale gauge
plumbline_policy_stale 1
`)

	if err := os.Remove(f.path); err != nil {
		t.Fatal(err)
	}
	if s := f.status(); f.keeper.inForce() != good || len(s.Problems) != 1 || !strings.Contains(s.Problems[0], "no such file") {
		t.Fatalf("a document that is gone: %+v", s)
	}

	f.write("version: 1\nmode: enforce\n") // as it was
	if s := f.status(); len(s.Problems) > 0 || s.Version != good.Version() {
		t.Fatalf("a document that is back: %+v", s)
	}
	f.wantMetrics(`
# HELP plumbline_policy_reads_total Policy documents that were read, by result: good, bad.
# TYPE plumbline_policy_reads_total counter
plumbline_policy_reads_total{result="bad"} 2
plumbline_policy_reads_total{result="good"} 2
# HELP plumbline_policy_stale 1 while the policy document as it is now cannot be put in force, and the last good one stays.
# TYPE plumbline_policy_stale gauge
plumbline_policy_stale 0
`)
	if first.Mode() != policy.ModeObserve {
		t.Error("a policy that was pinned has changed")
	}
}

// storeAway is a store that cannot be reached.
type storeAway struct{ store.Policies }

func (storeAway) Put(context.Context, core.PolicyVersion, int64) (core.PolicyVersion, error) {
	return core.PolicyVersion{}, errors.New("away")
}

func TestPolicyIsLookedAtWhileServing(t *testing.T) { testChangeWhileServing(t, storeAway{}, 0) }

// testChangeWhileServing changes the document some time after the keeper has begun, which has it in force a second later.
func testChangeWhileServing(t *testing.T, versions store.Policies, after time.Duration) {
	f := newPolicyFile(t, "version: 1\n")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- f.keeper.run(ctx, versions) }()
		<-time.After(after)
		f.write("version: 1\nmode: enforce\n")
		<-time.After(policyEvery)
		synctest.Wait()
		if f.keeper.inForce().Mode() != policy.ModeEnforce {
			t.Error("a changed document is not in force after a second")
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// TestPolicyIsAFile: what is no regular file of a document's size is refused at once, a pipe that nobody writes to as well.
func TestPolicyIsAFile(t *testing.T) {
	dir := t.TempDir()
	pipe, large := filepath.Join(dir, "pipe"), filepath.Join(dir, "large.yaml")
	document := "version: 1\n#" + strings.Repeat("x", yamldoc.MaxSize)
	if err := errors.Join(syscall.Mkfifo(pipe, 0o600), os.WriteFile(large, []byte(document), 0o600)); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{dir: wholefile.ErrNotRegular, pipe: wholefile.ErrNotRegular, large: wholefile.ErrTooLarge} {
		_, err := newPolicyKeeper(path, telemetry.New(prometheus.NewRegistry(), telemetry.Build{}, nil), slog.New(slog.DiscardHandler))
		if !errors.Is(err, want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestBrokenPolicyKeepsFromStarting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.yaml")
	metrics := telemetry.New(prometheus.NewRegistry(), telemetry.Build{}, nil)
	if _, err := newPolicyKeeper(path, metrics, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a document that is not there is taken")
	}
	if err := os.WriteFile(path, []byte("version: 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := newPolicyKeeper(path, metrics, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a broken document is taken")
	}
}

// TestCaseOfAnEndpointWithoutPrompt: a document whose case asks something of an endpoint that takes no prompt is refused.
func TestCaseOfAnEndpointWithoutPrompt(t *testing.T) {
	for endpoint, refused := range map[string]bool{"models.list": true, "files.create": true, "vector_stores.search": false, "responses": false} {
		_, err := parsePolicy("policy.yaml", []byte("version: 1\ncases: [{endpoint: "+endpoint+", prompt: Hello, verdict: allow}]"))
		if (err != nil) != refused {
			t.Errorf("a case of %s: %v", endpoint, err)
		}
	}
}
