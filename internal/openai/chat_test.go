package openai

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/testkit"
)

// hi is the smallest chat, with room for more members.
func hi(more string) string {
	return `{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]` + more + `}`
}

func TestReadChat(t *testing.T) {
	r, err := ReadChat([]byte(` {"messages":[{"content":"Be brief.","role":"developer"},
		{"role":"user","name":"ann","content":[{"type":"text","text":"Line\none \u00e9\ud83d\ude00"},
			{"type":"image_url","image_url":{"url":"data:image\/png;base64,aGk=","detail":"low"}}]},
		{"role":"assistant","content":null,"refusal":"no","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},
		{"role":"tool","tool_call_id":"c1","content":"42"}],
		"model":"gpt-4o","stream":true,"stream_options":{"include_usage":true},"n":2,"max_completion_tokens":99,
		"tools":[{"type":"function","function":{"name":"f","description":"does f","parameters":{"type":"object"}}}],
		"metadata":{"k":"v"}} `))
	if err != nil {
		t.Fatal(err, err.Public)
	}
	want := []core.Part{
		{Role: "developer", Kind: core.KindText, Text: "Be brief."},
		{Role: "user", Kind: core.KindName, Turn: 1, Text: "ann"},
		{Role: "user", Kind: core.KindText, Turn: 1, Text: "Line\none é😀"},
		{Role: "user", Kind: core.KindOpaque, Turn: 1, Text: "image/png"},
		{Role: "assistant", Kind: core.KindText, Turn: 2, Text: "no"},
		{Role: "assistant", Kind: core.KindMeta, Turn: 2, Text: "c1"},
		{Role: "assistant", Kind: core.KindName, Turn: 2, Text: "f"},
		{Role: "assistant", Kind: core.KindCall, Turn: 2, Text: `{"a":1}`},
		{Role: "tool", Kind: core.KindMeta, Turn: 3, Text: "c1"},
		{Role: "tool", Kind: core.KindText, Turn: 3, Text: "42"},
		{Role: "meta", Kind: core.KindName, Turn: -1, Text: "f"},
		{Role: "meta", Kind: core.KindSchema, Turn: -1, Text: "does f"},
		{Role: "meta", Kind: core.KindSchema, Turn: -1, Text: "type\nobject"},
		{Role: "meta", Kind: core.KindMeta, Turn: -1, Text: "k"},
		{Role: "meta", Kind: core.KindMeta, Turn: -1, Text: "v"},
	}
	if diff := cmp.Diff(want, r.Prompt.Parts); diff != "" {
		t.Error(diff)
	}
	if r.Endpoint != "chat.completions" || r.Model != "gpt-4o" || !r.Stream || !r.IncludeUsage || r.Choices != 2 ||
		r.MaxOutputTokens != 99 || !r.Opaque {
		t.Errorf("%+v", r)
	}
}

