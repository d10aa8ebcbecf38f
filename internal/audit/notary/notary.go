// Package notary signs checkpoints of what an audit log holds, and has them kept where the owner of the records cannot
// change them; and it holds records against checkpoints.
//
// It works beside the log: it reads leaf hashes that are in the log's tables already, and no request waits for it. A
// checkpoint is kept in the log first, then in the store that records are shipped to, then at the second place: so nothing
// stands at the second place that the store lacks, and what is missing there was taken out.
//
// Signing that fails, or a second place that takes nothing, stops no traffic: it is logged, counted, and tried again. Records
// go on being durable, and what waits is fixed by the next checkpoint.
//
// The package imports audit and audit/chain; it must not know a database, the gate or the configuration.
package notary

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/chain"
	"github.com/plumbline/plumbline/internal/wait"
)

const (
	// lookEvery is how often the log is looked at for records to sign.
	lookEvery = time.Second
	// atOnce is how many leaves are read, and checkpoints sent, at a time.
	atOnce = 1000
	// keptAtOnce is how many checkpoints the log is given in one transaction.
	keptAtOnce = 64
)

// Log is what is signed. See audit.Log, which implements it.
type Log interface {
	Leaves(ctx context.Context, after, upTo audit.Position, limit int) ([]audit.Leaf, error)
	ShippedUpTo() audit.Position
	Fixed(ctx context.Context) (audit.Position, audit.Marks, error)
	LastCheckpoint(ctx context.Context, writer string) (audit.Checkpoint, error)
	Begins(ctx context.Context, writer string) (uint64, error)
	Fix(ctx context.Context, signed []audit.Checkpoint, upTo audit.Position, m audit.Marks, trim bool) error
	Checkpoints(ctx context.Context, after, upTo int64, limit int) ([]audit.Checkpoint, error)
}

// Store is the store that the log's records are shipped to.
type Store interface {
	// PutCheckpoints keeps checkpoints. One that is there must change nothing. It must give those in whose place another
	// stands: then two processes sign for one writer.
	PutCheckpoints(ctx context.Context, signed []audit.Checkpoint) (conflicts []audit.Checkpoint, err error)
}

// Sink is the second place. It must have kept what it was given when Put returns.
type Sink interface {
	Put(ctx context.Context, signed []audit.Checkpoint) error
}

// Options are what a notary is made of. Log, Signer, Keys and Sink are required.
type Options struct {
	Log    Log
	Signer *chain.Signer
	Keys   chain.Keys // of the signer
	Store  Store      // nil where the log is the store
	Sink   Sink
	Now    func() time.Time // time.Now if nil
	Logger *slog.Logger     // discards if nil
}

// Notary signs. Run is called once, Finish after it has ended; the counts are safe for concurrent use.
type Notary struct {
	o Options

	opened  bool
	read    audit.Position // of the last leaf that is in a tree
	marks   audit.Marks    // as they are
	noted   audit.Marks    // as the log was told
	writers map[string]*writer
	waiting time.Time // since when the oldest record waits for the second place; zero when none does
	failing bool

	fixed                                      atomic.Int64 // position, as the log was told
	failures, published, records, unfixedSince atomic.Int64
}

// writer is a tree with what the log knows of it.
type writer struct {
	*chain.Writer
	behind audit.Position // of the first record behind the last checkpoint, zero when there is none
	// lost says that records of the writer are missing here, so that there is no tree to sign.
	lost bool
}

// New makes a notary. It does nothing before Run.
func New(o Options) *Notary {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Notary{o: o, writers: map[string]*writer{}}
}

// Counts say how the signing goes.
type Counts struct {
	Failures int64
	// Published is when the last checkpoint reached the second place, and Records how many records of its writer it fixes;
	// both are zero when none has since the start.
	Published time.Time
	Records   int64
	// Unfixed is since when the oldest record waits for a checkpoint at the second place; zero when none does.
	Unfixed time.Time
}

// Counts gives the counts.
func (n *Notary) Counts() Counts {
	return Counts{
		Failures: n.failures.Load(), Published: at(n.published.Load()), Records: n.records.Load(), Unfixed: at(n.unfixedSince.Load()),
	}
}

