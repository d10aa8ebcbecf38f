package demo

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
)

// printer writes one line per exchange under a header.
type printer struct{ out io.Writer }

const lineFormat = "%-14s %-34s %-6s %-21s %6s %7s %10s %-18s %5s %8s  %s\n"

func newPrinter(out io.Writer) printer {
	fmt.Fprintf(out, lineFormat, "WHO", "ASKED", "DOES", "REASON", "STATUS", "TOKENS", "COST", "INTENT", "DEV", "ADDED", "ENDED")
	return printer{out}
}

// line prints a stop of the tour, and below it what is not as it should be.
func (p printer) line(s stop, seen reply, records []core.Record, problems []string) {
	p.exchange(s.who, s.what, seen.Status, records)
	for _, problem := range problems {
		fmt.Fprintf(p.out, "    FAILED: %s\n", problem)
	}
}

// exchange prints what the records of one exchange say.
func (p printer) exchange(who, what string, status int, records []core.Record) {
	cell := map[string]string{"status": dash(status)}
	for _, r := range records {
		fill(cell, r)
	}
	fmt.Fprintf(p.out, lineFormat, who, what, cell["action"], cell["reason"], cell["status"], cell["tokens"], cell["cost"],
		cell["intent"], cell["deviation"], cell["added"], cell["finish"])
}

// fill takes over what one record says.
func fill(cell map[string]string, r core.Record) {
	if r.Verdict != nil {
		cell["action"], cell["reason"] = string(r.Verdict.Action), string(r.Verdict.Reason)
	}
	if r.Kind == core.RecordRefusals {
		cell["action"], cell["reason"] = string(core.ActionBlock), string(r.Reason)
	}
	if r.Intent != nil {
		cell["intent"] = r.Intent.Label
	}
	if r.Deviation != nil {
		cell["deviation"] = strconv.FormatFloat(r.Deviation.Score, 'f', 2, 64)
		if r.Deviation.Unscored != "" {
			cell["deviation"] = "-"
		}
	}
	if r.Usage != nil && r.Settled != nil {
		cell["tokens"], cell["cost"] = strconv.FormatInt(r.Usage.TotalTokens(), 10), r.Settled.Cost.String()
	}
	if r.Status != 0 {
		cell["status"] = strconv.Itoa(r.Status)
	}
	if r.WorkedMicros > 0 {
		cell["added"] = fmt.Sprintf("%.2fms", float64(r.WorkedMicros)/1000)
	}
	cell["finish"] = string(r.Finish)
}

func dash(n int) string {
	if n == 0 {
		return "-"
	}
	return strconv.Itoa(n)
}

// follow prints live traffic until ctx ends.
func (r *running) follow(ctx context.Context) error {
	reader, err := audit.OpenReader(ctx, app.AuditPath(r.o.DataDir))
	if err != nil {
		return err
	}
	defer reader.Close()
	end, err := reader.End(ctx)
	if err != nil {
		return err
	}
	p := newPrinter(r.o.Out)
	open := map[string]core.Record{} // intents whose outcome is still to come
	return reader.Tail(ctx, end, func(e audit.Entry) error {
		switch rec := e.Record; rec.Kind {
		case core.RecordIntent:
			open[rec.Exchange] = rec
		case core.RecordOutcome:
			intent := open[rec.Exchange]
			delete(open, rec.Exchange)
			p.exchange(rec.Principal.Name(), asked(rec), rec.Status, []core.Record{intent, rec})
		case core.RecordDeny:
			p.exchange(rec.Principal.Name(), asked(rec), rec.Status, []core.Record{rec})
		case core.RecordRefusals:
			p.exchange("nobody", fmt.Sprintf("%d times since %s", rec.Refusals.Count, rec.Refusals.First.Local().Format(time.TimeOnly)), 0, []core.Record{rec})
		case core.RecordAdmin:
		}
		return nil
	})
}

// asked says what a live exchange asked for. The prompt itself is not in the audit.
func asked(r core.Record) string {
	if r.Model == "" {
		return r.Endpoint
	}
	if quoted := strconv.Quote(r.Model); len(quoted) > len(r.Model)+len(`""`) {
		return r.Endpoint + " " + quoted // the caller made it up, and it must not command the terminal
	}
	return r.Endpoint + " " + r.Model
}

// invite shows how to try it.
func (r *running) invite() {
	key := r.credentials.tokens["billing-agent"]
	fmt.Fprintf(r.o.Talk, `
Try it as billing-agent, whose task is to resolve billing disputes:

  curl %[1]s/chat/completions -H 'authorization: Bearer %[2]s' \
    -H 'content-type: application/json' \
    -d '{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Why was this card charged twice?"}]}'

or with any OpenAI SDK, unchanged:

  export OPENAI_BASE_URL=%[1]s
  export OPENAI_API_KEY=%[2]s

  Python  from openai import OpenAI; OpenAI().chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "…"}])
  Node    new (require("openai"))().chat.completions.create({model: "gpt-4o-mini", messages: [{role: "user", content: "…"}]})
  Go      openai.NewClient().Chat.Completions.New(ctx, openai.ChatCompletionNewParams{…})

Following live traffic. Ctrl-C stops everything.

`, r.ready.BaseURL, key)
}
