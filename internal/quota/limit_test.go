package quota_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/quota"
)

func valid() quota.Limit {
	return quota.Limit{
		ID: "l", Scope: quota.ScopeUser, Dimension: quota.DimensionTokens, Window: quota.WindowDay, Value: 10,
		Zone: "Europe/Berlin", Model: "gpt-*", Enforcement: quota.EnforceSoft,
	}
}

func TestLimitValidate(t *testing.T) {
	tests := []struct {
		name   string
		change func(*quota.Limit)
		want   []string // parts of the error, none for a valid limit
	}{
		{"valid", func(*quota.Limit) {}, nil},
		{"bare", func(l *quota.Limit) { l.Zone, l.Model, l.Enforcement, l.Value = "", "", "", 0 }, nil},
		{"concurrency", func(l *quota.Limit) { l.Dimension, l.Window = quota.DimensionConcurrency, quota.WindowNone }, nil},
		{"one team", func(l *quota.Limit) { l.Scope, l.Subject = quota.ScopeTeam, "red" }, nil},
		{"largest", func(l *quota.Limit) { l.Value = quota.MaxValue }, nil},
		{"no id", func(l *quota.Limit) { l.ID = "" }, []string{`limit "": id is empty`}},
		{"scope", func(l *quota.Limit) { l.Scope = "dog" }, []string{`scope "dog" is not one of everyone, team, user, app`}},
		{"no scope", func(l *quota.Limit) { l.Scope = "" }, []string{`scope ""`}},
		{"subject of everyone", func(l *quota.Limit) { l.Scope, l.Subject = quota.ScopeEveryone, "ann" }, []string{`subject "ann" does not go with scope everyone`}},
		{"pattern", func(l *quota.Limit) { l.Model = "gpt-[" }, []string{`model pattern "gpt-[" does not parse`}},
		{"dimension", func(l *quota.Limit) { l.Dimension = "words" }, []string{`dimension "words"`}},
		{"window", func(l *quota.Limit) { l.Window = "year" }, []string{`window "year"`}},
		{"concurrency in a day", func(l *quota.Limit) { l.Dimension = quota.DimensionConcurrency }, []string{"window none goes with dimension concurrency"}},
		{"tokens without window", func(l *quota.Limit) { l.Window = quota.WindowNone }, []string{"window none goes with dimension concurrency"}},
		{"negative", func(l *quota.Limit) { l.Value = -1 }, []string{"value -1 is not between 0 and 9007199254740991"}},
		{"too large", func(l *quota.Limit) { l.Value = quota.MaxValue + 1 }, []string{"value 9007199254740992"}},
		{"enforcement", func(l *quota.Limit) { l.Enforcement = "maybe" }, []string{`enforcement "maybe"`}},
		{"unreachable", func(l *quota.Limit) { l.Unreachable = "maybe" }, []string{`unreachable "maybe"`}},
		{"zone", func(l *quota.Limit) { l.Zone = "Mars/Olympus" }, []string{`zone "Mars/Olympus" is not a known IANA time zone`}},
		{"zone of the machine", func(l *quota.Limit) { l.Zone = "Local" }, []string{`zone "Local"`}},
		{"zone outside the database", func(l *quota.Limit) { l.Zone = "../../etc/passwd" }, []string{"zone"}},
		{"all at once", func(l *quota.Limit) { *l = quota.Limit{Value: -1, Zone: "x"} }, []string{"id", "scope", "dimension", "window", "value", "zone"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := valid()
			tt.change(&l)
			err := l.Validate()
			if (err == nil) != (len(tt.want) == 0) {
				t.Fatalf("got %v", err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q lacks %q", err, want)
				}
			}
		})
	}
}

