package postgres

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/ship"
	"github.com/plumbline/plumbline/internal/core"
)

// prepare reads what is kept apart from the records.
func (w *walk) prepare(ctx context.Context) error {
	w.elsewhere, w.parts, w.places = map[string]int64{}, map[partKey][]month{}, map[audit.Drop][]audit.Place{}
	w.retired, w.sums.open.buried = map[string][]audit.Place{}, map[string]admitted{}
	if err := w.readLetters(ctx); err != nil {
		return err
	}
	if err := w.readDropped(ctx); err != nil {
		return err
	}
	if err := w.readTexts(ctx); err != nil {
		return err
	}
	return w.readEntries(ctx)
}

// readLetters checks the dead letters, and reads the hashes of those that lie there alone. A letter in whose place a record
// stands is another record, and counts for nothing more here.
func (w *walk) readLetters(ctx context.Context) error {
	w.letters = map[id][32]byte{}
	const query = `SELECT l.writer, l.seq, l.leaf, l.recorded_at, l.record, NOT EXISTS (SELECT FROM plumbline_audit.records AS r
		WHERE r.writer = l.writer AND r.seq = l.seq) FROM plumbline_audit.dead_letters AS l ORDER BY l.writer, l.seq, l.leaf`
	rows, err := w.tx.Query(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var (
			l     letter
			alone bool
		)
		if err := rows.Scan(&l.writer, &l.seq, &l.leaf, &l.at, &l.record, &alone); err != nil {
			return err
		}
		if err := w.letter(&l, alone); err != nil {
			return err
		}
	}
	return rows.Err()
}

// letter is a dead letter as it is.
type letter struct {
	id
	leaf, record []byte
	at           int64
}

func (w *walk) letter(l *letter, alone bool) error {
	bad := &audit.BadEntryError{Writer: l.writer, Seq: uint64(l.seq)}
	if want := audit.LeafHash(l.record, l.writer, uint64(l.seq)); !bytes.Equal(want[:], l.leaf) {
		bad.Problem = "it is with the dead letters, and its hash is not that of its record"
		return bad
	}
	rec, err := audit.Decode(l.record)
	if readable := err == nil; l.at != 0 && (!readable || l.at != rec.Time.UnixMicro()) {
		bad.Problem = "it is with the dead letters, under a time that is not that of its record"
		return bad
	}
	if !alone {
		return nil
	}
	if _, twice := w.letters[l.id]; twice {
		bad.Problem = "it is with the dead letters in two forms"
		return bad
	}
	w.letters[l.id] = [32]byte(l.leaf)
	w.elsewhere[l.writer] = max(w.elsewhere[l.writer], l.seq)
	w.found.DeadLetters++
	if err == nil && rec.Kind == core.RecordIntent {
		w.sums.open.buried[ship.Column(rec.Exchange)] = admittedWith(&rec)
	}
	return nil
}

// readDropped reads what is kept of dropped months once, for their digests and for where the hashes of a writer are.
func (w *walk) readDropped(ctx context.Context) error {
	w.byDrop = map[month]*audit.Drop{}
	const query = "SELECT class, month, writer, part, records, leaves FROM plumbline_audit.dropped ORDER BY class, month, writer, part"
	rows, err := w.tx.Query(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	digests := map[month]*audit.DropDigest{}
	for rows.Next() {
		var (
			m       month
			key     partKey
			records int64
			leaves  []byte
		)
		if err := rows.Scan(&m.class, &m.month, &key.writer, &key.part, &records, &leaves); err != nil {
			return err
		}
		last, err := checkPart(m, key, records, leaves)
		if err != nil {
			return err
		}
		if w.byDrop[m] == nil {
			w.byDrop[m], digests[m] = &audit.Drop{Class: m.class, Month: m.month}, audit.NewDropDigest()
		}
		w.byDrop[m].Records += records
		digests[m].Add(key.writer, key.part, leaves)
		w.parts[key] = append(w.parts[key], m)
		w.elsewhere[key.writer] = max(w.elsewhere[key.writer], last)
	}
	for m, d := range digests {
		w.byDrop[m].Digest = d.Sum()
	}
	return rows.Err()
}

// checkPart checks the form of a part, and gives its last number.
func checkPart(m month, key partKey, records int64, leaves []byte) (last int64, err error) {
	ok := len(leaves)%leafBytes == 0 && int64(len(leaves)/leafBytes) == records && records > 0
	for at := 0; ok && at < len(leaves); at += leafBytes {
		seq := int64(binary.BigEndian.Uint64(leaves[at:]))
		ok = seq > last && seq/partNumbers == key.part
		last = seq
	}
	if !ok {
		return 0, &audit.BadEntryError{
			Writer: key.writer, Seq: uint64(max(0, key.part*partNumbers)),
			Problem: fmt.Sprintf("what is kept of the dropped month %s of class %s from there on is not in order", m.month, m.class),
		}
	}
	return last, nil
}

// readEntries reads the declarations whose own month was dropped.
func (w *walk) readEntries(ctx context.Context) error {
	w.entries = map[id][]byte{}
	rows, err := w.tx.Query(ctx, "SELECT writer, seq, record FROM plumbline_audit.drop_entries")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var (
			key    id
			record []byte
		)
		if err := rows.Scan(&key.writer, &key.seq, &record); err != nil {
			return err
		}
		w.entries[key] = record
	}
	return rows.Err()
}

