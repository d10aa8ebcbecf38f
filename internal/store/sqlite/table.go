package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/sqlite"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/store/layout"
)

// kind is one kind of object, as this dialect writes it.
type kind[T any] struct{ layout.Kind[T] }

var (
	teams         = kind[core.Team]{layout.Teams}
	users         = kind[core.User]{layout.Users}
	apps          = kind[core.App]{layout.Apps}
	tasks         = kind[core.Task]{layout.Tasks}
	limits        = kind[quota.Limit]{layout.Limits}
	keys          = kind[core.AppKey]{layout.Keys}
	revocations   = kind[core.Revocation]{layout.Revocations}
	tokens        = kind[core.IssuedToken]{layout.Tokens}
	signingKeys   = kind[core.SigningKey]{layout.SigningKeys}
	calibrations  = kind[core.Calibration]{layout.Calibrations}
	systemPrompts = kind[core.SystemPrompt]{layout.SystemPrompts}
)

// prune deletes what has expired and notes it. Putting calls it, so that a table which only grows stays bounded.
func (k kind[T]) prune(ctx context.Context, tx *sql.Tx) error {
	if k.Expires == "" {
		return nil
	}
	rows, err := tx.QueryContext(ctx, fmt.Sprintf("DELETE FROM %s WHERE %s < ? RETURNING id", k.Table, k.Expires),
		store.Micros(time.Now().Add(-store.KeepExpired)))
	gone, err := collect(rows, err, oneText)
	if err != nil {
		return fmt.Errorf("deleting every expired %s: %w", k.Name, err)
	}
	slices.Sort(gone)
	system := store.WithActor(ctx, store.System)
	for _, id := range gone {
		if err := note(system, tx, "expire", k.Name, id); err != nil {
			return err
		}
	}
	return nil
}

type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// selects is one statement, members included: what a statement reads is of one moment.
func (k kind[T]) selects() string {
	columns := slices.Clone(k.Columns)
	for _, m := range k.Members {
		columns = append(columns, fmt.Sprintf("(SELECT json_group_array(%[1]s ORDER BY %[1]s) FROM %[2]s WHERE %[3]s = %[4]s.id)",
			m.Column, m.Table, m.Owner, k.Table))
	}
	return "SELECT " + strings.Join(columns, ", ") + " FROM " + k.Table
}

// upsert is the statement that creates or replaces one object. It changes no row that is already as it shall be.
func (k kind[T]) upsert() string {
	var sets, old, given []string
	for _, c := range k.Columns[1:] {
		if c != "created" {
			sets = append(sets, c+" = excluded."+c)
			old, given = append(old, k.Table+"."+c), append(given, "excluded."+c)
		}
	}
	return fmt.Sprintf("INSERT INTO %s (%s) VALUES (?%s) ON CONFLICT (id) DO UPDATE SET %s WHERE (%s) IS NOT (%s)", k.Table,
		strings.Join(k.Columns, ", "), strings.Repeat(", ?", len(k.Columns)-1), strings.Join(sets, ", "),
		strings.Join(old, ", "), strings.Join(given, ", "))
}

// put stores a valid object and notes the change, if it is one.
func (k kind[T]) put(ctx context.Context, tx *sql.Tx, object T) error {
	id := k.ID(object)
	changed, err := exec(ctx, tx, k.upsert(), k.Values(object)...)
	for _, m := range k.Members {
		if err != nil {
			break
		}
		var n int64
		n, err = putMembers(ctx, tx, m, id, object)
		changed += n
	}
	switch {
	case sqlite.IsForeign(err):
		return k.dangling(ctx, tx, object)
	case sqlite.IsUnique(err):
		return k.Taken(id)
	case err != nil:
		return fmt.Errorf("storing %s %q: %w", k.Name, id, err)
	case changed == 0:
		return nil
	default:
		return note(ctx, tx, store.PutAction(object), k.Name, id)
	}
}

// putMembers makes the set what the object says and returns how many rows that changed.
func putMembers[T any](ctx context.Context, tx *sql.Tx, m layout.Members[T], owner string, object T) (changed int64, err error) {
	ids := m.IDs(object)
	gone, err := exec(ctx, tx, fmt.Sprintf("DELETE FROM %s WHERE %s = ? AND %s NOT IN (SELECT value FROM json_each(?))",
		m.Table, m.Owner, m.Column), owner, layout.Texts{List: &ids})
	if err != nil {
		return 0, err
	}
	come, err := exec(ctx, tx, fmt.Sprintf("INSERT INTO %s (%s, %s) SELECT ?, value FROM json_each(?) WHERE true ON CONFLICT DO NOTHING",
		m.Table, m.Owner, m.Column), owner, layout.Texts{List: &ids})
	return gone + come, err
}

