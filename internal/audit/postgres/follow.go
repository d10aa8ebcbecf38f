package postgres

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/plumbline/plumbline/internal/audit"
)

const (
	// followEvery is how long a new record may stay unseen by Follow.
	followEvery = 500 * time.Millisecond
	// firstSlack and slack are how far before what was seen of a writer its next records are looked for at first: the times
	// of a writer rise nearly always. What is not found there is looked for everywhere.
	firstSlack, slack = 10 * time.Minute, time.Minute
)

// Follow gives the records of all processes as they are shipped. See read.Reader.
func (s *Store) Follow(ctx context.Context) (run func(func(audit.Entry) error) error, err error) {
	f := follower{s: s}
	err = s.pool.Read(ctx, func(ctx context.Context, tx pgx.Tx) (err error) {
		f.seen, err = lastNumbers(ctx, tx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("audit: following: %w", err)
	}
	now := time.Now()
	f.from = map[string]int64{}
	for writer := range f.seen {
		f.from[writer] = now.Add(-firstSlack).UnixMicro()
	}
	return func(fn func(audit.Entry) error) error { return f.run(ctx, fn) }, nil
}

// follower is one Follow.
type follower struct {
	s    *Store
	seen map[string]uint64 // the last number of each writer
	from map[string]int64  // the time from which its next ones are looked for
}

func (f *follower) run(ctx context.Context, fn func(audit.Entry) error) error {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		entries, err := f.next(ctx)
		if err != nil {
			return fmt.Errorf("audit: following: %w", err)
		}
		for i := range entries {
			if err := fn(entries[i]); err != nil {
				return err
			}
		}
		if len(entries) > 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// next gives records that came in, of each writer some.
func (f *follower) next(ctx context.Context) (all []audit.Entry, err error) {
	err = f.s.pool.Read(ctx, func(ctx context.Context, tx pgx.Tx) error {
		ends, err := lastNumbers(ctx, tx)
		if err != nil {
			return err
		}
		for _, writer := range slices.Sorted(maps.Keys(ends)) {
			entries, err := f.ofWriter(ctx, tx, writer, ends[writer])
			if err != nil {
				return err
			}
			all = append(all, entries...)
		}
		return nil
	})
	return all, err
}

// ofWriter gives a writer's next records up to a number. Numbers that have none are with the dead letters.
func (f *follower) ofWriter(ctx context.Context, tx pgx.Tx, writer string, end uint64) ([]audit.Entry, error) {
	seen := f.seen[writer]
	if end <= seen {
		return nil, nil
	}
	end = min(end, seen+batch)
	from, known := f.from[writer]
	if !known {
		from = minTime
	}
	entries, err := numbered(ctx, tx, writer, seen, end, from)
	if err == nil && uint64(len(entries)) < end-seen && from != minTime {
		entries, err = numbered(ctx, tx, writer, seen, end, minTime)
	}
	if err != nil {
		return nil, err
	}
	f.seen[writer] = end
	if n := len(entries); n > 0 {
		f.from[writer] = entries[n-1].Record.Time.Add(-slack).UnixMicro()
	}
	return entries, nil
}

// numbered gives the records of a writer with numbers above one and up to another, and times from one on, by number.
func numbered(ctx context.Context, tx pgx.Tx, writer string, above, upTo uint64, from int64) (entries []audit.Entry, err error) {
	const query = `SELECT seq, leaf, record FROM plumbline_audit.records
		WHERE recorded_at >= $1::bigint AND writer = $2::text AND seq > $3::bigint AND seq <= $4::bigint ORDER BY seq`
	rows, err := tx.Query(ctx, query, from, writer, int64(above), int64(upTo))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var (
			seq          int64
			leaf, record []byte
		)
		if err := rows.Scan(&seq, &leaf, &record); err != nil {
			return nil, err
		}
		e, err := entryOf(writer, seq, leaf, record)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, rows.Err()
}
