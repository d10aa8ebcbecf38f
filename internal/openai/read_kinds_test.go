package openai

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/testkit"
)

// least bodies of each endpoint, with room for more members.
var leastBodies = map[string]string{
	"chat.completions":   `{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]`,
	"responses":          `{"model":"gpt-4o","input":"hi"`,
	"completions":        `{"model":"babbage-002","prompt":"hi"`,
	"embeddings":         `{"model":"text-embedding-3-small","input":"hi"`,
	"moderations":        `{"input":"hi"`,
	"images.generations": `{"model":"gpt-image-1","prompt":"hi"`,
	"audio.speech":       `{"model":"gpt-4o-mini-tts","input":"hi","voice":"alloy"`,
}

func TestReadResponse(t *testing.T) {
	r, e := read("responses", `{"input":[
		{"role":"developer","content":"Be brief."},
		{"content":[{"text":"What is it?","type":"input_text"},{"image_url":"data:image/png;base64,aGk=","detail":"low","type":"input_image"}],"type":"message","role":"user"},
		{"id":"rs_1","encrypted_content":"gAAA","summary":[{"type":"summary_text","text":"thinking"}],"type":"reasoning"},
		{"call_id":"c1","name":"f","arguments":"{\"a\":1}","type":"function_call"},
		{"type":"function_call_output","output":[{"type":"input_text","text":"42"}],"call_id":"c1"},
		{"type":"message","id":"msg_1","status":"completed","role":"assistant","content":[{"type":"output_text","text":"A cat.","annotations":[]}]}],
		"instructions":"You see.","model":"gpt-5-mini","stream":true,"max_output_tokens":99,"reasoning":{"effort":"low","summary":"auto"},
		"text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object"}},"verbosity":"low"},"include":["reasoning.encrypted_content"],
		"tools":[{"type":"function","name":"f","description":"does f","parameters":{"a":1},"strict":true},{"name":"c","type":"custom","format":{"type":"text"}}],
		"tool_choice":{"type":"function","name":"f"},"metadata":{"k":"v"},"store":false,"truncation":"auto","parallel_tool_calls":true,"user":null}`, allowance())
	if e != nil {
		t.Fatal(e.Public)
	}
	want := []core.Part{
		{Role: "developer", Kind: "text", Text: "Be brief."},
		{Role: "user", Kind: "text", Turn: 1, Text: "What is it?"},
		{Role: "user", Kind: "opaque", Turn: 1, Text: "image/png"},
		{Role: "assistant", Kind: "meta", Turn: 2, Text: "rs_1"},
		{Role: "assistant", Kind: "opaque", Turn: 2, Text: "application/octet-stream"},
		{Role: "assistant", Kind: "text", Turn: 2, Text: "thinking"},
		{Role: "assistant", Kind: "meta", Turn: 3, Text: "c1"},
		{Role: "assistant", Kind: "name", Turn: 3, Text: "f"},
		{Role: "assistant", Kind: "call", Turn: 3, Text: `{"a":1}`},
		{Role: "tool", Kind: "text", Turn: 4, Text: "42"},
		{Role: "tool", Kind: "meta", Turn: 4, Text: "c1"},
		{Role: "assistant", Kind: "meta", Turn: 5, Text: "msg_1"},
		{Role: "assistant", Kind: "text", Turn: 5, Text: "A cat."},
		{Role: "system", Kind: "text", Turn: -1, Text: "You see."},
		{Role: "meta", Kind: "name", Turn: -1, Text: "n"},
		{Role: "meta", Kind: "schema", Turn: -1, Text: "type\nobject"},
		{Role: "meta", Kind: "name", Turn: -1, Text: "f"},
		{Role: "meta", Kind: "schema", Turn: -1, Text: "does f"},
		{Role: "meta", Kind: "schema", Turn: -1, Text: "a"},
		{Role: "meta", Kind: "name", Turn: -1, Text: "c"},
		{Role: "meta", Kind: "name", Turn: -1, Text: "f"},
		{Role: "meta", Kind: "meta", Turn: -1, Text: "k"},
		{Role: "meta", Kind: "meta", Turn: -1, Text: "v"},
	}
	if diff := cmp.Diff(want, r.Prompt.Parts); diff != "" {
		t.Error(diff)
	}
	if r.Model != "gpt-5-mini" || !r.Stream || r.MaxOutputTokens != 99 || !r.Opaque || r.Choices != 1 || r.Objects != nil ||
		r.Contexts() != 0 || r.size.lowImages != 1 || r.size.messages != 6 || r.size.tools != 2 {
		t.Errorf("%+v", r)
	}
	if diff := cmp.Diff([]string{"image/png", "application/octet-stream"}, r.Unread()); diff != "" {
		t.Error(diff)
	}
}

