package rollup

import (
	"slices"
	"time"

	"github.com/plumbline/plumbline/internal/quota"
)

// All spans and cuts are in Unix seconds.
const (
	day = 24 * 3600
	// grain is the finest span, that of the sliding minute's buckets, and every span's unit.
	grain = int64(quota.BucketLength / time.Second)
	// fresh is for how long charges are kept by buckets: longer than the minute counts them.
	fresh = 2 * 60
	// quarter divides the time of day: every zone's offset from UTC is a multiple of it.
	quarter = 15 * 60
	// recent is how long ago a day or an hour that is not over can have begun: an hour more than the longest day.
	recent = 27 * 3600
	// The midnight of a date comes in the first zone 14 hours before it comes in UTC, and in the last 12 hours after.
	firstZone = 14 * 3600
	lastZone  = 12 * 3600
	// keptWeek and kept are how long ago a week, or a month, that is not over can have begun, and a day more.
	keptWeek = 9 * day
	kept     = 33 * day
)

// span is [start, end).
type span struct{ start, end int64 }

func (s span) holds(o span) bool { return s.start <= o.start && o.end <= s.end }

// cuts are the times that no span reaches across: at each quarter of an hour of the last day, and of those in which a week
// or a month begins somewhere. Later cuts are a part of the earlier ones and new ones, so that sums only grow together.
// From the last cut on, spans are single grains.
type cuts []int64

// cutsAt gives the cuts that are right at a time.
func cutsAt(now int64) cuts {
	c := cuts{floor(now-kept, day)}
	end := floor(now-fresh, grain)
	for t := c[0] + quarter; t < end; t += quarter {
		if age := now - t; age <= recent || begins(t, isFirst) || age <= keptWeek && begins(t, isMonday) {
			c = append(c, t)
		}
	}
	return append(c, end)
}

func (c cuts) first() int64 { return c[0] }

// spanOf gives the span that a time is in. It must not be before the first cut's.
func (c cuts) spanOf(at int64) span {
	if at >= c[len(c)-1] {
		start := floor(at, grain)
		return span{start, start + grain}
	}
	i, found := slices.BinarySearch(c, at)
	if !found {
		i--
	}
	if i < 0 {
		return span{at, at}
	}
	return span{c[i], c[i+1]}
}

// begins reports whether a date of a kind can begin at t in some zone.
func begins(t int64, kind func(time.Time) bool) bool {
	for midnight := floor(t+firstZone, day); midnight >= t-lastZone; midnight -= day {
		if kind(time.Unix(midnight, 0).UTC()) {
			return true
		}
	}
	return false
}

func isMonday(t time.Time) bool { return t.Weekday() == time.Monday }

func isFirst(t time.Time) bool { return t.Day() == 1 }

// floor rounds down to a multiple of unit, also before 1970.
func floor(t, unit int64) int64 {
	rest := t % unit
	if rest < 0 {
		rest += unit
	}
	return t - rest
}
