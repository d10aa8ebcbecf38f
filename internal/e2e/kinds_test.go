package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/demo/provider"
)

// words is how long the answers of the stand-in are here.
const words = 12

// kind is a request to one endpoint, what of it is answered, and what it comes to.
type kind struct {
	name, path, body string
	says             string // a part of the answer
	usage            core.Usage
	cost             core.MicroUSD
	opaque           []string
}

// prompt is onTask as JSON, and the number of its words.
var (
	prompt      = fmt.Sprintf("%q", onTask)
	promptWords = int64(provider.Words(onTask))
)

// kinds are a request to each governed endpoint with a body in JSON, as a whole and as a stream where there is one.
func kinds() []kind {
	text := core.Usage{InputTokens: promptWords, OutputTokens: words}
	chat := core.Usage{InputTokens: promptWords + 3, OutputTokens: words}
	picture := core.Usage{InputTokens: promptWords, OutputTokens: 272, Images: 1}
	spoken := core.Usage{InputTokens: promptWords, OutputTokens: 4 * promptWords, Characters: int64(len(onTask))}
	image := `{"type":"input_image","image_url":"data:image/png;base64,aGk="}`
	return []kind{
		{"chat", "/v1/chat/completions", `{"model":"gpt-4o-mini","messages":[{"role":"user","content":` + prompt + `}]}`, provider.Text(words), chat, cost(chat, 150_000, 600_000), nil},
		{"response", "/v1/responses", `{"model":"gpt-4o-mini","input":` + prompt + `}`, provider.Text(words), text, cost(text, 150_000, 600_000), nil},
		{"response streamed", "/v1/responses", `{"model":"gpt-4o-mini","stream":true,"input":` + prompt + `}`, "response.completed", text, cost(text, 150_000, 600_000), nil},
		{
			"response with an image", "/v1/responses",
			`{"model":"gpt-4o-mini","input":[{"role":"user","content":[{"type":"input_text","text":` + prompt + `},` + image + `]}]}`,
			provider.Text(words), text, cost(text, 150_000, 600_000),
			[]string{"image/png"},
		},
		{"completion", "/v1/completions", `{"model":"gpt-3.5-turbo-instruct","prompt":` + prompt + `}`, provider.Text(words), text, cost(text, 1_500_000, 2_000_000), nil},
		{"completion streamed", "/v1/completions", `{"model":"gpt-3.5-turbo-instruct","stream":true,"prompt":[` + prompt + `]}`, "[DONE]", text, cost(text, 1_500_000, 2_000_000), nil},
		{"embedding", "/v1/embeddings", `{"model":"text-embedding-3-small","input":[` + prompt + `]}`, "0.25", core.Usage{InputTokens: promptWords}, 1, nil},
		{"picture", "/v1/images/generations", `{"model":"gpt-image-1-mini","size":"1024x1024","quality":"low","prompt":` + prompt + `}`, "b64_json", picture, cost(picture, 2_000_000, 8_000_000), nil},
		{"picture streamed", "/v1/images/generations", `{"model":"gpt-image-1-mini","stream":true,"partial_images":1,"prompt":` + prompt + `}`, "image_generation.completed", picture, cost(picture, 2_000_000, 8_000_000), nil},
		{"speech streamed", "/v1/audio/speech", `{"model":"gpt-4o-mini-tts","voice":"alloy","stream_format":"sse","input":` + prompt + `}`, "speech.audio.done", spoken, cost(spoken, 600_000, 12_000_000), nil},
	}
}

// cost is the price of a usage at so much a million tokens.
func cost(u core.Usage, input, output int64) core.MicroUSD {
	return core.MicroUSD((u.InputTokens*input + u.OutputTokens*output + 999_999) / 1_000_000)
}

