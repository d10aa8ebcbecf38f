// Package audittest is the conformance suite of read.Reader: every implementation must pass Run.
//
// It must not know any implementation.
package audittest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/read"
	"github.com/plumbline/plumbline/internal/core"
)

// Recorder makes an empty store. record has a writer's records be there for r when it returns; there are two writers, 0 and
// 1, whose records come in the order of the calls. It may be called from another goroutine than the test's.
type Recorder func(t testing.TB) (record func(writer int, all ...core.Record) error, r read.Reader)

// Run runs the suite on stores of fresh. The flag -rapid.checks sets the number of random searches.
func Run(t *testing.T, fresh Recorder) {
	tests := []struct {
		name string
		test func(*testing.T, Recorder)
	}{
		{"search finds what a filter finds", searchAgrees},
		{"search is stable while records come in", searchIsStable},
		{"names are compared whole", namesWhole},
		{"text is a part of the reason in words", textOfReasons},
		{"a cursor of nobody is an error", hostileCursors},
		{"walk gives what was there", walkAgrees},
		{"walk ends with the first error", walkEnds},
		{"follow gives what comes in", follows},
		{"sums are those of the records", sumsAgree},
		{"sums that make no sense are refused", badSums},
		{"an empty store has nothing", empty},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, fresh) })
	}
}

// Start is when the records of the suite begin: an hour before the end of a day and of a month.
var start = time.Date(2026, 3, 31, 22, 50, 0, 0, time.UTC)

func exchangeID(i int) string { return fmt.Sprintf("0195%08x-7000-8000-000000000000", i) }

// varied is one of a mix in which every filter finds some and leaves some. Several share a time, times go back, and the
// records lie on both sides of the end of a month.
func varied(i int) core.Record {
	at := start.Add(time.Duration(i/20*37+i*7%10) * time.Second)
	rec := core.Record{
		Time: at, Exchange: exchangeID(i), Endpoint: "chat", Reason: core.ReasonNone,
		Principal: core.Principal{User: []string{"", "ada", "bob"}[i%3], Team: []string{"red", "blue"}[i%2], App: []string{"ide", "chat"}[i/2%2]},
		Model:     []string{"gpt-4o", "gpt-4o-mini", ""}[i/3%3],
	}
	switch i % 5 {
	case 0, 1:
		rec.Kind = core.RecordIntent
		rec.Reserved = &core.Charge{Admitted: at, Requests: 1, InputTokens: 500, OutputTokens: 256, Cost: 228}
		judge(&rec, i)
	case 2:
		rec.Kind, rec.Exchange = core.RecordOutcome, exchangeID(i-1)
		rec.Settled = &core.Charge{Admitted: at.Add(-time.Duration(i) * time.Millisecond), Requests: 1, InputTokens: int64(i), OutputTokens: 7, Cost: core.MicroUSD(i % 13)}
	case 3:
		rec.Kind, rec.Reason = core.RecordDeny, core.ReasonOffTask
		judge(&rec, i)
		rec.Verdict.Action, rec.Verdict.Rule = core.ActionBlock, "deviation.block"
	case 4:
		rec.Kind, rec.Exchange, rec.Reason = core.RecordAdmin, "", ""
		rec.Admin = &core.Change{Actor: "root", Action: "put", Object: "user/ada"}
	}
	return rec
}

// judge gives a record a judgement.
func judge(rec *core.Record, i int) {
	rec.Intent = &core.Intent{Label: []string{"banking", "travel"}[i/2%2], Confidence: 0.9, Model: "m"}
	rec.Deviation = &core.Deviation{
		Score: float64(i%11) / 10, Task: []string{"refunds", "itineraries", ""}[i/4%3], Phrase: "Monthly 100% statements", Model: "m",
	}
	rec.Verdict = &core.Verdict{Action: core.ActionAllow, Decided: core.ActionAllow, Reason: core.ReasonNone}
}

// filled is a store with n records, of two writers in turns.
func filled(t *testing.T, fresh Recorder, n int) (func(int, ...core.Record) error, read.Reader, []core.Record) {
	t.Helper()
	record, r := fresh(t)
	var all []core.Record
	of := [2][]core.Record{}
	for i := range n {
		rec := varied(i)
		all = append(all, rec)
		of[i/5%2] = append(of[i/5%2], rec) // an exchange is one writer's
	}
	for writer, records := range of {
		must(t, record(writer, records...))
	}
	return record, r, all
}

// matches is the model of audit.Query.
func matches(q *audit.Query, r *core.Record) bool {
	is := func(want, got string) bool { return want == "" || want == got }
	var action, task, intent string
	if r.Verdict != nil {
		action = string(r.Verdict.Action)
	}
	if r.Deviation != nil {
		task = r.Deviation.Task
	}
	if r.Intent != nil {
		intent = r.Intent.Label
	}
	return is(q.Exchange, r.Exchange) && is(q.User, r.Principal.User) && is(q.Team, r.Principal.Team) && is(q.App, r.Principal.App) &&
		is(q.Model, r.Model) && is(string(q.Kind), string(r.Kind)) && is(string(q.Action), action) && is(q.Task, task) &&
		is(q.Intent, intent) && is(string(q.Reason), string(r.Reason)) && says(r, q.Text) &&
		!r.Time.Before(q.Since) && (q.Until.IsZero() || r.Time.Before(q.Until))
}

