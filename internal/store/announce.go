package store

import (
	"context"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
)

// Announce gives st with told called after each change that was made through it, on the goroutine that made it. What is
// told may be lost with the process: whoever follows a store looks at its version all the same.
func Announce(st Store, told func(ctx context.Context)) Store { return announced{st, told} }

// announced is a Store of which each change that others load is told. Issued tokens and owners are not among those.
type announced struct {
	Store
	told func(context.Context)
}

func (a announced) Teams() Table[core.Team]    { return tell(a, a.Store.Teams()) }
func (a announced) Users() Table[core.User]    { return tell(a, a.Store.Users()) }
func (a announced) Apps() Table[core.App]      { return tell(a, a.Store.Apps()) }
func (a announced) Tasks() Table[core.Task]    { return tell(a, a.Store.Tasks()) }
func (a announced) Limits() Table[quota.Limit] { return tell(a, a.Store.Limits()) }
func (a announced) Keys() Table[core.AppKey]   { return tell(a, a.Store.Keys()) }
func (a announced) Revocations() Table[core.Revocation] {
	return tell(a, a.Store.Revocations())
}

func (a announced) SigningKeys() Table[core.SigningKey] {
	return tell(a, a.Store.SigningKeys())
}

func (a announced) Calibrations() Table[core.Calibration] { return tell(a, a.Store.Calibrations()) }

func (a announced) Policies() Policies { return announcedPolicies{a.Store.Policies(), a} }

func (a announced) SystemPrompts() Table[core.SystemPrompt] { return tell(a, a.Store.SystemPrompts()) }

func (a announced) Apply(ctx context.Context, o Objects) error {
	return a.after(ctx, a.Store.Apply(ctx, o))
}

func (a announced) Provision(ctx context.Context, user core.User, team core.Team) error {
	return a.after(ctx, a.Store.Provision(ctx, user, team))
}

// after tells of a change that succeeded.
func (a announced) after(ctx context.Context, err error) error {
	if err == nil {
		a.told(ctx)
	}
	return err
}

func tell[T any](a announced, t Table[T]) Table[T] { return announcedTable[T]{t, a} }

type announcedTable[T any] struct {
	Table[T]
	a announced
}

func (t announcedTable[T]) Put(ctx context.Context, object T) error {
	return t.a.after(ctx, t.Table.Put(ctx, object))
}

func (t announcedTable[T]) Delete(ctx context.Context, id string) error {
	return t.a.after(ctx, t.Table.Delete(ctx, id))
}

type announcedPolicies struct {
	Policies
	a announced
}

func (p announcedPolicies) Put(ctx context.Context, version core.PolicyVersion, seen int64) (core.PolicyVersion, error) {
	kept, err := p.Policies.Put(ctx, version, seen)
	return kept, p.a.after(ctx, err)
}
