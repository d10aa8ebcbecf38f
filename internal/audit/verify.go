package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Verified counts what Verify looked at.
type Verified struct {
	Writers int64 `json:"writers"`
	Records int64 `json:"records"`
}

// BadEntryError names the first entry that is not as it was written.
type BadEntryError struct {
	// Position is zero where the records of several logs are kept together.
	Position Position
	Writer   string
	Seq      uint64
	// Problem says what is wrong with it.
	Problem string
}

func (e *BadEntryError) Error() string {
	if e.Position == 0 {
		return fmt.Sprintf("audit: number %d of writer %s: %s", e.Seq, e.Writer, e.Problem)
	}
	return fmt.Sprintf("audit: entry %d (writer %s, number %d): %s", e.Position, e.Writer, e.Seq, e.Problem)
}

// Verify reads the whole log and checks that each writer's numbers are dense, that each leaf hash is that of its record,
// that the columns say what the record says and that the indexes hold what the columns say. The first entry that fails
// is returned as a *BadEntryError.
//
// Of a log that is the spool of another store, it checks what is still here: what was let go of is checked there.
//
// It finds what was changed or taken out of the middle. That the end of a writer's records is missing, or that a record
// was rewritten together with its hash, shows only against hashes kept elsewhere.
func (r *Reader) Verify(ctx context.Context) (Verified, error) {
	var (
		seen Verified
		last = map[string]uint64{} // number by writer
		from Position
	)
	for {
		start := from
		page, err := r.stored(ctx, from)
		if err != nil {
			return seen, fmt.Errorf("audit: verifying: %w", err)
		}
		for _, s := range page {
			e := s.entry
			if problem := s.problem(last[e.Writer]); problem != "" {
				return seen, &BadEntryError{e.Position, e.Writer, e.Seq, problem}
			}
			last[e.Writer] = e.Seq
			from = e.Position
			seen.Records++
			seen.Writers = int64(len(last))
		}
		if len(page) == 0 {
			if err := r.verifyIndexes(ctx, indexSurplus); err != nil {
				return seen, err
			}
			more, err := r.verifyJournal(ctx, from, last, &seen)
			if err != nil || !more {
				return seen, err
			}
			continue
		}
		if err := r.verifyIndexes(ctx, indexGaps, sql.Named("from", start), sql.Named("to", from)); err != nil {
			return seen, err
		}
	}
}

// verifyJournal checks the entries that the tables do not hold yet. more reports that the tables hold others by now.
func (r *Reader) verifyJournal(ctx context.Context, from Position, last map[string]uint64, seen *Verified) (more bool, err error) {
	recent, err := r.recent(ctx)
	if err != nil {
		return false, fmt.Errorf("audit: verifying: %w", err)
	}
	if recent.after > from {
		return true, nil
	}
	for _, f := range recent.frames {
		if last[f.writer] == 0 { // all that the tables had of it may have been let go of
			if last[f.writer], err = r.releasedOf(ctx, f.writer); err != nil {
				return false, err
			}
		}
		if want := last[f.writer] + 1; f.seq != want {
			return false, &BadEntryError{f.position, f.writer, f.seq, fmt.Sprintf("number %d was expected: records are missing", want)}
		}
		last[f.writer] = f.seq
		seen.Records++
	}
	seen.Writers = int64(len(last))
	return false, nil
}

// releasedOf gives the number up to which a writer's entries may be gone since another store has them.
func (r *Reader) releasedOf(ctx context.Context, writer string) (seq uint64, err error) {
	err = r.db.QueryRowContext(ctx, "SELECT released FROM writers WHERE name = ?", writer).Scan(&seq)
	if err != nil {
		return 0, fmt.Errorf("audit: verifying: %w", err)
	}
	return seq, nil
}

// verifyIndexes returns the first entry with one of the problems as a *BadEntryError.
func (r *Reader) verifyIndexes(ctx context.Context, problems []indexProblem, args ...any) error {
	for _, p := range problems {
		var first sql.NullInt64
		if err := r.db.QueryRowContext(ctx, p.statement, args...).Scan(&first); err != nil {
			return fmt.Errorf("audit: verifying: %w", err)
		}
		if !first.Valid {
			continue
		}
		bad := &BadEntryError{Position: Position(first.Int64), Problem: p.problem}
		err := r.db.QueryRowContext(ctx, "SELECT w.name, e.seq FROM entries AS e JOIN writers AS w ON w.id = e.writer WHERE e.id = ?",
			first.Int64).Scan(&bad.Writer, &bad.Seq)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("audit: verifying: %w", err)
		}
		return bad
	}
	return nil
}

// stored reads a page of entries. One long read would keep the writer from starting its WAL over.
func (r *Reader) stored(ctx context.Context, after Position) ([]stored, error) {
	const query = `SELECT e.id, coalesce(w.name, ''), e.seq, e.leaf, e.time, e.kind, e.exchange, e.user, e.team, e.app, e.action,
		e.reason, e.model, e.admitted, e.requests, e.input_tokens, e.output_tokens, e.cost, e.record,
		coalesce(w.released, 0), (SELECT value FROM state WHERE name = 'released')
		FROM entries AS e LEFT JOIN writers AS w ON w.id = e.writer WHERE e.id > ? ORDER BY e.id LIMIT ?`
	rows, err := r.db.QueryContext(ctx, query, after, maxLimit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var page []stored
	for rows.Next() {
		var s stored
		if err := s.scan(rows); err != nil {
			return nil, err
		}
		page = append(page, s)
	}
	return page, rows.Err()
}

// stored is an entry with its columns as they are.
type stored struct {
	entry Entry
	leaf  []byte
	row   row
	// What was let go of: numbers of the writer up to the one may be gone, and entries up to the other.
	releasedSeq uint64
	released    Position
}

func (s *stored) scan(rows *sql.Rows) error {
	settled := &s.row.settled
	return rows.Scan(&s.entry.Position, &s.entry.Writer, &s.entry.Seq, &s.leaf, &s.row.time, &s.row.kind, &s.row.exchange,
		&s.row.user, &s.row.team, &s.row.app, &s.row.action, &s.row.reason, &s.row.model,
		&settled[0], &settled[1], &settled[2], &settled[3], &settled[4], &s.row.canonical, &s.releasedSeq, &s.released)
}

// problem says what is wrong with the entry, or nothing. last is the number of its writer's last entry before it.
func (s *stored) problem(last uint64) string {
	e := &s.entry
	if e.Writer == "" {
		return "its writer is missing"
	}
	want := max(last, s.releasedSeq) + 1
	if e.Position <= s.released { // one that was kept: others between it and the last may be gone
		want = max(last+1, min(e.Seq, s.releasedSeq))
	}
	if e.Seq != want {
		return fmt.Sprintf("number %d was expected: records are missing", want)
	}
	if leaf := LeafHash(s.row.canonical, e.Writer, e.Seq); string(leaf[:]) != string(s.leaf) {
		return "its hash is not that of its record"
	}
	rec, err := Decode(s.row.canonical)
	if err != nil {
		return "its record cannot be read"
	}
	if columnsOf(rec) != s.row.columns {
		return "its columns do not say what its record says"
	}
	return ""
}
