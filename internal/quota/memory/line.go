package memory

import (
	"time"

	"github.com/plumbline/plumbline/internal/quota"
)

// line is the part of a hold under one limit.
type line struct {
	limit   *quota.Limit
	counter *counter
	bucket  int64 // where it counts in the sliding minute, 0 for other windows
}

// bucketOf gives the bucket of a sliding minute; other windows have the one bucket 0.
func bucketOf(l *quota.Limit, at time.Time) int64 {
	if l.Window == quota.WindowMinute {
		return quota.Bucket(at)
	}
	return 0
}

// standing fills s with the limit as it stands at a time. Reset of a sliding minute is when it will have let need go.
func (ln *line) standing(s *quota.Standing, at time.Time, need int64) {
	bucket := bucketOf(ln.limit, at)
	posted, pending := ln.counter.sums(bucket)
	s.Limit, s.Reset = ln.limit, ln.counter.end
	s.Used, s.Posted = quota.SaturatingAdd(posted, pending), posted
	if start := ln.counter.key.Start; start != 0 {
		s.Since = time.Unix(start, 0).UTC()
	}
	if ln.limit.Window == quota.WindowMinute {
		if leaves, ok := ln.counter.letsGo(bucket, need); ok {
			s.Reset = quota.BucketLeaves(leaves)
		}
	}
}

func standings(lines []line, at time.Time) []quota.Standing {
	all := make([]quota.Standing, len(lines))
	for i := range lines {
		lines[i].standing(&all[i], at, 1)
	}
	return all
}

// lack gives the refusal by the hard limit without room that outlasts the others, nil if all have room for what is wanted
// under them.
func lack(lines []line, at time.Time, wanted func(*quota.Limit) int64) *quota.ExhaustedError {
	var worst *quota.ExhaustedError
	for i := range lines {
		ln := &lines[i]
		more := wanted(ln.limit)
		if more == 0 || !ln.limit.Hard() {
			continue
		}
		bucket := bucketOf(ln.limit, at)
		over := quota.SaturatingAdd(ln.counter.used(bucket), more) - ln.limit.Value
		if over <= 0 || !ln.counter.counts(ln.bucket, bucket) {
			continue
		}
		e := &quota.ExhaustedError{Wanted: more}
		ln.standing(&e.Standing, at, over)
		if e.Outlasts(worst) {
			worst = e
		}
	}
	return worst
}
