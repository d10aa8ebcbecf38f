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
	"github.com/plumbline/plumbline/internal/core"
)

type auditCmd struct {
	Search        auditSearchCmd        `cmd:"" help:"Find audit records, the newest first."`
	Verify        auditVerifyCmd        `cmd:"" help:"Check that no audit record is missing or changed."`
	Reveal        auditRevealCmd        `cmd:"" help:"Show what the records of an exchange hold sealed. That you look is recorded."`
	Erase         auditEraseCmd         `cmd:"" help:"Destroy somebody's key: nothing that was sealed under it can be read again."`
	MasterKey     auditMasterKeyCmd     `cmd:"" help:"The master keys, which wrap each person's key."`
	CheckpointKey auditCheckpointKeyCmd `cmd:"" help:"The key that signs checkpoints."`
	Deadletters   auditDeadlettersCmd   `cmd:"" help:"Audit records that Postgres refused."`
}

type auditSearchCmd struct {
	Exchange string `help:"One exchange."`
	User     string `help:"Records of this person."`
	Team     string `help:"Records of this team."`
	App      string `help:"Records of this app."`
	Action   string `help:"allow, warn or block." enum:",allow,warn,block" default:""`
	Reason   string `help:"The reason, e.g. off_task."`
	Model    string `help:"The model that was asked for."`
	Kind     string `help:"intent, outcome, deny, refusals or admin." enum:",intent,outcome,deny,refusals,admin" default:""`
	Since    moment `help:"From this time on: 2026-01-31T08:00:00Z, or 7d or 24h for how long ago." placeholder:"TIME"`
	Until    moment `help:"Up to this time." placeholder:"TIME"`
	Limit    int    `help:"The most records to print, at most 1000." default:"100"`
	After    string `help:"Go on after this cursor."`
}

// moment is a point in time as a person writes it.
type moment time.Time

// UnmarshalText reads a time, or how long ago it was.
func (m *moment) UnmarshalText(text []byte) error {
	if ago, ok := parseAgo(string(text)); ok {
		*m = moment(time.Now().Add(-ago))
		return nil
	}
	t, err := time.Parse(time.RFC3339, string(text))
	if err != nil {
		return errors.New("must be a time like 2026-01-31T08:00:00Z, or how long ago it was, like 24h or 7d")
	}
	*m = moment(t)
	return nil
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
	if c.Reason != "" && !slices.ContainsFunc(core.Reasons(), func(d core.ReasonDoc) bool { return string(d.Reason) == c.Reason }) {
		return configError{fmt.Errorf("there is no reason %q; docs/reference/reasons.md lists them", c.Reason)}
	}
	return s.withRecords(func(r auditRecords) error {
		entries, next, err := r.Search(s.ctx, audit.Query{
			Exchange: c.Exchange, User: c.User, Team: c.Team, App: c.App, Action: core.Action(c.Action),
			Reason: core.Reason(c.Reason), Model: c.Model, Kind: core.RecordKind(c.Kind),
			Since: time.Time(c.Since), Until: time.Time(c.Until), Limit: c.Limit, After: c.After,
		})
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

type tailCmd struct {
	Verdict string `help:"Only this verdict: allow, warn or block." enum:",allow,warn,block" default:""`
}

// tailFormat is a table whose columns are as wide as what they usually hold, since the rows to come are not known.
const tailFormat = "%-19s  %-36s  %-8s  %-16s  %-20s  %-7s  %-20s  %-6s  %-14s  %-6s  %s\n"

func (c tailCmd) Run(s *session) error {
	err := s.withAudit(func(r *audit.Reader) error {
		end, err := r.End(s.ctx)
		if err != nil {
			return err
		}
		fmt.Fprintln(s.talk, "following the audit; Ctrl-C ends it")
		follow := s.followRecord()
		return r.Tail(s.ctx, end, func(e audit.Entry) error {
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

// auditRecords are the records of one process, or in Postgres those of all.
type auditRecords interface {
	Search(ctx context.Context, q audit.Query) (entries []audit.Entry, next string, err error)
}

// withRecords opens the records in Postgres when postgres.url is set, else those of the data directory.
func (s *session) withRecords(use func(auditRecords) error) error {
	cfg, _, err := s.config()
	if err != nil {
		return err
	}
	if cfg.Postgres.URL.IsZero() {
		return s.withAudit(func(r *audit.Reader) error { return use(r) })
	}
	store, pool, err := app.OpenRecords(s.ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { _ = pool.Close() }()
	return use(store)
}

// withAudit opens the log of the data directory.
func (s *session) withAudit(use func(*audit.Reader) error) error {
	cfg, _, err := s.config()
	if err != nil {
		return err
	}
	r, err := audit.OpenReader(s.ctx, app.AuditPath(cfg.DataDir))
	if err != nil {
		return err
	}
	defer r.Close()
	return use(r)
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