func TestReadChatRefuses(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	const text, param = core.ReasonInvalidBody, core.ReasonUnsupportedParameter
	for _, tt := range []struct {
		name, body string
		reason     core.Reason
		param      string
	}{
		{"empty", "", text, ""},
		{"white space", "  ", text, ""},
		{"not an object", `[]`, text, ""},
		{"null", `null`, text, ""},
		{"truncated", hi("")[:20], text, ""},
		{"trailing data", hi("") + "{}", text, ""},
		{"trailing rubbish", hi("") + "x", text, ""},
		{"trailing NUL", hi("") + "\x00", text, ""},
		{"byte order mark", "\xef\xbb\xbf" + hi(""), text, ""},
		{"UTF-16", "{\x00}\x00", text, ""},
		{"same name twice", hi(`,"model":"gpt-4o"`), text, "model"},
		{"same name twice, escaped", hi(`,"\u006dodel":"gpt-4o-mini"`), text, "model"},
		{"same name twice below", `{"model":"m","messages":[{"role":"user","content":"a","content":"b"}]}`, text, "messages[0].content"},
		{"same name twice in a schema", hi(`,"tools":[{"type":"function","function":{"parameters":{"a":1,"a":2}}}]`), text, ""},
		{"another case", hi(`,"MODEL":"gpt-4o-mini"`), text, "MODEL"},
		{"another case below", `{"model":"m","messages":[{"role":"user","content":"a","Content":"b"}]}`, text, "messages[0].Content"},
		{"Kelvin sign for k", hi(`,"max_to` + "\u212a" + `ens":1`), text, "?"},
		{"long s", hi(`,"me` + "\u017f" + `sages":[]`), text, "?"},
		{"invalid UTF-8", hi(`,"user":"` + "\xff" + `"`), text, "user"},
		{"overlong UTF-8", hi(`,"user":"` + "\xc0\xaf" + `"`), text, "user"},
		{"lone surrogate", hi(`,"user":"\ud800"`), text, "user"},
		{"swapped surrogates", hi(`,"user":"\ude00\ud83d"`), text, "user"},
		{"control character", hi(`,"user":"` + "\n" + `"`), text, "user"},
		{"too deep", hi(`,"tools":[{"type":"function","function":{"parameters":` + deep(70) + `}}]`), text, ""},
		{"much too deep", `{"model":` + strings.Repeat("[", 1_000_000), text, "model"},
		{"no model", `{"messages":[]}`, text, "model"},
		{"empty model", `{"model":"","messages":[]}`, text, "model"},
		{"model null", `{"model":null,"messages":[]}`, text, "model"},
		{"model a number", `{"model":4,"messages":[]}`, text, "model"},
		{"model too long", `{"model":"` + strings.Repeat("x", 300) + `","messages":[]}`, text, "model"},
		{"no messages", `{"model":"m"}`, text, "messages"},
		{"messages a string", `{"model":"m","messages":"hi"}`, text, "messages"},
		{"message a string", `{"model":"m","messages":["hi"]}`, text, "messages[0]"},
		{"message without a role", `{"model":"m","messages":[{"content":"hi"}]}`, text, "messages[0]"},
		{"unknown role", `{"model":"m","messages":[{"role":"root","content":"hi"}]}`, param, "messages[0].role"},
		{"content a number", `{"model":"m","messages":[{"role":"user","content":1}]}`, text, "messages[0].content"},
		{"content an object", `{"model":"m","messages":[{"role":"user","content":{}}]}`, text, "messages[0].content"},
		{"name a number", `{"model":"m","messages":[{"role":"user","content":"a","name":1}]}`, text, "messages[0].name"},
		{"stream a string", hi(`,"stream":"true"`), text, "stream"},
		{"stream a number", hi(`,"stream":1`), text, "stream"},
		{"stream_options an array", hi(`,"stream_options":[]`), text, "stream_options"},
		{"max a fraction", hi(`,"max_tokens":1.5`), text, "max_tokens"},
		{"max as 1.0", hi(`,"max_tokens":1.0`), text, "max_tokens"},
		{"max with an exponent", hi(`,"max_tokens":1e3`), text, "max_tokens"},
		{"max negative", hi(`,"max_tokens":-1`), text, "max_tokens"},
		{"max minus zero", hi(`,"max_tokens":-0`), text, "max_tokens"},
		{"max too large", hi(`,"max_tokens":99999999999999999999`), text, "max_tokens"},
		{"max a string", hi(`,"max_completion_tokens":"100"`), text, "max_completion_tokens"},
		{"both maxima", hi(`,"max_tokens":1,"max_completion_tokens":1`), text, "max_completion_tokens"},
		{"n too large", hi(`,"n":1000`), text, "n"},
		{"user a number", hi(`,"user":1`), text, "user"},
		{"stop an object", hi(`,"stop":{}`), text, "stop"},
		{"temperature a string", hi(`,"temperature":"1"`), text, "temperature"},
		{"metadata nested", hi(`,"metadata":{"a":{"b":"c"}}`), text, "metadata.a"},
		{"unknown member", hi(`,"surprise":1`), param, "surprise"},
		{"unknown member below", `{"model":"m","messages":[{"role":"user","content":"a","x":"b"}]}`, param, "messages[0].x"},
		{"text as a name", hi(`,"what is my salary, really?":1`), param, "?"},
		{"web search", hi(`,"web_search_options":{}`), param, "web_search_options"},
		{"hosted tool", hi(`,"tools":[{"type":"web_search"}]`), param, "tools[0].type"},
		{"hosted tool's members", hi(`,"tools":[{"server_url":"https://x"}]`), param, "tools[0].server_url"},
		{"dearer tier", hi(`,"service_tier":"priority"`), param, "service_tier"},
		{"unknown effort", hi(`,"reasoning_effort":"please"`), param, "reasoning_effort"},
		{"remote image", `{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x/y.png"}}]}]}`, param, "messages[0].content[0].image_url.url"},
		{"text as an image", `{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,a b"}}]}]}`, param, "messages[0].content[0].image_url.url"},
		{"text as a media type", `{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/p ng;base64,aa"}}]}]}`, param, "messages[0].content[0].image_url.url"},
		{"text as audio", `{"model":"m","messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"not, base64","format":"wav"}}]}]}`, param, "messages[0].content[0].input_audio.data"},
		{"file", `{"model":"m","messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"f"}}]}]}`, param, "messages[0].content[0].file.file_id"},
		{"file without a type", `{"model":"m","messages":[{"role":"user","content":[{"file":{"file_data":"aGk="}}]}]}`, param, "messages[0].content[0].file.file_data"},
		{"earlier audio", `{"model":"m","messages":[{"role":"assistant","audio":{"id":"a"}}]}`, param, "messages[0].audio"},
		{"cache breakpoint", `{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"a","prompt_cache_breakpoint":{"mode":"explicit"}}]}]}`, param, "messages[0].content[0].prompt_cache_breakpoint"},
		{"bias on a word", hi(`,"logit_bias":{"word":1}`), param, "logit_bias.word"},
	} {
		r, err := ReadChat([]byte(tt.body))
		if err == nil {
			t.Errorf("%s: read as %+v", tt.name, r)
			continue
		}
		if err.Reason != tt.reason || err.Param != tt.param && (tt.param != "" || tt.reason != text) {
			t.Errorf("%s: %s, param %q, want %s, %q (%s)", tt.name, err.Reason, err.Param, tt.reason, tt.param, err.Public)
		}
		if err.Cause != nil || len(err.Public) > 500 || strings.Contains(err.Public+err.Param, "salary") {
			t.Errorf("%s: the error may repeat the prompt: %v %s", tt.name, err, err.Public)
		}
	}
}

