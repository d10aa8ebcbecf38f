package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/store/layout"
)

// SubjectKeys implements store.Store.
func (s *Store) SubjectKeys() store.SubjectKeys { return subjectKeys{s} }

// subjectKeys implements store.SubjectKeys. What wraps an erased key stays in the dead version of its row until the table
// is vacuumed, and in the server's WAL and backups as long as those are kept.
type subjectKeys struct{ s *Store }

const (
	selectSubjectKey = "SELECT " + layout.SubjectKeyColumns + " FROM plumbline.subject_keys "
	wipe             = "UPDATE plumbline.subject_keys SET master = '', wrapped = '', erased = $1 WHERE erased = 0 AND "
)

// Ensure implements store.SubjectKeys.
func (w subjectKeys) Ensure(ctx context.Context, candidate core.SubjectKey) (core.SubjectKey, error) {
	if err := store.ValidateSubjectKey(candidate); err != nil {
		return core.SubjectKey{}, err
	}
	const insert = "INSERT INTO plumbline.subject_keys (" + layout.SubjectKeyColumns + ") VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (subject) WHERE erased = 0 DO NOTHING"
	// A key that another process kept first can be erased before it is read: then the candidate is tried again.
	for range 3 {
		found, err := w.live(ctx, candidate.Subject)
		if err == nil && len(found) == 0 {
			if _, err = w.s.exec(ctx, insert, layout.SubjectKeyValues(candidate)...); err == nil {
				found, err = w.live(ctx, candidate.Subject)
			}
		}
		if err != nil {
			return core.SubjectKey{}, fmt.Errorf("keeping the key of a subject: %w", err)
		}
		if len(found) > 0 {
			return found[0], nil
		}
	}
	return core.SubjectKey{}, errors.New("keeping the key of a subject: it is erased again and again")
}

func (w subjectKeys) live(ctx context.Context, subject string) ([]core.SubjectKey, error) {
	return query(ctx, w.s, layout.ScanSubjectKey, selectSubjectKey+"WHERE subject = $1 AND erased = 0", subject)
}

// Get implements store.SubjectKeys.
func (w subjectKeys) Get(ctx context.Context, id string) (core.SubjectKey, error) {
	missing := &store.ObjectError{Kind: store.SubjectKeyKind, ID: id, Err: store.ErrNotFound}
	if !store.Storable(id) {
		return core.SubjectKey{}, missing
	}
	found, err := query(ctx, w.s, layout.ScanSubjectKey, selectSubjectKey+"WHERE id = $1", id)
	switch {
	case err != nil:
		return core.SubjectKey{}, err
	case len(found) == 0:
		return core.SubjectKey{}, missing
	}
	return found[0], nil
}

// List implements store.SubjectKeys.
func (w subjectKeys) List(ctx context.Context, p store.Page) ([]core.SubjectKey, error) {
	if !store.Storable(p.After) {
		return nil, &store.ObjectError{Kind: store.SubjectKeyKind, ID: p.After, Detail: "it is no id to go on after", Err: store.ErrInvalid}
	}
	return query(ctx, w.s, layout.ScanSubjectKey, selectSubjectKey+"WHERE id > $1 ORDER BY id LIMIT $2", p.After, p.Size())
}

// Erase implements store.SubjectKeys.
func (w subjectKeys) Erase(ctx context.Context, subject string) error {
	if !store.Storable(subject) {
		return store.NoSubjectKey(subject)
	}
	return w.s.change(ctx, func(ctx context.Context, c *change) error {
		tag, err := c.tx.Exec(ctx, wipe+"subject = $2", store.Micros(time.Now()), subject)
		switch {
		case err != nil:
			return fmt.Errorf("erasing the key of %s: %w", subject, err)
		case tag.RowsAffected() == 0:
			return store.NoSubjectKey(subject)
		}
		c.note(store.Actor(ctx), store.EraseAction, store.SubjectKeyKind, subject)
		return nil
	})
}

// EraseSamples implements store.SubjectKeys. Replicas may do it at once: one finds what the others do not.
func (w subjectKeys) EraseSamples(ctx context.Context, before time.Time) (n int64, err error) {
	const due = "subject >= 'sample/' AND subject < $1 AND erased = 0"
	waiting, err := query(ctx, w.s, oneText, "SELECT subject FROM plumbline.subject_keys WHERE "+due+" LIMIT 1", store.SampleSubject(before))
	if err != nil || len(waiting) == 0 {
		return 0, err // the feed is held for nothing otherwise
	}
	err = w.s.change(ctx, func(ctx context.Context, c *change) error {
		rows, err := c.tx.Query(ctx, wipe+"subject >= 'sample/' AND subject < $2 RETURNING subject", store.Micros(time.Now()), store.SampleSubject(before))
		gone, err := collect(rows, err, oneText)
		if err != nil {
			return err
		}
		n = int64(len(gone))
		for _, subject := range gone {
			c.note(store.System, store.EraseAction, store.SubjectKeyKind, subject)
		}
		return nil
	})
	return n, err
}

// Rewrap implements store.SubjectKeys.
func (w subjectKeys) Rewrap(ctx context.Context, was, now core.SubjectKey) (bool, error) {
	n, err := w.s.exec(ctx, "UPDATE plumbline.subject_keys SET master = $1, wrapped = $2 WHERE id = $3 AND master = $4 AND wrapped = $5",
		now.Master, now.Wrapped, was.ID, was.Master, was.Wrapped)
	return n > 0, err
}

// NoteLook implements store.SubjectKeys.
func (w subjectKeys) NoteLook(ctx context.Context, exchanges ...string) error {
	return w.s.change(ctx, func(ctx context.Context, c *change) error {
		for _, exchange := range exchanges {
			c.note(store.Actor(ctx), store.RevealAction, "exchange", storableText(exchange))
		}
		return nil
	})
}
