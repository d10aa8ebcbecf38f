package audit

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/plumbline/plumbline/internal/core"
)

// days are those of a month.
func (m Month) days() (days []time.Time) {
	begin, end := m.Span()
	for day := begin; day.Before(end); day = day.AddDate(0, 0, 1) {
		days = append(days, day)
	}
	return days
}

// keepSums keeps the sums of a month day by day, in the place of any that were kept of it before.
func (l *Log) keepSums(ctx context.Context, m Month, sums SumDay) error {
	for _, day := range m.days() {
		hours, err := sums(ctx, day)
		if err != nil {
			return err
		}
		err = l.erase(ctx, func(ctx context.Context) error {
			_, err := l.conn.ExecContext(ctx, "DELETE FROM sums WHERE hour >= ? AND hour < ?", day.UnixMicro(), day.AddDate(0, 0, 1).UnixMicro())
			for hour, body := range hours {
				if err == nil {
					_, err = l.conn.ExecContext(ctx, "INSERT INTO sums (hour, body) VALUES (?, ?)", hour, body)
				}
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// retireSums deletes the sums that were kept of a month, and gives of how many hours they were.
func (l *Log) retireSums(ctx context.Context, m Month) (gone int64, err error) {
	begin, end := m.Span()
	declared := false
	err = l.eachFixed(ctx, sumsExchange+m.Name()+"/", func(*core.Record) { declared = true })
	if err != nil {
		return 0, err
	}
	if !declared {
		return 0, ErrUndeclared
	}
	err = l.erase(ctx, func(ctx context.Context) error { // at most 744 rows
		done, err := l.conn.ExecContext(ctx, "DELETE FROM sums WHERE hour >= ? AND hour < ?", begin.UnixMicro(), end.UnixMicro())
		if err == nil {
			gone, err = done.RowsAffected()
		}
		return err
	})
	return gone, err
}

// KeptMonth is a month of calls that was dropped.
type KeptMonth struct {
	Month
	// Done says that none of its records is left. Until then some may be, and its sums stand for all of them.
	Done bool
}

// KeptMonths gives the months of calls that were dropped.
func (r *Reader) KeptMonths(ctx context.Context) (all []KeptMonth, err error) {
	rows, err := r.db.QueryContext(ctx, "SELECT month, done FROM drops WHERE class = ? ORDER BY month", ClassExchange)
	if err != nil {
		return nil, fmt.Errorf("audit: reading what was dropped: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var (
			name string
			kept KeptMonth
		)
		if err := rows.Scan(&name, &kept.Done); err != nil {
			return nil, fmt.Errorf("audit: reading what was dropped: %w", err)
		}
		if m, ok := ParseMonth(ClassExchange, name); ok {
			kept.Month = m
			all = append(all, kept)
		}
	}
	return all, rows.Err()
}

// KeptSums calls fn for the sums that were kept of dropped months, from one time up to another, by the hour, both in
// microseconds since 1970. The body is valid until fn returns.
func (r *Reader) KeptSums(ctx context.Context, from, to int64, fn func(hour int64, body []byte) error) error {
	const query = `SELECT hour, body FROM sums WHERE hour >= ? AND hour < ? AND EXISTS (SELECT 1 FROM drops
		WHERE class = 'exchange' AND month = strftime('%Y_%m', hour / 1000000, 'unixepoch')) ORDER BY hour`
	rows, err := r.db.QueryContext(ctx, query, from, to)
	if err != nil {
		return fmt.Errorf("audit: reading kept sums: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var (
			hour int64
			body sql.RawBytes
		)
		if err := rows.Scan(&hour, &body); err != nil {
			return fmt.Errorf("audit: reading kept sums: %w", err)
		}
		if err := fn(hour, body); err != nil {
			return err
		}
	}
	return rows.Err()
}
