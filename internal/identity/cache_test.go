package identity

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The cache against a list in order of use.
func TestCacheKeepsTheLatestUsed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		capacity := rapid.IntRange(1, 4).Draw(t, "capacity")
		c := newCache(capacity)
		values := map[byte]*token{}
		var order []byte // the latest used last
		use := func(k byte) {
			order = append(slices.DeleteFunc(order, func(o byte) bool { return o == k }), k)
		}
		key := rapid.ByteRange(0, 6)
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				k := key.Draw(t, "key")
				values[k] = &token{}
				c.put([32]byte{k}, values[k])
				use(k)
				if len(order) > capacity {
					order = order[1:]
				}
			},
			"get": func(t *rapid.T) {
				k := key.Draw(t, "key")
				got, ok := c.get([32]byte{k})
				if want := slices.Contains(order, k); ok != want || ok && got != values[k] {
					t.Fatalf("get %d: %v %v, want %v", k, got, ok, want)
				}
				if ok {
					use(k)
				}
			},
			"": func(t *rapid.T) {
				if len(c.entries) != len(order) || c.recent.Len() != len(order) {
					t.Fatalf("%d entries, %d in order, want %d", len(c.entries), c.recent.Len(), len(order))
				}
			},
		})
	})
}
