package openai

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// everyField is a chat request with every string field of the public API, a canary in each, and shapes that exclude each
// other side by side where both are read.
const everyField = `{
"model":"@","messages":[
 {"role":"@","content":"@","name":"@"},
 {"role":"system","content":"@","name":"@"},
 {"role":"developer","content":[{"type":"text","text":"@"}],"name":"@"},
 {"role":"user","content":[{"type":"@","text":"@"},{"type":"text","text":"@","prompt_cache_breakpoint":{"mode":"@","ttl":"@"}},
  {"type":"image_url","image_url":{"url":"@","detail":"@"}},{"type":"image_url","image_url":{"url":"https://@"}},
  {"type":"image_url","image_url":{"url":"data:@"}},{"type":"image_url","image_url":{"url":"data:image/@;base64,aGk="}},
  {"type":"image_url","image_url":{"url":"data:image/png;@;base64,aGk="}},
  {"type":"input_audio","input_audio":{"data":"aGk=","format":"@"}},{"type":"input_audio","input_audio":{"data":"@","format":"wav"}},
  {"type":"file","file":{"file_data":"@","file_id":"@","filename":"@"}}],"name":"@"},
 {"role":"assistant","content":[{"type":"refusal","refusal":"@"}],"refusal":"@","name":"@","audio":{"id":"@"},
  "function_call":{"name":"@","arguments":"@"},"annotations":[{"type":"@","url_citation":{"title":"@","url":"@"}}],
  "tool_calls":[{"id":"@","type":"@","function":{"name":"@","arguments":"@"}},{"id":"@","type":"custom","custom":{"name":"@","input":"@"}}],
  "reasoning_content":"@"},
 {"role":"tool","content":"@","tool_call_id":"@"},{"role":"function","content":"@","name":"@"}],
"audio":{"format":"@","voice":"@"},"frequency_penalty":"@","function_call":"@","functions":[{"name":"@","description":"@","parameters":{"@":["@",{"@":"@"}]}}],
"logit_bias":{"@":1},"metadata":{"@":"@"},"modalities":["@"],"moderation":{"model":"@","policy":{"input":{"mode":"@"},"output":{"mode":"@"}}},
"prediction":{"type":"@","content":[{"type":"@","text":"@"}]},"prompt_cache_key":"@","prompt_cache_options":{"mode":"@","ttl":"@"},
"prompt_cache_retention":"@","reasoning_effort":"@","response_format":{"type":"@","json_schema":{"name":"@","description":"@","schema":{"properties":{"@":{"description":"@","enum":["@"]}}}}},
"safety_identifier":"@","service_tier":"@","stop":["@"],"stream_options":{"include_usage":"@"},
"tool_choice":{"type":"@","function":{"name":"@"},"custom":{"name":"@"},"allowed_tools":{"mode":"@","tools":[{"type":"@","function":{"name":"@"}}]}},
"tools":[{"type":"@","function":{"name":"@","description":"@","parameters":{"type":"object","properties":{"@":{"description":"@"}}}}},
 {"type":"custom","custom":{"name":"@","description":"@","format":{"type":"@","grammar":{"definition":"@","syntax":"@"}}}},
 {"type":"mcp","server_url":"@","headers":{"@":"@"}}],
"user":"@","verbosity":"@","web_search_options":{"search_context_size":"@","user_location":{"type":"@","approximate":{"city":"@"}}},
"unheard_of":"@"
}`

// A canary in any string field is either part of the prompt or the request is denied, and the denial does not repeat it.
// Each field is tried alone in a request of nothing else that could be denied.
func TestNoFieldPassesUnread(t *testing.T) {
	const canary = "canarybird"
	var doc any
	if err := json.Unmarshal([]byte(everyField), &doc); err != nil {
		t.Fatal(err)
	}
	seen, denied := 0, 0
	for _, path := range canaries(doc, nil) {
		body, err := json.Marshal(alone(doc, path, canary))
		if err != nil {
			t.Fatal(err)
		}
		if path[0] != "model" {
			body = []byte(`{"model":"gpt-4o",` + string(body[1:]))
		}
		if path[0] != "messages" {
			body = []byte(`{"messages":[{"role":"user","content":"hi"}],` + string(body[1:]))
		}
		r, e := ReadChat(body)
		if e != nil {
			denied++
			if strings.Contains(e.Public, canary) && !strings.HasSuffix(e.Param, canary) && !strings.Contains(e.Param, canary+".") {
				t.Errorf("%v: the error repeats the text: %s", path, e.Public)
			}
			continue
		}
		// What is coded in base64 is no text to the model; the prompt says that it cannot be read.
		opaque := r.Opaque && path[len(path)-1] == "data"
		if opaque || r.Model == canary || slices.ContainsFunc(promptTexts(r), func(s string) bool { return strings.Contains(s, canary) }) {
			seen++
			continue
		}
		t.Errorf("%v passes unread: %s", path, body)
	}
	if seen < 40 || denied < 30 {
		t.Errorf("%d seen, %d denied: the test lost its fields", seen, denied)
	}
}

func promptTexts(r *Request) []string {
	texts := make([]string, len(r.Prompt.Parts))
	for i, p := range r.Prompt.Parts {
		texts[i] = p.Text
	}
	return texts
}

// canaries are the paths of all marks in a document; a mark in a name is its path with the mark last.
func canaries(v any, path []any) [][]any {
	var found [][]any
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			if name == "@" {
				found = append(found, append(slices.Clone(path), name))
			}
			found = append(found, canaries(value, append(slices.Clone(path), name))...)
		}
	case []any:
		for i, value := range v {
			found = append(found, canaries(value, append(slices.Clone(path), i))...)
		}
	case string:
		if strings.Contains(v, "@") {
			found = append(found, path)
		}
	}
	return found
}

// alone keeps, of a document, the fields on the way of path and what they need to be valid, with the canary at its end.
func alone(v any, path []any, canary string) any {
	if len(path) == 0 {
		s, ok := v.(string)
		if !ok {
			return "x"
		}
		return strings.ReplaceAll(s, "@", canary)
	}
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for _, needed := range []string{"role", "type", "format", "data"} {
			if s, ok := v[needed].(string); ok && !strings.Contains(s, "@") {
				out[needed] = s
			}
		}
		name := path[0].(string)
		out[strings.ReplaceAll(name, "@", canary)] = alone(v[name], path[1:], canary)
		return out
	case []any:
		return []any{alone(v[path[0].(int)], path[1:], canary)}
	}
	return v
}
