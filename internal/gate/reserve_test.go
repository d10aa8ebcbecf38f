package gate_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/gate"
	"github.com/plumbline/plumbline/internal/gate/gatetest"
	"github.com/plumbline/plumbline/internal/openai"
	"github.com/plumbline/plumbline/internal/quota"
)

// What is held of the output, by kind of call and what the client asks for.
func TestOutputHeldByKindOfCall(t *testing.T) {
	const (
		gpt4o = `{"model":"gpt-4o-mini","messages":[{"role":"user","content":"hi"}]`
		o3    = `{"model":"o3","messages":[{"role":"user","content":"hi"}]`
		said  = `{"model":"gpt-4o-mini","input":"hi"`
		old   = `{"model":"gpt-3.5-turbo-instruct","prompt":"hi"`
		chats = "/v1/chat/completions"
	)
	for name, tt := range map[string]struct {
		path, body string
		want       int64
	}{
		"JSON: the model's maximum":            {chats, gpt4o, 16384},
		"JSON: the client's":                   {chats, gpt4o + `,"max_completion_tokens":300`, 300},
		"JSON: the client's by its old name":   {chats, gpt4o + `,"max_tokens":300`, 300},
		"JSON: the client's above the model's": {chats, gpt4o + `,"max_completion_tokens":2147483648`, 16384},
		"JSON: of every choice":                {chats, gpt4o + `,"max_completion_tokens":300,"n":4`, 1200},
		"JSON: a maximum of nothing":           {chats, gpt4o + `,"max_completion_tokens":0`, 16384},
		"JSON: a maximum of null":              {chats, gpt4o + `,"max_completion_tokens":null`, 16384},
		"a stream: a slab":                     {chats, gpt4o + streaming, quota.StreamSlab},
		"a stream: less than a slab":           {chats, gpt4o + streaming + `,"max_completion_tokens":40`, 40},
		"a stream: less, of every choice":      {chats, gpt4o + streaming + `,"max_completion_tokens":40,"n":3`, 120},
		"a stream: a slab for all choices":     {chats, gpt4o + streaming + `,"n":8`, quota.StreamSlab},
		"reasoning: the model's maximum":       {chats, o3, 100_000},
		"reasoning in a stream: the same":      {chats, o3 + streaming, 100_000},
		"reasoning in a stream: the client's":  {chats, o3 + streaming + `,"max_completion_tokens":5000`, 5000},
		"a response":                           {"/v1/responses", said, 16384},
		"a response: the client's":             {"/v1/responses", said + `,"max_output_tokens":77`, 77},
		"a response in a stream":               {"/v1/responses", said + streaming, quota.StreamSlab},
		"a completion: the provider's default": {"/v1/completions", old, 16},
		"a completion: best of, every prompt":  {"/v1/completions", strings.Replace(old, `"hi"`, `["a","b"]`, 1) + `,"best_of":3`, 16 * 6},
		"an embedding":                         {"/v1/embeddings", `{"model":"text-embedding-3-small","input":"hi"`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := gatetest.New(t, gatetest.Options{})
			x, a, reply := asks(t, w, tt.path, tt.body+"}")
			if reply != nil {
				t.Fatalf("refused: %s", reply.Body)
			}
			x.Close(t.Context(), core.FinishInterrupted)
			held := w.Record(t, core.RecordIntent).Reserved
			if held.OutputTokens != tt.want || held.Requests != 1 || held.InputTokens <= 0 || held.Cost <= 0 {
				t.Errorf("%+v are held, want %d tokens of output", *held, tt.want)
			}
			if strings.Contains(string(a.Body), "max_") && !strings.Contains(tt.body, "max_") {
				t.Errorf("a maximum was written without need: %s", a.Body)
			}
			quiet(t, w)
		})
	}
}

