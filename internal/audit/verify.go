package audit

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/plumbline/plumbline/internal/core"
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
// was rewritten together with its hash, shows only against hashes kept elsewhere: see package notary.
func (r *Reader) Verify(ctx context.Context) (Verified, error) {
	walked, err := r.Walk(ctx, func(string, uint64, [32]byte) error { return nil })
	return walked.Verified, err
}

// Walk does what Verify does, and visits each record's leaf hash, but for those of writers of which something was let go of.
func (r *Reader) Walk(ctx context.Context, visit Visit) (seen Walked, err error) {
	var (
		last = map[string]uint64{} // number by writer
		from Position
	)
	if seen.Released, err = r.releasedOfAll(ctx); err != nil {
		return seen, err
	}
	see := func(writer string, seq uint64, leaf [32]byte) error {
		last[writer] = seq
		seen.Records++
		seen.Writers = int64(len(last))
		if seen.Released[writer] > 0 {
			return nil
		}
		return visit(writer, seq, leaf)
	}
	for {
		start := from
		if from, err = r.walkPage(ctx, from, last, see); err != nil {
			return seen, err
		}
		if from == start {
			if err := r.verifyIndexes(ctx, indexSurplus); err != nil {
				return seen, err
			}
			more, err := r.walkJournal(ctx, from, last, see)
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

// walkJournal goes through the entries that the tables do not hold yet. more reports that the tables hold others by now.
func (r *Reader) walkJournal(ctx context.Context, from Position, last map[string]uint64, see Visit) (more bool, err error) {
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
		if err := see(f.writer, f.seq, LeafHash(f.canonical, f.writer, f.seq)); err != nil {
			return false, err
		}
	}
	return false, nil
}

// releasedOfAll gives, by writer, up to which number entries may be gone since another store has them.
func (r *Reader) releasedOfAll(ctx context.Context) (map[string]uint64, error) {
	rows, err := r.db.QueryContext(ctx, "SELECT name, released FROM writers WHERE released > 0")
	if err != nil {
		return nil, fmt.Errorf("audit: verifying: %w", err)
	}
	defer rows.Close()
	all := map[string]uint64{}
	for rows.Next() {
		var (
			name string
			upTo uint64
		)
		if err := rows.Scan(&name, &upTo); err != nil {
			return nil, fmt.Errorf("audit: verifying: %w", err)
		}
		all[name] = upTo
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("audit: verifying: %w", err)
	}
	return all, nil
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

// walkPage goes through the next entries of the tables and gives the position of the last. One long read would keep the writer
// from starting its WAL over.
func (r *Reader) walkPage(ctx context.Context, after Position, last map[string]uint64, see Visit) (Position, error) {
	const query = `SELECT e.id, coalesce(w.name, ''), e.seq, e.leaf, e.time, e.kind, e.exchange, e.user, e.team, e.app, e.action,
		e.reason, e.model, e.admitted, e.requests, e.input_tokens, e.output_tokens, e.cost, e.record,
		coalesce(w.released, 0), (SELECT value FROM state WHERE name = 'released')
		FROM entries AS e LEFT JOIN writers AS w ON w.id = e.writer WHERE e.id > ? ORDER BY e.id LIMIT ?`
	rows, err := r.db.QueryContext(ctx, query, after, maxLimit)
	if err != nil {
		return after, fmt.Errorf("audit: verifying: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var s stored
		if err := s.scan(rows); err != nil {
			return after, fmt.Errorf("audit: verifying: %w", err)
		}
		if problem := s.problem(last[s.writer]); problem != "" {
			return after, &BadEntryError{s.position, s.writer, s.seq, problem}
		}
		if err := see(s.writer, s.seq, [32]byte(s.leaf)); err != nil {
			return after, err
		}
		after = s.position
	}
	if err := rows.Err(); err != nil {
		return after, fmt.Errorf("audit: verifying: %w", err)
	}
	return after, nil
}

// stored is an entry with its columns as they are. Its bytes are the driver's, up to the next one.
type stored struct {
	position Position
	writer   string
	seq      uint64
	leaf     sql.RawBytes
	time     int64
	// kind, exchange, user, team, app, action, reason, model
	texts     [8]sql.RawBytes
	settled   [5]sql.NullInt64
	canonical sql.RawBytes
	// What was let go of: numbers of the writer up to the one may be gone, and entries up to the other.
	releasedSeq uint64
	released    Position
}

func (s *stored) scan(rows *sql.Rows) error {
	t, n := &s.texts, &s.settled
	return rows.Scan(&s.position, &s.writer, &s.seq, &s.leaf, &s.time, &t[0], &t[1], &t[2], &t[3], &t[4], &t[5], &t[6], &t[7],
		&n[0], &n[1], &n[2], &n[3], &n[4], &s.canonical, &s.releasedSeq, &s.released)
}

// problem says what is wrong with the entry, or nothing. last is the number of its writer's last entry before it.
func (s *stored) problem(last uint64) string {
	if s.writer == "" {
		return "its writer is missing"
	}
	want := max(last, s.releasedSeq) + 1
	if s.position <= s.released { // one that was kept: others between it and the last may be gone
		want = max(last+1, min(s.seq, s.releasedSeq))
	}
	if s.seq != want {
		return fmt.Sprintf("number %d was expected: records are missing", want)
	}
	if leaf := LeafHash(s.canonical, s.writer, s.seq); !bytes.Equal(leaf[:], s.leaf) {
		return "its hash is not that of its record"
	}
	if short, ok := Summarize(s.canonical); ok && s.saysShort(&short) {
		return ""
	}
	rec, err := Decode(s.canonical)
	if err != nil {
		return "its record cannot be read"
	}
	if !s.says(columnsOf(rec)) {
		return "its columns do not say what its record says"
	}
	return ""
}

// saysShort reports whether the columns are those of a summary.
func (s *stored) saysShort(short *Summary) bool {
	for i, want := range [...][]byte{short.Kind, short.Exchange, short.User, short.Team, short.App, short.Action, short.Reason, short.Model} {
		if !bytes.Equal(s.texts[i], want) {
			return false
		}
	}
	isSettled := short.hasSettled && string(short.Kind) == string(core.RecordOutcome)
	for i, n := range s.settled {
		if n.Valid != isSettled || isSettled && n.Int64 != short.settled[i] {
			return false
		}
	}
	return s.time == short.Time
}

// says reports whether the columns are those of a record.
func (s *stored) says(c columns) bool {
	for i, want := range [...]string{string(c.kind), c.exchange, c.user, c.team, c.app, c.action, c.reason, c.model} {
		if string(s.texts[i]) != want {
			return false
		}
	}
	return s.settled == c.settled && s.time == c.time
}
