package redis_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/quota/redis"
)

// again puts a hold back as a rebuild does.
func again(t *testing.T, l *redis.Ledger, id string, limits *quota.LimitSet, at time.Time, output int64) error {
	t.Helper()
	held := quota.Amounts{OutputTokens: output}
	return l.Reassert(ctx, quota.Live{
		Request: quota.Request{ID: id, Subject: ann, Limits: limits, Amounts: held, At: at}, Held: held,
	})
}

// TestReassertAsksForNoRoom: what was admitted is held again, whatever room there is and whenever that was, in the windows of
// its admission.
func TestReassertAsksForNoRoom(t *testing.T) {
	l, _, now := onClock(t)
	limits := limitsOn(t, quota.WindowMinute, quota.WindowDay)
	*now = noon.Add(20 * time.Second)
	call(t, l, "a", limits, 900)
	if err := again(t, l, "b", limits, noon, 500); err != nil {
		t.Fatal(err)
	}
	wantUsed(t, l, limits, 1400, 900)
	if err := again(t, l, "old", limits, noon.Add(-2*time.Minute), 7); err != nil { // has left the minute
		t.Fatal(err)
	}
	for at, want := range map[int]int64{64: 1400, 65: 900, 84: 900, 85: 0} { // b leaves with its own bucket
		standings, err := l.Standings(ctx, ann, limits, noon.Add(time.Duration(at)*time.Second))
		if err != nil || standings[0].Used != want || standings[1].Used != 1407 {
			t.Errorf("after %d s: %+v, %v, want %d used of the minute", at, standings, err, want)
		}
	}
	settle(t, l, "b", 100)
	settle(t, l, "old", 7)
	standings, err := l.Standings(ctx, ann, limits, *now)
	if err != nil || standings[0].Used != 1000 || standings[1].Used != 1007 {
		t.Errorf("settled: %+v, %v", standings, err)
	}
	if err := again(t, l, "yesterday", limits, noon.AddDate(0, 0, -1), 3); err != nil {
		t.Fatal(err)
	}
	wantUsed(t, l, limitsOn(t, quota.WindowDay), 1007, 1007)
	if err := l.Post(ctx, 0, 1, posting(limitsOn(t, quota.WindowDay), *now, 0, quota.MaxValue-1500)); err != nil {
		t.Fatal(err)
	}
	if err := again(t, l, "too much", limits, *now, 1000); !errors.Is(err, quota.ErrAmount) {
		t.Errorf("more than a counter can count: %v", err)
	}
}

// TestLateCallCountsWithTheNewest: where the clock was set back by less than a minute, calls go on in the newest bucket, so that
// none leaves the minute earlier than it came.
func TestLateCallCountsWithTheNewest(t *testing.T) {
	l, _, now := onClock(t)
	limits := limitsOn(t, quota.WindowMinute)
	*now = noon.Add(20 * time.Second)
	call(t, l, "a", limits, 10)
	*now = noon.Add(2 * time.Second)
	call(t, l, "b", limits, 5)
	for at, want := range map[int]int64{2: 15, 66: 15, 84: 15, 85: 0} {
		*now = noon.Add(time.Duration(at) * time.Second)
		wantUsed(t, l, limits, want, want)
	}
}

// live is the sorted set of what is held.
func live(t *testing.T, l *redis.Ledger) string {
	t.Helper()
	return "{plumbline}:3:" + l.Epoch().ID + ":live"
}

// TestStrayMembersAreLetGo: what stands among the live ones and is not live is taken out by a sweep, and is booked no more.
func TestStrayMembersAreLetGo(t *testing.T) {
	for _, state := range []string{"gone", "settled", "expired"} {
		t.Run(state, func(t *testing.T) {
			l, server, now := onClock(t)
			limits := limitsOn(t, quota.WindowDay)
			reserve(t, l, "a", limits)
			want, overruns := int64(0), uint64(0)
			switch state {
			case "gone":
				server.Do(t, "del", key(t, server, "*:r:a"))
				want = 110 // nobody knows of it any more
			case "settled":
				settle(t, l, "a", 300)
				want, overruns = 300, 1
			case "expired":
				if err := l.Touch(ctx, quota.Progress{ID: "a", Used: quota.Amounts{OutputTokens: 400}}); err != nil {
					t.Fatal(err)
				}
				*now = now.Add(time.Minute)
				if ids, err := l.Expire(ctx, *now); err != nil || len(ids) != 1 {
					t.Fatalf("%v, %v", ids, err)
				}
				want, overruns = 400, 1
			}
			*now = now.Add(time.Minute)
			server.Do(t, "zadd", live(t, l), "1", "one/a")
			if ids, err := l.Expire(ctx, *now); err != nil || len(ids) != 0 {
				t.Errorf("expired %v, %v", ids, err)
			}
			if n, err := l.Pending(ctx); err != nil || n != 0 {
				t.Errorf("%d pending, %v", n, err)
			}
			standings, err := l.Standings(ctx, ann, limits, *now)
			if err != nil || standings[0].Used != want || l.Overruns() != overruns {
				t.Errorf("%+v, %v, %d overruns, want %d used and %d", standings, err, l.Overruns(), want, overruns)
			}
		})
	}
}

