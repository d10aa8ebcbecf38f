package e2e

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/demo/provider"
	"github.com/plumbline/plumbline/internal/testkit"
)

// kills is how often the process is killed.
func kills(t testing.TB) int {
	t.Helper()
	n, _ := testkit.Kills(t, 20)
	return n
}

// Whatever moment the process is killed at, every answer that a caller got whole has its intent and its outcome, nothing
// is recorded twice, nothing reached the provider without a record, and the ledger is what the records say.
func TestKillAtAnyMoment(t *testing.T) {
	var received sync.Map // the traces that the provider saw
	s := serve(t, setup{
		settings: map[string]string{"shutdown.grace": "2s"},
		provider: provider.Options{ChunkPause: time.Millisecond, OnRequest: func(r provider.Request) {
			received.Store(traceOf(r.Header.Get("traceparent")), true)
		}},
	})

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var answered sync.Map // the exchanges that callers got whole
	var trace atomic.Int64
	var callers sync.WaitGroup
	for i := range 8 {
		callers.Go(func() {
			body := chatBody("gpt-4o-mini", onTask, map[string]any{"stream": i%2 == 0})
			for ctx.Err() == nil {
				if exchange := s.wholeAnswer(ctx, body, trace.Add(1)); exchange != "" {
					answered.Store(exchange, true)
					continue
				}
				pause(ctx, 5*time.Millisecond) // the processor is for the next start
			}
		})
	}
	for range kills(t) {
		pause(ctx, time.Duration(30+rand.IntN(270))*time.Millisecond)
		s.process.kill()
		s.start()
	}
	pause(ctx, 100*time.Millisecond) // some good answers after the last kill, too
	stop()
	callers.Wait()
	s.process.stop()
	s.start() // closes what the last kill left open
	s.process.stop()

	charged := s.checkRecords(&answered, &received)
	s.checkLedger(charged)
}

// pause waits for a while or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// traceOf is the trace id of a traceparent header.
func traceOf(parent string) string {
	if parts := strings.Split(parent, "-"); len(parts) == 4 {
		return parts[1]
	}
	return parent
}

// wholeAnswer makes one call and gives its exchange if a 200 was received to its end.
func (s *server) wholeAnswer(ctx context.Context, body string, trace int64) string {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.envoy.URL+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		return ""
	}
	req.Header.Set("authorization", "Bearer "+s.key)
	req.Header.Set("content-type", "application/json")
	req.Header.Set("traceparent", fmt.Sprintf("00-%032x-%016x-01", trace, trace))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK {
		return ""
	}
	return res.Header.Get("x-plumbline-request-id")
}

// checkRecords compares what callers and the provider saw with the audit, and gives all that was charged.
func (s *server) checkRecords(answered, received *sync.Map) (charged core.Charge) {
	t := s.t
	t.Helper()
	if _, err := s.audit.Verify(t.Context()); err != nil {
		t.Errorf("the audit does not verify: %v", err)
	}
	intents, outcomes := map[string]int{}, map[string]int{}
	traces := map[string]bool{}
	crashed := map[string]bool{}
	s.everyRecord(func(r core.Record) {
		switch r.Kind {
		case core.RecordIntent:
			intents[r.Exchange]++
			traces[r.Trace] = true
		case core.RecordOutcome:
			outcomes[r.Exchange]++
			crashed[r.Exchange] = r.Finish == core.FinishCrashed
			charged.Requests += r.Settled.Requests
			charged.InputTokens += r.Settled.InputTokens
			charged.OutputTokens += r.Settled.OutputTokens
			charged.Cost += r.Settled.Cost
		case core.RecordDeny, core.RecordRefusals, core.RecordAdmin:
		}
	})
	whole := 0
	for exchange := range answered.Range {
		whole++
		id := exchange.(string)
		if intents[id] != 1 || outcomes[id] != 1 {
			t.Errorf("answered exchange %s has %d intents and %d outcomes", id, intents[id], outcomes[id])
		}
		if crashed[id] { // its record is written before its last byte goes out (docs/decisions/0005)
			t.Errorf("answered exchange %s was closed as crashed", id)
		}
	}
	for id, count := range intents {
		if count != 1 || outcomes[id] != 1 {
			t.Errorf("exchange %s has %d intents and %d outcomes", id, count, outcomes[id])
		}
	}
	for id := range outcomes {
		if intents[id] == 0 {
			t.Errorf("exchange %s has an outcome and no intent", id)
		}
	}
	seen := 0
	for trace := range received.Range {
		seen++
		if !traces[trace.(string)] {
			t.Errorf("the provider received a request of trace %s, whose intent is not recorded", trace)
		}
	}
	open := 0
	for _, c := range crashed {
		if c {
			open++
		}
	}
	t.Logf("%d answered whole, %d intents, %d closed as crashed, %d received by the provider",
		whole, len(intents), open, seen)
	if n := kills(t); whole < n || open < n/2 || int64(seen) != s.provider.Total() {
		t.Errorf("%d whole answers and %d open exchanges in %d kills, %d of the provider's %d requests known: too few to prove anything",
			whole, open, n, seen, s.provider.Total())
	}
	return charged
}

// everyRecord calls fn for every record, newest first.
func (s *server) everyRecord(fn func(core.Record)) {
	s.t.Helper()
	for q := (audit.Query{Limit: 1000}); ; {
		entries, next, err := s.audit.Search(s.t.Context(), q)
		must(s.t, err)
		for _, e := range entries {
			fn(e.Record)
		}
		if next == "" {
			return
		}
		q.After = next
	}
}

// checkLedger sets limits at exactly what was charged and starts again: the ledger that is rebuilt from the records has
// each of them used up, to the token and the micro-dollar.
func (s *server) checkLedger(charged core.Charge) {
	t := s.t
	t.Helper()
	used := regexp.MustCompile(`is used up: \$?([\d,.]+)`)
	for dimension, sum := range map[string]int64{
		"requests":      charged.Requests,
		"input_tokens":  charged.InputTokens,
		"output_tokens": charged.OutputTokens,
		"cost":          int64(charged.Cost),
	} {
		value := strconv.FormatInt(sum, 10)
		if dimension == "cost" {
			value = core.MicroUSD(sum).String()
		}
		s.run("limit", "set", "sum", "--scope", "user", "--subject", "ann", "--dimension", dimension,
			"--window", "month", "--value", value)
		s.start()
		r := s.chat(chatBody("gpt-4o-mini", onTask, map[string]any{"max_completion_tokens": 5}))
		e := quotaUsedUp.check(t, r)
		m := used.FindStringSubmatch(e.Error.Message)
		if m == nil {
			t.Errorf("%s: the refusal does not say how much is used: %s", dimension, e.Error.Message)
		} else if n, err := strconv.ParseInt(strings.NewReplacer(",", "", ".", "").Replace(m[1]), 10, 64); err != nil || n != sum {
			t.Errorf("%s: the ledger has %s, the records sum up to %d", dimension, m[1], sum)
		}
		s.process.stop()
	}
}
