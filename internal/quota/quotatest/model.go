package quotatest

import (
	"sort"
	"time"

	"github.com/plumbline/plumbline/internal/quota"
)

// model is the plain reference: it keeps every reservation that ever was and sums over all of them for each answer.
type model struct {
	all      []*entry
	overruns uint64
	zones    map[string]*time.Location
}

type entry struct {
	id       string
	subject  quota.Subject
	limits   *quota.LimitSet
	admitted time.Time
	first    quota.Reservation
	held     quota.Amounts // pending while live
	settled  quota.Amounts // posted once resolved
	progress quota.Amounts
	lease    time.Time
	live     bool
	expired  bool // its owner has not resolved it yet
	overran  bool
	resolved time.Time
}

// bounds gives the calendar window of a limit that contains at.
func (m *model) bounds(l *quota.Limit, at time.Time) (start, end time.Time) {
	zone, ok := m.zones[l.Zone]
	if !ok {
		var err error
		if zone, err = time.LoadLocation(l.Zone); err != nil {
			return at, at // not reached: the limits were compiled
		}
		if m.zones == nil {
			m.zones = map[string]*time.Location{}
		}
		m.zones[l.Zone] = zone
	}
	return quota.Bounds(l.Window, zone, at)
}

func (m *model) find(id string) *entry {
	for _, e := range m.all {
		if e.id == id {
			return e
		}
	}
	return nil
}

func (m *model) live() []*entry {
	var live []*entry
	for _, e := range m.all {
		if e.live {
			live = append(live, e)
		}
	}
	return live
}

// counted gives what e counts under a limit for a subject in the window around pinned, as seen at a time.
func (m *model) counted(e *entry, l *quota.Limit, s quota.Subject, pinned, at time.Time) int64 {
	if !l.Matches(e.subject) || whom(l, e.subject) != whom(l, s) {
		return 0
	}
	switch l.Window {
	case quota.WindowNone:
		if e.live {
			return 1
		}
		return 0
	case quota.WindowMinute:
		if quota.Bucket(e.admitted)+12 < quota.Bucket(at) {
			return 0
		}
	default:
		start, end := m.bounds(l, pinned)
		if e.admitted.Before(start) || !e.admitted.Before(end) {
			return 0
		}
	}
	if e.live {
		return e.held.In(l.Dimension)
	}
	return e.settled.In(l.Dimension)
}

func whom(l *quota.Limit, s quota.Subject) string {
	switch l.Scope {
	case quota.ScopeTeam:
		return s.Team
	case quota.ScopeUser:
		return s.User
	case quota.ScopeApp:
		return s.App
	default:
		return ""
	}
}

// standing gives a limit as the model sees it, with the Reset at which need will have been let go.
func (m *model) standing(l *quota.Limit, s quota.Subject, pinned, at time.Time, need int64) quota.Standing {
	sum := func(at time.Time) (used int64) {
		for _, e := range m.all {
			used += m.counted(e, l, s, pinned, at)
		}
		return used
	}
	st := quota.Standing{Limit: l, Used: sum(at)}
	for _, e := range m.all {
		if !e.live {
			st.Posted += m.counted(e, l, s, pinned, at)
		}
	}
	switch l.Window {
	case quota.WindowNone:
	case quota.WindowMinute:
		// Step through the buckets to come until enough has left, or all.
		left := st.Used
		for b := quota.Bucket(at) + 1; left > 0 && st.Used-left < need; b++ {
			next := time.Unix(b*5, 0).UTC()
			if now := sum(next); now < left {
				left, st.Reset = now, next
			}
		}
	default:
		st.Since, st.Reset = m.bounds(l, pinned)
	}
	return st
}

func (m *model) standings(limits *quota.LimitSet, s quota.Subject, pinned, at time.Time) []quota.Standing {
	all := limits.Limits()
	out := []quota.Standing{}
	for i := range all {
		if all[i].Matches(s) {
			out = append(out, m.standing(&all[i], s, pinned, at, 1))
		}
	}
	return out
}

