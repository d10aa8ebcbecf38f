package postgres

import (
	"context"
	"fmt"
	"strconv"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/store/layout"
)

// Policies implements store.Store.
func (s *Store) Policies() store.Policies { return policies{s} }

// policies implements store.Policies.
type policies struct{ s *Store }

const (
	selectPolicy = "SELECT " + layout.PolicyColumns + " FROM plumbline.policies "
	newestPolicy = selectPolicy + "ORDER BY number DESC LIMIT 1"
	// samePolicy gives what makes another version needless.
	samePolicy = selectPolicy + `WHERE version = $1 AND text = $2 AND (number > $3 OR number = (SELECT max(number) FROM plumbline.policies))
		ORDER BY number DESC LIMIT 1`
	insertPolicy = "INSERT INTO plumbline.policies (" + layout.PolicyColumns + `)
		SELECT coalesce(max(number), 0) + 1, $1, $2, $3, $4, $5::bigint, $6::bigint FROM plumbline.policies RETURNING number`
)

// Put implements store.Policies.
func (w policies) Put(ctx context.Context, p core.PolicyVersion, seen int64) (kept core.PolicyVersion, err error) {
	if err := store.ValidatePolicy(p); err != nil {
		return kept, err
	}
	p.Author, p.Reason = storableText(store.Actor(ctx)), storableText(store.Reason(ctx))
	err = w.s.change(ctx, func(ctx context.Context, c *change) error {
		rows, err := c.tx.Query(ctx, samePolicy, p.Version, p.Text, seen)
		same, err := collect(rows, err, layout.ScanPolicy)
		if err != nil {
			return err
		}
		if len(same) > 0 {
			kept = same[0]
			return nil
		}
		if err := c.tx.QueryRow(ctx, insertPolicy, layout.PolicyValues(p)...).Scan(&p.Number); err != nil {
			return fmt.Errorf("keeping a version of the policy: %w", err)
		}
		p.Created = store.FromMicros(store.Micros(p.Created))
		kept = p
		c.note(p.Author, store.PolicyAction(p), store.PolicyKind, p.Version)
		return w.forget(ctx, c, p.Number-store.MostPolicies)
	})
	return kept, err
}

// forget deletes the versions up to a number.
func (policies) forget(ctx context.Context, c *change, upTo int64) error {
	rows, err := c.tx.Query(ctx, "DELETE FROM plumbline.policies WHERE number <= $1 RETURNING version", upTo)
	gone, err := collect(rows, err, oneText)
	if err != nil {
		return fmt.Errorf("forgetting old versions of the policy: %w", err)
	}
	for _, version := range gone {
		c.note(store.System, "expire", store.PolicyKind, version)
	}
	return nil
}

// Get implements store.Policies.
func (w policies) Get(ctx context.Context, number int64) (core.PolicyVersion, error) {
	found, err := query(ctx, w.s, layout.ScanPolicy, selectPolicy+"WHERE number = $1", number)
	if err == nil && len(found) == 0 {
		err = store.NoPolicy(strconv.FormatInt(number, 10))
	}
	if err != nil {
		return core.PolicyVersion{}, err
	}
	return found[0], nil
}

// List implements store.Policies.
func (w policies) List(ctx context.Context) ([]core.PolicyVersion, error) {
	return query(ctx, w.s, layout.ScanPolicy, "SELECT "+layout.ListedPolicyColumns+" FROM plumbline.policies ORDER BY number DESC")
}
