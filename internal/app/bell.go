package app

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/quota/redis"
	"github.com/plumbline/plumbline/internal/store"
)

const (
	// ringLimit bounds what telling others adds to a change. Who is not told looks within half a second.
	ringLimit = 250 * time.Millisecond
	// ringPause is for how long nobody is told after that failed, so that many changes do not each wait for a silent server.
	ringPause = time.Second
)

// bell wakes the replicas that share a store when one of them, or a command line, changed it. A nil bell does nothing.
type bell struct {
	redis *redis.Bell
	quiet atomic.Pointer[time.Time] // until when it is not rung
}

// openBell makes the bell of a deployment that has a Redis. It does not connect.
func openBell(c config.Config) (*bell, error) {
	if c.Quota.Ledger != config.LedgerRedis {
		return nil, nil
	}
	o, err := redisOptions(c.Redis)
	if err != nil {
		return nil, err
	}
	b, err := redis.NewBell(o)
	if err != nil {
		return nil, err
	}
	return &bell{redis: b}, nil
}

// ring tells whoever listens that something changed. That it could not is no failure of the change.
func (b *bell) ring(ctx context.Context) {
	if until := b.quiet.Load(); until != nil && time.Now().Before(*until) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ringLimit) // the change is made, whoever asked for it
	defer cancel()
	if b.redis.Ring(ctx) != nil {
		until := time.Now().Add(ringPause)
		b.quiet.Store(&until)
	}
}

// listen passes rings on to wake, without waiting: several at once are one.
func (b *bell) listen(ctx context.Context, wake chan<- struct{}) error {
	if b == nil {
		return nil
	}
	return b.redis.Listen(ctx, func() {
		select {
		case wake <- struct{}{}:
		default:
		}
	})
}

// ringing gives st with the bell rung after each change, and closed with it.
func (b *bell) ringing(st store.Store) store.Store {
	if b == nil {
		return st
	}
	return closing{store.Announce(st, b.ring), b.close}
}

func (b *bell) close() error {
	if b == nil {
		return nil
	}
	return b.redis.Close()
}

// closing is a store with something more to close.
type closing struct {
	store.Store
	more func() error
}

func (c closing) Close() error { return errors.Join(c.more(), c.Store.Close()) }
