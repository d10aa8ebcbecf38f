package gate_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/gate/gatetest"
	"github.com/plumbline/plumbline/internal/quota"
)

// used is what Live says of the only exchange.
func used(t *testing.T, w *gatetest.World) quota.Amounts {
	t.Helper()
	live := w.Gate.Live()
	if len(live) != 1 {
		t.Fatalf("%d exchanges are live, want 1", len(live))
	}
	return live[0].Used
}

func TestLiveFollowsAnExchange(t *testing.T) {
	w := gatetest.New(t, gatetest.Options{})
	w.Fail = func(_ context.Context, step string) error {
		// It is live before anything is held, so that it is at every moment after.
		if (step == "reserve" || step == string(core.RecordIntent)) && used(t, w) != (quota.Amounts{}) {
			t.Error("a request that was not forwarded has used something")
		}
		return nil
	}
	x := opened(t, w)
	if n := len(w.Gate.Live()); n != 0 {
		t.Errorf("%d exchanges are live before anything is held", n)
	}
	if _, reply := x.Admit(t.Context(), chat(streaming)); reply != nil {
		t.Fatalf("refused: %s", reply.Body)
	}
	forwarded := used(t, w)
	if forwarded.Requests != 1 || forwarded.InputTokens == 0 || forwarded.OutputTokens != 0 || forwarded.Cost == 0 {
		t.Errorf("forwarded: used %+v, want the request and its input", forwarded)
	}
	answers(t, x, eventStream)
	observed(t, x, piece(strings.Repeat(" word", 20)), false)
	partly := used(t, w)
	if partly.OutputTokens < 20 || partly.OutputTokens >= quota.StreamSlab || partly.Cost <= forwarded.Cost {
		t.Errorf("after 20 words: used %+v", partly)
	}
	observed(t, x, piece(longText+longText), false)
	if got := used(t, w); got.OutputTokens < 1400 || got.OutputTokens > 3*quota.StreamSlab {
		t.Errorf("after 1,400 words more: used %+v", got)
	}
	x.Close(t.Context(), core.FinishInterrupted)
	if n := len(w.Gate.Live()); n != 0 {
		t.Errorf("%d exchanges are live after the close", n)
	}
	quiet(t, w)
}

// An answer far above its hold has used no more than the hold, as it is charged.
func TestLiveIsNeverAboveTheHold(t *testing.T) {
	w := gatetest.New(t, gatetest.Options{})
	x, _ := admitted(t, w, chat(`,"max_completion_tokens":5`))
	answers(t, x, jsonType)
	observed(t, x, []byte(strings.Replace(answered, "All is well", strings.Repeat("word ", 500), 1)), false)
	if got := used(t, w).OutputTokens; got != 5 {
		t.Errorf("used %d tokens of a hold of 5", got)
	}
	x.Close(t.Context(), core.FinishInterrupted)
}

func TestACallerThatIsGoneIsNotLive(t *testing.T) {
	w := gatetest.New(t, gatetest.Options{})
	ctx, hangUp := context.WithCancel(t.Context())
	x, reply := w.Gate.Open(ctx, chatHead())
	if reply != nil {
		t.Fatalf("refused: %s", reply.Body)
	}
	if _, reply := x.Admit(ctx, chat("")); reply != nil {
		t.Fatalf("refused: %s", reply.Body)
	}
	stays, _ := admitted(t, w, chat(""))
	hangUp()
	live := w.Gate.Live()
	if len(live) != 1 || live[0].ID != stays.ID() {
		t.Errorf("live are %+v, want the one whose caller is there", live)
	}
	x.Close(ctx, core.FinishInterrupted)
	stays.Close(t.Context(), core.FinishInterrupted)
	quiet(t, w)
}

// Leases are renewed while front ends work on their exchanges.
func TestLiveWhileExchangesRun(t *testing.T) {
	w := gatetest.New(t, gatetest.Options{})
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := w.Ledger.Touch(t.Context(), w.Gate.Live()...); err != nil {
				t.Error(err)
			}
		}
	}()
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for range 20 {
				x, _ := admitted(t, w, chat(streaming))
				answers(t, x, eventStream)
				for range 10 {
					observed(t, x, piece(longText), false)
				}
				x.Close(t.Context(), core.FinishInterrupted)
			}
		})
	}
	callers.Wait()
	close(stop)
	<-stopped
	if diff := cmp.Diff([]quota.Progress{}, w.Gate.Live()); diff != "" {
		t.Errorf("live after the last close (-want +got):\n%s", diff)
	}
	quiet(t, w)
}
