package quotatest

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/quota"
)

// mustExhaust checks that err is a refusal by a limit, and gives it.
func mustExhaust(t testing.TB, err error, limit string) quota.ExhaustedError {
	t.Helper()
	var e *quota.ExhaustedError
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want a refusal by limit %s", err, limit)
	}
	if e.Standing.Limit.ID != limit {
		t.Fatalf("refused by limit %s (%v), want %s", e.Standing.Limit.ID, e, limit)
	}
	return *e
}

func reserveStopsAtTheLimit(t *testing.T, f *fixture) {
	for _, l := range []quota.Limit{
		limit("requests", quota.DimensionRequests, quota.WindowMinute, 2),
		limit("input", quota.DimensionInputTokens, quota.WindowHour, 30),
		limit("output", quota.DimensionOutputTokens, quota.WindowDay, 50),
		limit("tokens", quota.DimensionTokens, quota.WindowWeek, 80),
		limit("cost", quota.DimensionCost, quota.WindowMonth, 400),
		limit("at once", quota.DimensionConcurrency, quota.WindowNone, 2),
	} {
		limits := compile(t, l)
		a := quota.Amounts{Requests: 1, InputTokens: 15, OutputTokens: 25, Cost: 200}
		f.mustReserve(t, l.ID+"1", limits, a)
		r := f.mustReserve(t, l.ID+"2", limits, a)
		if got := r.Standings[0]; got.Used != l.Value || *got.Limit != l {
			t.Errorf("%s: standing %+v, want used %d", l.ID, got, l.Value)
		}
		_, err := f.reserve(l.ID+"3", limits, a)
		if e := mustExhaust(t, err, l.ID); e.Standing.Used != l.Value || e.Wanted != l.Value/2 || e.Never() {
			t.Errorf("%s: refusal %+v", l.ID, e)
		}
		f.wantUsed(t, limits, l.Value)
	}
}

func extendStopsAtTheLimit(t *testing.T, f *fixture) {
	limits := compile(t,
		limit("day", quota.DimensionOutputTokens, quota.WindowDay, 100),
		limit("one", quota.DimensionConcurrency, quota.WindowNone, 1))
	f.mustReserve(t, "a", limits, tokens(0, 40))
	r, err := f.ledger.Extend(context.Background(), "a", quota.Amounts{OutputTokens: 100})
	if err != nil {
		t.Fatal(err)
	}
	if r.Held != tokens(0, 100) || r.Standings[0].Used != 100 || r.Standings[1].Used != 1 || !r.Admitted.Equal(noon) {
		t.Errorf("extended to %+v", r)
	}
	_, err = f.ledger.Extend(context.Background(), "a", quota.Amounts{OutputTokens: 101})
	if e := mustExhaust(t, err, "day"); e.Standing.Used != 100 || e.Wanted != 1 {
		t.Errorf("refusal %+v", e)
	}
	f.wantUsed(t, limits, 100, 1)
}

// longWindowIsExtended hours after its end, when others have come since: it holds what it held, and its limit still stops it.
func longWindowIsExtended(t *testing.T, f *fixture) {
	ctx := context.Background()
	hour := limit("hour", quota.DimensionInputTokens, quota.WindowHour, 40)
	hour.Scope = quota.ScopeTeam
	limits := compile(t, hour)
	f.mustReserve(t, "a", limits, tokens(30, 0))
	f.clock.advance(7 * time.Hour)
	f.mustReserve(t, "b", limits, tokens(1, 0))
	_, err := f.ledger.Extend(ctx, "a", tokens(41, 0))
	if e := mustExhaust(t, err, "hour"); e.Standing.Used != 30 || e.Wanted != 11 {
		t.Errorf("refusal %+v", e)
	}
	if r, err := f.ledger.Extend(ctx, "a", tokens(40, 0)); err != nil || r.Held != tokens(40, 0) || r.Standings[0].Used != 40 {
		t.Errorf("Extend = %+v, %v, want 40 used", r, err)
	}
	f.wantUsed(t, limits, 1)
}

