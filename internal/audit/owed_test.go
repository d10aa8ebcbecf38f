package audit_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
)

// appendAll appends records one after the other.
func appendAll(t *testing.T, log *audit.Log, records ...core.Record) {
	t.Helper()
	for _, rec := range records {
		if err := log.Append(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
	}
}

// apart is a record of an exchange that was admitted without the ledger.
func apart(rec core.Record) core.Record {
	rec.Fallback = "local"
	return rec
}

// A log keeps its name over restarts, and has one that no other log has.
func TestNameOfALog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.db")
	name := func(log *audit.Log) string {
		t.Helper()
		name, err := log.Name(t.Context())
		if err != nil || name == "" {
			t.Fatalf("name %q, %v", name, err)
		}
		return name
	}
	first := openLog(t, audit.Options{Path: path})
	appendAll(t, first, intentRecord(0), outcomeRecord(0))
	want := name(first)
	if err := first.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	again := openLog(t, audit.Options{Path: path})
	appendAll(t, again, intentRecord(1))
	if got := name(again); got != want {
		t.Errorf("named %q after a restart, was %q", got, want)
	}
	if got := name(openLog(t, audit.Options{})); got == want {
		t.Errorf("another log is named %q too", got)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if name, err := again.Name(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("without time: %q, %v", name, err)
	}
}

// The end is at or above every record that was appended before, and those alone.
func TestEndOfALog(t *testing.T) {
	log := openLog(t, audit.Options{})
	end := func() int64 {
		t.Helper()
		end, err := log.End(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return end
	}
	if got := end(); got != 0 {
		t.Errorf("an empty log ends at %d", got)
	}
	for n := range 5 {
		before := end()
		appendAll(t, log, intentRecord(n), outcomeRecord(n))
		after := end()
		var position int64
		err := log.Charges(t.Context(), audit.ChargesQuery{After: before}, func(c audit.Charged) error {
			position = c.Position
			return nil
		})
		if err != nil || after != position || after != before+2 {
			t.Errorf("exchange %d at %d: from %d to %d, %v", n, position, before, after, err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := log.End(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("without time: %d, %v", got, err)
	}
}

// Of each exchange the log says what was settled, whether it is open, and whether the ledger knew of it: of the latest and of
// those that are long in the indexes alike.
func TestEndings(t *testing.T) {
	log := openLog(t, audit.Options{})
	open, settled, nothing, refused := intentRecord(0), outcomeRecord(1), outcomeRecord(2), intentRecord(3)
	nothing.Settled = nil
	refused.Kind, refused.Reserved = core.RecordDeny, nil
	refused.Verdict = &core.Verdict{Action: core.ActionBlock, Decided: core.ActionBlock, Reason: core.ReasonQuotaExhausted}
	refused.Reason = core.ReasonQuotaExhausted
	appendAll(t, log,
		open, intentRecord(1), settled, intentRecord(2), nothing, refused,
		apart(intentRecord(4)), apart(intentRecord(5)), apart(outcomeRecord(5)))
	want := map[string]audit.Ending{
		exchangeID(0): {Open: true},
		exchangeID(1): {Charge: *settled.Settled},
		exchangeID(2): {},
		exchangeID(4): {Open: true, Fallback: true},
		exchangeID(5): {Charge: *outcomeRecord(5).Settled, Fallback: true},
	}
	asked := []string{"", "unknown", `") OR 1 --`, exchangeID(1)} // some twice
	for n := range 6 {
		asked = append(asked, exchangeID(n))
	}
	check := func(when string) {
		t.Helper()
		got, err := log.Endings(t.Context(), asked)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	check("when nothing is indexed")
	for n := 100; n < 1500; n++ {
		appendAll(t, log, intentRecord(n), outcomeRecord(n))
	}
	check("when all is indexed")
	appendAll(t, log, outcomeRecord(0))
	want[exchangeID(0)] = audit.Ending{Charge: *outcomeRecord(0).Settled}
	check("when an intent is indexed and its outcome is not")

	if got, err := log.Endings(t.Context(), nil); err != nil || len(got) != 0 {
		t.Errorf("of no exchange: %v, %v", got, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := log.Endings(ended, asked); !errors.Is(err, context.Canceled) || got != nil {
		t.Errorf("without time: %v, %v", got, err)
	}
}

// What the ledger was not asked about is given once each, in order, after the mark and up to the end that is told, from which
// the next look goes on.
func TestFallbackCharges(t *testing.T) {
	log := openLog(t, audit.Options{})
	nothing := apart(outcomeRecord(3))
	nothing.Settled = nil
	appendAll(t, log,
		intentRecord(0), outcomeRecord(0),
		apart(intentRecord(1)), apart(outcomeRecord(1)),
		apart(intentRecord(2)), // open
		apart(intentRecord(3)), nothing,
		apart(intentRecord(4)), apart(outcomeRecord(4)))
	after := func(mark int64) (exchanges []string, end int64) {
		t.Helper()
		var last int64
		end, err := log.FallbackCharges(t.Context(), mark, func(c audit.Charged) error {
			if c.Position <= last {
				t.Errorf("position %d after %d", c.Position, last)
			}
			last = c.Position
			exchanges = append(exchanges, c.Exchange)
			var n int
			if _, err := fmt.Sscanf(c.By.User, "user-%d", &n); err != nil {
				t.Fatal(err)
			}
			want := outcomeRecord(n)
			if diff := cmp.Diff(*want.Settled, c.Charge); diff != "" || c.Model != want.Model || c.By.Team != want.Principal.Team || c.By.App != want.Principal.App {
				t.Errorf("%+v of %+v, model %s", c.Charge, c.By, c.Model)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return exchanges, end
	}
	all, mark := after(0)
	if diff := cmp.Diff([]string{exchangeID(1), exchangeID(4)}, all); diff != "" || mark != 9 {
		t.Errorf("up to %d (-want +got):\n%s", mark, diff)
	}
	if some, _ := after(4); len(some) != 1 || some[0] != exchangeID(4) {
		t.Errorf("after the first: %v", some)
	}
	appendAll(t, log, intentRecord(5), outcomeRecord(5), apart(outcomeRecord(2)))
	if some, end := after(mark); len(some) != 1 || some[0] != exchangeID(2) || end != mark+3 {
		t.Errorf("after the mark: %v up to %d", some, end)
	}
	if some, end := after(mark + 3); len(some) != 0 || end != mark+3 {
		t.Errorf("after all: %v up to %d", some, end)
	}

	stop := errors.New("stop")
	calls := 0
	_, err := log.FallbackCharges(t.Context(), 0, func(audit.Charged) error { calls++; return stop })
	if !errors.Is(err, stop) || calls != 1 {
		t.Errorf("an error of fn: %v after %d calls", err, calls)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := log.FallbackCharges(ended, 0, func(audit.Charged) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("without time: %v", err)
	}
}

// A log that is longer than one look is read to its end.
func TestFallbackChargesOfALongLog(t *testing.T) {
	log := openLog(t, audit.Options{Journal: 4 << 20})
	appendAll(t, log, apart(outcomeRecord(0)))
	const between, writers = 17_000, 100 // more than the 16,384 of a look
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for n := w; n < between; n += writers {
				if err := log.Append(t.Context(), core.Record{Kind: core.RecordIntent, Time: start, Exchange: exchangeID(1 + n)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	appendAll(t, log, apart(outcomeRecord(between+1)))
	var got []string
	end, err := log.FallbackCharges(t.Context(), 0, func(c audit.Charged) error {
		got = append(got, c.Exchange)
		return nil
	})
	want := []string{exchangeID(0), exchangeID(between + 1)}
	if diff := cmp.Diff(want, got); err != nil || end != between+2 || diff != "" {
		t.Errorf("up to %d, %v (-want +got):\n%s", end, err, diff)
	}
}
