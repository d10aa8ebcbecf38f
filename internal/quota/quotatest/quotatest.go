// Package quotatest is the conformance suite of quota.Ledger: every implementation must pass Run.
//
// Its tests bear the names of the invariants that the contract lists. It must not know any implementation.
package quotatest

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/quota"
)

// Ledger is what the suite tests.
type Ledger interface {
	quota.Ledger
	// Overruns gives how many reservations were settled above what they held.
	Overruns() uint64
}

const (
	// Lease is the lease that ledgers under test must give.
	Lease = 30 * time.Second
	// tick is the least time that ledgers must tell apart.
	tick = time.Microsecond
)

// Open makes an empty ledger with leases of Lease. now is its clock, which the suite sets.
type Open func(t testing.TB, now func() time.Time) Ledger

// Run runs the suite on ledgers that open makes. The flag -rapid.checks sets the number of random sequences, which have
// 30 steps on average.
func Run(t *testing.T, open Open) {
	tests := []struct {
		name string
		test func(*testing.T, *fixture)
	}{
		{"I1/reserve", reserveStopsAtTheLimit},
		{"I1/extend", extendStopsAtTheLimit},
		{"I1/extend long after the window", longWindowIsExtended},
		{"I1/at once", oneOfManyIsAdmitted},
		{"I1/extends at once", extendsAtOnce},
		{"I1/lowered in flight", loweringDeniesNewWorkOnly},
		{"I1/soft and observed limits do not refuse", softLimitsCountOnly},
		{"I1/sliding minute", minuteSlides},
		{"I1/sliding minute bucket by bucket", minuteBucketByBucket},
		{"I1/sliding minute outlasts a call that holds nothing", minuteOutlastsEmptyHold},
		{"I1b", overrunIsBooked},
		{"I2", allOrNothing},
		{"I2/many limits", manyLimits},
		{"I2/extend refused leaves it as it was", refusedExtendChangesNothing},
		{"I3/settle", settleRepeats},
		{"I3/void", voidRepeats},
		{"I3/expire", expireRepeats},
		{"I3/settled after expire", lateSettlement},
		{"I3/voided after expire", lateVoid},
		{"I3/above the hold after expire", lateOverrun},
		{"I3/reserve", reserveRepeats},
		{"I3/extend", extendIsRepeated},
		{"I3/unknown", unknownReservations},
		{"I4", leasesPass},
		{"I4/progress of each", progressOfEach},
		{"I5", postedIsWhatWasSettled},
		{"I5/windows are pinned by reserve", windowsArePinned},
		{"I6", amountsOutOfRange},
		{"I7/the limit that outlasts is named", denialNamesTheLongest},
		{"I8/nothing wanted", nothingAlwaysFits},
		{"I8/other subjects", subjectsDoNotMeet},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, newFixture(t, open)) })
	}
	t.Run("I1 to I8 in random sequences", func(t *testing.T) { sequences(t, open) })
}

// clock is set by the tests.
type clock struct{ nanos atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(0, c.nanos.Load()).UTC() }
func (c *clock) set(at time.Time)        { c.nanos.Store(at.UnixNano()) }
func (c *clock) advance(d time.Duration) { c.nanos.Add(int64(d)) }

// noon is a time far from the bounds of all windows but the minute.
var noon = time.Date(2026, 3, 11, 12, 30, 0, 0, time.UTC)

// ann is the subject of tests in which the subject does not matter.
var ann = quota.Subject{User: "ann", Team: "red", App: "ide", Model: "gpt-5"}

type fixture struct {
	clock  clock
	ledger Ledger
	asked  int // by wantRoom
}

func newFixture(t testing.TB, open Open) *fixture {
	f := &fixture{}
	f.clock.set(noon)
	f.ledger = open(t, f.clock.now)
	return f
}

// reserve reserves at the time of the clock.
func (f *fixture) reserve(id string, limits *quota.LimitSet, a quota.Amounts) (quota.Reservation, error) {
	return f.ledger.Reserve(context.Background(), quota.Request{
		ID: id, Subject: ann, Amounts: a, Limits: limits, At: f.clock.now(),
	})
}

func (f *fixture) mustReserve(t testing.TB, id string, limits *quota.LimitSet, a quota.Amounts) quota.Reservation {
	t.Helper()
	r, err := f.reserve(id, limits, a)
	if err != nil {
		t.Fatalf("Reserve(%s): %v", id, err)
	}
	return r
}

func (f *fixture) mustSettle(t testing.TB, id string, used quota.Amounts) {
	t.Helper()
	got, err := f.ledger.Settle(context.Background(), id, used)
	if err != nil {
		t.Fatalf("Settle(%s): %v", id, err)
	}
	if got != used {
		t.Fatalf("Settle(%s) = %+v, want %+v", id, got, used)
	}
}

// expireAll lets the leases of all pass.
func (f *fixture) expireAll(t testing.TB) []string {
	t.Helper()
	f.clock.advance(Lease + tick)
	ids, err := f.ledger.Expire(context.Background(), f.clock.now())
	if err != nil {
		t.Fatalf("Expire: %v", err)
	}
	return ids
}

// wantUsed compares what is used under each limit that matches ann now, in the order of the set.
func (f *fixture) wantUsed(t testing.TB, limits *quota.LimitSet, want ...int64) {
	t.Helper()
	standings, err := f.ledger.Standings(context.Background(), ann, limits, f.clock.now())
	if err != nil {
		t.Fatalf("Standings: %v", err)
	}
	got := make([]int64, len(standings))
	for i, s := range standings {
		got[i] = s.Used
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("used (-want +got):\n%s", diff)
	}
}

func compile(t testing.TB, limits ...quota.Limit) *quota.LimitSet {
	t.Helper()
	s, err := quota.Compile(limits)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// limit gives a limit on each user.
func limit(id string, d quota.Dimension, w quota.Window, value int64) quota.Limit {
	return quota.Limit{ID: id, Scope: quota.ScopeUser, Dimension: d, Window: w, Value: value}
}

func tokens(in, out int64) quota.Amounts {
	return quota.Amounts{Requests: 1, InputTokens: in, OutputTokens: out}
}
