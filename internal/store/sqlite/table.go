package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/plumbline/plumbline/internal/sqlite"
	"github.com/plumbline/plumbline/internal/store"
)

// kind describes how one kind of object is kept.
type kind[T any] struct {
	name     string
	table    string
	columns  []string // the first is id; created, where there is one, stays on replacing
	id       func(T) string
	validate func(T) error
	values   func(T) []any // one per column
	scan     func(scanner) (T, error)
	// link stores what lies in other tables, and linked reads it back. Both are nil for most kinds.
	link   func(ctx context.Context, tx *sql.Tx, object T) error
	linked func(ctx context.Context, q queryer, object *T) error
}

type scanner interface{ Scan(into ...any) error }

type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func (k kind[T]) selects() string {
	return "SELECT " + strings.Join(k.columns, ", ") + " FROM " + k.table
}

// upsert is the statement that creates or replaces one object.
func (k kind[T]) upsert() string {
	var sets []string
	for _, c := range k.columns[1:] {
		if c != "created" {
			sets = append(sets, c+" = excluded."+c)
		}
	}
	return fmt.Sprintf("INSERT INTO %s (%s) VALUES (?%s) ON CONFLICT (id) DO UPDATE SET %s", k.table,
		strings.Join(k.columns, ", "), strings.Repeat(", ?", len(k.columns)-1), strings.Join(sets, ", "))
}

func (k kind[T]) put(ctx context.Context, tx *sql.Tx, object T) error {
	if err := k.validate(object); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, k.upsert(), k.values(object)...)
	if err == nil && k.link != nil {
		err = k.link(ctx, tx, object)
	}
	switch id := k.id(object); {
	case sqlite.IsForeign(err):
		return &store.ObjectError{Kind: k.name, ID: id, Detail: "it refers to a team, user or app that does not exist; create that first", Err: store.ErrConflict}
	case sqlite.IsUnique(err):
		return &store.ObjectError{Kind: k.name, ID: id, Detail: "another one has the same hash", Err: store.ErrConflict}
	case err != nil:
		return fmt.Errorf("storing %s %q: %w", k.name, id, err)
	default:
		return note(ctx, tx, "put", k.name, id)
	}
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
	if err == nil && t.linked != nil {
		err = t.linked(ctx, t.s.read, &object)
	}
	return object, err
}

func (t table[T]) missing(id string) error {
	return &store.ObjectError{Kind: t.name, ID: id, Err: store.ErrNotFound}
}

func (t table[T]) List(ctx context.Context, p store.Page) ([]T, error) {
	rows, err := t.s.read.QueryContext(ctx, t.selects()+" WHERE id > ? ORDER BY id LIMIT ?", p.After, p.Size())
	objects, err := collect(rows, err, t.scan)
	if err != nil {
		return nil, err
	}
	return objects, linkAll(ctx, t.s.read, t.kind, objects)
}

func (t table[T]) Put(ctx context.Context, object T) error {
	return t.s.change(ctx, func(tx *sql.Tx) error { return t.put(ctx, tx, object) })
}

func (t table[T]) Delete(ctx context.Context, id string) error {
	return t.s.change(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, "DELETE FROM "+t.table+" WHERE id = ?", id)
		if sqlite.IsForeign(err) {
			return &store.ObjectError{Kind: t.name, ID: id, Detail: "others refer to it; delete or change those first", Err: store.ErrConflict}
		}
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, t.missing(id))
		}
		return note(ctx, tx, "delete", t.name, id)
	})
}

func putAll[T any](ctx context.Context, tx *sql.Tx, k kind[T], objects []T) error {
	for _, o := range objects {
		if err := k.put(ctx, tx, o); err != nil {
			return err
		}
	}
	return nil
}

func loadAll[T any](ctx context.Context, q queryer, k kind[T], into *[]T) error {
	rows, err := q.QueryContext(ctx, k.selects()+" ORDER BY id")
	*into, err = collect(rows, err, k.scan)
	if err != nil {
		return err
	}
	return linkAll(ctx, q, k, *into)
}

// linkAll reads what lies in other tables, once the rows of the first are read.
func linkAll[T any](ctx context.Context, q queryer, k kind[T], objects []T) error {
	if k.linked == nil {
		return nil
	}
	for i := range objects {
		if err := k.linked(ctx, q, &objects[i]); err != nil {
			return err
		}
	}
	return nil
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