// What a request names at the provider is told apart from its text.
func TestReadNamesObjects(t *testing.T) {
	for more, want := range map[string][]core.ObjectRef{
		`,"previous_response_id":"resp_1"`:                             {{Kind: core.ObjectResponse, ID: "resp_1"}},
		`,"conversation":"conv_1"`:                                     {{Kind: core.ObjectConversation, ID: "conv_1"}},
		`,"conversation":{"id":"conv_2"},"previous_response_id":"r-3"`: {{Kind: core.ObjectConversation, ID: "conv_2"}, {Kind: core.ObjectResponse, ID: "r-3"}},
		`,"conversation":null,"previous_response_id":null`:             nil,
	} {
		r, e := read("responses", leastBodies["responses"]+more+`}`, allowance())
		if e != nil {
			t.Errorf("%s: %s", more, e.Public)
			continue
		}
		if diff := cmp.Diff(want, r.Objects); diff != "" {
			t.Error(diff)
		}
		if r.Contexts() != 0 { // what they hold is known to whoever knows whose they are
			t.Errorf("%s: %d contexts", more, r.Contexts())
		}
	}
}

// Prompts that are several texts, or tokens, are read as the texts that they stand for.
func TestReadPromptsOfAllForms(t *testing.T) {
	user := func(texts ...string) (parts []core.Part) {
		for _, text := range texts {
			parts = append(parts, core.Part{Role: "user", Kind: "text", Text: text})
		}
		return parts
	}
	for _, tt := range []struct {
		endpoint, body string
		parts          []core.Part
		choices        int64
	}{
		{"embeddings", `{"model":"text-embedding-3-small","input":"a b"}`, user("a b"), 1},
		{"embeddings", `{"model":"text-embedding-3-small","input":["a","b"],"encoding_format":"base64","dimensions":256}`, user("a", "b"), 1},
		{"embeddings", `{"model":"text-embedding-3-small","input":[4438,656,358,7738,856,3636,30]}`, user("How do I reset my password?"), 1},
		{"embeddings", `{"input":[[755,16178],[1471]],"model":"text-embedding-ada-002"}`, user("def fib", "(n"), 1},
		{"completions", `{"model":"babbage-002","prompt":[755,16178],"n":2}`, user("def fib"), 2},
		{"completions", `{"model":"gpt-3.5-turbo-instruct","prompt":["a","b"],"n":2,"best_of":3,"echo":false}`, user("a", "b"), 6},
		{"moderations", `{"input":["a",{"type":"text","text":"b"}]}`, user("a", "b"), 1},
		{"images.generations", `{"model":"gpt-image-1","prompt":"a cat","n":3,"size":"1024x1536","quality":"high","output_format":"webp"}`, user("a cat"), 3},
	} {
		r, e := read(tt.endpoint, tt.body, allowance())
		if e != nil {
			t.Errorf("%s: %s", tt.body, e.Public)
			continue
		}
		if diff := cmp.Diff(tt.parts, r.Prompt.Parts); diff != "" {
			t.Errorf("%s:\n%s", tt.body, diff)
		}
		if r.Choices != tt.choices || r.Model == "" {
			t.Errorf("%s: %+v", tt.body, r)
		}
	}
}