func TestLimitMatches(t *testing.T) {
	ann := quota.Subject{User: "ann", Team: "red", App: "ide", Model: "gpt-5-mini"}
	tests := []struct {
		name    string
		limit   quota.Limit
		subject quota.Subject
		want    bool
	}{
		{"everyone", quota.Limit{Scope: quota.ScopeEveryone}, ann, true},
		{"everyone, nobody known", quota.Limit{Scope: quota.ScopeEveryone}, quota.Subject{}, true},
		{"each user", quota.Limit{Scope: quota.ScopeUser}, ann, true},
		{"each user, an app alone", quota.Limit{Scope: quota.ScopeUser}, quota.Subject{App: "ide"}, false},
		{"this user", quota.Limit{Scope: quota.ScopeUser, Subject: "ann"}, ann, true},
		{"another user", quota.Limit{Scope: quota.ScopeUser, Subject: "bob"}, ann, false},
		{"a user named as a team", quota.Limit{Scope: quota.ScopeTeam, Subject: "ann"}, ann, false},
		{"this team", quota.Limit{Scope: quota.ScopeTeam, Subject: "red"}, ann, true},
		{"this app", quota.Limit{Scope: quota.ScopeApp, Subject: "ide"}, ann, true},
		{"each app", quota.Limit{Scope: quota.ScopeApp}, quota.Subject{User: "ann"}, false},
		{"unknown scope", quota.Limit{Scope: "dog"}, ann, false},
		{"this model", quota.Limit{Scope: quota.ScopeUser, Model: "gpt-5-mini"}, ann, true},
		{"a beginning is no match", quota.Limit{Scope: quota.ScopeUser, Model: "gpt-5"}, ann, false},
		{"pattern", quota.Limit{Scope: quota.ScopeUser, Model: "gpt-?-*"}, ann, true},
		{"set", quota.Limit{Scope: quota.ScopeUser, Model: "gpt-[45]-mini"}, ann, true},
		{"escape", quota.Limit{Scope: quota.ScopeUser, Model: `gpt-5\-mini`}, ann, true},
		{"other model", quota.Limit{Scope: quota.ScopeUser, Model: "o3*"}, ann, false},
		{"no model", quota.Limit{Scope: quota.ScopeUser, Model: "gpt*"}, quota.Subject{User: "ann"}, false},
		{"broken pattern", quota.Limit{Scope: quota.ScopeUser, Model: "gpt-["}, quota.Subject{User: "ann", Model: "gpt-["}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.limit.Matches(tt.subject); got != tt.want {
				t.Errorf("got %v", got)
			}
			// A compiled set must say the same.
			l := tt.limit
			l.ID, l.Dimension, l.Window = "l", quota.DimensionTokens, quota.WindowMinute
			set, err := quota.Compile([]quota.Limit{l})
			if err != nil {
				return // not a limit that can come so far
			}
			if got := len(set.AppendMatches(nil, tt.subject, time.Unix(0, 0))) == 1; got != tt.want {
				t.Errorf("compiled: got %v", got)
			}
		})
	}
}

func TestWhenUnreachable(t *testing.T) {
	for _, tt := range []struct {
		dimension quota.Dimension
		set, want quota.Unreachable
	}{
		{quota.DimensionCost, "", quota.UnreachableClosed},
		{quota.DimensionCost, quota.UnreachableOpen, quota.UnreachableOpen},
		{quota.DimensionTokens, "", quota.UnreachableLocal},
		{quota.DimensionConcurrency, "", quota.UnreachableLocal},
		{quota.DimensionRequests, quota.UnreachableClosed, quota.UnreachableClosed},
	} {
		l := quota.Limit{Dimension: tt.dimension, Unreachable: tt.set}
		if got := l.WhenUnreachable(); got != tt.want {
			t.Errorf("a limit of %s that says %q is %q, want %q", tt.dimension, tt.set, got, tt.want)
		}
	}
}