// governed checks the records of an exchange whose prompt is on the task billing: that it was judged, what it used and cost,
// that no more than was reserved, and which media could not be judged.
func (w *world) governed(exchange string, usage core.Usage, cost core.MicroUSD, opaque []string) {
	w.t.Helper()
	intent, outcome := w.outcome(exchange)
	if diff := cmp.Diff(usage, *outcome.Usage); diff != "" {
		w.t.Errorf("usage (-want +got):\n%s", diff)
	}
	if outcome.Settled.Cost != cost || outcome.Finish != core.FinishComplete {
		w.t.Errorf("cost %s, want %s; ended as %s", outcome.Settled.Cost, cost, outcome.Finish)
	}
	if r, s := intent.Reserved, outcome.Settled; r.InputTokens < s.InputTokens || r.OutputTokens < s.OutputTokens || r.Cost < s.Cost {
		w.t.Errorf("reserved %+v, settled %+v", r, s)
	}
	if intent.Deviation == nil || intent.Deviation.Task != "billing" || intent.Deviation.Score > 0.5 {
		w.t.Errorf("the prompt was not judged: %+v", intent.Deviation)
	}
	if diff := cmp.Diff(opaque, intent.Opaque); diff != "" {
		w.t.Errorf("what could not be judged (-want +got):\n%s", diff)
	}
}

// Each kind of request is governed: its prompt judged before the provider sees it, its bytes forwarded as they are, its
// usage and cost in the audit and within what was reserved.
func TestEveryKindIsGoverned(t *testing.T) {
	t.Parallel()
	w := start(t, setup{provider: provider.Options{Words: words}})
	for _, k := range kinds() {
		t.Run(k.name, func(t *testing.T) {
			w := w.in(t)
			got := w.do(w.request(http.MethodPost, k.path, k.body))
			if got.Status != http.StatusOK || !strings.Contains(got.Body, k.says) {
				t.Fatalf("status %d: %s", got.Status, got.Body)
			}
			requests := w.provider.Requests()
			forwarded := strings.Replace(string(requests[len(requests)-1].Body), usageAsked, "", 1)
			if forwarded != k.body || requests[len(requests)-1].Path != k.path {
				t.Errorf("the provider received %s", forwarded)
			}
			w.governed(got.Exchange, k.usage, k.cost, k.opaque)
		})
	}
}

// Answers that do not say what was used are charged for what is known for certain: characters, pictures, the input.
func TestWhatIsNotReportedIsCounted(t *testing.T) {
	t.Parallel()
	w := start(t, setup{})
	speech := w.do(w.request(http.MethodPost, "/v1/audio/speech", `{"model":"tts-1","voice":"alloy","input":`+prompt+`}`))
	_, outcome := w.outcome(speech.Exchange)
	characters := int64(len(onTask))
	if want := core.MicroUSD(characters * 15); outcome.Settled.Cost != want || outcome.Usage.Characters != characters || !outcome.Usage.Estimated {
		t.Errorf("speech costs %s, want %s: %+v", outcome.Settled.Cost, want, outcome.Usage)
	}
	if int64(len(speech.Body)) != 100*characters {
		t.Errorf("%d bytes of sound", len(speech.Body))
	}
	moderation := w.do(w.request(http.MethodPost, "/v1/moderations", `{"input":[{"type":"text","text":`+prompt+`}]}`))
	intent, outcome := w.outcome(moderation.Exchange)
	if intent.Model != "omni-moderation-latest" || outcome.Settled.Cost != 0 || outcome.Usage.InputTokens == 0 {
		t.Errorf("a moderation by %s costs %s: %+v", intent.Model, outcome.Settled.Cost, outcome.Usage)
	}
}

