package audit

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/plumbline/plumbline/internal/core"
)

// otherNetworks stands for the networks of refusals for which there was no room of their own.
const otherNetworks = "other"

// Appender keeps records: a *Log.
type Appender interface {
	Append(ctx context.Context, rec core.Record) error
}

// RefusalOptions say how refusals are summed.
type RefusalOptions struct {
	// Every is how long a sum covers, 10 s if zero.
	Every time.Duration
	// MaxKeys bounds the sums held at a time, 4,096 if zero. What comes when they are used up is summed by reason alone.
	MaxKeys int
	Now     func() time.Time // time.Now if nil
	Logger  *slog.Logger     // discards if nil
}

// Refusals sums the refusals of callers that nobody could name. They can be a flood, so they are not recorded one by one
// but one record for each reason, issuer and network (/24 or /48) in a span of time. It is safe for concurrent use.
type Refusals struct {
	log  Appender
	o    RefusalOptions
	stop chan struct{}
	done chan struct{}
	once sync.Once

	mu   sync.Mutex
	sums map[refusalKey]*core.Refusals
}

type refusalKey struct {
	reason  core.Reason
	issuer  string
	network string
}

// NewRefusals starts to sum refusals, which go to log every o.Every. Close ends it.
func NewRefusals(log Appender, o RefusalOptions) *Refusals {
	if o.Every <= 0 {
		o.Every = 10 * time.Second
	}
	if o.MaxKeys <= 0 {
		o.MaxKeys = 4096
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Refusals{log: log, o: o, stop: make(chan struct{}), done: make(chan struct{}), sums: map[refusalKey]*core.Refusals{}}
	go r.run()
	return r
}

// Add counts one refusal. issuer is the one that the credential named if it is trusted, else empty; source may be
// invalid when it is not known. It never waits for the log.
func (r *Refusals) Add(reason core.Reason, issuer string, source netip.Addr, at time.Time) {
	r.merge(refusalKey{reason, issuer, network(source)}, core.Refusals{Count: 1, First: at, Last: at})
}

// merge adds a sum to what is held under a key.
func (r *Refusals) merge(key refusalKey, more core.Refusals) {
	r.mu.Lock()
	defer r.mu.Unlock()
	sum := r.sums[key]
	if sum == nil && len(r.sums) >= r.o.MaxKeys {
		key = refusalKey{reason: key.reason, network: otherNetworks}
		sum = r.sums[key]
	}
	if sum == nil {
		sum = &core.Refusals{Issuer: key.issuer, Network: key.network, First: more.First, Last: more.Last}
		r.sums[key] = sum
	}
	sum.Count += more.Count
	if more.First.Before(sum.First) {
		sum.First = more.First
	}
	if more.Last.After(sum.Last) {
		sum.Last = more.Last
	}
}

// network is the part of an address that a sum keeps.
func network(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	a = a.Unmap().WithZone("")
	bits := 48
	if a.Is4() {
		bits = 24
	}
	return netip.PrefixFrom(a, bits).Masked().String()
}

// Flush records every sum. Those that cannot be recorded are kept for the next time.
func (r *Refusals) Flush(ctx context.Context) error {
	r.mu.Lock()
	sums := r.sums
	r.sums = make(map[refusalKey]*core.Refusals)
	r.mu.Unlock()
	var failed error
	for key, sum := range sums {
		if failed == nil {
			failed = r.log.Append(ctx, core.Record{Kind: core.RecordRefusals, Time: r.o.Now(), Reason: key.reason, Refusals: sum})
		}
		if failed != nil {
			r.merge(key, *sum)
		}
	}
	if failed != nil {
		return fmt.Errorf("audit: recording refusals: %w", failed)
	}
	return nil
}

func (r *Refusals) run() {
	defer close(r.done)
	tick := time.NewTicker(r.o.Every)
	defer tick.Stop()
	for {
		select {
		case <-r.stop:
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(context.Background(), r.o.Every)
		if err := r.Flush(ctx); err != nil {
			r.o.Logger.Error("refusals could not be recorded; they are kept and tried again", "error", err)
		}
		cancel()
	}
}

// Close records what is held and ends the summing. It is called after the last Add and before the log is closed.
func (r *Refusals) Close(ctx context.Context) error {
	r.once.Do(func() { close(r.stop) })
	select {
	case <-r.done:
	case <-ctx.Done():
		return fmt.Errorf("audit: closing refusals: %w", ctx.Err())
	}
	return r.Flush(ctx)
}
