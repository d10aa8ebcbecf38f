package guard

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/quota"
)

// TestSettlementIsDeliveredLater: the end of an exchange that the ledger was not told is told when it is back.
func TestSettlementIsDeliveredLater(t *testing.T) {
	for name, met := range map[string]fault{"refused": refused, "not heard of": unheard, "late": postponed} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1, limit("tokens", quota.DimensionTokens, 100))
			r := w.admit(t, 0, "x", 50)
			w.fault = func(string) fault { return met }
			w.finish(t, 0, r, 20)
			w.back()
			w.passes(t, 3)
			w.stands(t, 20, 0)
			w.arrive()
			w.passes(t, 12)
			w.stands(t, 20, 0)
		})
	}
}

// TestSettlementAfterAnothersSweep: the ledger let the lease end meanwhile and charged the last progress. The difference is
// booked once.
func TestSettlementAfterAnothersSweep(t *testing.T) {
	w := newWorld(t, 2, limit("tokens", quota.DimensionTokens, 100))
	r := w.admit(t, 0, "x", 50)
	if err := w.replicas[0].Touch(t.Context(), quota.Progress{ID: "x", Used: quota.Amounts{OutputTokens: 7}}); err != nil {
		t.Fatal(err)
	}
	w.replicas[0].down(errBroken)
	w.finish(t, 0, r, 20)
	w.clock.add(time.Minute)
	if ids, err := w.replicas[1].Expire(t.Context(), w.clock.Now()); err != nil || !slices.Equal(ids, []string{"x"}) {
		t.Fatalf("expired %v, %v", ids, err)
	}
	w.stands(t, 7, 0)
	w.passes(t, 15)
	w.stands(t, 20, 0)
}

// TestWhoeverComesBackAfterTheirLeaseIsCounted, also when the epoch in which it ended is over.
func TestWhoeverComesBackAfterTheirLeaseIsCounted(t *testing.T) {
	w := newWorld(t, 1, limit("tokens", quota.DimensionTokens, 1000))
	settled, voided := w.admit(t, 0, "settled", 50), w.admit(t, 0, "voided", 50)
	w.clock.add(time.Minute)
	if ids, err := w.replicas[0].Expire(t.Context(), w.clock.Now()); err != nil || len(ids) != 2 {
		t.Fatalf("expired %v, %v", ids, err)
	}
	w.flush()
	w.passes(t, 2)
	w.stands(t, 0, 2)
	w.finish(t, 0, settled, 20)
	if err := w.replicas[0].Void(t.Context(), voided.ID); err != nil {
		t.Error(err)
	}
	w.passes(t, 15)
	w.stands(t, 20, 0)
}

// TestCrashIsCorrectedAtTheNextStart: others charge the last progress; the restarted process charges what its records say.
func TestCrashIsCorrectedAtTheNextStart(t *testing.T) {
	w := newWorld(t, 2, limit("tokens", quota.DimensionTokens, 1000))
	w.admit(t, 0, "open", 50) // a minute later Recover closes it at what was held
	owed := w.admit(t, 0, "owed", 50)
	w.finish(t, 0, w.admit(t, 0, "told", 50), 30)
	w.away()
	apart := w.admit(t, 0, "apart", 5)
	w.finish(t, 0, apart, 5)
	w.finish(t, 0, owed, 20)
	w.back()
	w.clock.add(time.Hour) // long after tombstones of what was settled are gone
	w.replicas[1].pass(t.Context())
	if _, err := w.replicas[1].Expire(t.Context(), w.clock.Now()); err != nil {
		t.Fatal(err)
	}
	delete(w.holds, "told")
	w.stands(t, 30, 0)

	b := w.replicas[0].book
	b.recover(map[string]quota.Subject{"open": {User: "ann"}})
	w.replicas[0] = newReplica(w.server, b, "book0", w.limits)
	w.passes(t, 15)
	w.stands(t, 50+20+30+5, 0)
}

// TestReserveThatCameLateIsLetGo: the hold of a call that was admitted without the ledger, or refused, is not kept.
func TestReserveThatCameLateIsLetGo(t *testing.T) {
	w := newWorld(t, 1, limit("tokens", quota.DimensionTokens, 100))
	w.fault = func(string) fault { return postponed }
	r := w.admit(t, 0, "apart", 5)
	var exhausted *quota.ExhaustedError
	if _, err := w.reserve(t, 0, "refused", 500, 0); !errors.As(err, &exhausted) {
		t.Fatal(err)
	}
	w.back()
	w.passes(t, 1)
	w.late = append(w.late, func() {
		q := request("refused", w.limits, w.clock.Now(), 50, 0)
		w.holds["refused"] = &onServer{book: "book0", limits: q.Limits.AppendMatches(nil, q.Subject, q.At), request: q, held: q.Amounts, state: "live", until: w.clock.Now().Add(time.Hour)}
	})
	w.arrive()
	w.stands(t, 0, 2)
	w.passes(t, 11)
	w.stands(t, 0, 1) // the one without a record may be asked for again: it goes a pass later
	w.passes(t, 11)
	w.stands(t, 0, 0)
	w.finish(t, 0, r, 5)
	w.passes(t, 11)
	w.stands(t, 5, 0)
}

