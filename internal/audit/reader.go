package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/sqlite"
	"github.com/plumbline/plumbline/migrations"
)

const (
	defaultLimit = 50
	maxLimit     = 1000
	// tailEvery is how long a new record may stay unseen by Tail.
	tailEvery = 200 * time.Millisecond
)

// ErrCursor is returned for a cursor that no search gave.
var ErrCursor = errors.New("audit: not a cursor of a search")

// Query says which records to find. Empty fields match everything; the others must all match exactly.
type Query struct {
	Exchange, User, Team, App, Model string
	Kind                             core.RecordKind
	Action                           core.Action
	Reason                           core.Reason
	// Since and Until bound the record's time: from Since up to, but not including, Until.
	Since, Until time.Time
	// Limit is the most to return: 50 if zero, at most 1,000.
	Limit int
	// After is the cursor that the search before this one gave.
	After string
}

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

// Search finds records, newest first: in the order opposite to that in which they became durable. next is the cursor of
// the following page, empty at the end. Records that come in between two pages do not shift them.
func (r *Reader) Search(ctx context.Context, q Query) (entries []Entry, next string, err error) {
	limit := q.Limit
	if limit <= 0 {
		limit = defaultLimit
	}
	limit = min(limit, maxLimit)
	recent, err := r.recent(ctx)
	if err != nil {
		return nil, "", err
	}
	last := recent.end()
	if q.After != "" {
		position, err := strconv.ParseInt(q.After, 10, 64)
		if err != nil {
			return nil, "", ErrCursor
		}
		last = min(last, Position(position)-1)
	}
	if entries, err = recent.search(q, last, limit+1); err != nil {
		return nil, "", fmt.Errorf("audit: searching: %w", err)
	}
	statement, args := q.statement(min(last, recent.after))
	older, err := r.read(ctx, statement+" ORDER BY 1 DESC LIMIT ?", append(args, limit+1-len(entries))...)
	if err != nil {
		return nil, "", fmt.Errorf("audit: searching: %w", err)
	}
	entries = append(entries, older...)
	if len(entries) > limit {
		entries = entries[:limit]
		next = strconv.FormatInt(int64(entries[limit-1].Position), 10)
	}
	return entries, next, nil
}

func (q Query) matches(c columns) bool {
	for _, f := range [...]struct{ want, got string }{
		{q.Exchange, c.exchange},
		{q.User, c.user},
		{q.Team, c.team},
		{q.App, c.app},
		{q.Model, c.model},
		{string(q.Kind), string(c.kind)},
		{string(q.Action), c.action},
		{string(q.Reason), c.reason},
	} {
		if f.want != "" && f.want != f.got {
			return false
		}
	}
	return (q.Since.IsZero() || c.time >= q.Since.UnixMicro()) && (q.Until.IsZero() || c.time < q.Until.UnixMicro())
}

// statement is the statement for entries up to a position, without its end, and its values. Where an index helps, it gives
// the entries that it holds, and the others are looked through.
func (q Query) statement(last Position) (string, []any) {
	where, args := q.where("e.id", last)
	index, value := "by_exchange AS i CROSS JOIN entries AS e ON e.id = i.entry JOIN writers AS w ON w.id = e.writer WHERE i.exchange = ?", q.Exchange
	switch {
	case q.Exchange != "":
	case q.User != "":
		index, value = "by_user AS i CROSS JOIN entries AS e ON e.id = i.entry JOIN writers AS w ON w.id = e.writer WHERE i.user = ?", q.User
	default:
		return selectEntry + where, args
	}
	indexed, indexedArgs := q.where("i.entry", last)
	return "SELECT i.entry, w.name, e.seq, e.leaf, e.record FROM " + index + " AND " + indexed +
		" UNION ALL " + selectEntry + where + " AND " + unindexed, slices.Concat([]any{value}, indexedArgs, args)
}

// Columns gives the columns that have to hold a value, with it.
func (q Query) Columns() iter.Seq2[string, string] {
	return func(yield func(column, value string) bool) {
		for _, f := range []struct{ column, value string }{
			{"exchange", q.Exchange},
			{"user", q.User},
			{"team", q.Team},
			{"app", q.App},
			{"model", q.Model},
			{"kind", string(q.Kind)},
			{"action", string(q.Action)},
			{"reason", string(q.Reason)},
		} {
			if f.value != "" && !yield(f.column, f.value) {
				return
			}
		}
	}
}

// where is the condition and its values. id is the expression for the entry's id that bounds what is looked through.
func (q Query) where(id string, last Position) (string, []any) {
	terms, args := []string{id + " <= ?"}, []any{last}
	add := func(term string, values ...any) {
		terms = append(terms, term)
		args = append(args, values...)
	}
	for column, value := range q.Columns() {
		add("e."+column+" = ?", value)
	}
	if !q.Since.IsZero() {
		at := q.Since.UnixMicro()
		add("e.time >= ? AND "+fmt.Sprintf(sinceTerm, id), at, at)
	}
	if !q.Until.IsZero() {
		at := q.Until.UnixMicro()
		add("e.time < ? AND "+fmt.Sprintf(untilTerm, id), at, at, at)
	}
	return strings.Join(terms, " AND "), args
}

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

// search gives the newest entries up to a position that match, at most limit of them.
func (r *recent) search(q Query, last Position, limit int) (entries []Entry, err error) {
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
		if q.matches(columnsOf(e.Record)) {
			entries = append(entries, e)
		}
	}
	return entries, nil
}

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
const selectEntry = "SELECT e.id, w.name, e.seq, e.leaf, e.record FROM entries AS e JOIN writers AS w ON w.id = e.writer WHERE "

// read gives the entries that a statement finds.
func (r *Reader) read(ctx context.Context, statement string, args ...any) ([]Entry, error) {
	rows, err := r.db.QueryContext(ctx, statement, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var entries []Entry
	for rows.Next() {
		var (
			e    Entry
			leaf []byte
		)
		if err := rows.Scan(&e.Position, &e.Writer, &e.Seq, &leaf, &e.Canonical); err != nil {
			return nil, err
		}
		if copy(e.Leaf[:], leaf) != len(e.Leaf) {
			return nil, fmt.Errorf("entry %d has a leaf hash of %d bytes", e.Position, len(leaf))
		}
		if e.Record, err = Decode(e.Canonical); err != nil {
			return nil, fmt.Errorf("entry %d: %w", e.Position, err)
		}
		entries = append(entries, e)
	}
	return entries, rows.Err()
}
