package demo

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/demo/provider"
)

// stop is one exchange of the tour and how it must end.
type stop struct {
	who  string // whose credential is sent
	what string // what is asked, in words
	call call
	want outcome
	// standIn says that only the stand-in provider can be made to behave so.
	standIn bool
}

// outcome is how an exchange ended: what the caller saw, and what the audit says.
type outcome struct {
	status int
	action core.Action
	reason core.Reason
	finish core.Finish // of exchanges that were forwarded
	says   string      // a part of the answer
}

const (
	model      = "gpt-4o-mini"
	embedder   = "text-embedding-3-small"
	chatPath   = "/chat/completions"
	onTask     = "A customer disputes a double charge on her credit card bill. Write a polite reply that explains how the refund works."
	onTaskSQL  = "Write a SQL query for the monthly churn rate: join the customer and subscription tables and count cancelled subscriptions by plan."
	onTaskTrip = "Plan an itinerary for a business trip: find a flight from Berlin to Madrid and a hotel near the office."
	aside      = "Plan a birthday party within a small budget."
	offTask    = "Write a cover letter for my application as a pastry chef and list the best video games of this year."
)

// stops is the tour.
func (r *running) stops() []stop {
	tokens := r.credentials.tokens
	ask := func(who, model, prompt string, more map[string]any) call {
		return call{Method: "POST", Path: chatPath, Credentials: []string{tokens[who]}, Body: chat(model, prompt, more)}
	}
	stream := map[string]any{"stream": true}
	allowed := outcome{status: 200, action: core.ActionAllow, reason: core.ReasonNone, finish: core.FinishComplete}
	refused := func(status int, reason core.Reason) outcome {
		return outcome{status: status, action: core.ActionBlock, reason: reason}
	}
	// The other endpoints take the prompt as their input.
	input := func(path, who, model, prompt string, more map[string]any) call {
		return call{Method: "POST", Path: path, Credentials: []string{tokens[who]}, Body: prompted(model, "input", prompt, more)}
	}
	twice := ask("billing-agent", model, onTask, nil)
	twice.Body = strings.Replace(twice.Body, `"model":`, `"model":"gpt-4o","model":`, 1)
	hangUp := ask("data-analyst", provider.ModelLong, onTaskSQL, stream)
	hangUp.HangUpAfter = 4 << 10

	return []stop{
		{"billing-agent", "a reply about a double charge", ask("billing-agent", model, onTask, nil), allowed, false},
		{
			"data-analyst", "a churn query, streamed", ask("data-analyst", model, onTaskSQL, stream),
			outcome{200, core.ActionAllow, core.ReasonNone, core.FinishComplete, "[DONE]"},
			false,
		},
		{
			"billing-agent", "a birthday party", ask("billing-agent", model, aside, nil),
			outcome{200, core.ActionWarn, core.ReasonOffTask, core.FinishComplete, ""},
			false,
		},
		{"billing-agent", "a cover letter and video games", ask("billing-agent", model, offTask, nil), refused(403, core.ReasonOffTask), false},
		{
			"data-analyst", "the query as a response, streamed", input("/responses", "data-analyst", model, onTaskSQL, stream),
			outcome{200, core.ActionAllow, core.ReasonNone, core.FinishComplete, "response.completed"},
			false,
		},
		{"billing-agent", "the complaint as an embedding", input("/embeddings", "billing-agent", embedder, onTask, nil), allowed, false},
		{
			"billing-agent", "to go on from another's response",
			input("/responses", "billing-agent", model, onTask, map[string]any{"previous_response_id": "resp_1"}),
			refused(404, core.ReasonObjectNotFound),
			false,
		},
		{"data-analyst", "a model that is not allowed", ask("data-analyst", "gpt-4o", onTaskSQL, nil), refused(403, core.ReasonModelNotAllowed), false},
		{"nightly-report", "the first of two a day", ask("nightly-report", model, onTaskSQL, nil), allowed, false},
		{"nightly-report", "the second", ask("nightly-report", model, onTaskSQL, nil), allowed, false},
		{"nightly-report", "the third: quota used up", ask("nightly-report", model, onTaskSQL, nil), refused(429, core.ReasonQuotaExhausted), false},
		{
			"travel-agent", "a stream longer than the quota", ask("travel-agent", provider.ModelLong, onTaskTrip, stream),
			outcome{200, core.ActionAllow, core.ReasonNone, core.FinishCut, `"finish_reason":"length"`},
			true,
		},
		{
			"nobody", "without a credential",
			call{Method: "POST", Path: chatPath, Body: chat(model, onTask, nil)},
			refused(401, core.ReasonMissingCredential), false,
		},
		{
			"nobody", "with a made-up token",
			call{Method: "POST", Path: chatPath, Credentials: []string{"not-a-token"}, Body: chat(model, onTask, nil)},
			refused(401, core.ReasonInvalidCredential), false,
		},
		{
			"billing-agent", "with a revoked key",
			call{Method: "POST", Path: chatPath, Credentials: []string{r.credentials.revoked}, Body: chat(model, onTask, nil)},
			refused(401, core.ReasonRevokedCredential), false,
		},
		{"billing-agent", "a body that names two models", twice, refused(400, core.ReasonInvalidBody), false},
		{
			"billing-agent", "an endpoint that is not governed",
			call{Method: "POST", Path: "/batches", Credentials: []string{tokens["billing-agent"]}, Body: "{}"},
			refused(403, core.ReasonEndpointNotAllowed), false,
		},
		{"billing-agent", "the list of models", call{Method: "GET", Path: "/models", Credentials: []string{tokens["billing-agent"]}}, allowed, false},
		{
			"billing-agent", "the provider fails", ask("billing-agent", provider.ModelError+"500", onTask, nil),
			outcome{500, core.ActionAllow, core.ReasonNone, core.FinishUpstreamError, ""},
			true,
		},
		{
			"billing-agent", "the provider stops in mid-stream", ask("billing-agent", provider.ModelCutoff, onTask, stream),
			outcome{200, core.ActionAllow, core.ReasonNone, core.FinishInterrupted, ""},
			true,
		},
		{"data-analyst", "the client hangs up", hangUp, outcome{200, core.ActionAllow, core.ReasonNone, core.FinishInterrupted, ""}, true},
	}
}

