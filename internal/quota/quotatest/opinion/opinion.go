// Package opinion is a second opinion on quota.Ledger: random tests written from the words of the contract alone, apart
// from the conformance suite and from any implementation.
//
// Where the suite's model counts, the book here only remembers: it keeps every call, and finds what a limit has used by
// reading them all. Windows are compared by the calendar, not by bounds. Stress does what a book cannot: many goroutines at
// once, judged by the invariants I1 to I8 when all is quiet.
package opinion

import (
	"slices"
	"time"

	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/quota/quotatest"
)

// book remembers every call in the order of admission.
type book struct{ calls []*entry }

// entry is one call that was admitted.
type entry struct {
	id       string
	subject  quota.Subject
	limits   []quota.Limit // those that matched, as they were at admission
	admitted time.Time
	first    quota.Reservation
	held     quota.Amounts
	progress quota.Amounts
	until    time.Time // end of the lease
	resolved bool
	expired  bool // by its lease, and not settled since
	overran  bool
	settled  quota.Amounts
	over     time.Time // when it was resolved
}

// about tells whom a limit counts a call for; false if it is about others.
func about(l *quota.Limit, s quota.Subject) (string, bool) {
	who := map[quota.ScopeKind]string{
		quota.ScopeEveryone: "everyone", quota.ScopeTeam: s.Team, quota.ScopeUser: s.User, quota.ScopeApp: s.App,
	}[l.Scope]
	return who, who != "" && (l.Subject == "" || l.Subject == who) && (l.Model == "" || l.Model == s.Model)
}

// sameCount reports whether two limits count the same thing, whatever their value or enforcement.
func sameCount(a, b *quota.Limit) bool {
	return a.ID == b.ID && a.Scope == b.Scope && a.Dimension == b.Dimension && a.Window == b.Window && a.Zone == b.Zone && a.Model == b.Model
}

// within reports whether what was admitted at one time counts in the window of another.
func within(l *quota.Limit, admitted, at time.Time) bool {
	zone, err := time.LoadLocation(l.Zone)
	if err != nil {
		return false
	}
	a, b := admitted.In(zone), at.In(zone)
	switch l.Window {
	case quota.WindowMinute: // the five seconds in progress and the twelve before them
		return b.Unix()/5-a.Unix()/5 <= 12
	case quota.WindowHour:
		return a.Format("2006-01-02T15") == b.Format("2006-01-02T15")
	case quota.WindowDay:
		return a.Format(time.DateOnly) == b.Format(time.DateOnly)
	case quota.WindowWeek:
		ya, wa := a.ISOWeek()
		yb, wb := b.ISOWeek()
		return ya == yb && wa == wb
	case quota.WindowMonth:
		return a.Format("2006-01") == b.Format("2006-01")
	default:
		return true
	}
}

// amount gives what a holds in a dimension.
func amount(d quota.Dimension, a quota.Amounts) int64 {
	return map[quota.Dimension]int64{
		quota.DimensionRequests: a.Requests, quota.DimensionInputTokens: a.InputTokens, quota.DimensionOutputTokens: a.OutputTokens,
		quota.DimensionTokens: a.InputTokens + a.OutputTokens, quota.DimensionCost: int64(a.Cost),
	}[d]
}

// most gives the larger of two amounts in each dimension.
func most(a, b quota.Amounts) quota.Amounts {
	return quota.Amounts{
		Requests: max(a.Requests, b.Requests), InputTokens: max(a.InputTokens, b.InputTokens),
		OutputTokens: max(a.OutputTokens, b.OutputTokens), Cost: max(a.Cost, b.Cost),
	}
}

// wants gives what a reservation of a holds under a limit.
func wants(l *quota.Limit, a quota.Amounts) int64 {
	if l.Dimension == quota.DimensionConcurrency {
		return 1
	}
	return amount(l.Dimension, a)
}

// used reads the book: what is posted and pending under a limit for one, in the window of a time.
func (b *book) used(l *quota.Limit, who string, at time.Time) (posted, pending int64) {
	for _, e := range b.calls {
		i := slices.IndexFunc(e.limits, func(own quota.Limit) bool { return sameCount(&own, l) })
		if i < 0 || !within(l, e.admitted, at) {
			continue
		}
		if w, _ := about(&e.limits[i], e.subject); w != who {
			continue
		}
		if e.resolved {
			posted += amount(l.Dimension, e.settled)
		} else {
			pending += wants(l, e.held)
		}
	}
	return posted, pending
}

// lacks gives the hard limits among some that have no room for more.
func (b *book) lacks(limits []quota.Limit, s quota.Subject, at time.Time, more func(*quota.Limit) int64) []quota.Limit {
	var full []quota.Limit
	for i := range limits {
		l := &limits[i]
		who, _ := about(l, s)
		posted, pending := b.used(l, who, at)
		hard := l.Enforcement != quota.EnforceSoft && l.Enforcement != quota.EnforceObserve
		if m := more(l); hard && m > 0 && posted+pending+m > l.Value {
			full = append(full, *l)
		}
	}
	return full
}

// matching gives the limits of a set that a call counts under.
func matching(set *quota.LimitSet, s quota.Subject) []quota.Limit {
	var some []quota.Limit
	for _, l := range set.Limits() {
		if _, ok := about(&l, s); ok {
			some = append(some, l)
		}
	}
	return some
}

const lease = quotatest.Lease