func TestCompile(t *testing.T) {
	a, b := valid(), valid()
	if _, err := quota.Compile([]quota.Limit{a, b}); err == nil || !strings.Contains(err.Error(), `limit "l": id is used twice`) {
		t.Errorf("two of one id: %v", err)
	}
	a.Value, b.ID, b.Scope = -1, "m", "dog"
	_, err := quota.Compile([]quota.Limit{a, b})
	if err == nil || !strings.Contains(err.Error(), `limit "l": value`) || !strings.Contains(err.Error(), `limit "m": scope`) {
		t.Errorf("two broken limits: %v", err)
	}
	limits := []quota.Limit{valid()}
	set, err := quota.Compile(limits)
	if err != nil {
		t.Fatal(err)
	}
	limits[0].Value = 99
	if diff := cmp.Diff([]quota.Limit{valid()}, set.Limits()); diff != "" {
		t.Errorf("a set must not change with the slice it was made from:\n%s", diff)
	}
	var empty *quota.LimitSet
	if empty.Limits() != nil || empty.AppendMatches(nil, quota.Subject{}, time.Now()) != nil {
		t.Error("the nil set is not empty")
	}
}

// What gives a count its meaning makes another counter; value and enforcement do not.
func TestCounterKeys(t *testing.T) {
	at := time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)
	subject := quota.Subject{User: "ann", Team: "ann", Model: "gpt-5"}
	key := func(change func(*quota.Limit)) quota.CounterKey {
		l := valid()
		change(&l)
		set, err := quota.Compile([]quota.Limit{l})
		if err != nil {
			t.Fatal(err)
		}
		return set.AppendMatches(nil, subject, at)[0].Key
	}
	base := key(func(*quota.Limit) {})
	if want := time.Date(2026, 3, 10, 23, 0, 0, 0, time.UTC).Unix(); base.Start != want || base.Subject != "ann" {
		t.Errorf("key %+v, want it to start at %d", base, want)
	}
	for name, change := range map[string]func(*quota.Limit){
		"unreachable": func(l *quota.Limit) { l.Unreachable = quota.UnreachableOpen },
		"value":       func(l *quota.Limit) { l.Value = 1 },
		"enforcement": func(l *quota.Limit) { l.Enforcement = "" },
	} {
		if got := key(change); got != base {
			t.Errorf("a change of %s makes another counter: %+v", name, got)
		}
	}
	seen := []quota.CounterKey{base}
	for name, change := range map[string]func(*quota.Limit){
		"id":        func(l *quota.Limit) { l.ID = "m" },
		"scope":     func(l *quota.Limit) { l.Scope = quota.ScopeTeam },
		"subject":   func(l *quota.Limit) { l.Subject = "ann" },
		"dimension": func(l *quota.Limit) { l.Dimension = quota.DimensionCost },
		"window":    func(l *quota.Limit) { l.Window = quota.WindowWeek },
		"zone":      func(l *quota.Limit) { l.Zone = "" },
		"model":     func(l *quota.Limit) { l.Model = "gpt-5*" },
	} {
		got := key(change)
		if slices.Contains(seen, got) {
			t.Errorf("a change of %s keeps the counter %+v", name, got)
		}
		seen = append(seen, got)
	}
}

// A set finds what each limit alone would match, in its order, whoever the limits are about.
func TestASetMatchesWhatItsLimitsDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var limits []quota.Limit
		for i := range rapid.IntRange(0, 12).Draw(t, "limits") {
			limits = append(limits, drawLimit(t, fmt.Sprint(i)))
		}
		set, err := quota.Compile(limits)
		if err != nil {
			t.Fatal(err)
		}
		s := drawSubject(t)
		var want, got []string
		for i := range limits {
			if limits[i].Matches(s) {
				want = append(want, limits[i].ID)
			}
		}
		for _, m := range set.AppendMatches(nil, s, noon) {
			got = append(got, m.Limit.ID)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%+v (-want +got):\n%s", s, diff)
		}
	})
}

