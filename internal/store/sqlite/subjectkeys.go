package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/sqlite"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/store/layout"
)

// SubjectKeys implements store.Store.
func (s *Store) SubjectKeys() store.SubjectKeys { return subjectKeys{s} }

// subjectKeys implements store.SubjectKeys.
type subjectKeys struct{ s *Store }

const (
	selectSubjectKey = "SELECT " + layout.SubjectKeyColumns + " FROM subject_keys "
	// wipe leaves nothing of a key in its row. With secure_delete, which the connection has, SQLite writes zeros over the
	// place that the row had in its page.
	wipe = "UPDATE subject_keys SET master = '', wrapped = x'', erased = ? WHERE erased = 0 AND "
)

// Ensure implements store.SubjectKeys.
func (w subjectKeys) Ensure(ctx context.Context, candidate core.SubjectKey) (key core.SubjectKey, err error) {
	if err := store.ValidateSubjectKey(candidate); err != nil {
		return key, err
	}
	err = w.s.change(ctx, func(tx *sql.Tx) error {
		const insert = "INSERT INTO subject_keys (" + layout.SubjectKeyColumns + ") VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (subject) WHERE erased = 0 DO NOTHING"
		if _, err := tx.ExecContext(ctx, insert, layout.SubjectKeyValues(candidate)...); err != nil {
			return err
		}
		key, err = layout.ScanSubjectKey(tx.QueryRowContext(ctx, selectSubjectKey+"WHERE subject = ? AND erased = 0", candidate.Subject))
		return err
	})
	if err != nil {
		return core.SubjectKey{}, fmt.Errorf("keeping the key of a subject: %w", err)
	}
	return key, nil
}

// Get implements store.SubjectKeys.
func (w subjectKeys) Get(ctx context.Context, id string) (core.SubjectKey, error) {
	key, err := layout.ScanSubjectKey(w.s.read.QueryRowContext(ctx, selectSubjectKey+"WHERE id = ?", id))
	if errors.Is(err, sql.ErrNoRows) {
		return core.SubjectKey{}, &store.ObjectError{Kind: store.SubjectKeyKind, ID: id, Err: store.ErrNotFound}
	}
	return key, err
}

// List implements store.SubjectKeys.
func (w subjectKeys) List(ctx context.Context, p store.Page) ([]core.SubjectKey, error) {
	rows, err := w.s.read.QueryContext(ctx, selectSubjectKey+"WHERE id > ? ORDER BY id LIMIT ?", p.After, p.Size())
	return collect(rows, err, layout.ScanSubjectKey)
}

// Erase implements store.SubjectKeys.
func (w subjectKeys) Erase(ctx context.Context, subject string) error {
	err := w.s.change(ctx, func(tx *sql.Tx) error {
		n, err := exec(ctx, tx, wipe+"subject = ?", store.Micros(time.Now()), subject)
		switch {
		case err != nil:
			return err
		case n == 0:
			return store.NoSubjectKey(subject)
		}
		return note(ctx, tx, store.EraseAction, store.SubjectKeyKind, subject)
	})
	if err != nil {
		return err
	}
	return w.s.emptyWAL(ctx)
}

// EraseSamples implements store.SubjectKeys.
func (w subjectKeys) EraseSamples(ctx context.Context, before time.Time) (int64, error) {
	var gone []string
	err := w.s.change(store.WithActor(ctx, store.System), func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, "SELECT subject FROM subject_keys WHERE erased = 0 AND subject >= 'sample/' AND subject < ? ORDER BY subject",
			store.SampleSubject(before))
		if gone, err = collect(rows, err, oneText); err != nil {
			return err
		}
		for _, subject := range gone {
			if _, err := tx.ExecContext(ctx, wipe+"subject = ?", store.Micros(time.Now()), subject); err != nil {
				return err
			}
			if err := note(store.WithActor(ctx, store.System), tx, store.EraseAction, store.SubjectKeyKind, subject); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || len(gone) == 0 {
		return 0, err
	}
	return int64(len(gone)), w.s.emptyWAL(ctx)
}

// Rewrap implements store.SubjectKeys.
func (w subjectKeys) Rewrap(ctx context.Context, was, now core.SubjectKey) (done bool, err error) {
	err = w.s.change(ctx, func(tx *sql.Tx) error {
		n, err := exec(ctx, tx, "UPDATE subject_keys SET master = ?, wrapped = ? WHERE id = ? AND master = ? AND wrapped = ?",
			now.Master, now.Wrapped, was.ID, was.Master, was.Wrapped)
		done = n > 0
		return err
	})
	return done, err
}

// NoteLook implements store.SubjectKeys.
func (w subjectKeys) NoteLook(ctx context.Context, exchanges ...string) error {
	return w.s.change(ctx, func(tx *sql.Tx) error {
		for _, exchange := range exchanges {
			if err := note(ctx, tx, store.RevealAction, "exchange", exchange); err != nil {
				return err
			}
		}
		return nil
	})
}

// emptyWAL takes what was overwritten out of the WAL as well, where earlier versions of a page lie. Somebody who reads at
// this moment keeps it; whoever opens the file as the only one empties it then.
func (s *Store) emptyWAL(ctx context.Context) error {
	if err := sqlite.Truncate(ctx, s.write); err != nil {
		return fmt.Errorf("the key is erased, but the file's journal may hold it until Plumbline stops: %w", err)
	}
	return nil
}
