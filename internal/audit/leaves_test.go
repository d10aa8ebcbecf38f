package audit_test

import (
	"context"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
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

// TestShipmentsAreThoseOfTheTables: what a log gives from memory to be shipped is what a later one reads in the tables, records
// that no JSON holds as they are among it.
func TestShipmentsAreThoseOfTheTables(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.db")
	o := audit.Options{Path: path, MaxSize: 1 << 30}
	log := openLog(t, o)
	for i := range 50 {
		odd := outcomeRecord(i)
		odd.Model = strings.Repeat("\x00\xff\u2028", i)
		odd.Settled.Cost = core.MicroUSD(math.MaxInt64 - int64(i))
		appendAll(t, log, intentRecord(i), odd)
	}
	if _, err := log.End(t.Context()); err != nil { // all is in the tables
		t.Fatal(err)
	}
	told, err := log.Unshipped(t.Context(), 3, 90)
	must(t, err)
	part, err := log.Unshipped(t.Context(), 10, 7)
	must(t, err)
	must(t, log.Close(context.WithoutCancel(t.Context())))
	log = openLog(t, o)
	read, err := log.Unshipped(t.Context(), 3, 90)
	must(t, err)
	if diff := cmp.Diff(read, told); diff != "" || len(told) != 90 {
		t.Errorf("%d from memory: %s", len(told), diff)
	}
	if diff := cmp.Diff(read[7:14], part, cmpopts.IgnoreFields(audit.Shipment{}, "Opening")); diff != "" {
		t.Error(diff)
	}
}