// minuteOutlastsEmptyHold: a call that holds nothing in a minute counts there when it ends, whatever came and went since, be it
// that the minute was empty before it or that all else has left it meanwhile.
func minuteOutlastsEmptyHold(t *testing.T, f *fixture) {
	hour := limit("hour", quota.DimensionInputTokens, quota.WindowHour, 1000)
	limits := compile(t, limit("tpm", quota.DimensionOutputTokens, quota.WindowMinute, 1000), hour)
	for name, since := range map[string]time.Duration{"left": 7 * time.Hour, "leaves": (quota.Buckets - 1) * quota.BucketLength} {
		f.clock.set(f.clock.now().Truncate(time.Hour).Add(2*time.Hour - since - quota.BucketLength))
		f.mustReserve(t, "before"+name, limits, quota.Amounts{})
		f.clock.advance(since)
		f.mustReserve(t, "empty"+name, limits, quota.Amounts{})
		f.clock.advance(quota.BucketLength) // into an hour of which nothing is known yet
		f.mustReserve(t, "after"+name, limits, tokens(0, 2))
		f.mustSettle(t, "empty"+name, tokens(0, 25))
		f.wantUsed(t, limits, 27, 0)
	}
}

// atOnce calls do(0) to do(n-1) together and counts those that succeed; a failure must be a refusal.
func atOnce(t *testing.T, n int, do func(i int) error) int64 {
	var admitted atomic.Int64
	var start, done sync.WaitGroup
	start.Add(1)
	for i := range n {
		done.Go(func() {
			start.Wait()
			err := do(i)
			var e *quota.ExhaustedError
			switch {
			case err == nil:
				admitted.Add(1)
			case !errors.As(err, &e):
				t.Errorf("got %v, want a refusal", err)
			}
		})
	}
	start.Done()
	done.Wait()
	return admitted.Load()
}

func oneOfManyIsAdmitted(t *testing.T, f *fixture) {
	rounds := 1000
	if testing.Short() {
		rounds = 10
	}
	limits := compile(t,
		limit("cost", quota.DimensionCost, quota.WindowMonth, 1),
		limit("tokens", quota.DimensionTokens, quota.WindowMinute, 10),
		limit("at once", quota.DimensionConcurrency, quota.WindowNone, 4))
	for round := range rounds {
		admitted := atOnce(t, 512, func(i int) error {
			id := strconv.Itoa(i)
			_, err := f.reserve(strconv.Itoa(round)+"/"+id, limits, quota.Amounts{Requests: 1, OutputTokens: 10, Cost: 1})
			return err
		})
		if admitted != 1 {
			t.Fatalf("round %d: %d of 512 admitted on room for one", round, admitted)
		}
		f.wantUsed(t, limits, 1, 10, 1)
		if ids := f.expireAll(t); len(ids) != 1 {
			t.Fatalf("Expire = %v", ids)
		}
	}
}

func extendsAtOnce(t *testing.T, f *fixture) {
	limits := compile(t, limit("tokens", quota.DimensionTokens, quota.WindowDay, 205))
	for i := range 100 {
		f.mustReserve(t, strconv.Itoa(i), limits, tokens(0, 1))
	}
	granted := atOnce(t, 100, func(i int) error {
		_, err := f.ledger.Extend(context.Background(), strconv.Itoa(i), quota.Amounts{OutputTokens: 11})
		return err
	})
	if granted != 10 {
		t.Errorf("%d slabs granted on room for 10", granted)
	}
	f.wantUsed(t, limits, 200)
}

// extendIsRepeated at once and later, and by calls that come late: what is held is the most that was named.
func extendIsRepeated(t *testing.T, f *fixture) {
	ctx := context.Background()
	limits := compile(t,
		limit("tokens", quota.DimensionTokens, quota.WindowDay, 100),
		limit("minute", quota.DimensionOutputTokens, quota.WindowMinute, 100))
	f.mustReserve(t, "a", limits, tokens(10, 40))
	if granted := atOnce(t, 100, func(i int) error {
		_, err := f.ledger.Extend(ctx, "a", quota.Amounts{OutputTokens: int64(41 + i%50)})
		return err
	}); granted != 100 {
		t.Errorf("%d of 100 calls were granted, which name 90 at most", granted)
	}
	f.wantUsed(t, limits, 100, 90)
	for _, to := range []quota.Amounts{tokens(10, 90), tokens(0, 41), tokens(10, 0), {}} {
		r, err := f.ledger.Extend(ctx, "a", to)
		if err != nil || r.Held != tokens(10, 90) || r.Standings[0].Used != 100 {
			t.Errorf("Extend to %+v = %+v, %v", to, r, err)
		}
	}
	_, err := f.ledger.Extend(ctx, "a", tokens(13, 50)) // more of one than is held, less of another
	if e := mustExhaust(t, err, "tokens"); e.Wanted != 3 || e.Standing.Used != 100 {
		t.Errorf("refusal %+v", e)
	}
	f.wantUsed(t, limits, 100, 90)
	f.mustSettle(t, "a", tokens(10, 20))
	f.wantUsed(t, limits, 30, 20)
}

