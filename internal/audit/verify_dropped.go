package audit

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
)

// droppedWalk is what a walk through a log knows of months that were dropped. It looks a hash up when a number is missing, so
// that a month that is dropped meanwhile is found in one form or the other, and adds the drops up at the end.
type droppedWalk struct {
	r    *Reader
	last map[string]uint64 // number by writer, as the walk goes on
	seen *Walked
	// visit is for kept hashes.
	visit Visit
	// places are the declarations that were met.
	places map[Drop][]Place
	// filled counts the records that were met as hashes alone.
	filled int64

	// The part that was read last.
	writer string
	number int64
	leaves map[uint64][32]byte
}

func (r *Reader) walkDropped(last map[string]uint64, seen *Walked, visit Visit) *droppedWalk {
	return &droppedWalk{r: r, last: last, seen: seen, visit: visit, places: map[Drop][]Place{}, number: -1}
}

// meet notes what an entry declares.
func (w *droppedWalk) meet(e *checked) {
	if e.declares != nil {
		w.places[*e.declares] = append(w.places[*e.declares], Place{e.writer, e.seq})
	}
}

// fill goes through a writer's next numbers of which hashes are kept, up to but not including a number, or all for zero.
func (w *droppedWalk) fill(ctx context.Context, writer string, below uint64) error {
	for seq := w.last[writer] + 1; below == 0 || seq < below; seq++ {
		leaf, ok, err := w.leaf(ctx, writer, seq)
		if err != nil || !ok {
			return err
		}
		w.last[writer] = seq
		w.filled++
		w.seen.Writers = int64(len(w.last))
		if err := w.meetKept(ctx, writer, seq, leaf); err != nil {
			return err
		}
		if w.seen.Released[writer] > 0 {
			continue
		}
		if err := w.visit(writer, seq, leaf); err != nil {
			return err
		}
	}
	return nil
}

// leaf gives the hash that is kept of a number.
func (w *droppedWalk) leaf(ctx context.Context, writer string, seq uint64) (leaf [32]byte, ok bool, err error) {
	number := int64(seq / partNumbers)
	if w.writer != writer || w.number != number {
		if err := w.readPart(ctx, writer, number); err != nil {
			return leaf, false, err
		}
	}
	if leaf, ok = w.leaves[seq]; ok {
		return leaf, true, nil
	}
	// It may have been dropped since the part was read.
	err = w.readPart(ctx, writer, number)
	leaf, ok = w.leaves[seq]
	return leaf, ok, err
}

func (w *droppedWalk) readPart(ctx context.Context, writer string, number int64) error {
	w.writer, w.number, w.leaves = writer, number, map[uint64][32]byte{}
	const query = `SELECT d.class, d.month, d.records, d.leaves FROM dropped AS d CROSS JOIN drops AS p ON p.class = d.class AND p.month = d.month
		WHERE d.writer = (SELECT id FROM writers WHERE name = ?) AND d.part = ?`
	rows, err := w.r.db.QueryContext(ctx, query, writer, number)
	if err != nil {
		return fmt.Errorf("audit: verifying: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var (
			class, month string
			records      int64
			leaves       sql.RawBytes
		)
		if err := rows.Scan(&class, &month, &records, &leaves); err != nil {
			return fmt.Errorf("audit: verifying: %w", err)
		}
		if !isPart(number, records, leaves) {
			return badPart(class, month, writer, number)
		}
		for at := 0; at < len(leaves); at += leafBytes {
			seq := binary.BigEndian.Uint64(leaves[at:])
			if _, twice := w.leaves[seq]; twice {
				return &BadEntryError{Writer: writer, Seq: seq, Problem: "two dropped months have it"}
			}
			w.leaves[seq] = [32]byte(leaves[at+8:])
		}
	}
	return rows.Err()
}

// isPart reports whether a part has the form of one.
func isPart(number, records int64, leaves []byte) bool {
	ok, last := len(leaves)%leafBytes == 0 && int64(len(leaves)/leafBytes) == records && records > 0, uint64(0)
	for at := 0; ok && at < len(leaves); at += leafBytes {
		seq := binary.BigEndian.Uint64(leaves[at:])
		ok = seq > last && seq < 1<<63 && int64(seq)/partNumbers == number
		last = seq
	}
	return ok
}

