package audit

import (
	"context"
	"fmt"
	"time"
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

// BadSumError names the first time whose sums are not those of its records.
type BadSumError struct {
	// Table is the one that the sums are kept in, and Begin when the hour or the day begins.
	Table string
	Begin time.Time
}

func (e *BadSumError) Error() string {
	return fmt.Sprintf("audit: the sums of %s in %s are not those of its records: rows were changed, added or taken out; no record was", e.Begin.UTC().Format("2006-01-02T15:04Z"), e.Table)
}

// Verify reads the whole log and checks that each writer's numbers are dense, that each leaf hash is that of its record,
// that the columns say what the record says and that the indexes hold what the columns say. The first entry that fails
// is returned as a *BadEntryError.
//
// Of a log that is the spool of another store, it checks what is still here: what was let go of is checked there. Of months
// that retention dropped, hashes stand in the places of the records.
//
// It finds what was changed or taken out of the middle. That the end of a writer's records is missing, or that a record
// was rewritten together with its hash, shows only against hashes kept elsewhere: see package notary.
func (r *Reader) Verify(ctx context.Context) (Verified, error) {
	walked, err := r.Leaves(ctx, func(string, uint64, [32]byte) error { return nil })
	return walked.Verified, err
}

// Leaves does what Verify does, and visits each record's leaf hash, but for those of writers of which something was let go of.
func (r *Reader) Leaves(ctx context.Context, visit Visit) (seen Walked, err error) {
	var (
		last = map[string]uint64{} // number by writer
		from Position
	)
	if seen.Released, err = r.releasedOfAll(ctx); err != nil {
		return seen, err
	}
	indexes, err := r.checkIndexes(ctx)
	if err != nil {
		return seen, err
	}
	defer indexes.stop()
	see := func(writer string, seq uint64, leaf [32]byte) error {
		last[writer] = seq
		seen.Records++
		seen.Writers = int64(len(last))
		if seen.Released[writer] > 0 {
			return nil
		}
		return visit(writer, seq, leaf)
	}
	dropped := r.walkDropped(last, &seen, visit)
	for more := true; more; {
		if from, err = r.walkTables(ctx, from, last, indexes, dropped, see); err != nil {
			return seen, err
		}
		if more, err = r.walkJournal(ctx, from, last, see); err != nil {
			return seen, err
		}
	}
	if err := dropped.end(ctx); err != nil {
		return seen, err
	}
	return seen, indexes.end(ctx, from)
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