// The offset in an error is where the trouble is.
func TestReadChatNamesTheOffset(t *testing.T) {
	body := hi(`,"user":"` + "\xff" + `"`)
	_, err := ReadChat([]byte(body))
	if want := fmt.Sprintf("at byte %d", strings.Index(body, "\xff")); !strings.Contains(err.Public, want) {
		t.Errorf("%s, want %s", err.Public, want)
	}
}

func TestReadChatDepth(t *testing.T) {
	nest := func(n int) error {
		body := hi(`,"tools":[{"type":"function","function":{"parameters":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}}]`)
		if _, err := ReadChat([]byte(body)); err != nil {
			return err
		}
		return nil
	}
	// Four levels stand around the schema.
	if err := nest(maxDepth - 4); err != nil {
		t.Errorf("%d levels are refused: %v", maxDepth, err)
	}
	if nest(maxDepth-3) == nil {
		t.Errorf("%d levels are taken", maxDepth+1)
	}
}

func TestReadChatTakes(t *testing.T) {
	for _, more := range []string{
		`,"stream":false`, `,"stream":null,"stream_options":null`, `,"stop":"x"`, `,"stop":["x","y"]`, `,"stop":null`,
		`,"max_tokens":null,"max_completion_tokens":7`, `,"n":null`, `,"temperature":0.7,"top_p":1,"seed":-7`,
		`,"logit_bias":{"50256":-100}`, `,"tool_choice":"auto"`, `,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"f"}}]}}`,
		`,"function_call":{"name":"f"},"functions":[{"name":"f","parameters":{}}]`, `,"response_format":{"type":"json_schema","json_schema":{"name":"x","strict":true,"schema":{"type":"object"}}}`,
		`,"tools":[{"type":"custom","custom":{"name":"c","format":{"type":"grammar","grammar":{"syntax":"lark","definition":"start: x"}}}}]`,
		`,"prediction":{"type":"content","content":[{"type":"text","text":"x"}]}`, `,"service_tier":"auto","reasoning_effort":"minimal","verbosity":"low","store":true`,
		`,"modalities":["text","audio"],"audio":{"format":"wav","voice":{"id":"v"}}`, `,"moderation":{"model":"omni","policy":{"input":{"mode":"block"}}}`,
		`,"web_search_options":null,"prompt_cache_retention":"24h","parallel_tool_calls":false,"logprobs":true,"top_logprobs":3`,
		`,"metadata":{}`, `,"\u0075ser":"escaped name"`,
	} {
		if _, err := ReadChat([]byte(hi(more))); err != nil {
			t.Errorf("%s: %s", more, err.Public)
		}
	}
}

