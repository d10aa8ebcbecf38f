package openai

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// Whatever a body of whatever endpoint holds: what is read is JSON that other readers read as well, its bounds are in order,
// nothing in it is untold, and what is rewritten reads the same.
func FuzzRead(f *testing.F) {
	endpoints := slices.Sorted(maps.Keys(leastBodies))
	for i, endpoint := range endpoints {
		f.Add(uint8(i), true, []byte(leastBodies[endpoint]+"}"))
		f.Add(uint8(i), false, []byte(leastBodies[endpoint]+`,"stream":true,"stream_options":null,"n":2,"metadata":{"a":"b"}}`))
	}
	responses := uint8(slices.Index(endpoints, "responses"))
	f.Add(responses, true, []byte(`{"model":"m","max_tool_calls":2,"tools":[{"type":"mcp","headers":{"a":["b",{"c":null}]}}],"input":[{"type":"mcp_call","error":{"x":1}}]}`))
	f.Add(responses, false, []byte(`{"input":[{"content":[{"type":"input_text","text":"a"}],"role":"user"},{"type":"reasoning","summary":[],"encrypted_content":"aa"}],"model":"m"}`))
	f.Add(responses, false, []byte(`{"model":"m","input":"x","conversation":{"id":"c"},"text":{"format":{"type":"json_schema","schema":{}}}}`))
	f.Add(uint8(slices.Index(endpoints, "embeddings")), false, []byte(`{"input":[[755,16178],[1471]],"model":"text-embedding-3-small"}`))
	f.Fuzz(func(t *testing.T, which uint8, everything bool, body []byte) {
		endpoint := Endpoint{Name: endpoints[int(which)%len(endpoints)]}
		allow := allowance()
		if everything {
			allow.RemoteURLs, allow.Files, allow.HostedTools = true, true, HostedTools()
		}
		given := bytes.Clone(body)
		r, e := Read(endpoint, "application/json", body, allow)
		if !bytes.Equal(body, given) {
			t.Fatal("the body was changed")
		}
		if e != nil {
			if e.Public == "" || !utf8.ValidString(e.Public+e.Param) || len(e.Public) > 1024 {
				t.Fatalf("the words of the error: %q at %q", e.Public, e.Param)
			}
			return
		}
		var other struct{ Model *string }
		if err := json.Unmarshal(body, &other); err != nil || other.Model != nil && *other.Model != r.Model {
			t.Fatalf("another reader: %v, %v", err, other.Model)
		}
		if r.CountInput() > r.InputBound() || r.Choices < 1 || r.Contexts() < 0 {
			t.Fatalf("%d counted, bound %d; %d choices", r.CountInput(), r.InputBound(), r.Choices)
		}
		for _, p := range r.Prompt.Parts {
			if p.Role == "" || p.Kind == "" || !utf8.ValidString(p.Text) || p.Text == "" {
				t.Fatalf("a part without a role, a kind or a text: %+v", p)
			}
		}
		rewritten := r.Rewrite(body, Edits{IncludeUsage: true, MaxOutputTokens: 300})
		again, e := Read(endpoint, "application/json", rewritten, allow)
		if e != nil {
			t.Fatalf("what was rewritten is refused: %s\n%s", e.Public, rewritten)
		}
		if !slices.Equal(again.Prompt.Parts, r.Prompt.Parts) || again.OutputParam() != "" && again.MaxOutputTokens > 300 ||
			again.LacksUsage() || strings.Join(again.Unread(), " ") != strings.Join(r.Unread(), " ") {
			t.Fatalf("what was rewritten reads otherwise:\n%s\n%s", body, rewritten)
		}
	})
}
