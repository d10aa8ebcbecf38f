package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
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

// named is a table in the schema. Names of the layout are lower case words; some of them are words of SQL too.
func named(table string) string { return `plumbline."` + table + `"` }

func quoted(column string) string { return `"` + column + `"` }

// selects is one statement, members included: what a statement reads is of one moment.
func (k kind[T]) selects() string {
	var columns []string
	for _, c := range k.Columns {
		columns = append(columns, quoted(c))
	}
	for _, m := range k.Members {
		columns = append(columns, fmt.Sprintf("(SELECT coalesce(json_agg(%[1]s ORDER BY %[1]s), '[]')::text FROM %[2]s WHERE %[3]s = held.id)",
			quoted(m.Column), named(m.Table), quoted(m.Owner)))
	}
	return "SELECT " + strings.Join(columns, ", ") + " FROM " + named(k.Table) + " AS held"
}

// upsert is the statement that creates or replaces one object. It changes no row that is already as it shall be.
func (k kind[T]) upsert() string {
	var columns, places, sets, old, given []string
	for i, c := range k.Columns {
		q := quoted(c)
		columns, places = append(columns, q), append(places, fmt.Sprintf("$%d", i+1))
		if c != "id" && c != "created" {
			sets = append(sets, q+" = excluded."+q)
			old, given = append(old, "held."+q), append(given, "excluded."+q)
		}
	}
	return fmt.Sprintf("INSERT INTO %s AS held (%s) VALUES (%s) ON CONFLICT (id) DO UPDATE SET %s WHERE (%s) IS DISTINCT FROM (%s)",
		named(k.Table), strings.Join(columns, ", "), strings.Join(places, ", "), strings.Join(sets, ", "),
		strings.Join(old, ", "), strings.Join(given, ", "))
}

// prune deletes what has expired and notes it. Putting calls it, so that a table which only grows stays bounded.
func (k kind[T]) prune(ctx context.Context, c *change) error {
	if k.Expires == "" {
		return nil
	}
	rows, err := c.tx.Query(ctx, fmt.Sprintf("DELETE FROM %s WHERE %s < $1 RETURNING id", named(k.Table), quoted(k.Expires)),
		store.Micros(time.Now().Add(-store.KeepExpired)))
	gone, err := collect(rows, err, oneText)
	if err != nil {
		return fmt.Errorf("deleting every expired %s: %w", k.Name, err)
	}
	slices.Sort(gone)
	for _, id := range gone {
		c.note(store.System, "expire", k.Name, id)
	}
	return nil
}

// putPiece is how many objects go to the server in one round trip.
const putPiece = 500

// put stores objects that are valid and break no reference, and notes those that this changes.
func (k kind[T]) put(ctx context.Context, c *change, objects []T) error {
	actor := store.Actor(ctx)
	for piece := range slices.Chunk(objects, putPiece) {
		batch := &pgx.Batch{}
		for _, o := range piece {
			batch.Queue(k.upsert(), k.Values(o)...)
			for _, m := range k.Members {
				queueMembers(batch, m, k.ID(o), o)
			}
		}
		results := c.tx.SendBatch(ctx, batch)
		for _, o := range piece {
			changed, err := k.changed(results)
			if err != nil {
				return errors.Join(fmt.Errorf("storing %s %q: %w", k.Name, k.ID(o), err), results.Close())
			}
			if changed {
				c.note(actor, store.PutAction(o), k.Name, k.ID(o))
			}
		}
		if err := results.Close(); err != nil {
			return fmt.Errorf("storing objects of the kind %s: %w", k.Name, err)
		}
	}
	return nil
}

