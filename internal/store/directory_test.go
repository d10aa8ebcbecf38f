package store

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is the part of a Store that a Directory uses.
type fake struct {
	Store
	mu      sync.Mutex
	objects Objects
	version uint64
	err     error
	loadErr error // of Load alone
	hang    bool  // Version waits for its context
	looks   int
	loads   int
}

func (f *fake) set(change func(*fake)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *fake) Version(ctx context.Context) (uint64, error) {
	f.mu.Lock()
	f.looks++
	v, err, hang := f.version, f.err, f.hang
	f.mu.Unlock()
	if hang {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	return v, err
}

func (f *fake) Load(context.Context) (Objects, uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.loads++
	return f.objects, f.version, errors.Join(f.err, f.loadErr)
}

// people is a set of one user.
func people(id string) Objects { return Objects{Users: []core.User{{ID: id}}} }

// running starts a directory over f in a bubble and gives its log.
func running(t *testing.T, f *fake) (*Directory, *bytes.Buffer) {
	t.Helper()
	log := &bytes.Buffer{}
	d, err := NewDirectory(t.Context(), DirectoryOptions{Store: f, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Run ended with %v, want context.Canceled", err)
		}
	})
	return d, log
}

// pass lets time pass; in a bubble it takes none.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestDirectoryFollowsTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{objects: people("ann"), version: 1}
		d, log := running(t, f)
		first := d.Snapshot()
		pass(10*time.Second + 100*time.Millisecond)
		f.set(func(f *fake) {
			if f.loads != 1 || f.looks != 21 {
				t.Errorf("%d looks and %d loads in ten quiet seconds, want 21 and 1", f.looks, f.loads)
			}
			f.objects, f.version = people("ben"), 5
		})
		pass(500 * time.Millisecond)
		if _, ok := d.Snapshot().User("ben"); !ok {
			t.Error("a change is not seen after one interval")
		}
		if _, ok := first.User("ben"); ok {
			t.Error("a snapshot changed")
		}
		// A file that was put back from a copy has a lower version.
		f.set(func(f *fake) { f.objects, f.version = people("cid"), 2 })
		pass(500 * time.Millisecond)
		if _, ok := d.Snapshot().User("cid"); !ok {
			t.Error("a lower version is not seen")
		}
		if log.Len() != 0 {
			t.Errorf("a log of what went well: %s", log)
		}
	})
}

func TestOnLoadComesBeforeForce(t *testing.T) {
	f := &fake{objects: people("ann"), version: 1}
	var d *Directory
	var loaded []uint64
	d, err := NewDirectory(t.Context(), DirectoryOptions{Store: f, OnLoad: func(s *Snapshot) {
		loaded = append(loaded, s.Generation())
		if d != nil && d.Snapshot().Generation() == s.Generation() {
			t.Errorf("generation %d is in force before OnLoad saw it", s.Generation())
		}
	}})
	for _, f.version = range []uint64{1, 2, 2, 4, 4} {
		err = errors.Join(err, d.Refresh(t.Context()))
	}
	if err != nil || !slices.Equal(loaded, []uint64{1, 2, 4}) {
		t.Errorf("OnLoad saw %v, want 1, 2, 4; %v", loaded, err)
	}
}

func TestDirectoryKeepsTheLastGood(t *testing.T) {
	for name, breaks := range map[string]func(*fake){
		"the store fails":           func(f *fake) { f.err = errors.New("disk on fire") },
		"only loading fails":        func(f *fake) { f.objects, f.version, f.loadErr = Objects{}, 2, errors.New("disk on fire") },
		"the store hangs":           func(f *fake) { f.hang = true },
		"a limit cannot be counted": func(f *fake) { f.objects, f.version = Objects{Limits: []quota.Limit{{ID: "bad"}}}, 2 },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{objects: people("ann"), version: 1}
				d, log := running(t, f)
				pass(1200 * time.Millisecond)
				f.set(breaks)
				pass(59 * time.Second)
				if err := d.Fresh(); err != nil {
					t.Errorf("after 59 s: %v, want fresh", err)
				}
				pass(2 * time.Minute)
				if err := d.Fresh(); err == nil || !strings.Contains(err.Error(), "2m59s") {
					t.Errorf("after 2 m 59 s: %v, want stale since then", err)
				}
				if _, ok := d.Snapshot().User("ann"); !ok {
					t.Error("the last good snapshot is gone")
				}
				if n := strings.Count(log.String(), "level=ERROR"); n != 1 {
					t.Errorf("%d errors in the log, want one for one outage:\n%s", n, log)
				}

				f.set(func(f *fake) { f.objects, f.version, f.err, f.loadErr, f.hang = people("ben"), 3, nil, nil, false })
				pass(lookLimit + time.Second) // a call that hangs is given up by then
				if err := d.Fresh(); err != nil {
					t.Errorf("after the repair: %v", err)
				}
				if _, ok := d.Snapshot().User("ben"); !ok {
					t.Error("a change is not seen after the repair")
				}
				if !strings.Contains(log.String(), "refreshed again") {
					t.Errorf("the log does not tell the end of the outage:\n%s", log)
				}
			})
		})
	}
}

