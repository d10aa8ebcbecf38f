package quota

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Enforces gives what the limit does when it lacks room.
func (l *Limit) Enforces() Enforcement { return cmp.Or(l.Enforcement, EnforceHard) }

// Hard reports whether the limit refuses.
func (l *Limit) Hard() bool { return l.Enforces() == EnforceHard }

// WhenUnreachable gives what the limit does while the ledger cannot be asked.
func (l *Limit) WhenUnreachable() Unreachable {
	switch {
	case l.Unreachable != "":
		return l.Unreachable
	case l.Dimension == DimensionCost:
		return UnreachableClosed
	default:
		return UnreachableLocal
	}
}

// Validate checks every field and returns all that is wrong with them, joined, or nil.
func (l *Limit) Validate() error {
	_, err := l.compile(time.LoadLocation)
	return err
}

// Matches reports whether a call counts under the limit.
func (l *Limit) Matches(s Subject) bool {
	_, ok := l.CountsFor(s)
	return ok && (l.Model == "" || matchModel(l.Model, s.Model))
}

// CountsFor gives the id of the team, user or app that a call of s counts for, empty for everyone; false if the limit is
// about others. It does not look at the model. A call without a team (user, app) is not one of "each of them".
func (l *Limit) CountsFor(s Subject) (string, bool) {
	var id string
	switch l.Scope {
	case ScopeEveryone:
		return "", true
	case ScopeTeam:
		id = s.Team
	case ScopeUser:
		id = s.User
	case ScopeApp:
		id = s.App
	}
	return id, id != "" && (l.Subject == "" || l.Subject == id)
}

// matchModel takes a pattern that does not parse to match nothing; Validate refuses it.
func matchModel(pattern, model string) bool {
	ok, err := path.Match(pattern, model)
	return ok && err == nil
}

// compile checks the limit and gives its zone.
func (l *Limit) compile(load func(string) (*time.Location, error)) (*time.Location, error) {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	if l.ID == "" {
		bad("id is empty")
	}
	switch {
	case !slices.Contains([]ScopeKind{ScopeEveryone, ScopeTeam, ScopeUser, ScopeApp}, l.Scope):
		bad("scope %q is not one of everyone, team, user, app", l.Scope)
	case l.Scope == ScopeEveryone && l.Subject != "":
		bad("subject %q does not go with scope everyone", l.Subject)
	}
	if _, err := path.Match(l.Model, ""); err != nil {
		bad("model pattern %q does not parse", l.Model)
	}
	dimensions := []Dimension{
		DimensionRequests, DimensionInputTokens, DimensionOutputTokens, DimensionTokens, DimensionCost, DimensionConcurrency,
	}
	if !slices.Contains(dimensions, l.Dimension) {
		bad("dimension %q is not one of requests, input_tokens, output_tokens, tokens, cost, concurrency", l.Dimension)
	}
	windows := []Window{WindowNone, WindowMinute, WindowHour, WindowDay, WindowWeek, WindowMonth}
	switch {
	case !slices.Contains(windows, l.Window):
		bad("window %q is not one of none, minute, hour, day, week, month", l.Window)
	case (l.Window == WindowNone) != (l.Dimension == DimensionConcurrency):
		bad("window none goes with dimension concurrency, and only with it")
	}
	if l.Value < 0 || l.Value > MaxValue {
		bad("value %d is not between 0 and %d", l.Value, int64(MaxValue))
	}
	if !slices.Contains([]Enforcement{"", EnforceHard, EnforceSoft, EnforceObserve}, l.Enforcement) {
		bad("enforcement %q is not one of hard, soft, observe", l.Enforcement)
	}
	if !slices.Contains([]Unreachable{"", UnreachableClosed, UnreachableLocal, UnreachableOpen}, l.Unreachable) {
		bad("unreachable %q is not one of closed, local, open", l.Unreachable)
	}
	zone, err := load(l.Zone)
	if err != nil || l.Zone == "Local" { // Local would mean another zone on another machine
		bad("zone %q is not a known IANA time zone", l.Zone)
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("limit %q: %w", l.ID, errors.Join(errs...))
	}
	return zone, nil
}

// CounterKey names a counter. Limits of one id that count different things have different counters; a change of value or
// of enforcement keeps them.
type CounterKey struct {
	Limit   string // what is counted: the limit's id and the fields that give the count its meaning
	Subject string // whom it is counted for
	Start   int64  // the start of the calendar window, Unix seconds; 0 for others
}

// Match is a limit that a call counts under, and where.
type Match struct {
	Limit *Limit // shared, must not be changed
	Key   CounterKey
	// End is the end of the calendar window, zero for others.
	End time.Time
}

// LimitSet is a set of valid limits, compiled once for the many calls they are applied to. It is safe for concurrent
// use. The nil set is empty.
type LimitSet struct {
	limits []Limit
	rules  []rule
	byID   map[string]int // indexes into both
	// general are the rules that can concern anybody, named those of one team, user or app. A call looks at no others, so
	// that ten thousand limits of one person each cost it nothing.
	general []int
	named   map[whom][]int
}

