package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/read"
	"github.com/plumbline/plumbline/internal/core"
)

type auditCmd struct {
	Search        auditSearchCmd        `cmd:"" help:"Find audit records, the newest first."`
	Show          auditShowCmd          `cmd:"" help:"Show all records of one exchange, whole."`
	Summary       auditSummaryCmd       `cmd:"" help:"Sum up calls, tokens, cost and latency by person, team, model and so on."`
	Export        auditExportCmd        `cmd:"" help:"Write audit records to a file, with a manifest that says what it holds."`
	CheckExport   auditCheckExportCmd   `cmd:"" help:"Check that an exported file is the one that its manifest was written for."`
	Verify        auditVerifyCmd        `cmd:"" help:"Check that no audit record is missing or changed."`
	Reveal        auditRevealCmd        `cmd:"" help:"Show what the records of an exchange hold sealed. That you look is recorded."`
	Erase         auditEraseCmd         `cmd:"" help:"Destroy somebody's key: nothing that was sealed under it can be read again."`
	MasterKey     auditMasterKeyCmd     `cmd:"" help:"The master keys, which wrap each person's key."`
	CheckpointKey auditCheckpointKeyCmd `cmd:"" help:"The key that signs checkpoints."`
	Deadletters   auditDeadlettersCmd   `cmd:"" help:"Audit records that Postgres refused."`
}

// auditFilter chooses records.
type auditFilter struct {
	Exchange string `help:"One exchange."`
	User     string `help:"Records of this person."`
	Team     string `help:"Records of this team."`
	App      string `help:"Records of this app."`
	Task     string `help:"Decisions whose nearest task is this one."`
	Intent   string `help:"Decisions on prompts of this intent."`
	Action   string `help:"allow, warn or block." enum:",allow,warn,block" default:""`
	Reason   string `help:"The reason, e.g. off_task."`
	Text     string `help:"A part of the reason in words: of what it means, its rule, the nearest task, the phrase of it that came nearest."`
	Model    string `help:"The model that was asked for."`
	Kind     string `help:"intent, outcome, deny, refusals or admin." enum:",intent,outcome,deny,refusals,admin" default:""`
	Since    moment `help:"From this time on: 2026-01-31T08:00:00Z, 2026-01-31 (UTC), or 7d or 24h for how long ago." placeholder:"TIME"`
	Until    moment `help:"Up to this time." placeholder:"TIME"`
}

// query gives the search that a filter stands for.
func (c *auditFilter) query() (audit.Query, error) {
	q := audit.Query{
		Exchange: c.Exchange, User: c.User, Team: c.Team, App: c.App, Task: c.Task, Intent: c.Intent, Action: core.Action(c.Action),
		Reason: core.Reason(c.Reason), Text: c.Text, Model: c.Model, Kind: core.RecordKind(c.Kind),
		Since: time.Time(c.Since), Until: time.Time(c.Until),
	}
	if c.Reason != "" && !slices.ContainsFunc(core.Reasons(), func(d core.ReasonDoc) bool { return string(d.Reason) == c.Reason }) {
		return q, configError{fmt.Errorf("there is no reason %q; docs/reference/reasons.md lists them", c.Reason)}
	}
	if !q.Until.IsZero() && !q.Until.After(q.Since) {
		return q, configError{errors.New("--until must be after --since")}
	}
	if err := q.Check(); err != nil {
		return q, configError{err}
	}
	return q, nil
}

type auditSearchCmd struct {
	auditFilter `embed:""`
	Limit       int    `help:"The most records to print, at most 1000." default:"100"`
	After       string `help:"Go on after this cursor."`
}

// moment is a point in time as a person writes it.
type moment time.Time

// UnmarshalText reads a time, or how long ago it was.
func (m *moment) UnmarshalText(text []byte) error {
	if ago, ok := parseAgo(string(text)); ok {
		*m = moment(time.Now().Add(-ago))
		return nil
	}
	for _, form := range []string{time.RFC3339, time.DateOnly} { // a date begins at midnight in UTC, as all times here are
		if t, err := time.Parse(form, string(text)); err == nil {
			*m = moment(t)
			return nil
		}
	}
	return errors.New("must be a time like 2026-01-31T08:00:00Z, a date like 2026-01-31, or how long ago it was, like 24h or 7d")
}

// parseAgo reads a duration, or a number of days of 24 hours.
func parseAgo(text string) (ago time.Duration, ok bool) {
	if days, isDays := strings.CutSuffix(text, "d"); isDays {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err == nil
	}
	ago, err := time.ParseDuration(text)
	return ago, err == nil && ago >= 0
}

func (c auditSearchCmd) Run(s *session) error {
	q, err := c.query()
	if err != nil {
		return err
	}
	if c.Limit < 1 || c.Limit > audit.MaxLimit {
		return configError{fmt.Errorf("--limit must be from 1 to %d; --after goes on where a page ended, and audit export writes all", audit.MaxLimit)}
	}
	q.Limit, q.After = c.Limit, c.After
	return s.withRecords(func(r read.Reader) error {
		entries, next, err := searchOn(s.ctx, r, q)
		if err != nil {
			return err
		}
		records := make([]core.Record, len(entries))
		for i, e := range entries {
			records[i] = e.Record
		}
		if next != "" {
			defer fmt.Fprintln(s.talk, "more: --after", next)
		}
		return s.print(records, recordHeader, func(i int) []string { return recordRow(records[i]) })
	})
}

