package chain

import (
	"crypto/sha256"
	"sync"
	"time"
)

// When a checkpoint is due.
const (
	dueRecords = 1000
	dueTime    = 10 * time.Second
)

// Writer keeps the tree of the records that one writer makes, and signs a checkpoint when one is due: 1,000 records after
// the last, or 10 s after the first record behind it. It is safe for concurrent use.
type Writer struct {
	name   string
	signer *Signer

	mu     sync.Mutex
	tree   Tree
	signed uint64    // size of the last checkpoint
	since  time.Time // of the first record behind it
}

// NewWriter begins the tree of a writer.
func NewWriter(name string, signer *Signer) *Writer { return &Writer{name: name, signer: signer} }

// ResumeWriter goes on with a writer whose last checkpoint had this tree.
func ResumeWriter(name string, signer *Signer, tree Tree) *Writer {
	return &Writer{name: name, signer: signer, tree: tree, signed: tree.Size()}
}

// Size is how many records the tree has.
func (w *Writer) Size() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.tree.Size()
}

// Subtrees gives the tree's state. See Tree.Subtrees.
func (w *Writer) Subtrees() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.tree.Subtrees()
}

// Since is when the first record behind the last checkpoint became durable; zero when there is none.
func (w *Writer) Since() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.tree.Size() == w.signed {
		return time.Time{}
	}
	return w.since
}

// Append adds records that became durable at a time, in the order of their numbers.
func (w *Writer) Append(at time.Time, leaves ...[sha256.Size]byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.tree.Size() == w.signed {
		w.since = at
	}
	for _, leaf := range leaves {
		w.tree.Append(leaf)
	}
}

// Due gives a checkpoint if one is due.
func (w *Writer) Due(now time.Time) (Checkpoint, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	behind := w.tree.Size() - w.signed
	if behind == 0 || behind < dueRecords && now.Sub(w.since) < dueTime {
		return Checkpoint{}, false, nil
	}
	return w.sign(now)
}

// Last gives a checkpoint of all there is, at the end of a writer; false if the last one says it already.
func (w *Writer) Last(now time.Time) (Checkpoint, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.tree.Size() == w.signed {
		return Checkpoint{}, false, nil
	}
	return w.sign(now)
}

func (w *Writer) sign(now time.Time) (Checkpoint, bool, error) {
	c, err := w.signer.Sign(w.name, &w.tree, now)
	if err != nil {
		return Checkpoint{}, false, err
	}
	w.signed, w.since = c.Size, now
	return c, true, nil
}
