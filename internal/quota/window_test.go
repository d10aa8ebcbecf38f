package quota_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/quota"
)

// Zones whose clocks do something unusual: change at midnight, by half an hour, back over midnight, skip a whole day, or
// stand at a part of an hour.
var zones = []string{
	"UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "America/Havana", "America/St_Johns", "Africa/Cairo",
	"Asia/Beirut", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia", "Pacific/Kwajalein", "Africa/Casablanca",
	"America/Santiago", "Antarctica/Troll", "Asia/Amman",
}

var windows = []quota.Window{quota.WindowHour, quota.WindowDay, quota.WindowWeek, quota.WindowMonth}

func load(t testing.TB, zone string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func TestBounds(t *testing.T) {
	tests := []struct {
		name       string
		window     quota.Window
		zone       string
		at         string
		start, end string
	}{
		{"hour", quota.WindowHour, "UTC", "2026-03-11T12:59:59.999999999Z", "2026-03-11T12:00:00Z", "2026-03-11T13:00:00Z"},
		{"hour begins", quota.WindowHour, "UTC", "2026-03-11T13:00:00Z", "2026-03-11T13:00:00Z", "2026-03-11T14:00:00Z"},
		{"hour of a zone at half past", quota.WindowHour, "Asia/Kolkata", "2026-03-11T12:10:00Z", "2026-03-11T11:30:00Z", "2026-03-11T12:30:00Z"},
		{"first of two equal hours", quota.WindowHour, "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z"},
		{"second of two equal hours", quota.WindowHour, "Europe/Berlin", "2026-10-25T01:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"},
		{"hour cut by half an hour", quota.WindowHour, "Australia/Lord_Howe", "2026-04-04T15:10:00Z", "2026-04-04T15:00:00Z", "2026-04-04T15:30:00Z"},
		{"day", quota.WindowDay, "Asia/Tokyo", "2026-03-11T15:00:00Z", "2026-03-11T15:00:00Z", "2026-03-12T15:00:00Z"},
		{"day of 23 hours", quota.WindowDay, "Europe/Berlin", "2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"},
		{"day of 25 hours", quota.WindowDay, "Europe/Berlin", "2026-10-25T12:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"},
		{"day without midnight", quota.WindowDay, "America/Sao_Paulo", "2018-11-04T03:00:00Z", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"},
		{"day before one without midnight", quota.WindowDay, "America/Sao_Paulo", "2018-11-04T02:59:59Z", "2018-11-03T03:00:00Z", "2018-11-04T03:00:00Z"},
		{"day with two midnights", quota.WindowDay, "America/Havana", "2026-11-01T04:30:00Z", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"},
		{"day with two midnights east of Greenwich", quota.WindowDay, "Asia/Amman", "2021-10-28T21:30:00Z", "2021-10-28T21:00:00Z", "2021-10-29T22:00:00Z"},
		{"day that begins twice", quota.WindowDay, "America/St_Johns", "2006-10-29T02:45:00Z", "2006-10-29T02:30:00Z", "2006-10-30T03:30:00Z"},
		{"day before a skipped one", quota.WindowDay, "Pacific/Apia", "2011-12-30T09:59:59Z", "2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z"},
		{"day after a skipped one", quota.WindowDay, "Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"},
		{"week on a Monday", quota.WindowWeek, "UTC", "2026-03-09T00:00:00Z", "2026-03-09T00:00:00Z", "2026-03-16T00:00:00Z"},
		{"week on a Sunday", quota.WindowWeek, "UTC", "2026-03-15T23:59:59Z", "2026-03-09T00:00:00Z", "2026-03-16T00:00:00Z"},
		{"week over a change of clocks", quota.WindowWeek, "Europe/Berlin", "2026-03-29T12:00:00Z", "2026-03-22T23:00:00Z", "2026-03-29T22:00:00Z"},
		{"month", quota.WindowMonth, "UTC", "2028-02-29T23:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"},
		{"December", quota.WindowMonth, "Europe/Berlin", "2026-12-31T22:59:59Z", "2026-11-30T23:00:00Z", "2026-12-31T23:00:00Z"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			at, err := time.Parse(time.RFC3339, tt.at)
			if err != nil {
				t.Fatal(err)
			}
			start, end := quota.Bounds(tt.window, load(t, tt.zone), at)
			if s, e := start.UTC().Format(time.RFC3339Nano), end.UTC().Format(time.RFC3339Nano); s != tt.start || e != tt.end {
				t.Errorf("got [%s, %s), want [%s, %s)", s, e, tt.start, tt.end)
			}
		})
	}
	for _, w := range []quota.Window{quota.WindowNone, quota.WindowMinute} {
		if start, end := quota.Bounds(w, time.UTC, time.Now()); !start.IsZero() || !end.IsZero() {
			t.Errorf("%s has bounds", w)
		}
	}
	// The bounds are those of the wall clock, also when it is set.
	for _, w := range windows {
		if start, end := quota.Bounds(w, time.UTC, time.Now()); start != start.Round(0) || end != end.Round(0) {
			t.Errorf("%s has bounds with a monotonic reading: %v, %v", w, start, end)
		}
	}
}

// changes gives all changes of a zone's clock from 1980 to 2040.
func changes(zone *time.Location) []time.Time {
	var all []time.Time
	for at := time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC); ; {
		_, at = at.In(zone).ZoneBounds()
		if at.IsZero() || at.Year() >= 2040 {
			return all
		}
		all = append(all, at)
	}
}

// Around every change of a clock, windows meet to the nanosecond.
func TestBoundsAroundEveryChange(t *testing.T) {
	const around = 50 * time.Hour
	for _, name := range zones {
		zone := load(t, name)
		for _, change := range changes(zone) {
			for _, w := range windows {
				for at := change.Add(-around); at.Before(change.Add(around)); {
					start, end := quota.Bounds(w, zone, at)
					if !at.Before(end) || at.Before(start) {
						t.Fatalf("%s, %s: %v is not in [%v, %v)", name, w, at, start, end)
					}
					for _, in := range []time.Time{start, change, end.Add(-1)} {
						if s, e := quota.Bounds(w, zone, in); !in.Before(start) && in.Before(end) && (!s.Equal(start) || !e.Equal(end)) {
							t.Fatalf("%s, %s: %v of [%v, %v) is in [%v, %v)", name, w, in, start, end, s, e)
						}
					}
					if s, _ := quota.Bounds(w, zone, end); !s.Equal(end) {
						t.Fatalf("%s, %s: [%v, %v) is followed by one from %v", name, w, start, end, s)
					}
					at = end
				}
			}
		}
	}
}

// Windows contain their time, follow each other without gap or overlap, and begin where the calendar says.
func TestBoundsProperties(t *testing.T) {
	locations := map[string]*time.Location{}
	for _, name := range zones {
		locations[name] = load(t, name)
	}
	longest := map[quota.Window]time.Duration{
		quota.WindowHour: time.Hour, quota.WindowDay: 26 * time.Hour, quota.WindowWeek: 8 * 24 * time.Hour, quota.WindowMonth: 32 * 24 * time.Hour,
	}
	rapid.Check(t, func(t *rapid.T) {
		w, zone := rapid.SampledFrom(windows).Draw(t, "window"), locations[rapid.SampledFrom(zones).Draw(t, "zone")]
		at := drawTime(t, zone)
		start, end := quota.Bounds(w, zone, at)
		if at.Before(start) || !at.Before(end) {
			t.Fatalf("%v is not in [%v, %v)", at, start, end)
		}
		if d := end.Sub(start); d > longest[w] {
			t.Fatalf("%s lasts %v: [%v, %v)", w, d, start, end)
		}
		for name, in := range map[string]time.Time{"start": start, "last instant": end.Add(-1), "middle": start.Add(end.Sub(start) / 2)} {
			if s, e := quota.Bounds(w, zone, in); !s.Equal(start) || !e.Equal(end) {
				t.Fatalf("%s of [%v, %v) is in [%v, %v)", name, start, end, s, e)
			}
		}
		if s, _ := quota.Bounds(w, zone, end); !s.Equal(end) {
			t.Fatalf("[%v, %v) is followed by one from %v", start, end, s)
		}
		if _, e := quota.Bounds(w, zone, start.Add(-1)); !e.Equal(start) {
			t.Fatalf("[%v, %v) follows one to %v", start, end, e)
		}
		local := start.In(zone)
		switch {
		case w == quota.WindowWeek && local.Weekday() != time.Monday && !skipped(local), w == quota.WindowMonth && local.Day() != 1 && !skipped(local):
			t.Fatalf("%s begins on %v", w, local)
		case w != quota.WindowHour && local.Add(-1).Day() == local.Day() && local.Add(-1).Hour() < 23:
			t.Fatalf("%s begins in the middle of a day: %v", w, local)
		}
	})
}

// skipped reports whether the day before t's does not exist.
func skipped(t time.Time) bool { return t.Day()-t.Add(-1).Day() == 2 }

// drawTime draws a time between 1980 and 2040, mostly one near a change of the zone's clock.
func drawTime(t *rapid.T, zone *time.Location) time.Time {
	from, to := int64(315532800), int64(2208988800)
	at := time.Unix(rapid.Int64Range(from, to).Draw(t, "at"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns"))
	if rapid.IntRange(0, 3).Draw(t, "near a change") > 0 {
		if _, change := at.In(zone).ZoneBounds(); !change.IsZero() {
			at = change.Add(time.Duration(rapid.Int64Range(-30*3600, 30*3600).Draw(t, "s")) * time.Second)
		}
	}
	return at
}

// Until a bucket leaves, it counts: no event leaves before 60 s, none stays for longer than 65 s.
func TestBucketProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(-1e9, 4e9).Draw(t, "at"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns"))
		b := quota.Bucket(at)
		stays := quota.BucketLeaves(b).Sub(at)
		if stays <= time.Minute || stays > time.Minute+quota.BucketLength {
			t.Fatalf("counts for %v", stays)
		}
		if quota.Bucket(quota.BucketLeaves(b)) != b+quota.Buckets || quota.Bucket(quota.BucketLeaves(b).Add(-1)) != b+quota.Buckets-1 {
			t.Fatalf("bucket %d leaves at %v", b, quota.BucketLeaves(b))
		}
	})
}
