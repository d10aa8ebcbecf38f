// Package layout says how control data lies in tables, alike in every dialect of SQL: which kinds of objects there are,
// their columns, what refers to what, and the words of refusals. It holds no SQL.
//
// It serves the packages that implement store.Store, and imports core, quota and store alone.
package layout

import (
	"fmt"
	"strings"

	"github.com/plumbline/plumbline/internal/store"
)

// Kind describes how one kind of object is kept.
type Kind[T any] struct {
	Name     string
	Table    string
	Columns  []string // the first is id; created stays on replacing
	Expires  string   // the column that says when an object may go; empty for kinds that stay
	Members  []Members[T]
	ID       func(T) string
	Validate func(T) error
	Values   func(T) []any               // one per column
	Scan     func(Scanner) (T, error)    // the columns, then the members
	Refers   func(T) map[string][]string // ids that must exist, by table; nil for none
	Hash     func(T) [32]byte            // kept in the column hash, in which no two objects are alike; nil for none
	Referrer []Referrer
}

// Members is a set of ids that an object holds, kept in a table of its own.
type Members[T any] struct {
	Table, Owner, Column string
	IDs                  func(T) []string
}

// Referrer is a column of another kind that may refer to this one.
type Referrer struct{ Name, Table, ID, Column string }

// Scanner is a row: of database/sql or of a driver that takes sql.Scanner.
type Scanner interface{ Scan(into ...any) error }

// Target is a table that others refer to, and what its objects are called.
type Target struct{ Table, Name string }

// Targets are the tables that Refers names.
var Targets = []Target{{"teams", "team"}, {"users", "user"}, {"apps", "app"}}

// MostNamed is how many other objects an error names.
const MostNamed = 5

// MostConflicts is how many objects of one document are complained about.
const MostConflicts = 20

// Dangling says which of the objects that a new one refers to do not exist: `team "red"`.
func (k Kind[T]) Dangling(id string, missing []string) error {
	return k.Conflict(id, "it refers to what does not exist: "+named(missing)+"; create that first")
}

// Needed says which objects refer to one that was to be deleted: `user "ann"`.
func (k Kind[T]) Needed(id string, referring []string) error {
	return k.Conflict(id, "others refer to it: "+named(referring)+"; change or delete those first")
}

// Taken says that another object has what none but one may have.
func (k Kind[T]) Taken(id string) error { return k.Conflict(id, "another one has the same hash") }

// Conflict is a store.ErrConflict about an object of the kind.
func (k Kind[T]) Conflict(id, detail string) error {
	return &store.ObjectError{Kind: k.Name, ID: id, Detail: detail, Err: store.ErrConflict}
}

// Missing is a store.ErrNotFound about an object of the kind.
func (k Kind[T]) Missing(id string) error {
	return &store.ObjectError{Kind: k.Name, ID: id, Err: store.ErrNotFound}
}

// Called names an object in an error.
func Called(name, id string) string { return fmt.Sprintf("%s %q", name, id) }

func named(objects []string) string {
	if len(objects) > MostNamed {
		objects = append(objects[:MostNamed:MostNamed], "and more")
	}
	return strings.Join(objects, ", ")
}