// Tokens that are none the tokenizer would choose count as many as they are.
func TestTokensCountAsSent(t *testing.T) {
	const bytes = 50
	var tokens []string
	for range bytes {
		tokens = append(tokens, "64") // "a", of which the tokenizer makes one token for several
	}
	r, e := read("embeddings", `{"model":"text-embedding-3-small","input":[`+strings.Join(tokens, ",")+`]}`, allowance())
	if e != nil {
		t.Fatal(e.Public)
	}
	if r.Prompt.Parts[0].Text != strings.Repeat("a", bytes) || r.CountInput() < bytes || r.InputBound() < r.CountInput() {
		t.Errorf("%q counts %d, bound %d", r.Prompt.Parts[0].Text, r.CountInput(), r.InputBound())
	}
}

// Recorded requests are read, but for those that are wrong or ask for what the policy does not allow by default.
func TestReadRecordedRequests(t *testing.T) {
	denied := map[string]string{
		"completion-bad-request": "max_tokens", "embeddings-bad-request": "dimensions",
		"test_responses_with_service_tier": "service_tier", "test_responses_with_service_tier#2": "service_tier",
	}
	seen := map[string]int{}
	for _, r := range recordings(t) {
		endpoint, _, err := Lookup(r.Request.Method, r.Request.Path)
		if err != nil || endpoint.Name == "chat.completions" || endpoint.Form { // forms were not recorded whole
			continue
		}
		req, e := Read(endpoint, "application/json", r.Request.Body, allowance())
		param, isDenied := denied[r.Name]
		switch {
		case isDenied && (e == nil || e.Param != param):
			t.Errorf("%s: %v, want it denied for %s", r.Name, e, param)
		case isDenied:
		case e != nil:
			t.Errorf("%s: %s", r.Name, e.Public)
		default:
			seen[endpoint.Name]++
			checkRecorded(t, r, req)
		}
	}
	if seen["responses"] < 28 || seen["completions"] < 8 || seen["embeddings"] < 9 || seen["images.generations"] < 1 {
		t.Errorf("read: %v", seen)
	}
}

// checkRecorded holds the bounds of a request to what the provider counted.
func checkRecorded(t *testing.T, r testkit.Recording, req *Request) {
	t.Helper()
	if r.Response.Status != 200 {
		return
	}
	usage, ok := factsOf(t, r.Response.Plain(t), isEventStream(r.Response.Header.Get("Content-Type"))).usage()
	if !ok {
		return
	}
	model, _ := DefaultPrices().Model(req.Model)
	if req.InputBound() < usage.InputTokens || req.CountInput() < usage.InputTokens || req.CountInput() > req.InputBound() {
		t.Errorf("%s: %d tokens of input, counted %d, bound %d", r.Name, usage.InputTokens, req.CountInput(), req.InputBound())
	}
	bound := req.OutputBound(model)
	if req.MaxOutputTokens > 0 && req.MaxOutputTokens < bound {
		bound = req.MaxOutputTokens
	}
	if usage.OutputTokens > bound*req.Choices {
		t.Errorf("%s: %d tokens of output, bound %d for each of %d", r.Name, usage.OutputTokens, bound, req.Choices)
	}
}

