package postgres

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/ship"
	"github.com/plumbline/plumbline/internal/core"
)

const (
	// probed is how many records of each filter are looked at to find the sparsest.
	probed = 256
	// mostLeading is how many texts can lead a search: each is looked up by itself.
	mostLeading = 32
)

// scan goes through the records that a query asks for, in the order of their places. The filter that the fewest records have
// leads: its index gives records in the order of time, and of each the other filters are checked. What a statement looks
// through is bounded whatever the filters have in common.
type scan struct {
	q         *audit.Query
	filters   []filter
	lead      int // the filter that leads, -1 for none: time alone
	ascending bool
	after     *place // where it is; nil at the beginning
	end       int64  // the latest time, inclusive
}

// filter is what a record must have: a value, or one of several ids.
type filter struct {
	column string
	value  string
	ids    []int64 // of explanations
}

// newScan looks up what a query asks for and chooses what leads.
func newScan(ctx context.Context, tx pgx.Tx, q *audit.Query, after *place) (*scan, error) {
	sc := &scan{q: q, lead: -1, after: after, end: 1<<63 - 1}
	for column, value := range q.Columns() {
		sc.filters = append(sc.filters, filter{column: column, value: ship.Column(value)})
	}
	if q.Task != "" {
		sc.filters = append(sc.filters, filter{column: "task", value: ship.Column(q.Task)})
	}
	if q.Intent != "" {
		sc.filters = append(sc.filters, filter{column: "intent", value: ship.Column(q.Intent)})
	}
	if q.Text != "" {
		ids, err := explanations(ctx, tx, q)
		if err != nil {
			return nil, err
		}
		sc.filters = append(sc.filters, filter{column: "explanation", ids: ids})
	}
	return sc, sc.chooseLead(ctx, tx)
}

