// Package chain makes a writer's audit records tamper-evident: a Merkle tree over their leaf hashes (RFC 6962 section
// 2.1, hashed by golang.org/x/mod/sumdb/tlog), and signed checkpoints of it that are kept where the owner of the records
// cannot change them.
//
// A checkpoint of n records fixes each of them: whoever changes, removes, adds or reorders one of the n afterwards cannot
// make the same root again. What came after the last checkpoint is not fixed yet. The package knows leaf hashes only; it
// must not import the audit log, a store or a clock.
package chain

import (
	"crypto/sha256"
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// Tree is the Merkle tree of a growing list of leaves. It keeps the roots of the complete subtrees only, of which there
// are at most 64. The zero value is empty.
type Tree struct {
	size uint64
	// complete holds a root for each bit that is set in size, that of the largest subtree first.
	complete []tlog.Hash
}

// RestoreTree gives the tree of a size whose complete subtrees have these roots, as Subtrees gave them.
func RestoreTree(size uint64, subtrees []byte) (Tree, error) {
	if len(subtrees) != bits.OnesCount64(size)*sha256.Size {
		return Tree{}, fmt.Errorf("audit: a tree of %d records does not have %d bytes of subtrees", size, len(subtrees))
	}
	t := Tree{size: size}
	for ; len(subtrees) > 0; subtrees = subtrees[sha256.Size:] {
		t.complete = append(t.complete, tlog.Hash(subtrees[:sha256.Size]))
	}
	return t, nil
}

// Subtrees gives the roots of the complete subtrees, the largest first: with the size, all that is needed to go on.
func (t *Tree) Subtrees() []byte {
	all := make([]byte, 0, len(t.complete)*sha256.Size)
	for i := range t.complete {
		all = append(all, t.complete[i][:]...)
	}
	return all
}

// Append adds the hash of a leaf.
func (t *Tree) Append(leaf [sha256.Size]byte) {
	h := tlog.Hash(leaf)
	for n := t.size; n&1 == 1; n >>= 1 {
		last := len(t.complete) - 1
		h = tlog.NodeHash(t.complete[last], h)
		t.complete = t.complete[:last]
	}
	t.complete = append(t.complete, h)
	t.size++
}

// Size is how many leaves there are.
func (t *Tree) Size() uint64 { return t.size }

// Root is the hash of the whole tree.
func (t *Tree) Root() [sha256.Size]byte {
	if len(t.complete) == 0 {
		return sha256.Sum256(nil)
	}
	root := t.complete[len(t.complete)-1]
	for i := len(t.complete) - 2; i >= 0; i-- {
		root = tlog.NodeHash(t.complete[i], root)
	}
	return root
}
