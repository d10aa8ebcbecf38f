package gate_test

import (
	"strings"
	"testing"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/gate"
	"github.com/plumbline/plumbline/internal/gate/gatetest"
	"github.com/plumbline/plumbline/internal/openai"
	"github.com/plumbline/plumbline/internal/policy"
	"github.com/plumbline/plumbline/internal/quota"
)

// asks opens an exchange with an endpoint and hands it a body.
func asks(t testing.TB, w *gatetest.World, path, body string) (*gate.Exchange, gate.Admission, *openai.Reply) {
	t.Helper()
	head := chatHead()
	head.Path = path
	x, reply := w.Gate.Open(t.Context(), head)
	if reply != nil {
		t.Fatalf("Open refused: %d %s", reply.Status, reply.Body)
	}
	a, reply := x.Admit(t.Context(), []byte(body))
	return x, a, reply
}

// answeredWhole gives the exchange a whole answer.
func answeredWhole(t testing.TB, x *gate.Exchange, contentType, body string) {
	t.Helper()
	if _, reply := x.ObserveHead(t.Context(), gate.AnswerHead{Status: 200, ContentType: contentType}, false); reply != nil {
		t.Fatalf("the answer was replaced: %s", reply.Body)
	}
	if _, err := x.ObserveBody(t.Context(), []byte(body), true); err != nil {
		t.Fatal(err)
	}
	x.Close(t.Context(), core.FinishComplete)
}

// A tier of which the model has no price is refused, one that it has is reserved and charged at it.
func TestTiersHavePrices(t *testing.T) {
	const body = `{"model":"gpt-4o-mini","input":"hi","max_output_tokens":1000,"service_tier":"`
	policy := "version: 1\nmode: enforce\nrequests: {service_tiers: [priority, flex]}\n"
	w := gatetest.New(t, gatetest.Options{Policy: policy})
	x, _, reply := asks(t, w, "/v1/responses", strings.Replace(body, "gpt-4o-mini", "gpt-5-nano", 1)+`priority"}`)
	x.Close(t.Context(), core.FinishComplete)
	if reply == nil || reply.Status != 400 || !strings.Contains(string(reply.Body), "no price on the service tier priority") {
		t.Errorf("%+v", reply)
	}
	costs := map[string]core.MicroUSD{}
	for _, tier := range []string{"flex", "priority"} {
		w := gatetest.New(t, gatetest.Options{Policy: policy})
		x, _, reply := asks(t, w, "/v1/responses", strings.Replace(body, "gpt-4o-mini", "o3", 1)+tier+`"}`)
		if reply != nil {
			t.Fatalf("%s: %s", tier, reply.Body)
		}
		answeredWhole(t, x, "application/json", `{"id":"r","model":"o3","output":[],"usage":{"input_tokens":1000,"output_tokens":1000}}`)
		costs[tier+" reserved"] = w.Record(t, core.RecordIntent).Reserved.Cost
		costs[tier+" settled"] = w.Record(t, core.RecordOutcome).Settled.Cost
	}
	if costs["flex settled"] != 5_000 || costs["priority settled"] != 17_500 {
		t.Errorf("settled %v", costs)
	}
	// A request on flex may be served on the standard tier.
	if costs["flex reserved"] < 8_000 || costs["priority reserved"] < 14_000 {
		t.Errorf("reserved %v", costs)
	}
}

// Where a request brings what it does not hold, its input is reckoned with the whole of the model's context.
func TestWhatIsNotInTheRequestIsReservedFor(t *testing.T) {
	const window = 128_000
	for name, tt := range map[string]struct {
		body string
		most int64
	}{
		"a file":  {`{"model":"gpt-4o-mini","input":[{"role":"user","content":[{"type":"input_file","file_data":"aGk="}]}]}`, window},
		"a tool":  {`{"model":"gpt-4o-mini","input":"hi","max_tool_calls":2,"tools":[{"type":"web_search"}]}`, 3 * window},
		"neither": {`{"model":"gpt-4o-mini","input":"hi"}`, 20},
	} {
		w := gatetest.New(t, gatetest.Options{Policy: "version: 1\nrequests: {inline: [file], hosted_tools: [web_search]}\n"})
		x, _, reply := asks(t, w, "/v1/responses", tt.body)
		if reply != nil {
			t.Fatalf("%s: %s", name, reply.Body)
		}
		x.Close(t.Context(), core.FinishInterrupted)
		if got := w.Record(t, core.RecordIntent).Reserved.InputTokens; got > tt.most || got < tt.most/4 {
			t.Errorf("%s: %d tokens of input are held, want about %d", name, got, tt.most)
		}
	}
}