// declare notes a record that declares a drop, of records or of sums.
func (w *walk) declare(rec *core.Record, at audit.Place) {
	if m, ok := audit.DeclaredSums(rec); ok {
		w.retired[m] = append(w.retired[m], at)
	}
	if d, ok := audit.DropOf(rec); ok {
		w.places[d] = append(w.places[d], at)
	}
}

// declareKept notes a declaration whose own month was dropped: it is the record that the kept hash is of.
func (w *walk) declareKept(writer string, seq int64, leaf [32]byte) error {
	record, ok := w.entries[id{writer, seq}]
	if !ok {
		return nil
	}
	if audit.LeafHash(record, writer, uint64(seq)) != leaf {
		return &audit.BadEntryError{Writer: writer, Seq: uint64(seq), Problem: "it declares a drop, and is not the record that its hash was made of"}
	}
	if rec, err := audit.Decode(record); err == nil {
		w.declare(&rec, audit.Place{Writer: writer, Seq: uint64(seq)})
	}
	return nil
}

// joinDrops joins what was dropped with what was declared.
func (w *walk) joinDrops() {
	for _, d := range w.byDrop {
		w.found.Dropped = append(w.found.Dropped, audit.Dropped{Drop: *d, Declared: w.places[*d]})
	}
}

// isDeclared reports whether the declaration is in the store, and a checkpoint there fixes it. Whether that is signed is for
// who verifies: he who owns the database can drop what he likes.
func isDeclared(ctx context.Context, tx pgx.Tx, d audit.Drop) (ok bool, err error) {
	const query = `SELECT r.record FROM plumbline_audit.records_admin AS r WHERE r.exchange = $1::text
		AND EXISTS (SELECT FROM plumbline_audit.checkpoints AS c WHERE c.writer = r.writer AND c.size >= r.seq)`
	rows, err := tx.Query(ctx, query, d.Exchange())
	if err != nil {
		return false, err
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	for _, record := range found {
		rec, err := audit.Decode(record)
		if err != nil {
			return false, err
		}
		if declared, isDrop := audit.DropOf(&rec); isDrop && declared == d {
			ok = true
		}
	}
	return ok, err
}

// checkMonth returns an *audit.BadEntryError when a record stands in a month and class that are not its own. Of what is dropped
// no time is left that could be compared: who owns the database could have any record dropped with an old month, and the
// declaration would be right. So the record's own bytes must say so, and be those of its hash.
func checkMonth(ctx context.Context, tx pgx.Tx, m audit.Month, begin time.Time) error {
	// A canonical record begins with its kind and its time.
	const query = `SELECT writer, seq FROM plumbline_audit.records
		WHERE class = $1::text AND recorded_at >= $2::bigint AND recorded_at < $3::bigint
			AND NOT (coalesce(leaf = sha256('\x00'::bytea || convert_to(writer || E'\n' || seq || E'\n', 'UTF8') || record), false)
				AND starts_with(encode(substring(record FOR 100), 'escape'), '{"kind":"' || kind || '","time":"' || $4::text)
				AND (kind = 'admin') = ($1::text = 'admin') AND strpos(kind, '"') = 0)
		ORDER BY writer, seq LIMIT 1`
	bad := audit.BadEntryError{Problem: audit.NotOfMonth(m)}
	var seq int64
	err := tx.QueryRow(ctx, query, m.Class, begin.UnixMicro(), begin.AddDate(0, 1, 0).UnixMicro(), begin.Format("2006-01-")).Scan(&bad.Writer, &seq)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	bad.Seq = uint64(seq)
	return &bad
}

// digest sums up the parts that a query gives.
func digest(ctx context.Context, tx pgx.Tx, m audit.Month, query string, args ...any) (audit.Drop, error) {
	d, sum := audit.Drop{Class: m.Class, Month: m.Name()}, audit.NewDropDigest()
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return d, err
	}
	defer rows.Close()
	for rows.Next() {
		var (
			writer        string
			part, records int64
			leaves        []byte
		)
		if err := rows.Scan(&writer, &part, &records, &leaves); err != nil {
			return d, err
		}
		d.Records += records
		sum.Add(writer, part, leaves)
	}
	d.Digest = sum.Sum()
	return d, rows.Err()
}
