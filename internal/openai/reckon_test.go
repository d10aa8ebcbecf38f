package openai

import (
	"strings"
	"testing"
)

// The most output of each kind, by its model and what was asked for.
func TestOutputBound(t *testing.T) {
	for _, tt := range []struct {
		endpoint, body string
		model          string
		want           int64
		slabs          bool
		param          string
	}{
		{"chat.completions", leastBodies["chat.completions"] + `,"stream":true`, "gpt-4o", 16384, true, "max_completion_tokens"},
		{"responses", leastBodies["responses"] + `,"stream":true`, "gpt-4o", 16384, true, "max_output_tokens"},
		{"completions", leastBodies["completions"], "babbage-002", 16384, false, "max_tokens"},
		{"embeddings", leastBodies["embeddings"], "text-embedding-3-small", 0, false, ""},
		{"embeddings", leastBodies["embeddings"], "unheard-of", 0, false, ""},
		{"moderations", leastBodies["moderations"], "omni-moderation-latest", 0, false, ""},
		{"images.generations", leastBodies["images.generations"] + `,"size":"1024x1024","quality":"low"`, "gpt-image-1", 272, false, ""},
		{"images.generations", leastBodies["images.generations"] + `,"size":"1024x1536","quality":"medium","stream":true,"partial_images":2`, "gpt-image-1", 1584 + 200, false, ""},
		{"images.generations", leastBodies["images.generations"] + `,"size":"1024x1024"`, "gpt-image-1-mini", 4160, false, ""},
		{"images.generations", leastBodies["images.generations"] + `,"size":"2048x2048","quality":"low"`, "gpt-image-1", 6540, false, ""},
		{"images.generations", leastBodies["images.generations"], "gpt-image-1", 6540, false, ""},
		{"images.generations", leastBodies["images.generations"], "dall-e-3", 0, false, ""},
		{"audio.speech", leastBodies["audio.speech"], "gpt-4o-mini-tts", 1024 + 2*60, false, ""},
		{"audio.speech", leastBodies["audio.speech"], "tts-1", 0, false, ""},
	} {
		r, e := read(tt.endpoint, tt.body+"}", allowance())
		if e != nil {
			t.Fatal(e.Public)
		}
		model, _ := DefaultPrices().WithUnknown(1, 1).Model(tt.model)
		if got := r.OutputBound(model); got != tt.want || r.InSlabs() != tt.slabs || r.OutputParam() != tt.param {
			t.Errorf("%s with %s: bound %d, want %d; in slabs %v, limited by %q", tt.body, tt.model, got, tt.want, r.InSlabs(), r.OutputParam())
		}
	}
}

// A completion that names no maximum has the provider's default.
func TestCompletionsAreShortByDefault(t *testing.T) {
	for more, want := range map[string]int64{"": 16, `,"max_tokens":null`: 16, `,"max_tokens":7`: 7} {
		r, e := read("completions", leastBodies["completions"]+more+"}", allowance())
		if e != nil || r.MaxOutputTokens != want {
			t.Errorf("%q: %+v, %v", more, r, e)
		}
	}
}

// What is reserved on the terms of a request is at least what any terms cost that it can be served on.
func TestTerms(t *testing.T) {
	allow := allowance()
	allow.ServiceTiers = ServiceTiers()
	model, _ := DefaultPrices().Model("gpt-5")
	for tier, want := range map[string]struct {
		terms, bound Terms
		input        int64
	}{
		"auto":     {Terms{Tier: "auto"}, Terms{}, 1_250_000},
		"default":  {Terms{Tier: "default"}, Terms{}, 1_250_000},
		"flex":     {Terms{Tier: "flex"}, Terms{}, 1_250_000},
		"priority": {Terms{Tier: "priority"}, Terms{Tier: "priority"}, 2_500_000},
	} {
		r, e := read("responses", leastBodies["responses"]+`,"service_tier":"`+tier+`"}`, allow)
		if e != nil {
			t.Fatal(e.Public)
		}
		if r.Terms() != want.terms || r.BoundTerms() != want.bound || int64(model.On(r.BoundTerms()).Input) != want.input {
			t.Errorf("%s: %+v, reserved on %+v", tier, r.Terms(), r.BoundTerms())
		}
		nano, _ := DefaultPrices().Model("gpt-5-nano") // has no price on priority
		if nano.Offered(r.Terms()) != (tier != "priority") {
			t.Errorf("%s: offered %v", tier, nano.Offered(r.Terms()))
		}
	}
	dalle, _ := DefaultPrices().Model("dall-e-3")
	for more, want := range map[string]int64{
		"": 40_000, `,"size":"1792x1024"`: 80_000, `,"size":"1024x1024","quality":"hd"`: 80_000, `,"quality":"auto"`: 120_000, `,"size":"512x512"`: 120_000,
	} {
		r, e := read("images.generations", `{"model":"dall-e-3","prompt":"x"`+more+"}", allow)
		if e != nil {
			t.Fatal(e.Public)
		}
		if got := dalle.On(r.BoundTerms()).Cost(r.Units()); int64(got) != want {
			t.Errorf("a picture with %q costs %s", more, got)
		}
	}
}

