package guard

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/quota"
)

// TestWhatIsKnownIsBounded, has what a share is made of and no more, and is forgotten with its window.
func TestWhatIsKnownIsBounded(t *testing.T) {
	all, now := standings{}, time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)
	money, tokens := limit("money", quota.DimensionCost, 100), limit("tokens", quota.DimensionTokens, 100)
	money.Scope, tokens.Scope = quota.ScopeUser, quota.ScopeUser
	all.learn(quota.Subject{User: "ann"}, []quota.Standing{{Limit: &money, Used: 1, Reset: now}}, now)
	if len(all) != 0 {
		t.Errorf("a closed limit, which has no share, is known: %v", all)
	}
	for i := range maxStandings + 10 {
		reset := now.Add(time.Duration(i%2) * time.Hour)
		all.learn(quota.Subject{User: strconv.Itoa(i)}, []quota.Standing{{Limit: &tokens, Used: 1, Reset: reset}}, now)
	}
	if len(all) != maxStandings {
		t.Errorf("%d counters are known, want %d", len(all), maxStandings)
	}
	all.tidy(now.Add(2 * time.Minute))
	if n := len(all); n < maxStandings/3 || n > maxStandings*2/3 {
		t.Errorf("%d counters are known when the windows of half have passed", n)
	}
}

// TestSetsAtScaleAreBounded by those of calls in flight.
func TestSetsAtScaleAreBounded(t *testing.T) {
	a := &apart{replicas: 2, scaled: map[*quota.LimitSet]*scaled{}}
	for range 3 * maxScaled {
		limits := compiled(limit("tokens", quota.DimensionTokens, 100))
		if got := a.scale(limits).local.Limits()[0].Value; got != 50 {
			t.Errorf("a share of %d", got)
		}
		if n := len(a.scaled); n > maxScaled {
			t.Fatalf("%d sets are kept", n)
		}
	}
}

// TestLateAnswerLowersNoHold: an extension that is answered after a larger one tells of less.
func TestLateAnswerLowersNoHold(t *testing.T) {
	w := newWorld(t, 1, limit("tokens", quota.DimensionTokens, 100))
	g := w.replicas[0].Guard
	w.admit(t, 0, "a", 50)
	for _, to := range []int64{80, 60} {
		g.grow("a", quota.Amounts{OutputTokens: to}, modeShared)
		if h, known := g.find("a"); !known || h.amounts.OutputTokens != 80 || h.shared.OutputTokens != 80 {
			t.Errorf("to %d: %+v", to, h)
		}
	}
}

// TestUseOfAWindowThatIsOver takes nothing from the share of the next.
func TestUseOfAWindowThatIsOver(t *testing.T) {
	hour := limit("tokens", quota.DimensionTokens, 100)
	hour.Window = quota.WindowHour
	w := newWorld(t, 1, hour)
	w.finish(t, 0, w.admit(t, 0, "before", 80), 80)
	w.admit(t, 0, "learns", 0)
	w.clock.add(time.Hour)
	w.away()
	if _, err := w.reserve(t, 0, "after", 80, 0); err != nil {
		t.Error(err)
	}
}

// TestRefusalTellsWhatIsUsed, also where nothing was admitted since others used it.
func TestRefusalTellsWhatIsUsed(t *testing.T) {
	w := newWorld(t, 2, limit("tokens", quota.DimensionTokens, 100))
	w.finish(t, 0, w.admit(t, 0, "before", 90), 90)
	var exhausted *quota.ExhaustedError
	if _, err := w.reserve(t, 1, "refused", 20, 0); !errors.As(err, &exhausted) {
		t.Fatal(err)
	}
	w.away()
	if _, err := w.reserve(t, 1, "above", 6, 0); !errors.As(err, &exhausted) || exhausted.Standing.Used != 45 {
		t.Errorf("above half of what is left: %v", err)
	}
}