// tour runs every stop and prints each beside its record. It gives ErrTour when one did not end as it should.
func (r *running) tour(ctx context.Context) error {
	reader, err := audit.OpenReader(ctx, app.AuditPath(r.o.DataDir))
	if err != nil {
		return err
	}
	defer reader.Close()
	p := newPrinter(r.o.Out)
	passed, failed := 0, 0
	for _, s := range r.stops() {
		if s.standIn && r.provider == nil {
			continue
		}
		seen, records, err := r.visit(ctx, reader, s)
		if err := cmp.Or(ctx.Err(), err); err != nil {
			return err
		}
		problems := s.want.compare(seen, records)
		p.line(s, seen, records, problems)
		if len(problems) == 0 {
			passed++
		} else {
			failed++
		}
	}
	fmt.Fprintf(r.o.Out, "tour: %d passed, %d failed\n", passed, failed)
	if failed > 0 {
		return ErrTour
	}
	return nil
}

// visit makes one call and gathers what the audit says of it.
func (r *running) visit(ctx context.Context, reader *audit.Reader, s stop) (reply, []core.Record, error) {
	began := time.Now()
	seen, err := s.call.do(ctx, r.ready.BaseURL)
	if err != nil {
		return seen, nil, err
	}
	if s.who == "nobody" {
		if err := r.app.FlushRefusals(ctx); err != nil {
			return seen, nil, err
		}
		records, err := search(ctx, reader, audit.Query{Kind: core.RecordRefusals, Reason: s.want.reason, Since: began.Add(-time.Second)})
		return seen, records, err
	}
	records, err := r.recordsOf(ctx, reader, seen.Exchange)
	return seen, records, err
}

// recordWait bounds how long the end of an exchange is waited for, for callers that left before it.
const recordWait = 10 * time.Second

// recordsOf waits until an exchange is closed and gives its records, oldest first.
func (r *running) recordsOf(ctx context.Context, reader *audit.Reader, exchange string) ([]core.Record, error) {
	if exchange == "" {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, recordWait)
	defer cancel()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		records, err := search(ctx, reader, audit.Query{Exchange: exchange})
		if err != nil {
			return nil, err
		}
		if n := len(records); n > 0 && records[n-1].Kind != core.RecordIntent {
			return records, nil
		}
		select {
		case <-ctx.Done():
			return records, nil // what is missing shows in the comparison
		case <-poll.C:
		}
	}
}

// search gives the records that match, oldest first.
func search(ctx context.Context, reader *audit.Reader, q audit.Query) ([]core.Record, error) {
	entries, _, err := reader.Search(ctx, q)
	records := make([]core.Record, len(entries))
	for i, e := range entries {
		records[len(entries)-1-i] = e.Record
	}
	return records, err
}

// compare lists what is not as it should be.
func (o outcome) compare(seen reply, records []core.Record) []string {
	var problems []string
	differ := func(what string, got, want any) {
		if got != want {
			problems = append(problems, fmt.Sprintf("%s is %v, not %v", what, got, want))
		}
	}
	differ("the status", seen.Status, o.status)
	if !strings.Contains(seen.Body, o.says) {
		problems = append(problems, fmt.Sprintf("the answer does not say %q", o.says))
	}
	if o.action == core.ActionWarn && seen.Notice == "" {
		problems = append(problems, "the answer has no notice")
	}
	if len(records) == 0 {
		return append(problems, "the audit has no record")
	}
	first, last := records[0], records[len(records)-1]
	if first.Kind == core.RecordRefusals {
		differ("the audit's reason", first.Reason, o.reason)
		return problems
	}
	if first.Verdict == nil {
		return append(problems, "the audit has no verdict")
	}
	differ("the audit's verdict", first.Verdict.Action, o.action)
	differ("the audit's reason", first.Verdict.Reason, o.reason)
	differ("the audit's ending", last.Finish, o.finish)
	if o.finish != "" {
		differ("the number of records", len(records), 2)
	}
	return problems
}
