package quota_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/quota/memory"
)

func TestDoubts(t *testing.T) {
	tokens := func(id string, w quota.Window, value int64, changes ...func(*quota.Limit)) quota.Limit {
		l := quota.Limit{ID: id, Scope: quota.ScopeUser, Dimension: quota.DimensionTokens, Window: w, Value: value}
		for _, change := range changes {
			change(&l)
		}
		return l
	}
	soft := func(l *quota.Limit) { l.Enforcement = quota.EnforceSoft }
	observed := func(l *quota.Limit) { l.Enforcement = quota.EnforceObserve }
	input := func(l *quota.Limit) { l.Dimension = quota.DimensionInputTokens }
	ofAnn := func(l *quota.Limit) { l.Subject = "ann" }
	everyone := func(l *quota.Limit) { l.Scope = quota.ScopeEveryone }
	team := func(l *quota.Limit) { l.Scope = quota.ScopeTeam }
	berlin := func(l *quota.Limit) { l.Zone = "Europe/Berlin" }
	model := func(pattern string) func(*quota.Limit) { return func(l *quota.Limit) { l.Model = pattern } }
	const day, week, month, minute = quota.WindowDay, quota.WindowWeek, quota.WindowMonth, quota.WindowMinute
	for _, tt := range []struct {
		name   string
		limits []quota.Limit
		want   string // the limit that is doubted and a part of why, empty for none
	}{
		{"a sensible pair", []quota.Limit{tokens("a", day, 10), tokens("b", month, 100)}, ""},
		{"twice the same", []quota.Limit{tokens("a", day, 10), tokens("b", day, 10)}, "b: it never refuses, since limit a (daily limit on tokens of each user) allows no more: 10 tokens against 10 tokens"},
		{"one above the other", []quota.Limit{tokens("a", day, 11), tokens("b", day, 10)}, "a: it never refuses, since limit b"},
		{"soft above hard", []quota.Limit{tokens("a", day, 11, soft), tokens("b", day, 10)}, "a: it never warns, since limit b"},
		{"soft below hard", []quota.Limit{tokens("a", day, 9, soft), tokens("b", day, 10)}, ""},
		{"hard above soft", []quota.Limit{tokens("a", day, 11), tokens("b", day, 10, soft)}, ""},
		{"observed above hard", []quota.Limit{tokens("a", day, 11, observed), tokens("b", day, 10)}, ""},
		{"a day above its month", []quota.Limit{tokens("a", day, 11), tokens("b", month, 10)}, "a: it never refuses"},
		{"a week above a month", []quota.Limit{tokens("a", week, 11), tokens("b", month, 10)}, ""},
		{"a minute above its day", []quota.Limit{tokens("a", minute, 11), tokens("b", day, 10)}, "a: it never refuses but in the moments after a reset"},
		{"a day in another zone", []quota.Limit{tokens("a", day, 11, berlin), tokens("b", day, 10)}, ""},
		{"input above all tokens", []quota.Limit{tokens("a", day, 11, input), tokens("b", day, 10)}, "a: it never refuses"},
		{"all tokens above input", []quota.Limit{tokens("a", day, 11), tokens("b", day, 10, input)}, ""},
		{"one person above each", []quota.Limit{tokens("a", day, 11, ofAnn), tokens("b", day, 10)}, "a: it never refuses"},
		{"each above one person", []quota.Limit{tokens("a", day, 11), tokens("b", day, 10, ofAnn)}, ""},
		{"a person above everyone", []quota.Limit{tokens("a", day, 11, ofAnn), tokens("b", day, 10, everyone)}, "a: it never refuses"},
		{"a person above the team", []quota.Limit{tokens("a", day, 11, ofAnn), tokens("b", day, 10, team)}, ""},
		{"a model above all models", []quota.Limit{tokens("a", day, 11, model("gpt-5*")), tokens("b", day, 10)}, "a: it never refuses"},
		{"all models above a model", []quota.Limit{tokens("a", day, 11), tokens("b", day, 10, model("gpt-5*"))}, ""},
		{"a model of nobody's", []quota.Limit{tokens("a", day, 11, model("gtp-5*"))}, "a: model pattern gtp-5* matches no model"},
		{"a zone of a minute", []quota.Limit{tokens("a", minute, 11, berlin)}, "a: zone Europe/Berlin has no effect on window minute"},
	} {
		var got []string
		for _, d := range quota.Doubts(tt.limits, []string{"gpt-5", "gpt-5-mini"}) {
			got = append(got, d.Limit+": "+d.Why)
		}
		if len(got) > 1 || (tt.want == "") != (len(got) == 0) || tt.want != "" && !strings.HasPrefix(got[0], tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	if doubts := quota.Doubts([]quota.Limit{tokens("a", day, 1, model("x"))}, nil); len(doubts) > 0 {
		t.Errorf("models that are not known: %+v", doubts)
	}
}

// A limit that is said never to be reached is never exceeded by random calls that the other one admits.
func TestAShadowedLimitIsNeverReached(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, o := drawLimit(t, "l"), drawLimit(t, "o")
		if rapid.Bool().Draw(t, "alike") {
			o.Scope, o.Dimension, o.Window, o.Zone = l.Scope, l.Dimension, l.Window, l.Zone
			o.Subject = l.Subject
		}
		doubts := quota.Doubts([]quota.Limit{l, o}, nil)
		i := strings.Index(strings.Join(whys(doubts, "o"), ""), "since limit l")
		if i < 0 || o.Window == quota.WindowMinute && l.Window != quota.WindowMinute {
			return
		}
		o.Enforcement = quota.EnforceObserve
		limits, err := quota.Compile([]quota.Limit{l, o})
		if err != nil {
			t.Fatal(err)
		}
		now := noon
		ledger := memory.New(memory.Options{Now: func() time.Time { return now }})
		for n := range 40 {
			now = now.Add(time.Duration(rapid.IntRange(0, 7200).Draw(t, "seconds")) * time.Second)
			r, err := ledger.Reserve(t.Context(), quota.Request{
				ID: string(rune('A' + n)), Subject: drawSubject(t), Limits: limits, At: now,
				Amounts: quota.Amounts{
					Requests: 1, InputTokens: rapid.Int64Range(0, 9).Draw(t, "in"),
					OutputTokens: rapid.Int64Range(0, 9).Draw(t, "out"), Cost: 3,
				},
			})
			if err != nil {
				continue
			}
			for _, s := range r.Standings {
				if s.Limit.ID == "o" && s.Used > o.Value {
					t.Fatalf("%d used of %+v, which %+v is said to keep from being reached", s.Used, o, l)
				}
			}
		}
	})
}

