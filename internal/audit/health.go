package audit

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/plumbline/plumbline/internal/sqlite"
)

// watchEvery is how often the file is looked at, and how soon writing is tried again after a failure.
const watchEvery = 250 * time.Millisecond

// trouble is why records cannot be written.
type trouble struct {
	cause error
	// outcomes of admitted calls are tried nevertheless.
	outcomes bool
	// final trouble ends with the process only.
	final bool
}

func (t *trouble) Error() string   { return ErrUnavailable.Error() + ": " + t.cause.Error() }
func (t *trouble) Unwrap() []error { return []error{ErrUnavailable, t.cause} }

// Healthy returns nil while records can be written, and otherwise why not. A file that is removed, replaced or made
// read-only is noticed within a second; a full disk by the record that finds it so, or when records are moved into the
// tables. Both heal by themselves.
func (l *Log) Healthy() error {
	if t := l.trouble.Load(); t != nil {
		return t
	}
	if t := l.replica.trouble(); t != nil {
		return t
	}
	return nil
}

// fail notes that writing failed and returns the trouble that callers are told of.
func (l *Log) fail(err error) *trouble {
	if t, ok := errors.AsType[*trouble](err); ok {
		return t
	}
	t := &trouble{cause: err, outcomes: true}
	switch {
	case sqlite.IsSync(err) || errors.Is(err, errSync):
		// After a failed sync the system may have dropped pages of earlier records, and a later sync succeeds all the
		// same: nothing that is written to this file from now on can be promised.
		t.cause = fmt.Errorf("the disk did not take what was written; check it: the next start goes on: %w", err)
		t.outcomes, t.final = false, true
	case sqlite.IsFull(err) || isFull(err):
		t.cause = fmt.Errorf("the disk is full or takes no more writes; %d bytes must be free: %w", l.room.needed(), err)
		if released := l.room.release(); released != nil {
			t.cause = errors.Join(t.cause, released)
		}
	}
	known := l.setTrouble(t)
	if t.final {
		l.giveUp()
	}
	return known
}

// setTrouble makes t known, unless final trouble is, and returns what is known then.
func (l *Log) setTrouble(t *trouble) *trouble {
	for {
		known := l.trouble.Load()
		if known != nil && known.final {
			return known
		}
		if l.trouble.CompareAndSwap(known, t) {
			if known == nil {
				l.o.Logger.Error("audit records cannot be written; calls are refused", "error", t.cause)
			}
			return t
		}
	}
}

// watch looks after the file, and tries to write again after trouble.
func (l *Log) watch() {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-tick.C:
			l.check()
		}
	}
}

func (l *Log) check() {
	if t := l.file.trouble(); t != nil {
		_ = l.setTrouble(t)
		return
	}
	known := l.trouble.Load()
	if known == nil || known.final {
		return
	}
	if l.overfull() {
		return
	}
	if err := l.room.fill(); err != nil {
		return
	}
	if err := l.do(context.Background(), l.probe); err != nil {
		return
	}
	if l.trouble.CompareAndSwap(known, nil) {
		l.o.Logger.Info("audit records can be written again")
	}
}

// isFull reports whether a write of the journal failed for want of room.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// probe makes a commit. The mover runs it.
func (l *Log) probe() error {
	_, err := l.conn.ExecContext(context.Background(), "UPDATE state SET value = value + 1 WHERE name = 'probe'")
	return err
}
