// Package store is the contract for control data: people, teams, apps, tasks, limits and credentials, the feed of their
// changes, and the Directory, which keeps all of it in memory for the request path.
//
// Implementations live in sqlite and postgres and pass one conformance suite, storetest. The package imports wait,
// core and quota; it must not import a back end, a front end or the gate.
package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
)

// Errors of a Store, each wrapped in an *ObjectError.
var (
	ErrNotFound = errors.New("does not exist")
	// ErrConflict: the change would break a reference between objects, or a key that must be unique.
	ErrConflict = errors.New("conflicts with another object")
	// ErrInvalid: the object itself is not as it must be.
	ErrInvalid = errors.New("is not valid")
	// ErrChanged: it is not what whoever asks saw.
	ErrChanged = errors.New("was changed meanwhile")
	// ErrTooMany: whoever asks has had as much of it as they may.
	ErrTooMany = errors.New("is one too many")
)

// ObjectError says which object an error is about.
type ObjectError struct {
	Kind, ID string
	// Detail says what to do, empty for nothing to add.
	Detail string
	Err    error
}

func (e *ObjectError) Error() string {
	s := fmt.Sprintf("%s %q %v", e.Kind, e.ID, e.Err)
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	return s
}

func (e *ObjectError) Unwrap() error { return e.Err }

// Page says which part of a list to give.
type Page struct {
	// After is the id of the last object seen, empty for the beginning.
	After string
	// Limit is the most to give, 100 if zero, at most 1,000.
	Limit int
}

// Size is the page's limit within its bounds.
func (p Page) Size() int {
	if p.Limit <= 0 {
		return 100
	}
	return min(p.Limit, 1000)
}

// Table holds the objects of one kind. Methods must be safe for concurrent use.
//
// What is given back must equal what was put, but for this: times are in UTC and cut to microseconds, an empty list is
// nil, and the users and teams of a task are a set in bytewise order.
type Table[T any] interface {
	// Get must give the object as of one moment, or ErrNotFound for an id that does not exist.
	Get(ctx context.Context, id string) (T, error)
	// List must give objects in the bytewise order of their ids, as of one moment.
	List(ctx context.Context, p Page) ([]T, error)
	// Put must create or replace the object, all or nothing; on replacing, the time of creation stays. It must refuse
	// an object that is not valid (ErrInvalid), and one that refers to another which does not exist, which it must name
	// (ErrConflict). A Put that changes nothing must leave the version as it is.
	Put(ctx context.Context, object T) error
	// Delete must refuse while another object refers to this one, naming it (ErrConflict). Deleting what does not exist
	// must return ErrNotFound.
	Delete(ctx context.Context, id string) error
}

