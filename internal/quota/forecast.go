package quota

import (
	"math/bits"
	"time"
)

// Outlook says how a limit's use will go until its reset, at the pace that it had so far.
type Outlook string

// The outlooks.
const (
	// OutlookNone: there is no pace, since the limit has no calendar window.
	OutlookNone Outlook = "none"
	// OutlookEarly: too little of the window has passed to tell.
	OutlookEarly Outlook = "too_early"
	OutlookLasts Outlook = "lasts"    // it will not be used up before the reset
	OutlookEnds  Outlook = "runs_out" // it will be used up at Forecast.RunsOut
	OutlookOut   Outlook = "used_up"  // it is used up, or what is left of it is held
)

// Forecast is what to expect of a limit until its reset.
type Forecast struct {
	Outlook Outlook `json:"outlook"`
	// RunsOut is when the limit will be used up, for OutlookEnds.
	RunsOut time.Time `json:"runs_out,omitzero"`
}

// evidence is the part of a window that must have passed before its pace says anything: a twentieth, which is 72 minutes of
// a day and a day and a half of a month.
const evidence = 20

// Forecast draws what was settled since the window began on in a straight line. What is held counts as used, since it may
// be, but not as pace, since much of it will be let go of again. A sliding minute and concurrency have no forecast.
func (s *Standing) Forecast(now time.Time) Forecast {
	length, elapsed := s.Reset.Sub(s.Since), now.Sub(s.Since)
	left := s.Limit.Value - s.Used
	switch {
	case s.Since.IsZero() || s.Reset.IsZero() || length <= 0:
		return Forecast{Outlook: OutlookNone}
	case left <= 0:
		return Forecast{Outlook: OutlookOut}
	case elapsed < length/evidence:
		return Forecast{Outlook: OutlookEarly}
	case s.Posted <= 0:
		return Forecast{Outlook: OutlookLasts}
	}
	in, ok := mulDiv(left, int64(elapsed), s.Posted)
	if !ok || time.Duration(in) >= s.Reset.Sub(now) {
		return Forecast{Outlook: OutlookLasts}
	}
	return Forecast{Outlook: OutlookEnds, RunsOut: now.Add(time.Duration(in))}
}

// mulDiv gives a·b/c rounded down, for a and b not negative and c above 0; false if it does not fit into an int64.
func mulDiv(a, b, c int64) (int64, bool) {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	if hi >= uint64(c) {
		return 0, false
	}
	q, _ := bits.Div64(hi, lo, uint64(c))
	return int64(q), q <= 1<<63-1
}
