package app

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/store"
)

const (
	// maxArrivals bounds the people who wait to be created. Who finds no room is asked for again by the next request.
	maxArrivals = 1024
	// rejectedFor is how long nobody tries again to create somebody whom the store refused.
	rejectedFor = 30 * time.Second
	// provisionTimeout bounds the creation of one.
	provisionTimeout = 10 * time.Second
)

// provisioner creates the people whom tokens of trusted issuers name for the first time. It works off the way of requests:
// those who wait are refused until they are in the store and in the directory, and then judged as everybody else.
type provisioner struct {
	store   store.Store
	refresh func(context.Context) error // brings what was created into force
	now     func() time.Time
	log     *slog.Logger
	queue   chan arrival

	mu       sync.Mutex
	waiting  map[string]bool      // by id: is in the queue, or at work
	rejected map[string]time.Time // by id: until when it is not tried again
}

// arrival is somebody who is to be created.
type arrival struct {
	issuer string
	user   core.User
	team   core.Team // to be created too, unless its id is empty
}

func newProvisioner(st store.Store, refresh func(context.Context) error, now func() time.Time, log *slog.Logger) *provisioner {
	return &provisioner{
		store: st, refresh: refresh, now: now, log: log, queue: make(chan arrival, maxArrivals),
		waiting: map[string]bool{}, rejected: map[string]time.Time{},
	}
}

// ask wants a user created, with the team if teams is set. It does not wait, and reports whether trying again soon makes
// sense.
func (p *provisioner) ask(issuer string, teams bool, user core.User) bool {
	now := p.now()
	user.Created = now
	a := arrival{issuer: issuer, user: user}
	if teams && user.Team != "" {
		a.team = core.Team{ID: user.Team, Created: now}
	}
	if store.ValidateUser(user) != nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.waiting[user.ID]:
		return true
	case now.Before(p.rejected[user.ID]):
		return false
	}
	select {
	case p.queue <- a:
		p.waiting[user.ID] = true
	default:
	}
	return true
}

// run creates who arrives until ctx ends.
func (p *provisioner) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case a := <-p.queue:
			p.finish(a.user.ID, p.create(ctx, a))
		}
	}
}

func (p *provisioner) create(ctx context.Context, a arrival) error {
	ctx, cancel := context.WithTimeout(store.WithActor(ctx, "issuer:"+a.issuer), provisionTimeout)
	defer cancel()
	err := p.store.Provision(ctx, a.user, a.team)
	if err == nil {
		err = p.refresh(ctx)
	}
	switch {
	case err != nil:
		p.log.Error("a person of a trusted issuer could not be created", "issuer", a.issuer, "error", err)
	default:
		p.log.Info("a person of a trusted issuer was created", "issuer", a.issuer)
	}
	return err
}

// finish lets others ask for a user again, later if the store refused it: it will not be wiser in a moment.
func (p *provisioner) finish(id string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.waiting, id)
	if !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrInvalid) {
		return
	}
	if len(p.rejected) >= maxArrivals {
		clear(p.rejected)
	}
	p.rejected[id] = p.now().Add(rejectedFor)
}
