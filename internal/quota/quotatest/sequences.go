package quotatest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/quota"
)

// sequences compares a ledger with the model over random operations, after each of which all standings must agree.
func sequences(t *testing.T, open Open) {
	steps := 0
	rapid.Check(t, func(rt *rapid.T) {
		w := &walk{fixture: &fixture{}}
		// Two hours before the clocks go forward in Berlin, so that days of 23 hours and the end of a month are near.
		w.clock.set(time.Date(2026, 3, 28, 23, 0, 0, 0, time.UTC))
		w.ledger = open(t, w.clock.now)
		w.compile(rt)
		rt.Repeat(map[string]func(*rapid.T){
			"reserve": w.reserve, "extend": w.extend, "touch": w.touch, "settle": w.settle, "void": w.void,
			"expire": w.expire, "change limits": w.compile, "time": w.time,
			"": func(rt *rapid.T) { steps++; w.compare(rt) },
		})
		w.end(rt)
	})
	t.Logf("%d steps", steps)
}

// walk is one random sequence.
type walk struct {
	*fixture
	model  model
	limits *quota.LimitSet
	ids    int
}

var (
	users  = []string{"", "ann", "bob", "eve"}
	teams  = []string{"", "red", "blue"}
	models = []string{"gpt-5", "gpt-5-mini", "o3"}
)

func drawSubject(rt *rapid.T) quota.Subject {
	return quota.Subject{
		User:  rapid.SampledFrom(users).Draw(rt, "user"),
		Team:  rapid.SampledFrom(teams).Draw(rt, "team"),
		Model: rapid.SampledFrom(models).Draw(rt, "model"),
	}
}

func drawAmounts(rt *rapid.T) quota.Amounts {
	n := rapid.Int64Range(0, 40)
	return quota.Amounts{
		Requests: rapid.Int64Range(0, 2).Draw(rt, "requests"), InputTokens: n.Draw(rt, "input"), OutputTokens: n.Draw(rt, "output"),
	}
}

// compile draws new values and enforcements for limits whose meaning stays the same.
func (w *walk) compile(rt *rapid.T) {
	limits := []quota.Limit{
		{ID: "all", Scope: quota.ScopeEveryone, Dimension: quota.DimensionTokens, Window: quota.WindowDay, Zone: "Europe/Berlin"},
		{ID: "rpm", Scope: quota.ScopeUser, Dimension: quota.DimensionRequests, Window: quota.WindowMinute},
		{ID: "tpm", Scope: quota.ScopeTeam, Dimension: quota.DimensionTokens, Window: quota.WindowMinute},
		{ID: "at once", Scope: quota.ScopeTeam, Dimension: quota.DimensionConcurrency, Window: quota.WindowNone},
		{ID: "red", Scope: quota.ScopeTeam, Subject: "red", Dimension: quota.DimensionInputTokens, Window: quota.WindowHour},
		{ID: "gpt", Scope: quota.ScopeUser, Model: "gpt-5*", Dimension: quota.DimensionOutputTokens, Window: quota.WindowMonth, Zone: "Asia/Kolkata"},
	}
	for i := range limits {
		l := &limits[i]
		l.Enforcement = rapid.SampledFrom([]quota.Enforcement{"", "", quota.EnforceHard, quota.EnforceSoft, quota.EnforceObserve}).Draw(rt, "enforcement")
		l.Value = rapid.Int64Range(0, 250).Draw(rt, "value")
		if l.Dimension == quota.DimensionRequests || l.Dimension == quota.DimensionConcurrency {
			l.Value = rapid.Int64Range(0, 5).Draw(rt, "count")
		}
	}
	set, err := quota.Compile(limits)
	if err != nil {
		rt.Fatal(err)
	}
	w.limits = set
}

func (w *walk) time(rt *rapid.T) {
	w.clock.advance(rapid.SampledFrom([]time.Duration{
		tick, time.Second, 5 * time.Second, 29 * time.Second, time.Minute, 50 * time.Minute, 7 * time.Hour,
	}).Draw(rt, "passes"))
}

// remembered is for how long a repeat must find its result.
const remembered = 10 * time.Minute

// id draws a live one or, less often, one that was resolved or never used.
func (w *walk) id(rt *rapid.T) string {
	ids, live := []string{"never"}, []string{}
	for _, e := range w.model.all {
		switch {
		case e.live:
			live = append(live, e.id)
		case w.clock.now().Sub(e.resolved) < remembered:
			ids = append(ids, e.id)
		}
	}
	if len(live) > 0 && rapid.IntRange(0, 9).Draw(rt, "kind") < 8 {
		ids = live
	}
	return rapid.SampledFrom(ids).Draw(rt, "id")
}

