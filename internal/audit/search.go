package audit

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

const (
	// window is how many entries a statement looks through, windows how many statements a page may take: a search for what
	// is nearly nowhere gives empty pages that lead on instead of holding up whoever asks.
	window, windows = 8192, 8
	// cursorStore is this store's letter in cursors.
	cursorStore = 'l'
)

// Search finds records, newest first: in the order opposite to that in which they became durable. next is the cursor of
// the following page, empty at the end. Records that come in between two pages do not shift them. What one call looks
// through is bounded: a page can be short, or empty, and still have a next.
func (r *Reader) Search(ctx context.Context, q Query) (entries []Entry, next string, err error) {
	if err := q.Check(); err != nil {
		return nil, "", err
	}
	recent, err := r.recent(ctx)
	if err != nil {
		return nil, "", err
	}
	last := recent.end()
	if q.After != "" {
		before, err := readPosition(q.After)
		if err != nil {
			return nil, "", err
		}
		last = min(last, before-1)
	}
	limit := q.PageSize()
	if entries, err = recent.search(&q, last, limit+1); err != nil {
		return nil, "", fmt.Errorf("audit: searching: %w", err)
	}
	last = min(last, recent.after)
	if entries, last, err = r.older(ctx, &q, entries, last, limit+1); err != nil {
		return nil, "", fmt.Errorf("audit: searching: %w", err)
	}
	switch {
	case len(entries) > limit:
		entries = entries[:limit]
		next = position(entries[limit-1].Position)
	case last > 0:
		next = position(last + 1)
	}
	return entries, next, nil
}

// position is a place as a cursor: what comes after it has lower positions.
func position(p Position) string { return Cursor(cursorStore, binary.AppendUvarint(nil, uint64(p))) }

func readPosition(cursor string) (Position, error) {
	b, err := ReadCursor(cursorStore, cursor)
	if err != nil {
		return 0, err
	}
	p, n := binary.Uvarint(b)
	if n <= 0 || n != len(b) || p > 1<<62 {
		return 0, ErrCursor
	}
	return Position(p), nil
}

// search gives the newest entries up to a position that match, at most limit of them.
func (r *recent) search(q *Query, last Position, limit int) (entries []Entry, err error) {
	for _, f := range slices.Backward(r.frames) {
		if f.position > last {
			continue
		}
		if len(entries) == limit {
			break
		}
		e, err := f.entry()
		if err != nil {
			return nil, err
		}
		if q.Matches(&e.Record) {
			entries = append(entries, e)
		}
	}
	return entries, nil
}

// older adds matching entries of the tables up to a position until there are limit of them, window by window. It gives the
// position up to which it did not look, zero when there is nothing left to look through.
func (r *Reader) older(ctx context.Context, q *Query, entries []Entry, last Position, limit int) ([]Entry, Position, error) {
	low, high, err := r.bounds(ctx, q)
	if err != nil {
		return nil, 0, err
	}
	last = min(last, high)
	for n := 0; last >= low && len(entries) < limit; n++ {
		if n == windows {
			return entries, last, nil
		}
		first, err := r.first(ctx, q, low, last)
		if err != nil {
			return nil, 0, err
		}
		statement, args := q.statement(first, last)
		err = r.each(ctx, func(e Entry) bool {
			if q.matchesRest(&e.Record) {
				entries = append(entries, e)
			}
			return len(entries) < limit
		}, statement+" ORDER BY 1 DESC", args...)
		if err != nil {
			return nil, 0, err
		}
		last = first - 1
	}
	return entries, 0, nil
}

// bounds are the first and the last position that can hold a record of the query's time.
func (r *Reader) bounds(ctx context.Context, q *Query) (low, high Position, err error) {
	low, high = 1, 1<<62
	if !q.Since.IsZero() {
		if err := r.db.QueryRowContext(ctx, "SELECT "+sinceBound, q.Since.UnixMicro()).Scan(&low); err != nil {
			return 0, 0, err
		}
	}
	if !q.Until.IsZero() {
		at := q.Until.UnixMicro()
		if err := r.db.QueryRowContext(ctx, "SELECT "+untilBound, at, at).Scan(&high); err != nil {
			return 0, 0, err
		}
	}
	return low, high, nil
}

// first is where the window begins that ends with last: as many entries before it, of the person's where one is asked for.
func (r *Reader) first(ctx context.Context, q *Query, low, last Position) (first Position, err error) {
	switch {
	case q.Exchange != "":
		return low, nil
	case q.User == "":
		return max(low, last-window+1), nil
	}
	const query = `SELECT coalesce((SELECT entry FROM by_user WHERE user = ? AND entry <= ? ORDER BY entry DESC LIMIT 1 OFFSET ?), ?)`
	err = r.db.QueryRowContext(ctx, query, text(q.User), last, window-1, low).Scan(&first)
	return max(first, low), err
}

// statement is the statement for the entries from one position to another, without its end, and its values. Where an index
// helps, it gives the entries that it holds, and those that it does not hold yet are looked through.
func (q *Query) statement(first, last Position) (string, []any) {
	where, args := q.where("e.id", first, last)
	index, value := "by_exchange AS i CROSS JOIN entries AS e ON e.id = i.entry JOIN writers AS w ON w.id = e.writer WHERE i.exchange = ?", q.Exchange
	switch {
	case q.Exchange != "":
	case q.User != "":
		index, value = "by_user AS i CROSS JOIN entries AS e ON e.id = i.entry JOIN writers AS w ON w.id = e.writer WHERE i.user = ?", q.User
	default:
		return selectEntry + where, args
	}
	indexed, indexedArgs := q.where("i.entry", first, last)
	return "SELECT i.entry, w.name, e.seq, e.leaf, e.record, e.kind FROM " + index + " AND " + indexed +
		" UNION ALL " + selectEntry + where + " AND " + unindexed, slices.Concat([]any{text(value)}, indexedArgs, args)
}

// where is the condition of what the columns tell, and its values. id is the expression for the entry's id.
func (q *Query) where(id string, first, last Position) (string, []any) {
	terms, args := []string{id + " >= ? AND " + id + " <= ?"}, []any{first, last}
	add := func(term string, value any) {
		terms = append(terms, term)
		args = append(args, value)
	}
	for column, value := range q.Columns() {
		add("e."+column+" = ?", value)
	}
	if !q.Since.IsZero() {
		add("e.time >= ?", q.Since.UnixMicro())
	}
	if !q.Until.IsZero() {
		add("e.time < ?", q.Until.UnixMicro())
	}
	return strings.Join(terms, " AND "), args
}
