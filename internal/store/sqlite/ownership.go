package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/store/layout"
)

// Ownership implements store.Store.
func (s *Store) Ownership() store.Ownership { return ownership{s} }

// ownership implements store.Ownership. Its writes do not wait for the disk: each answer of the provider that makes an
// object waits for one. They survive the death of the process, as all that is written to the WAL does.
type ownership struct{ s *Store }

const ownedColumns = "kind, id, owner_user, owner_app, app, team, endpoint, created, tokens, model"

func (w ownership) Own(ctx context.Context, o core.OwnedObject) error {
	if err := store.ValidateOwned(o); err != nil {
		return err
	}
	// The second half gives a row for an owner that has it already, so that only another one's gives none.
	const own = `INSERT INTO provider_objects (` + ownedColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (kind, id) DO UPDATE SET id = id WHERE owner_user = excluded.owner_user AND owner_app = excluded.owner_app`
	result, err := w.s.objects.ExecContext(ctx, own, string(o.Kind), o.ID, o.Owner.User, o.Owner.App, o.App, o.Team, o.Endpoint,
		store.Micros(o.Created), o.Tokens, o.Model)
	if err != nil {
		return fmt.Errorf("keeping whose a %s is: %w", o.Kind, err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, &store.ObjectError{
			Kind: "provider-object", ID: string(o.Kind) + "/" + o.ID, Detail: "it belongs to another", Err: store.ErrConflict,
		})
	}
	return nil
}

func (w ownership) Owned(ctx context.Context, ref core.ObjectRef) (core.OwnedObject, bool, error) {
	o := core.OwnedObject{ObjectRef: ref}
	row := w.s.read.QueryRowContext(ctx, `SELECT owner_user, owner_app, app, team, endpoint, created, tokens, model
		FROM provider_objects WHERE kind = ? AND id = ?`, string(ref.Kind), ref.ID)
	err := row.Scan(&o.Owner.User, &o.Owner.App, &o.App, &o.Team, &o.Endpoint, layout.Micros{Into: &o.Created}, &o.Tokens, &o.Model)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return core.OwnedObject{}, false, nil
	case err != nil:
		return core.OwnedObject{}, false, fmt.Errorf("looking up whose a %s is: %w", ref.Kind, err)
	}
	return o, true, nil
}

func (w ownership) OwnedBy(ctx context.Context, kind core.ObjectKind, owner core.Owner) ([]string, error) {
	rows, err := w.s.read.QueryContext(ctx, `SELECT id FROM provider_objects WHERE owner_user = ? AND owner_app = ? AND kind = ?`,
		owner.User, owner.App, string(kind))
	return collect(rows, err, oneText)
}

func (w ownership) Count(ctx context.Context, ref core.ObjectRef, model string, tokens int64) error {
	if err := store.ValidateCount(ref, model); err != nil {
		return err
	}
	_, err := w.s.objects.ExecContext(ctx, `UPDATE provider_objects SET model = ?, tokens = ? WHERE kind = ? AND id = ?`,
		model, tokens, string(ref.Kind), ref.ID)
	return err
}

func (w ownership) Add(ctx context.Context, ref core.ObjectRef, model string, tokens int64) error {
	if err := store.ValidateCount(ref, model); err != nil {
		return err
	}
	// What is on the right is as it was before: a model without tokens stands for not known.
	_, err := w.s.objects.ExecContext(ctx, `UPDATE provider_objects SET
		tokens = CASE WHEN model = '' OR tokens > 0 THEN tokens + ? ELSE 0 END,
		model = CASE WHEN model = '' THEN ? ELSE model END
		WHERE kind = ? AND id = ?`, tokens, model, string(ref.Kind), ref.ID)
	return err
}

func (w ownership) Disown(ctx context.Context, ref core.ObjectRef) error {
	_, err := w.s.objects.ExecContext(ctx, deleteOwned, string(ref.Kind), ref.ID)
	return err
}

const deleteOwned = `DELETE FROM provider_objects WHERE kind = ? AND id = ?`

// Surplus implements store.Ownership.
func (w ownership) Surplus(ctx context.Context, k store.Keep, most int) ([]core.ObjectRef, error) {
	rows, err := w.s.read.QueryContext(ctx, `SELECT kind, id FROM provider_objects WHERE kind = ? AND created < ?
		UNION SELECT kind, id FROM (SELECT kind, id,
			row_number() OVER (PARTITION BY owner_user, owner_app, kind ORDER BY created DESC, id DESC) AS place
			FROM provider_objects) WHERE place > ? LIMIT ?`,
		string(core.ObjectResponse), store.Micros(k.ResponsesSince), k.PerOwner, most)
	return collect(rows, err, func(row layout.Scanner) (ref core.ObjectRef, err error) { return ref, row.Scan(&ref.Kind, &ref.ID) })
}

// Forget implements store.Ownership.
func (w ownership) Forget(ctx context.Context, refs []core.ObjectRef) (n int64, err error) {
	tx, err := w.s.objects.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	for _, ref := range refs {
		gone, err := exec(ctx, tx, deleteOwned, string(ref.Kind), ref.ID)
		if err != nil {
			return 0, err
		}
		n += gone
	}
	return n, tx.Commit()
}