// dangling says which of the objects that a new one refers to do not exist.
func (k kind[T]) dangling(ctx context.Context, q queryer, object T) error {
	var missing []string
	refers := k.Refers(object)
	for _, t := range layout.Targets {
		ids := refers[t.Table]
		rows, err := q.QueryContext(ctx, "SELECT DISTINCT value FROM json_each(?) WHERE value NOT IN (SELECT id FROM "+t.Table+") ORDER BY value LIMIT ?",
			layout.Texts{List: &ids}, layout.MostNamed+1)
		some, err := collect(rows, err, oneText)
		if err != nil {
			return err
		}
		for _, id := range some {
			missing = append(missing, layout.Called(t.Name, id))
		}
	}
	return k.Dangling(k.ID(object), missing)
}

// needed says which objects refer to one that was to be deleted.
func (k kind[T]) needed(ctx context.Context, q queryer, id string) error {
	var referring []string
	for _, r := range k.Referrer {
		rows, err := q.QueryContext(ctx, fmt.Sprintf("SELECT %[1]s FROM %[2]s WHERE %[3]s = ? ORDER BY %[1]s LIMIT ?", r.ID, r.Table, r.Column),
			id, layout.MostNamed+1)
		some, err := collect(rows, err, oneText)
		if err != nil {
			return err
		}
		for _, other := range some {
			referring = append(referring, layout.Called(r.Name, other))
		}
	}
	return k.Needed(id, referring)
}

// table implements store.Table for one kind.
type table[T any] struct {
	s *Store
	kind[T]
}

func (t table[T]) Get(ctx context.Context, id string) (T, error) {
	object, err := t.Scan(t.s.read.QueryRowContext(ctx, t.selects()+" WHERE id = ?", id))
	if errors.Is(err, sql.ErrNoRows) {
		return object, t.Missing(id)
	}
	return object, err
}

func (t table[T]) List(ctx context.Context, p store.Page) ([]T, error) {
	rows, err := t.s.read.QueryContext(ctx, t.selects()+" WHERE id > ? ORDER BY id LIMIT ?", p.After, p.Size())
	return collect(rows, err, t.Scan)
}

func (t table[T]) Put(ctx context.Context, object T) error {
	if err := t.Validate(object); err != nil {
		return err
	}
	return t.s.change(ctx, func(tx *sql.Tx) error {
		if err := t.prune(ctx, tx); err != nil {
			return err
		}
		return t.put(ctx, tx, object)
	})
}

func (t table[T]) Delete(ctx context.Context, id string) error {
	return t.s.change(ctx, func(tx *sql.Tx) error {
		switch n, err := exec(ctx, tx, "DELETE FROM "+t.Table+" WHERE id = ?", id); {
		case sqlite.IsForeign(err):
			return t.needed(ctx, tx, id)
		case err != nil:
			return fmt.Errorf("deleting %s %q: %w", t.Name, id, err)
		case n == 0:
			return t.Missing(id)
		default:
			return note(ctx, tx, "delete", t.Name, id)
		}
	})
}

// putAll puts every object and gathers those that conflict, so that a document is mended in one go.
func putAll[T any](ctx context.Context, tx *sql.Tx, k kind[T], objects []T) error {
	if len(objects) == 0 {
		return nil
	}
	if err := k.prune(ctx, tx); err != nil {
		return err
	}
	var conflicts []error
	for _, o := range objects {
		err := k.put(ctx, tx, o)
		switch {
		case err == nil:
		case !errors.Is(err, store.ErrConflict):
			return err
		case len(conflicts) < layout.MostConflicts:
			conflicts = append(conflicts, err)
		}
	}
	return errors.Join(conflicts...)
}

// putMissing puts the objects that do not exist. The transaction holds the write lock: none can come to exist meanwhile.
func putMissing[T any](ctx context.Context, tx *sql.Tx, k kind[T], objects []T) error {
	for _, o := range objects {
		var exists bool
		err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM "+k.Table+" WHERE id = ?)", k.ID(o)).Scan(&exists)
		if err == nil && !exists {
			err = k.put(ctx, tx, o)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// load reads all objects of a kind.
func load(ctx context.Context, q queryer, p layout.Part, into *store.Objects) error {
	rows, err := q.QueryContext(ctx, kind[any]{p.Kind}.selects()+" ORDER BY id")
	_, err = collect(rows, err, func(row layout.Scanner) (struct{}, error) { return struct{}{}, p.Read(row, into) })
	return err
}

// exec returns how many rows a statement changed.
func exec(ctx context.Context, tx *sql.Tx, statement string, args ...any) (int64, error) {
	result, err := tx.ExecContext(ctx, statement, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// collect reads all rows of a query.
func collect[T any](rows *sql.Rows, err error, scan func(layout.Scanner) (T, error)) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

func oneText(row layout.Scanner) (s string, err error) { return s, row.Scan(&s) }