func loweringDeniesNewWorkOnly(t *testing.T, f *fixture) {
	before := compile(t, limit("tokens", quota.DimensionTokens, quota.WindowDay, 100))
	after := compile(t, limit("tokens", quota.DimensionTokens, quota.WindowDay, 10))
	f.mustReserve(t, "a", before, tokens(0, 50))
	_, err := f.reserve("b", after, tokens(0, 1))
	if e := mustExhaust(t, err, "tokens"); e.Standing.Used != 50 || e.Standing.Limit.Value != 10 {
		t.Errorf("refusal %+v", e)
	}
	if _, err := f.ledger.Extend(context.Background(), "a", quota.Amounts{OutputTokens: 100}); err != nil {
		t.Errorf("what is in flight goes on under the limit it began with: %v", err)
	}
	f.mustSettle(t, "a", tokens(0, 60))
	f.wantUsed(t, after, 60)
	_, err = f.reserve("c", after, tokens(0, 1))
	mustExhaust(t, err, "tokens")
	f.mustReserve(t, "d", before, tokens(0, 40))
	f.wantUsed(t, before, 100)
}

func softLimitsCountOnly(t *testing.T, f *fixture) {
	soft := limit("soft", quota.DimensionTokens, quota.WindowDay, 10)
	soft.Enforcement = quota.EnforceSoft
	observed := limit("observed", quota.DimensionConcurrency, quota.WindowNone, 0)
	observed.Enforcement = quota.EnforceObserve
	limits := compile(t, soft, observed)
	r := f.mustReserve(t, "a", limits, tokens(10, 20))
	if r.Standings[0].Used != 30 || r.Standings[1].Used != 1 {
		t.Errorf("standings %+v", r.Standings)
	}
	if r, err := f.ledger.Extend(context.Background(), "a", quota.Amounts{OutputTokens: 25}); err != nil || r.Standings[0].Used != 35 {
		t.Errorf("Extend = %+v, %v", r, err)
	}
	f.mustSettle(t, "a", tokens(10, 25))
	f.wantUsed(t, limits, 35, 0)
}

func minuteSlides(t *testing.T, f *fixture) {
	limits := compile(t, limit("rpm", quota.DimensionRequests, quota.WindowMinute, 3))
	reserve := func(id string) error {
		_, err := f.reserve(id, limits, quota.Amounts{Requests: 1})
		return err
	}
	f.clock.set(noon.Add(4 * time.Second)) // the bucket from 0 to 5 s
	f.mustReserve(t, "a", limits, quota.Amounts{Requests: 1})
	f.mustSettle(t, "a", quota.Amounts{Requests: 1})
	f.clock.set(noon.Add(10 * time.Second))
	f.mustReserve(t, "b", limits, quota.Amounts{Requests: 2})

	f.clock.set(noon.Add(65*time.Second - tick))
	if e := mustExhaust(t, reserve("c"), "rpm"); !e.Standing.Reset.Equal(noon.Add(65 * time.Second)) {
		t.Errorf("reset %v, want when the oldest bucket leaves", e.Standing.Reset)
	}
	_, err := f.reserve("c", limits, quota.Amounts{Requests: 3})
	if e := mustExhaust(t, err, "rpm"); !e.Standing.Reset.Equal(noon.Add(75 * time.Second)) {
		t.Errorf("reset %v, want when enough will have left", e.Standing.Reset)
	}
	f.clock.advance(tick)
	f.wantUsed(t, limits, 2)
	if err := reserve("d"); err != nil {
		t.Errorf("after the oldest bucket has left: %v", err)
	}
	mustExhaust(t, reserve("e"), "rpm")
	// What is held in a bucket that has left does not count any more, and its end takes nothing from later ones.
	f.clock.set(noon.Add(75 * time.Second))
	f.wantUsed(t, limits, 1)
	if err := reserve("e"); err != nil {
		t.Errorf("where the held bucket was: %v", err)
	}
	if _, err := f.ledger.Extend(context.Background(), "b", quota.Amounts{Requests: 100}); err != nil {
		t.Errorf("extend of a call that has left the minute: %v", err)
	}
	f.mustSettle(t, "b", quota.Amounts{Requests: 50})
	f.wantUsed(t, limits, 2)
	f.clock.set(noon.Add(10 * time.Minute))
	f.wantUsed(t, limits, 0)
}

