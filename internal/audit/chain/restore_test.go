package chain_test

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/internal/audit/chain"
)

// TestTreesGoOnFromTheirSubtrees: a restored tree grows as the one that it was.
func TestTreesGoOnFromTheirSubtrees(t *testing.T) {
	var tree chain.Tree
	for n := range 300 {
		restored, err := chain.RestoreTree(tree.Size(), tree.Subtrees())
		if err != nil {
			t.Fatal(err)
		}
		leaf := leafOf(fmt.Append(nil, n))
		tree.Append(leaf)
		restored.Append(leaf)
		if restored.Root() != tree.Root() || restored.Size() != tree.Size() {
			t.Fatalf("of %d leaves another root", tree.Size())
		}
	}
	for size, subtrees := range map[uint64]int{0: 32, 1: 0, 3: 32, 4: 31, 1<<64 - 1: 63 * 32} {
		if _, err := chain.RestoreTree(size, make([]byte, subtrees)); err == nil {
			t.Errorf("a tree of %d with %d bytes", size, subtrees)
		}
	}
}

// TestPublicKeys: the one that is derived is the one that was made with the private key, whatever its bytes are.
func TestPublicKeys(t *testing.T) {
	for range 200 { // base64 may hold a plus sign, as the parts of a key are divided by
		private, public, err := chain.NewKey(rand.Reader, "plumbline")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := chain.PublicKey(private + "\n"); err != nil || got != public {
			t.Fatalf("%q, %v, want %q", got, err, public)
		}
	}
	const secret = "PRIVATE+KEY+plumbline+0+canary"
	if _, err := chain.PublicKey(secret); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("a bad key: %v", err)
	}
}
