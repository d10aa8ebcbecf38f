package gate_test

import (
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/gate"
	"github.com/plumbline/plumbline/internal/gate/gatetest"
	"github.com/plumbline/plumbline/internal/intent"
	"github.com/plumbline/plumbline/internal/quota"
)

// rounds is how often a race is run: a thousand times where PLUMBLINE_LONG is set.
func rounds() int {
	switch {
	case os.Getenv("PLUMBLINE_LONG") != "":
		return 1000
	case testing.Short() || raceEnabled:
		return 3
	}
	return 50
}

// unjudged has prompts not judged: tests with very many of them are about something else.
func unjudged(*intent.View) core.Intent { return core.Intent{} }

// Many at once on room for one: one is admitted, whatever it is that there is room for.
func TestRoomForOneAdmitsOne(t *testing.T) {
	const callers = 512
	body := chat(`,"max_completion_tokens":300`)
	trial := gatetest.New(t, gatetest.Options{})
	x, _ := admitted(t, trial, body)
	x.Close(t.Context(), core.FinishInterrupted)
	one := trial.Record(t, core.RecordIntent).Reserved
	for name, limit := range map[string]quota.Limit{
		"requests":      {Dimension: quota.DimensionRequests, Window: quota.WindowMonth, Value: 1},
		"input tokens":  {Dimension: quota.DimensionInputTokens, Window: quota.WindowMonth, Value: one.InputTokens},
		"output tokens": {Dimension: quota.DimensionOutputTokens, Window: quota.WindowMonth, Value: one.OutputTokens},
		"tokens":        {Dimension: quota.DimensionTokens, Window: quota.WindowMonth, Value: one.InputTokens + one.OutputTokens},
		"cost":          {Dimension: quota.DimensionCost, Window: quota.WindowMonth, Value: int64(one.Cost)},
		"concurrency":   {Dimension: quota.DimensionConcurrency, Window: quota.WindowNone, Value: 1},
	} {
		limit.ID, limit.Scope = "one", quota.ScopeEveryone
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for round := range rounds() {
				t.Run(strconv.Itoa(round), func(t *testing.T) { // so that the end of a round lets its world go
					w := gatetest.New(t, gatetest.Options{Limits: []quota.Limit{limit}})
					w.Classify = unjudged
					if got := race(t, w, callers, body); got != 1 {
						t.Fatalf("%d of %d were admitted on room for one", got, callers)
					}
					quiet(t, w)
				})
			}
		})
	}
}

// race has callers ask at once, hang up once all have their verdict, and gives how many were admitted.
func race(t *testing.T, w *gatetest.World, callers int, body []byte) int64 {
	var passed atomic.Int64
	var judged, group sync.WaitGroup
	judged.Add(callers)
	start := make(chan struct{})
	for range callers {
		group.Go(func() {
			<-start
			x, _ := w.Gate.Open(t.Context(), chatHead())
			defer x.Close(t.Context(), core.FinishInterrupted)
			if _, reply := x.Admit(t.Context(), body); reply == nil {
				passed.Add(1)
			}
			judged.Done()
			judged.Wait()
		})
	}
	close(start)
	group.Wait()
	return passed.Load()
}

// twelve is a piece of text of twelve tokens, in every known vocabulary.
const twelve = " twelve small words that are one token each in every known vocabulary"

// A caller may hang up at any piece: it is charged at least what it got, and at most what was held then.
func TestHangUpAtEveryPiece(t *testing.T) {
	const pieces = 200
	for name, more := range map[string]string{
		"a stream that has to grow": `,"max_tokens":16`, "a stream of slabs": "", "two choices": `,"n":2`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := gatetest.New(t, gatetest.Options{Limits: []quota.Limit{
				outputTokens(1 << 40), {ID: "cost", Scope: quota.ScopeUser, Dimension: quota.DimensionCost, Window: quota.WindowMonth, Value: 1 << 40},
			}})
			w.Classify = unjudged
			for at := range pieces + 1 {
				before := w.Posted()
				x, _ := admitted(t, w, chat(streaming+more))
				answers(t, x, eventStream)
				for range at {
					observed(t, x, piece(twelve), false)
				}
				held := w.Held(x.ID())
				x.Close(t.Context(), core.FinishInterrupted)
				charged := less(w.Posted(), before)
				if delivered := int64(at) * 12; charged.OutputTokens < delivered {
					t.Errorf("hung up after %d pieces: %d tokens charged, %d delivered", at, charged.OutputTokens, delivered)
				}
				if charged.Exceeds(held) || charged.Requests != 1 || charged.InputTokens <= 0 || charged.Cost <= 0 {
					t.Errorf("hung up after %d pieces: %+v charged of %+v held", at, charged, held)
				}
				if n := w.Ledger.Pending(); n != 0 {
					t.Fatalf("hung up after %d pieces: %d reservations are held", at, n)
				}
			}
			if n := w.Ledger.Overruns(); n != 0 {
				t.Errorf("%d settlements went over what was held", n)
			}
			quiet(t, w)
		})
	}
}

// less is a without b.
func less(a, b quota.Amounts) quota.Amounts {
	return quota.Amounts{
		Requests: a.Requests - b.Requests, InputTokens: a.InputTokens - b.InputTokens,
		OutputTokens: a.OutputTokens - b.OutputTokens, Cost: a.Cost - b.Cost,
	}
}

// A provider that does not honour the maximum is charged in full, which is counted.
func TestAProviderThatGoesOverTheMaximumIsBookedInFull(t *testing.T) {
	for name, run := range map[string]func(*gate.Exchange){
		"JSON": func(x *gate.Exchange) {
			answers(t, x, jsonType)
			observed(t, x, []byte(whole+`,"usage":{"prompt_tokens":20,"completion_tokens":900}}`), true)
		},
		"a stream": func(x *gate.Exchange) {
			answers(t, x, eventStream)
			observed(t, x, piece(twelve), false)
			observed(t, x, append(usageEvent(20, 900), done...), true) // it said little, and says that it thought much
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := gatetest.New(t, gatetest.Options{Limits: []quota.Limit{tokens(700)}})
			more := ""
			if name == "a stream" {
				more = streaming
			}
			x, a := admitted(t, w, chat(more))
			if a.Body == nil {
				t.Fatal("no maximum was written into the request")
			}
			run(x)
			if got := w.Posted(); got.InputTokens != 20 || got.OutputTokens != 900 || w.Ledger.Overruns() != 1 {
				t.Errorf("charged %+v, %d overruns", got, w.Ledger.Overruns())
			}
			quiet(t, w)
			refusedAs(t, w, core.ReasonQuotaExhausted)
		})
	}
}

// refusedAs has the next call refused.
func refusedAs(t *testing.T, w *gatetest.World, reason core.Reason) {
	t.Helper()
	x := opened(t, w)
	_, reply := x.Admit(t.Context(), chat(""))
	refusedWith(t, reply, 429, reason)
	x.Close(t.Context(), core.FinishInterrupted)
}
