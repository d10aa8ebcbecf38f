// Package schema reads numbered migrations and compares them with what a database says it has had, alike for every
// database that Plumbline keeps. It knows no database and imports nothing of Plumbline.
package schema

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// ErrMismatch is wrapped by errors which say that a database is not one that this version can use.
var ErrMismatch = errors.New("the database's schema does not fit")

// Migration is one numbered file.
type Migration struct {
	Version int
	Name    string
}

// List reads the migrations' names ("0001_name.sql", numbered from 1 without gaps), in order.
func List(migrations fs.FS) ([]Migration, error) {
	names, err := fs.Glob(migrations, "*.sql")
	if err != nil {
		return nil, fmt.Errorf("migrations: %w", err)
	}
	if len(names) == 0 {
		return nil, errors.New("there are no migrations")
	}
	var all []Migration
	for i, name := range names { // Glob sorts
		number, _, ok := strings.Cut(path.Base(name), "_")
		version, err := strconv.Atoi(number)
		if !ok || err != nil || version != i+1 || len(number) != 4 {
			return nil, fmt.Errorf("migration %s: want %04d_name.sql here", name, i+1)
		}
		all = append(all, Migration{version, name})
	}
	return all, nil
}

// Applied returns how many of the known migrations a database has had, or why it is not one of this version's. The database
// has so many tables, of which so many are called schema_version; found reads that one, in order. own is what Plumbline must
// be given instead of a database of others.
func Applied(known []Migration, tables, versioned int, own string, found func() ([]Migration, error)) (applied int, err error) {
	switch {
	case tables == 0:
		return 0, nil
	case versioned == 0:
		return 0, fmt.Errorf("%w: it was not made by Plumbline: give Plumbline a %s of its own", ErrMismatch, own)
	}
	all, err := found()
	if err != nil {
		return 0, err
	}
	return Compare(known, all)
}

// Compare returns how many of the known migrations a database has had, given those that it names, in order; or why it is
// not one of this version's.
func Compare(known, found []Migration) (applied int, err error) {
	for i, f := range found {
		switch {
		case i == len(known):
			return 0, fmt.Errorf("%w: it has %s, which this Plumbline does not know: run the newer Plumbline that upgraded it, or restore the copy from before",
				ErrMismatch, f.Name)
		case f != known[i]:
			return 0, fmt.Errorf("%w: it has %s where this Plumbline has %s: it is another kind of database, or comes from another branch of Plumbline",
				ErrMismatch, f.Name, known[i].Name)
		}
	}
	return len(found), nil
}
