package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/plumbline/plumbline/internal/audit/read"
	"github.com/plumbline/plumbline/internal/core"
)

type auditSummaryCmd struct {
	By      []string `help:"What to tell apart: hour, day, user, team, app, model, intent, verdict. By time where hour or day is one of them, else the costliest first." enum:"hour,day,user,team,app,model,intent,verdict" placeholder:"DIMENSION"`
	Since   moment   `help:"From the hour on that holds this time: 2026-01-31T08:00:00Z, 2026-01-31 (UTC), or 7d or 24h for how long ago." default:"7d" placeholder:"TIME"`
	Until   moment   `help:"Up to this time. Default: now." placeholder:"TIME"`
	User    string   `help:"Calls of this person."`
	Team    string   `help:"Calls of this team."`
	App     string   `help:"Calls of this app."`
	Model   string   `help:"Calls of this model."`
	Intent  string   `help:"Calls with prompts of this intent."`
	Verdict string   `help:"Calls with this verdict: allow, warn or block." enum:",allow,warn,block" default:""`
	Limit   int      `help:"The most rows, at most 10000." default:"100"`
}

// summaryRow is a row of a summary as programs see it.
type summaryRow struct {
	Time         *time.Time    `json:"time,omitempty"`
	User         *string       `json:"user,omitempty"`
	Team         *string       `json:"team,omitempty"`
	App          *string       `json:"app,omitempty"`
	Model        *string       `json:"model,omitempty"`
	Intent       *string       `json:"intent,omitempty"`
	Verdict      *string       `json:"verdict,omitempty"`
	Decided      int64         `json:"decided"`
	Ended        int64         `json:"ended"`
	Requests     int64         `json:"requests"`
	InputTokens  int64         `json:"input_tokens"`
	OutputTokens int64         `json:"output_tokens"`
	Cost         core.MicroUSD `json:"cost_micro_usd"`
	LatencyP50   *latency      `json:"latency_p50,omitempty"`
	LatencyP95   *latency      `json:"latency_p95,omitempty"`
	DeviationP50 *float64      `json:"deviation_p50,omitempty"`
	DeviationP95 *float64      `json:"deviation_p95,omitempty"`
}

func (c auditSummaryCmd) Run(s *session) error {
	q := read.SumQuery{
		Since: time.Time(c.Since), Until: time.Time(c.Until), User: c.User, Team: c.Team, App: c.App, Model: c.Model, Intent: c.Intent,
		Verdict: c.Verdict, Limit: c.Limit,
	}
	if q.Until.IsZero() {
		q.Until = time.Now()
	}
	for _, by := range c.By {
		q.By = append(q.By, read.Dimension(by))
	}
	if err := q.Check(); err != nil {
		return configError{err}
	}
	return s.withRecords(func(r read.Reader) error {
		found, err := r.Sum(s.ctx, q)
		if err != nil {
			return err
		}
		if len(found) == q.Rows() {
			defer fmt.Fprintf(s.talk, "there may be more than these %d rows: ask for less time or fewer dimensions\n", len(found))
		}
		rows := make([]summaryRow, len(found))
		for i := range found {
			rows[i] = summaryRowOf(&q, &found[i])
		}
		return s.print(rows, summaryHeader(&q), func(i int) []string { return rows[i].cells() })
	})
}

func summaryRowOf(q *read.SumQuery, r *read.Row) summaryRow {
	row := summaryRow{
		Decided: r.Decided, Ended: r.Ended, Requests: r.Requests, InputTokens: r.InputTokens, OutputTokens: r.OutputTokens,
		Cost: core.MicroUSD(r.Cost), LatencyP50: latencyOf(r, 0.5), LatencyP95: latencyOf(r, 0.95),
	}
	if d := r.DeviationQuantile(0.5); d >= 0 {
		p95 := r.DeviationQuantile(0.95)
		row.DeviationP50, row.DeviationP95 = &d, &p95
	}
	if q.ByTime() {
		at := time.UnixMicro(r.Hour).UTC()
		row.Time = &at
	}
	for by, to := range map[read.Dimension]struct {
		value string
		to    **string
	}{
		read.ByUser: {r.User, &row.User}, read.ByTeam: {r.Team, &row.Team}, read.ByApp: {r.App, &row.App},
		read.ByModel: {r.Model, &row.Model}, read.ByIntent: {r.Intent, &row.Intent}, read.ByVerdict: {r.Verdict, &row.Verdict},
	} {
		if slices.Contains(q.By, by) {
			*to.to = &to.value
		}
	}
	return row
}

// summaryHeader names the columns of the table: those that rows are told apart by, then the sums.
func summaryHeader(q *read.SumQuery) (header []string) {
	for _, by := range read.Dimensions() {
		switch {
		case !slices.Contains(q.By, by):
		case by == read.ByHour, by == read.ByDay:
			header = append(header, "TIME")
		default:
			header = append(header, strings.ToUpper(string(by)))
		}
	}
	return append(header, "DECIDED", "ENDED", "INPUT", "OUTPUT", "COST", "LATENCY P50", "P95", "DEVIATION P50", "P95")
}

func (r *summaryRow) cells() (cells []string) {
	if r.Time != nil {
		cells = append(cells, r.Time.Format("2006-01-02 15:04"))
	}
	for _, v := range []*string{r.User, r.Team, r.App, r.Model, r.Intent, r.Verdict} {
		if v != nil {
			cells = append(cells, *v)
		}
	}
	return append(cells, fmt.Sprint(r.Decided), fmt.Sprint(r.Ended), fmt.Sprint(r.InputTokens), fmt.Sprint(r.OutputTokens), r.Cost.String(),
		r.LatencyP50.String(), r.LatencyP95.String(), score(r.DeviationP50), score(r.DeviationP95))
}

// latency is a bound of a latency: it is at most so long or, with Longer, longer.
type latency struct {
	Millis int64 `json:"ms"`
	Longer bool  `json:"longer,omitempty"`
}

// latencyOf is a quantile of a row's latencies, nil where none was measured.
func latencyOf(r *read.Row, p float64) *latency {
	bound, longer := r.LatencyQuantile(p)
	if bound == 0 {
		return nil
	}
	return &latency{bound.Milliseconds(), longer}
}

func (l *latency) String() string {
	switch {
	case l == nil:
		return ""
	case l.Longer:
		return fmt.Sprintf("> %d ms", l.Millis)
	}
	return fmt.Sprintf("≤ %d ms", l.Millis)
}

func score(p *float64) string {
	if p == nil {
		return ""
	}
	return fmt.Sprintf("≤ %.1f", *p)
}