// Store holds all control data. Every change must be atomic, must be in the feed of changes by the same commit, and must
// be followed by a higher Version, also when another process made it. A version must never be given twice, and no change
// may appear at or below a version that was seen.
type Store interface {
	Teams() Table[core.Team]
	Users() Table[core.User]
	Apps() Table[core.App]
	Tasks() Table[core.Task]
	Limits() Table[quota.Limit]
	Keys() Table[core.AppKey]
	// Revocations must drop those that expired longer than KeepExpired ago whenever others are put, before they are, as
	// changes by System with the action "expire".
	Revocations() Table[core.Revocation]
	SigningKeys() Table[core.SigningKey]
	// Tokens holds what is kept of the tokens that were issued. It must drop expired ones as Revocations does. No request
	// needs them, so that they are no part of Load and Apply.
	Tokens() Table[core.IssuedToken]
	// Ownership holds whose the objects at the provider are. Deleting a user or an app must forget what belongs to it by
	// the same commit: an id that is given again must not inherit.
	Ownership() Ownership
	// SubjectKeys holds the keys that content is sealed under. No request needs it in the steady state.
	SubjectKeys() SubjectKeys
	// Labels holds what was drawn for calibration and what people say of it, and Calibrations the versions that were made of
	// that. The latest of those is in force.
	Labels() Labels
	Calibrations() Table[core.Calibration]
	// Lessons holds what was drawn like that and set aside to learn from. The two have no prompt in common.
	Lessons() Lessons
	// Policies holds the policy documents that came into force.
	Policies() Policies
	// SystemPrompts holds fingerprints of the system prompts that are apps' own.
	SystemPrompts() Table[core.SystemPrompt]

	// Apply must put all objects or none, and leave the policy as it is. References among them may be in any order; an id that appears twice is refused.
	Apply(ctx context.Context, o Objects) error
	// Provision must create the user, and before it the team unless its id is empty; those that exist must stay as they
	// are, whatever they hold. It must refuse as Put does, and do all of it or nothing.
	Provision(ctx context.Context, user core.User, team core.Team) error
	// NoteModel must put into the feed what is done with a model that lies outside of the store, for the reason of ctx: the
	// action that is given, UseAction, RestoreAction or ProposeAction, and the object "model/<version>". It must return nil only when that survives the loss of power.
	NoteModel(ctx context.Context, action, version string) error
	// Load must give everything as of one moment, each kind as List orders it, with the version of that moment. Of the
	// policy it must give the newest version.
	Load(ctx context.Context) (Objects, uint64, error)
	// Version is the number of the last change, 0 before the first. It must be cheap: it is polled.
	Version(ctx context.Context) (uint64, error)
	// Changes must give the changes after a version, oldest first, at most limit of them.
	Changes(ctx context.Context, after uint64, limit int) ([]Change, error)
	// Claim must give changes that no audit has, oldest first, at most limit of them, for the audit called writer to take:
	// those that none has claimed, those that writer itself has, and those that another has claimed longer than life ago.
	// From then on it must give them to no other for life, by the clock of the store.
	Claim(ctx context.Context, writer string, life time.Duration, limit int) ([]Change, error)
	// Recorded must note for good that an audit has the changes with these versions: Claim gives them to nobody any more.
	Recorded(ctx context.Context, versions ...uint64) error
	Close() error
}

// KeepExpired is how long revocations are kept after they expired: a clock that runs ahead for a while must not make
// revoked tokens good again.
const KeepExpired = 24 * time.Hour

// Objects is a set of objects. The first five are also the document of `plumbline apply -f`.
type Objects struct {
	Teams  []core.Team   `json:"teams,omitempty"`
	Users  []core.User   `json:"users,omitempty"`
	Apps   []core.App    `json:"apps,omitempty"`
	Tasks  []core.Task   `json:"tasks,omitempty"`
	Limits []quota.Limit `json:"limits,omitempty"`

	Keys        []core.AppKey     `json:"-"`
	Revocations []core.Revocation `json:"-"`
	SigningKeys []core.SigningKey `json:"-"`

	Calibrations  []core.Calibration  `json:"-"`
	SystemPrompts []core.SystemPrompt `json:"-"`

	// Policy is the newest version of the policy, nil for none.
	Policy *core.PolicyVersion `json:"-"`
}

// Change is one entry of the change feed. It names what changed, not how.
type Change struct {
	// Version is the store's version after the change; it orders the feed.
	Version uint64
	Time    time.Time
	core.Change
}

// Compare orders changes as the feed does.
func (c Change) Compare(d Change) int { return cmp.Compare(c.Version, d.Version) }

// PutAction is what the change feed calls putting an object: credentials are issued, revoked and retired.
func PutAction(object any) string {
	switch o := object.(type) {
	case core.AppKey:
		if !o.Revoked.IsZero() {
			return "revoke"
		}
		return "issue"
	case core.IssuedToken:
		return "issue"
	case core.Revocation:
		return "revoke"
	case core.SigningKey:
		if !o.Retired.IsZero() {
			return "retire"
		}
		return "issue"
	case core.Calibration:
		if !o.Demoted.IsZero() {
			return DemoteAction
		}
		return "put"
	default:
		return "put"
	}
}

// System is the actor of changes that nobody asked for by name.
const System = "system"

type actorKey struct{}

// WithActor says in whose name changes under ctx are made.
func WithActor(ctx context.Context, actor string) context.Context {
	return context.WithValue(ctx, actorKey{}, actor)
}

// Actor is in whose name changes under ctx are made, System when nobody said.
func Actor(ctx context.Context) string {
	if a, ok := ctx.Value(actorKey{}).(string); ok {
		return a
	}
	return System
}