// What the pages on limits say of patterns.
func TestModelPatterns(t *testing.T) {
	for _, tt := range []struct {
		pattern, model string
		want           bool
	}{
		{"gpt-4o", "gpt-4o", true},
		{"gpt-4o", "gpt-4o-2024-08-06", false},
		{"gpt-4o*", "gpt-4o", true},
		{"gpt-4o*", "gpt-4o-2024-08-06", true},
		{"gpt-4o*", "gpt-4o-mini", true},
		{"gpt-4o*", "ft:gpt-4o-2024-08-06:acme::abc", false},
		{"ft:gpt-4o*", "ft:gpt-4o-2024-08-06:acme::abc", true},
		{"*", "acme/gpt-4o", false},
		{"*/gpt-4o", "acme/gpt-4o", true},
		{"", "acme/gpt-4o", true},
	} {
		l := valid()
		l.Model = tt.pattern
		set, err := quota.Compile([]quota.Limit{l})
		if err != nil {
			t.Fatal(err)
		}
		s := quota.Subject{User: "ann", Team: "red", App: "ide", Model: tt.model}
		if got := len(set.AppendMatches(nil, s, noon)) == 1; got != tt.want || l.Matches(s) != tt.want {
			t.Errorf("%q counts %s: %t, want %t", tt.pattern, tt.model, got, tt.want)
		}
	}
}

// A set pins the windows of the time it is asked about, whatever it was asked about before: on either side of every bound
// around a change of a zone's clock, to the nanosecond, forward and back.
func TestMatchesPinTheWindowsOfTheirTime(t *testing.T) {
	for _, name := range zones {
		zone := load(t, name)
		var limits []quota.Limit
		for _, w := range windows {
			l := valid()
			l.ID, l.Window, l.Zone = string(w), w, name
			limits = append(limits, l)
		}
		set, err := quota.Compile(limits)
		if err != nil {
			t.Fatal(err)
		}
		for _, change := range append(changes(zone), noon) {
			var times []time.Time
			for _, w := range windows {
				start, end := quota.Bounds(w, zone, change)
				for _, bound := range []time.Time{start, change, end} {
					times = append(times, bound.Add(-1), bound, bound.Add(1), bound, bound.Add(-1))
				}
			}
			for _, at := range times {
				matches := set.AppendMatches(nil, quota.Subject{User: "ann", Team: "red", App: "ide", Model: "gpt-5"}, at)
				if len(matches) != len(windows) {
					t.Fatalf("%d matches", len(matches))
				}
				for i, m := range matches {
					start, end := quota.Bounds(windows[i], zone, at)
					if m.Key.Start != start.Unix() || !m.End.Equal(end) {
						t.Fatalf("%s, %s at %v: from %v to %v, want [%v, %v)", name, windows[i], at, time.Unix(m.Key.Start, 0).UTC(), m.End, start, end)
					}
				}
			}
		}
	}
}

func TestZone(t *testing.T) {
	l := valid()
	set, err := quota.Compile([]quota.Limit{l})
	if err != nil {
		t.Fatal(err)
	}
	if got := set.Zone("l").String(); got != "Europe/Berlin" {
		t.Errorf("zone %s", got)
	}
	var none *quota.LimitSet
	if set.Zone("other") != time.UTC || none.Zone("l") != time.UTC {
		t.Error("a limit that does not exist is not in UTC")
	}
}

// A call costs the same however many limits there are about others.
func BenchmarkMatchesAmongLimitsOfOthers(b *testing.B) {
	for _, others := range []int{0, 10_000} {
		b.Run(fmt.Sprint(others), func(b *testing.B) {
			var limits []quota.Limit
			for i := range others {
				l := valid()
				l.ID, l.Subject = fmt.Sprint("of-", i), fmt.Sprint("user-", i)
				limits = append(limits, l)
			}
			for i := range 8 {
				l := valid()
				l.ID = fmt.Sprint("each-", i)
				limits = append(limits, l)
			}
			set, err := quota.Compile(limits)
			if err != nil {
				b.Fatal(err)
			}
			s := quota.Subject{User: "ann", Team: "red", App: "ide", Model: "gpt-5"}
			var matches []quota.Match
			for b.Loop() {
				matches = set.AppendMatches(matches[:0], s, noon)
			}
			if len(matches) != 8 {
				b.Fatalf("%d matches", len(matches))
			}
		})
	}
}
