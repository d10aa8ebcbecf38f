package postgres

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/plumbline/plumbline/internal/audit"
)

// maxAhead bounds the hashes of one writer that are kept until those before them come. Records come in the order of their
// times, which is nearly that of their numbers; a clock that was set back makes the difference.
const maxAhead = 1 << 20

// partNumbers is how many numbers one part of a dropped month spans, and leafBytes what it holds of each record.
const (
	partNumbers = 100_000
	leafBytes   = 8 + 32
)

// walk is one walk through the records, in the order of their times, that visits those of each writer in the order of their
// numbers.
type walk struct {
	tx        pgx.Tx
	reading   sync.Mutex // held by who has the transaction's connection in use while records are read ahead
	visit     audit.Visit
	found     audit.Walked
	sequences map[string]*sequence
	last      *sequence // the one that was asked for last
	letters   map[id][32]byte
	parts     map[partKey][]month   // what is kept of dropped months
	entries   map[id][]byte         // declarations whose own month was dropped
	elsewhere map[string]int64      // by writer, the highest number among letters and parts
	byDrop    map[month]*audit.Drop // what was dropped, as it is
	places    map[audit.Drop][]audit.Place
	retired   map[string][]audit.Place // by month, what declares that its sums go
	said      reading                  // the record that was read last
	texts     explained
	sums      recount
}

// month is a class and month that was dropped.
type month struct{ class, month string }

// partKey is one part of what is kept of a writer.
type partKey struct {
	writer string
	part   int64
}

// sequence puts the leaves of one writer in order.
type sequence struct {
	name    string
	next    int64 // the first number that was not visited
	records int64 // how many there are, those of dropped months included
	numbers intervals
	ahead   map[int64][32]byte
	// kept are the hashes of the part that was read last, in order.
	kept struct {
		part   int64
		leaves []keptLeaf
	}
}

type keptLeaf struct {
	seq  int64
	hash [32]byte
}

func (w *walk) of(writer string) *sequence {
	if w.last != nil && w.last.name == writer {
		return w.last
	}
	f := w.sequences[writer]
	if f == nil {
		f = &sequence{name: writer, next: 1, ahead: map[int64][32]byte{}}
		f.kept.part = -1
		w.sequences[writer] = f
	}
	w.last = f
	return f
}

// follow takes a writer's leaf from the records.
func (w *walk) follow(ctx context.Context, f *sequence, seq int64, leaf [32]byte) error {
	switch {
	case seq < 1:
		return &audit.BadEntryError{Writer: f.name, Seq: uint64(seq), Problem: "numbers begin at 1"}
	case seq < f.next: // visited already, with what came before it
		return nil
	case seq > f.next:
		f.ahead[seq] = leaf
		if len(f.ahead) == 1 || len(f.ahead)%1024 == 0 { // most often it is a letter or a dropped month that comes between
			if err := w.advance(ctx, f); err != nil {
				return err
			}
		}
		if len(f.ahead) > maxAhead {
			return w.fill(ctx, f)
		}
		return nil
	}
	if err := w.pass(f, leaf); err != nil {
		return err
	}
	if len(f.ahead) == 0 {
		return nil
	}
	return w.advance(ctx, f)
}

// pass visits the next leaf.
func (w *walk) pass(f *sequence, leaf [32]byte) error {
	if err := w.visit(f.name, uint64(f.next), leaf); err != nil {
		return err
	}
	f.next++
	return nil
}

// advance visits what comes next, as long as it is there: ahead, among the letters or in a dropped month.
func (w *walk) advance(ctx context.Context, f *sequence) error {
	for {
		leaf, ok := f.ahead[f.next]
		if ok {
			delete(f.ahead, f.next)
		} else {
			var err error
			if leaf, ok, err = w.apart(ctx, f); err != nil {
				return err
			}
		}
		if !ok {
			return nil
		}
		if err := w.pass(f, leaf); err != nil {
			return err
		}
	}
}

// apart gives the next leaf of a writer from where it is kept instead of among the records.
func (w *walk) apart(ctx context.Context, f *sequence) (leaf [32]byte, ok bool, err error) {
	if leaf, ok = w.letters[id{f.name, f.next}]; !ok {
		if leaf, ok, err = w.keptLeaf(ctx, f); err != nil || !ok {
			return leaf, false, err
		}
	}
	if !f.numbers.add(f.next, f.next) {
		return leaf, false, &audit.BadEntryError{Writer: f.name, Seq: uint64(f.next), Problem: "its number is there twice"}
	}
	return leaf, true, nil
}

