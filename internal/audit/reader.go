package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/plumbline/plumbline/internal/sqlite"
	"github.com/plumbline/plumbline/migrations"
)

const (
	// maxLimit is the most entries that one statement gives.
	maxLimit = 1000
	// tailEvery is how long a new record may stay unseen by Tail.
	tailEvery = 200 * time.Millisecond
)

// Reader reads a log, also while another process writes it: every record that is durable, in the tables or still in the
// journal. Its methods are safe for concurrent use.
type Reader struct {
	path string
	db   *sql.DB
}

// OpenReader opens the log at path, which must exist, and never changes it.
func OpenReader(ctx context.Context, path string) (*Reader, error) {
	db, err := sqlite.Open(ctx, path, sqlite.Options{ReadOnly: true})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("audit: there is no log yet; `plumbline serve` makes it: %w", err)
	case err != nil:
		return nil, fmt.Errorf("audit: %w", err)
	}
	if err := sqlite.CheckSchema(ctx, db, migrations.SQLiteAudit); err != nil {
		return nil, errors.Join(fmt.Errorf("audit: %s: %w", path, err), db.Close())
	}
	return &Reader{path, db}, nil
}

// Close lets go of the file.
func (r *Reader) Close() error { return r.db.Close() }

// End is the position of the last record, zero for an empty log.
func (r *Reader) End(ctx context.Context) (Position, error) {
	recent, err := r.recent(ctx)
	return recent.end(), err
}

// Tail calls fn for each record after the given position, in order and each once, and goes on with those that come in
// until ctx ends or fn fails. It returns the error of either.
func (r *Reader) Tail(ctx context.Context, after Position, fn func(Entry) error) error {
	tick := time.NewTicker(tailEvery)
	defer tick.Stop()
	for {
		entries, err := r.following(ctx, after)
		if err != nil {
			return fmt.Errorf("audit: following: %w", err)
		}
		for _, e := range entries {
			if err := fn(e); err != nil {
				return err
			}
			after = e.Position
		}
		if len(entries) == maxLimit {
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// following gives the first entries after a position, at most maxLimit.
func (r *Reader) following(ctx context.Context, after Position) ([]Entry, error) {
	recent, err := r.recent(ctx)
	if err != nil {
		return nil, err
	}
	entries, err := r.read(ctx, selectEntry+"e.id > ? AND e.id <= ? ORDER BY e.id LIMIT ?", after, recent.after, maxLimit)
	if err != nil {
		return nil, err
	}
	for _, f := range recent.frames {
		if f.position <= after || len(entries) == maxLimit {
			continue
		}
		e, err := f.entry()
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// recent is what the journal held and the tables did not at one moment: the records after a position.
type recent struct {
	after  Position
	frames []frame
}

func (r *recent) end() Position { return r.after + Position(len(r.frames)) }

func (f *frame) entry() (Entry, error) {
	rec, err := Decode(f.canonical)
	if err != nil {
		return Entry{}, fmt.Errorf("entry %d: %w", f.position, err)
	}
	return Entry{f.position, f.writer, f.seq, LeafHash(f.canonical, f.writer, f.seq), f.canonical, rec}, nil
}

// rereads bounds how often the journal is read again because its segments were of different moments.
const rereads = 5

// recent reads the end of the log. The journal is read first: what is moved out of it meanwhile is then in the tables.
func (r *Reader) recent(ctx context.Context) (recent, error) {
	var out recent
	for try, gap := 0, true; gap && try < rereads; try++ {
		journal, err := readJournal(r.path)
		if err != nil {
			return out, err
		}
		if err := r.db.QueryRowContext(ctx, "SELECT coalesce(max(id), 0) FROM entries").Scan(&out.after); err != nil {
			return out, fmt.Errorf("audit: %w", err)
		}
		out.frames, gap = journal.after(out.after)
	}
	for i, f := range out.frames {
		if i > 0 && f.writer == out.frames[i-1].writer {
			continue
		}
		if known, err := r.knows(ctx, f.writer); err != nil || !known { // unknown ones are of another log
			out.frames = out.frames[:i]
			return out, err
		}
	}
	return out, nil
}

// knows reports whether a writer is one of this log's.
func (r *Reader) knows(ctx context.Context, writer string) (bool, error) {
	var n int
	if err := r.db.QueryRowContext(ctx, "SELECT count(*) FROM writers WHERE name = ?", writer).Scan(&n); err != nil {
		return false, fmt.Errorf("audit: %w", err)
	}
	return n > 0, nil
}

// selectEntry begins a statement for read.
const selectEntry = "SELECT e.id, w.name, e.seq, e.leaf, e.record, e.kind FROM entries AS e JOIN writers AS w ON w.id = e.writer WHERE "

// read gives the entries that a statement finds.
func (r *Reader) read(ctx context.Context, statement string, args ...any) (entries []Entry, err error) {
	err = r.each(ctx, func(e Entry) bool {
		entries = append(entries, e)
		return true
	}, statement, args...)
	return entries, err
}

// each calls fn for the entries that a statement finds, in its order, until fn returns false.
func (r *Reader) each(ctx context.Context, fn func(Entry) (more bool), statement string, args ...any) error {
	rows, err := r.db.QueryContext(ctx, statement, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var (
			e          Entry
			leaf, kind sql.RawBytes
		)
		if err := rows.Scan(&e.Position, &e.Writer, &e.Seq, &leaf, &e.Canonical, &kind); err != nil {
			return err
		}
		if copy(e.Leaf[:], leaf) != len(e.Leaf) {
			return fmt.Errorf("entry %d has a leaf hash of %d bytes", e.Position, len(leaf))
		}
		if e.Record, err = Decode(e.Canonical); err != nil {
			return fmt.Errorf("entry %d: %w", e.Position, err)
		}
		if !fn(e) {
			return nil
		}
	}
	return rows.Err()
}