// TestOutageIsFollowedByALoad: after a failover a version may stand for another change than the one that was seen.
func TestOutageIsFollowedByALoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{objects: people("ann"), version: 7}
		d, _ := running(t, f)
		f.set(func(f *fake) { f.err = errors.New("gone") })
		pass(5100 * time.Millisecond)
		if n, age := d.Failures(), d.Age(); n != 10 || age < 5*time.Second {
			t.Errorf("%d failures, and an age of %s", n, age)
		}
		f.set(func(f *fake) { f.objects, f.err = people("ben"), nil })
		pass(500 * time.Millisecond)
		if _, ok := d.Snapshot().User("ben"); !ok {
			t.Error("what another server has under the same version is not seen")
		}
		if age := d.Age(); age > 500*time.Millisecond {
			t.Errorf("an age of %s after a look", age)
		}
	})
}

func TestNoDirectoryWithoutAStore(t *testing.T) {
	for name, f := range map[string]*fake{
		"fails":     {err: errors.New("disk on fire")},
		"bad limit": {objects: Objects{Limits: []quota.Limit{{ID: "bad"}}}},
	} {
		if d, err := NewDirectory(t.Context(), DirectoryOptions{Store: f}); err == nil || d != nil {
			t.Errorf("%s: %v, %v", name, d, err)
		}
	}
}

// TestSnapshotsWhileReloading is for the race detector: readers never wait and see one version as a whole.
func TestSnapshotsWhileReloading(t *testing.T) {
	at := func(v uint64) Objects {
		return Objects{Users: []core.User{{ID: "ann", Created: time.UnixMicro(int64(v))}}}
	}
	f := &fake{objects: at(1), version: 1}
	d, err := NewDirectory(t.Context(), DirectoryOptions{Store: f})
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				s := d.Snapshot()
				if u, ok := s.User("ann"); !ok || uint64(u.Created.UnixMicro()) != s.Generation() {
					t.Errorf("version %d has the ann of %d", s.Generation(), u.Created.UnixMicro())
					return
				}
				if err := d.Fresh(); err != nil {
					t.Error(err)
					return
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for v := uint64(2); v < 200; v++ {
		f.set(func(f *fake) { f.objects, f.version = at(v), v })
		if err := d.Refresh(t.Context()); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	wg.Wait()
}

// TestWake: a wake has the store be looked at now, many at once count as one, and without end they cost no more than one look
// in a pause. Without any, the interval goes on.
func TestWake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, wake := &fake{objects: people("ann"), version: 1}, make(chan struct{}, 1)
		d, err := NewDirectory(t.Context(), DirectoryOptions{Store: f, Wake: wake})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- d.Run(ctx) }()
		defer func() { stop(); <-ended }()
		ring := func() {
			select {
			case wake <- struct{}{}:
			default:
			}
		}
		pass(100 * time.Millisecond)
		f.set(func(f *fake) { f.objects, f.version = people("ben"), 2 })
		ring()
		synctest.Wait()
		if _, ok := d.Snapshot().User("ben"); !ok {
			t.Error("a change is not seen at once")
		}
		// The last of many is heard, however fast they come: what it tells of came after the look before it.
		f.set(func(f *fake) { f.objects, f.version = people("cid"), 3 })
		ring()
		pass(WakePause)
		if _, ok := d.Snapshot().User("cid"); !ok {
			t.Error("a change while the directory pauses is not seen after it")
		}
		pass(time.Second)
		var before int
		f.set(func(f *fake) { before = f.looks })
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); <-time.After(time.Millisecond) {
			ring()
		}
		f.set(func(f *fake) {
			if n, most := f.looks-before, int(10*time.Second/WakePause)+20+1; n > most {
				t.Errorf("%d looks in ten seconds of wakes without end, want %d at most", n, most)
			}
		})
		pass(time.Second)
		f.set(func(f *fake) { f.objects, f.version = people("dan"), 4 })
		pass(500 * time.Millisecond)
		if _, ok := d.Snapshot().User("dan"); !ok {
			t.Error("without a wake a change is not seen after one interval")
		}
	})
}