func (w *walk) reserve(rt *rapid.T) {
	r := quota.Request{Subject: drawSubject(rt), Amounts: drawAmounts(rt), Limits: w.limits, At: w.clock.now()}
	if r.ID = w.id(rt); r.ID == "never" || rapid.IntRange(0, 9).Draw(rt, "repeat") > 0 {
		w.ids++
		r.ID = fmt.Sprint(w.ids)
	}
	want, wantErr := w.model.reserve(r)
	got, err := w.ledger.Reserve(context.Background(), r)
	same(rt, "Reserve", want, got, wantErr, err)
}

func (w *walk) extend(rt *rapid.T) {
	id, to := w.id(rt), drawAmounts(rt)
	if e := w.model.find(id); e != nil && rapid.IntRange(0, 3).Draw(rt, "adds") > 0 {
		to = to.Add(e.held)
	}
	want, wantErr := w.model.extend(id, to, w.clock.now())
	got, err := w.ledger.Extend(context.Background(), id, to)
	same(rt, "Extend", want, got, wantErr, err)
}

func (w *walk) touch(rt *rapid.T) {
	p := quota.Progress{ID: w.id(rt), Used: drawAmounts(rt)}
	w.model.touch(p.ID, p.Used, w.clock.now())
	same(rt, "Touch", 0, 0, nil, w.ledger.Touch(context.Background(), p))
}

func (w *walk) settle(rt *rapid.T) {
	id, used := w.id(rt), drawAmounts(rt)
	want, wantErr := w.model.settle(id, used, w.clock.now())
	got, err := w.ledger.Settle(context.Background(), id, used)
	same(rt, "Settle", want, got, wantErr, err)
}

func (w *walk) void(rt *rapid.T) {
	id := w.id(rt)
	same(rt, "Void", 0, 0, w.model.void(id, w.clock.now()), w.ledger.Void(context.Background(), id))
}

func (w *walk) expire(rt *rapid.T) {
	now := w.clock.now()
	want := w.model.expire(now, now)
	got, err := w.ledger.Expire(context.Background(), now)
	slices.Sort(got)
	same(rt, "Expire", want, got, nil, err)
}

// compare compares all standings, and checks what must hold of them whatever the model says.
func (w *walk) compare(rt *rapid.T) {
	now := w.clock.now()
	for _, user := range users {
		for _, team := range teams {
			s := quota.Subject{User: user, Team: team, Model: "gpt-5"}
			got, err := w.ledger.Standings(context.Background(), s, w.limits, now)
			want := w.model.standings(w.limits, s, now, now)
			if err != nil || !slices.EqualFunc(want, got, equalStanding) {
				rt.Fatalf("Standings of %+v: error %v (-want +got):\n%s", s, err, cmp.Diff(want, got))
			}
			for _, st := range got {
				if st.Used < 0 {
					rt.Fatalf("negative: %+v", st)
				}
			}
		}
	}
	if got := w.ledger.Overruns(); got != w.model.overruns {
		rt.Fatalf("%d overruns, want %d", got, w.model.overruns)
	}
}

func equalStanding(a, b quota.Standing) bool {
	return a.Limit == b.Limit && a.Used == b.Used && a.Posted == b.Posted && a.Since.Equal(b.Since) && a.Reset.Equal(b.Reset)
}

// end lets all leases pass: nothing may be pending, and what is posted is the sum of what was settled.
func (w *walk) end(rt *rapid.T) {
	w.clock.advance(Lease + tick)
	w.expire(rt)
	if n := len(w.model.live()); n != 0 {
		rt.Fatalf("%d reservations outlive their leases", n)
	}
	w.compare(rt)
}

// same compares results and errors; refusals must agree in what they say.
func same[T any](rt *rapid.T, op string, want, got T, wantErr, err error) {
	rt.Helper()
	var wantRefusal, refusal *quota.ExhaustedError
	switch {
	case errors.As(wantErr, &wantRefusal) && errors.As(err, &refusal):
		if diff := cmp.Diff(wantRefusal, refusal); diff != "" {
			rt.Fatalf("%s: refusal (-want +got):\n%s", op, diff)
		}
	case !errors.Is(err, wantErr):
		rt.Fatalf("%s: error %v, want %v", op, err, wantErr)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		rt.Fatalf("%s (-want +got):\n%s", op, diff)
	}
}
