package quota_test

import (
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/quota"
)

// dayStanding is a day of 24 hours that began at midnight.
func dayStanding(value, posted, pending int64) quota.Standing {
	midnight := time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC)
	return quota.Standing{
		Limit: &quota.Limit{ID: "l", Dimension: quota.DimensionTokens, Window: quota.WindowDay, Value: value},
		Used:  posted + pending, Posted: posted, Since: midnight, Reset: midnight.Add(24 * time.Hour),
	}
}

func TestForecast(t *testing.T) {
	at := func(h, m int) time.Time { return time.Date(2026, 3, 4, h, m, 0, 0, time.UTC) }
	minute := dayStanding(100, 50, 0)
	minute.Limit.Window, minute.Since = quota.WindowMinute, time.Time{}
	for _, tt := range []struct {
		name     string
		standing quota.Standing
		now      time.Time
		want     quota.Forecast
	}{
		{"a hundred an hour", dayStanding(1000, 600, 0), at(6, 0), quota.Forecast{Outlook: quota.OutlookEnds, RunsOut: at(10, 0)}},
		{"what is held is used, but no pace", dayStanding(1000, 600, 200), at(6, 0), quota.Forecast{Outlook: quota.OutlookEnds, RunsOut: at(8, 0)}},
		{"exactly at the reset is not before it", dayStanding(2400, 600, 0), at(6, 0), quota.Forecast{Outlook: quota.OutlookLasts}},
		{"a little before the reset", dayStanding(2399, 600, 0), at(6, 0), quota.Forecast{Outlook: quota.OutlookEnds, RunsOut: at(23, 59).Add(24 * time.Second)}},
		{"products of more than 64 bits", dayStanding(quota.MaxValue, quota.MaxValue/2, 0), at(6, 0), quota.Forecast{Outlook: quota.OutlookEnds, RunsOut: at(12, 0)}},
		{"nothing settled", dayStanding(1000, 0, 999), at(6, 0), quota.Forecast{Outlook: quota.OutlookLasts}},
		{"a twentieth less a minute", dayStanding(1000, 900, 0), at(1, 11), quota.Forecast{Outlook: quota.OutlookEarly}},
		{"a twentieth", dayStanding(1000, 900, 0), at(1, 12), quota.Forecast{Outlook: quota.OutlookEnds, RunsOut: at(1, 20)}},
		{"used up", dayStanding(1000, 1000, 0), at(0, 1), quota.Forecast{Outlook: quota.OutlookOut}},
		{"above a lowered limit", dayStanding(10, 1000, 0), at(6, 0), quota.Forecast{Outlook: quota.OutlookOut}},
		{"all that is left is held", dayStanding(1000, 1, 999), at(6, 0), quota.Forecast{Outlook: quota.OutlookOut}},
		{"of nothing", dayStanding(0, 0, 0), at(6, 0), quota.Forecast{Outlook: quota.OutlookOut}},
		{"after its reset", dayStanding(1000, 600, 0), at(24, 1), quota.Forecast{Outlook: quota.OutlookLasts}},
		{"a clock before its start", dayStanding(1000, 600, 0), at(-1, 0), quota.Forecast{Outlook: quota.OutlookEarly}},
		{"a minute", minute, at(6, 0), quota.Forecast{Outlook: quota.OutlookNone}},
	} {
		if got := tt.standing.Forecast(tt.now); got.Outlook != tt.want.Outlook || !got.RunsOut.Equal(tt.want.RunsOut) {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// The forecast agrees with exact arithmetic, lies between now and the reset, and comes no later when more was settled.
func TestForecastIsAStraightLine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.Int64Range(0, quota.MaxValue).Draw(t, "value")
		posted := rapid.Int64Range(0, value).Draw(t, "posted")
		pending := rapid.Int64Range(0, value-posted).Draw(t, "pending")
		s := dayStanding(value, posted, pending)
		s.Reset = s.Since.Add(time.Duration(rapid.Int64Range(1, int64(31*24*time.Hour)).Draw(t, "length")))
		now := s.Since.Add(time.Duration(rapid.Int64Range(0, int64(s.Reset.Sub(s.Since))).Draw(t, "elapsed")))
		f := s.Forecast(now)
		exact := new(big.Int).Mul(big.NewInt(value-posted-pending), big.NewInt(int64(now.Sub(s.Since))))
		exact.Div(exact, big.NewInt(max(posted, 1)))
		ends := exact.Cmp(big.NewInt(int64(s.Reset.Sub(now)))) < 0
		if posted > 0 && (f.Outlook == quota.OutlookEnds && !ends || f.Outlook == quota.OutlookLasts && ends) {
			t.Fatalf("%s, and it would end in %v ns of %d", f.Outlook, exact, s.Reset.Sub(now))
		}
		if f.Outlook == quota.OutlookEnds {
			if f.RunsOut.Before(now) || !f.RunsOut.Before(s.Reset) {
				t.Fatalf("runs out %v, not between %v and %v", f.RunsOut, now, s.Reset)
			}
			if exact.Int64() != int64(f.RunsOut.Sub(now)) {
				t.Fatalf("runs out in %d ns, exactly in %v", f.RunsOut.Sub(now), exact)
			}
		}
		more := s
		more.Posted, more.Used = posted+1, s.Used+1
		switch later := more.Forecast(now); {
		case f.Outlook == quota.OutlookEnds && later.Outlook == quota.OutlookLasts,
			f.Outlook == quota.OutlookEnds && later.Outlook == quota.OutlookEnds && later.RunsOut.After(f.RunsOut),
			f.Outlook == quota.OutlookOut && later.Outlook != quota.OutlookOut:
			t.Fatalf("one more settled: %+v becomes %+v", f, later)
		}
	})
}
