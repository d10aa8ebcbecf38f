package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
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

// Reader reads a log, also while another process writes it. Its methods are safe for concurrent use.
type Reader struct{ db *sql.DB }

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
	return &Reader{db}, nil
}

// Close lets go of the file.
func (r *Reader) Close() error { return r.db.Close() }

// Search finds records, newest first. next is the cursor of the following page, empty at the end. Records that come in
// between two pages do not shift them.
func (r *Reader) Search(ctx context.Context, q Query) (entries []Entry, next string, err error) {
	limit := q.Limit
	if limit <= 0 {
		limit = defaultLimit
	}
	limit = min(limit, maxLimit)
	where, args, err := q.where()
	if err != nil {
		return nil, "", err
	}
	entries, err = r.read(ctx, where+" ORDER BY e.time DESC, e.id DESC LIMIT ?", append(args, limit+1)...)
	if err != nil {
		return nil, "", fmt.Errorf("audit: searching: %w", err)
	}
	if len(entries) > limit {
		entries = entries[:limit]
		next = cursor(entries[limit-1])
	}
	return entries, next, nil
}

// where is the condition and its values.
func (q Query) where() (string, []any, error) {
	var (
		terms = []string{"TRUE"}
		args  []any
	)
	add := func(term string, values ...any) {
		terms = append(terms, term)
		args = append(args, values...)
	}
	// The empty-string terms let SQLite use the partial indexes.
	if q.Exchange != "" {
		add("e.exchange = ? AND e.exchange <> ''", q.Exchange)
	}
	if q.User != "" {
		add("e.user = ? AND e.user <> ''", q.User)
	}
	for _, f := range []struct{ column, value string }{
		{"team", q.Team},
		{"app", q.App},
		{"model", q.Model},
		{"kind", string(q.Kind)},
		{"action", string(q.Action)},
		{"reason", string(q.Reason)},
	} {
		if f.value != "" {
			add("e."+f.column+" = ?", f.value)
		}
	}
	if !q.Since.IsZero() {
		add("e.time >= ?", q.Since.UnixMicro())
	}
	if !q.Until.IsZero() {
		add("e.time < ?", q.Until.UnixMicro())
	}
	if q.After != "" {
		at, id, err := parseCursor(q.After)
		if err != nil {
			return "", nil, err
		}
		add("(e.time, e.id) < (?, ?)", at, id)
	}
	return strings.Join(terms, " AND "), args, nil
}

// cursor names the place of an entry in the order of Search.
func cursor(e Entry) string {
	return strconv.FormatInt(e.Record.Time.UnixMicro(), 36) + "." + strconv.FormatInt(int64(e.Position), 36)
}

func parseCursor(s string) (at, id int64, err error) {
	left, right, _ := strings.Cut(s, ".")
	at, err1 := strconv.ParseInt(left, 36, 64)
	id, err2 := strconv.ParseInt(right, 36, 64)
	if err1 != nil || err2 != nil {
		return 0, 0, ErrCursor
	}
	return at, id, nil
}

// End is the position of the last record, zero for an empty log.
func (r *Reader) End(ctx context.Context) (Position, error) {
	var p Position
	if err := r.db.QueryRowContext(ctx, "SELECT coalesce(max(id), 0) FROM entries").Scan(&p); err != nil {
		return 0, fmt.Errorf("audit: %w", err)
	}
	return p, nil
}

// Tail calls fn for each record after the given position, in order and each once, and goes on with those that come in
// until ctx ends or fn fails. It returns the error of either.
func (r *Reader) Tail(ctx context.Context, after Position, fn func(Entry) error) error {
	tick := time.NewTicker(tailEvery)
	defer tick.Stop()
	for {
		entries, err := r.read(ctx, "e.id > ? ORDER BY e.id LIMIT ?", after, maxLimit)
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

// read gives the entries for which the rest of a statement holds.
func (r *Reader) read(ctx context.Context, rest string, args ...any) ([]Entry, error) {
	//nolint:gosec // rest is put together from constants; values are arguments
	rows, err := r.db.QueryContext(ctx, "SELECT e.id, w.name, e.seq, e.leaf, e.record "+
		"FROM entries AS e JOIN writers AS w ON w.id = e.writer WHERE "+rest, args...)
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
