package jwks

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plumbline/plumbline/internal/identity"
	"github.com/plumbline/plumbline/internal/wait"
)

const (
	// refreshEvery is the time between two fetches, give or take a fifth: replicas must not ask all at once.
	refreshEvery = 5 * time.Minute
	// firstRetry is the time to the fetch after one that failed. It doubles up to refreshEvery.
	firstRetry = 15 * time.Second
	// warnAfter and maxStale are how long an outage lasts before it is told, and before keys are no longer believed.
	warnAfter = 15 * time.Minute
	maxStale  = 24 * time.Hour

	// A kid that a token named, and that a fetch was asked for, causes no other for a while. So many are remembered.
	missingFor  = time.Minute
	maxMissings = 1024
)

// Options are what a source is made of.
type Options struct {
	// Issuer is the iss of the keys. It names them in the log and in the snapshot.
	Issuer string
	// URL is where they come from: a snapshot of another address is not believed.
	URL string
	// Algorithms are those that the issuer may use.
	Algorithms []string
	// Fetch gets the document; see Client.
	Fetch func(context.Context) ([]byte, error)
	// Snapshot is the file that carries the keys over a restart. Empty: none does.
	Snapshot string
	// OnSuccess, if not nil, is told when the keys in force were last confirmed by their issuer.
	OnSuccess func(time.Time)
	Now       func() time.Time
	Log       *slog.Logger
}

// Source keeps the key set of one issuer. It is safe for concurrent use.
type Source struct {
	o       Options
	current atomic.Pointer[state]
	none    *identity.KeySet // when nothing is believed
	wake    chan struct{}
	tried   chan struct{} // closed after the first fetch

	mu      sync.Mutex
	missing map[string]time.Time // kid → until when it causes no fetch
}

// state is what a fetch gave. It does not change.
type state struct {
	document []byte
	keys     *identity.KeySet
	fetched  time.Time
}

// New checks the options and takes over what a snapshot holds. It fetches nothing: Run does.
func New(o Options) (*Source, error) {
	if o.Issuer == "" || o.URL == "" || len(o.Algorithms) == 0 || o.Fetch == nil || o.Now == nil || o.Log == nil {
		return nil, errors.New("jwks: an option is missing")
	}
	if o.OnSuccess == nil {
		o.OnSuccess = func(time.Time) {}
	}
	none, err := identity.ParseKeySet([]byte(`{"keys":[]}`), o.Algorithms)
	if err != nil {
		return nil, err
	}
	s := &Source{
		o: o, none: none, wake: make(chan struct{}, 1), tried: make(chan struct{}), missing: map[string]time.Time{},
	}
	s.o.Log = o.Log.With("issuer", o.Issuer)
	s.restore()
	return s, nil
}

// Keys gives the key set in force, an empty one when there is none that may be believed. It is the same as long as the
// document is.
func (s *Source) Keys() *identity.KeySet {
	c := s.current.Load()
	if c == nil || s.o.Now().Sub(c.fetched) > maxStale {
		return s.none
	}
	return c.keys
}

// Missing tells that a token named a key that is not in force. It asks for a fetch and does not wait for it.
func (s *Source) Missing(kid string) {
	now := s.o.Now()
	s.mu.Lock()
	until, known := s.missing[kid]
	asked := known && now.Before(until)
	if !asked && (known || len(s.missing) < maxMissings) {
		s.missing[kid] = now.Add(missingFor)
	}
	s.mu.Unlock()
	if asked {
		return
	}
	select {
	case s.wake <- struct{}{}:
	default: // it is asked for already
	}
}

// Tried is closed once a fetch was tried, whatever came of it.
func (s *Source) Tried() <-chan struct{} { return s.tried }

// Run fetches at once and then again and again, until ctx ends. One fetch runs at a time.
func (s *Source) Run(ctx context.Context) error {
	var spent budget
	outage := outage{source: s}
	for first := true; ; first = false {
		if err := wait.For(ctx, spent.wait(s.o.Now())); err != nil {
			return err
		}
		spent.spend(s.o.Now())
		err := s.refresh(ctx)
		if first {
			close(s.tried)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		next := outage.after(err)
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-s.wake:
		}
		timer.Stop()
	}
}

// refresh fetches once and takes over what came, whole or not at all.
func (s *Source) refresh(ctx context.Context) error {
	document, err := s.o.Fetch(ctx)
	if err != nil {
		return err
	}
	next, err := s.take(document, s.o.Now())
	if err != nil {
		return err
	}
	s.forget(next.fetched)
	s.o.OnSuccess(next.fetched)
	s.save(next)
	return nil
}

// take puts a document in force. Keys that it does not hold any more verify nothing from here on.
func (s *Source) take(document []byte, fetched time.Time) (*state, error) {
	next := &state{document: document, fetched: fetched}
	if old := s.current.Load(); old != nil && bytes.Equal(old.document, document) {
		next.keys = old.keys // what was verified with them stays verified
	} else {
		keys, err := identity.ParseKeySet(document, s.o.Algorithms)
		if err != nil {
			return nil, err
		}
		next.keys = keys
		s.o.Log.Info("the issuer's keys are in force", "usable", keys.Len(), "ignored", len(keys.Reports())-keys.Len())
	}
	s.current.Store(next)
	return next, nil
}

// forget drops kids that may cause a fetch again.
func (s *Source) forget(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for kid, until := range s.missing {
		if !now.Before(until) {
			delete(s.missing, kid)
		}
	}
}

// outage tells how long an issuer cannot be reached, and decides when to try again.
type outage struct {
	source *Source
	since  time.Time // of the first fetch that failed, zero when the last one did not
	retry  time.Duration
	told   bool // that it lasts
	ended  bool // that the keys are no longer believed
}

// after takes in what a fetch came to and gives the time to the next one.
func (o *outage) after(err error) time.Duration {
	s := o.source
	if err == nil {
		if o.told {
			s.o.Log.Info("the issuer's keys can be fetched again")
		}
		*o = outage{source: s}
		return jitter(refreshEvery)
	}
	now := s.o.Now()
	confirmed := s.confirmed()
	if o.since.IsZero() {
		o.since = now
		s.o.Log.Warn("the issuer's keys could not be fetched; those in force stay", "error", err, "confirmed", confirmed)
	}
	if !o.told && now.Sub(began(o.since, confirmed)) >= warnAfter {
		o.told = true
		s.o.Log.Error("the issuer's keys could not be fetched for 15 minutes; they are believed for 24 hours in all",
			"error", err, "confirmed", confirmed)
	}
	if !o.ended && !confirmed.IsZero() && now.Sub(confirmed) > maxStale {
		o.ended = true
		s.o.Log.Error("the issuer's keys are too old to be believed; its tokens are refused", "error", err, "confirmed", confirmed)
	}
	o.retry = min(max(2*o.retry, firstRetry), refreshEvery)
	return jitter(o.retry)
}

// confirmed is when the issuer last gave the keys in force, zero for never.
func (s *Source) confirmed() time.Time {
	if c := s.current.Load(); c != nil {
		return c.fetched
	}
	return time.Time{}
}

// began is when an outage began as far as is known: a restart in the midst of it does not make it shorter.
func began(failed, confirmed time.Time) time.Time {
	if !confirmed.IsZero() && confirmed.Before(failed) {
		return confirmed
	}
	return failed
}

// jitter is d give or take a fifth.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64())) //nolint:gosec // it spreads load and guards nothing
}
