package redis_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/quota/redis"
)

// TestMinuteOutlivesOthers: what is taken out of an account moves what stays, with its buckets, and a minute stays for as long
// as one of them counts.
func TestMinuteOutlivesOthers(t *testing.T) {
	l, server, now := onClock(t)
	minute := limitsOn(t, quota.WindowMinute)
	call(t, l, "hour", limitsOn(t, quota.WindowHour, quota.WindowMinute), 5)
	*now = noon.Add(2*time.Hour + time.Second)
	for i, at := range []int{1, 7, 22} {
		*now = noon.Add(2*time.Hour + time.Duration(at)*time.Second)
		call(t, l, fmt.Sprint("minute ", i), minute, 100)
	}
	call(t, l, "day", limitsOn(t, quota.WindowDay), 1) // the hour goes
	if n := size(t, server); n != 2 {
		t.Fatalf("%d counters", n)
	}
	for at, want := range map[int]int64{64: 300, 65: 200, 70: 100, 84: 100} {
		*now = noon.Add(2*time.Hour + time.Duration(at)*time.Second)
		wantUsed(t, l, minute, want, want)
	}
	*now = noon.Add(2*time.Hour + 80*time.Second) // its last bucket is the oldest of the minute
	call(t, l, "week", limitsOn(t, quota.WindowWeek), 1)
	wantUsed(t, l, minute, 100, 100)
	call(t, l, "the rest", minute, 900)
	*now = noon.Add(3 * time.Hour)
	call(t, l, "month", limitsOn(t, quota.WindowMonth), 1)
	if n := size(t, server); n != 3 {
		t.Errorf("%d counters, want those of a day, a week and a month", n)
	}
}

// TestBucketThatIsFull stops at the largest count that doubles keep, and can be read.
func TestBucketThatIsFull(t *testing.T) {
	l, _, now := onClock(t)
	limits := limitsOn(t, quota.WindowMinute)
	call(t, l, "old", limits, 1)
	*now = now.Add(10 * time.Second)
	call(t, l, "new", limits, 1)
	for i := range int64(2) {
		if err := l.Post(ctx, i, i+1, posting(limits, *now, quota.Bucket(noon), quota.MaxValue-10)); err != nil {
			t.Fatal(err)
		}
	}
	wantUsed(t, l, limits, quota.MaxValue, quota.MaxValue)
	if _, err := l.Reserve(ctx, quota.Request{ID: "a", Subject: ann, Limits: limits, Amounts: quota.Amounts{OutputTokens: 1}}); err == nil {
		t.Error("admitted")
	}
	if err := l.Post(ctx, 2, 3, posting(limits, *now, quota.Bucket(noon), -quota.MaxValue)); err != nil { // all that was counted
		t.Fatal(err)
	}
	call(t, l, "again", limits, 50)
	*now = noon.Add(quota.Buckets * quota.BucketLength) // it has left, with nothing
	wantUsed(t, l, limits, 50, 50)
	wantNoMore(t, l, limits, 50)
}

// TestFullBucketsLeave a minute that could not count them all. They take no more with them than it counts, and nothing that is
// left counts below nothing.
func TestFullBucketsLeave(t *testing.T) {
	l, _, now := onClock(t)
	limits, b := limitsOn(t, quota.WindowMinute), quota.Bucket(noon)
	at := func(bucket int64) { *now = noon.Add(time.Duration(bucket) * quota.BucketLength) }
	at(2)
	call(t, l, "new", limits, 1)
	post := poster(t, l)
	post(posting(limits, *now, b, quota.MaxValue-10))
	post(posting(limits, *now, b+1, quota.MaxValue-10))
	at(3)
	post(posting(limits, *now, b+3, 5))
	wantUsed(t, l, limits, quota.MaxValue, quota.MaxValue)
	at(14) // both have left
	wantNoMore(t, l, limits, 0)
	call(t, l, "after", limits, 7)
	wantUsed(t, l, limits, 7, 7)
	wantNoMore(t, l, limits, 7)
	at(15)
	wantUsed(t, l, limits, 7, 7)
	call(t, l, "the rest", limits, 993)
	wantUsed(t, l, limits, 1000, 1000)
}

