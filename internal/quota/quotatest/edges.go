package quotatest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/quota"
)

// wantRoom checks that there is room for n requests and for no more, as a reservation finds it, and holds nothing in the end.
func (f *fixture) wantRoom(t *testing.T, when string, limits *quota.LimitSet, n int64) {
	t.Helper()
	f.asked++
	id := "room-" + strconv.Itoa(f.asked)
	_, err := f.reserve(id, limits, quota.Amounts{Requests: n + 1})
	var e *quota.ExhaustedError
	if !errors.As(err, &e) {
		t.Errorf("%s: %d were admitted, want room for %d (%v)", when, n+1, n, err)
	}
	if _, err := f.reserve(id+"'", limits, quota.Amounts{Requests: n}); err != nil {
		t.Errorf("%s: %d were refused: %v", when, n, err)
	}
	for _, id := range []string{id, id + "'"} {
		if err := f.ledger.Void(context.Background(), id); err != nil && !errors.Is(err, quota.ErrUnknown) {
			t.Error(err)
		}
	}
}

// bucketAt sets the clock to the beginning of a bucket behind noon.
func (f *fixture) bucketAt(b int) { f.clock.set(noon.Add(time.Duration(b) * quota.BucketLength)) }

// minuteBucketByBucket fills all buckets of a sliding minute, changes what is in them in another order, and lets them leave one
// by one. What a reservation finds must be what is reported.
func minuteBucketByBucket(t *testing.T, f *fixture) {
	const value = 100
	ctx := context.Background()
	limits := compile(t, limit("rpm", quota.DimensionRequests, quota.WindowMinute, value))
	counts := map[int]int64{}
	agree := func(when string, now int) {
		t.Helper()
		var used int64
		for b := now - quota.Buckets + 1; b <= now; b++ {
			used += counts[b]
		}
		f.wantUsed(t, limits, used)
		f.wantRoom(t, when, limits, value-used)
		f.wantUsed(t, limits, used)
	}
	for b := range quota.Buckets {
		f.bucketAt(b)
		f.mustReserve(t, fmt.Sprint(b), limits, quota.Amounts{Requests: 3})
		counts[b] = 3
		agree("while it fills", b)
	}
	now := quota.Buckets - 1
	end := func(b int, used int64) {
		t.Helper()
		f.mustSettle(t, fmt.Sprint(b), quota.Amounts{Requests: used})
		counts[b] = used
		agree(fmt.Sprintf("bucket %d at %d", b, now), now)
	}
	end(4, 0)
	end(0, 5) // the oldest
	end(8, 2)
	if _, err := f.ledger.Extend(ctx, "6", quota.Amounts{Requests: 7}); err != nil {
		t.Error(err)
	}
	counts[6] = 7
	agree("one before is extended", now)
	end(now, 4) // the newest
	for now++; now < quota.Buckets+7; now++ {
		f.bucketAt(now)
		agree("while it empties", now)
	}
	f.bucketAt(now) // and nothing was asked in it yet
	if _, err := f.ledger.Extend(ctx, "7", quota.Amounts{Requests: 1000}); err != nil {
		t.Errorf("what has just left extends freely: %v", err)
	}
	f.bucketAt(now + 1)
	now++
	var refused *quota.ExhaustedError
	if _, err := f.ledger.Extend(ctx, "9", quota.Amounts{Requests: 1000}); !errors.As(err, &refused) {
		t.Errorf("more than the limit: %v", err)
	}
	standings, err := f.ledger.Standings(ctx, ann, limits, f.clock.now())
	if err != nil {
		t.Fatal(err)
	}
	rest := 3 + value - standings[0].Used // with what it has
	for to, fits := range map[int64]bool{rest + 1: false, rest: true} {
		if _, err := f.ledger.Extend(ctx, "9", quota.Amounts{Requests: to}); (err == nil) != fits {
			t.Errorf("to %d of %d: %v", to, rest, err)
		}
	}
	end(9, 3)
	end(6, 30) // has left: it counts no more, and takes nothing from what came later
	counts[6] = 0
	end(7, 6)
	end(11, 1)
	f.bucketAt(24) // all but one have left, and only that stays
	agree("when one is left", 24)
	f.mustReserve(t, "next", limits, quota.Amounts{Requests: 2})
	counts[24] = 2
	agree("beside the last", 24)
	f.bucketAt(25)
	agree("when the last has left", 25)
	f.bucketAt(25 + 12 - 1)
	agree("at the end of the next", 36)
	f.bucketAt(37)
	agree("behind it", 37)
	for _, b := range []int{40, 45, 49} {
		f.bucketAt(b)
		f.mustReserve(t, fmt.Sprint(b), limits, quota.Amounts{Requests: int64(b)})
		f.mustSettle(t, fmt.Sprint(b), quota.Amounts{Requests: int64(b) - 35})
		counts[b] = int64(b) - 35
		agree("with gaps", b)
	}
	for _, b := range []int{52, 53, 57, 58, 61, 62} {
		f.bucketAt(b)
		agree("with gaps that leave", b)
	}
	f.bucketAt(10_000)
	agree("much later", 10_000)
	f.mustReserve(t, "last", limits, quota.Amounts{Requests: 2})
	counts[10_000] = 2
	f.bucketAt(10_012)
	agree("when the newest is the oldest, and nothing came between", 10_012)
}

