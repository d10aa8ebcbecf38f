package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/plumbline/plumbline/internal/audit/read"
	"github.com/plumbline/plumbline/internal/audit/ship"
)

// Sum gives sums of all processes from the tables of sums, never from records: whole days from those by the day, where one
// has what is asked for, and the rest from those by the hour. See read.Reader.
func (s *Store) Sum(ctx context.Context, q read.SumQuery) (sums []read.Row, err error) {
	if err := q.Check(); err != nil {
		return nil, err
	}
	statement, a := sumStatement(&q)
	err = s.pool.Read(ctx, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, statement, a...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var (
				r                  read.Row
				latency, deviation []int64
			)
			err := rows.Scan(&r.Hour, &r.User, &r.Team, &r.App, &r.Model, &r.Intent, &r.Verdict, &r.Decided, &r.Ended, &r.Requests,
				&r.InputTokens, &r.OutputTokens, &r.Cost, &latency, &deviation)
			if err != nil {
				return err
			}
			copy(r.Latency[:], latency)
			copy(r.Deviation[:], deviation)
			sums = append(sums, r)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("audit: summing: %w", err)
	}
	return sums, nil
}

// keyColumns are those that sums are kept by, with the dimension and the filter of a query that goes by each.
func keyColumns(q *read.SumQuery) []struct {
	column string
	by     read.Dimension
	want   string
} {
	return []struct {
		column string
		by     read.Dimension
		want   string
	}{
		{"user", read.ByUser, q.User},
		{"team", read.ByTeam, q.Team},
		{"app", read.ByApp, q.App},
		{"model", read.ByModel, q.Model},
		{"intent", read.ByIntent, q.Intent},
		{"verdict", read.ByVerdict, q.Verdict},
	}
}

// sumStatement is the statement of a sum and its values.
func sumStatement(q *read.SumQuery) (string, args) {
	var a args
	hour := "0::bigint"
	switch {
	case slices.Contains(q.By, read.ByHour):
		hour = "hour"
	case slices.Contains(q.By, read.ByDay):
		const day = "86400000000"
		hour = "hour - ((hour % " + day + ") + " + day + ") % " + day
	}
	columns, terms := []string{hour}, []string{}
	for _, c := range keyColumns(q) {
		if slices.Contains(q.By, c.by) {
			columns = append(columns, `"`+c.column+`"`)
		} else {
			columns = append(columns, `''::text`)
		}
		if c.want != "" {
			terms = append(terms, `"`+c.column+`" = `+a.add(ship.Column(c.want), "text"))
		}
	}
	for _, c := range []string{"decided", "ended", "requests", "input_tokens", "output_tokens", "cost"} {
		columns = append(columns, "least(coalesce(sum("+c+"), 0), 9223372036854775807)::bigint AS "+c)
	}
	var sums ship.Sums
	columns = append(columns, totals("latency", len(sums.Latency), "bigint[]"), totals("deviation", len(sums.Deviation), "bigint[]"))
	order := "13 DESC, 8 DESC, 2, 3, 4, 5, 6, 7"
	if q.ByTime() {
		order = "1, 2, 3, 4, 5, 6, 7"
	}
	limit := a.add(q.Rows(), "bigint")
	summed := func(columns, terms []string) string {
		return "SELECT " + strings.Join(columns, ", ") + " FROM (" + strings.Join(parts(q, terms, &a), " UNION ALL ") +
			") AS r GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY " + order + " LIMIT " + limit
	}
	if !slices.Contains(q.By, read.ByUser) || q.ByTime() || q.Rows() > ranked {
		return summed(columns, terms), a
	}
	first := summed(columns[:counts], terms)
	return "WITH first AS MATERIALIZED (" + first + ") " +
		summed(columns, append(terms, `"user" IN (SELECT "user" FROM first)`)), a
}

// ranked is how many rows that tell people apart are found before their distributions are summed: these are most of what a sum
// costs, and people are many.
const ranked = 100

// counts are the columns before the distributions.
const counts = 13

// totals adds counts up place by place.
func totals(column string, n int, as string) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("coalesce(sum(%s[%d]), 0)", column, i+1)
	}
	return "ARRAY[" + strings.Join(all, ", ") + "]::" + as
}

// parts are the statements that give what is to be summed.
func parts(q *read.SumQuery, terms []string, a *args) (all []string) {
	part := func(table string, from, to int64) {
		if from >= to {
			return
		}
		where := append([]string{"hour >= " + a.add(from, "bigint"), "hour < " + a.add(to, "bigint")}, terms...)
		all = append(all, "SELECT * FROM plumbline_audit."+table+" WHERE "+strings.Join(where, " AND "))
	}
	from, to := q.Hours()
	table := dayTable(q)
	firstDay := ship.DayOf(from + (24 * time.Hour).Microseconds() - 1)
	lastDay := ship.DayOf(to)
	if table == "" || firstDay >= lastDay {
		part("rollups", from, to)
		return all
	}
	part("rollups", from, firstDay)
	part(table, firstDay, lastDay)
	part("rollups", lastDay, to)
	return all
}

// dayTable is the table of sums by the day that has what is asked for, empty for none.
func dayTable(q *read.SumQuery) string {
	if slices.Contains(q.By, read.ByHour) {
		return ""
	}
	var people, rest bool
	for _, c := range keyColumns(q) {
		if c.want == "" && !slices.Contains(q.By, c.by) {
			continue
		}
		people = people || c.by == read.ByUser
		rest = rest || c.by == read.ByApp || c.by == read.ByModel || c.by == read.ByIntent
	}
	switch {
	case !people:
		return "rollups_day"
	case !rest:
		return "rollups_day_user"
	}
	return ""
}
