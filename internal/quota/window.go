package quota

import "time"

// The sliding minute counts in buckets of 5 s. A call counts in the bucket it was admitted in, until the 12 buckets
// after that have passed: the window is the bucket in progress and the 12 before it, of which the oldest is counted
// whole although the minute has left a part of it. No 60 s can hold more than the limit.
const (
	BucketLength = 5 * time.Second
	Buckets      = 12 + 1
)

// LongestWindow is longer than any window that a limit counts over: what was admitted before it counts no more.
const LongestWindow = 32 * 24 * time.Hour

// Bucket numbers the bucket of the sliding minute that contains at.
func Bucket(at time.Time) int64 {
	sec, length := at.Unix(), int64(BucketLength/time.Second)
	b := sec / length
	if sec%length < 0 { // floor, also before 1970
		b--
	}
	return b
}

// BucketLeaves gives the time at which a bucket leaves the sliding minute.
func BucketLeaves(bucket int64) time.Time {
	return time.Unix((bucket+Buckets)*int64(BucketLength/time.Second), 0).UTC()
}

// Bounds gives the calendar window [start, end) that contains at, in a zone. Windows of one kind follow each other
// without gap or overlap, whatever the zone's clock does: a day begins at the first instant of its date and so lasts 23
// or 25 hours when the clock changes; an hour that is cut by a change of a part of an hour ends there. Weeks begin on
// Monday. The minute, which slides, and WindowNone have no bounds: both times are zero.
func Bounds(w Window, zone *time.Location, at time.Time) (start, end time.Time) {
	at = at.Round(0).In(zone) // without the monotonic reading: windows follow the wall clock
	y, m, d := at.Date()
	var days, months int
	switch w {
	case WindowHour:
		return hourBounds(at)
	case WindowDay:
		days = 1
	case WindowWeek:
		d -= (int(at.Weekday()) + 6) % 7
		days = 7
	case WindowMonth:
		d = 1
		months = 1
	default:
		return time.Time{}, time.Time{}
	}
	start, end = dateStart(y, m, d, zone), dateStart(y, m+time.Month(months), d+days, zone)
	// Where a clock was set back over midnight, a date begins, ends and begins again: the window that contains at can
	// be the one after that of its date.
	if !at.Before(end) {
		start, end = end, dateStart(y, m+time.Month(2*months), d+2*days, zone)
	}
	return start, end
}

func hourBounds(at time.Time) (start, end time.Time) {
	_, m, s := at.Clock()
	start = at.Add(-time.Duration(m)*time.Minute - time.Duration(s)*time.Second - time.Duration(at.Nanosecond()))
	end = start.Add(time.Hour)
	since, until := at.ZoneBounds()
	if start.Before(since) && offset(since.Add(-1)) != offset(at) {
		start = since
	}
	if !until.IsZero() && end.After(until) && offset(until) != offset(at) {
		end = until
	}
	return start, end
}

// offset gives the seconds that t's clock is ahead of UTC. Zone data has bounds at which it stays the same: a name changes, or
// the list of changes ends and their rule takes over.
func offset(t time.Time) int {
	_, seconds := t.Zone()
	return seconds
}

// dateStart gives the first instant of a date, or of the next one that exists in the zone.
func dateStart(y int, m time.Month, d int, zone *time.Location) time.Time {
	t, want := time.Date(y, m, d, 0, 0, 0, 0, zone), time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	since, until := t.ZoneBounds()
	// Where a clock is set forward over midnight, time.Date gives an instant on either side of the gap.
	switch reading := wall(t); {
	case reading.Before(want):
		return until
	case reading.After(want):
		return since
	}
	if since.IsZero() {
		return t
	}
	// Where it is set back over midnight, midnight comes twice: take the first.
	forward := time.Duration(offset(t)-offset(since.Add(-1))) * time.Second
	if first := t.Add(forward); first.Before(since) {
		return first
	}
	return t
}

// wall gives t's clock reading as if it were UTC.
func wall(t time.Time) time.Time {
	return t.Add(time.Duration(offset(t)) * time.Second).UTC()
}
