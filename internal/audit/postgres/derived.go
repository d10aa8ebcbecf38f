package postgres

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/ship"
	"github.com/plumbline/plumbline/internal/core"
)

// judgementOf is the nearest task and the intent's label, as they are kept beside a record.
func judgementOf(r *core.Record) (task, intent string) {
	if r.Deviation != nil {
		task = ship.Column(r.Deviation.Task)
	}
	if r.Intent != nil {
		intent = ship.Column(r.Intent.Label)
	}
	return task, intent
}

// maxKnown bounds how many explanations a store remembers to have written. There are a few for each task and rule.
const maxKnown = 16384

// known are ids of explanations that are in their table, so that few batches ask for it.
type known struct {
	mu  sync.Mutex
	ids map[int64]struct{}
}

// explanation is a text with the reason that it begins with.
type explanation struct{ reason, text string }

// texts are explanations by id.
type texts map[int64]explanation

// news gives the explanations of a batch, whose ids are given, that may not be in the table.
func (k *known) news(batch []audit.Shipment, ids []int64) texts {
	k.mu.Lock()
	defer k.mu.Unlock()
	found := texts{}
	for i := range batch {
		id := ids[i]
		if _, ok := k.ids[id]; id == 0 || ok {
			continue
		}
		e := explanation{text: audit.Explanation(&batch[i].Record)}
		if r := batch[i].Record.Reason; r != core.ReasonNone {
			e.reason = ship.Column(string(r))
		}
		found[id] = e
	}
	return found
}

// add notes that explanations are in the table.
func (k *known) add(written texts) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ids == nil || len(k.ids) > maxKnown {
		k.ids = map[int64]struct{}{}
	}
	for id := range written {
		k.ids[id] = struct{}{}
	}
}

// insert writes those that are not there, in the order of their ids: processes that write in one order do not wait for each
// other in a circle.
func (t texts) insert(ctx context.Context, tx pgx.Tx) error {
	if len(t) == 0 {
		return nil
	}
	ids := slices.Sorted(maps.Keys(t))
	var reasons, all []string
	for _, id := range ids {
		reasons, all = append(reasons, t[id].reason), append(all, t[id].text)
	}
	const statement = `INSERT INTO plumbline_audit.explanations (id, reason, text)
		SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[]) ON CONFLICT DO NOTHING`
	_, err := tx.Exec(ctx, statement, ids, reasons, all)
	return err
}

// tables are those that sums are kept in, each with what is added to it: all by the hour; by the day without people; and of
// people by the day, without what they asked for.
func tables(sums ship.Rollup) iter.Seq2[string, ship.Rollup] {
	return func(yield func(string, ship.Rollup) bool) {
		days, people := ship.Rollup{}, ship.Rollup{}
		for k, s := range sums {
			k.Hour = ship.DayOf(k.Hour)
			days.Sum(ship.Key{Hour: k.Hour, Team: k.Team, App: k.App, Model: k.Model, Intent: k.Intent, Verdict: k.Verdict}, s)
			people.Sum(ship.Key{Hour: k.Hour, User: k.User, Team: k.Team, Verdict: k.Verdict}, s)
		}
		_ = yield("rollups", sums) && yield("rollups_day", days) && yield("rollups_day_user", people)
	}
}

// addSums adds to the sums of a table, in the order of their keys.
func addSums(ctx context.Context, tx pgx.Tx, table string, sums ship.Rollup) error {
	if len(sums) == 0 {
		return nil
	}
	statement := `INSERT INTO plumbline_audit.` + table + ` AS r
			(hour, "user", team, app, model, intent, verdict, decided, ended, requests, input_tokens, output_tokens, cost, latency, deviation)
		SELECT * FROM (SELECT hour, "user", team, app, model, intent, verdict, decided, ended, requests, input_tokens, output_tokens, cost,
			latency::bigint[], deviation::bigint[]
			FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::bigint[],
				$10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::text[], $15::text[])
			WITH ORDINALITY AS u (hour, "user", team, app, model, intent, verdict, decided, ended, requests, input_tokens, output_tokens,
				cost, latency, deviation, n) ORDER BY n) AS new
		ON CONFLICT (hour, "user", team, app, model, intent, verdict) DO UPDATE SET
			decided = r.decided + excluded.decided, ended = r.ended + excluded.ended, requests = r.requests + excluded.requests,
			input_tokens = r.input_tokens + excluded.input_tokens, output_tokens = r.output_tokens + excluded.output_tokens,
			cost = r.cost + excluded.cost, latency = ` + added("latency", len(ship.Sums{}.Latency)) + `,
			deviation = ` + added("deviation", len(ship.Sums{}.Deviation))
	var (
		hour               []int64
		texts              [6][]string
		numbers            [6][]int64
		latency, deviation []string
		keys               = sums.Keys()
	)
	for _, k := range keys {
		s := sums[k]
		hour = append(hour, k.Hour)
		for i, v := range [...]string{k.User, k.Team, k.App, k.Model, k.Intent, k.Verdict} {
			texts[i] = append(texts[i], v)
		}
		for i, v := range [...]int64{s.Decided, s.Ended, s.Requests, s.InputTokens, s.OutputTokens, s.Cost} {
			numbers[i] = append(numbers[i], v)
		}
		latency, deviation = append(latency, array(s.Latency[:])), append(deviation, array(s.Deviation[:]))
	}
	args := []any{hour}
	for _, v := range texts {
		args = append(args, v)
	}
	for _, v := range numbers {
		args = append(args, v)
	}
	_, err := tx.Exec(ctx, statement, append(args, latency, deviation)...)
	return err
}

// added adds counts up place by place. Those of a version with more of them, or fewer, are left to a function that is slower
// and knows no bounds.
func added(column string, n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "CASE WHEN cardinality(r.%[1]s) <> %[2]d THEN plumbline_audit.add(r.%[1]s, excluded.%[1]s) ELSE ARRAY[", column, n)
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "r.%[1]s[%[2]d] + excluded.%[1]s[%[2]d]", column, i+1)
	}
	return b.String() + "] END"
}

// array is an array of numbers in Postgres' own words: arrays of arrays are not unnested by one level.
func array(numbers []int64) string {
	b := []byte{'{'}
	for i, n := range numbers {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Append(b, n)
	}
	return string(append(b, '}'))
}
