package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/policy"
	"github.com/plumbline/plumbline/internal/store"
)

// TestPolicyThatIsNoFile: what stands where the document stood and is no file keeps the last good one in force, and is told, at
// once: reading a pipe could wait for ever.
func TestPolicyThatIsNoFile(t *testing.T) {
	f := newPolicyFile(t, "version: 1\n")
	good := f.keeper.inForce()
	place := map[string]func() error{
		"a pipe":      func() error { return syscall.Mkfifo(f.path, 0o600) },
		"a directory": func() error { return os.Mkdir(f.path, 0o700) },
		"a device":    func() error { return os.Symlink("/dev/zero", f.path) },
	}
	for name, put := range place {
		if err := errors.Join(os.RemoveAll(f.path), put()); err != nil {
			t.Fatal(err)
		}
		if s := f.status(); f.keeper.inForce() != good || len(s.Problems) != 1 || !strings.Contains(s.Problems[0], "is not a regular file") {
			t.Errorf("%s: %+v", name, s)
		}
		if _, err := newPolicyKeeper(f.path, f.keeper.metrics, f.keeper.log); err == nil {
			t.Errorf("%s: a start takes it", name)
		}
	}
	if err := os.Remove(f.path); err != nil {
		t.Fatal(err)
	}
	f.write("version: 1\nmode: enforce\n")
	if s := f.status(); s.Mode != "enforce" || len(s.Problems) > 0 {
		t.Errorf("a file again: %+v", s)
	}
}

// TestSlowFileHoldsUpNoChange: while a disk does not answer, what the store holds still comes into force, blocks of people
// among it.
func TestSlowFileHoldsUpNoChange(t *testing.T) {
	f := newPolicyFile(t, "version: 1\n")
	f.keeper.looking.Lock() // as by a look that does not come back
	defer f.keeper.looking.Unlock()
	openPolicies(t, filepath.Join(t.TempDir(), "plumbline.db"), f.keeper)
}

// hangingStore is a store that answers when its caller gives up.
type hangingStore struct{ store.Policies }

func (hangingStore) Put(ctx context.Context, _ core.PolicyVersion, _ int64) (core.PolicyVersion, error) {
	<-ctx.Done()
	return core.PolicyVersion{}, ctx.Err()
}

func TestHangingStoreDelaysNoPolicy(t *testing.T) {
	testChangeWhileServing(t, hangingStore{}, policyEvery+policyEvery/2) // it hangs by then
}

// TestReloadsWhileRequestsRun: whatever stands in the file meanwhile, a request is judged by a whole policy, and by one that was
// good: what all good ones block is blocked.
func TestReloadsWhileRequestsRun(t *testing.T) {
	good := func(i int) string {
		return fmt.Sprintf("version: 1\nmode: enforce\nmodels: {allow: [gpt-%d]}\nrules:\n- {name: never, when: 'user == \"mallory\"', then: block}\n", i)
	}
	hostile := []string{
		"", "version: 1\nmode: enforec\n", "version: 2\n", "\x00", "version: 1\nrules: " + strings.Repeat("[", 40_000),
		"version: 1\nrules:\n" + strings.Repeat("- {name: a, when: 'x', then: block}\n", 300),
		"version: 1\nrules:\n- {name: a, when: 'tasks.exists(a, tasks.exists(b, tasks.exists(c, a == b)))', then: warn}\n",
		"version: 1\nmodes: " + strings.Repeat("x", 1<<20), "version: &a 1\nmode: *a\n", good(0)[:60],
	}
	f := newPolicyFile(t, good(0))
	done := make(chan struct{})
	var requests sync.WaitGroup
	for range 4 {
		requests.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				v := f.keeper.inForce().Decide(policy.Facts{Principal: core.Principal{User: "mallory"}, Endpoint: "chat.completions", Model: "gpt-x", Priced: true})
				if v.Action != core.ActionBlock {
					t.Errorf("passes: %+v", v)
					return
				}
			}
		})
	}
	for i := range 30 {
		f.write(hostile[i%len(hostile)])
		f.keeper.look()
		f.write(good(i + 1))
		f.keeper.look()
	}
	close(done)
	requests.Wait()
	if s := f.status(); len(s.Problems) > 0 || !f.keeper.inForce().ModelAllowed(core.Principal{}, "gpt-30") {
		t.Errorf("at the end: %+v", s)
	}
}