// says is the model of Query.Text for the records of the suite.
func says(r *core.Record, text string) bool {
	words := map[core.RecordKind]string{
		core.RecordDeny:  "off_task deviation.block the prompt is too far from the tasks assigned to the person.",
		core.RecordAdmin: "put user",
	}[r.Kind]
	if r.Deviation != nil {
		words += " " + r.Deviation.Task + " monthly 100% statements"
	}
	return text == "" || strings.Contains(words, strings.ToLower(text))
}

// anyQuery draws a search of any kind.
func anyQuery(t *rapid.T, records int) audit.Query {
	or := func(label string, values ...string) string {
		return rapid.SampledFrom(append(values, "", "", "")).Draw(t, label)
	}
	q := audit.Query{
		User: or("user", "ada", "bob", "eve"), Team: or("team", "red", "blue"), App: or("app", "ide", "chat"),
		Model: or("model", "gpt-4o", "gpt-4o-mini"), Kind: core.RecordKind(or("kind", "intent", "outcome", "deny", "admin", "refusals")),
		Action: core.Action(or("action", "allow", "block", "warn")), Reason: core.Reason(or("reason", "none", "off_task")),
		Task: or("task", "refunds", "itineraries", "nothing"), Intent: or("intent", "banking", "travel"),
		Text: or("text", "MONTHLY", "100%", "too far from", "_", "refunds", "put", "nobody says this"),
	}
	q.Limit = rapid.SampledFrom([]int{0, 7, 100, 1000}).Draw(t, "limit")
	if rapid.IntRange(0, 9).Draw(t, "one exchange") == 0 {
		q.Exchange = exchangeID(rapid.IntRange(0, records).Draw(t, "exchange"))
	}
	end := varied(records).Time.Sub(start)
	if rapid.Bool().Draw(t, "since?") {
		q.Since = start.Add(time.Duration(rapid.Int64Range(-1e9, int64(end)).Draw(t, "since"))).Truncate(time.Second)
	}
	if rapid.Bool().Draw(t, "until?") {
		q.Until = start.Add(time.Duration(rapid.Int64Range(-1e9, int64(end)).Draw(t, "until"))).Truncate(time.Second)
	}
	return q
}

// fataler is what tests and rapid's have in common.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// id is the place of an entry that all searches have in common.
func id(e *audit.Entry) string { return fmt.Sprint(e.Writer, "/", e.Seq) }

// pages gives all pages of a search as one.
func pages(t fataler, r read.Reader, q audit.Query, between func()) (all []audit.Entry) {
	t.Helper()
	for range 10_000 {
		found, next, err := r.Search(context.Background(), q)
		if err != nil {
			t.Fatalf("%+v: %v", q, err)
		}
		if len(found) > q.PageSize() {
			t.Errorf("%d found, limit %d", len(found), q.PageSize())
		}
		all = append(all, found...)
		if next == "" {
			return all
		}
		if between != nil {
			between()
		}
		q.After = next
	}
	t.Fatalf("%+v: the pages have no end", q)
	return nil
}

func ids(entries []audit.Entry) (all []string) {
	for i := range entries {
		all = append(all, id(&entries[i]))
	}
	return all
}

// newestFirst checks the order of a search without filters.
func newestFirst(t *testing.T, all []audit.Entry) {
	t.Helper()
	last := map[string]*audit.Entry{}
	for i := range all {
		e := &all[i]
		if after := last[e.Writer]; after != nil && e.Seq > after.Seq && !e.Record.Time.Before(after.Record.Time) {
			t.Errorf("number %d of %s, of %s, comes after number %d, of %s", e.Seq, e.Writer, e.Record.Time, after.Seq, after.Record.Time)
		}
		last[e.Writer] = e
	}
}

func searchAgrees(t *testing.T, fresh Recorder) {
	const records = 1500
	_, r, want := filled(t, fresh, records)
	all := pages(t, r, audit.Query{Limit: 1000}, nil)
	if len(all) != len(want) {
		t.Fatalf("%d records, want %d", len(all), len(want))
	}
	newestFirst(t, all)
	rapid.Check(t, func(rt *rapid.T) {
		q := anyQuery(rt, records)
		var want []string
		for i := range all {
			if matches(&q, &all[i].Record) {
				want = append(want, id(&all[i]))
			}
		}
		if got := ids(pages(rt, r, q, nil)); !slices.Equal(want, got) {
			rt.Errorf("%+v\nwant %v\ngot  %v", q, want, got)
		}
	})
}

