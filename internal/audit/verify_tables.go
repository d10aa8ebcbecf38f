package audit

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"
)

// page is some entries that were checked one by one, and what they say that the indexes must hold.
type page struct {
	entries []checked
	indexes indexSums
	differ  bool // an index does not hold one of them, or may not
	err     error
}

// checked is an entry without what it says.
type checked struct {
	position Position
	writer   string
	seq      uint64
	leaf     [32]byte
	problem  string // with the entry by itself
	declares *Drop
	// What was let go of: numbers of the writer up to the one may be gone, and entries up to the other.
	releasedSeq uint64
	released    Position
}

// walkTables goes through the entries after a position and gives that of the last. Pages are read and checked on all cores,
// a few ahead, and gone through in order. One long read would keep the writer from starting its WAL over.
func (r *Reader) walkTables(ctx context.Context, after Position, last map[string]uint64, indexes *indexCheck, dropped *droppedWalk, see Visit) (Position, error) {
	ctx, cancel := context.WithCancel(ctx)
	var readers sync.WaitGroup
	defer readers.Wait()
	defer cancel()
	pages := r.readAhead(ctx, after, indexes, &readers)
	for next := range pages {
		p := <-next
		if p.err != nil {
			return after, fmt.Errorf("audit: verifying: %w", p.err)
		}
		for i := range p.entries {
			e := &p.entries[i]
			if e.seq > max(last[e.writer], e.releasedSeq)+1 {
				if err := dropped.fill(ctx, e.writer, e.seq); err != nil {
					return after, err
				}
			}
			if problem := e.follows(last[e.writer]); problem != "" {
				return after, &BadEntryError{e.position, e.writer, e.seq, problem}
			}
			if err := see(e.writer, e.seq, e.leaf); err != nil {
				return after, err
			}
			dropped.meet(e)
			after = e.position
		}
		indexes.entries.join(&p.indexes)
		indexes.differ = indexes.differ || p.differ
	}
	return after, ctx.Err()
}

// readAhead reads the pages after a position, each of which it gives as soon as its reading has begun, in order.
func (r *Reader) readAhead(ctx context.Context, after Position, indexes *indexCheck, readers *sync.WaitGroup) <-chan chan page {
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
			readers.Go(func() { next <- r.readPage(ctx, start, end, indexes) })
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

// readPage reads and checks the entries after a position and up to another, as they are at one moment.
func (r *Reader) readPage(ctx context.Context, from, to Position, indexes *indexCheck) (p page) {
	tx, err := r.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return page{err: err}
	}
	defer func() { _ = tx.Rollback() }() // nothing was written
	x := indexer{check: indexes}
	if x.spans, p.err = readSpans(ctx, tx, from, to); p.err != nil {
		return p
	}
	p.entries, p.err = readChecked(ctx, tx, from, to, &x)
	p.indexes, p.differ = x.sums, x.differ
	return p
}

func readChecked(ctx context.Context, tx *sql.Tx, from, to Position, x *indexer) ([]checked, error) {
	var released Position
	if err := tx.QueryRowContext(ctx, "SELECT value FROM state WHERE name = 'released'").Scan(&released); err != nil {
		return nil, err
	}
	// All columns but the record in one: each would cost as much as the hash of it.
	const query = `SELECT id, writer, seq, leaf, ` + columnsAsLine + `, record FROM entries WHERE id > ? AND id <= ? ORDER BY id`
	rows, err := tx.QueryContext(ctx, query, from, to)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var (
		entries = make([]checked, 0, to-from)
		writers = writerCache{tx: tx}
		s       stored
	)
	for rows.Next() {
		if err := rows.Scan(&s.position, &s.writer, &s.seq, &s.leaf, &s.line, &s.canonical); err != nil {
			return nil, err
		}
		w, err := writers.of(ctx, s.writer)
		if err != nil {
			return nil, err
		}
		e := checked{position: s.position, writer: w.name, seq: s.seq, releasedSeq: w.released, released: released}
		said, problem, err := s.check(ctx, tx, w.name)
		if err != nil {
			return nil, err
		}
		if e.problem = problem; problem == "" {
			e.leaf = [32]byte(s.leaf)
			e.declares = declares(&said, s.canonical)
			x.add(s.position, &said)
		}
		entries = append(entries, e)
	}
	return entries, rows.Err()
}

// writerCache knows the writers of a page.
type writerCache struct {
	tx    *sql.Tx
	known map[int64]writerRow
}

// writerRow is a writer, without a name where there is none.
type writerRow struct {
	name     string
	released uint64
}

func (c *writerCache) of(ctx context.Context, id int64) (w writerRow, err error) {
	w, ok := c.known[id]
	if ok {
		return w, nil
	}
	err = c.tx.QueryRowContext(ctx, "SELECT name, released FROM writers WHERE id = ?", id).Scan(&w.name, &w.released)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return w, err
	}
	if c.known == nil {
		c.known = map[int64]writerRow{}
	}
	c.known[id] = w
	return w, nil
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

// stored is an entry as the table has it. Its bytes are the driver's, up to the next one.
type stored struct {
	position  Position
	writer    int64
	seq       uint64
	leaf      sql.RawBytes
	line      sql.RawBytes // see columnsAsLine
	canonical sql.RawBytes
	want      []byte // what the line must be; kept for its room
}

// columnsAsLine are the columns beside a record as one text. They are those of Summary.appendLine if and only if the text is
// the same, since no text of a summary holds a fieldEnd; of others, lengths have to be compared too.
const (
	columnsAsLine = `concat_ws(char(31), kind, exchange, user, team, app, action, reason, model, time,
		admitted, requests, input_tokens, output_tokens, cost)`
	lengthsAsLine = `concat_ws(char(31), octet_length(kind), octet_length(exchange), octet_length(user), octet_length(team),
		octet_length(app), octet_length(action), octet_length(reason), octet_length(model))`
)

// check gives what the entry says, or what is wrong with it by itself.
func (s *stored) check(ctx context.Context, tx *sql.Tx, writer string) (said Summary, problem string, err error) {
	if leaf := LeafHash(s.canonical, writer, s.seq); !bytes.Equal(leaf[:], s.leaf) {
		return said, "its hash is not that of its record", nil
	}
	said, ok := Summarize(s.canonical)
	if ok && s.says(&said) {
		return said, "", nil
	}
	if said, ok = summarizeDecoded(s.canonical); !ok {
		return said, "its record cannot be read", nil
	}
	same := s.says(&said)
	if same && !said.plain() {
		if same, err = s.hasLengths(ctx, tx, &said); err != nil {
			return said, "", err
		}
	}
	if !same {
		return said, "its columns do not say what its record says", nil
	}
	return said, "", nil
}

func (s *stored) says(said *Summary) bool {
	s.want = said.appendLine(s.want[:0])
	return bytes.Equal(s.want, s.line)
}

// hasLengths reports whether the columns are as long as what they should say.
func (s *stored) hasLengths(ctx context.Context, tx *sql.Tx, said *Summary) (bool, error) {
	var lengths []byte
	err := tx.QueryRowContext(ctx, "SELECT "+lengthsAsLine+" FROM entries WHERE id = ?", s.position).Scan(&lengths)
	if err != nil {
		return false, err
	}
	var want []byte
	for i, text := range said.texts() {
		if i > 0 {
			want = append(want, fieldEnd)
		}
		want = strconv.AppendInt(want, int64(len(text)), 10)
	}
	return bytes.Equal(want, lengths), nil
}