// whom is the one team, user or app that a limit is about.
type whom struct {
	scope ScopeKind
	id    string
}

type rule struct {
	limit *Limit
	name  string
	zone  *time.Location
	glob  bool // the model pattern is more than a name
	span  *span
}

func (r *rule) matchesModel(model string) bool {
	pattern := r.limit.Model
	return pattern == "" || pattern == model || r.glob && matchModel(pattern, model)
}

// span finds the calendar windows of one kind in one zone. Calls come in the order of time, so it remembers the last.
type span struct {
	window Window
	zone   *time.Location
	last   atomic.Pointer[bounds]
}

type bounds struct{ start, end time.Time }

func (s *span) at(at time.Time) *bounds {
	if b := s.last.Load(); b != nil && !at.Before(b.start) && at.Before(b.end) {
		return b
	}
	start, end := Bounds(s.window, s.zone, at)
	b := &bounds{start, end}
	s.last.Store(b)
	return b
}

// Compile checks limits and makes a set of them, in their order. It returns all that is wrong with them, joined; ids must
// not repeat.
func Compile(limits []Limit) (*LimitSet, error) {
	s := &LimitSet{
		limits: slices.Clone(limits), rules: make([]rule, len(limits)),
		byID: make(map[string]int, len(limits)), named: map[whom][]int{},
	}
	zones := map[string]*time.Location{}
	load := func(name string) (*time.Location, error) {
		if z, ok := zones[name]; ok {
			return z, nil
		}
		z, err := time.LoadLocation(name)
		if err == nil {
			zones[name] = z
		}
		return z, err
	}
	type spanKey struct {
		window Window
		zone   string
	}
	spans := map[spanKey]*span{}
	var errs []error
	for i := range s.limits {
		l := &s.limits[i]
		zone, err := l.compile(load)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if _, twice := s.byID[l.ID]; twice {
			errs = append(errs, fmt.Errorf("limit %q: id is used twice", l.ID))
			continue
		}
		s.byID[l.ID] = i
		if l.Subject == "" {
			s.general = append(s.general, i)
		} else {
			s.named[whom{l.Scope, l.Subject}] = append(s.named[whom{l.Scope, l.Subject}], i)
		}
		key := spanKey{l.Window, zone.String()}
		if spans[key] == nil {
			spans[key] = &span{window: l.Window, zone: zone}
		}
		s.rules[i] = rule{
			limit: l,
			name:  fmt.Sprintf("%s|%q|%s|%s|%s|%q|%s", l.Scope, l.Subject, l.Dimension, l.Window, zone, l.Model, l.ID),
			zone:  zone,
			glob:  strings.ContainsAny(l.Model, `*?[\`),
			span:  spans[key],
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return s, nil
}

// Limits gives the limits of the set, in their order. They are shared and must not be changed.
func (s *LimitSet) Limits() []Limit {
	if s == nil {
		return nil
	}
	return s.limits
}

// Zone gives the time zone of a limit, in which people are told its reset. It is UTC for a limit that the set does not
// hold.
func (s *LimitSet) Zone(id string) *time.Location {
	if s != nil {
		if i, ok := s.byID[id]; ok {
			return s.rules[i].zone
		}
	}
	return time.UTC
}

// AppendMatches appends to dst the limits that a call admitted at a time counts under, in their order.
func (s *LimitSet) AppendMatches(dst []Match, subject Subject, at time.Time) []Match {
	if s == nil {
		return dst
	}
	lists := [...][]int{s.general, nil, nil, nil}
	if len(s.named) > 0 {
		lists[1] = s.named[whom{ScopeTeam, subject.Team}]
		lists[2] = s.named[whom{ScopeUser, subject.User}]
		lists[3] = s.named[whom{ScopeApp, subject.App}]
	}
	for i := range mergeInts(&lists) {
		if m, ok := s.rules[i].match(subject, at); ok {
			dst = append(dst, m)
		}
	}
	return dst
}

// match pins the window in which a call counts under the rule; false if it does not.
func (r *rule) match(subject Subject, at time.Time) (Match, bool) {
	id, ok := r.limit.CountsFor(subject)
	if !ok || !r.matchesModel(subject.Model) {
		return Match{}, false
	}
	m := Match{Limit: r.limit, Key: CounterKey{Limit: r.name, Subject: id}}
	if w := r.limit.Window; w != WindowNone && w != WindowMinute {
		b := r.span.at(at)
		m.Key.Start, m.End = b.start.Unix(), b.end
	}
	return m, true
}

// mergeInts gives what rising lists hold, in rising order. The lists are used up.
func mergeInts(lists *[4][]int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for {
			least := -1
			for i, l := range lists {
				if len(l) > 0 && (least < 0 || l[0] < lists[least][0]) {
					least = i
				}
			}
			if least < 0 || !yield(lists[least][0]) {
				return
			}
			lists[least] = lists[least][1:]
		}
	}
}