func badPart(class, month, writer string, number int64) error {
	return &BadEntryError{
		Writer: writer, Seq: uint64(max(0, number*partNumbers)),
		Problem: fmt.Sprintf("what is kept of the dropped month %s of class %s from there on is not in order", month, class),
	}
}

// meetKept notes what a record declared whose own month was dropped: it is the one that the kept hash is of.
func (w *droppedWalk) meetKept(ctx context.Context, writer string, seq uint64, leaf [32]byte) error {
	var record []byte
	const query = "SELECT record FROM drop_entries WHERE writer = (SELECT id FROM writers WHERE name = ?) AND seq = ?"
	err := w.r.db.QueryRowContext(ctx, query, writer, seq).Scan(&record)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return fmt.Errorf("audit: verifying: %w", err)
	case LeafHash(record, writer, seq) != leaf:
		return &BadEntryError{Writer: writer, Seq: seq, Problem: "it declares a drop, and is not the record that its hash was made of"}
	}
	if rec, err := Decode(record); err == nil {
		if d, ok := DropOf(&rec); ok {
			w.places[d] = append(w.places[d], Place{writer, seq})
		}
	}
	return nil
}

// end goes through what is kept after the last entry of each writer, and adds up what was dropped and who declared it.
func (w *droppedWalk) end(ctx context.Context) error {
	writers, err := w.writers(ctx)
	if err != nil {
		return err
	}
	for _, writer := range writers {
		if err := w.fill(ctx, writer, 0); err != nil {
			return err
		}
	}
	drops, err := w.drops(ctx)
	if err != nil {
		return err
	}
	kept := int64(0)
	for _, d := range drops {
		w.seen.Dropped = append(w.seen.Dropped, Dropped{Drop: d, Declared: w.places[d]})
		kept += d.Records
	}
	// Those of a month that is being deleted, or was since they were met, were counted as entries.
	w.seen.Records -= kept - w.filled
	return nil
}

// writers gives those of which hashes are kept.
func (w *droppedWalk) writers(ctx context.Context) (all []string, err error) {
	const query = `SELECT DISTINCT w.name FROM dropped AS d CROSS JOIN drops AS p ON p.class = d.class AND p.month = d.month
		CROSS JOIN writers AS w ON w.id = d.writer ORDER BY w.id`
	rows, err := w.r.db.QueryContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("audit: verifying: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, fmt.Errorf("audit: verifying: %w", err)
		}
		all = append(all, name)
	}
	return all, rows.Err()
}

// drops gives each month that was dropped, with the digest of what is kept.
func (w *droppedWalk) drops(ctx context.Context) (all []Drop, err error) {
	const query = `SELECT d.class, d.month, coalesce(w.name, ''), d.part, d.records, d.leaves FROM drops AS p
		CROSS JOIN dropped AS d ON d.class = p.class AND d.month = p.month LEFT JOIN writers AS w ON w.id = d.writer
		ORDER BY p.class, p.month, d.writer, d.part`
	rows, err := w.r.db.QueryContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("audit: verifying: %w", err)
	}
	defer rows.Close()
	var (
		of  Drop
		sum *DropDigest
	)
	end := func() {
		if sum != nil {
			of.Digest = sum.Sum()
			all = append(all, of)
		}
	}
	for rows.Next() {
		var (
			class, month, writer string
			number, records      int64
			leaves               sql.RawBytes
		)
		if err := rows.Scan(&class, &month, &writer, &number, &records, &leaves); err != nil {
			return nil, fmt.Errorf("audit: verifying: %w", err)
		}
		if !isPart(number, records, leaves) {
			return nil, badPart(class, month, writer, number)
		}
		if sum == nil || of.Class != class || of.Month != month {
			end()
			of, sum = Drop{Class: class, Month: month}, NewDropDigest()
		}
		of.Records += records
		sum.Add(writer, number, leaves)
	}
	end()
	return all, rows.Err()
}

// declares gives the drop that a record declares, or nil.
func declares(said *Summary, canonical []byte) *Drop {
	if string(said.Kind) != "admin" || !IsDrop(string(said.Exchange)) {
		return nil
	}
	rec, err := Decode(canonical)
	if err != nil {
		return nil // said of the record itself
	}
	if d, ok := DropOf(&rec); ok {
		return &d
	}
	return nil
}