func TestReadRefuses(t *testing.T) {
	const text, param = core.ReasonInvalidBody, core.ReasonUnsupportedParameter
	for _, tt := range []struct {
		endpoint, more string // members beside the least body, or a body of its own
		reason         core.Reason
		param          string
	}{
		{"responses", `,"background":true`, param, "background"},
		{"responses", `,"prompt":{"id":"pmpt_1"}`, param, "prompt"},
		{"responses", `,"context_management":[{"type":"compaction"}]`, param, "context_management"},
		{"responses", `,"prompt_cache_options":{"mode":"x"}`, param, "prompt_cache_options"},
		{"responses", `,"stream_options":{"include_usage":true}`, param, "stream_options.include_usage"},
		{"responses", `,"service_tier":"ultrafast"`, param, "service_tier"},
		{"responses", `,"reasoning":{"mode":"pro"}`, param, "reasoning.mode"},
		{"responses", `,"previous_response_id":"../files"`, text, "previous_response_id"},
		{"responses", `,"previous_response_id":7`, text, "previous_response_id"},
		{"responses", `,"Instructions":"x"`, text, "Instructions"},
		{"responses", `,"text":{"Format":{}}`, text, "text.Format"},
		{"responses", `,"tools":[{"type":"file_search","vector_store_ids":["vs"]}]`, param, "tools[0].type"},
		{"responses", `,"tools":[{"type":"image_generation"}]`, param, "tools[0].type"},
		{"responses", `,"tools":[{"type":"computer_use_preview"}]`, param, "tools[0].type"},
		{"responses", `,"tools":[{"type":"local_shell"}]`, param, "tools[0].type"},
		{"responses", `,"tools":[{"type":"function","name":"f","server_url":"https://x"}]`, param, "tools[0].server_url"},
		{"responses", `,"tools":[{"name":"f"}]`, text, "tools[0]"},
		{"responses", `,"tool_choice":{"type":"image_generation"}`, param, "tool_choice.type"},
		{"responses", `{"model":"m"}`, text, "input"},
		{"responses", `{"input":"hi"}`, text, "model"},
		{"responses", `{"model":"m","input":null}`, text, "input"},
		{"responses", `{"model":"m","input":{}}`, text, "input"},
		{"responses", `{"model":"m","input":[{"id":"msg_1"}]}`, text, "input[0]"},
		{"responses", `{"model":"m","input":[{"type":"item_reference","id":"msg_1"}]}`, param, "input[0].type"},
		{"responses", `{"model":"m","input":[{"content":"hi"}]}`, text, "input[0]"},
		{"responses", `{"model":"m","input":[{"role":"tool","content":"hi"}]}`, param, "input[0].role"},
		{"responses", `{"model":"m","input":[{"role":"user","content":"hi","arguments":"x"}]}`, param, "input[0]"},
		{"responses", `{"model":"m","input":[{"type":"reasoning","id":"rs_1","summary":[]}]}`, param, "input[0]"},
		{"responses", `{"model":"m","input":[{"type":"function_call","name":"f","arguments":{}}]}`, param, "input[0].arguments"},
		{"responses", `{"model":"m","input":[{"role":"user","content":[{"type":"input_file","file_id":"file_1"}]}]}`, param, "input[0].content[0].file_id"},
		{"responses", `{"model":"m","input":[{"role":"user","content":[{"type":"input_image","file_id":"file_1"}]}]}`, param, "input[0].content[0].file_id"},
		{"completions", `,"echo":true`, param, "echo"},
		{"completions", `,"n":200`, text, "n"},
		{"completions", `,"suffix":7`, text, "suffix"},
		{"completions", `{"model":"babbage-002"}`, text, "prompt"},
		{"completions", `{"model":"babbage-002","prompt":null}`, text, "prompt"},
		{"completions", `{"model":"babbage-002","prompt":["a",1]}`, text, "prompt[1]"},
		{"completions", `{"model":"babbage-002","prompt":[1,[2]]}`, text, "prompt[1]"},
		{"completions", `{"model":"babbage-002","prompt":[1.5]}`, text, "prompt[0]"},
		{"completions", `{"model":"babbage-002","prompt":[null]}`, text, "prompt[0]"},
		{"completions", `{"model":"gpt-4o","prompt":[1]}`, param, "prompt"},            // its vocabulary is not the one that is known
		{"completions", `{"model":"babbage-002","prompt":[100257]}`, param, "prompt"},  // a special token
		{"completions", `{"model":"babbage-002","prompt":[1000000]}`, param, "prompt"}, // none
		{"embeddings", `{"model":"text-embedding-3-small","input":[[1],[999999]]}`, param, "input[1]"},
		{"embeddings", `,"encoding_format":"x"`, param, "encoding_format"},
		{"embeddings", `,"dimensions":-1`, text, "dimensions"},
		{"embeddings", `,"input_type":"x"`, param, "input_type"},
		{"moderations", `{"model":"m"}`, text, "input"},
		{"moderations", `{"input":[{"type":"image_url","image_url":{"url":"https://x/y.png"}}]}`, param, "input[0].image_url.url"},
		{"images.generations", `,"size":"10x"`, param, "size"},
		{"images.generations", `,"size":"a picture of"`, param, "size"},
		{"images.generations", `,"quality":"max"`, param, "quality"},
		{"images.generations", `,"output_format":"svg"`, param, "output_format"},
		{"images.generations", `,"svg":{"model":"gpt-5"}`, param, "svg"},
		{"images.generations", `,"complexity":"high"`, param, "complexity"},
		{"images.generations", `,"partial_images":9`, text, "partial_images"},
		{"images.generations", `{"prompt":"hi"}`, text, "model"},
		{"audio.speech", `,"response_format":"x"`, param, "response_format"},
		{"audio.speech", `{"model":"tts-1","voice":"alloy"}`, text, "input"},
		{"files", `{}`, core.ReasonEndpointNotAllowed, ""},
	} {
		body := tt.more
		if body[0] == ',' {
			body = leastBodies[tt.endpoint] + tt.more + "}"
		}
		_, e := read(tt.endpoint, body, allowance())
		if e == nil || e.Reason != tt.reason || e.Param != tt.param {
			t.Errorf("%s %s: %+v, want %s at %q", tt.endpoint, tt.more, e, tt.reason, tt.param)
		}
	}
}

