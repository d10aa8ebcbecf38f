// Package takeover ships what other processes have left on the volume: logs whose process died and does not come back, and
// logs that were moved aside after their disk had failed. What they had not signed is signed then.
//
// A log belongs to whoever holds its lock, which ends with the process. So one that is in use is never touched, of several
// that look at one that is not the first has it, and whoever comes back to it waits for a few seconds at most. What cannot be
// read is left as it is, and told once.
//
// The package imports audit and ship; it must not know the gate or which store it ships to.
package takeover

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/ship"
	"github.com/plumbline/plumbline/internal/wait"
)

const (
	// sweepEvery is how often logs that were left are looked for, after the start.
	sweepEvery = 30 * time.Second
	// turn bounds how long one log is held: a process that comes back to it waits as long. What is left then is for the next
	// turn.
	turn = 5 * time.Second
	// journal is enough to record how open exchanges ended.
	journal = 64 << 10
)

// Options are what a sweeper is made of. Own and Destination are required.
type Options struct {
	// Own is the path of the log of this process, beside which others lie that were moved aside.
	Own string
	// Volume, if set, holds the directories of several processes, with a log of the same name in each.
	Volume      string
	Destination ship.Destination
	// Sign, if set, signs checkpoints of what a log holds, all of which was shipped: whose process died had not come to it.
	Sign func(ctx context.Context, log *audit.Log) error
	Now  func() time.Time // time.Now if nil
	Log  *slog.Logger     // discards if nil
}

// Sweeper takes over logs. Run is called once; Counts is safe for concurrent use.
type Sweeper struct {
	o Options
	// drained is how logs looked when nothing was left to ship of them.
	drained map[string]string
	// sound is how logs looked when they were last known not to be damaged.
	sound map[string]string
	// told is what was said of logs that cannot be taken over.
	told        map[string]string
	left, taken atomic.Int64
}

// New makes a sweeper. It does nothing before Run.
func New(o Options) *Sweeper {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Sweeper{o: o, drained: map[string]string{}, sound: map[string]string{}, told: map[string]string{}}
}

// Counts are what a sweeper found and did.
type Counts struct {
	// Left logs that no process uses hold records that are not shipped, or cannot be read; one at least while the volume
	// itself cannot be.
	Left int64
	// Taken records were shipped from logs that others had left, since the start.
	Taken int64
}

// Counts gives the counts.
func (s *Sweeper) Counts() Counts { return Counts{s.left.Load(), s.taken.Load()} }

// Run sweeps at once and then from time to time, until ctx ends, and returns its error.
func (s *Sweeper) Run(ctx context.Context) error {
	for {
		s.Sweep(ctx)
		if err := wait.For(ctx, sweepEvery); err != nil {
			return err
		}
	}
}

// Sweep looks at each log that was left, once.
func (s *Sweeper) Sweep(ctx context.Context) {
	paths, err := audit.Left(s.o.Own, s.o.Volume)
	left := int64(0)
	if err != nil {
		left++ // what lies there is not known, and must not be taken for nothing
		s.tell(s.o.Volume, err)
	} else {
		delete(s.told, s.o.Volume)
	}
	for _, path := range paths {
		if ctx.Err() != nil {
			return
		}
		if state, known := s.drained[path]; known && state == audit.State(path) {
			continue
		}
		err := s.take(ctx, path)
		switch {
		case err == nil:
			s.drained[path] = audit.State(path)
			delete(s.told, path)
		case errors.Is(err, audit.ErrInUse):
			delete(s.told, path)
		case ctx.Err() == nil:
			left++
			s.tell(path, err)
		}
	}
	s.left.Store(left)
}

// tell says once why a log is not taken over. It is tried again at every sweep.
func (s *Sweeper) tell(path string, err error) {
	if s.told[path] == err.Error() {
		return
	}
	s.told[path] = err.Error()
	s.o.Log.Error("an audit log that was left on the volume is not shipped; nothing of it is changed or deleted, and it is tried again: see the error for what to do, or move its directory to safety",
		"path", path, "error", err)
}

// take closes what a log has open and ships what it holds.
func (s *Sweeper) take(ctx context.Context, path string) (err error) {
	log, err := audit.Open(ctx, audit.Options{
		Path: path, Durability: audit.Strict, Journal: journal,
		Ballast: 1, // the room that it kept is free now
		Check:   s.sound[path] != audit.State(path),
		Now:     s.o.Now, Logger: s.o.Log,
	})
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, log.Close(context.WithoutCancel(ctx)))
		s.sound[path] = audit.State(path)
	}()
	crashed, err := log.Recover(ctx)
	if err != nil {
		return err
	}
	if _, err := log.End(ctx); err != nil { // all of it is in the tables, from which it is shipped
		return err
	}
	return s.drain(ctx, path, log, crashed)
}

func (s *Sweeper) drain(ctx context.Context, path string, log *audit.Log, crashed int) error {
	limited, cancel := context.WithTimeout(ctx, turn)
	defer cancel()
	shipper := ship.New(ship.Options{Source: log, Destination: s.o.Destination, Now: s.o.Now, Log: s.o.Log})
	err := shipper.Drain(limited)
	shipped := shipper.Counts().Shipped
	s.taken.Add(shipped)
	if shipped > 0 {
		s.o.Log.Info("shipped audit records that another Plumbline had left", "path", path, "records", shipped, "closed", crashed)
	}
	if err == nil && s.o.Sign != nil {
		if err := s.o.Sign(limited, log); err != nil {
			return fmt.Errorf("signing checkpoints of it: %w", err)
		}
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() == nil && limited.Err() != nil && shipped > 0:
		return fmt.Errorf("it holds more than is shipped at a time: %w", err)
	}
	return fmt.Errorf("shipping it: %w", err)
}