// A model of which no table says an end is held with its whole context.
func TestAnAnswerWithoutAnEndIsHeldWithTheContext(t *testing.T) {
	const free = `{"version":"1","source":"test","models":[{"name":"gpt-free","free":true%s}]}`
	for window, want := range map[string]int64{"": 1 << 20, `,"context_window":8000`: 8000} {
		prices, err := openai.ParsePrices(fmt.Appendf(nil, free, window))
		if err != nil {
			t.Fatal(err)
		}
		w := gatetest.New(t, gatetest.Options{Change: func(o *gate.Options) {
			o.Prices = func() *openai.PriceTable { return prices }
		}})
		x, _ := admitted(t, w, []byte(`{"model":"gpt-free","messages":[{"role":"user","content":"hi"}]}`))
		x.Close(t.Context(), core.FinishInterrupted)
		if got := w.Record(t, core.RecordIntent).Reserved.OutputTokens; got != want {
			t.Errorf("%q: %d tokens are held, want %d", window, got, want)
		}
	}
}

// The tokenizer counts only where the bound on the bytes does not fit.
func TestTheTokenizerIsAskedWhenTheBoundDoesNotFit(t *testing.T) {
	body := chat(`,"max_completion_tokens":300`)
	hold := func(limits ...quota.Limit) *core.Charge {
		w := gatetest.New(t, gatetest.Options{Limits: limits})
		x, a := admitted(t, w, body)
		x.Close(t.Context(), core.FinishInterrupted)
		if a.Body != nil {
			t.Errorf("a maximum was written without need: %s", a.Body)
		}
		return w.Record(t, core.RecordIntent).Reserved
	}
	bound := hold()
	counted := hold(tokens(bound.InputTokens + 299))
	if bound.InputTokens < int64(len(question)) || counted.InputTokens >= bound.InputTokens/2 || counted.OutputTokens != 300 {
		t.Errorf("%d tokens of input by the bound, %d counted", bound.InputTokens, counted.InputTokens)
	}

	// Where no shorter answer could save it as well.
	w := gatetest.New(t, gatetest.Options{Limits: []quota.Limit{tokens(60)}})
	x, _, reply := asks(t, w, "/v1/embeddings", fmt.Sprintf(`{"model":"text-embedding-3-small","input":%q}`, question))
	if reply != nil {
		t.Errorf("an embedding of less than 60 tokens is refused: %s", reply.Body)
	}
	x.Close(t.Context(), core.FinishInterrupted)
	quiet(t, w)
}

// The refusal of a call that a shorter answer would not save names what lacks room even for that.
func TestARefusalHasTheFiguresOfTheLeast(t *testing.T) {
	all := quota.Limit{ID: "all", Scope: quota.ScopeEveryone, Dimension: quota.DimensionRequests, Window: quota.WindowMonth, Value: 9}
	w := gatetest.New(t, gatetest.Options{Limits: []quota.Limit{tokens(600), all}})
	x, _ := admitted(t, w, chat(`,"max_completion_tokens":500`)) // holds most of the limit
	y := opened(t, w)
	_, reply := y.Admit(t.Context(), chat("")) // 16,384 tokens would be more than the whole limit
	refusedWith(t, reply, 429, core.ReasonQuotaExhausted)
	if rec := w.Record(t, core.RecordDeny); rec.Reason != core.ReasonQuotaExhausted {
		t.Errorf("the record says %s", rec.Reason)
	}
	y.Close(t.Context(), core.FinishInterrupted)
	x.Close(t.Context(), core.FinishInterrupted)
	quiet(t, w)
}

// A stream takes what is left of a limit, to the token, before it is cut.
func TestAStreamTakesWhatIsLeft(t *testing.T) {
	for name, limit := range map[string]quota.Limit{
		"tokens": outputTokens(1500),
		"cost":   {ID: "cost", Scope: quota.ScopeUser, Dimension: quota.DimensionCost, Window: quota.WindowDay, Value: 915},
	} {
		t.Run(name, func(t *testing.T) {
			w := gatetest.New(t, gatetest.Options{Limits: []quota.Limit{limit}})
			x, _ := admitted(t, w, chat(streaming))
			answers(t, x, eventStream)
			delivered := 0
			for !strings.Contains(string(observed(t, x, piece(" word"), false)), "[DONE]") {
				if delivered++; delivered > 2000 {
					t.Fatal("it was not cut")
				}
			}
			if delivered < 1400 {
				t.Errorf("cut after %d tokens with room for 1,400 or more", delivered)
			}
			observed(t, x, []byte(done), true)
			if got := w.Posted(); got.Exceeds(w.Held(x.ID())) || got.OutputTokens < int64(delivered) {
				t.Errorf("%d delivered, %+v charged of %+v held", delivered, got, w.Held(x.ID()))
			}
			if limit.Dimension == quota.DimensionOutputTokens && w.Posted().OutputTokens != 1500 {
				t.Errorf("charged %+v of 1,500", w.Posted())
			}
			if n := w.Ledger.Overruns(); n != 0 {
				t.Errorf("%d overruns", n)
			}
			quiet(t, w)
		})
	}
}

