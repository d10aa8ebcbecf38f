package audit

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestRecentlyStored holds what is kept in memory against all entries that ever were.
func TestRecentlyStored(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r recentlyStored
		record := make([]byte, rapid.SampledFrom([]int{0, 900, 4000}).Draw(t, "size"))
		var all []recentEntry
		for range rapid.IntRange(1, 40).Draw(t, "batches") {
			next := Position(1)
			if len(all) > 0 {
				next = all[len(all)-1].Position + 1
			}
			if rapid.IntRange(0, 19).Draw(t, "gap") == 0 {
				next += 5
				all = nil // what came before cannot be asked for
			}
			var batch []recentEntry
			for range rapid.IntRange(1, maxBatch).Draw(t, "entries") {
				batch = append(batch, recentEntry{Leaf{Position: next, Seq: uint64(next)}, record})
				next++
			}
			r.add(batch)
			all = append(all, batch...)
			clear(batch) // the caller's
		}
		first, last := all[0].Position, all[len(all)-1].Position
		after := Position(rapid.Int64Range(int64(first)-3, int64(last)+2).Draw(t, "after"))
		upTo := Position(rapid.Int64Range(int64(first)-3, int64(last)+2).Draw(t, "upTo"))
		limit := rapid.IntRange(1, 5000).Draw(t, "limit")
		kept := recentEntries
		if len(record) > 0 {
			kept = min(kept, recentBytes/len(record))
		}
		got, ok := r.between(after, upTo, limit)
		if want := after+1 >= first && int64(last-after) <= int64(kept); want && !ok {
			t.Fatalf("the last %d of %d are gone", last-after, len(all))
		}
		if after+1 < first && ok {
			t.Fatal("what was never added is there")
		}
		if !ok {
			return
		}
		var want []Position
		for _, e := range all {
			if e.Position > after && e.Position <= upTo && len(want) < limit {
				want = append(want, e.Position)
			}
		}
		var positions []Position
		for _, e := range got {
			positions = append(positions, e.Position)
			if e.Seq != uint64(e.Position) || len(e.canonical) != len(record) {
				t.Fatalf("%+v", e)
			}
		}
		if diff := cmp.Diff(want, positions); diff != "" {
			t.Fatal(diff)
		}
		if n := len(r.entries); n > 2*recentEntries || n*len(record) > recentBytes || r.bytes != n*len(record) {
			t.Fatalf("%d entries of %d bytes are kept, %d bytes counted", n, len(record), r.bytes)
		}
	})
}