func whys(doubts []quota.Doubt, limit string) (out []string) {
	for _, d := range doubts {
		if d.Limit == limit {
			out = append(out, d.Why)
		}
	}
	return out
}

// drawLimit draws a valid limit of few kinds, so that two of them often meet.
func drawLimit(t *rapid.T, id string) quota.Limit {
	l := quota.Limit{
		ID:        id,
		Scope:     rapid.SampledFrom([]quota.ScopeKind{quota.ScopeEveryone, quota.ScopeTeam, quota.ScopeUser, quota.ScopeApp}).Draw(t, "scope"),
		Model:     rapid.SampledFrom([]string{"", "", "gpt-5*", "o3"}).Draw(t, "model"),
		Dimension: rapid.SampledFrom([]quota.Dimension{quota.DimensionTokens, quota.DimensionInputTokens, quota.DimensionRequests, quota.DimensionCost, quota.DimensionConcurrency}).Draw(t, "dimension"),
		Window:    rapid.SampledFrom([]quota.Window{quota.WindowMinute, quota.WindowHour, quota.WindowDay, quota.WindowWeek, quota.WindowMonth}).Draw(t, "window"),
		Value:     rapid.Int64Range(0, 30).Draw(t, "value"),
		Zone:      rapid.SampledFrom([]string{"", "UTC", "Asia/Kolkata"}).Draw(t, "zone"),
	}
	if l.Dimension == quota.DimensionConcurrency {
		l.Window = quota.WindowNone
	}
	if l.Scope != quota.ScopeEveryone {
		l.Subject = rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "subject")
	}
	return l
}

func drawSubject(t *rapid.T) quota.Subject {
	who := rapid.SampledFrom([]string{"", "a", "b"})
	return quota.Subject{
		User: who.Draw(t, "user"), Team: who.Draw(t, "team"), App: who.Draw(t, "app"),
		Model: rapid.SampledFrom([]string{"", "gpt-5", "o3"}).Draw(t, "called"),
	}
}