// refusal gives the refusal that outlasts the others, nil if every hard limit has room.
func (m *model) refusal(
	limits *quota.LimitSet, s quota.Subject, pinned, at time.Time, wanted func(*quota.Limit) int64,
) *quota.ExhaustedError {
	var worst *quota.ExhaustedError
	all := limits.Limits()
	for i := range all {
		l := &all[i]
		if !l.Matches(s) || !l.Hard() {
			continue
		}
		if l.Window == quota.WindowMinute && quota.Bucket(pinned)+12 < quota.Bucket(at) {
			continue // the call has left the minute
		}
		want := wanted(l)
		used := m.standing(l, s, pinned, at, 1).Used
		if want == 0 || used+want <= l.Value {
			continue
		}
		e := &quota.ExhaustedError{Standing: m.standing(l, s, pinned, at, used+want-l.Value), Wanted: want}
		if e.Outlasts(worst) {
			worst = e
		}
	}
	return worst
}

func (m *model) reserve(r quota.Request) (quota.Reservation, error) {
	if e := m.find(r.ID); e != nil {
		if e.live {
			return e.first, nil
		}
		return quota.Reservation{}, quota.ErrResolved
	}
	wanted := func(l *quota.Limit) int64 { return l.Wanted(r.Amounts) }
	if refused := m.refusal(r.Limits, r.Subject, r.At, r.At, wanted); refused != nil {
		return quota.Reservation{}, refused
	}
	e := &entry{
		id: r.ID, subject: r.Subject, limits: r.Limits, admitted: r.At, held: r.Amounts, lease: r.At.Add(Lease), live: true,
	}
	m.all = append(m.all, e)
	e.first = quota.Reservation{
		ID: r.ID, Admitted: r.At, Held: r.Amounts, Standings: m.standings(r.Limits, r.Subject, r.At, r.At),
	}
	return e.first, nil
}

func (m *model) extend(id string, to quota.Amounts, now time.Time) (quota.Reservation, error) {
	e := m.find(id)
	if e == nil || !e.live {
		return quota.Reservation{}, quota.ErrUnknown
	}
	more := to.Above(e.held)
	wanted := func(l *quota.Limit) int64 { return more.In(l.Dimension) }
	if refused := m.refusal(e.limits, e.subject, e.admitted, now, wanted); refused != nil {
		return quota.Reservation{}, refused
	}
	e.held, e.lease = e.held.Add(more), now.Add(Lease)
	return quota.Reservation{
		ID: id, Admitted: e.admitted, Held: e.held, Standings: m.standings(e.limits, e.subject, e.admitted, now),
	}, nil
}

func (m *model) touch(id string, used quota.Amounts, now time.Time) {
	if e := m.find(id); e != nil && e.live {
		e.progress, e.lease = used, now.Add(Lease)
	}
}

func (m *model) settle(id string, used quota.Amounts, now time.Time) (quota.Amounts, error) {
	e := m.find(id)
	if e == nil {
		return quota.Amounts{}, quota.ErrUnknown
	}
	if e.live || e.expired {
		m.resolve(e, used, now)
		e.expired = false
	}
	return e.settled, nil
}

func (m *model) resolve(e *entry, used quota.Amounts, now time.Time) {
	if e.live {
		e.resolved = now // from when on the result is remembered
	}
	e.live, e.settled = false, used
	if used.Exceeds(e.held) && !e.overran {
		e.overran = true
		m.overruns++
	}
}

func (m *model) void(id string, now time.Time) error {
	_, err := m.settle(id, quota.Amounts{}, now)
	return err
}

// expire resolves leases that ended before a time, now.
func (m *model) expire(before, now time.Time) []string {
	ids := []string{}
	for _, e := range m.live() {
		if e.lease.Before(before) {
			m.resolve(e, e.progress, now)
			e.expired = true
			ids = append(ids, e.id)
		}
	}
	sort.Strings(ids)
	return ids
}