func at(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

// Hold is the position that the log must not let go of entries beyond: what comes after it is not signed yet.
func (n *Notary) Hold() audit.Position { return audit.Position(n.fixed.Load()) }

// Run signs what is due until ctx ends, and returns its error.
func (n *Notary) Run(ctx context.Context) error {
	for {
		n.attempt(ctx, false)
		if err := wait.For(ctx, lookEvery); err != nil {
			return err
		}
	}
}

// Finish signs and sends all that the tables hold. It is called at the stop, after what is to be shipped was shipped.
func (n *Notary) Finish(ctx context.Context) error { return n.step(ctx, true) }

// attempt is a step whose failure is told once for each outage.
func (n *Notary) attempt(ctx context.Context, last bool) {
	err := n.step(ctx, last)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		n.failures.Add(1)
		if !n.failing {
			n.o.Logger.Error("audit checkpoints cannot be signed or kept now; records go on, and what waits is not protected against tampering until this is mended", "error", err)
		}
		n.failing = true
	case n.failing:
		n.failing = false
		n.o.Logger.Info("audit checkpoints are signed and kept again")
	}
}

// step signs what is due, or at the end all there is, and sends what was signed to the other places.
func (n *Notary) step(ctx context.Context, last bool) error {
	err := n.open(ctx)
	if err == nil {
		err = n.sign(ctx, last)
	}
	if err == nil {
		err = n.send(ctx)
	}
	if err == nil {
		n.waiting = n.behind()
	}
	since := int64(0)
	if !n.waiting.IsZero() {
		since = n.waiting.UnixMicro()
	}
	n.unfixedSince.Store(since)
	if err == nil && last && n.noted != n.marks {
		err = n.keep(ctx, nil)
	}
	return err
}

// behind is since when the oldest record that is in a tree waits for a checkpoint.
func (n *Notary) behind() (oldest time.Time) {
	for _, w := range n.writers {
		if since := w.Since(); !since.IsZero() && (oldest.IsZero() || since.Before(oldest)) {
			oldest = since
		}
	}
	return oldest
}

// open reads where the notary before this one stopped.
func (n *Notary) open(ctx context.Context) (err error) {
	if n.opened {
		return nil
	}
	if n.read, n.marks, err = n.o.Log.Fixed(ctx); err != nil {
		return err
	}
	n.fixed.Store(int64(n.read))
	n.noted, n.opened = n.marks, true
	return nil
}

// sign takes new leaves into the trees and keeps the checkpoints that are due.
func (n *Notary) sign(ctx context.Context, last bool) error {
	upTo := audit.Position(1<<63 - 1)
	if n.o.Store != nil {
		upTo = n.o.Log.ShippedUpTo()
	}
	var signed []audit.Checkpoint
	for more := true; more; {
		leaves, err := n.o.Log.Leaves(ctx, n.read, upTo, atOnce)
		if err != nil {
			return errors.Join(err, n.keepAll(ctx, signed))
		}
		for i := range leaves {
			if signed, err = n.add(ctx, &leaves[i], signed); err != nil {
				return errors.Join(err, n.keepAll(ctx, signed))
			}
			n.read = leaves[i].Position
		}
		if more = len(leaves) == atOnce; !more {
			if signed, err = n.due(signed, last); err != nil {
				return errors.Join(err, n.keepAll(ctx, signed))
			}
		}
		if !more || len(signed) >= keptAtOnce { // each time is a sync of the disk
			if err := n.keepAll(ctx, signed); err != nil {
				return err
			}
			signed = signed[:0]
		}
	}
	return nil
}

// add takes a leaf into its writer's tree, and gives the checkpoint that it makes due.
func (n *Notary) add(ctx context.Context, leaf *audit.Leaf, signed []audit.Checkpoint) ([]audit.Checkpoint, error) {
	w, err := n.of(ctx, leaf.Writer)
	if err != nil || w.lost || leaf.Seq <= w.Size() { // what is in the tree already is read again after a restart
		return signed, err
	}
	if want := w.Size() + 1; leaf.Seq != want {
		w.lost = true
		n.failures.Add(1)
		n.o.Logger.Error("audit records are missing, and no further checkpoint is signed for their writer; `plumbline audit verify` says more", "writer", leaf.Writer, "expected", want, "found", leaf.Seq)
		return signed, nil
	}
	if w.behind == 0 {
		w.behind = leaf.Position
	}
	now := n.o.Now()
	if n.waiting.IsZero() {
		n.waiting = now
	}
	w.Append(now, leaf.Hash)
	c, ok, err := w.Due(now)
	if err != nil || !ok {
		return signed, err
	}
	return append(signed, w.entry(c)), nil
}

// due signs for all writers whose time has come, or at the end for all that have something behind.
func (n *Notary) due(signed []audit.Checkpoint, last bool) ([]audit.Checkpoint, error) {
	for _, w := range n.writers {
		if w.behind == 0 { // as with one that is lost, once what comes before the gap is signed
			continue
		}
		sign := w.Due
		if last {
			sign = w.Last
		}
		c, ok, err := sign(n.o.Now())
		if err != nil {
			return signed, err
		}
		if ok {
			signed = append(signed, w.entry(c))
		}
	}
	return signed, nil
}