func searchIsStable(t *testing.T, fresh Recorder) {
	const before, during = 600, 400
	record, r, _ := filled(t, fresh, before)
	next := before
	rapid.Check(t, func(rt *rapid.T) {
		q := anyQuery(rt, next)
		q.Limit = rapid.SampledFrom([]int{3, 20, 50}).Draw(rt, "page")
		there := ids(pages(rt, r, q, nil))
		got := ids(pages(rt, r, q, func() {
			for range rapid.IntRange(0, 3).Draw(rt, "come in") {
				if next == before+during {
					return
				}
				// Its time may lie among those that were given already.
				rec := varied(next)
				rec.Time = varied(rapid.IntRange(0, next).Draw(rt, "of when")).Time
				if err := record(next/5%2, rec); err != nil {
					rt.Fatalf("%v", err)
				}
				next++
			}
		}))
		seen := map[string]bool{}
		for _, id := range got {
			if seen[id] {
				rt.Errorf("%+v: %s comes twice", q, id)
			}
			seen[id] = true
		}
		for _, id := range there {
			if !seen[id] {
				rt.Errorf("%+v: %s is left out", q, id)
			}
		}
	})
}

func namesWhole(t *testing.T, fresh Recorder) {
	long := strings.Repeat("ä", 150)
	names := []string{long + "1", long + "2", "a\x00b", "a\x00c", "a\uFFFDb", "' OR ''='", "100%", "100_", `\`, "Ada", "ada"}
	record, r := fresh(t)
	for i, name := range names {
		rec := varied(10 * i)
		rec.Principal.User, rec.Model, rec.Deviation.Task = name, name, name
		must(t, record(0, rec))
	}
	for i, name := range names {
		for what, q := range map[string]audit.Query{"user": {User: name}, "model": {Model: name}, "task": {Task: name}} {
			found := pages(t, r, q, nil)
			if len(found) != 1 || found[0].Record.Exchange != exchangeID(10*i) {
				t.Errorf("%s %q: %d found", what, name, len(found))
			}
		}
	}
	// What is no UTF-8 is recorded as the replacement character, and so found.
	if found := pages(t, r, audit.Query{User: "a\xffb"}, nil); len(found) != 1 || found[0].Record.Principal.User != "a\uFFFDb" {
		t.Errorf("a name that is no UTF-8: %d found", len(found))
	}
}

func textOfReasons(t *testing.T, fresh Recorder) {
	record, r := fresh(t)
	rec := varied(3)
	rec.Deviation.Phrase, rec.Verdict.Rule = `Zahlungs-RÜCKSTÄNDE 50%_\ off`, "rules[3]"
	must(t, record(0, rec, varied(0)))
	for text, want := range map[string]int{
		"rückstände": 1, "RÜCKSTÄNDE": 1, "50%_": 1, `_\ O`: 1, "%": 2, "rules[3]": 1, "off_task": 1, "Too Far From The Tasks": 1,
		"none": 0, "rules%3": 0, "x": 0, "\x00": 0, "\xff": 0,
	} {
		if found := pages(t, r, audit.Query{Text: text}, nil); len(found) != want {
			t.Errorf("%q: %d found, want %d", text, len(found), want)
		}
	}
	if _, _, err := r.Search(t.Context(), audit.Query{Text: strings.Repeat("x", 257)}); !errors.Is(err, audit.ErrText) {
		t.Errorf("a text without end: %v", err)
	}
}

func hostileCursors(t *testing.T, fresh Recorder) {
	_, r, _ := filled(t, fresh, 40)
	_, good, err := r.Search(t.Context(), audit.Query{Limit: 5})
	must(t, err)
	if _, _, err := r.Search(t.Context(), audit.Query{After: good}); err != nil {
		t.Errorf("its own: %v", err)
	}
	hostile := []string{
		"0", "1", "nonsense", "1/w/1", strings.Repeat("A", 5000), good + "A", good[1:], good[:len(good)-1], strings.ToUpper(good), " " + good,
		good + "=", audit.Cursor('x', []byte("12345678901234567890")), audit.Cursor('l', nil), audit.Cursor('p', nil),
		audit.Cursor('l', []byte{0x80}), audit.Cursor('l', slices.Repeat([]byte{0xff}, 9)), audit.Cursor('p', []byte("123456789012345")),
		audit.Cursor('p', []byte("1234567812345678a\x00b")), audit.Cursor('p', []byte("1234567812345678\xff")),
	}
	for _, cursor := range hostile {
		if cursor == good {
			continue
		}
		if _, _, err := r.Search(t.Context(), audit.Query{After: cursor}); !errors.Is(err, audit.ErrCursor) {
			t.Errorf("the cursor %q: %v", cursor, err)
		}
	}
}

func empty(t *testing.T, fresh Recorder) {
	_, r := fresh(t)
	if all := pages(t, r, audit.Query{}, nil); len(all) != 0 {
		t.Errorf("%d found", len(all))
	}
	if all := walk(t, r, audit.Query{Text: "x"}); len(all) != 0 {
		t.Errorf("%d walked", len(all))
	}
	rows, err := r.Sum(t.Context(), read.SumQuery{Since: start, Until: start.Add(time.Hour)})
	if err != nil || len(rows) != 0 {
		t.Errorf("sums %+v, %v", rows, err)
	}
	if seen, err := r.Verify(t.Context()); err != nil || seen.Records != 0 {
		t.Errorf("verify %+v, %v", seen, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
