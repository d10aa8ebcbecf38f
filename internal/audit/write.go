package audit

import (
	"context"
	"runtime"
	"slices"

	"github.com/plumbline/plumbline/internal/core"
)

// write is the goroutine that makes records durable. It takes all that waits at a time, so that the more callers there
// are, the less each of their records costs.
func (l *Log) write() {
	defer close(l.written)
	var spare []*pending
	for range l.wake {
		// Callers that are ready to run get to hand in their records first: under load a group then holds several times as
		// many, and an idle log loses nothing.
		runtime.Gosched()
		l.mu.Lock()
		batch, closed := l.waiting, l.closed
		l.waiting = spare[:0]
		l.mu.Unlock()

		if l.journal.crowded() && l.trouble.Load() == nil {
			batch = l.holdBack(batch)
		}
		l.tail.shift(Position(l.indexed.Load()))
		for chunk := range slices.Chunk(batch, maxBatch) {
			l.store(chunk)
		}
		if n := l.journal.untaken(); n >= moveEvery || n > 0 && l.o.Durability == Replicated {
			signal(l.enough)
		}
		if closed && !l.anyWaiting() {
			return // nothing is added once closed is set
		}
		clear(batch)
		spare = batch
	}
}

// holdBack has all but outcomes wait until the mover has emptied the journal: what is left of it is for those, should the
// disk turn out to be full. The mover wakes the writer again.
func (l *Log) holdBack(batch []*pending) (outcomes []*pending) {
	var held []*pending
	for _, p := range batch {
		if p.row.kind == core.RecordOutcome {
			outcomes = append(outcomes, p)
		} else {
			held = append(held, p)
		}
	}
	l.mu.Lock()
	l.waiting = append(held, l.waiting...)
	l.mu.Unlock()
	signal(l.enough)
	return outcomes
}

func (l *Log) anyWaiting() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.waiting) > 0
}

// store writes records and tells each caller how it went. When the disk is full, the ballast makes room and the outcomes
// are tried again: what was admitted must be closed, what was not can be refused.
func (l *Log) store(batch []*pending) {
	t := l.trouble.Load()
	if t == nil {
		err := l.append(batch)
		if err == nil {
			settle(batch, nil)
			return
		}
		t = l.fail(err)
	}
	if !t.outcomes {
		settle(batch, t)
		return
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
	if err := l.append(batch); err != nil {
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

// append numbers records and writes them to the journal in one group. One that is recorded already keeps its error and
// takes no number.
func (l *Log) append(batch []*pending) error {
	started := l.o.Now()
	group := make([]numbered, 0, len(batch))
	known := len(l.tail.steps)
	undo := func() { l.tail.cut(known) }
	for _, p := range batch {
		var s step
		if p.err = nil; p.row.exchange != "" {
			s = step{p.row.exchange, p.row.kind}
			twice, err := l.recorded(context.Background(), s)
			if err != nil {
				undo()
				return err
			}
			if twice {
				p.err = ErrDuplicate
				continue
			}
		}
		l.tail.add(s)
		n := len(group) + 1
		p.position = l.writer.last + Position(n)
		group = append(group, numbered{row: p.row, position: p.position, seq: l.writer.seq + uint64(n)})
	}
	if len(group) == 0 {
		return nil
	}
	if err := l.journal.write(l.writer.name, group); err != nil {
		undo()
		return err
	}
	l.writer.last += Position(len(group))
	l.writer.seq += uint64(len(group))
	if l.o.Committed != nil {
		l.o.Committed(len(group), l.o.Now().Sub(started))
	}
	return nil
}
