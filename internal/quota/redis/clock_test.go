package redis_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/testkit/redisproc"
)

// TestClockOfTheServerIsTheOnlyOne: windows, leases and the sliding minute follow the server's clock, which is months behind
// that of this process, whatever time a request says and wherever the server's clock jumps.
func TestClockOfTheServerIsTheOnlyOne(t *testing.T) {
	server, clock := redisproc.StartWithClock(t, noon)
	l := open(t, on(server, "one"))
	limits := limitsOn(t, quota.WindowMinute, quota.WindowDay, quota.WindowMonth)
	at := clock.Now
	near := func(what string, got, want time.Time) {
		t.Helper()
		if d := got.Sub(want).Abs(); d > 20*time.Second { // as much as a busy machine may take
			t.Errorf("%s is %v, want about %v", what, got, want)
		}
	}
	reserveAt := func(id string, said time.Time) quota.Reservation {
		t.Helper()
		r, err := l.Reserve(ctx, quota.Request{
			ID: id, Subject: ann, Limits: limits, At: said, Amounts: quota.Amounts{OutputTokens: 10},
		})
		if err != nil {
			t.Fatal(err)
		}
		near(id+" was admitted at a time that", r.Admitted, at())
		day := at().Truncate(24 * time.Hour)
		if s := r.Standings[1]; !s.Since.Equal(day) || !s.Reset.Equal(day.AddDate(0, 0, 1)) {
			t.Errorf("%s counts in the day from %v to %v, when the server has %v", id, s.Since, s.Reset, at())
		}
		if s := r.Standings[0]; s.Reset.Before(at()) || s.Reset.After(at().Add(90*time.Second)) {
			t.Errorf("%s lets go at %v, when the server has %v", id, s.Reset, at())
		}
		score, err := strconv.ParseInt(fmt.Sprint(server.Do(t, "zscore", live(t, l), "one/"+id)), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		near("the lease of "+id+" ends at a time that", time.UnixMicro(score), at().Add(30*time.Second))
		return r
	}
	for i, said := range []time.Time{at(), at().AddDate(0, 0, 1), at().AddDate(0, 0, -1), time.Now(), {}} {
		if used := reserveAt(fmt.Sprint(i), said).Standings[1].Used; used != int64(10*i+10) {
			t.Errorf("%d used of the day, want %d", used, 10*i+10)
		}
	}
	for _, said := range []time.Time{time.Now(), time.Now().AddDate(1, 0, 0), at().Add(-time.Minute), {}} {
		if ids, err := l.Expire(ctx, said); err != nil || len(ids) != 0 {
			t.Errorf("%v: leases ended by a clock that is not the server's: %v, %v", said, ids, err)
		}
	}
	clock.Jump(t, 24*time.Hour)
	if ids, err := l.Expire(ctx, time.Time{}); err != nil || len(ids) != 5 {
		t.Errorf("a day later %v ended, %v", ids, err)
	}
	if s := reserveAt("next day", noon).Standings; s[0].Used != 10 || s[1].Used != 10 || s[2].Used != 10 {
		t.Errorf("a day later: %+v", s)
	}
	if _, err := l.Extend(ctx, "next day", quota.Amounts{OutputTokens: 20}); err != nil {
		t.Error(err)
	}
	clock.Jump(t, -24*time.Hour)
	if s := reserveAt("back", time.Now()).Standings; s[0].Used != 10 || s[1].Used != 10 || s[2].Used != 30 {
		t.Errorf("a day earlier: %+v", s)
	}
	for id, tokens := range map[string]int64{"back": 3, "next day": 4, "0": 5} { // each in the windows of its own
		settle(t, l, id, tokens)
	}
	standings, err := l.Standings(ctx, ann, limits, time.Time{})
	if err != nil || standings[0].Used != 3 || standings[1].Used != 8 || standings[2].Used != 12 {
		t.Errorf("in the end: %+v, %v", standings, err)
	}
}
