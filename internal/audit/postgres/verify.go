package postgres

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/postgres"
)

// verifyAtOnce is how many records a walk reads at a time.
const verifyAtOnce = 4000

// Verify reads all records, as they were when it began, and checks that each leaf hash is that of its record, that the
// columns and the text that explains the verdict say what the record says, and that no number of any writer is missing up to
// the highest that was ever stored; the dead letters, and the hashes of months that were dropped, count as there. The first
// record that fails is returned as an *audit.BadEntryError, without a position: records of several processes have none.
// Where all records are as they were written, the counts of writers and all sums are held against them; the first sums that
// differ are returned as an *audit.BadSumError.
//
// It does not find a record that was rewritten together with its hash, or the end of a writer cut off together with its
// count: that shows only against hashes kept elsewhere. See package notary.
func (s *Store) Verify(ctx context.Context) (seen audit.Verified, err error) {
	err = s.InSnapshot(ctx, func(at *Snapshot) error {
		walked, err := at.Leaves(ctx, func(string, uint64, [32]byte) error { return nil })
		seen = walked.Verified
		return cmp.Or(err, walked.Derived)
	})
	return seen, err
}

// Snapshot is the store as it was at one moment. Its use is not concurrent.
type Snapshot struct{ tx pgx.Tx }

// At is the store as a transaction sees it.
func At(tx pgx.Tx) *Snapshot { return &Snapshot{tx} }

// InSnapshot calls use with the store as it is now.
func (s *Store) InSnapshot(ctx context.Context, use func(*Snapshot) error) error {
	begin := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	return postgres.Explain(pgx.BeginTxFunc(ctx, s.pool.Pool, begin, func(tx pgx.Tx) error { return use(At(tx)) }))
}

// Leaves does what Store.Verify does, and visits each record's leaf hash.
func (s *Snapshot) Leaves(ctx context.Context, visit audit.Visit) (audit.Walked, error) {
	w := &walk{tx: s.tx, visit: visit, sequences: map[string]*sequence{}}
	if err := w.prepare(ctx); err != nil {
		return audit.Walked{}, err
	}
	if err := w.records(ctx); err != nil {
		return w.found, err
	}
	w.found.Writers = int64(len(w.sequences)) // those that have records
	if err := w.end(ctx); err != nil {
		return w.found, err
	}
	return w.found, w.endSums(ctx)
}

// records goes through all records. While some are checked, the server sends the next ones.
func (w *walk) records(ctx context.Context) error {
	free, pages, stop := make(chan *page, 2), make(chan *page), make(chan struct{})
	free <- newPage()
	free <- newPage()
	go func() {
		defer close(pages)
		w.readAhead(ctx, free, pages, stop)
	}()
	defer func() {
		close(stop) // and not the context's end, which would cost the connection, whose transaction may go on
		for range pages {
		}
	}()
	for p := range pages {
		for i := range p.rows {
			if err := w.record(ctx, &p.rows[i]); err != nil {
				return err
			}
		}
		if p.err != nil {
			return p.err
		}
		w.found.Records += int64(len(p.rows))
		free <- p
	}
	return nil
}

// readAhead reads all records into free pages.
func (w *walk) readAhead(ctx context.Context, free <-chan *page, pages chan<- *page, stop <-chan struct{}) {
	after := row{place: place{at: minTime}}
	for more := true; more; {
		var p *page
		select {
		case p = <-free:
		case <-stop:
			return
		}
		w.reading.Lock()
		more, p.err = p.read(ctx, w.tx, &after)
		w.reading.Unlock()
		if n := len(p.rows); n > 0 {
			after.place, after.class = p.rows[n-1].place, p.rows[n-1].class
		}
		more = more && p.err == nil
		select {
		case pages <- p:
		case <-stop:
			return
		}
	}
}

// minTime comes before all times.
const minTime = -1 << 63

// row is a record with its columns as they are.
type row struct {
	place
	class                                                                                string
	leaf, record, kind, exchange, user, team, app, action, reason, modelOf, task, intent []byte
	explanation                                                                          int64
}

// page is some records, whose bytes lie one after the other. It is used again for the next ones.
type page struct {
	rows   []row
	bytes  []byte
	writer string // of the last row: most have the same
	err    error
}