// Where no hard limit counts its output a stream goes on without the ledger, and is charged what was delivered.
func TestAStreamUnderNoHardLimitIsNotCut(t *testing.T) {
	soft := outputTokens(10)
	soft.Enforcement = quota.EnforceSoft
	w := gatetest.New(t, gatetest.Options{Limits: []quota.Limit{
		soft,
		{ID: "calls", Scope: quota.ScopeUser, Dimension: quota.DimensionRequests, Window: quota.WindowDay, Value: 1},
		{ID: "flight", Scope: quota.ScopeUser, Dimension: quota.DimensionConcurrency, Window: quota.WindowNone, Value: 1},
		{ID: "in", Scope: quota.ScopeUser, Dimension: quota.DimensionInputTokens, Window: quota.WindowDay, Value: 1000},
	}})
	w.Fail = func(_ context.Context, step string) error {
		if step == "extend" {
			return gatetest.ErrDown
		}
		return nil
	}
	x, _ := admitted(t, w, chat(streaming))
	answers(t, x, eventStream)
	for range 3000 {
		if out := string(observed(t, x, piece(" word"), false)); !strings.Contains(out, "word") {
			t.Fatalf("the caller got %q", out)
		}
	}
	x.Close(t.Context(), core.FinishInterrupted)
	if got := w.Posted().OutputTokens; got < 3000 {
		t.Errorf("%d tokens are charged of 3,000", got)
	}
	quiet(t, w)
}

// An answer that may be in speech is held at the price of speech, and charged at it without a report.
func TestSpeechIsHeldAtItsPrice(t *testing.T) {
	const body = `{"model":"gpt-audio","modalities":["text","audio"],"audio":{"voice":"alloy","format":"pcm16"},` +
		`"max_completion_tokens":1000,"messages":[{"role":"user","content":"hi"}]%s}`
	w := gatetest.New(t, gatetest.Options{})
	x, _ := admitted(t, w, fmt.Appendf(nil, body, ""))
	answers(t, x, jsonType)
	observed(t, x, []byte(whole+`,"usage":{"prompt_tokens":8,"completion_tokens":1000,"completion_tokens_details":{"audio_tokens":1000}}}`), true)
	held := w.Record(t, core.RecordIntent).Reserved
	if held.Cost < 64_000 || w.Ledger.Overruns() != 0 || w.Posted().Cost < 64_000 {
		t.Errorf("%s are held and %s charged for 1,000 tokens of speech, %d overruns", held.Cost, w.Posted().Cost, w.Ledger.Overruns())
	}
	quiet(t, w)

	w = gatetest.New(t, gatetest.Options{})
	x, _ = admitted(t, w, fmt.Appendf(nil, body, streaming))
	answers(t, x, eventStream)
	const spoken = `data: {"id":"c","choices":[{"index":0,"delta":{"audio":{"data":"%s"}}}]}` + "\n\n"
	for range 100 {
		observed(t, x, fmt.Appendf(nil, spoken, strings.Repeat("A", 3200)), false)
	}
	x.Close(t.Context(), core.FinishInterrupted)
	if got := w.Record(t, core.RecordOutcome); got.Usage.AudioOutputTokens != 100 || got.Settled.OutputTokens != 100 || got.Settled.Cost < 6400 {
		t.Errorf("100 tokens of speech are charged as %+v, %+v", *got.Usage, *got.Settled)
	}
	quiet(t, w)
}