// queueMembers has the set become what the object says, in two statements.
func queueMembers[T any](batch *pgx.Batch, m layout.Members[T], owner string, object T) {
	ids := append([]string{}, m.IDs(object)...) // an empty list, not NULL
	batch.Queue(fmt.Sprintf("DELETE FROM %s WHERE %s = $1 AND NOT %s = ANY ($2::text[])", named(m.Table), quoted(m.Owner), quoted(m.Column)),
		owner, ids)
	batch.Queue(fmt.Sprintf("INSERT INTO %s (%s, %s) SELECT $1, member FROM unnest($2::text[]) AS member ON CONFLICT DO NOTHING",
		named(m.Table), quoted(m.Owner), quoted(m.Column)), owner, ids)
}

// changed reads the results of one object's statements.
func (k kind[T]) changed(results pgx.BatchResults) (changed bool, err error) {
	for range 1 + 2*len(k.Members) {
		tag, err := results.Exec()
		if err != nil {
			return false, err
		}
		changed = changed || tag.RowsAffected() > 0
	}
	return changed, nil
}

// putAll puts every object, or gathers those that conflict, so that a document is mended in one go.
func putAll[T any](ctx context.Context, c *change, k kind[T], objects []T) error {
	if len(objects) == 0 {
		return nil
	}
	if err := k.prune(ctx, c); err != nil {
		return err
	}
	// Unlike in SQLite a statement that fails ends its transaction: what could fail is looked up before. Nobody changes it
	// meanwhile, as the feed is held.
	conflicts, err := k.conflicts(ctx, c, objects)
	if err != nil {
		return err
	}
	if len(conflicts) > 0 {
		return errors.Join(conflicts[:min(len(conflicts), layout.MostConflicts)]...)
	}
	return k.put(ctx, c, objects)
}

// putMissing puts the objects that do not exist. The feed is held: none can come to exist meanwhile.
func putMissing[T any](ctx context.Context, c *change, k kind[T], objects []T) error {
	for _, o := range objects {
		var exists bool
		err := c.tx.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM "+named(k.Table)+" WHERE id = $1)", k.ID(o)).Scan(&exists)
		if err == nil && !exists {
			err = putAll(ctx, c, k, []T{o})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// table implements store.Table for one kind.
type table[T any] struct {
	s *Store
	kind[T]
}

func (t table[T]) Get(ctx context.Context, id string) (object T, err error) {
	if !store.Storable(id) {
		return object, t.Missing(id)
	}
	found, err := query(ctx, t.s, t.Scan, t.selects()+" WHERE id = $1", id)
	if err == nil && len(found) == 0 {
		err = t.Missing(id)
	}
	if err != nil {
		return object, err
	}
	return found[0], nil
}

func (t table[T]) List(ctx context.Context, p store.Page) ([]T, error) {
	if !store.Storable(p.After) {
		return nil, &store.ObjectError{Kind: t.Name, ID: p.After, Detail: "it is no id to go on after", Err: store.ErrInvalid}
	}
	return query(ctx, t.s, t.Scan, t.selects()+" WHERE id > $1 ORDER BY id LIMIT $2", p.After, p.Size())
}

func (t table[T]) Put(ctx context.Context, object T) error {
	if err := t.Validate(object); err != nil {
		return err
	}
	return t.s.change(ctx, func(ctx context.Context, c *change) error { return putAll(ctx, c, t.kind, []T{object}) })
}

func (t table[T]) Delete(ctx context.Context, id string) error {
	if !store.Storable(id) {
		return t.Missing(id)
	}
	return t.s.change(ctx, func(ctx context.Context, c *change) error { return t.remove(ctx, c, id) })
}

func (k kind[T]) remove(ctx context.Context, c *change, id string) error {
	referring, err := k.referring(ctx, c, id)
	if err != nil {
		return err
	}
	if len(referring) > 0 {
		return k.Needed(id, referring)
	}
	tag, err := c.tx.Exec(ctx, "DELETE FROM "+named(k.Table)+" WHERE id = $1", id)
	switch {
	case err != nil:
		return fmt.Errorf("deleting %s %q: %w", k.Name, id, err)
	case tag.RowsAffected() == 0:
		return k.Missing(id)
	}
	c.note(store.Actor(ctx), "delete", k.Name, id)
	return nil
}
