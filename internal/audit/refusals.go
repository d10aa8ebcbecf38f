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
	// MaxKeys bounds the sums held at a time, 4,096 if zero, and MaxNamed those of named callers, 1,024 if zero. What comes
	// when they are used up is summed by reason alone.
	MaxKeys  int
	MaxNamed int
	Now      func() time.Time // time.Now if nil
	Logger   *slog.Logger     // discards if nil
}

// Refusals sums the refusals of callers that were not let in. They can be a flood, so they are not recorded one by one but
// one record for each reason, issuer and network (/24 or /48) in a span of time. Where the credential names somebody it is
// one for each reason and principal, beside the first, which has a record of its own. It is safe for concurrent use.
type Refusals struct {
	log  Appender
	o    RefusalOptions
	stop chan struct{}
	done chan struct{}
	once sync.Once

	mu    sync.Mutex
	sums  map[refusalKey]*core.Refusals
	named int // how many of sums are of somebody
}

type refusalKey struct {
	reason  core.Reason
	issuer  string
	network string
	who     core.Principal // of it, the user and the app
}

func (k refusalKey) isNamed() bool { return !k.who.IsZero() }

// NewRefusals starts to sum refusals, which go to log every o.Every. Close ends it.
func NewRefusals(log Appender, o RefusalOptions) *Refusals {
	if o.Every <= 0 {
		o.Every = 10 * time.Second
	}
	if o.MaxKeys <= 0 {
		o.MaxKeys = 4096
	}
	if o.MaxNamed <= 0 {
		o.MaxNamed = 1024
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
	r.mu.Lock()
	defer r.mu.Unlock()
	r.merge(refusalKey{reason: reason, issuer: issuer, network: network(source)}, core.Refusals{Count: 1, First: at, Last: at})
}

// AddNamed counts one refusal of somebody whose credential was good. It reports true for the first of a reason and principal
// in a span, which the caller is to record; the others are summed here, whichever of the principal's credentials they came
// with: neither calling more often nor with more credentials makes more records. It never waits for the log.
func (r *Refusals) AddNamed(reason core.Reason, p core.Principal, source netip.Addr, at time.Time) (first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := refusalKey{reason: reason, who: core.Principal{User: p.User, App: p.App}}
	switch sum := r.sums[key]; {
	case sum == nil && !r.full(key):
		r.sums[key] = &core.Refusals{Network: network(source)} // of none yet: the first is not summed
		r.named++
		return true
	case sum != nil && sum.Network != network(source):
		sum.Network = otherNetworks
	}
	r.merge(key, core.Refusals{Count: 1, First: at, Last: at})
	return false
}

// merge adds a sum to what is held under a key. The lock is held.
func (r *Refusals) merge(key refusalKey, more core.Refusals) {
	sum := r.sums[key]
	if sum == nil && r.full(key) {
		key = refusalKey{reason: key.reason, network: otherNetworks}
		sum = r.sums[key]
	}
	if sum == nil {
		sum = &core.Refusals{Issuer: key.issuer, Network: key.network, First: more.First, Last: more.Last}
		r.sums[key] = sum
		if key.isNamed() {
			r.named++
		}
	}
	if sum.Count == 0 {
		sum.First, sum.Last = more.First, more.Last
	}
	sum.Count += more.Count
	if more.First.Before(sum.First) {
		sum.First = more.First
	}
	if more.Last.After(sum.Last) {
		sum.Last = more.Last
	}
}

// full reports whether there is no room for another sum of the key's kind.
func (r *Refusals) full(key refusalKey) bool {
	if key.isNamed() {
		return r.named >= r.o.MaxNamed
	}
	return len(r.sums)-r.named >= r.o.MaxKeys
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

// Flush records every sum. Those that cannot be recorded are kept for the next time; where ctx ends while the log has one, it
// can be recorded again by a later Flush.
func (r *Refusals) Flush(ctx context.Context) error {
	r.mu.Lock()
	sums := r.sums
	r.sums, r.named = make(map[refusalKey]*core.Refusals), 0
	r.mu.Unlock()
	var failed error
	for key, sum := range sums {
		if sum.Count == 0 { // the first, which has its own record, stayed the only one
			continue
		}
		if failed == nil {
			failed = r.log.Append(ctx, core.Record{
				Kind: core.RecordRefusals, Time: r.o.Now(), Principal: key.who, Reason: key.reason, Refusals: sum,
			})
		}
		if failed != nil {
			r.keep(key, *sum)
		}
	}
	if failed != nil {
		return fmt.Errorf("audit: recording refusals: %w", failed)
	}
	return nil
}

// keep takes back a sum that could not be recorded.
func (r *Refusals) keep(key refusalKey, sum core.Refusals) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.merge(key, sum)
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
		// Without a deadline: a record that waits for the disk when its time is over is written all the same, and would be
		// again with the next sum.
		if err := r.Flush(context.Background()); err != nil {
			r.o.Logger.Error("refusals could not be recorded; they are kept and tried again", "error", err)
		}
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