// explanations gives the ids of the texts that hold the one searched for. There are few texts: see audit.Explanation.
func explanations(ctx context.Context, tx pgx.Tx, q *audit.Query) ([]int64, error) {
	reasons := []string{}
	for _, r := range audit.ReasonsSaying(q.LowerText()) {
		reasons = append(reasons, string(r))
	}
	const query = "SELECT id FROM plumbline_audit.explanations WHERE strpos(text, $1::text) > 0 OR reason = ANY($2::text[])"
	rows, err := tx.Query(ctx, query, q.LowerText(), reasons)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

// canLead reports whether an index holds the filter's records in the order of time. What nearly all have, none does.
func (f *filter) canLead() bool {
	switch f.column {
	case "reason":
		return f.value != string(core.ReasonNone)
	case "action":
		return f.value != string(core.ActionAllow)
	case "kind":
		return f.value != string(core.RecordIntent) && f.value != string(core.RecordOutcome)
	case "explanation":
		return len(f.ids) <= mostLeading
	}
	return true
}

// chooseLead finds the sparsest filter: the one of whose records so many go back furthest, or that has fewer.
func (sc *scan) chooseLead(ctx context.Context, tx pgx.Tx) error {
	var able []int
	for i := range sc.filters {
		if f := &sc.filters[i]; f.canLead() {
			able = append(able, i)
		}
		if sc.filters[i].column == "exchange" {
			sc.lead = i // it has a few records at most
			return nil
		}
	}
	if len(able) < 2 {
		if len(able) == 1 {
			sc.lead = able[0]
		}
		return nil
	}
	var (
		a      args
		probes []string
		oldest = make([]*int64, len(able))
		into   []any
	)
	for n, i := range able {
		probes = append(probes, "(SELECT recorded_at FROM ("+sc.source(&a, &sc.filters[i], "recorded_at", "recorded_at DESC", probed)+
			") AS p ORDER BY recorded_at DESC OFFSET "+strconv.Itoa(probed-1)+" LIMIT 1)")
		into = append(into, &oldest[n])
	}
	if err := tx.QueryRow(ctx, "SELECT "+strings.Join(probes, ", "), a...).Scan(into...); err != nil {
		return err
	}
	sc.lead = able[0]
	sparsest := oldest[0]
	for n, at := range oldest {
		if sparsest != nil && (at == nil || *at < *sparsest) {
			sc.lead, sparsest = able[n], at
		}
	}
	return nil
}

// endNow ends the scan with the latest record that there is: later ones come in later.
func (sc *scan) endNow(ctx context.Context, tx pgx.Tx) error {
	return tx.QueryRow(ctx, "SELECT coalesce(max(recorded_at), 0) FROM plumbline_audit.records").Scan(&sc.end)
}

// window looks through the next records, at most size, and gives those that match, at most limit of them, in order. more
// says whether there may be others; the scan then goes on after what was looked at.
func (sc *scan) window(ctx context.Context, tx pgx.Tx, size, limit int) (entries []audit.Entry, more bool, err error) {
	statement, a, size := sc.statement(size, limit)
	rows, err := tx.Query(ctx, statement, a...)
	if err != nil {
		return nil, false, err
	}
	defer rows.Close()
	for looked := 1; rows.Next(); looked++ {
		var (
			p            place
			leaf, record []byte
			ok           bool
			n            int
		)
		if err := rows.Scan(&p.at, &p.writer, &p.seq, &leaf, &record, &ok, &n); err != nil {
			return nil, false, err
		}
		sc.after, more = &p, n == size || looked > limit
		if !ok {
			continue
		}
		e, err := entryOf(p.writer, p.seq, leaf, record)
		if err != nil {
			return nil, false, err
		}
		// Columns are cut, and two texts can have one id: the record tells.
		if sc.q.Matches(&e.Record) {
			entries = append(entries, e)
		}
		if len(entries) == limit {
			more = true
			break
		}
	}
	rows.Close()
	return entries, more, rows.Err()
}

// entryOf gives the entry that a row holds.
func entryOf(writer string, seq int64, leaf, record []byte) (e audit.Entry, err error) {
	e.Writer, e.Seq, e.Canonical = writer, uint64(seq), record
	if copy(e.Leaf[:], leaf) != len(e.Leaf) {
		return e, fmt.Errorf("record %d of writer %s has a leaf hash of %d bytes", seq, writer, len(leaf))
	}
	if e.Record, err = audit.Decode(record); err != nil {
		return e, fmt.Errorf("record %d of writer %s: %w", seq, writer, err)
	}
	return e, nil
}

// statement is that of a window, its values, and how many records it looks through.
func (sc *scan) statement(size, limit int) (string, args, int) {
	var (
		a    args
		rest []string
		lead *filter
	)
	for i := range sc.filters {
		if i == sc.lead {
			lead = &sc.filters[i]
			continue
		}
		rest = append(rest, sc.filters[i].term(&a))
	}
	ok := "true"
	if len(rest) > 0 {
		ok = strings.Join(rest, " AND ")
	} else {
		size = min(size, limit)
	}
	if lead != nil && len(lead.ids) > 1 {
		size = max(size/len(lead.ids), min(size, limit))
	}
	columns := "recorded_at, writer, seq, leaf, record, (" + ok + ") AS ok"
	inner := sc.source(&a, lead, columns, sc.order(), size)
	// The innermost limit bounds what is looked at. The number is that of a record in it: the last one says where to go on.
	return "SELECT recorded_at, writer, seq, leaf, record, ok, n FROM (SELECT *, row_number() OVER () AS n FROM (" + inner +
		") AS w) AS v WHERE ok OR n = " + strconv.Itoa(size) + " LIMIT " + strconv.Itoa(limit+1), a, size
}

// source gives the first records in an order that a filter has, or all records have where it is nil.
func (sc *scan) source(a *args, lead *filter, columns, order string, size int) string {
	end := " ORDER BY " + order + " LIMIT " + strconv.Itoa(size)
	const from = "SELECT %s FROM plumbline_audit.records WHERE "
	terms := sc.span(a)
	if lead == nil || len(lead.ids) == 0 && lead.column != "explanation" {
		if lead != nil {
			terms = append(terms, lead.term(a))
		}
		return fmt.Sprintf(from, columns) + strings.Join(terms, " AND ") + end
	}
	// Each text's records by themselves: an index does not give those of several in one order.
	terms = append(terms, "explanation = x.id", "explanation <> 0")
	return "SELECT r.* FROM unnest(" + a.add(lead.ids, "bigint[]") + ") AS x (id) CROSS JOIN LATERAL (" +
		fmt.Sprintf(from, columns) + strings.Join(terms, " AND ") + end + ") AS r" + end
}

// order is that of places.
func (sc *scan) order() string {
	if sc.ascending {
		return "recorded_at, writer, seq"
	}
	return "recorded_at DESC, writer DESC, seq DESC"
}

// span is the condition that bounds times and places.
func (sc *scan) span(a *args) []string {
	terms := []string{"recorded_at <= " + a.add(sc.end, "bigint")}
	if !sc.q.Since.IsZero() {
		terms = append(terms, "recorded_at >= "+a.add(sc.q.Since.UnixMicro(), "bigint"))
	}
	if !sc.q.Until.IsZero() {
		terms = append(terms, "recorded_at < "+a.add(sc.q.Until.UnixMicro(), "bigint"))
	}
	if p := sc.after; p != nil {
		less, lessOrEqual := "<", "<="
		if sc.ascending {
			less, lessOrEqual = ">", ">="
		}
		at := a.add(p.at, "bigint")
		// The first term alone tells which partitions need not be looked at.
		terms = append(terms, "recorded_at "+lessOrEqual+" "+at,
			"(recorded_at, writer, seq) "+less+" ("+at+", "+a.add(p.writer, "text")+", "+a.add(p.seq, "bigint")+")")
	}
	return terms
}

func (f *filter) term(a *args) string {
	if f.column == "explanation" {
		return "explanation = ANY(" + a.add(f.ids, "bigint[]") + ")"
	}
	return `"` + f.column + `" = ` + a.add(f.value, "text")
}

// args are the values of a statement.
type args []any

// add adds a value and gives what stands for it.
func (a *args) add(value any, as string) string {
	if ids, ok := value.([]int64); ok && ids == nil {
		value = []int64{}
	}
	*a = append(*a, value)
	return "$" + strconv.Itoa(len(*a)) + "::" + as
}
