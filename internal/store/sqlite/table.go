package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/plumbline/plumbline/internal/sqlite"
	"github.com/plumbline/plumbline/internal/store"
)

// kind describes how one kind of object is kept.
type kind[T any] struct {
	name     string
	table    string
	columns  []string // the first is id; created stays on replacing
	expires  string   // the column that says when an object may go; empty for kinds that stay
	members  []members[T]
	id       func(T) string
	validate func(T) error
	values   func(T) []any               // one per column
	scan     func(scanner) (T, error)    // the columns, then the members
	refers   func(T) map[string][]string // ids that must exist, by table; nil for none
	referrer []referrer
}

// prune deletes what has expired and notes it. Putting calls it, so that a table which only grows stays bounded.
func (k kind[T]) prune(ctx context.Context, tx *sql.Tx) error {
	if k.expires == "" {
		return nil
	}
	rows, err := tx.QueryContext(ctx, fmt.Sprintf("DELETE FROM %s WHERE %s < ? RETURNING id", k.table, k.expires),
		store.Micros(time.Now().Add(-store.KeepExpired)))
	gone, err := collect(rows, err, oneText)
	if err != nil {
		return fmt.Errorf("deleting every expired %s: %w", k.name, err)
	}
	slices.Sort(gone)
	system := store.WithActor(ctx, store.System)
	for _, id := range gone {
		if err := note(system, tx, "expire", k.name, id); err != nil {
			return err
		}
	}
	return nil
}

// members is a set of ids that an object holds, kept in a table of its own.
type members[T any] struct {
	table, owner, column string
	ids                  func(T) []string
}

// referrer is a column of another kind that may refer to this one.
type referrer struct{ name, table, id, column string }

type scanner interface{ Scan(into ...any) error }

type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// selects is one statement, members included: what a statement reads is of one moment.
func (k kind[T]) selects() string {
	columns := slices.Clone(k.columns)
	for _, m := range k.members {
		columns = append(columns, fmt.Sprintf("(SELECT json_group_array(%[1]s ORDER BY %[1]s) FROM %[2]s WHERE %[3]s = %[4]s.id)",
			m.column, m.table, m.owner, k.table))
	}
	return "SELECT " + strings.Join(columns, ", ") + " FROM " + k.table
}

// upsert is the statement that creates or replaces one object. It changes no row that is already as it shall be.
func (k kind[T]) upsert() string {
	var sets, old, given []string
	for _, c := range k.columns[1:] {
		if c != "created" {
			sets = append(sets, c+" = excluded."+c)
			old, given = append(old, k.table+"."+c), append(given, "excluded."+c)
		}
	}
	return fmt.Sprintf("INSERT INTO %s (%s) VALUES (?%s) ON CONFLICT (id) DO UPDATE SET %s WHERE (%s) IS NOT (%s)", k.table,
		strings.Join(k.columns, ", "), strings.Repeat(", ?", len(k.columns)-1), strings.Join(sets, ", "),
		strings.Join(old, ", "), strings.Join(given, ", "))
}

// put stores a valid object and notes the change, if it is one.
func (k kind[T]) put(ctx context.Context, tx *sql.Tx, object T) error {
	id := k.id(object)
	changed, err := exec(ctx, tx, k.upsert(), k.values(object)...)
	for _, m := range k.members {
		if err != nil {
			break
		}
		var n int64
		n, err = m.put(ctx, tx, id, object)
		changed += n
	}
	switch {
	case sqlite.IsForeign(err):
		return k.dangling(ctx, tx, object)
	case sqlite.IsUnique(err):
		return k.conflict(id, "another one has the same hash")
	case err != nil:
		return fmt.Errorf("storing %s %q: %w", k.name, id, err)
	case changed == 0:
		return nil
	default:
		return note(ctx, tx, store.PutAction(object), k.name, id)
	}
}

// put makes the set what the object says and returns how many rows that changed.
func (m members[T]) put(ctx context.Context, tx *sql.Tx, owner string, object T) (changed int64, err error) {
	ids := m.ids(object)
	gone, err := exec(ctx, tx, fmt.Sprintf("DELETE FROM %s WHERE %s = ? AND %s NOT IN (SELECT value FROM json_each(?))",
		m.table, m.owner, m.column), owner, texts{&ids})
	if err != nil {
		return 0, err
	}
	come, err := exec(ctx, tx, fmt.Sprintf("INSERT INTO %s (%s, %s) SELECT ?, value FROM json_each(?) WHERE true ON CONFLICT DO NOTHING",
		m.table, m.owner, m.column), owner, texts{&ids})
	return gone + come, err
}