// TestEmptiedLedgerIsFilledFromTheRecords, with what is in flight held again and nothing charged twice.
func TestEmptiedLedgerIsFilledFromTheRecords(t *testing.T) {
	for name, lose := range map[string]func(*world){
		"emptied":     func(w *world) { w.flush() },
		"failed over": func(w *world) { w.lost = true },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 2, limit("tokens", quota.DimensionTokens, 10_000))
			w.finish(t, 0, w.admit(t, 0, "a", 100), 100)
			w.finish(t, 1, w.admit(t, 1, "b", 100), 50)
			open := w.admit(t, 0, "open", 7)
			lose(w)
			w.replicas[0].pass(t.Context())
			w.replicas[0].pass(t.Context())
			if w.replicas[0].serving.Load() {
				t.Error("one replica serves before the other's book is back")
			}
			w.passes(t, 3)
			w.stands(t, 150, 1)
			w.finish(t, 0, open, 7)
			w.stands(t, 157, 0)
		})
	}
}

// TestEndedWhileTheBookIsBroughtBack: an exchange that is held again and ends before its book is back is charged once.
func TestEndedWhileTheBookIsBroughtBack(t *testing.T) {
	w := newWorld(t, 1, limit("tokens", quota.DimensionTokens, 10_000))
	open := w.admit(t, 0, "open", 7)
	w.flush()
	ended := false
	w.fault = func(op string) fault {
		if op == "begin" && !ended {
			ended = true
			w.replicas[0].book.outcome(quota.Subject{User: "ann"}, open, quota.Amounts{Requests: 1, OutputTokens: 7})
		}
		return none
	}
	w.passes(t, 1)
	if _, err := w.replicas[0].Settle(t.Context(), "open", quota.Amounts{Requests: 1, OutputTokens: 7}); err != nil {
		t.Fatal(err)
	}
	w.passes(t, 15)
	if !ended {
		t.Fatal("no epoch was begun")
	}
	w.stands(t, 7, 0)
}

func TestBookBroughtBackInPartBeginsAnewEpoch(t *testing.T) {
	w := newWorld(t, 1, limit("tokens", quota.DimensionTokens, 10_000))
	w.finish(t, 0, w.admit(t, 0, "a", 100), 100)
	w.flush()
	posts := 0
	w.fault = func(op string) fault { // nothing comes through after the first posting
		if op == "post" {
			posts++
		}
		if posts > 1 {
			return refused
		}
		return none
	}
	w.passes(t, 2)
	w.back()
	w.replicas[0] = newReplica(w.server, w.replicas[0].book, "book0", w.limits)
	w.passes(t, 4)
	w.stands(t, 100, 0)
}

// TestBrokenRecordsBeginNoEpochs: a replica that cannot read its book must not keep the others from serving.
func TestBrokenRecordsBeginNoEpochs(t *testing.T) {
	w := newWorld(t, 2, limit("tokens", quota.DimensionTokens, 10_000))
	w.finish(t, 1, w.admit(t, 1, "b", 100), 50)
	w.replicas[0].book.fail = errBroken
	w.flush()
	w.passes(t, 32)
	if w.replicas[0].serving.Load() || !w.replicas[1].serving.Load() {
		t.Error("the one that can serve must, and the other must not")
	}
	if w.number > 4 {
		t.Errorf("%d epochs", w.number)
	}
	w.stands(t, 50, 0)
	w.replicas[0].book.fail = nil
	w.passes(t, 3)
	if !w.replicas[0].serving.Load() {
		t.Error("it does not serve")
	}
}

// TestEndOfWhatWasAdmittedApartIsBookedOnce, although the ledger made the hold and was not heard.
func TestEndOfWhatWasAdmittedApartIsBookedOnce(t *testing.T) {
	w := newWorld(t, 1, limit("tokens", quota.DimensionTokens, 100))
	w.fault = func(string) fault { return unheard }
	r := w.admit(t, 0, "apart", 5)
	w.finish(t, 0, r, 5)
	w.stands(t, 0, 1)
	w.back()
	w.passes(t, 12)
	w.stands(t, 5, 0)
}

// TestEndThatWasNotRecordedIsLeftToTheNextStart: its intent says that it was forwarded, so that it is not let go for nothing.
func TestEndThatWasNotRecordedIsLeftToTheNextStart(t *testing.T) {
	w := newWorld(t, 1, limit("tokens", quota.DimensionTokens, 100))
	w.admit(t, 0, "x", 50)
	w.away()
	if _, err := w.replicas[0].Settle(t.Context(), "x", quota.Amounts{OutputTokens: 20}); err != nil { // without a record
		t.Fatal(err)
	}
	w.back()
	w.passes(t, 25)
	w.stands(t, 0, 1)
	b := w.replicas[0].book
	b.recover(map[string]quota.Subject{"x": {User: "ann"}})
	w.replicas[0] = newReplica(w.server, b, "book0", w.limits)
	w.passes(t, 3)
	w.stands(t, 50, 0)
}

// TestPostingThatWasNotHeardIsAskedFor, and needs no new epoch.
func TestPostingThatWasNotHeardIsAskedFor(t *testing.T) {
	for name, met := range map[string]fault{"done": unheard, "not done": refused} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1, limit("tokens", quota.DimensionTokens, 1000))
			w.finish(t, 0, w.admit(t, 0, "a", 100), 100)
			w.flush()
			posts := 0
			w.fault = func(op string) fault {
				if op == "post" {
					if posts++; posts == 2 {
						return met
					}
				}
				return none
			}
			before := w.number
			w.passes(t, 2)
			w.stands(t, 100, 0)
			if n := w.number - before; n != 1 {
				t.Errorf("%d epochs", n)
			}
		})
	}
}

// TestCallsInFlightAreLeftAlone, although nothing is recorded of them yet.
func TestCallsInFlightAreLeftAlone(t *testing.T) {
	w := newWorld(t, 1, limit("tokens", quota.DimensionTokens, 100))
	if _, err := w.reserve(t, 0, "x", 5, 0); err != nil {
		t.Fatal(err)
	}
	w.passes(t, 25)
	w.stands(t, 0, 1)
}
