package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/store/layout"
)

// Lessons implements store.Store.
func (s *Store) Lessons() store.Lessons { return lessons{s} }

// NoteModel implements store.Store.
func (s *Store) NoteModel(ctx context.Context, action, version string) error {
	return s.change(ctx, func(tx *sql.Tx) error { return note(ctx, tx, action, store.ModelKind, version) })
}

// lessons implements store.Lessons.
type lessons struct{ s *Store }

// SetAside implements store.Lessons.
func (w lessons) SetAside(ctx context.Context, all ...core.Lesson) error {
	for _, l := range all {
		if err := store.ValidateLesson(l); err != nil {
			return err
		}
	}
	if len(all) == 0 {
		return nil
	}
	const insert = "INSERT INTO lessons (" + layout.LessonColumns + `) SELECT ?1, ?2, ?3
		WHERE NOT EXISTS (SELECT 1 FROM samples WHERE exchange = ?1) AND NOT EXISTS (SELECT 1 FROM labels WHERE exchange = ?1)
		ON CONFLICT DO NOTHING`
	return w.s.change(ctx, func(tx *sql.Tx) error {
		for _, l := range all {
			if _, err := tx.ExecContext(ctx, insert, layout.LessonValues(l)...); err != nil {
				return fmt.Errorf("setting a lesson aside: %w", err)
			}
		}
		return nil
	})
}

// List implements store.Lessons.
func (w lessons) List(ctx context.Context, after int64, limit int) ([]core.Lesson, error) {
	const statement = "SELECT " + layout.LessonColumns + ` FROM lessons
		WHERE place > ? AND NOT EXISTS (SELECT 1 FROM labels WHERE labels.exchange = lessons.exchange) ORDER BY place LIMIT ?`
	rows, err := w.s.read.QueryContext(ctx, statement, after, store.Page{Limit: limit}.Size())
	return collect(rows, err, layout.ScanLesson)
}

// Count implements store.Lessons.
func (w lessons) Count(ctx context.Context) (n int64, err error) {
	err = w.s.read.QueryRowContext(ctx, "SELECT count(*) FROM lessons").Scan(&n)
	return n, err
}

// Expire implements store.Lessons.
func (w lessons) Expire(ctx context.Context, before time.Time) (n int64, err error) {
	err = w.s.change(ctx, func(tx *sql.Tx) error {
		n, err = exec(ctx, tx, "DELETE FROM lessons WHERE drawn < ?", store.Micros(before))
		return err
	})
	return n, err
}