// TestOwnedIsWhatIsNotEnded: what a book holds and what ended with its lease, until it is settled or voided; nothing of other
// books, however they are named.
func TestOwnedIsWhatIsNotEnded(t *testing.T) {
	l, server, now := onClock(t)
	o := on(server, "one*")
	o.Now = func() time.Time { return *now }
	other, limits := open(t, o), limitsOn(t, quota.WindowDay)
	owned := func(l *redis.Ledger, want ...string) {
		t.Helper()
		ids, err := l.Owned(ctx)
		slices.Sort(ids)
		if diff := cmp.Diff(want, ids); diff != "" || err != nil {
			t.Errorf("%v, owned (-want +got):\n%s", err, diff)
		}
	}
	for _, id := range []string{"a", "b", "c", "d"} {
		reserve(t, l, id, limits)
	}
	reserve(t, other, "theirs", limits)
	owned(other, "theirs")
	settle(t, l, "a", 1)
	owned(l, "b", "c", "d")
	*now = now.Add(time.Minute)
	if ids, err := l.Expire(ctx, *now); err != nil || len(ids) != 4 {
		t.Fatalf("%v, %v", ids, err)
	}
	owned(l, "b", "c", "d")
	settle(t, l, "b", 1)
	if err := l.Void(ctx, "c"); err != nil {
		t.Fatal(err)
	}
	owned(l, "d")
	owned(other, "theirs")
}

// TestExpiryIsSettledForWeeks: what ended with its lease can be settled for longer than any window lasts, what was settled is
// remembered for ten minutes.
func TestExpiryIsSettledForWeeks(t *testing.T) {
	l, server, now := onClock(t)
	limits := limitsOn(t, quota.WindowMonth)
	reserve(t, l, "a", limits)
	*now = now.Add(time.Minute)
	if ids, err := l.Expire(ctx, *now); err != nil || len(ids) != 1 {
		t.Fatalf("%v, %v", ids, err)
	}
	ttl := func() time.Duration {
		ms, _ := server.Do(t, "pttl", key(t, server, "*:r:a")).(int64)
		return time.Duration(ms) * time.Millisecond
	}
	if d := ttl(); d < 34*24*time.Hour || d > 35*24*time.Hour {
		t.Errorf("an expiry is kept for %v", d)
	}
	settle(t, l, "a", 30)
	if d := ttl(); d < 9*time.Minute || d > 10*time.Minute {
		t.Errorf("a result is kept for %v", d)
	}
	wantUsed(t, l, limits, 30, 30)
}

// TestFullMemoryTakesWhatGivesBack: ends, reports and postings are taken when memory is full, new holds are not.
func TestFullMemoryTakesWhatGivesBack(t *testing.T) {
	l, server, _ := onClock(t)
	limits := limitsOn(t, quota.WindowDay)
	for i := range 3 {
		reserve(t, l, fmt.Sprint(i), limits)
	}
	server.Do(t, "config", "set", "maxmemory", "1")
	_, extend := l.Extend(ctx, "0", quota.Amounts{OutputTokens: 200})
	for _, err := range []error{extend, again(t, l, "new", limits, noon, 1)} {
		wantAdvice(t, err, "raise its maxmemory")
	}
	if err := l.Touch(ctx, quota.Progress{ID: "0", Used: some}); err != nil {
		t.Errorf("Touch: %v", err)
	}
	settle(t, l, "1", 5)
	if err := l.Void(ctx, "2"); err != nil {
		t.Errorf("Void: %v", err)
	}
	if err := l.Post(ctx, 0, 1, posting(limits, noon, 0, 5)); err != nil {
		t.Errorf("Post: %v", err)
	}
	wantUsed(t, l, limits, 120, 10)
}

// TestReportsOfStrangersChangeNothing: of several reports in one call, all are taken or none.
func TestReportsOfStrangersChangeNothing(t *testing.T) {
	l, server, now := onClock(t)
	limits := limitsOn(t, quota.WindowDay)
	reserve(t, l, "a", limits)
	reserve(t, l, "b", limits)
	server.Do(t, "set", key(t, server, "*:r:b"), "theirs")
	*now = now.Add(time.Second)
	before := dump(t, server)
	err := l.Touch(ctx, quota.Progress{ID: "a", Used: some}, quota.Progress{ID: "b", Used: some})
	wantAdvice(t, err, "is not of Plumbline: remove it")
	if diff := cmp.Diff(before, dump(t, server)); diff != "" {
		t.Errorf("changed (-before +after):\n%s", diff)
	}
}
