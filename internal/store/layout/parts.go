package layout

import (
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/store"
)

// Part is a kind of object in a document of control data, for what is done with every kind in turn.
type Part struct {
	Kind[any]
	// In gives the objects of the kind that a document has.
	In func(store.Objects) []any
	// Read reads one more object of the kind into a document.
	Read func(Scanner, *store.Objects) error
}

// Parts are all kinds of a document. What others refer to comes first: what refers to something that failed would fail for
// no fault of its own.
var Parts = []Part{
	part(Teams, func(o *store.Objects) *[]core.Team { return &o.Teams }),
	part(Users, func(o *store.Objects) *[]core.User { return &o.Users }),
	part(Apps, func(o *store.Objects) *[]core.App { return &o.Apps }),
	part(Tasks, func(o *store.Objects) *[]core.Task { return &o.Tasks }),
	part(Limits, func(o *store.Objects) *[]quota.Limit { return &o.Limits }),
	part(Keys, func(o *store.Objects) *[]core.AppKey { return &o.Keys }),
	part(Revocations, func(o *store.Objects) *[]core.Revocation { return &o.Revocations }),
	part(SigningKeys, func(o *store.Objects) *[]core.SigningKey { return &o.SigningKeys }),
	part(Calibrations, func(o *store.Objects) *[]core.Calibration { return &o.Calibrations }),
	part(SystemPrompts, func(o *store.Objects) *[]core.SystemPrompt { return &o.SystemPrompts }),
}

func part[T any](k Kind[T], list func(*store.Objects) *[]T) Part {
	return Part{
		Kind: k.untyped(),
		In: func(o store.Objects) (all []any) {
			for _, object := range *list(&o) {
				all = append(all, object)
			}
			return all
		},
		Read: func(row Scanner, into *store.Objects) error {
			object, err := k.Scan(row)
			if err == nil {
				all := list(into)
				*all = append(*all, object)
			}
			return err
		},
	}
}

// untyped is the kind for who does not know its type. What is none stays none.
func (k Kind[T]) untyped() Kind[any] {
	u := Kind[any]{
		Name: k.Name, Table: k.Table, Columns: k.Columns, Expires: k.Expires, Referrer: k.Referrer,
		ID: untyped(k.ID), Validate: untyped(k.Validate), Values: untyped(k.Values), Refers: untyped(k.Refers), Hash: untyped(k.Hash),
		Scan: func(row Scanner) (any, error) { return k.Scan(row) },
	}
	for _, m := range k.Members {
		u.Members = append(u.Members, Members[any]{m.Table, m.Owner, m.Column, untyped(m.IDs)})
	}
	return u
}

func untyped[T, R any](f func(T) R) func(any) R {
	if f == nil {
		return nil
	}
	return func(object any) R { return f(object.(T)) }
}
