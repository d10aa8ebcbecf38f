package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/store"
)

// registry is a store that only provisions, and can fail.
type registry struct {
	store.Store
	mu      sync.Mutex
	fail    error
	hold    chan struct{} // if not nil, provisioning waits for it
	created []string
	tries   int
}

func (r *registry) Provision(ctx context.Context, u core.User, t core.Team) error {
	if r.hold != nil {
		<-r.hold
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tries++
	if r.fail == nil {
		r.created = append(r.created, fmt.Sprintf("%s: user %s, team %s %s", store.Actor(ctx), u.ID, u.Team, t.ID))
	}
	return r.fail
}

func (r *registry) setFail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = err
}

// startProvisioner runs a provisioner in a bubble.
func startProvisioner(t *testing.T, r *registry) (p *provisioner, refreshed *int) {
	refreshed = new(int)
	p = newProvisioner(r, func(context.Context) error { *refreshed++; return nil }, time.Now, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("run: %v", err)
		}
	})
	return p, refreshed
}

func TestProvisionerCreatesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &registry{hold: make(chan struct{})}
		p, refreshed := startProvisioner(t, r)
		for range 100 {
			if !p.ask("i", true, core.User{ID: "zoe", Team: "law"}) {
				t.Fatal("it will not try")
			}
		}
		if !p.ask("i", false, core.User{ID: "ben", Team: "law"}) {
			t.Fatal("it will not try")
		}
		close(r.hold)
		synctest.Wait()
		if want := []string{"issuer:i: user zoe, team law law", "issuer:i: user ben, team law "}; !slices.Equal(r.created, want) || *refreshed != 2 {
			t.Errorf("created %q, want %q; %d refreshes", r.created, want, *refreshed)
		}
	})
}

func TestProvisionerRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &registry{fail: &store.ObjectError{Kind: "user", ID: "zoe", Err: store.ErrConflict}}
		p, _ := startProvisioner(t, r)
		for _, u := range []core.User{{ID: "Zoe"}, {ID: ""}, {ID: "zoe\n"}, {ID: "zoe", Team: "a b"}} {
			if p.ask("i", true, u) {
				t.Errorf("it will try %+v", u)
			}
		}
		zoe := core.User{ID: "zoe", Team: "law"}
		if !p.ask("i", false, zoe) {
			t.Error("the first time it will not try")
		}
		synctest.Wait()
		if p.ask("i", false, zoe) {
			t.Error("it tries again what the store refused")
		}
		<-time.After(rejectedFor)
		r.setFail(errors.New("disk full"))
		for range 3 { // a fault is tried again and again
			if !p.ask("i", false, zoe) {
				t.Error("it will not try after a fault")
			}
			synctest.Wait()
		}
		if r.tries != 4 {
			t.Errorf("%d tries, want 4", r.tries)
		}
	})
}

func TestProvisionerIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &registry{hold: make(chan struct{}), fail: &store.ObjectError{Err: store.ErrConflict}}
		p, _ := startProvisioner(t, r)
		for n := range 5000 {
			p.ask("i", false, core.User{ID: fmt.Sprint("u", n)})
		}
		if len(p.waiting) > maxArrivals+1 {
			t.Errorf("%d wait", len(p.waiting))
		}
		close(r.hold)
		synctest.Wait()
		if len(p.waiting) != 0 || len(p.rejected) > maxArrivals {
			t.Errorf("%d wait, %d are remembered", len(p.waiting), len(p.rejected))
		}
	})
}
