package audit_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
)

// variedRecord is one of a mix in which every filter finds some and leaves some. Several share a time.
func variedRecord(i int) core.Record {
	rec := intentRecord(i)
	switch i % 4 {
	case 1:
		rec = outcomeRecord(i)
	case 2:
		rec.Kind, rec.Reserved = core.RecordDeny, nil
		rec.Verdict.Action, rec.Reason = core.ActionBlock, core.ReasonOffTask
	case 3:
		rec = core.Record{Kind: core.RecordAdmin, Admin: &core.Change{Actor: "root", Action: "put", Object: "user/ada"}}
	}
	rec.Time = start.Add(time.Duration(i/50+i*7%10+i/1024*20) * time.Second) // goes on with some disorder, and jumps
	rec.Principal = core.Principal{User: []string{"", "ada", "bob"}[i%3], Team: []string{"red", "blue"}[i%2], App: []string{"ide", "chat"}[i/2%2]}
	rec.Model = []string{"gpt-4o", "gpt-4o-mini", ""}[i/3%3]
	return rec
}

func TestSearchAgreesWithAFilter(t *testing.T) {
	const records = 2500 // two runs are indexed, the rest is not
	path := filepath.Join(t.TempDir(), "audit.db")
	log := openLog(t, audit.Options{Path: path})
	for i := range records {
		must(t, log.Append(t.Context(), variedRecord(i)))
	}
	r := openReader(t, path)
	if verified, err := r.Verify(t.Context()); err != nil || verified.Records != records {
		t.Fatalf("%+v, %v", verified, err)
	}
	all := everything(t, r)

	agrees := func(t interface {
		Fatal(...any)
		Errorf(string, ...any)
	}, q audit.Query,
	) {
		var want []audit.Position
		for _, e := range newestFirst(all) {
			if matches(q, e.Record) {
				want = append(want, e.Position)
			}
		}
		var got []audit.Position
		for page := q; ; {
			found, next, err := r.Search(context.Background(), page)
			if err != nil {
				t.Fatal(err)
			}
			if q.Limit > 0 && len(found) > q.Limit {
				t.Errorf("%d found, limit %d", len(found), q.Limit)
			}
			for _, e := range found {
				got = append(got, e.Position)
			}
			if next == "" {
				break
			}
			page.After = next
		}
		if !slices.Equal(want, got) {
			t.Errorf("%+v\nwant %v\ngot  %v", q, want, got)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		or := func(label string, values ...string) string {
			return rapid.SampledFrom(append(values, "", "", "")).Draw(rt, label)
		}
		q := audit.Query{
			User: or("user", "ada", "bob", "eve"), Team: or("team", "red", "blue"), App: or("app", "ide", "chat"),
			Model: or("model", "gpt-4o", "gpt-4o-mini"), Kind: core.RecordKind(or("kind", "intent", "outcome", "deny", "admin")),
			Action: core.Action(or("action", "allow", "block")), Reason: core.Reason(or("reason", "none", "off_task")),
			Limit: rapid.SampledFrom([]int{0, 37, 1000}).Draw(rt, "limit"),
		}
		if rapid.IntRange(0, 9).Draw(rt, "one exchange") == 0 {
			q.Exchange = exchangeID(rapid.IntRange(0, records).Draw(rt, "exchange"))
		}
		if rapid.Bool().Draw(rt, "since?") {
			q.Since = start.Add(time.Duration(rapid.IntRange(-1, 101).Draw(rt, "since")) * time.Second)
		}
		if rapid.Bool().Draw(rt, "until?") {
			q.Until = start.Add(time.Duration(rapid.IntRange(-1, 101).Draw(rt, "until")) * time.Second)
		}
		agrees(rt, q)
	})

	// Bounds of time where one run ends and the next begins.
	for _, border := range []int{1024, 2048} {
		for _, e := range all[border-12 : border+12] {
			at := e.Record.Time
			for _, q := range []audit.Query{{Since: at, User: "ada"}, {Until: at, User: "bob"}, {Since: at, Until: at.Add(time.Second)}} {
				q.Limit = 1000
				agrees(t, q)
			}
		}
	}
	if _, _, err := r.Search(t.Context(), audit.Query{After: "nonsense"}); !errors.Is(err, audit.ErrCursor) {
		t.Errorf("a cursor of nobody: %v", err)
	}
}

func newestFirst(all []audit.Entry) []audit.Entry {
	sorted := slices.Clone(all)
	slices.Reverse(sorted)
	return sorted
}

func matches(q audit.Query, r core.Record) bool {
	is := func(want, got string) bool { return want == "" || want == got }
	var action core.Action
	if r.Verdict != nil {
		action = r.Verdict.Action
	}
	return is(q.Exchange, r.Exchange) && is(q.User, r.Principal.User) && is(q.Team, r.Principal.Team) && is(q.App, r.Principal.App) &&
		is(q.Model, r.Model) && is(string(q.Kind), string(r.Kind)) && is(string(q.Action), string(action)) &&
		is(string(q.Reason), string(r.Reason)) && !r.Time.Before(q.Since) && (q.Until.IsZero() || r.Time.Before(q.Until))
}

// TestTailSeesEverythingOnce follows a log while it is written.
func TestTailSeesEverythingOnce(t *testing.T) {
	const before, during = 1500, 300
	path := filepath.Join(t.TempDir(), "audit.db")
	log := openLog(t, audit.Options{Path: path})
	for i := range before {
		must(t, log.Append(t.Context(), intentRecord(i)))
	}
	r := openReader(t, path)
	appended := make(chan error, 1)
	go func() {
		for i := range during {
			if err := log.Append(t.Context(), intentRecord(before+i)); err != nil {
				appended <- err
				return
			}
		}
		appended <- nil
	}()
	var got []string
	err := r.Tail(t.Context(), 0, func(e audit.Entry) error {
		got = append(got, e.Record.Exchange)
		if len(got) == before+during {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		t.Fatal(err)
	}
	must(t, <-appended)
	for i, exchange := range got {
		if exchange != exchangeID(i) {
			t.Fatalf("record %d of the tail is %s, want %s", i, exchange, exchangeID(i))
		}
	}
	end, err := r.End(t.Context())
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = r.Tail(ctx, end, func(e audit.Entry) error { return fmt.Errorf("%d came again", e.Position) })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}