// What every endpoint refuses, whatever stands in its body.
func TestEveryEndpointReadsStrictly(t *testing.T) {
	for endpoint, least := range leastBodies {
		if _, e := read(endpoint, least+"}", allowance()); e != nil {
			t.Errorf("%s: %s", endpoint, e.Public)
		}
		for name, body := range map[string]string{
			"empty": "", "trailing data": least + "}x", "cut short": least, "an array": "[" + least + "}]", "null": "null",
			"a name twice": least + `,"model":"m","model":"n"}`, "an unknown member": least + `,"unheard_of":"x"}`,
			"another case": least + `,"USER":"x"}`, "a byte order mark": "\xef\xbb\xbf" + least + "}",
			"no UTF-8": least + ",\"user\":\"\xff\"}", "a long model": strings.Replace(least, `{`, `{"model":"`+strings.Repeat("m", 300)+`",`, 1) + "}",
		} {
			if _, e := read(endpoint, body, allowance()); e == nil || e.Cause != nil {
				t.Errorf("%s: %s is read", endpoint, name)
			}
		}
		if _, e := Read(Endpoint{Name: endpoint}, "text/plain", []byte(least+"}"), allowance()); e == nil || e.Reason != core.ReasonUnsupportedMediaType {
			t.Errorf("%s: text is read as JSON", endpoint)
		}
	}
}

// A body may be as large as the media in it; text is bounded everywhere.
func TestTextIsBoundedBesideMedia(t *testing.T) {
	image := func(n int) string {
		return `{"model":"gpt-4o","input":[{"role":"user","content":[{"type":"input_image","image_url":"data:image/png;base64,` +
			strings.Repeat("A", n) + `"},{"type":"input_text","text":"`
	}
	if _, e := read("responses", image(5<<20)+`hi"}]}]}`, allowance()); e != nil {
		t.Errorf("an image of 5 MiB: %s", e.Public)
	}
	if _, e := read("responses", image(1)+strings.Repeat("word ", 1<<20)+`"}]}]}`, allowance()); e == nil || e.Reason != core.ReasonBodyTooLarge {
		t.Errorf("text of 5 MiB: %v", e)
	}
}
