package postgres

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/read"
	"github.com/plumbline/plumbline/internal/audit/ship"
	"github.com/plumbline/plumbline/internal/core"
)

const (
	// window is how many records one statement looks through, windows how many statements a page takes at most: a search for
	// what is nearly nowhere gives pages that lead on instead of holding up whoever asks.
	window, windows = 1024, 4
	// batch is how many records a walk reads at a time.
	batch = 2048
	// cursorStore is this store's letter in cursors.
	cursorStore = 'p'
)

var _ read.Reader = (*Store)(nil)

// Search finds records of all processes, newest first: by their own time, then by writer and number, since what several
// processes record has no other order. A record that is shipped between two pages is found if its place comes after the
// cursor. See read.Reader.
func (s *Store) Search(ctx context.Context, q audit.Query) (entries []audit.Entry, next string, err error) {
	if err := q.Check(); err != nil {
		return nil, "", err
	}
	after, err := readPlace(q.After)
	if err != nil {
		return nil, "", err
	}
	limit := q.PageSize()
	err = s.pool.Read(ctx, func(ctx context.Context, tx pgx.Tx) error {
		sc, err := newScan(ctx, tx, &q, after)
		if err != nil {
			return err
		}
		entries, err = sc.page(ctx, tx, limit+1)
		after = sc.after
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("audit: searching: %w", err)
	}
	if len(entries) > limit {
		entries = entries[:limit]
		after = placeOf(&entries[limit-1])
	}
	if after != nil {
		next = after.cursor()
	}
	return entries, next, nil
}

// page gives the next entries that match, at most limit of them, and moves the scan to where it stopped; to nil at the end.
func (sc *scan) page(ctx context.Context, tx pgx.Tx, limit int) (entries []audit.Entry, err error) {
	for range windows {
		found, more, err := sc.window(ctx, tx, window, limit-len(entries))
		if err != nil {
			return nil, err
		}
		entries = append(entries, found...)
		if !more {
			sc.after = nil
			break
		}
		if len(entries) >= limit {
			break
		}
	}
	return entries, nil
}

// Walk calls fn for the records of all processes that match, by their own time, then by writer and number. What it reads of
// at a time is a transaction of its own, so that it may take long. See read.Reader.
func (s *Store) Walk(ctx context.Context, q audit.Query, fn func(audit.Raw) error) error {
	if err := q.Check(); err != nil {
		return err
	}
	var (
		sc   *scan
		ends map[string]uint64
	)
	err := s.pool.Read(ctx, func(ctx context.Context, tx pgx.Tx) (err error) {
		if ends, err = lastNumbers(ctx, tx); err != nil {
			return err
		}
		sc, err = newScan(ctx, tx, &q, nil)
		if err == nil {
			sc.ascending = true
			err = sc.endNow(ctx, tx)
		}
		return err
	})
	for more := true; err == nil && more; {
		var entries []audit.Entry
		err = s.pool.Read(ctx, func(ctx context.Context, tx pgx.Tx) (err error) {
			entries, more, err = sc.window(ctx, tx, batch, batch)
			return err
		})
		for i := range entries {
			e := &entries[i]
			if err != nil {
				break
			}
			if e.Seq > ends[e.Writer] { // it came in since, as the numbers of a writer come in order
				continue
			}
			if err := fn(audit.Raw{Writer: e.Writer, Seq: e.Seq, Leaf: e.Leaf, Kind: e.Record.Kind, Canonical: e.Canonical}); err != nil {
				return err
			}
		}
	}
	if err != nil {
		return fmt.Errorf("audit: reading records: %w", err)
	}
	return nil
}

// Records is Walk over a span of time. See read.Reader.
func (s *Store) Records(ctx context.Context, since, until time.Time, fn func(kind core.RecordKind, canonical []byte) error) error {
	return s.Walk(ctx, audit.Query{Since: since, Until: until}, func(raw audit.Raw) error { return fn(raw.Kind, raw.Canonical) })
}

// lastNumbers gives the last number of each writer that is stored.
func lastNumbers(ctx context.Context, tx pgx.Tx) (map[string]uint64, error) {
	all := map[string]uint64{}
	err := ranges(ctx, tx, "SELECT name, last FROM plumbline_audit.writers", func(writer string, last int64) { all[writer] = uint64(last) })
	return all, err
}

// place is where a record stands among all.
type place struct {
	at     int64
	writer string
	seq    int64
}

func placeOf(e *audit.Entry) *place {
	return &place{e.Record.Time.UnixMicro(), e.Writer, int64(e.Seq)}
}

func (p *place) cursor() string {
	b := binary.BigEndian.AppendUint64(nil, uint64(p.at))
	b = binary.BigEndian.AppendUint64(b, uint64(p.seq))
	return audit.Cursor(cursorStore, append(b, p.writer...))
}

// readPlace gives the place of a cursor, nil for none.
func readPlace(cursor string) (*place, error) {
	if cursor == "" {
		return nil, nil
	}
	b, err := audit.ReadCursor(cursorStore, cursor)
	if err != nil {
		return nil, err
	}
	if len(b) < 16 {
		return nil, audit.ErrCursor
	}
	p := &place{int64(binary.BigEndian.Uint64(b)), string(b[16:]), int64(binary.BigEndian.Uint64(b[8:]))}
	if p.writer != ship.Column(p.writer) {
		return nil, audit.ErrCursor
	}
	return p, nil
}
