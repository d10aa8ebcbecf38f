package audit

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/sqlite"
)

const (
	// checkpointBytes of records are written between two checkpoints, or checkpointEvery passes.
	checkpointBytes = 4 << 20
	checkpointEvery = time.Second
	// maxWALPages, 16 MiB, is how long the WAL may get before the writer pauses to empty it: at full load it is never
	// empty by itself, since records come in while a checkpoint runs. The ballast is twice as large.
	maxWALPages = 4096
	// overhead is about what a record takes beside its bytes: columns and index entries.
	overhead = 512
)

// write is the one goroutine that writes. It takes all that waits at a time, so that the more callers there are, the
// fewer commits each of their records costs.
func (l *Log) write() {
	defer close(l.written)
	var spare []*pending
	for range l.wake {
		// Callers that are ready to run get to hand in their records first: under load a commit then holds four times as
		// many, and an idle log loses nothing.
		runtime.Gosched()
		l.mu.Lock()
		batch, tasks, closed := l.waiting, l.tasks, l.closed
		l.waiting, l.tasks = spare[:0], nil
		l.mu.Unlock()

		for chunk := range slices.Chunk(batch, maxBatch) {
			l.store(chunk)
			if len(l.tail.steps) >= indexEvery && l.trouble.Load() == nil { // room on a full disk is for outcomes
				if err := l.index(indexEvery); err != nil {
					_ = l.fail(err)
				}
			}
		}
		for _, task := range tasks {
			task()
		}
		if closed {
			return // nothing is added once closed is set
		}
		clear(batch)
		spare = batch
	}
}

// store writes records and tells each caller how it went. When the disk is full, the ballast makes room and the outcomes
// are tried again: what was admitted must be closed, what was not can be refused.
func (l *Log) store(batch []*pending) {
	err := l.transact(batch)
	if err == nil {
		settle(batch, nil)
		return
	}
	t := l.fail(err)
	if !t.outcomes {
		settle(batch, t)
		return
	}
	if sqlite.IsFull(err) {
		// Moving the WAL into the file, which grows into the ballast's room, lets the WAL's own room be used again. If
		// it fails, what is left of the ballast must do.
		_, _, _ = sqlite.Checkpoint(context.Background(), l.conn)
	}
	batch = slices.DeleteFunc(batch, func(p *pending) bool {
		if p.row.kind == core.RecordOutcome {
			return false
		}
		p.done <- t
		return true
	})
	if len(batch) == 0 {
		return
	}
	if err := l.transact(batch); err != nil {
		settle(batch, l.fail(err))
		return
	}
	settle(batch, nil)
}

// settle answers the callers: a record's own error goes before err.
func settle(batch []*pending, err error) {
	for _, p := range batch {
		if p.err != nil {
			p.done <- p.err
		} else {
			p.done <- err
		}
	}
}

// transact writes records in one transaction. One that is recorded already, or that the database refuses for its own sake,
// keeps its error and takes no number; the others are not held up by it.
func (l *Log) transact(batch []*pending) (err error) {
	ctx := context.Background() // a transaction is not left half-way because one of its callers has gone
	started := l.o.Now()
	if _, err := l.begin.ExecContext(ctx); err != nil {
		return l.rollback(ctx, err)
	}
	seq, size := l.writer.seq, int64(0)
	steps := make([]step, 0, len(batch))
	defer func() {
		if err != nil {
			for _, s := range steps {
				delete(l.tail.seen, s)
			}
		}
	}()
	for _, p := range batch {
		var s step
		if p.err = nil; p.row.exchange != "" {
			s = step{p.row.exchange, p.row.kind}
			twice, err := l.recorded(ctx, s)
			if err != nil {
				return l.rollback(ctx, err)
			}
			if twice {
				p.err = ErrDuplicate
				continue
			}
		}
		leaf := LeafHash(p.row.canonical, l.writer.name, seq+1)
		_, err := l.add.ExecContext(ctx, p.row.args(l.writer.id, seq+1, leaf[:])...)
		if sqlite.IsOwnFault(err) {
			p.err = fmt.Errorf("audit: a record cannot be stored: %w", err)
			continue
		}
		if err != nil {
			return l.rollback(ctx, err)
		}
		l.tail.seen[s] = struct{}{}
		steps = append(steps, s)
		seq++
		size += int64(len(p.row.canonical)) + overhead
	}
	if _, err := l.commit.ExecContext(ctx); err != nil {
		return l.rollback(ctx, err)
	}
	written := int(seq - l.writer.seq)
	l.writer.seq = seq
	l.tail.add(steps)
	l.dirty.Store(true)
	if l.grown += size; l.grown >= checkpointBytes {
		l.grown = 0
		signal(l.checkpoint)
	}
	if l.o.Committed != nil {
		l.o.Committed(written, l.o.Now().Sub(started))
	}
	return nil
}

// rollback ends a transaction that failed with cause. SQLite may have ended it already, so its own error says nothing.
func (l *Log) rollback(ctx context.Context, cause error) error {
	_, _ = l.conn.ExecContext(ctx, "ROLLBACK")
	return cause
}

// checkpoints moves the WAL into the file beside the writer, who only waits when it has grown too long.
func (l *Log) checkpoints() {
	tick := time.NewTicker(checkpointEvery)
	defer tick.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-l.checkpoint:
		case <-tick.C:
		}
		if !l.dirty.Swap(false) {
			continue
		}
		pages, moved, err := sqlite.Checkpoint(context.Background(), l.side)
		if err == nil && pages > maxWALPages && moved < pages {
			err = l.do(func() error {
				_, _, err := sqlite.Checkpoint(context.Background(), l.conn)
				return err
			})
		}
		if err != nil && !errors.Is(err, ErrClosed) {
			l.dirty.Store(true)
			_ = l.fail(err)
		}
	}
}
