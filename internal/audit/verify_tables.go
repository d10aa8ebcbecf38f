package audit

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"runtime"
	"sync"

	"github.com/plumbline/plumbline/internal/core"
)

// page is some entries that were checked one by one, and against the indexes.
type page struct {
	entries []checked
	// index is what is wrong with the indexes of these entries, told after what is wrong with the entries themselves.
	index error
	err   error
}

// checked is an entry without what it says.
type checked struct {
	position Position
	writer   string
	seq      uint64
	leaf     [32]byte
	problem  string // with the entry by itself
	// What was let go of: numbers of the writer up to the one may be gone, and entries up to the other.
	releasedSeq uint64
	released    Position
}

// walkTables goes through the entries after a position and gives that of the last. Pages are read and checked on all cores,
// a few ahead, and gone through in order. One long read would keep the writer from starting its WAL over.
func (r *Reader) walkTables(ctx context.Context, after Position, last map[string]uint64, see Visit) (Position, error) {
	ctx, cancel := context.WithCancel(ctx)
	var readers sync.WaitGroup
	defer readers.Wait()
	defer cancel()
	pages := r.readAhead(ctx, after, &readers)
	for next := range pages {
		p := <-next
		if p.err != nil {
			return after, fmt.Errorf("audit: verifying: %w", p.err)
		}
		for i := range p.entries {
			e := &p.entries[i]
			if problem := e.follows(last[e.writer]); problem != "" {
				return after, &BadEntryError{e.position, e.writer, e.seq, problem}
			}
			if err := see(e.writer, e.seq, e.leaf); err != nil {
				return after, err
			}
			after = e.position
		}
		if p.index != nil {
			return after, p.index
		}
	}
	return after, ctx.Err()
}

// readAhead reads the pages after a position, each of which it gives as soon as its reading has begun, in order.
func (r *Reader) readAhead(ctx context.Context, after Position, readers *sync.WaitGroup) <-chan chan page {
	pages := make(chan chan page, runtime.GOMAXPROCS(0)-1)
	readers.Go(func() {
		defer close(pages)
		for from := after; ; {
			first, last, err := r.nextEntries(ctx, from)
			if err == nil && first == 0 {
				return
			}
			next := make(chan page, 1)
			if err != nil {
				next <- page{err: err}
			}
			select {
			case pages <- next:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
			// Not beyond what is there now: what comes in while a page is read belongs to the one after it.
			start, end := first-1, min(first-1+maxLimit, last)
			readers.Go(func() { next <- r.readPage(ctx, start, end) })
			from = end
		}
	})
	return pages
}

// nextEntries gives the first entry after a position, zero if there is none, and the last of all.
func (r *Reader) nextEntries(ctx context.Context, after Position) (first, last Position, err error) {
	const query = "SELECT coalesce((SELECT min(id) FROM entries WHERE id > ?), 0), coalesce((SELECT max(id) FROM entries), 0)"
	err = r.db.QueryRowContext(ctx, query, after).Scan(&first, &last)
	return first, last, err
}

// readPage reads and checks the entries after a position and up to another.
func (r *Reader) readPage(ctx context.Context, from, to Position) (p page) {
	if p.entries, p.err = r.readChecked(ctx, from, to); p.err != nil || len(p.entries) == 0 {
		return p
	}
	last := p.entries[len(p.entries)-1].position
	p.index = r.verifyIndexes(ctx, indexGaps, sql.Named("from", from), sql.Named("to", last))
	return p
}

func (r *Reader) readChecked(ctx context.Context, from, to Position) ([]checked, error) {
	const query = `SELECT e.id, coalesce(w.name, ''), e.seq, e.leaf, e.time, e.kind, e.exchange, e.user, e.team, e.app, e.action,
		e.reason, e.model, e.admitted, e.requests, e.input_tokens, e.output_tokens, e.cost, e.record,
		coalesce(w.released, 0), (SELECT value FROM state WHERE name = 'released')
		FROM entries AS e LEFT JOIN writers AS w ON w.id = e.writer WHERE e.id > ? AND e.id <= ? ORDER BY e.id`
	rows, err := r.db.QueryContext(ctx, query, from, to)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	entries := make([]checked, 0, to-from)
	writer := ""
	for rows.Next() {
		var s stored
		if err := s.scan(rows); err != nil {
			return nil, err
		}
		if string(s.writer) != writer {
			writer = string(s.writer)
		}
		e := checked{position: s.position, writer: writer, seq: s.seq, releasedSeq: s.releasedSeq, released: s.released}
		if e.problem = s.problem(writer); e.problem == "" {
			e.leaf = [32]byte(s.leaf)
		}
		entries = append(entries, e)
	}
	return entries, rows.Err()
}

// follows says what is wrong with the entry after the one of its writer with number last, or nothing.
func (e *checked) follows(last uint64) string {
	if e.writer == "" {
		return "its writer is missing"
	}
	want := max(last, e.releasedSeq) + 1
	if e.position <= e.released { // one that was kept: others between it and the last may be gone
		want = max(last+1, min(e.seq, e.releasedSeq))
	}
	if e.seq != want {
		return fmt.Sprintf("number %d was expected: records are missing", want)
	}
	return e.problem
}

// stored is an entry with its columns as they are. Its bytes are the driver's, up to the next one.
type stored struct {
	position Position
	writer   sql.RawBytes
	seq      uint64
	leaf     sql.RawBytes
	time     int64
	// kind, exchange, user, team, app, action, reason, model
	texts     [8]sql.RawBytes
	settled   [5]sql.NullInt64
	canonical sql.RawBytes
	// What was let go of: numbers of the writer up to the one may be gone, and entries up to the other.
	releasedSeq uint64
	released    Position
}

func (s *stored) scan(rows *sql.Rows) error {
	t, n := &s.texts, &s.settled
	return rows.Scan(&s.position, &s.writer, &s.seq, &s.leaf, &s.time, &t[0], &t[1], &t[2], &t[3], &t[4], &t[5], &t[6], &t[7],
		&n[0], &n[1], &n[2], &n[3], &n[4], &s.canonical, &s.releasedSeq, &s.released)
}

// problem says what is wrong with the entry by itself, or nothing.
func (s *stored) problem(writer string) string {
	if leaf := LeafHash(s.canonical, writer, s.seq); !bytes.Equal(leaf[:], s.leaf) {
		return "its hash is not that of its record"
	}
	if short, ok := Summarize(s.canonical); ok && s.saysShort(&short) {
		return ""
	}
	rec, err := Decode(s.canonical)
	if err != nil {
		return "its record cannot be read"
	}
	if !s.says(columnsOf(rec)) {
		return "its columns do not say what its record says"
	}
	return ""
}

// saysShort reports whether the columns are those of a summary.
func (s *stored) saysShort(short *Summary) bool {
	for i, want := range [...][]byte{short.Kind, short.Exchange, short.User, short.Team, short.App, short.Action, short.Reason, short.Model} {
		if !bytes.Equal(s.texts[i], want) {
			return false
		}
	}
	isSettled := short.hasSettled && string(short.Kind) == string(core.RecordOutcome)
	for i, n := range s.settled {
		if n.Valid != isSettled || isSettled && n.Int64 != short.settled[i] {
			return false
		}
	}
	return s.time == short.Time
}

// says reports whether the columns are those of a record.
func (s *stored) says(c columns) bool {
	for i, want := range [...]string{string(c.kind), c.exchange, c.user, c.team, c.app, c.action, c.reason, c.model} {
		if string(s.texts[i]) != want {
			return false
		}
	}
	return s.settled == c.settled && s.time == c.time
}