// mostNamed is how many other objects an error names.
const mostNamed = 5

// dangling says which of the objects that a new one refers to do not exist.
func (k kind[T]) dangling(ctx context.Context, q queryer, object T) error {
	var missing []string
	refers := k.refers(object)
	for _, t := range []struct{ table, name string }{{"teams", "team"}, {"users", "user"}, {"apps", "app"}} {
		ids := refers[t.table]
		rows, err := q.QueryContext(ctx, "SELECT DISTINCT value FROM json_each(?) WHERE value NOT IN (SELECT id FROM "+t.table+") ORDER BY value LIMIT ?",
			texts{&ids}, mostNamed+1)
		some, err := collect(rows, err, oneText)
		if err != nil {
			return err
		}
		for _, id := range some {
			missing = append(missing, fmt.Sprintf("%s %q", t.name, id))
		}
	}
	return k.conflict(k.id(object), "it refers to what does not exist: "+named(missing)+"; create that first")
}

// needed says which objects refer to one that was to be deleted.
func (k kind[T]) needed(ctx context.Context, q queryer, id string) error {
	var referring []string
	for _, r := range k.referrer {
		rows, err := q.QueryContext(ctx, fmt.Sprintf("SELECT %[1]s FROM %[2]s WHERE %[3]s = ? ORDER BY %[1]s LIMIT ?", r.id, r.table, r.column),
			id, mostNamed+1)
		some, err := collect(rows, err, oneText)
		if err != nil {
			return err
		}
		for _, other := range some {
			referring = append(referring, fmt.Sprintf("%s %q", r.name, other))
		}
	}
	return k.conflict(id, "others refer to it: "+named(referring)+"; change or delete those first")
}

func named(objects []string) string {
	if len(objects) > mostNamed {
		objects = append(objects[:mostNamed:mostNamed], "and more")
	}
	return strings.Join(objects, ", ")
}

func (k kind[T]) conflict(id, detail string) error {
	return &store.ObjectError{Kind: k.name, ID: id, Detail: detail, Err: store.ErrConflict}
}

func (k kind[T]) missing(id string) error {
	return &store.ObjectError{Kind: k.name, ID: id, Err: store.ErrNotFound}
}

// table implements store.Table for one kind.
type table[T any] struct {
	s *Store
	kind[T]
}

func (t table[T]) Get(ctx context.Context, id string) (T, error) {
	object, err := t.scan(t.s.read.QueryRowContext(ctx, t.selects()+" WHERE id = ?", id))
	if errors.Is(err, sql.ErrNoRows) {
		return object, t.missing(id)
	}
	return object, err
}

func (t table[T]) List(ctx context.Context, p store.Page) ([]T, error) {
	rows, err := t.s.read.QueryContext(ctx, t.selects()+" WHERE id > ? ORDER BY id LIMIT ?", p.After, p.Size())
	return collect(rows, err, t.scan)
}

func (t table[T]) Put(ctx context.Context, object T) error {
	if err := t.validate(object); err != nil {
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
		switch n, err := exec(ctx, tx, "DELETE FROM "+t.table+" WHERE id = ?", id); {
		case sqlite.IsForeign(err):
			return t.needed(ctx, tx, id)
		case err != nil:
			return fmt.Errorf("deleting %s %q: %w", t.name, id, err)
		case n == 0:
			return t.missing(id)
		default:
			return note(ctx, tx, "delete", t.name, id)
		}
	})
}

// mostConflicts bounds what putAll gathers.
const mostConflicts = 20

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
		case len(conflicts) < mostConflicts:
			conflicts = append(conflicts, err)
		}
	}
	return errors.Join(conflicts...)
}

// putMissing puts the objects that do not exist. The transaction holds the write lock: none can come to exist meanwhile.
func putMissing[T any](ctx context.Context, tx *sql.Tx, k kind[T], objects []T) error {
	for _, o := range objects {
		var exists bool
		err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM "+k.table+" WHERE id = ?)", k.id(o)).Scan(&exists)
		if err == nil && !exists {
			err = k.put(ctx, tx, o)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func loadAll[T any](ctx context.Context, q queryer, k kind[T], into *[]T) error {
	rows, err := q.QueryContext(ctx, k.selects()+" ORDER BY id")
	*into, err = collect(rows, err, k.scan)
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
func collect[T any](rows *sql.Rows, err error, scan func(scanner) (T, error)) ([]T, error) {
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

func oneText(row scanner) (s string, err error) { return s, row.Scan(&s) }