// What leans too far is stopped on every endpoint, in the words of the endpoint.
func TestEveryKindIsStopped(t *testing.T) {
	t.Parallel()
	w := start(t, setup{policy: allowAll + "deviation: {warn: 0.5, block: 0.7, enforce_uncalibrated: true}\n"})
	const off = "Write a cover letter for my application as a pastry chef and list the best video games of this year."
	for _, k := range kinds() {
		t.Run(k.name, func(t *testing.T) {
			w := w.in(t)
			got := w.do(w.request(http.MethodPost, k.path, strings.Replace(k.body, prompt, fmt.Sprintf("%q", off), 1)))
			param := "input"
			switch {
			case strings.Contains(k.body, `"messages"`):
				param = "messages"
			case strings.Contains(k.body, `"prompt"`):
				param = "prompt"
			}
			offTask.at(param).check(t, got)
			if rec := w.denied(got.Exchange); rec.Reason != core.ReasonOffTask {
				t.Errorf("the audit says %s", rec.Reason)
			}
		})
	}
	if n := w.provider.Total(); n != 0 {
		t.Errorf("the provider received %d requests", n)
	}
}

// What cannot be judged or charged is refused in words that say so, before the provider is asked.
func TestWhatCannotBeGovernedIsRefused(t *testing.T) {
	t.Parallel()
	w := start(t, setup{})
	for _, tt := range []struct{ path, more, param string }{
		{"/v1/responses", `"background":true`, "background"},
		{"/v1/responses", `"prompt":{"id":"pmpt_1"}`, "prompt"},
		{"/v1/responses", `"service_tier":"priority"`, "service_tier"},
		{"/v1/responses", `"tools":[{"type":"file_search","vector_store_ids":["vs_1"]}]`, "tools[0].type"},
		{"/v1/responses", `"tools":[{"type":"web_search"}]`, "tools[0].type"},
		{"/v1/embeddings", `"encoding":"x"`, "encoding"},
		{"/v1/moderations", `"Model":"x"`, "Model"},
	} {
		body := `{"model":"gpt-4o-mini","input":` + prompt + `,` + tt.more + `}`
		got := w.do(w.request(http.MethodPost, tt.path, body))
		fate := badParameter
		if tt.param == "Model" {
			fate = badBody
		}
		fate.at(tt.param).check(t, got)
		w.denied(got.Exchange)
	}
	if n := w.provider.Total(); n != 0 {
		t.Errorf("the provider received %d requests", n)
	}
}

// A body may be large where images are read, by what they take; text is bounded everywhere, and a body that is too large
// for its endpoint is refused whether or not it says its length.
func TestLargeBodies(t *testing.T) {
	t.Parallel()
	w := start(t, setup{})
	image := `{"model":"gpt-4o-mini","input":[{"role":"user","content":[{"type":"input_text","text":` + prompt +
		`},{"type":"input_image","image_url":"data:image/png;base64,` + strings.Repeat("A", 20<<20) + `"}]}]}`
	got := w.do(w.request(http.MethodPost, "/v1/responses", image))
	intent, _ := w.outcome(got.Exchange)
	if requests := w.provider.Requests(); got.Status != http.StatusOK || len(requests) != 1 || string(requests[0].Body) != image {
		t.Errorf("status %d; an image of 20 MiB did not arrive as it was", got.Status)
	}
	if diff := cmp.Diff([]string{"image/png"}, intent.Opaque); diff != "" {
		t.Error(diff)
	}
	text := strings.Repeat("word ", 1<<20)
	speech := w.request(http.MethodPost, "/v1/audio/speech", `{"model":"tts-1","voice":"alloy","input":"`+text+`"}`)
	chunked := w.request(http.MethodPost, "/v1/audio/speech", `{"model":"tts-1","voice":"alloy","input":"`+text+`"}`)
	chunked.ContentLength = -1
	for name, req := range map[string]*http.Request{
		"text":                   w.request(http.MethodPost, "/v1/responses", `{"model":"gpt-4o-mini","input":"`+text+`"}`),
		"another endpoint":       speech,
		"without saying so":      chunked,
		"more than Envoy's most": w.request(http.MethodPost, "/v1/responses", strings.Repeat(" ", 33<<20)),
	} {
		got := w.do(req)
		if got.Status != http.StatusRequestEntityTooLarge || !strings.Contains(got.Body, "body_too_large") {
			t.Errorf("%s: status %d: %.300s", name, got.Status, got.Body)
		}
	}
}
