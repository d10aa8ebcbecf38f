package memory

import "github.com/plumbline/plumbline/internal/quota"

// line is one limit that a call counts under, and where.
type line struct {
	limit   *quota.Limit
	counter *counter
}

// standing fills s with the limit as it stands when now is the bucket in progress. Reset of a sliding minute is when it will
// have let need go.
func (ln *line) standing(s *quota.Standing, now, need int64) {
	c := ln.counter
	sum := c.sum(now)
	s.Limit, s.Used, s.Posted = ln.limit, sum.used(), sum.posted
	s.Since, s.Reset = c.since, c.end
	if leaves, ok := c.letsGo(now, need); ok {
		s.Reset = quota.BucketLeaves(leaves)
	}
}

func standings(lines []line, now int64) []quota.Standing {
	all := make([]quota.Standing, len(lines))
	for i := range lines {
		lines[i].standing(&all[i], now, 1)
	}
	return all
}

// lack gives the refusal by the hard limit without room that outlasts the others, nil if all have room for what is wanted
// under them when now is the bucket in progress.
func (h *hold) lack(now int64, wanted func(*quota.Limit) int64) *quota.ExhaustedError {
	var worst *quota.ExhaustedError
	for i := range h.lines {
		ln := &h.lines[i]
		more := wanted(ln.limit)
		if more == 0 || !ln.limit.Hard() {
			continue
		}
		over := quota.SaturatingAdd(ln.counter.sum(now).used(), more) - ln.limit.Value
		if over <= 0 || !ln.counter.counts(h.buckets[i], now) {
			continue
		}
		e := &quota.ExhaustedError{Wanted: more}
		ln.standing(&e.Standing, now, over)
		if e.Outlasts(worst) {
			worst = e
		}
	}
	return worst
}