// entry is a checkpoint as the log keeps it.
func (w *writer) entry(c chain.Checkpoint) audit.Checkpoint {
	w.behind = 0
	return audit.Checkpoint{Writer: c.Writer, Size: c.Size, Note: c.Note, Subtrees: w.Subtrees()}
}

// of gives a writer with the tree of its last checkpoint.
func (n *Notary) of(ctx context.Context, name string) (*writer, error) {
	if w := n.writers[name]; w != nil {
		return w, nil
	}
	kept, err := n.o.Log.LastCheckpoint(ctx, name)
	if err != nil {
		return nil, err
	}
	tree, err := n.restore(&kept)
	w := &writer{Writer: chain.ResumeWriter(name, n.o.Signer, tree)}
	if err != nil {
		w.lost = true // others are signed nevertheless
		n.failures.Add(1)
		n.o.Logger.Error("no further checkpoint is signed for an earlier start", "writer", name, "error", err)
	}
	if begins, err := n.o.Log.Begins(ctx, name); err != nil {
		return nil, err
	} else if kept.Size == 0 && begins > 1 {
		w.lost = true // from before there were checkpoints
		n.o.Logger.Warn("audit records of an earlier start were let go of before checkpoints were signed; its rest has none either", "writer", name, "from", begins)
	}
	n.writers[name] = w
	return w, nil
}

// restore gives the tree that a checkpoint was signed of. One that was signed with another key is believed to have it: should
// somebody have changed it, what is signed on top does not fit what was published.
func (n *Notary) restore(kept *audit.Checkpoint) (chain.Tree, error) {
	tree, err := chain.RestoreTree(kept.Size, kept.Subtrees)
	if err != nil || kept.Size == 0 {
		return tree, err
	}
	c, err := n.o.Keys.Parse(kept.Note)
	switch {
	case errors.Is(err, chain.ErrUnknownKey):
		return tree, nil
	case err != nil:
		return tree, fmt.Errorf("the last checkpoint of writer %s in the log was changed: %w", kept.Writer, err)
	case c.Writer != kept.Writer || c.Size != kept.Size || c.Root != tree.Root():
		return tree, fmt.Errorf("the tree of writer %s in the log is not that of its last checkpoint: it was changed", kept.Writer)
	}
	return tree, nil
}

// keepAll keeps checkpoints, if there are any.
func (n *Notary) keepAll(ctx context.Context, signed []audit.Checkpoint) error {
	if len(signed) == 0 {
		return nil
	}
	return n.keep(ctx, signed)
}

// keep has the log keep checkpoints and how far all got. When it fails the trees are read again from the log's last state.
func (n *Notary) keep(ctx context.Context, signed []audit.Checkpoint) error {
	upTo := n.read
	for _, w := range n.writers {
		if w.behind != 0 {
			upTo = min(upTo, w.behind-1)
		}
	}
	if err := n.o.Log.Fix(ctx, signed, upTo, n.marks, n.o.Store != nil); err != nil {
		n.opened = false
		clear(n.writers)
		return err
	}
	n.fixed.Store(int64(upTo))
	n.noted = n.marks
	return nil
}

// send brings checkpoints to the store and then to the second place.
func (n *Notary) send(ctx context.Context) error {
	upTo := int64(1<<63 - 1)
	if n.o.Store != nil {
		err := n.each(ctx, &n.marks.Sent, upTo, func(page []audit.Checkpoint) error {
			conflicts, err := n.o.Store.PutCheckpoints(ctx, page)
			for _, c := range conflicts {
				n.failures.Add(1)
				n.o.Logger.Error("the audit's store has another checkpoint of the same size for this writer: two processes sign as one, as with a copied data directory, or somebody changed it", "writer", c.Writer, "records", c.Size)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("sending checkpoints to the store: %w", err)
		}
		upTo = n.marks.Sent
	}
	err := n.each(ctx, &n.marks.Published, upTo, func(page []audit.Checkpoint) error {
		if err := n.o.Sink.Put(ctx, page); err != nil {
			return err
		}
		n.published.Store(n.o.Now().UnixMicro())
		n.records.Store(int64(page[len(page)-1].Size))
		return nil
	})
	if err != nil {
		return fmt.Errorf("publishing checkpoints: %w", err)
	}
	return nil
}

// each calls do for the checkpoints after a mark, and moves the mark on.
func (n *Notary) each(ctx context.Context, mark *int64, upTo int64, do func([]audit.Checkpoint) error) error {
	for {
		page, err := n.o.Log.Checkpoints(ctx, *mark, upTo, atOnce)
		if err != nil || len(page) == 0 {
			return err
		}
		if err := do(page); err != nil {
			return err
		}
		*mark = page[len(page)-1].ID
	}
}