// What is paid by the piece is charged also when its caller leaves before it comes: it was asked for, and is made.
func TestPiecesAreNeverFree(t *testing.T) {
	for path, tt := range map[string]struct {
		body string
		cost core.MicroUSD
	}{
		"/v1/images/generations": {`{"model":"dall-e-3","prompt":"a cat","n":2}`, 80_000},
		"/v1/audio/speech":       {`{"model":"tts-1","input":"hello there","voice":"alloy"}`, 11 * 15},
	} {
		for name, leave := range map[string]func(*gate.Exchange){
			"before the answer": func(*gate.Exchange) {},
			"in the answer": func(x *gate.Exchange) {
				x.ObserveHead(t.Context(), gate.AnswerHead{Status: 200, ContentType: "application/json"}, false)
				if _, err := x.ObserveBody(t.Context(), []byte(`{"created":1,"data":[{"b64`), false); err != nil {
					t.Fatal(err)
				}
			},
		} {
			w := gatetest.New(t, gatetest.Options{})
			x, _, reply := asks(t, w, path, tt.body)
			if reply != nil {
				t.Fatalf("%s: %s", path, reply.Body)
			}
			leave(x)
			x.Close(t.Context(), core.FinishInterrupted)
			intent, outcome := w.Record(t, core.RecordIntent), w.Record(t, core.RecordOutcome)
			if outcome.Settled.Cost != tt.cost || intent.Reserved.Cost < tt.cost {
				t.Errorf("%s, left %s: reserved %s, settled %s, want %s", path, name, intent.Reserved.Cost, outcome.Settled.Cost, tt.cost)
			}
		}
	}
}

// As much output as there is room for is written where the endpoint has it; where it has no place for it the request is
// refused.
func TestLessOutputByEndpoint(t *testing.T) {
	for path, tt := range map[string]struct {
		body  string
		param string
	}{
		"/v1/responses":          {`{"model":"gpt-4o-mini","input":"hi"}`, `"max_output_tokens":`},
		"/v1/completions":        {`{"model":"gpt-3.5-turbo-instruct","prompt":"hi","max_tokens":2000}`, `"max_tokens":`},
		"/v1/images/generations": {`{"model":"gpt-image-1","prompt":"hi"}`, ""},
	} {
		w := gatetest.New(t, gatetest.Options{Limits: []quota.Limit{tokens(1000)}})
		x, a, reply := asks(t, w, path, tt.body)
		x.Close(t.Context(), core.FinishInterrupted)
		switch {
		case tt.param == "":
			if reply == nil || reply.Status != 429 || strings.Contains(string(reply.Body), "max_") {
				t.Errorf("%s: %+v", path, reply)
			}
		case reply != nil:
			t.Errorf("%s: %s", path, reply.Body)
		case !strings.Contains(string(a.Body), tt.param) || strings.Contains(string(a.Body), "2000"):
			t.Errorf("%s: forwarded as %s", path, a.Body)
		}
	}
}

// The words of the policy and those of the wire are the same.
func TestThePolicySpeaksTheWordsOfTheWire(t *testing.T) {
	for name, pair := range map[string][2][]string{
		"hosted tools":  {policy.HostedTool("").Values(), openai.HostedTools()},
		"service tiers": {policy.ServiceTier("").Values(), openai.ServiceTiers()},
		"efforts":       {policy.Effort("").Values(), openai.Efforts()},
	} {
		if strings.Join(pair[0], " ") != strings.Join(pair[1], " ") {
			t.Errorf("%s: %v and %v", name, pair[0], pair[1])
		}
	}
}
