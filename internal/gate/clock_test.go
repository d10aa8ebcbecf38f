package gate_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/gate/gatetest"
	"github.com/plumbline/plumbline/internal/quota"
)

// A clock that jumps by a day in the midst of exchanges, the gate's or the ledger's, charges nothing twice and leaves nothing
// held: who asks after it is counted once, and who was in flight is charged once.
func TestClockThatJumpsByADay(t *testing.T) {
	const day = 24 * time.Hour
	for _, jump := range []struct{ gate, ledger time.Duration }{{day, 0}, {-day, 0}, {0, day}, {0, -day}, {day, day}, {-day, -day}, {day, -day}} {
		t.Run(fmt.Sprint(jump.gate, " ", jump.ledger), func(t *testing.T) {
			var gateIs, ledgerIs time.Duration
			noon := time.Date(2030, 6, 15, 12, 0, 0, 0, time.UTC)
			w := gatetest.New(t, gatetest.Options{
				Limits: append(counters(),
					quota.Limit{ID: "flight", Scope: quota.ScopeUser, Dimension: quota.DimensionConcurrency, Window: quota.WindowNone, Value: 3},
					quota.Limit{ID: "rate", Scope: quota.ScopeUser, Dimension: quota.DimensionRequests, Window: quota.WindowMinute, Value: 100},
					quota.Limit{ID: "day", Scope: quota.ScopeUser, Dimension: quota.DimensionOutputTokens, Window: quota.WindowDay, Value: 50_000},
				),
				Now: func() time.Time { return noon.Add(gateIs) }, LedgerNow: func() time.Time { return noon.Add(ledgerIs) },
			})
			w.Classify = unjudged
			stream, _ := admitted(t, w, chat(streaming))
			answers(t, stream, eventStream)
			observed(t, stream, piece(twelve), false)
			lost, _ := admitted(t, w, chat(streaming)) // nobody closes it in time
			answers(t, lost, eventStream)
			observed(t, lost, piece(twelve), false)
			touched := w.Gate.Live()

			gateIs, ledgerIs = jump.gate, jump.ledger
			// As the keeper does: renew first what is there, then end what nobody renewed.
			for _, p := range touched {
				if p.ID == stream.ID() {
					if err := w.Ledger.Touch(t.Context(), p); err != nil {
						t.Fatal(err)
					}
				}
			}
			expired, err := w.Ledger.Expire(t.Context(), noon.Add(ledgerIs))
			if err != nil {
				t.Fatal(err)
			}
			observed(t, stream, piece(longText+longText), false) // has to extend
			later, _ := admitted(t, w, chat(`,"max_completion_tokens":300`))
			answers(t, later, jsonType)
			observed(t, later, []byte(answered), true)
			observed(t, stream, append(usageEvent(20, 1412), done...), true)
			lost.Close(t.Context(), core.FinishInterrupted)

			if n := w.Ledger.Pending(); n != 0 || len(expired) > 1 {
				t.Errorf("%d are held, %d were ended by their lease", n, len(expired))
			}
			standings, err := w.Ledger.Standings(t.Context(), quota.Subject{User: gatetest.User, Model: "gpt-4o-mini"}, w.Limits(), noon)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range standings {
				switch {
				case s.Limit.ID == "flight" && s.Used != 0:
					t.Errorf("%d are in flight", s.Used)
				case s.Limit.ID == "count-requests" && s.Used != 3:
					t.Errorf("%d requests are counted, want 3", s.Used)
				case s.Limit.ID == "count-output_tokens" && s.Used != 1412+7+12:
					t.Errorf("%d tokens of output are counted", s.Used)
				}
			}
			if n := len(w.Gate.Live()); n != 0 {
				t.Errorf("%d exchanges are live", n)
			}
			// Whoever asks once the clocks are right again is not kept out by what was counted on the wrong day.
			gateIs, ledgerIs = 0, 0
			again, _ := admitted(t, w, chat(`,"max_completion_tokens":300`))
			again.Close(t.Context(), core.FinishInterrupted)
		})
	}
}
