package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/plumbline/plumbline/internal/sqlite"
)

const (
	// moveEvery is how many records in the journal are moved into the tables at once, or after moveAfter. The more, the
	// less each costs.
	moveEvery = 1024
	moveAfter = 500 * time.Millisecond

	// rowsAtOnce is how many rows one statement inserts.
	rowsAtOnce = 32

	// checkpointBytes of records are moved between two checkpoints, or checkpointEvery passes.
	checkpointBytes = 4 << 20
	checkpointEvery = time.Second
	// maxWALPages, 16 MiB, is how long the WAL may get before the mover pauses to empty it: at full load it is never
	// empty by itself, since records come in while a checkpoint runs. The ballast is twice as large.
	maxWALPages = 4096
	// overhead is about what a record takes beside its bytes: columns and index entries.
	overhead = 512
)

// move is the goroutine that puts the journal's records into the tables, and the only one that writes those.
func (l *Log) move() {
	defer close(l.moved)
	tick := time.NewTicker(moveAfter)
	defer tick.Stop()
	for last := false; !last; {
		select {
		case <-l.enough:
		case <-tick.C:
		case <-l.asked:
		case <-l.written:
			last = true
		}
		l.mu.Lock()
		tasks := l.tasks
		l.tasks = nil
		l.mu.Unlock()
		err := l.empty()
		signal(l.wake) // for those that were held back
		if l.o.Durability == Replicated && int64(l.stored) > l.shipped.Load() {
			signal(l.ship)
		}
		for _, task := range tasks {
			task(err)
		}
		l.measure()
	}
}

// empty moves all that the journal holds. What could not be moved stays there, and is tried again.
func (l *Log) empty() error {
	for {
		if len(l.taken) == 0 {
			l.taken = l.journal.take()
		}
		if len(l.taken) == 0 {
			return nil
		}
		n := min(len(l.taken), maxBatch)
		if err := l.insert(l.taken[:n]); err != nil {
			return err
		}
		clear(l.taken[:n])
		l.taken = l.taken[n:]
		if l.stored-Position(l.indexed.Load()) >= indexEvery && (l.trouble.Load() == nil || l.overfull()) { // room on a full disk is for records
			if err := l.index(indexEvery); err != nil {
				return l.fail(err)
			}
		}
	}
}

// insert puts records into the tables. When the disk is full, the ballast makes room and they are tried again.
func (l *Log) insert(records []numbered) error {
	err := l.transact(records)
	if err == nil {
		return nil
	}
	if t := l.fail(err); !t.outcomes || !sqlite.IsFull(err) {
		return t
	}
	// Moving the WAL into the file, which grows into the ballast's room, lets the WAL's own room be used again. If it
	// fails, what is left of the ballast must do.
	_, _, _ = sqlite.Checkpoint(context.Background(), l.conn)
	if err := l.transact(records); err != nil {
		return l.fail(err)
	}
	return nil
}

// transact writes records in one transaction, which is synced.
func (l *Log) transact(records []numbered) error {
	ctx := context.Background()
	if _, err := l.begin.ExecContext(ctx); err != nil {
		return l.rollback(ctx, err)
	}
	size := int64(0)
	l.adding = l.adding[:0]
	for rest := records; len(rest) > 0; {
		statement, n := l.addOne, 1
		if len(rest) >= rowsAtOnce {
			statement, n = l.addMany, rowsAtOnce
		}
		l.args = l.args[:0]
		for i := range rest[:n] {
			r := &rest[i]
			l.adding = append(l.adding, l.entryOf(r))
			l.args = r.appendArgs(l.args, r.position, l.writer.id, r.seq, l.adding[len(l.adding)-1].Hash[:])
			size += int64(len(r.canonical)) + overhead
		}
		if _, err := statement.ExecContext(ctx, l.args...); err != nil {
			return l.rollback(ctx, err)
		}
		rest = rest[n:]
	}
	clear(l.args[:cap(l.args)]) // they hold records
	if _, err := l.commit.ExecContext(ctx); err != nil {
		return l.rollback(ctx, err)
	}
	l.stored = records[len(records)-1].position
	l.recent.add(l.adding)
	clear(l.adding)
	l.dirty.Store(true)
	if l.grown += size; l.grown >= checkpointBytes {
		l.grown = 0
		signal(l.checkpoint)
	}
	return nil
}

// entryOf is a record with its leaf, and with its bytes where they are to be shipped.
func (l *Log) entryOf(r *numbered) recentEntry {
	e := recentEntry{Leaf: Leaf{r.position, l.writer.name, r.seq, LeafHash(r.canonical, l.writer.name, r.seq)}}
	if l.o.MaxSize > 0 {
		e.canonical = r.canonical
	}
	return e
}

// rollback ends a transaction that failed with cause. SQLite may have ended it already, so its own error says nothing.
func (l *Log) rollback(ctx context.Context, cause error) error {
	_, _ = l.conn.ExecContext(ctx, "ROLLBACK")
	return cause
}

// do has the mover run task, after it has moved all that is recorded by now, and waits for it or, when ctx ends first, lets
// it run alone.
func (l *Log) do(ctx context.Context, task func() error) error {
	done := make(chan error, 1)
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return ErrClosed
	}
	l.tasks = append(l.tasks, func(err error) {
		if err == nil {
			err = task()
		}
		done <- err
	})
	signal(l.asked)
	l.mu.Unlock()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// checkpoints moves the WAL into the file beside the mover, who only waits when it has grown too long.
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
			err = l.do(context.Background(), func() error {
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

// takeOver moves into the tables what the journal of a writer that died still holds. Frames of a writer that the tables
// do not know belong to another log.
func (l *Log) takeOver(ctx context.Context) error {
	var last Position
	if err := l.conn.QueryRowContext(ctx, "SELECT coalesce(max(id), 0) FROM entries").Scan(&last); err != nil {
		return err
	}
	journal, err := readJournal(l.o.Path)
	if err != nil {
		return err
	}
	frames, gap := journal.after(last)
	tx, err := l.conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	taken := 0
	for _, f := range frames {
		var writer int64
		err := tx.QueryRowContext(ctx, "SELECT id FROM writers WHERE name = ?", f.writer).Scan(&writer)
		if errors.Is(err, sql.ErrNoRows) {
			gap = true
			break
		}
		if err != nil {
			return err
		}
		rec, err := Decode(f.canonical)
		if err != nil {
			return err
		}
		leaf := LeafHash(f.canonical, f.writer, f.seq)
		r := row{columnsOf(rec), f.canonical}
		if _, err := tx.ExecContext(ctx, insert(1), r.appendArgs(nil, f.position, writer, f.seq, leaf[:])...); err != nil {
			return fmt.Errorf("record %d of the journal: %w", f.position, err)
		}
		taken++
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	if taken > 0 {
		l.o.Logger.Info("took over the records that an earlier Plumbline had not put into the audit's tables", "records", taken)
	}
	if gap {
		return l.keepJournal(last + Position(taken))
	}
	return nil
}

// keepJournal copies the journal before it is written over, where it holds records that cannot be taken over.
func (l *Log) keepJournal(after Position) error {
	at := l.o.Now().UTC().Format("20060102T150405.000000")
	for _, p := range journalPaths(l.o.Path) {
		if err := copyFile(p, p+"."+at); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("keeping what cannot be taken over: %w", err)
		}
	}
	l.o.Logger.Error("the audit's journal holds records that do not follow those of its tables: the power was lost, the tables' WAL was cut, or it is of another log; they are left out, and the journal is kept beside it",
		"after", int64(after), "kept", journalPaths(l.o.Path)[0]+"."+at)
	return nil
}