// Records keep the time by which the ledger pinned the windows, not that of this process.
func TestRecordsKeepTheLedgersTime(t *testing.T) {
	w := gatetest.New(t, gatetest.Options{})
	theirs := time.Date(2031, 5, 1, 0, 0, 0, 7000, time.UTC)
	w.Admitted = func(time.Time) time.Time { return theirs.In(time.FixedZone("", 3600)) }
	x, _ := admitted(t, w, chat(streaming))
	answers(t, x, eventStream)
	observed(t, x, piece(longText+longText), false) // extends
	x.Close(t.Context(), core.FinishInterrupted)
	for kind, charge := range map[core.RecordKind]*core.Charge{
		core.RecordIntent: w.Record(t, core.RecordIntent).Reserved, core.RecordOutcome: w.Record(t, core.RecordOutcome).Settled,
	} {
		if charge.Admitted != theirs {
			t.Errorf("%s: admitted at %v, want %v", kind, charge.Admitted, theirs)
		}
	}
}

// A ledger that cannot be asked refuses in words of its own; what it may hold nevertheless is let go once the caller has them.
func TestALedgerThatCannotBeAsked(t *testing.T) {
	w := gatetest.New(t, gatetest.Options{Limits: []quota.Limit{tokens(50_000)}, Change: func(o *gate.Options) {
		o.Ledger = lostAnswers{o.Ledger}
	}})
	x := opened(t, w)
	_, reply := x.Admit(t.Context(), chat(""))
	refusedWith(t, reply, 503, core.ReasonGovernanceDown)
	if !strings.Contains(string(reply.Body), "cannot be counted at the moment") || !strings.Contains(fmt.Sprint(reply.Header), "retry-after-ms") {
		t.Errorf("the caller is told %v %s", reply.Header, reply.Body)
	}
	if n := w.Ledger.Pending(); n != 1 {
		t.Fatalf("%d reservations are held, want the one whose answer was lost", n)
	}
	x.Close(t.Context(), core.FinishInterrupted)
	if got := strings.Join(w.Journal(), " "); got != "reserve deny void" {
		t.Errorf("steps %s", got)
	}
	quiet(t, w)
}

// lostAnswers is a ledger that reserves and does not say so.
type lostAnswers struct{ quota.Ledger }

func (l lostAnswers) Reserve(ctx context.Context, r quota.Request) (quota.Reservation, error) {
	if _, err := l.Ledger.Reserve(ctx, r); err != nil {
		return quota.Reservation{}, err
	}
	return quota.Reservation{}, gatetest.ErrDown
}

// Limits that change bind what reserves from then on, also where it was opened before; what is in flight goes on under
// those it was admitted by.
func TestLimitsThatChangeInFlight(t *testing.T) {
	w := gatetest.New(t, gatetest.Options{Limits: []quota.Limit{outputTokens(5000)}})
	flight, _ := admitted(t, w, chat(streaming))
	answers(t, flight, eventStream)
	waiting := opened(t, w)

	w.SetLimits(t, outputTokens(500))
	_, reply := waiting.Admit(t.Context(), chat(streaming))
	refusedWith(t, reply, 429, core.ReasonQuotaExhausted)
	waiting.Close(t.Context(), core.FinishInterrupted)
	for range 20 {
		if out := string(observed(t, flight, piece(strings.Repeat(" word", 100)), false)); !strings.Contains(out, "word") {
			t.Fatalf("a stream in flight was cut by a limit that was lowered: %q", out)
		}
	}
	flight.Close(t.Context(), core.FinishInterrupted)

	w.SetLimits(t, outputTokens(2000+300)) // raised again, above what was used
	x, a := admitted(t, w, chat(""))
	var sent struct {
		Most int64 `json:"max_completion_tokens"`
	}
	if err := json.Unmarshal(a.Body, &sent); err != nil || sent.Most < 290 || sent.Most > 300 {
		t.Errorf("with about 300 left the maximum is %d (%v): %s", sent.Most, err, a.Body)
	}
	x.Close(t.Context(), core.FinishInterrupted)
	w.SetLimits(t) // none at all
	x, _ = admitted(t, w, chat(""))
	x.Close(t.Context(), core.FinishInterrupted)
	quiet(t, w)
}