// A conforming document is taken wherever any JSON may stand, a broken one nowhere.
func TestJSONTestSuite(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(testkit.SharedData(t, "jsontestsuite", "test_parsing"), "*.json"))
	if err != nil || len(files) < 300 {
		t.Fatalf("%d documents: %v", len(files), err)
	}
	// Conforming, but read in two ways by two readers, and so refused.
	twoWays := map[string]bool{"y_object_duplicated_key.json": true, "y_object_duplicated_key_and_value.json": true}
	for _, file := range files {
		doc, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(file)
		if _, err := ReadChat(doc); err == nil {
			t.Errorf("%s: taken for a chat", name)
		}
		_, e := ReadChat([]byte(hi(`,"tools":[{"type":"function","function":{"name":"f","parameters":` + string(doc) + `}}]`)))
		switch {
		case name[0] == 'y' && e != nil && !twoWays[name]:
			t.Errorf("%s: refused: %s", name, e.Public)
		case name[0] == 'n' && e == nil:
			t.Errorf("%s: taken", name)
		case twoWays[name] && e == nil:
			t.Errorf("%s: taken, with a name twice", name)
		}
	}
}

// Recorded chats are read, but for those that ask for what is denied by default.
func TestReadRecordedChats(t *testing.T) {
	denied := map[string]string{
		"chat-multimodal":           "messages[0].content[1].image_url.url", // an image to be fetched
		"chat-web-search":           "web_search_options",
		"chat-streaming-web-search": "web_search_options",
	}
	seen := 0
	for _, r := range testkit.Recordings(t, testkit.SharedData(t, "openai-recordings", "ai-gateway")) {
		if e, _, err := Lookup(r.Request.Method, r.Request.Path); err != nil || e.Name != "chat.completions" {
			continue
		}
		seen++
		req, err := ReadChat(r.Request.Body)
		param, isDenied := denied[r.Name]
		switch {
		case isDenied && (err == nil || err.Param != param):
			t.Errorf("%s: %v, want it denied for %s", r.Name, err, param)
		case isDenied:
		case err != nil:
			t.Errorf("%s: %s", r.Name, err.Public)
		case req.Model == "" || req.InputBound() < req.CountInput():
			t.Errorf("%s: %+v", r.Name, req)
		}
	}
	if seen < 18 {
		t.Errorf("only %d chats", seen)
	}
}