// newPage has room for what most pages hold: one that grows is copied again and again.
func newPage() *page {
	return &page{rows: make([]row, 0, verifyAtOnce), bytes: make([]byte, 0, pageBytes/4)}
}

// pageBytes bounds a page, beyond its last record.
const pageBytes = 32 << 20

// read reads the records after another. more reports that there may be others after them.
func (p *page) read(ctx context.Context, tx pgx.Tx, after *row) (more bool, err error) {
	const query = `SELECT recorded_at, seq, explanation, writer, class, leaf, record, kind, exchange, "user", team, app, action, reason, model, task, intent
		FROM plumbline_audit.records WHERE recorded_at >= $1::bigint AND (recorded_at, writer, seq, class) > ($1::bigint, $2::text, $3::bigint, $4::text)
		ORDER BY recorded_at, writer, seq, class LIMIT $5::bigint`
	p.rows, p.bytes = p.rows[:0], p.bytes[:0]
	values := [][]byte{
		strconv.AppendInt(nil, after.at, 10), []byte(after.writer), strconv.AppendInt(nil, after.seq, 10), []byte(after.class),
		strconv.AppendInt(nil, verifyAtOnce, 10),
	}
	// Below pgx' own queries, which have bytes sent as text in this mode, twice as long.
	result := tx.Conn().PgConn().ExecParams(ctx, query, values, nil, nil, []int16{pgx.BinaryFormatCode})
	for err == nil && len(p.bytes) < pageBytes && result.NextRow() {
		err = p.take(result.Values())
	}
	_, closed := result.Close()
	return len(p.rows) == verifyAtOnce || len(p.bytes) >= pageBytes, cmp.Or(err, closed)
}

// take adds a record, whose values are the driver's.
func (p *page) take(values [][]byte) error {
	if len(values[0]) != 8 || len(values[1]) != 8 || len(values[2]) != 8 { // whoever owns the table can give it other types
		return errors.New("audit: the columns of plumbline_audit.records are not those that Plumbline made")
	}
	keep := func(value []byte) []byte {
		start := len(p.bytes)
		p.bytes = append(p.bytes, value...)
		return p.bytes[start:len(p.bytes):len(p.bytes)]
	}
	var r row
	r.at, r.seq = int64(binary.BigEndian.Uint64(values[0])), int64(binary.BigEndian.Uint64(values[1]))
	r.explanation = int64(binary.BigEndian.Uint64(values[2]))
	if string(values[3]) != p.writer {
		p.writer = string(values[3])
	}
	r.writer = p.writer
	r.class = audit.ClassExchange
	if string(values[4]) != r.class {
		r.class = string(values[4])
	}
	for i, field := range [...]*[]byte{
		&r.leaf, &r.record, &r.kind, &r.exchange, &r.user, &r.team, &r.app, &r.action, &r.reason, &r.modelOf, &r.task, &r.intent,
	} {
		*field = keep(values[5+i])
	}
	p.rows = append(p.rows, r)
	return nil
}

// reading is what the record of a row says, where its columns say the same. It is used again for the next one.
type reading struct {
	short       audit.Counted
	record      *core.Record // as far as sums and the explanation go by it
	explanation []byte       // see audit.Explanation
}

// of reads a row's record, or says what is wrong with it.
func (s *reading) of(r *row) (problem string) {
	if leaf := audit.LeafHash(r.record, r.writer, uint64(r.seq)); !bytes.Equal(leaf[:], r.leaf) {
		return "its hash is not that of its record"
	}
	if short, ok := audit.Summarize(r.record); ok && r.saysShort(&short) {
		s.short.Set(&short)
		s.record, s.explanation = &s.short.Record, short.AppendExplanation(s.explanation[:0])
		return ""
	}
	rec, err := audit.Decode(r.record)
	if err != nil {
		return "its record cannot be read"
	}
	if !r.says(&rec) {
		return "its columns do not say what its record says"
	}
	s.record, s.explanation = &rec, append(s.explanation[:0], audit.Explanation(&rec)...)
	return ""
}