// poster books one posting after the other.
func poster(t *testing.T, l *redis.Ledger) func(quota.Posting) {
	mark := int64(0)
	return func(p quota.Posting) {
		t.Helper()
		if err := l.Post(ctx, mark, mark+1, p); err != nil {
			t.Fatal(err)
		}
		mark++
	}
}

// TestMinuteOfPostings: what is booked bucket by bucket fills a minute and leaves it without a call between, and no more is kept
// of it than counts.
func TestMinuteOfPostings(t *testing.T) {
	l, server, now := onClock(t)
	limits, b, post := limitsOn(t, quota.WindowMinute), quota.Bucket(noon), poster(t, l)
	const one = 8 * (2 + 5) // bytes of an account of one counter
	want := func(when string, used int64, buckets int64) {
		t.Helper()
		wantUsed(t, l, limits, used, used)
		wantNoMore(t, l, limits, used)
		if n, _ := server.Do(t, "strlen", key(t, server, "*:a:*")).(int64); n != one+16*buckets {
			t.Errorf("%s: %d bytes are kept, want %d buckets before the newest", when, n-one, buckets)
		}
	}
	for i := range int64(3 * quota.Buckets) {
		*now = noon.Add(time.Duration(i) * quota.BucketLength)
		post(posting(limits, *now, b+i, 3+i))
		used := int64(0)
		for j := max(0, i-quota.Buckets+1); j <= i; j++ {
			used += 3 + j
		}
		want(fmt.Sprint("bucket ", i), used, min(i, quota.Buckets-1))
	}
	*now = now.Add(6 * quota.BucketLength)
	post(posting(limits, *now, quota.Bucket(*now), 2))
	want("a gap", 2+38+39+40+41+35+36+37, quota.Buckets-1)
	*now = now.AddDate(1, 0, 0)
	post(posting(limits, *now, quota.Bucket(*now), 2))
	want("a year later", 2, 0)
	post(posting(limits, *now, quota.Bucket(*now), -2))
	*now = now.Add(2 * quota.BucketLength)
	post(posting(limits, *now, quota.Bucket(*now), 2))
	want("nothing before", 2, 0)
}

// TestMinuteBeginsAnew where the clock was set back by the whole of it, so that calls are not refused until it has caught up.
func TestMinuteBeginsAnew(t *testing.T) {
	for behind, room := range map[int]bool{quota.Buckets - 1: false, quota.Buckets: true} {
		l, _, now := onClock(t)
		limits := limitsOn(t, quota.WindowMinute)
		call(t, l, "all", limits, 1000)
		*now = noon.Add(-time.Duration(behind) * quota.BucketLength)
		_, err := l.Reserve(ctx, quota.Request{ID: "a", Subject: ann, Limits: limits, Amounts: quota.Amounts{OutputTokens: 1}})
		if (err == nil) != room {
			t.Errorf("%d buckets behind: %v, want room: %t", behind, err, room)
		}
	}
}

// TestLostHoldTakesNothingFromOtherBuckets, where another call has made the account again.
func TestLostHoldTakesNothingFromOtherBuckets(t *testing.T) {
	l, server, now := onClock(t)
	limits := limitsOn(t, quota.WindowMinute)
	hold := func(id string, output int64) {
		t.Helper()
		if _, err := l.Reserve(ctx, quota.Request{ID: id, Subject: ann, Limits: limits, Amounts: quota.Amounts{OutputTokens: output}}); err != nil {
			t.Fatal(err)
		}
	}
	hold("a", 100)
	server.Do(t, "del", key(t, server, "*:a:*"))
	hold("b", 10)
	*now = now.Add(quota.BucketLength)
	hold("c", 5)
	if err := l.Void(ctx, "a"); err != nil { // more than its bucket has now
		t.Fatal(err)
	}
	wantUsed(t, l, limits, 5, 0)
	wantNoMore(t, l, limits, 5)
}