// searchOn searches on over pages that are short because little of what was looked through matched.
func searchOn(ctx context.Context, r read.Reader, q audit.Query) (all []audit.Entry, next string, err error) {
	limit := q.PageSize()
	for {
		q.Limit = limit - len(all)
		found, next, err := r.Search(ctx, q)
		all = append(all, found...)
		if err != nil || next == "" || len(all) >= limit {
			return all, next, err
		}
		q.After = next
	}
}

type auditShowCmd struct {
	Exchange string `arg:"" help:"The exchange's id: the x-request-id of the call, or EXCHANGE in a search."`
}

func (c auditShowCmd) Run(s *session) error {
	return s.withRecords(func(r read.Reader) error {
		records, err := app.RecordsOf(s.ctx, r, c.Exchange)
		if err != nil {
			return err
		}
		if len(records) == 0 {
			return fmt.Errorf("there is no record of the exchange %q", c.Exchange)
		}
		if s.flags.Output == outputTable { // a record is too much for a row
			return s.encodeYAML(records)
		}
		return s.encode(records)
	})
}

type tailCmd struct {
	Verdict string `help:"Only this verdict: allow, warn or block." enum:",allow,warn,block" default:""`
}

// tailFormat is a table whose columns are as wide as what they usually hold, since the rows to come are not known.
const tailFormat = "%-19s  %-36s  %-8s  %-16s  %-20s  %-7s  %-20s  %-6s  %-14s  %-6s  %s\n"

func (c tailCmd) Run(s *session) error {
	err := s.withRecords(func(r read.Reader) error {
		run, err := r.Follow(s.ctx)
		if err != nil {
			return err
		}
		fmt.Fprintln(s.talk, "following the audit; Ctrl-C ends it")
		follow := s.followRecord()
		return run(func(e audit.Entry) error {
			v := e.Record.Verdict
			if c.Verdict != "" && (v == nil || string(v.Action) != c.Verdict) {
				return nil
			}
			return follow(e.Record)
		})
	})
	if s.ctx.Err() != nil {
		return nil //nolint:nilerr // stopped by the user, whatever that made fail
	}
	return err
}

// followRecord gives what prints one record after the other: rows under one header, JSON one to a line, or YAML documents.
func (s *session) followRecord() func(core.Record) error {
	switch s.flags.Output {
	case "json":
		e := json.NewEncoder(s.out)
		e.SetEscapeHTML(false)
		return func(r core.Record) error { return e.Encode(r) }
	case "yaml":
		return func(r core.Record) error {
			fmt.Fprintln(s.out, "---")
			return s.encode(r)
		}
	}
	row := func(cells []string) error {
		values := make([]any, len(cells))
		for i, c := range cells {
			values[i] = c
		}
		_, err := fmt.Fprintf(s.out, tailFormat, values...)
		return err
	}
	err := row(recordHeader)
	return func(r core.Record) error { return errors.Join(err, row(cells(recordRow(r)))) }
}

// withRecords opens the records of all processes in Postgres when postgres.url is set, else those of the data directory.
func (s *session) withRecords(use func(read.Reader) error) error {
	cfg, _, err := s.config()
	if err != nil {
		return err
	}
	r, done, err := app.OpenReader(s.ctx, cfg)
	if err != nil {
		return err
	}
	return errors.Join(use(r), done())
}

var recordHeader = []string{"TIME", "EXCHANGE", "KIND", "WHO", "WHAT", "VERDICT", "REASON", "STATUS", "FINISH", "TOKENS", "COST"}

func recordRow(r core.Record) []string {
	who, what := r.Principal.Name(), r.Model
	if r.Principal.Actor != "" {
		who = r.Principal.Actor + " for " + who
	}
	switch {
	case r.Admin != nil:
		who, what = r.Admin.Actor, r.Admin.Action+" "+r.Admin.Object
		if r.Admin.Reason != "" {
			what += ": " + r.Admin.Reason
		}
	case r.Refusals != nil:
		what = strings.TrimSpace(fmt.Sprintf("%d times %s", r.Refusals.Count, r.Refusals.Network))
	}
	row := []string{r.Time.UTC().Format(time.DateTime), r.Exchange, string(r.Kind), who, what, "", string(r.Reason), "", string(r.Finish), "", ""}
	if r.Verdict != nil {
		row[5] = string(r.Verdict.Action)
	}
	if r.Status != 0 {
		row[7] = fmt.Sprint(r.Status)
	}
	if r.Usage != nil {
		row[9] = fmt.Sprint(r.Usage.TotalTokens())
	}
	if r.Settled != nil {
		row[10] = r.Settled.Cost.String()
	}
	return row
}
