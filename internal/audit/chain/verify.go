package chain

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
)

// MismatchError says which of a writer's records are not those of a checkpoint. The first bad one is among From to To; both are
// 0 where two checkpoints contradict each other.
type MismatchError struct {
	Writer   string
	From, To uint64
	Problem  string
}

func (e *MismatchError) Error() string {
	if e.To == 0 {
		return fmt.Sprintf("audit: writer %s: %s", e.Writer, e.Problem)
	}
	return fmt.Sprintf("audit: writer %s, records %d to %d: %s", e.Writer, e.From, e.To, e.Problem)
}

// Verifier compares records with checkpoints. Its use is not concurrent.
type Verifier struct {
	writers map[string]*writer
	records uint64
	last    *writer // the one that was asked for last, since most records follow one of the same writer
	name    string  // of that
}

type writer struct {
	tree     Tree
	ahead    []Checkpoint // not reached yet, by size
	verified uint64       // how many records the last checkpoint fixed
}

// NewVerifier makes a verifier of checkpoints in any order, repeats among them. Two that give one writer different roots for
// one size are a *MismatchError: somebody rewrote the records and had them signed, or two writers had one name.
func NewVerifier(checkpoints []Checkpoint) (*Verifier, error) {
	v := &Verifier{writers: map[string]*writer{}}
	for _, c := range checkpoints {
		w := v.of(c.Writer)
		w.ahead = append(w.ahead, c)
	}
	for name, w := range v.writers {
		slices.SortFunc(w.ahead, func(a, b Checkpoint) int { return cmp.Compare(a.Size, b.Size) })
		for i := 1; i < len(w.ahead); i++ {
			if a, b := &w.ahead[i-1], &w.ahead[i]; a.Size == b.Size && a.Root != b.Root {
				return nil, &MismatchError{Writer: name, Problem: fmt.Sprintf("two checkpoints of %d records have different roots: its records were rewritten and signed anew, or two processes wrote under its name, as with a copied data directory", a.Size)}
			}
		}
		w.reach() // those of no records
	}
	return v, nil
}

func (v *Verifier) of(name string) *writer {
	if v.last != nil && v.name == name {
		return v.last
	}
	w := v.writers[name]
	if w == nil {
		w = &writer{}
		v.writers[name] = w
	}
	v.last, v.name = w, name
	return w
}

// Add takes the leaf hash of a writer's next record. Numbers begin at 1 and have no gaps; writers may alternate.
func (v *Verifier) Add(name string, seq uint64, leaf [sha256.Size]byte) error {
	w := v.of(name)
	if want := w.tree.Size() + 1; seq != want {
		return &MismatchError{name, want, max(want, seq), fmt.Sprintf("number %d was expected and %d came: records are missing or out of order", want, seq)}
	}
	w.tree.Append(leaf)
	v.records++
	if !w.reach() {
		return &MismatchError{name, w.verified + 1, w.tree.Size(), "a record was changed: they do not have the root of the checkpoint"}
	}
	return nil
}

// reach compares the tree with the checkpoints of its size.
func (w *writer) reach() bool {
	for len(w.ahead) > 0 && w.ahead[0].Size == w.tree.Size() {
		if w.ahead[0].Root != w.tree.Root() {
			return false
		}
		w.verified = w.tree.Size()
		w.ahead = w.ahead[1:]
	}
	return true
}

// Coverage says how much of what was added is fixed by checkpoints.
type Coverage struct {
	Records uint64 `json:"records"`
	// Fixed is how many of them a checkpoint fixes. The others came after the last checkpoint of their writer.
	Fixed   uint64 `json:"fixed"`
	Writers int    `json:"writers"`
	// Unfixed is how many writers have no checkpoint.
	Unfixed int `json:"unfixed"`
}

// Fixed is how many records of a writer a checkpoint fixes, of those that were added.
func (v *Verifier) Fixed(name string) uint64 {
	if w := v.writers[name]; w != nil {
		return w.verified
	}
	return 0
}

// Forget takes a writer out of what is verified, with its checkpoints: its records are not here.
func (v *Verifier) Forget(name string) {
	delete(v.writers, name)
	v.last = nil
}

// End says that all records were added. It returns a *MismatchError if a checkpoint names records that were not.
func (v *Verifier) End() (Coverage, error) {
	all := Coverage{Records: v.records, Writers: len(v.writers)}
	for _, name := range slices.Sorted(maps.Keys(v.writers)) {
		w := v.writers[name]
		if n := len(w.ahead); n > 0 {
			problem := fmt.Sprintf("some are missing: a checkpoint names %d records, and there are %d", w.ahead[n-1].Size, w.tree.Size())
			return all, &MismatchError{name, w.verified + 1, w.ahead[n-1].Size, problem}
		}
		all.Fixed += w.verified
		if w.verified == 0 {
			all.Unfixed++
		}
	}
	return all, nil
}
