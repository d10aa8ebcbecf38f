package demo

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/core"
)

func TestPrinter(t *testing.T) {
	allow := &core.Verdict{Action: core.ActionAllow, Reason: core.ReasonNone}
	var out bytes.Buffer
	p := newPrinter(&out)
	p.line(stop{who: "ann", what: "a question"}, reply{Status: 200}, []core.Record{
		{Kind: core.RecordIntent, Verdict: allow, Intent: &core.Intent{Label: "writing"}, Deviation: &core.Deviation{Score: 0.126}},
		{
			Kind: core.RecordOutcome, Status: 200, Usage: &core.Usage{InputTokens: 20, OutputTokens: 52}, Settled: &core.Charge{Cost: 33},
			WorkedMicros: 1690, Finish: core.FinishComplete,
		},
	}, nil)
	p.line(stop{who: "ben", what: "without a task"}, reply{Status: 403}, []core.Record{{
		Kind: core.RecordDeny, Status: 403, Verdict: &core.Verdict{Action: core.ActionBlock, Reason: core.ReasonOffTask},
		Deviation: &core.Deviation{Unscored: core.UnscoredNoTask},
	}}, []string{"the status is 403, not 200"})
	p.line(stop{who: "nobody", what: "without a credential"}, reply{Status: 401}, []core.Record{
		{Kind: core.RecordRefusals, Reason: core.ReasonMissingCredential},
	}, nil)
	p.line(stop{who: "carl", what: "no answer at all"}, reply{}, nil, []string{"the audit has no record"})
	want := `
WHO            ASKED                              DOES   REASON                STATUS  TOKENS       COST INTENT               DEV    ADDED  ENDED
ann            a question                         allow  none                     200      72  $0.000033 writing             0.13   1.69ms  complete
ben            without a task                     block  off_task                 403                                           -
    FAILED: the status is 403, not 200
nobody         without a credential               block  missing_credential       401
carl           no answer at all                                                     -
    FAILED: the audit has no record
`
	var got strings.Builder
	for line := range strings.Lines(out.String()) {
		got.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	if diff := cmp.Diff(strings.TrimPrefix(want, "\n"), got.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What a caller made up cannot command the terminal, nor forge a line.
func TestAsked(t *testing.T) {
	for name, tt := range map[string]struct {
		record core.Record
		want   string
	}{
		"chat":       {core.Record{Endpoint: "chat.completions", Model: "gpt-4o-mini"}, "chat.completions gpt-4o-mini"},
		"models":     {core.Record{Endpoint: "models"}, "models"},
		"accents":    {core.Record{Endpoint: "chat.completions", Model: "modèle"}, "chat.completions modèle"},
		"an escape":  {core.Record{Endpoint: "chat.completions", Model: "\x1b[2J"}, `chat.completions "\x1b[2J"`},
		"a new line": {core.Record{Endpoint: "chat.completions", Model: "a\nann"}, `chat.completions "a\nann"`},
	} {
		if got := asked(tt.record); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

func TestCompare(t *testing.T) {
	verdict := func(a core.Action, r core.Reason) *core.Verdict { return &core.Verdict{Action: a, Reason: r} }
	passed := outcome{status: 200, action: core.ActionAllow, reason: core.ReasonNone, finish: core.FinishComplete, says: "[DONE]"}
	intent := core.Record{Kind: core.RecordIntent, Time: time.Unix(0, 0), Verdict: verdict(core.ActionAllow, core.ReasonNone)}
	ended := core.Record{Kind: core.RecordOutcome, Finish: core.FinishComplete}
	cut := core.Record{Kind: core.RecordOutcome, Finish: core.FinishCut}
	answer := reply{Status: 200, Body: "data: [DONE]"}
	for name, tt := range map[string]struct {
		want    outcome
		seen    reply
		records []core.Record
		says    []string
	}{
		"as it should be":   {passed, answer, []core.Record{intent, ended}, nil},
		"status and answer": {passed, reply{Status: 500}, []core.Record{intent, ended}, []string{"the status is 500, not 200", `the answer does not say "[DONE]"`}},
		"no record":         {passed, answer, nil, []string{"the audit has no record"}},
		"no outcome": {
			passed, answer,
			[]core.Record{intent},
			[]string{"the audit's ending is , not complete", "the number of records is 1, not 2"},
		},
		"another ending": {passed, answer, []core.Record{intent, cut}, []string{"the audit's ending is cut, not complete"}},
		"another verdict": {
			passed, answer,
			[]core.Record{{Verdict: verdict(core.ActionWarn, core.ReasonOffTask)}, ended},
			[]string{"the audit's verdict is warn, not allow", "the audit's reason is off_task, not none"},
		},
		"no verdict":   {passed, answer, []core.Record{{Kind: core.RecordIntent}, ended}, []string{"the audit has no verdict"}},
		"three to two": {passed, answer, []core.Record{intent, ended, ended}, []string{"the number of records is 3, not 2"}},
		"no notice": {
			outcome{status: 200, action: core.ActionWarn, reason: core.ReasonOffTask, finish: core.FinishComplete},
			answer,
			[]core.Record{{Verdict: verdict(core.ActionWarn, core.ReasonOffTask)}, ended},
			[]string{"the answer has no notice"},
		},
		"anonymous": {
			outcome{status: 401, reason: core.ReasonMissingCredential, action: core.ActionBlock},
			reply{Status: 401},
			[]core.Record{{Kind: core.RecordRefusals, Reason: core.ReasonInvalidCredential}},
			[]string{"the audit's reason is invalid_credential, not missing_credential"},
		},
	} {
		if diff := cmp.Diff(tt.says, tt.want.compare(tt.seen, tt.records)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// The id of a refused exchange is in the error, that of an answered one in a header.
func TestExchangeOf(t *testing.T) {
	for body, want := range map[string]string{
		`{"error":{"message":"no","plumbline":{"request_id":"a"}}}`: "a",
		`{"error":{"plumbline":{"request_id":"b"}}}` + "\n":         "b",
		`{"id":"chatcmpl-1"}`: "",
		"data: [DONE]":        "",
		"":                    "",
	} {
		if got := exchangeOf([]byte(body)); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}
