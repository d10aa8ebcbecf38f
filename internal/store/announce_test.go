package store

import (
	"context"
	"errors"
	"testing"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
)

// changed is a Store in which every change gives err.
type changed struct {
	Store
	err error
}

type changedTable[T any] struct {
	Table[T]
	err error
}

func (t changedTable[T]) Put(context.Context, T) error         { return t.err }
func (t changedTable[T]) Delete(context.Context, string) error { return t.err }

func (c changed) Teams() Table[core.Team]    { return changedTable[core.Team]{err: c.err} }
func (c changed) Users() Table[core.User]    { return changedTable[core.User]{err: c.err} }
func (c changed) Apps() Table[core.App]      { return changedTable[core.App]{err: c.err} }
func (c changed) Tasks() Table[core.Task]    { return changedTable[core.Task]{err: c.err} }
func (c changed) Limits() Table[quota.Limit] { return changedTable[quota.Limit]{err: c.err} }
func (c changed) Keys() Table[core.AppKey]   { return changedTable[core.AppKey]{err: c.err} }
func (c changed) Revocations() Table[core.Revocation] {
	return changedTable[core.Revocation]{err: c.err}
}

func (c changed) SigningKeys() Table[core.SigningKey] {
	return changedTable[core.SigningKey]{err: c.err}
}

type changedPolicies struct {
	Policies
	err error
}

func (p changedPolicies) Put(context.Context, core.PolicyVersion, int64) (core.PolicyVersion, error) {
	return core.PolicyVersion{}, p.err
}

func (c changed) Policies() Policies { return changedPolicies{err: c.err} }

func (c changed) Apply(context.Context, Objects) error { return c.err }

func (c changed) Provision(context.Context, core.User, core.Team) error { return c.err }

// TestAnnounce: every way to change what others load is told, once, and only when it was a change.
func TestAnnounce(t *testing.T) {
	for name, result := range map[string]error{"made": nil, "refused": errors.New("no")} {
		told := 0
		st := Announce(changed{err: result}, func(context.Context) { told++ })
		ctx := t.Context()
		for what, change := range map[string]func() error{
			"put a team":        func() error { return st.Teams().Put(ctx, core.Team{}) },
			"delete a team":     func() error { return st.Teams().Delete(ctx, "") },
			"put a user":        func() error { return st.Users().Put(ctx, core.User{}) },
			"delete a user":     func() error { return st.Users().Delete(ctx, "") },
			"put an app":        func() error { return st.Apps().Put(ctx, core.App{}) },
			"put a task":        func() error { return st.Tasks().Put(ctx, core.Task{}) },
			"put a limit":       func() error { return st.Limits().Put(ctx, quota.Limit{}) },
			"put a key":         func() error { return st.Keys().Put(ctx, core.AppKey{}) },
			"revoke":            func() error { return st.Revocations().Put(ctx, core.Revocation{}) },
			"put a signing key": func() error { return st.SigningKeys().Put(ctx, core.SigningKey{}) },
			"apply":             func() error { return st.Apply(ctx, Objects{}) },
			"provision":         func() error { return st.Provision(ctx, core.User{}, core.Team{}) },
			"put a policy": func() error {
				_, err := st.Policies().Put(ctx, core.PolicyVersion{}, 0)
				return err
			},
			"delete a revocation": func() error { return st.Revocations().Delete(ctx, "") },
		} {
			told = 0
			err := change()
			if !errors.Is(err, result) || (result == nil) != (told == 1) || told > 1 {
				t.Errorf("%s, %s: %v, told %d times", what, name, err, told)
			}
		}
	}
}
