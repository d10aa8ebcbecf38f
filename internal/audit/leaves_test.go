package audit_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/audit"
)

// TestLeavesAreThoseOfTheTables: what a log tells of its own entries from memory is what a later one reads in the tables.
func TestLeavesAreThoseOfTheTables(t *testing.T) {
	bounds := []struct {
		after, upTo audit.Position
		limit       int
	}{{0, 100, 1000}, {0, 100, 7}, {40, 60, 1000}, {100, 100, 10}, {99, 1000, 10}, {7, 3, 10}}
	read := func(log *audit.Log) (all [][]audit.Leaf) {
		t.Helper()
		for _, b := range bounds {
			leaves, err := log.Leaves(t.Context(), b.after, b.upTo, b.limit)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, append([]audit.Leaf{}, leaves...))
		}
		return all
	}

	path := filepath.Join(t.TempDir(), "audit.db")
	log := openLog(t, audit.Options{Path: path})
	for i := range 50 {
		appendAll(t, log, intentRecord(i), outcomeRecord(i))
	}
	if err := log.Fix(t.Context(), nil, 0, audit.Marks{}, false); err != nil { // after all is in the tables
		t.Fatal(err)
	}
	told := read(log)
	if err := log.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(read(openLog(t, audit.Options{Path: path})), told); diff != "" {
		t.Error(diff)
	}
	if len(told[0]) != 100 {
		t.Errorf("%d leaves", len(told[0]))
	}
}
