package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/plumbline/plumbline/internal/store/layout"
)

// conflicts gives a conflict for each object that refers to what does not exist, or has a hash that another has.
func (k kind[T]) conflicts(ctx context.Context, c *change, objects []T) (found []error, err error) {
	missing, err := k.missing(ctx, c, objects)
	if err != nil {
		return nil, err
	}
	holders, err := k.holders(ctx, c, objects)
	if err != nil {
		return nil, err
	}
	for _, o := range objects {
		if dangling := k.dangling(o, missing); len(dangling) > 0 {
			found = append(found, k.Dangling(k.ID(o), dangling))
		} else if k.Hash != nil && !holders.take(k.ID(o), k.Hash(o)) {
			found = append(found, k.Taken(k.ID(o)))
		}
	}
	return found, nil
}

// missing gives the ids, by table, that some of the objects refer to and that do not exist.
func (k kind[T]) missing(ctx context.Context, c *change, objects []T) (map[string]map[string]bool, error) {
	if k.Refers == nil {
		return nil, nil
	}
	wanted := map[string][]string{}
	for _, o := range objects {
		for table, ids := range k.Refers(o) {
			wanted[table] = append(wanted[table], ids...)
		}
	}
	missing := map[string]map[string]bool{}
	for _, t := range layout.Targets {
		if len(wanted[t.Table]) == 0 {
			continue
		}
		rows, err := c.tx.Query(ctx, "SELECT DISTINCT wanted.id FROM unnest($1::text[]) AS wanted (id) WHERE NOT EXISTS (SELECT 1 FROM "+
			named(t.Table)+" AS held WHERE held.id = wanted.id)", wanted[t.Table])
		ids, err := collect(rows, err, oneText)
		if err != nil {
			return nil, fmt.Errorf("looking up what a %s refers to: %w", k.Name, err)
		}
		missing[t.Table] = map[string]bool{}
		for _, id := range ids {
			missing[t.Table][id] = true
		}
	}
	return missing, nil
}

// dangling names what one object refers to and does not exist, some of it for each table.
func (k kind[T]) dangling(object T, missing map[string]map[string]bool) (all []string) {
	if k.Refers == nil {
		return nil
	}
	refers := k.Refers(object)
	for _, t := range layout.Targets {
		ids := slices.DeleteFunc(slices.Clone(refers[t.Table]), func(id string) bool { return !missing[t.Table][id] })
		slices.Sort(ids)
		ids = slices.Compact(ids)
		for _, id := range ids[:min(len(ids), layout.MostNamed+1)] {
			all = append(all, layout.Called(t.Name, id))
		}
	}
	return all
}

// holders are whose the hashes are that some objects want.
type holders struct {
	byHash map[[32]byte]string
	byID   map[string][32]byte
}

func (k kind[T]) holders(ctx context.Context, c *change, objects []T) (*holders, error) {
	h := &holders{map[[32]byte]string{}, map[string][32]byte{}}
	if k.Hash == nil {
		return h, nil
	}
	var wanted [][]byte
	for _, o := range objects {
		hash := k.Hash(o)
		wanted = append(wanted, hash[:])
	}
	type holder struct {
		id   string
		hash []byte
	}
	rows, err := c.tx.Query(ctx, "SELECT id, hash FROM "+named(k.Table)+" WHERE hash = ANY ($1::bytea[])", wanted)
	found, err := collect(rows, err, func(row layout.Scanner) (one holder, err error) { return one, row.Scan(&one.id, &one.hash) })
	if err != nil {
		return nil, fmt.Errorf("looking up the hash of a %s: %w", k.Name, err)
	}
	for _, one := range found {
		h.take(one.id, [32]byte(one.hash))
	}
	return h, nil
}

// take gives an object a hash in place of the one that it has, unless another has it.
func (h *holders) take(id string, hash [32]byte) bool {
	if holder, taken := h.byHash[hash]; taken && holder != id {
		return false
	}
	delete(h.byHash, h.byID[id])
	h.byHash[hash], h.byID[id] = id, hash
	return true
}

// referring names the objects that refer to one which is to be deleted, some of each kind.
func (k kind[T]) referring(ctx context.Context, c *change, id string) (all []string, err error) {
	for _, r := range k.Referrer {
		rows, err := c.tx.Query(ctx, fmt.Sprintf("SELECT %[1]s FROM %[2]s WHERE %[3]s = $1 ORDER BY %[1]s LIMIT $2",
			quoted(r.ID), named(r.Table), quoted(r.Column)), id, layout.MostNamed+1)
		some, err := collect(rows, err, oneText)
		if err != nil {
			return nil, fmt.Errorf("looking up what refers to %s %q: %w", k.Name, id, err)
		}
		for _, other := range some {
			all = append(all, layout.Called(r.Name, other))
		}
	}
	return all, nil
}
