package replay

import (
	"maps"
	"slices"
)

const (
	// maxPeople is the default of Options.MaxPeople: some 30 MB.
	maxPeople = 100_000
	// maxKinds bounds everything else that is told apart: rules, versions, reasons, and names that are only looked up.
	maxKinds = 10_000
	// maxName bounds a name, in bytes. No name is longer; what a damaged log holds may be.
	maxName = 512
	// others stands for what was not told apart.
	others = "(others)"
)

// bounded holds a value for each key, up to most keys; what comes after those shares one.
type bounded[K comparable, V any] struct {
	most int
	of   map[K]*V
	rest V
	over bool // rest is in use
}

func newBounded[K comparable, V any](most int) bounded[K, V] {
	return bounded[K, V]{most: most, of: map[K]*V{}}
}

// at gives the value of a key, zero when the key is new. parts are the strings of the key.
func (b *bounded[K, V]) at(key K, parts ...string) *V {
	if v, ok := b.of[key]; ok {
		return v
	}
	if len(b.of) >= b.most || slices.ContainsFunc(parts, long) {
		b.over = true
		return &b.rest
	}
	v := new(V)
	b.of[key] = v
	return v
}

func long(s string) bool { return len(s) > maxName }

// names is a set of names.
type names struct{ bounded[string, struct{}] }

func (n *names) add(name string) {
	if name != "" {
		n.at(name, name)
	}
}

// list gives the names; nil when there were too many to keep.
func (n *names) list() []string {
	if n.over {
		return nil
	}
	return slices.AppendSeq([]string{}, maps.Keys(n.of))
}
