package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/plumbline/plumbline/internal/core"
)

// Ownership holds whose the objects at the provider are. Methods must be safe for concurrent use, also by several
// processes. It is not control data: nothing that is done here may be in the feed of changes or move the version.
//
// What is not in it belongs to nobody, and nobody may use it. So a loss takes an object from its owner and never gives it
// to another.
type Ownership interface {
	// Own must keep that an object belongs to o.Owner, and return nil only when that survives the death of the process. It
	// need not survive the loss of power. An id never changes hands: Own must refuse another owner (ErrConflict), and
	// change nothing when the owner has it already. It must refuse an object without an id, a kind or exactly one owner
	// and one with text that is not UTF-8 or holds a NUL (ErrInvalid). Times come back in UTC, cut to microseconds.
	Own(ctx context.Context, o core.OwnedObject) error
	// Owned must give the object as the last Own or Count that returned left it, or false for one that nobody owns.
	Owned(ctx context.Context, ref core.ObjectRef) (core.OwnedObject, bool, error)
	// OwnedBy must give the ids of all objects of a kind that belong to an owner, in no order.
	OwnedBy(ctx context.Context, kind core.ObjectKind, owner core.Owner) ([]string, error)
	// Count must note how many tokens going on from an object takes from now on, for a model; 0 for not known. Counting for
	// what nobody owns must do nothing. A model whose name no database can keep must be refused (ErrInvalid), by Add too.
	Count(ctx context.Context, ref core.ObjectRef, model string, tokens int64) error
	// Add must raise what Count noted by tokens, in one step: of additions at the same time each must be in it. What has no
	// model yet gets the one given. What is not known must stay so, and adding to what nobody owns must do nothing.
	Add(ctx context.Context, ref core.ObjectRef, model string, tokens int64) error
	// Disown must forget an object. Forgetting what nobody owns must do nothing.
	Disown(ctx context.Context, ref core.ObjectRef) error
	// Surplus must give objects that k does not keep, at most so many, in no order.
	Surplus(ctx context.Context, k Keep, most int) ([]core.ObjectRef, error)
	// Forget must disown objects in one step, and say how many of them somebody owned.
	Forget(ctx context.Context, refs []core.ObjectRef) (int64, error)
}

// Keep bounds what an Ownership holds.
type Keep struct {
	// ResponsesSince: responses made before are forgotten. The provider has deleted them by then.
	ResponsesSince time.Time
	// PerOwner is how many objects of one kind are kept of one owner, the newest. The others belong to nobody from then on.
	PerOwner int
}

// Bounds of one sweep: how many objects it looks up at most, and how many it forgets at a time, so that what requests write
// is not held up by it.
const (
	sweepMost  = 100_000
	sweepPiece = 500
)

// Sweep forgets what k does not keep, and says how many objects that were. It may be broken off and begun again, also by
// another process beside this one: each forgets what the others do not.
func Sweep(ctx context.Context, o Ownership, k Keep) (forgotten int64, err error) {
	surplus, err := o.Surplus(ctx, k, sweepMost)
	if err != nil {
		return 0, fmt.Errorf("looking for objects at the provider that are too old or too many: %w", err)
	}
	for piece := range slices.Chunk(surplus, sweepPiece) {
		n, err := o.Forget(ctx, piece)
		forgotten += n
		if err != nil {
			return forgotten, fmt.Errorf("forgetting objects at the provider: %w", err)
		}
	}
	return forgotten, nil
}

// ValidateOwned reports why an object cannot be owned.
func ValidateOwned(o core.OwnedObject) error {
	var p problems
	if o.Kind == "" {
		p.add("kind is missing")
	}
	if o.ID == "" {
		p.add("id is missing")
	}
	if (o.Owner.User == "") == (o.Owner.App == "") {
		p.add("it must belong to either a user or an app")
	}
	if !Storable(string(o.Kind), o.ID, o.Owner.User, o.Owner.App, o.App, o.Team, o.Endpoint, o.Model) {
		p.add("its texts must be UTF-8 without NUL")
	}
	p.time("created", o.Created)
	return p.err("provider-object", string(o.Kind)+"/"+o.ID)
}

// ValidateCount reports why tokens cannot be counted for a model.
func ValidateCount(ref core.ObjectRef, model string) error {
	var p problems
	if !Storable(model) {
		p.add("the model's name must be UTF-8 without NUL")
	}
	return p.err("provider-object", string(ref.Kind)+"/"+ref.ID)
}

// Storable reports whether every database can keep the texts: they are UTF-8, and none holds a NUL. What is not storable
// is nowhere, so that looking it up finds nothing.
func Storable(texts ...string) bool {
	for _, s := range texts {
		if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
			return false
		}
	}
	return true
}
