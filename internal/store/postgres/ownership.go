package postgres

import (
	"context"
	"fmt"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/store/layout"
)

// Ownership implements store.Store.
func (s *Store) Ownership() store.Ownership { return ownership{s} }

// ownership implements store.Ownership. It does not hold the feed: what it writes is no control data.
type ownership struct{ s *Store }

func (w ownership) Own(ctx context.Context, o core.OwnedObject) error {
	if err := store.ValidateOwned(o); err != nil {
		return err
	}
	// The second half gives a row for an owner that has it already, so that only another one's gives none.
	n, err := w.s.exec(ctx, `INSERT INTO plumbline.provider_objects AS held
		(kind, id, owner_user, owner_app, app, team, endpoint, created, tokens, model) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (kind, id) DO UPDATE SET id = held.id WHERE held.owner_user = excluded.owner_user AND held.owner_app = excluded.owner_app`,
		string(o.Kind), o.ID, o.Owner.User, o.Owner.App, o.App, o.Team, o.Endpoint, store.Micros(o.Created), o.Tokens, o.Model)
	switch {
	case err != nil:
		return fmt.Errorf("keeping whose a %s is: %w", o.Kind, err)
	case n == 0:
		return &store.ObjectError{
			Kind: "provider-object", ID: string(o.Kind) + "/" + o.ID, Detail: "it belongs to another", Err: store.ErrConflict,
		}
	}
	return nil
}

func (w ownership) Owned(ctx context.Context, ref core.ObjectRef) (core.OwnedObject, bool, error) {
	if !store.Storable(string(ref.Kind), ref.ID) {
		return core.OwnedObject{}, false, nil
	}
	found, err := query(ctx, w.s, func(row layout.Scanner) (core.OwnedObject, error) {
		o := core.OwnedObject{ObjectRef: ref}
		err := row.Scan(&o.Owner.User, &o.Owner.App, &o.App, &o.Team, &o.Endpoint, layout.Micros{Into: &o.Created}, &o.Tokens, &o.Model)
		return o, err
	}, `SELECT owner_user, owner_app, app, team, endpoint, created, tokens, model
		FROM plumbline.provider_objects WHERE kind = $1 AND id = $2`, string(ref.Kind), ref.ID)
	switch {
	case err != nil:
		return core.OwnedObject{}, false, fmt.Errorf("looking up whose a %s is: %w", ref.Kind, err)
	case len(found) == 0:
		return core.OwnedObject{}, false, nil
	}
	return found[0], true, nil
}

func (w ownership) OwnedBy(ctx context.Context, kind core.ObjectKind, owner core.Owner) ([]string, error) {
	if !store.Storable(string(kind), owner.User, owner.App) {
		return nil, nil
	}
	return query(ctx, w.s, oneText, `SELECT id FROM plumbline.provider_objects WHERE owner_user = $1 AND owner_app = $2 AND kind = $3`,
		owner.User, owner.App, string(kind))
}

func (w ownership) Count(ctx context.Context, ref core.ObjectRef, model string, tokens int64) error {
	if err := store.ValidateCount(ref, model); err != nil {
		return err
	}
	return w.change(ctx, ref, `UPDATE plumbline.provider_objects SET model = $3, tokens = $4 WHERE kind = $1 AND id = $2`, model, tokens)
}

func (w ownership) Add(ctx context.Context, ref core.ObjectRef, model string, tokens int64) error {
	if err := store.ValidateCount(ref, model); err != nil {
		return err
	}
	// What is on the right is as it was before: a model without tokens stands for not known.
	return w.change(ctx, ref, `UPDATE plumbline.provider_objects SET
		tokens = CASE WHEN model = '' OR tokens > 0 THEN tokens + $4 ELSE 0 END,
		model = CASE WHEN model = '' THEN $3 ELSE model END
		WHERE kind = $1 AND id = $2`, model, tokens)
}

func (w ownership) Disown(ctx context.Context, ref core.ObjectRef) error {
	return w.change(ctx, ref, `DELETE FROM plumbline.provider_objects WHERE kind = $1 AND id = $2`)
}

// change runs a statement whose first two values name an object. There is none that cannot be stored.
func (w ownership) change(ctx context.Context, ref core.ObjectRef, statement string, args ...any) error {
	if !store.Storable(string(ref.Kind), ref.ID) {
		return nil
	}
	if _, err := w.s.exec(ctx, statement, append([]any{string(ref.Kind), ref.ID}, args...)...); err != nil {
		return fmt.Errorf("changing what is kept of a %s: %w", ref.Kind, err)
	}
	return nil
}

// Surplus implements store.Ownership.
func (w ownership) Surplus(ctx context.Context, k store.Keep, most int) ([]core.ObjectRef, error) {
	return query(ctx, w.s, func(row layout.Scanner) (ref core.ObjectRef, err error) { return ref, row.Scan(&ref.Kind, &ref.ID) },
		`SELECT kind, id FROM plumbline.provider_objects WHERE kind = $1 AND created < $2
		UNION SELECT kind, id FROM (SELECT kind, id,
			row_number() OVER (PARTITION BY owner_user, owner_app, kind ORDER BY created DESC, id DESC) AS place
			FROM plumbline.provider_objects) AS placed WHERE place > $3 LIMIT $4`,
		string(core.ObjectResponse), store.Micros(k.ResponsesSince), k.PerOwner, most)
}

// Forget implements store.Ownership. Objects that another replica is just deleting it leaves to it.
func (w ownership) Forget(ctx context.Context, refs []core.ObjectRef) (int64, error) {
	var kinds, ids []string
	for _, ref := range refs {
		kinds, ids = append(kinds, string(ref.Kind)), append(ids, ref.ID)
	}
	return w.s.exec(ctx, `DELETE FROM plumbline.provider_objects WHERE (kind, id) IN (
		SELECT held.kind, held.id FROM plumbline.provider_objects AS held
		JOIN unnest($1::text[], $2::text[]) AS gone (kind, id) USING (kind, id) FOR UPDATE OF held SKIP LOCKED)`, kinds, ids)
}
