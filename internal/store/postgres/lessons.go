package postgres

import (
	"context"
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
	return s.change(ctx, func(ctx context.Context, c *change) error {
		c.note(store.Actor(ctx), action, store.ModelKind, storableText(version))
		return nil
	})
}

// lessons implements store.Lessons. They do not hold the feed: they are no control data.
type lessons struct{ s *Store }

// SetAside implements store.Lessons. It is one statement: all of them come, or none.
func (w lessons) SetAside(ctx context.Context, all ...core.Lesson) error {
	var exchanges []string
	var drawn, places []int64
	for _, l := range all {
		if err := store.ValidateLesson(l); err != nil {
			return err
		}
		exchanges, drawn, places = append(exchanges, l.Exchange), append(drawn, store.Micros(l.Drawn)), append(places, l.Place)
	}
	if len(all) == 0 {
		return nil
	}
	_, err := w.s.exec(ctx, "INSERT INTO plumbline.lessons ("+layout.LessonColumns+`)
		SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS given (exchange)
		WHERE NOT EXISTS (SELECT FROM plumbline.samples AS s WHERE s.exchange = given.exchange)
		AND NOT EXISTS (SELECT FROM plumbline.labels AS l WHERE l.exchange = given.exchange) ON CONFLICT DO NOTHING`,
		exchanges, drawn, places)
	if err != nil {
		return fmt.Errorf("setting lessons aside: %w", err)
	}
	return nil
}

// List implements store.Lessons.
func (w lessons) List(ctx context.Context, after int64, limit int) ([]core.Lesson, error) {
	return query(ctx, w.s, layout.ScanLesson, "SELECT "+layout.LessonColumns+` FROM plumbline.lessons AS s
		WHERE place > $1 AND NOT EXISTS (SELECT FROM plumbline.labels AS l WHERE l.exchange = s.exchange) ORDER BY place LIMIT $2`,
		after, store.Page{Limit: limit}.Size())
}

// Count implements store.Lessons.
func (w lessons) Count(ctx context.Context) (int64, error) {
	number := func(row layout.Scanner) (n int64, err error) {
		err = row.Scan(&n)
		return n, err
	}
	n, err := query(ctx, w.s, number, "SELECT count(*) FROM plumbline.lessons")
	if err != nil {
		return 0, err
	}
	return n[0], nil
}

// Expire implements store.Lessons.
func (w lessons) Expire(ctx context.Context, before time.Time) (int64, error) {
	return w.s.exec(ctx, "DELETE FROM plumbline.lessons WHERE drawn < $1", store.Micros(before))
}
