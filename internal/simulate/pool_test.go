package simulate

import (
	"testing"

	"pgregory.net/rapid"
)

// What a replica's calls hold and have spent is covered by what the home knows, and in the end what was spent is posted.
func TestPoolIsCovered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p pool
		var holds []int64
		var pending, posted int64 // at the home
		fold := func(keep int64) {
			for _, s := range p.fold(keep) {
				if s.used < 0 || s.used > s.slab.amount {
					t.Fatalf("%d of a slab of %d", s.used, s.slab.amount)
				}
				pending -= s.slab.amount
				posted += s.used
			}
		}
		end := func() {
			h := holds[0]
			holds = holds[1:]
			p.giveBack(h, rapid.Int64Range(0, h).Draw(t, "spent"))
		}
		t.Repeat(map[string]func(*rapid.T){
			"lend": func(t *rapid.T) {
				n := rapid.Int64Range(1, 100).Draw(t, "slab")
				pending += n
				if len(p.slabs) > 0 && rapid.Bool().Draw(t, "grow") {
					p.grow(n)
				} else {
					p.add(slab{amount: n})
				}
			},
			"take": func(t *rapid.T) {
				if n := rapid.Int64Range(0, 60).Draw(t, "want"); p.take(n) {
					holds = append(holds, n)
				}
			},
			"end": func(t *rapid.T) {
				if len(holds) == 0 {
					t.Skip("no call")
				}
				end()
			},
			"fold": func(t *rapid.T) { fold(rapid.Int64Range(0, 50).Draw(t, "keep")) },
			"": func(t *rapid.T) {
				if p.spent+p.held > posted+pending || posted > p.spent || p.granted != pending || p.posted != posted {
					t.Fatalf("%+v, but the home has %d pending and %d posted", p, pending, posted)
				}
			},
		})
		for len(holds) > 0 {
			end()
		}
		if fold(0); pending != 0 || posted != p.spent {
			t.Fatalf("in the end %d are pending, %d posted of %d spent", pending, posted, p.spent)
		}
	})
}
