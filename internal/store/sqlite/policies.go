package sqlite

import (
	"context"
	"database/sql"
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
	selectPolicy = "SELECT " + layout.PolicyColumns + " FROM policies "
	newestPolicy = selectPolicy + "ORDER BY number DESC LIMIT 1"
	// samePolicy gives what makes another version needless.
	samePolicy = selectPolicy + `WHERE version = ? AND text = ? AND (number > ? OR number = (SELECT max(number) FROM policies))
		ORDER BY number DESC LIMIT 1`
	insertPolicy = "INSERT INTO policies (" + layout.PolicyColumns + `) SELECT coalesce(max(number), 0) + 1, ?, ?, ?, ?, ?, ? FROM policies
		RETURNING number`
)

// Put implements store.Policies.
func (w policies) Put(ctx context.Context, p core.PolicyVersion, seen int64) (kept core.PolicyVersion, err error) {
	if err := store.ValidatePolicy(p); err != nil {
		return kept, err
	}
	p.Author, p.Reason = store.Actor(ctx), store.Reason(ctx)
	err = w.s.change(ctx, func(tx *sql.Tx) error {
		same, err := onePolicy(ctx, tx, samePolicy, p.Version, p.Text, seen)
		if err != nil {
			return err
		}
		if same != nil {
			kept = *same
			return nil
		}
		if err := tx.QueryRowContext(ctx, insertPolicy, layout.PolicyValues(p)...).Scan(&p.Number); err != nil {
			return fmt.Errorf("keeping a version of the policy: %w", err)
		}
		p.Created = store.FromMicros(store.Micros(p.Created))
		kept = p
		if err := note(ctx, tx, store.PolicyAction(p), store.PolicyKind, p.Version); err != nil {
			return err
		}
		return w.forget(ctx, tx, p.Number-store.MostPolicies)
	})
	return kept, err
}

// forget deletes the versions up to a number.
func (policies) forget(ctx context.Context, tx *sql.Tx, upTo int64) error {
	rows, err := tx.QueryContext(ctx, "DELETE FROM policies WHERE number <= ? RETURNING version", upTo)
	gone, err := collect(rows, err, oneText)
	if err != nil {
		return fmt.Errorf("forgetting old versions of the policy: %w", err)
	}
	for _, version := range gone {
		if err := note(store.WithActor(ctx, store.System), tx, "expire", store.PolicyKind, version); err != nil {
			return err
		}
	}
	return nil
}

// Get implements store.Policies.
func (w policies) Get(ctx context.Context, number int64) (core.PolicyVersion, error) {
	p, err := onePolicy(ctx, w.s.read, selectPolicy+"WHERE number = ?", number)
	if err == nil && p == nil {
		err = store.NoPolicy(strconv.FormatInt(number, 10))
	}
	if err != nil {
		return core.PolicyVersion{}, err
	}
	return *p, nil
}

// List implements store.Policies.
func (w policies) List(ctx context.Context) ([]core.PolicyVersion, error) {
	const statement = "SELECT " + layout.ListedPolicyColumns + " FROM policies ORDER BY number DESC"
	rows, err := w.s.read.QueryContext(ctx, statement)
	return collect(rows, err, layout.ScanPolicy)
}

// onePolicy gives the version that a statement reads, nil for none.
func onePolicy(ctx context.Context, q queryer, statement string, args ...any) (*core.PolicyVersion, error) {
	rows, err := q.QueryContext(ctx, statement, args...)
	found, err := collect(rows, err, layout.ScanPolicy)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}
