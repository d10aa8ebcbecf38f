package postgres

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/ship"
)

const (
	defaultLimit = 50
	maxLimit     = 1000
)

// Search finds records of all processes, newest first: by their own time, then by writer and number, since what several
// processes record has no other order. next is the cursor of the following page, empty at the end. A record that is shipped
// between two pages is found if its place comes after the cursor. Texts are compared as they are kept beside a record: see
// ship.Column.
func (s *Store) Search(ctx context.Context, q audit.Query) (entries []audit.Entry, next string, err error) {
	limit := q.Limit
	if limit <= 0 {
		limit = defaultLimit
	}
	limit = min(limit, maxLimit)
	w, err := whereOf(q)
	if err != nil {
		return nil, "", err
	}
	w.args = append(w.args, limit+1)
	statement := "SELECT recorded_at, writer, seq, leaf, record FROM plumbline_audit.records" + w.String() +
		" ORDER BY recorded_at DESC, writer DESC, seq DESC LIMIT $" + strconv.Itoa(len(w.args)) + "::bigint"
	var places []place
	err = s.pool.Read(ctx, func(ctx context.Context, tx pgx.Tx) error {
		entries, places, err = read(ctx, tx, statement, w.args...)
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("audit: searching: %w", err)
	}
	if len(entries) > limit {
		entries = entries[:limit]
		next = places[limit-1].String()
	}
	return entries, next, nil
}

// place is where a record stands among all.
type place struct {
	at     int64
	writer string
	seq    int64
}

func (p place) String() string { return fmt.Sprintf("%d/%s/%d", p.at, p.writer, p.seq) }

func parsePlace(cursor string) (p place, err error) {
	parts := strings.Split(cursor, "/")
	if len(parts) != 3 || parts[1] != ship.Column(parts[1]) {
		return p, audit.ErrCursor
	}
	var errAt, errSeq error
	p.writer = parts[1]
	p.at, errAt = strconv.ParseInt(parts[0], 10, 64)
	p.seq, errSeq = strconv.ParseInt(parts[2], 10, 64)
	if errAt != nil || errSeq != nil {
		return p, audit.ErrCursor
	}
	return p, nil
}

// where is a condition and its values.
type where struct {
	terms []string
	args  []any
}

// add adds a term, in which each ? stands for a value.
func (w *where) add(term string, values ...any) {
	for _, v := range values {
		w.args = append(w.args, v)
		term = strings.Replace(term, "?", "$"+strconv.Itoa(len(w.args)), 1)
	}
	w.terms = append(w.terms, term)
}

func (w *where) String() string {
	if len(w.terms) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.terms, " AND ")
}

func whereOf(q audit.Query) (*where, error) {
	w := new(where)
	for column, value := range q.Columns() {
		w.add(`"`+column+`" = ?::text`, ship.Column(value))
	}
	if !q.Since.IsZero() {
		w.add("recorded_at >= ?::bigint", q.Since.UnixMicro())
	}
	if !q.Until.IsZero() {
		w.add("recorded_at < ?::bigint", q.Until.UnixMicro())
	}
	if q.After == "" {
		return w, nil
	}
	p, err := parsePlace(q.After)
	if err != nil {
		return nil, err
	}
	// The first term alone tells which partitions need not be looked at.
	w.add("recorded_at <= ?::bigint AND (recorded_at, writer, seq) < (?::bigint, ?::text, ?::bigint)", p.at, p.at, p.writer, p.seq)
	return w, nil
}

// read gives the entries that a statement finds, and their places.
func read(ctx context.Context, tx pgx.Tx, statement string, args ...any) (entries []audit.Entry, places []place, err error) {
	rows, err := tx.Query(ctx, statement, args...)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var (
			e    audit.Entry
			p    place
			leaf []byte
		)
		if err := rows.Scan(&p.at, &p.writer, &p.seq, &leaf, &e.Canonical); err != nil {
			return nil, nil, err
		}
		e.Writer, e.Seq = p.writer, uint64(p.seq)
		if copy(e.Leaf[:], leaf) != len(e.Leaf) {
			return nil, nil, fmt.Errorf("record %d of writer %s has a leaf hash of %d bytes", p.seq, p.writer, len(leaf))
		}
		if e.Record, err = audit.Decode(e.Canonical); err != nil {
			return nil, nil, fmt.Errorf("record %d of writer %s: %w", p.seq, p.writer, err)
		}
		entries, places = append(entries, e), append(places, p)
	}
	return entries, places, rows.Err()
}