func windowsArePinned(t *testing.T, f *fixture) {
	day := limit("day", quota.DimensionTokens, quota.WindowDay, 100)
	day.Zone = "Asia/Tokyo"
	limits := compile(t, day, limit("month", quota.DimensionTokens, quota.WindowMonth, 1000))
	midnight := time.Date(2026, 3, 11, 15, 0, 0, 0, time.UTC)
	f.clock.set(midnight.Add(-time.Second))
	r := f.mustReserve(t, "a", limits, tokens(0, 90))
	if !r.Standings[0].Reset.Equal(midnight) {
		t.Errorf("reset %v, want %v", r.Standings[0].Reset, midnight)
	}
	f.clock.set(midnight)
	f.wantUsed(t, limits, 0, 90)
	f.mustReserve(t, "b", limits, tokens(0, 100))
	if r, err := f.ledger.Extend(context.Background(), "a", tokens(0, 100)); err != nil || r.Standings[0].Used != 100 {
		t.Errorf("Extend in the window of yesterday = %+v, %v", r, err)
	}
	_, err := f.ledger.Extend(context.Background(), "a", tokens(0, 101))
	mustExhaust(t, err, "day")
	f.mustSettle(t, "a", tokens(0, 95))
	f.wantUsed(t, limits, 100, 195)
	yesterday, err := f.ledger.Standings(context.Background(), ann, limits, midnight.Add(-time.Second))
	if err != nil || yesterday[0].Used != 95 {
		t.Errorf("yesterday: %+v, %v, want 95 used", yesterday, err)
	}
	f.mustSettle(t, "b", tokens(0, 7)) // today, although yesterday's counter is still there
	f.wantUsed(t, limits, 7, 102)
	if yesterday, err = f.ledger.Standings(context.Background(), ann, limits, midnight.Add(-time.Second)); err != nil || yesterday[0].Used != 95 {
		t.Errorf("yesterday: %+v, %v, want 95 used", yesterday, err)
	}
}

func denialNamesTheLongest(t *testing.T, f *fixture) {
	one := tokens(0, 1)
	limits := compile(t,
		limit("at once", quota.DimensionConcurrency, quota.WindowNone, 1),
		limit("minute", quota.DimensionRequests, quota.WindowMinute, 1),
		limit("month", quota.DimensionRequests, quota.WindowMonth, 1),
		limit("day", quota.DimensionTokens, quota.WindowDay, 10))
	f.mustReserve(t, "a", limits, one)
	_, err := f.reserve("b", limits, one)
	mustExhaust(t, err, "month")
	_, err = f.reserve("b", limits, tokens(0, 11))
	if e := mustExhaust(t, err, "day"); !e.Never() {
		t.Errorf("refusal %+v, want one that says never", e)
	}
}

func nothingAlwaysFits(t *testing.T, f *fixture) {
	before := compile(t, limit("output", quota.DimensionOutputTokens, quota.WindowDay, 5))
	f.mustReserve(t, "a", before, tokens(0, 5))
	lowered := compile(t, limit("output", quota.DimensionOutputTokens, quota.WindowDay, 1))
	f.mustReserve(t, "b", lowered, tokens(100, 0))
	if _, err := f.ledger.Extend(context.Background(), "b", tokens(200, 0)); err != nil {
		t.Errorf("more of what has room: %v", err)
	}
}

func subjectsDoNotMeet(t *testing.T, f *fixture) {
	everyone := limit("everyone", quota.DimensionRequests, quota.WindowDay, 3)
	everyone.Scope = quota.ScopeEveryone
	model := limit("model", quota.DimensionRequests, quota.WindowDay, 1)
	model.Model = "gpt-5*"
	limits := compile(t, limit("each", quota.DimensionRequests, quota.WindowDay, 1), everyone, model)
	reserve := func(id string, s quota.Subject) error {
		_, err := f.ledger.Reserve(context.Background(), quota.Request{
			ID: id, Subject: s, Amounts: quota.Amounts{Requests: 1}, Limits: limits, At: f.clock.now(),
		})
		return err
	}
	for id, s := range map[string]quota.Subject{
		"a": {User: "ann", Model: "gpt-5"}, "b": {User: "bob", Model: "gpt-5-mini"}, "c": {App: "ide", Model: "o3"},
	} {
		if err := reserve(id, s); err != nil {
			t.Errorf("%+v: %v", s, err)
		}
	}
	mustExhaust(t, reserve("d", quota.Subject{App: "ide"}), "everyone")
}
