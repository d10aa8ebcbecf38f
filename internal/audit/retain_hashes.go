package audit

import (
	"context"
	"database/sql"
	"encoding/binary"

	"github.com/plumbline/plumbline/internal/core"
)

const (
	// partNumbers is how many of a writer's numbers one part of a dropped month spans, and leafBytes what it holds of each.
	partNumbers = 4096
	leafBytes   = 8 + 32
	// leavesAtOnce is how many entries of a month one statement reads.
	leavesAtOnce = 4096
	// partBytes of parts are kept in one transaction, at least.
	partBytes = 256 << 10
)

// part is what is kept of some records of a writer.
type part struct {
	writer int64 // writers.id
	name   string
	number int64
	leaves []byte
}

func (p *part) records() int64 { return int64(len(p.leaves) / leafBytes) }

// ofMonth is the condition of the entries of a month and class. Runs without entries of the month are left out.
const ofMonth = `s.earliest < @end AND s.latest >= @begin AND e.time >= @begin AND e.time < @end AND (e.kind = 'admin') = @admin`

// monthArgs are the values of ofMonth.
func monthArgs(m Month) []any {
	begin, end := m.Span()
	return []any{sql.Named("begin", begin.UnixMicro()), sql.Named("end", end.UnixMicro()), sql.Named("admin", m.Class == ClassAdmin)}
}

// eachPart calls fn for each part of a month's records, in the order of writers and numbers, which is that of positions, and
// gives the position of the last record. The part is fn's.
func (l *Log) eachPart(ctx context.Context, m Month, fn func(*part) error) (last Position, err error) {
	var p *part
	for more := true; more; {
		page, err := l.monthPage(ctx, m, last)
		if err != nil {
			return 0, err
		}
		for i := range page {
			e := &page[i]
			last = e.position
			number := int64(e.seq) / partNumbers
			if p != nil && (p.writer != e.writer || p.number != number) {
				if err := fn(p); err != nil {
					return 0, err
				}
				p = nil
			}
			if p == nil {
				p = &part{writer: e.writer, name: e.name, number: number}
			}
			p.leaves = append(binary.BigEndian.AppendUint64(p.leaves, e.seq), e.leaf[:]...)
		}
		more = len(page) == leavesAtOnce
	}
	if p != nil {
		err = fn(p)
	}
	return last, err
}

// monthEntry is an entry of a month without what it says.
type monthEntry struct {
	position Position
	writer   int64
	name     string
	seq      uint64
	leaf     [32]byte
}

// monthPage reads the first entries of a month after a position. It fails with ErrHeld if one of them must not go, and with a
// *BadEntryError if one is not of the month.
func (l *Log) monthPage(ctx context.Context, m Month, after Position) ([]monthEntry, error) {
	const query = `SELECT e.id, e.writer, w.name, e.seq, e.leaf, e.record,
			coalesce(e.admitted >= @owed, 0) OR CASE e.kind
				WHEN 'intent' THEN NOT EXISTS (SELECT 1 FROM by_exchange AS o WHERE o.exchange = e.exchange AND o.kind = 'outcome')
				WHEN 'outcome' THEN EXISTS (SELECT 1 FROM by_exchange AS i CROSS JOIN entries AS x ON x.id = i.entry
					WHERE i.exchange = e.exchange AND i.kind = 'intent' AND x.time >= @end)
				ELSE 0 END
		FROM spans AS s CROSS JOIN entries AS e ON e.id BETWEEN s.first AND s.last CROSS JOIN writers AS w ON w.id = e.writer
		WHERE s.last > @after AND e.id > @after AND ` + ofMonth + ` ORDER BY s.last, e.id LIMIT @most`
	args := append(monthArgs(m), sql.Named("after", after), sql.Named("most", leavesAtOnce),
		sql.Named("owed", l.o.Now().AddDate(0, 0, -heldDays).UnixMicro()))
	rows, err := l.side.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var (
		page         []monthEntry
		e            monthEntry
		held         bool
		leaf, record sql.RawBytes
	)
	for rows.Next() {
		if err := rows.Scan(&e.position, &e.writer, &e.name, &e.seq, &leaf, &record, &held); err != nil {
			return nil, err
		}
		if held {
			return nil, ErrHeld
		}
		copy(e.leaf[:], leaf)
		if len(leaf) != len(e.leaf) || !e.isOf(m, record) {
			return nil, &BadEntryError{e.position, e.name, e.seq, NotOfMonth(m)}
		}
		page = append(page, e)
	}
	return page, rows.Err()
}

// isOf reports whether an entry is of a month and class by its own bytes, and these are those of its hash. Of what is dropped no
// time is left that could be compared: whoever may write the file could have any record dropped with an old month, and the
// declaration would be right.
func (e *monthEntry) isOf(m Month, canonical []byte) bool {
	rec, err := Decode(canonical)
	begin, end := m.Span()
	return err == nil && LeafHash(canonical, e.name, e.seq) == e.leaf &&
		!rec.Time.Before(begin) && rec.Time.Before(end) && (rec.Kind == core.RecordAdmin) == (m.Class == ClassAdmin)
}

// keepHashes keeps the numbers and hashes of a month's records beside them, and gives what they are and the position of the
// last. What was kept of it before counts for nothing.
func (l *Log) keepHashes(ctx context.Context, m Month) (d Drop, last Position, err error) {
	if err := l.forgetHashes(ctx, m); err != nil {
		return d, 0, err
	}
	d, sum := Drop{Class: m.Class, Month: m.Name()}, NewDropDigest()
	var (
		parts []*part
		size  int
	)
	flush := func() error {
		err := l.keepParts(ctx, m, parts)
		parts, size = nil, 0
		return err
	}
	last, err = l.eachPart(ctx, m, func(p *part) error {
		d.Records += p.records()
		sum.Add(p.name, p.number, p.leaves)
		parts, size = append(parts, p), size+len(p.leaves)
		if size < partBytes {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	d.Digest = sum.Sum()
	return d, last, err
}

// keepParts keeps parts in one transaction.
func (l *Log) keepParts(ctx context.Context, m Month, parts []*part) error {
	return l.erase(ctx, func(ctx context.Context) error {
		for _, p := range parts {
			const keep = "INSERT INTO dropped (class, month, writer, part, records, leaves) VALUES (?, ?, ?, ?, ?, ?)"
			if _, err := l.conn.ExecContext(ctx, keep, m.Class, m.Name(), p.writer, p.number, p.records(), p.leaves); err != nil {
				return err
			}
		}
		return nil
	})
}

// forgetHashes deletes what a process that died had kept of a month before it was entered as dropped.
func (l *Log) forgetHashes(ctx context.Context, m Month) error {
	const forget = `DELETE FROM dropped WHERE rowid IN (SELECT rowid FROM dropped WHERE class = @class AND month = @month LIMIT 16)
		AND NOT EXISTS (SELECT 1 FROM drops WHERE class = @class AND month = @month)`
	return l.deleteInSteps(ctx, forget, sql.Named("class", m.Class), sql.Named("month", m.Name()))
}

// deleteInSteps runs a statement until it deletes nothing.
func (l *Log) deleteInSteps(ctx context.Context, statement string, args ...any) error {
	for n := int64(1); n > 0; {
		err := l.erase(ctx, func(ctx context.Context) error {
			done, err := l.conn.ExecContext(ctx, statement, args...)
			if err == nil {
				n, err = done.RowsAffected()
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
