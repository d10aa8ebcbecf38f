package memory

import (
	"strings"
	"time"

	"github.com/plumbline/plumbline/internal/quota"
)

const (
	// maxPages bounds the pages, of some 500 bytes each, and longestModel the name of a model in one: a caller can make up
	// names without end.
	maxPages     = 1 << 14
	longestModel = 256
	// pagesLast is how long all pages are kept at most. Those of subjects that call no more, and the counters and limits that
	// they were the last to know, go with them.
	pagesLast = 10 * time.Minute
)

// page lists what the calls of one subject count under, so that it need not be found out for each. It holds for one set of
// limits, until one of its windows ends or one of its counters has gone. It is not changed: what is held keeps its lines.
type page struct {
	limits *quota.LimitSet
	from   time.Time // no window began later
	until  time.Time // the first end of a window, zero if none ends
	lines  []line
}

// holds reports whether the page lists what a call that is admitted at a time counts under.
func (p *page) holds(limits *quota.LimitSet, at time.Time) bool {
	if p.limits != limits || at.Before(p.from) || !p.until.IsZero() && !at.Before(p.until) {
		return false
	}
	bucket := quota.Bucket(at)
	for i := range p.lines {
		if c := p.lines[i].counter; c.gone || !c.reaches(bucket) {
			return false
		}
	}
	return true
}

// pages holds the page of each subject that called of late.
type pages struct {
	bySubject map[quota.Subject]*page
	began     time.Time // when the first of them was made
}

// keep keeps a page for the calls to come.
func (ps *pages) keep(s quota.Subject, p *page, now time.Time) {
	if len(s.Model) > longestModel {
		return
	}
	if age := now.Sub(ps.began); ps.bySubject == nil || len(ps.bySubject) >= maxPages || age < 0 || age > pagesLast {
		ps.bySubject, ps.began = map[quota.Subject]*page{}, now
	}
	s.Model = strings.Clone(s.Model) // it can be a part of a long body
	ps.bySubject[s] = p
}

// page gives the page of a subject for a call that is admitted at a time.
func (l *Ledger) page(limits *quota.LimitSet, s quota.Subject, at time.Time) *page {
	if p, ok := l.pages.bySubject[s]; ok && p.holds(limits, at) {
		return p
	}
	l.matches = limits.AppendMatches(l.matches[:0], s, at)
	p := &page{limits: limits, lines: make([]line, len(l.matches))}
	for i, m := range l.matches {
		c := l.counters.get(m, at)
		p.lines[i] = line{limit: m.Limit, counter: c}
		if c.since.After(p.from) {
			p.from = c.since
		}
		if !c.end.IsZero() && (p.until.IsZero() || c.end.Before(p.until)) {
			p.until = c.end
		}
	}
	l.pages.keep(s, p, at)
	return p
}