// Rewriting puts the maximum where each endpoint has it, and asks only those for usage that do not tell by themselves.
func TestRewriteByEndpoint(t *testing.T) {
	for endpoint, want := range map[string]string{
		"responses":          `{"max_output_tokens":256,"model":"gpt-4o","input":"hi","stream":true}`,
		"completions":        `{"stream_options":{"include_usage":true},"max_tokens":256,"model":"babbage-002","prompt":"hi","stream":true}`,
		"images.generations": `{"model":"gpt-image-1","prompt":"hi","stream":true}`,
	} {
		body := []byte(leastBodies[endpoint] + `,"stream":true}`)
		r, e := Read(Endpoint{Name: endpoint}, "application/json", body, allowance())
		if e != nil {
			t.Fatal(e.Public)
		}
		if got := r.Rewrite(body, Edits{IncludeUsage: true, MaxOutputTokens: 256}); string(got) != want {
			t.Errorf("%s: %s", endpoint, got)
		}
	}
}

// An answer in speech or in pictures is reckoned at their prices, and one that is delivered without a report counted so.
func TestMost(t *testing.T) {
	spoken := `,"modalities":["text","audio"],"audio":{"voice":"alloy","format":"pcm16"}`
	for _, tt := range []struct {
		endpoint, body string
		audio, image   int64
	}{
		{"chat.completions", leastBodies["chat.completions"], 0, 0},
		{"chat.completions", leastBodies["chat.completions"] + `,"modalities":["text"]`, 0, 0},
		{"chat.completions", leastBodies["chat.completions"] + spoken, 9, 0},
		{"chat.completions", leastBodies["chat.completions"] + `,"audio":{"voice":"alloy","format":"mp3"}`, 9, 0},
		{"audio.speech", leastBodies["audio.speech"], 9, 0},
		{"images.generations", leastBodies["images.generations"], 0, 9},
	} {
		r, e := read(tt.endpoint, tt.body+"}", allowance())
		if e != nil {
			t.Fatal(e.Public)
		}
		u := r.Most(7, 9)
		if u.InputTokens != 7 || u.OutputTokens != 9 || u.AudioOutputTokens != tt.audio || u.ImageOutputTokens != tt.image {
			t.Errorf("%s: %+v", tt.body, u)
		}
	}

	r, e := read("chat.completions", leastBodies["chat.completions"]+spoken+`,"stream":true}`, allowance())
	if e != nil {
		t.Fatal(e.Public)
	}
	a := NewAnswer(AnswerOptions{Request: r, Status: 200, ContentType: "text/event-stream"})
	// Ten pieces of half a token: 3,200 bytes of base64 are 50 ms without compression.
	for range 10 {
		a.Write([]byte(`data: {"choices":[{"index":0,"delta":{"audio":{"data":"`+strings.Repeat("A", 1600)+`"}}}]}`+"\n\n"), false)
	}
	if got := a.Counted(); got.OutputTokens != 5 || got.AudioOutputTokens != 5 {
		t.Errorf("half a second of speech is counted as %+v", got)
	}
}

// What a provider makes of a maximum of nothing is not certain: it bounds nothing, and is replaced where one is written.
func TestAMaximumOfNothing(t *testing.T) {
	for endpoint, param := range map[string]string{"chat.completions": "max_completion_tokens", "responses": "max_output_tokens"} {
		body := []byte(leastBodies[endpoint] + `,"` + param + `":0}`)
		r, e := Read(Endpoint{Name: endpoint}, "application/json", body, allowance())
		if e != nil || r.MaxOutputTokens != 0 {
			t.Fatalf("%s: %+v, %v", endpoint, r, e)
		}
		if got := string(r.Rewrite(body, Edits{MaxOutputTokens: 300})); !strings.Contains(got, `"`+param+`":300`) {
			t.Errorf("%s: forwarded as %s", endpoint, got)
		}
	}
	r, e := read("completions", leastBodies["completions"]+`,"max_tokens":0}`, allowance())
	if e != nil || r.MaxOutputTokens != 1 {
		t.Errorf("completions: %+v, %v", r, e)
	}
	for _, value := range []string{"-1", "-0", "1.5", "1e3", "2147483649", "9223372036854775808", `"7"`, "true"} {
		if _, e := read("chat.completions", leastBodies["chat.completions"]+`,"max_tokens":`+value+"}", allowance()); e == nil {
			t.Errorf("a maximum of %s passes", value)
		}
	}
}