// saysShort reports whether the columns are those of a summary, where all of it is short enough to stand in columns whole.
func (r *row) saysShort(s *audit.Summary) bool {
	for _, pair := range [...][2][]byte{
		{r.kind, s.Kind},
		{r.exchange, s.Exchange},
		{r.user, s.User},
		{r.team, s.Team},
		{r.app, s.App},
		{r.action, s.Action},
		{r.reason, s.Reason},
		{r.modelOf, s.Model},
		{r.task, s.Task},
		{r.intent, s.Intent},
	} {
		if !bytes.Equal(pair[0], pair[1]) {
			return false
		}
	}
	return r.at == s.Time && r.class == classOf(core.RecordKind(s.Kind))
}

// says reports whether the columns are those of a record.
func (r *row) says(rec *core.Record) bool {
	c := columnsOf([]audit.Shipment{{Entry: audit.Entry{Record: *rec}}})
	return r.at == c.at[0] && r.class == c.class[0] && string(r.kind) == c.kind[0] && string(r.exchange) == c.exchange[0] &&
		string(r.user) == c.user[0] && string(r.team) == c.team[0] && string(r.app) == c.app[0] && string(r.action) == c.action[0] &&
		string(r.reason) == c.reason[0] && string(r.modelOf) == c.model[0] && string(r.task) == c.task[0] && string(r.intent) == c.intent[0]
}

// record checks a record and hands its leaf on.
func (w *walk) record(ctx context.Context, r *row) error {
	bad := func(problem string) error {
		return &audit.BadEntryError{Writer: r.writer, Seq: uint64(r.seq), Problem: problem}
	}
	if problem := w.said.of(r); problem != "" {
		return bad(problem)
	}
	if ok, err := w.explains(ctx, r.explanation); err != nil || !ok {
		return cmp.Or(err, bad("the text that its explanation names does not say what its record says"))
	}
	f := w.of(r.writer)
	if !f.numbers.add(r.seq, r.seq) {
		return bad("its number is there twice")
	}
	if r.class == audit.ClassAdmin {
		if rec, err := audit.Decode(r.record); err == nil {
			w.declare(&rec, audit.Place{Writer: r.writer, Seq: uint64(r.seq)})
		}
	}
	if err := w.sums.add(ctx, w, string(r.exchange)); err != nil {
		return err
	}
	f.records++
	return w.follow(ctx, f, r.seq, [32]byte(r.leaf))
}

// end hands on what is only in the dead letters and in dropped months, and returns the first number of any writer that is
// nowhere.
func (w *walk) end(ctx context.Context) error {
	counts, err := readCounts(ctx, w.tx)
	if err != nil {
		return err
	}
	for name := range counts {
		w.of(name) // one of which no record is left
	}
	for name := range w.elsewhere {
		w.of(name)
	}
	for _, name := range slices.Sorted(maps.Keys(w.sequences)) {
		f := w.sequences[name]
		if err := w.advance(ctx, f); err != nil {
			return err
		}
		if len(f.ahead) > 0 || f.next <= max(counts[name].last, w.elsewhere[name]) {
			return &audit.BadEntryError{Writer: name, Seq: uint64(f.next), Problem: "it is missing"}
		}
		if c := counts[name]; w.found.Derived == nil && (c.last != f.next-1 || c.records != f.records) {
			w.found.Derived = &audit.BadEntryError{
				Writer: name, Seq: uint64(f.next - 1),
				Problem: fmt.Sprintf("it is the last of %d records, and plumbline_audit.writers counts %d up to number %d: what is read by that count lacks some", f.records, c.records, c.last),
			}
		}
	}
	w.joinDrops()
	return nil
}

// readCounts reads how many records each writer is said to have, and its last number.
func readCounts(ctx context.Context, tx pgx.Tx) (map[string]tally, error) {
	rows, err := tx.Query(ctx, "SELECT name, records, last FROM plumbline_audit.writers")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := map[string]tally{}
	for rows.Next() {
		var (
			name string
			t    tally
		)
		if err := rows.Scan(&name, &t.records, &t.last); err != nil {
			return nil, err
		}
		all[name] = t
	}
	return all, rows.Err()
}

// ranges calls fn for each row of a query.
func ranges(ctx context.Context, tx pgx.Tx, query string, fn func(writer string, n int64)) error {
	rows, err := tx.Query(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var (
			writer string
			n      int64
		)
		if err := rows.Scan(&writer, &n); err != nil {
			return err
		}
		fn(writer, n)
	}
	return rows.Err()
}