// keptLeaf gives the next leaf from a month that was dropped.
func (w *walk) keptLeaf(ctx context.Context, f *sequence) (leaf [32]byte, ok bool, err error) {
	part := f.next / partNumbers
	if f.kept.part != part {
		f.kept.part, f.kept.leaves = part, nil
		for _, m := range w.parts[partKey{f.name, part}] {
			leaves, err := w.readPart(ctx, m, f.name, part)
			if err != nil {
				return leaf, false, err
			}
			f.kept.leaves = append(f.kept.leaves, leaves...)
		}
		slices.SortStableFunc(f.kept.leaves, func(a, b keptLeaf) int { return cmp.Compare(a.seq, b.seq) })
	}
	i, ok := slices.BinarySearchFunc(f.kept.leaves, f.next, func(l keptLeaf, seq int64) int { return cmp.Compare(l.seq, seq) })
	if !ok {
		return leaf, false, nil
	}
	leaf = f.kept.leaves[i].hash
	if i+1 < len(f.kept.leaves) && f.kept.leaves[i+1].seq == f.next {
		return leaf, false, &audit.BadEntryError{Writer: f.name, Seq: uint64(f.next), Problem: "its number is in two months that were dropped"}
	}
	f.records++
	return leaf, true, w.declareKept(f.name, f.next, leaf)
}

func (w *walk) readPart(ctx context.Context, m month, writer string, part int64) ([]keptLeaf, error) {
	w.reading.Lock()
	defer w.reading.Unlock()
	const query = `SELECT leaves FROM plumbline_audit.dropped WHERE (class, month, writer, part) = ($1::text, $2::text, $3::text, $4::bigint)`
	var data []byte
	if err := w.tx.QueryRow(ctx, query, m.class, m.month, writer, part).Scan(&data); err != nil {
		return nil, err
	}
	leaves := make([]keptLeaf, 0, len(data)/leafBytes)
	for ; len(data) >= leafBytes; data = data[leafBytes:] {
		leaves = append(leaves, keptLeaf{int64(binary.BigEndian.Uint64(data)), [32]byte(data[8:leafBytes])})
	}
	return leaves, nil
}

// fill looks for the records of a writer that come before those that are kept ahead: either a clock was set back, and they
// come much later in the order of times, or they are missing.
func (w *walk) fill(ctx context.Context, f *sequence) error {
	first := int64(1<<63 - 1)
	for seq := range f.ahead {
		first = min(first, seq)
	}
	between, err := w.leavesOf(ctx, f, first)
	if err != nil {
		return err
	}
	for _, l := range between {
		f.ahead[l.seq] = l.hash
	}
	if err := w.advance(ctx, f); err != nil {
		return err
	}
	if f.next <= first {
		return &audit.BadEntryError{Writer: f.name, Seq: uint64(f.next), Problem: "it is missing"}
	}
	return nil
}

// leavesOf gives those of a writer's leaves among the records that come next, before a number.
func (w *walk) leavesOf(ctx context.Context, f *sequence, before int64) ([]keptLeaf, error) {
	w.reading.Lock()
	defer w.reading.Unlock()
	const query = `SELECT seq, leaf FROM plumbline_audit.records WHERE writer = $1::text AND seq >= $2::bigint AND seq < $3::bigint ORDER BY seq`
	rows, err := w.tx.Query(ctx, query, f.name, f.next, before)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (l keptLeaf, err error) {
		var hash []byte
		if err := row.Scan(&l.seq, &hash); err != nil {
			return l, err
		}
		if len(hash) != len(l.hash) {
			return l, fmt.Errorf("audit: record %d of writer %s has a hash of %d bytes", l.seq, f.name, len(hash))
		}
		l.hash = [32]byte(hash)
		return l, nil
	})
}

// interval is the numbers from first to last.
type interval struct{ first, last int64 }

// intervals is a set of numbers as intervals that do not touch, in order. Numbers come nearly in order, so that there are
// few of them.
type intervals struct{ list []interval }

// add adds the numbers of an interval, and reports whether none of them was there.
func (s *intervals) add(first, last int64) bool {
	if n := len(s.list); n > 0 && s.list[n-1].last == first-1 { // as nearly always
		s.list[n-1].last = last
		return true
	}
	// The first interval that touches the new one, or comes after it.
	i, _ := slices.BinarySearchFunc(s.list, first, func(v interval, n int64) int { return cmp.Compare(v.last, n-1) })
	j := i
	merged, fresh := interval{first, last}, true
	for ; j < len(s.list) && s.list[j].first <= last+1; j++ {
		v := s.list[j]
		fresh = fresh && (v.last < first || v.first > last)
		merged = interval{min(merged.first, v.first), max(merged.last, v.last)}
	}
	s.list = slices.Replace(s.list, i, j, merged)
	return fresh
}
