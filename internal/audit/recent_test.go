package audit

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestRecentLeaves holds what is kept in memory against all leaves that ever were.
func TestRecentLeaves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r recentLeaves
		var all []Leaf
		for range rapid.IntRange(1, 40).Draw(t, "batches") {
			next := Position(1)
			if len(all) > 0 {
				next = all[len(all)-1].Position + 1
			}
			if rapid.IntRange(0, 19).Draw(t, "gap") == 0 {
				next += 5
				all = nil // what came before cannot be asked for
			}
			var batch []Leaf
			for range rapid.IntRange(1, maxBatch).Draw(t, "entries") {
				batch = append(batch, Leaf{Position: next, Seq: uint64(next), Hash: [32]byte{byte(next), byte(next >> 8)}})
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
		got, ok := r.between(after, upTo, limit)
		if want := after+1 >= first && int64(last-after) <= leavesKept; want && !ok {
			t.Fatalf("the last %d of %d are gone", last-after, len(all))
		}
		if after+1 < first && ok {
			t.Fatal("what was never added is there")
		}
		if !ok {
			return
		}
		var want []Leaf
		for _, leaf := range all {
			if leaf.Position > after && leaf.Position <= upTo && len(want) < limit {
				want = append(want, leaf)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" && !(len(want) == 0 && len(got) == 0) {
			t.Fatal(diff)
		}
		if len(r.leaves) > 2*leavesKept {
			t.Fatalf("%d leaves are kept", len(r.leaves))
		}
	})
}
