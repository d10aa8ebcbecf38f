package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/plumbline/plumbline/internal/core"
)

// Retention in a log that is its own store. A month of a class is dropped in steps, so that no step holds up the mover for
// long, and so that a process that is killed in any of them leaves a log that verifies:
//
//  1. Its sums, and its numbers and hashes, are kept beside the records. They count for nothing yet.
//  2. In one transaction the month enters the table of drops, if what is kept is what a record declares that a checkpoint
//     fixes, and with it all that came before it. From then on the records may be missing.
//  3. They are deleted, some hundred at a time.

// heldDays is how long everything is kept, whoever asks: limits are counted anew from the records of 33 days.
const heldDays = 35

// ErrHeld is wrapped by the error that says that a month has a record which must not go yet.
var ErrHeld = errors.New("audit: the month has records that are still needed: a call without its outcome, an outcome whose intent is of a later month, or a charge that limits count")

// SumDay gives the sums of what was recorded in a day, which begins at a time: by the beginning of the hour, in microseconds
// since 1970.
type SumDay func(ctx context.Context, day time.Time) (map[int64][]byte, error)

// Past gives the months of a class that ended before a time, the oldest first. Of a month that was dropped it gives nothing,
// although a record of a clock that was wrong may be there.
func (l *Log) Past(ctx context.Context, class string, before time.Time) (months []Month, err error) {
	before = before.UTC()
	floor := time.Date(before.Year(), before.Month(), 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	if class != ClassRollups {
		if err := l.indexBefore(ctx, floor); err != nil {
			return nil, fmt.Errorf("audit: looking for months that are past: %w", err)
		}
	}
	const name = "strftime('%Y_%m', time / 1000000, 'unixepoch')"
	query := map[string]string{
		ClassExchange: `SELECT DISTINCT ` + name + ` AS month FROM spans AS s CROSS JOIN entries AS e ON e.id BETWEEN s.first AND s.last
			WHERE s.earliest < @floor AND e.time < @floor AND e.kind <> 'admin'`,
		ClassAdmin:   `SELECT DISTINCT ` + name + ` AS month FROM entries WHERE kind = 'admin' AND time < @floor`,
		ClassRollups: `SELECT DISTINCT strftime('%Y_%m', hour / 1000000, 'unixepoch') AS month FROM sums WHERE hour < @floor`,
	}[class]
	// One of which every record is deleted, and that was not noted yet, is given too.
	query = `SELECT month FROM (` + query + ` UNION SELECT month FROM drops WHERE class = @class AND done = 0) AS p WHERE month IS NOT NULL AND CASE @class
		WHEN 'rollups' THEN EXISTS (SELECT 1 FROM drops AS d WHERE d.class = 'exchange' AND d.month = p.month)
		ELSE NOT EXISTS (SELECT 1 FROM drops AS d WHERE d.class = @class AND d.month = p.month AND d.done = 1) END ORDER BY month`
	rows, err := l.side.QueryContext(ctx, query, sql.Named("floor", floor), sql.Named("class", class))
	if err != nil {
		return nil, fmt.Errorf("audit: looking for months that are past: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, fmt.Errorf("audit: looking for months that are past: %w", err)
		}
		m, ok := ParseMonth(class, name)
		if _, end := m.Span(); ok && !end.After(before) {
			months = append(months, m)
		}
	}
	return months, rows.Err()
}

// indexMonth has a month's entries indexed.
func (l *Log) indexMonth(ctx context.Context, m Month) error {
	_, end := m.Span()
	return l.indexBefore(ctx, end.UnixMicro())
}

// indexBefore has entries of before a time indexed that are not yet, since only what is indexed can go.
func (l *Log) indexBefore(ctx context.Context, before int64) error {
	return l.do(ctx, func() error {
		var old bool
		const query = "SELECT EXISTS (SELECT 1 FROM entries AS e WHERE " + unindexed + " AND e.time < ?)"
		if err := l.conn.QueryRowContext(context.WithoutCancel(ctx), query, before).Scan(&old); err != nil || !old {
			return err
		}
		return l.indexRest(l.stored)
	})
}

// Declaration is the record by which the audit says, before it is done, that a month goes: of records, with a digest of the
// numbers and hashes that will be kept. It is refused with ErrHeld while the month has something that must not go.
func (l *Log) Declaration(ctx context.Context, m Month, actor string, now time.Time) (rec core.Record, err error) {
	if m.Class == ClassRollups {
		return m.SumsDeclaration(actor, now), nil
	}
	if err := l.indexMonth(ctx, m); err != nil {
		return rec, fmt.Errorf("audit: declaring that a month goes: %w", err)
	}
	d, sum := Drop{Class: m.Class, Month: m.Name()}, NewDropDigest()
	_, err = l.eachPart(ctx, m, func(p *part) error {
		d.Records += p.records()
		sum.Add(p.name, p.number, p.leaves)
		return nil
	})
	if err != nil {
		return rec, fmt.Errorf("audit: declaring that a month goes: %w", err)
	}
	d.Digest = sum.Sum()
	return d.Record(actor, now), nil
}

// Retire drops what the log has of a month, all of which is from before a time, and gives how much that was: records, whose
// numbers and hashes stay, or hours of sums. It refuses with ErrUndeclared before the month's Declaration is recorded and
// fixed, and with ErrHeld while something in it must not go. A month that is gone gives 0. After an error it can be called
// again, and goes on.
func (l *Log) Retire(ctx context.Context, m Month, before time.Time, sums SumDay) (gone int64, err error) {
	if _, end := m.Span(); end.After(before) || end.After(l.o.Now().AddDate(0, 0, -heldDays)) {
		return 0, fmt.Errorf("audit: %s has records that are to be kept", m.Name())
	}
	if m.Class == ClassRollups {
		gone, err = l.retireSums(ctx, m)
	} else {
		gone, err = l.retireRecords(ctx, m, sums)
	}
	if err != nil {
		return gone, fmt.Errorf("audit: dropping %s of class %s: %w", m.Name(), m.Class, err)
	}
	return gone, nil
}

func (l *Log) retireRecords(ctx context.Context, m Month, sums SumDay) (gone int64, err error) {
	last, begun, err := l.begunDrop(ctx, m)
	if err != nil {
		return 0, err
	}
	if !begun {
		if last, err = l.beginDrop(ctx, m, sums); err != nil || last == 0 {
			return 0, err
		}
	}
	return l.deleteMonth(ctx, m, last)
}

// begunDrop gives the last position of a month that was entered as dropped.
func (l *Log) begunDrop(ctx context.Context, m Month) (last Position, ok bool, err error) {
	err = l.side.QueryRowContext(ctx, "SELECT last FROM drops WHERE class = ? AND month = ?", m.Class, m.Name()).Scan(&last)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	return last, err == nil, err
}

// beginDrop keeps what stays of a month and enters it as dropped. It gives the position of its last record, zero if there is
// none.
func (l *Log) beginDrop(ctx context.Context, m Month, sums SumDay) (last Position, err error) {
	declared, err := l.declared(ctx, m)
	if err != nil {
		return 0, err
	}
	if len(declared) == 0 {
		return 0, ErrUndeclared
	}
	if err := l.indexMonth(ctx, m); err != nil {
		return 0, err
	}
	// The sums first: a record that comes in between changes the hashes, and what is declared then is another month.
	if m.Class == ClassExchange {
		if err := l.keepSums(ctx, m, sums); err != nil {
			return 0, err
		}
	}
	kept, last, err := l.keepHashes(ctx, m)
	if err != nil || last == 0 {
		return 0, err
	}
	if _, ok := declared[kept]; !ok {
		return 0, ErrUndeclared
	}
	return last, l.do(ctx, func() error {
		// The log's last entry stays whatever its month: positions go on from it. A declaration comes after what it declares.
		if last >= l.stored {
			return ErrHeld
		}
		const enter = "INSERT INTO drops (class, month, last, done) VALUES (?, ?, ?, 0)"
		_, err := l.conn.ExecContext(context.WithoutCancel(ctx), enter, m.Class, m.Name(), last)
		return err
	})
}

// declared gives what was declared of a month in records that a checkpoint fixes. Whether that is signed is for who verifies:
// he who owns the file can drop what he likes.
func (l *Log) declared(ctx context.Context, m Month) (map[Drop]struct{}, error) {
	all := map[Drop]struct{}{}
	err := l.eachFixed(ctx, dropExchange+m.Class+"/"+m.Name()+"/", func(rec *core.Record) {
		if d, ok := DropOf(rec); ok {
			all[d] = struct{}{}
		}
	})
	return all, err
}

// eachFixed calls fn for the admin records that a checkpoint fixes and whose exchange begins with a text that ends in a slash.
func (l *Log) eachFixed(ctx context.Context, beginning string, fn func(*core.Record)) error {
	const (
		fixed = ` AND e.id <= (SELECT value FROM state WHERE name = 'fixed')
			AND EXISTS (SELECT 1 FROM checkpoints AS c WHERE c.writer = e.writer AND c.size >= e.seq)`
		query = `SELECT e.record FROM by_exchange AS i CROSS JOIN entries AS e ON e.id = i.entry
			WHERE i.exchange >= @from AND i.exchange < @to AND i.kind = 'admin'` + fixed + `
			UNION ALL SELECT e.record FROM entries AS e
			WHERE ` + unindexed + ` AND e.exchange >= @from AND e.exchange < @to AND e.kind = 'admin'` + fixed
	)
	after := beginning[:len(beginning)-1] + "0" // the character after the slash
	rows, err := l.side.QueryContext(ctx, query, sql.Named("from", beginning), sql.Named("to", after))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var canonical []byte
		if err := rows.Scan(&canonical); err != nil {
			return err
		}
		rec, err := Decode(canonical)
		if err != nil {
			return err
		}
		fn(&rec)
	}
	return rows.Err()
}