// manyLimits has a call count under a thousand limits, and one counter's subject under two thousand: more than what can be
// read or written at once.
func manyLimits(t *testing.T, f *fixture) {
	const each = 1000
	windows := []quota.Window{quota.WindowMinute, quota.WindowHour, quota.WindowDay, quota.WindowWeek, quota.WindowMonth}
	var all []quota.Limit
	for _, model := range []string{"gpt-5", "o3"} {
		for i := range each {
			l := limit(fmt.Sprint(model, i), quota.DimensionTokens, windows[i%len(windows)], int64(1000+i))
			l.Model = model
			if i%7 == 0 {
				l.Dimension = quota.DimensionRequests
			}
			all = append(all, l)
		}
	}
	limits := compile(t, all...)
	check := func(when, model string, standings []quota.Standing, err error, requests, tokens int64) {
		t.Helper()
		if err != nil || len(standings) != each {
			t.Fatalf("%s: %d standings, %v", when, len(standings), err)
		}
		for i, s := range standings {
			want := tokens
			if i%7 == 0 {
				want = requests
			}
			if s.Limit.ID != fmt.Sprint(model, i) || s.Used != want {
				t.Fatalf("%s: %s has %d used, want %s with %d", when, s.Limit.ID, s.Used, fmt.Sprint(model, i), want)
			}
		}
	}
	ctx := context.Background()
	reserve := func(id, model string, a quota.Amounts) (quota.Reservation, error) {
		s := ann
		s.Model = model
		return f.ledger.Reserve(ctx, quota.Request{ID: id, Subject: s, Amounts: a, Limits: limits, At: f.clock.now()})
	}
	a, err := reserve("a", "gpt-5", tokens(10, 20))
	check("reserved", "gpt-5", a.Standings, err, 1, 30)
	b, err := reserve("b", "o3", tokens(5, 5))
	check("reserved beside it", "o3", b.Standings, err, 1, 10)
	f.clock.advance(quota.BucketLength)
	a, err = f.ledger.Extend(ctx, "a", tokens(10, 70))
	check("extended", "gpt-5", a.Standings, err, 1, 80)
	_, err = reserve("c", "gpt-5", quota.Amounts{OutputTokens: 922}) // one less than fits under the second
	if e := mustExhaust(t, err, "gpt-51"); e.Standing.Used != 80 {
		t.Errorf("refusal %+v", e)
	}
	c, err := reserve("c", "gpt-5", quota.Amounts{OutputTokens: 921})
	check("filled up", "gpt-5", c.Standings, err, 1, 1001)
	if err := f.ledger.Void(ctx, "c"); err != nil {
		t.Error(err)
	}
	f.mustSettle(t, "a", tokens(10, 5))
	if ids := f.expireAll(t); len(ids) != 1 {
		t.Errorf("expired %v", ids)
	}
	for model, want := range map[string]int64{"gpt-5": 15, "o3": 0} {
		s := ann
		s.Model = model
		standings, err := f.ledger.Standings(ctx, s, limits, f.clock.now())
		check("in the end", model, standings, err, min(want, 1), want)
	}
}
