package redis_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/quota/redis"
	"github.com/plumbline/plumbline/internal/testkit/redisproc"
)

// noon is the start of a bucket of the sliding minute.
var noon = time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)

// onClock gives a ledger whose clock a test sets, on a server of its own.
func onClock(t *testing.T) (*redis.Ledger, *redisproc.Server, *time.Time) {
	t.Helper()
	server, now := redisproc.Start(t), noon
	o := on(server, "one")
	o.Now = func() time.Time { return now }
	return open(t, o), server, &now
}

// limitsOn gives a hard limit of ann's tokens for each window.
func limitsOn(t testing.TB, windows ...quota.Window) *quota.LimitSet {
	t.Helper()
	var all []quota.Limit
	for _, w := range windows {
		l := quota.Limit{ID: string(w), Scope: quota.ScopeUser, Dimension: quota.DimensionTokens, Window: w, Value: 1000}
		if w == quota.WindowNone {
			l.Dimension = quota.DimensionConcurrency
		}
		all = append(all, l)
	}
	set, err := quota.Compile(all)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func settle(t testing.TB, l *redis.Ledger, id string, output int64) {
	t.Helper()
	if _, err := l.Settle(ctx, id, quota.Amounts{OutputTokens: output}); err != nil {
		t.Fatal(err)
	}
}

// call is a whole call of so many tokens.
func call(t testing.TB, l *redis.Ledger, id string, limits *quota.LimitSet, output int64) {
	t.Helper()
	if _, err := l.Reserve(ctx, quota.Request{ID: id, Subject: ann, Limits: limits, Amounts: quota.Amounts{OutputTokens: output}}); err != nil {
		t.Fatal(err)
	}
	settle(t, l, id, output)
}

// wantNoMore checks that a call finds no more room than limitsOn leaves when so much is used.
func wantNoMore(t testing.TB, l *redis.Ledger, limits *quota.LimitSet, used int64) {
	t.Helper()
	_, err := l.Reserve(ctx, quota.Request{ID: "more", Subject: ann, Limits: limits, Amounts: quota.Amounts{OutputTokens: 1001 - used}})
	var refused *quota.ExhaustedError
	if !errors.As(err, &refused) {
		t.Errorf("one token more than is left of a thousand when %d are used: %v", used, err)
	}
}

// doubles is a text of numbers as scripts keep them.
func doubles(values ...float64) string {
	var b []byte
	for _, v := range values {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	}
	return string(b)
}

// TestValuesOfStrangers: a text that is nearly one of Plumbline's is refused, and nothing is changed.
func TestValuesOfStrangers(t *testing.T) {
	server := redisproc.Start(t)
	head := make([]float64, 20)
	head[0], head[16], head[17] = 1, 1, 1000 // live, of one account and a thousand lines that are not there
	ended := append([]float64{4}, head[1:]...)
	for name, tt := range map[string]struct{ pattern, text string }{
		"a result that is none":             {"*:r:b", strings.Repeat("x", 27)},
		"a reservation without its lines":   {"*:r:b", doubles(head...)},
		"a reservation of less than a head": {"*:r:b", doubles(head[:19]...)},
		"a reservation in no known state":   {"*:r:b", doubles(ended...) + strings.Repeat("x", 9000)},
		"an account of a half":              {"*:a:*", doubles(0, 0.5, 1, 2) + "xxxx"},
		"an account of fewer than none":     {"*:a:*", doubles(0, -1)},
		"an account without its counters":   {"*:a:*", doubles(0, 3, 1, 2, 3, 4, 5)},
		"an account with more than its own": {"*:a:*", doubles(0, 0, 7)},
		"an account without its rings":      {"*:a:*", doubles(0, 1, 1<<51, 7, 16+2, 0, 0, 1, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			server.Do(t, "flushall")
			l, limits := open(t, on(server, "one")), tokensADay(t, 1000)
			reserve(t, l, "b", limits)
			server.Do(t, "set", key(t, server, tt.pattern), tt.text)
			before := dump(t, server)
			_, extend := l.Extend(ctx, "b", quota.Amounts{OutputTokens: 105})
			_, settle := l.Settle(ctx, "b", some)
			_, again := l.Reserve(ctx, request("b", limits))
			errs := []error{extend, settle, again}
			if tt.pattern == "*:a:*" {
				_, errs[2] = l.Reserve(ctx, request("c", limits))
			} else {
				errs = append(errs, l.Touch(ctx, quota.Progress{ID: "b"}))
			}
			for _, err := range errs {
				wantAdvice(t, err, "is not of Plumbline: remove it")
			}
			if diff := cmp.Diff(before, dump(t, server)); diff != "" {
				t.Errorf("a refused call changed keys (-before +after):\n%s", diff)
			}
		})
	}
}

// TestLostAccountsAreCountedAgain: an account that somebody removed comes back with what live reservations hold and are
// settled at, in the windows that they pinned, unless those are over.
func TestLostAccountsAreCountedAgain(t *testing.T) {
	for _, w := range []quota.Window{quota.WindowMinute, quota.WindowDay} {
		limits := limitsOn(t, w)
		made := func(t *testing.T) (*redis.Ledger, *redisproc.Server, *time.Time) {
			t.Helper()
			l, server, now := onClock(t)
			*now = time.Date(2026, 3, 11, 23, 59, 30, 0, time.UTC)
			reserve(t, l, "a", limits)
			server.Do(t, "del", key(t, server, "*:a:*"))
			return l, server, now
		}
		t.Run(string(w)+"/settled", func(t *testing.T) {
			l, server, now := made(t)
			*now = now.Add(10 * time.Second)
			settle(t, l, "a", 50)
			wantUsed(t, l, limits, 50, 50)
			if ttl, ok := server.Do(t, "pttl", key(t, server, "*:a:*")).(int64); !ok || ttl <= 0 {
				t.Errorf("it is kept for %v", ttl)
			}
			call(t, l, "b", limits, 950)
		})
		t.Run(string(w)+"/extended", func(t *testing.T) {
			l, server, now := made(t)
			*now = now.Add(10 * time.Second)
			if r, err := l.Extend(ctx, "a", quota.Amounts{OutputTokens: 200}); err != nil || r.Standings[0].Used != 210 {
				t.Errorf("Extend = %+v, %v, want 210 used", r, err)
			}
			wantUsed(t, l, limits, 210, 0)
			if ttl, ok := server.Do(t, "pttl", key(t, server, "*:a:*")).(int64); !ok || ttl <= 0 {
				t.Errorf("it is kept for %v", ttl)
			}
			var refused *quota.ExhaustedError
			if _, err := l.Extend(ctx, "a", quota.Amounts{OutputTokens: 991}); !errors.As(err, &refused) || refused.Standing.Used != 210 {
				t.Errorf("more than there is: %v", err)
			}
			settle(t, l, "a", 40)
			wantUsed(t, l, limits, 40, 40)
		})
		t.Run(string(w)+"/over", func(t *testing.T) {
			l, server, now := made(t)
			*now = now.Add(quota.Buckets * quota.BucketLength) // another day, and just out of the minute
			settle(t, l, "a", 50)
			if keys := server.Do(t, "keys", "*:a:*").([]any); len(keys) != 0 {
				t.Errorf("what counts no more is counted: %v", keys)
			}
		})
		t.Run(string(w)+"/voided", func(t *testing.T) {
			l, server, _ := made(t)
			if err := l.Void(ctx, "a"); err != nil {
				t.Fatal(err)
			}
			if keys := server.Do(t, "keys", "*:a:*").([]any); len(keys) != 0 {
				t.Errorf("nothing is counted: %v", keys)
			}
		})
		t.Run(string(w)+"/nothing below nothing", func(t *testing.T) {
			l, _, now := made(t)
			if _, err := l.Reserve(ctx, quota.Request{ID: "b", Subject: ann, Limits: limits, Amounts: quota.Amounts{OutputTokens: 10}}); err != nil {
				t.Fatal(err)
			}
			*now = now.Add(6 * time.Second)
			for _, id := range []string{"a", "b"} { // more is let go than the new account has
				if err := l.Void(ctx, id); err != nil {
					t.Fatal(err)
				}
				standings, err := l.Standings(ctx, ann, limits, *now)
				if err != nil || standings[0].Used < 0 {
					t.Errorf("%+v, %v", standings, err)
				}
			}
			call(t, l, "c", limits, 1000)
			wantUsed(t, l, limits, 1000, 1000)
		})
	}
}

// TestWindowThatIsOverIsExtended in the account that lost it: it counts there for the reservation alone.
func TestWindowThatIsOverIsExtended(t *testing.T) {
	l, server, now := onClock(t)
	limits := limitsOn(t, quota.WindowHour)
	reserve(t, l, "a", limits)
	server.Do(t, "del", key(t, server, "*:a:*"))
	*now = now.Add(90 * time.Minute)
	r, err := l.Extend(ctx, "a", quota.Amounts{OutputTokens: 200})
	if err != nil || r.Standings[0].Used != 210 {
		t.Errorf("%+v, %v, want 210 used", r, err)
	}
	var refused *quota.ExhaustedError
	if _, err := l.Extend(ctx, "a", quota.Amounts{OutputTokens: 1000}); !errors.As(err, &refused) {
		t.Errorf("more than its limit: %v", err)
	}
}

// size gives how many counters an account has.
func size(t *testing.T, server *redisproc.Server) int {
	t.Helper()
	text := fmt.Sprint(server.Do(t, "get", key(t, server, "*:a:*")))
	return int(math.Float64frombits(binary.LittleEndian.Uint64([]byte(text[8:16]))))
}

// TestAccountsForgetWhatIsOver: an account has what counts and what may still be settled, and no more.
func TestAccountsForgetWhatIsOver(t *testing.T) {
	l, server, now := onClock(t)
	limits := limitsOn(t, quota.WindowMinute, quota.WindowHour, quota.WindowDay, quota.WindowNone)
	for i := range 50 {
		call(t, l, fmt.Sprint(i), limits, 1)
		if n := size(t, server); n != 4 {
			t.Fatalf("%d counters on day %d, want 4", n, i)
		}
		*now = now.Add(26 * time.Hour)
	}
	call(t, l, "held", limitsOn(t, quota.WindowNone), 1)
	reserve(t, l, "in flight", limitsOn(t, quota.WindowNone))
	*now = now.Add(26 * time.Hour)
	month := limitsOn(t, quota.WindowMonth)
	call(t, l, "month", month, 1) // the others are of limits that are in force no more, and are over
	if n := size(t, server); n != 2 {
		t.Errorf("%d counters, want that of the month and of what is in flight", n)
	}
	if standings, err := l.Standings(ctx, ann, limitsOn(t, quota.WindowNone), *now); err != nil || standings[0].Used != 1 {
		t.Errorf("in flight: %+v, %v", standings, err)
	}
}

// TestWindowsLingerForAnHour for what is booked late, and for as long as something is pending in them.
func TestWindowsLingerForAnHour(t *testing.T) {
	for name, want := range map[string][]int{"settled": {2, 3, 3}, "pending": {2, 3, 4}} {
		t.Run(name, func(t *testing.T) {
			l, server, now := onClock(t)
			reserve(t, l, "a", limitsOn(t, quota.WindowHour))
			if name == "settled" {
				settle(t, l, "a", 30)
			}
			began := *now
			for i, w := range []quota.Window{quota.WindowDay, quota.WindowWeek, quota.WindowMonth} {
				*now = began.Add([]time.Duration{time.Hour, 2*time.Hour - time.Second, 2*time.Hour + time.Second}[i])
				call(t, l, string(w), limitsOn(t, w), 1)
				if n := size(t, server); n != want[i] {
					t.Errorf("%v later: %d counters, want %d", now.Sub(began), n, want[i])
				}
			}
			settle(t, l, "a", 30)
			call(t, l, "in flight", limitsOn(t, quota.WindowNone), 1)
			if n := size(t, server); n != 4 { // all but the hour
				t.Errorf("%d counters when it was settled, want 4", n)
			}
		})
	}
}

// TestAccountsAreKeptForAsLongAsTheyCount, and not for ever.
func TestAccountsAreKeptForAsLongAsTheyCount(t *testing.T) {
	server := redisproc.Start(t)
	l := open(t, on(server, "one"))
	ttl := func() time.Duration {
		t.Helper()
		ms, _ := server.Do(t, "pttl", key(t, server, "*:a:*")).(int64)
		return time.Duration(ms) * time.Millisecond
	}
	minute, none := limitsOn(t, quota.WindowMinute), limitsOn(t, quota.WindowNone)
	call(t, l, "a", minute, 1)
	if d := ttl(); d < 65*time.Second || d > 3*time.Minute {
		t.Errorf("an account of a minute is kept for %v", d)
	}
	call(t, l, "b", none, 1)
	if d := ttl(); d < 35*24*time.Hour || d > 37*24*time.Hour {
		t.Errorf("one of what is in flight is kept for %v", d)
	}
	before := ttl()
	call(t, l, "c", minute, 1)
	if d := ttl(); d > before || d < before-time.Minute {
		t.Errorf("it is kept for %v and for %v after a call under less", before, d)
	}
	reserve(t, l, "live", none)
	reserve(t, l, "extended", none)
	reserve(t, l, "touched", none)
	for _, id := range []string{"extended", "touched"} { // weeks later
		server.Do(t, "pexpire", key(t, server, "*:r:"+id), 60_000)
	}
	if _, err := l.Extend(ctx, "extended", quota.Amounts{OutputTokens: 200}); err != nil {
		t.Fatal(err)
	}
	if err := l.Touch(ctx, quota.Progress{ID: "touched"}); err != nil {
		t.Fatal(err)
	}
	const days = 35 * 24 * time.Hour
	for pattern, want := range map[string]time.Duration{
		"*:r:a": 10 * time.Minute, "*:r:live": days, "*:r:extended": days, "*:r:touched": days,
	} {
		ms, _ := server.Do(t, "pttl", key(t, server, pattern)).(int64)
		if d := time.Duration(ms) * time.Millisecond; d > want || d < want-time.Minute {
			t.Errorf("%s is kept for %v, want %v", pattern, d, want)
		}
	}
}

// posting is one of ann's under the only limit of a set.
func posting(limits *quota.LimitSet, at time.Time, bucket, amount int64) quota.Posting {
	m := limits.AppendMatches(nil, ann, at)[0]
	return quota.Posting{Key: m.Key, Window: m.Limit.Window, End: m.End, Bucket: bucket, Amount: amount}
}

// TestPostingsBelowNothing take what there is and no more: neither below zero nor from other buckets.
func TestPostingsBelowNothing(t *testing.T) {
	for _, w := range []quota.Window{quota.WindowMinute, quota.WindowDay} {
		t.Run(string(w), func(t *testing.T) {
			l, _, now := onClock(t)
			limits := limitsOn(t, w)
			call(t, l, "old", limits, 100)
			*now = now.Add(10 * time.Second)
			call(t, l, "new", limits, 10)
			old, newest := quota.Bucket(noon), quota.Bucket(*now)
			want := map[quota.Window][]int64{quota.WindowMinute: {100, 0, 0}, quota.WindowDay: {80, 0, 0}}[w]
			for i, p := range []quota.Posting{
				posting(limits, *now, newest, -30), posting(limits, *now, old, -400), posting(limits, *now, old-1, -5),
			} {
				if err := l.Post(ctx, int64(i), int64(i+1), p); err != nil {
					t.Fatal(err)
				}
				wantUsed(t, l, limits, want[i], want[i])
				wantNoMore(t, l, limits, want[i])
			}
			call(t, l, "all", limits, 1000)
			wantUsed(t, l, limits, 1000, 1000)
			*now = noon.Add(quota.Buckets * quota.BucketLength) // the old one has left the minute
			wantUsed(t, l, limits, 1000, 1000)
			wantNoMore(t, l, limits, 1000)
		})
	}
}

// TestPostingsThatAreOver, or of a time to come, are passed over, and the mark moves all the same.
func TestPostingsThatAreOver(t *testing.T) {
	l, server, now := onClock(t)
	minute, hour := limitsOn(t, quota.WindowMinute), limitsOn(t, quota.WindowHour)
	b := quota.Bucket(noon)
	over := posting(hour, noon.Add(-time.Hour), 0, 7)
	mark := int64(0)
	post := func(p quota.Posting) {
		t.Helper()
		if err := l.Post(ctx, mark, mark+1, p); err != nil {
			t.Fatal(err)
		}
		mark++
		if at, known, err := l.Mark(ctx); err != nil || !known || at != mark {
			t.Errorf("the mark is at %d, %v", at, err)
		}
	}
	post(over)
	post(posting(minute, noon, b, 0)) // nothing
	for _, bucket := range []int64{b - quota.Buckets, b + 1} {
		post(posting(minute, noon, bucket, 7))
	}
	if keys := server.Do(t, "keys", "*:a:*").([]any); len(keys) != 0 {
		t.Errorf("what is over, or nothing, is counted: %v", keys)
	}
	wantUsed(t, l, minute, 0, 0)
	if keys, err := l.Standings(ctx, ann, hour, noon.Add(-time.Hour)); err != nil || keys[0].Used != 0 {
		t.Errorf("an hour that is over: %+v, %v", keys, err)
	}
	post(posting(minute, noon, b-quota.Buckets+1, 5)) // the oldest that counts
	post(posting(minute, noon, b, 6))
	post(posting(minute, noon, b+1, 7)) // still to come, in a minute that is known by now
	wantUsed(t, l, minute, 11, 11)
	call(t, l, "the rest", minute, 989)
	wantUsed(t, l, minute, 1000, 1000)
	post(posting(hour, noon, 0, 3))
	reserve(t, l, "lingers", hour)
	*now = now.Add(time.Hour + time.Minute)
	p := posting(hour, noon, 0, 4) // over, but known
	post(p)
	if all, err := l.Standings(ctx, ann, hour, noon); err != nil || all[0].Posted != 7 {
		t.Errorf("an hour that lingers: %+v, %v", all, err)
	}
	if ttl, _ := server.Do(t, "pttl", "{plumbline}:3:"+l.Epoch().ID+":marks").(int64); ttl < 34*24*3600*1000 {
		t.Errorf("the marks are kept for %d ms", ttl)
	}
	settle(t, l, "lingers", 0)
	*now = now.Add(24 * time.Hour)
	post(posting(limitsOn(t, quota.WindowMonth), *now, 0, 1))
	if n := size(t, server); n != 1 {
		t.Errorf("%d counters, want that of the month", n)
	}
}
