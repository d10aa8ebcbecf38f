package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
)

type auditCmd struct {
	Search auditSearchCmd `cmd:"" help:"Find records."`
	Verify auditVerifyCmd `cmd:"" help:"Check that no record is missing or changed."`
}

type auditSearchCmd struct {
	Exchange string    `help:"One exchange."`
	User     string    `help:"Records of this person."`
	Team     string    `help:"Records of this team."`
	App      string    `help:"Records of this app."`
	Action   string    `help:"allow, warn or block."`
	Reason   string    `help:"The reason, e.g. off_task."`
	Model    string    `help:"The model that was asked for."`
	Kind     string    `help:"intent, outcome, deny, refusals or admin."`
	Since    time.Time `help:"From this time on (RFC 3339)."`
	Until    time.Time `help:"Up to this time (RFC 3339)."`
	Limit    int       `help:"The most records to print." default:"100"`
	After    string    `help:"Go on after this cursor."`
}

func (c auditSearchCmd) Run(s *session) error {
	return s.withAudit(func(r *audit.Reader) error {
		entries, next, err := r.Search(s.ctx, audit.Query{
			Exchange: c.Exchange, User: c.User, Team: c.Team, App: c.App, Action: core.Action(c.Action),
			Reason: core.Reason(c.Reason), Model: c.Model, Kind: core.RecordKind(c.Kind),
			Since: c.Since, Until: c.Until, Limit: c.Limit, After: c.After,
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

type auditVerifyCmd struct{}

func (auditVerifyCmd) Run(s *session) error {
	return s.withAudit(func(r *audit.Reader) error {
		verified, err := r.Verify(s.ctx)
		var bad *audit.BadEntryError
		if errors.As(err, &bad) {
			return s.problems(err)
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(s.out, "%d records of %d writers: none is missing or changed\n", verified.Records, verified.Writers)
		return nil
	})
}

type tailCmd struct {
	Verdict string `help:"Only this verdict: allow, warn or block."`
}

func (c tailCmd) Run(s *session) error {
	return s.withAudit(func(r *audit.Reader) error {
		end, err := r.End(s.ctx)
		if err != nil {
			return err
		}
		err = r.Tail(s.ctx, end, func(e audit.Entry) error {
			v := e.Record.Verdict
			if c.Verdict != "" && (v == nil || string(v.Action) != c.Verdict) {
				return nil
			}
			return s.print([]core.Record{e.Record}, recordHeader, func(int) []string { return recordRow(e.Record) })
		})
		if errors.Is(err, context.Canceled) {
			return nil // stopped by the user
		}
		return err
	})
}

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

var recordHeader = []string{"TIME", "EXCHANGE", "KIND", "WHO", "MODEL", "VERDICT", "REASON", "STATUS", "FINISH", "TOKENS", "COST"}

func recordRow(r core.Record) []string {
	row := []string{r.Time.UTC().Format(time.DateTime), r.Exchange, string(r.Kind), r.Principal.Name(), r.Model, "", string(r.Reason), "", string(r.Finish), "", ""}
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
