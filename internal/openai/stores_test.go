package openai

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/core"
)

func beside(text string) core.Part {
	return core.Part{Role: core.RoleMeta, Kind: core.KindMeta, Turn: -1, Text: text}
}

// What stands in the body of a vector store: texts are part of the prompt, and what is searched for is the user's; ids are
// objects.
func TestReadStores(t *testing.T) {
	file := func(id string) core.ObjectRef { return core.ObjectRef{Kind: core.ObjectFile, ID: id} }
	asked := func(text string) core.Part { return core.Part{Role: core.RoleUser, Kind: core.KindText, Text: text} }
	for _, tt := range []struct {
		endpoint, body string
		parts          []core.Part
		objects        []core.ObjectRef
	}{
		{"create", ``, nil, nil},
		{
			"create", `{"name":"bills","description":"of May","metadata":{"k":"v"},"expires_after":{"anchor":"last_active_at","days":7},"file_ids":["file-1","file-2"],` +
				`"chunking_strategy":{"type":"static","static":{"max_chunk_size_tokens":800,"chunk_overlap_tokens":400}}}`,
			[]core.Part{beside("bills"), beside("of May"), beside("k"), beside("v")},
			[]core.ObjectRef{file("file-1"), file("file-2")},
		},
		{"update", `{"name":null,"metadata":{},"expires_after":null}`, nil, nil},
		{
			"files.create", `{"file_id":"file-1","attributes":{"a":"b","n":1.5,"ok":true},"chunking_strategy":{"type":"auto"}}`,
			[]core.Part{beside("a"), beside("b"), beside("n"), beside("ok")},
			[]core.ObjectRef{file("file-1")},
		},
		{"files.update", `{"attributes":{"a":"b"}}`, []core.Part{beside("a"), beside("b")}, nil},
		{
			"file_batches.create", `{"files":[{"file_id":"file-1","attributes":{"a":"b"}},{"file_id":"file-2","chunking_strategy":null}]}`,
			[]core.Part{beside("a"), beside("b")},
			[]core.ObjectRef{file("file-1"), file("file-2")},
		},
		{"search", `{"query":"late bills","max_num_results":50,"rewrite_query":true,"ranking_options":{"ranker":"auto","score_threshold":0.5}}`, []core.Part{asked("late bills")}, nil},
		{
			"search", `{"query":["late","bills"],"filters":{"type":"and","filters":[{"type":"eq","key":"a","value":"b"},{"type":"in","key":"c","value":["d",1]}]}}`,
			[]core.Part{asked("late"), asked("bills"), beside("a"), beside("b"), beside("c"), beside("d")},
			nil,
		},
	} {
		r, e := read("vector_stores."+tt.endpoint, tt.body, allowance())
		if e != nil {
			t.Errorf("%s %s: %s", tt.endpoint, tt.body, e.Public)
			continue
		}
		if diff := cmp.Diff(tt.parts, r.Prompt.Parts[:len(r.Prompt.Parts):len(r.Prompt.Parts)], cmpEmpty); diff != "" {
			t.Errorf("%s %s: %s", tt.endpoint, tt.body, diff)
		}
		if diff := cmp.Diff(tt.objects, r.Objects); diff != "" {
			t.Errorf("%s %s: %s", tt.endpoint, tt.body, diff)
		}
		if r.Says() != (tt.endpoint == "search") || r.Model != "" {
			t.Errorf("%s: says %v, model %q", tt.endpoint, r.Says(), r.Model)
		}
	}
}

var cmpEmpty = cmp.Transformer("empty", func(p []core.Part) []core.Part {
	if len(p) == 0 {
		return nil
	}
	return p
})

func TestStoresAreReadStrictly(t *testing.T) {
	many := func(n int, one string) string { return strings.TrimSuffix(strings.Repeat(one+",", n), ",") }
	pairs := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `"k%d":1,`, i)
		}
		return `{"attributes":{` + strings.TrimSuffix(b.String(), ",") + `}}`
	}
	const bad, not = core.ReasonInvalidBody, core.ReasonUnsupportedParameter
	for _, tt := range []struct {
		endpoint, body string
		reason         core.Reason
	}{
		{"search", ``, bad},
		{"search", `{"query":null}`, bad},
		{"search", `{"query":7}`, bad},
		{"search", `{"query":["a",7]}`, bad},
		{"search", `{"query":"a","Query":"b"}`, bad},
		{"search", `{"query":"a","query":"b"}`, bad},
		{"search", `{"query":"a","model":"b"}`, not},
		{"search", `{"query":"a","max_num_results":51}`, bad},
		{"search", `{"query":"a","ranking_options":{"ranker":"mine"}}`, not},
		{"search", `{"query":"a","ranking_options":{"hybrid_search":{}}}`, not},
		{"search", `{"query":"a","filters":{"type":"like","key":"k","value":"v"}}`, not},
		{"search", `{"query":"a","filters":{"type":"eq","key":"k","value":{"x":1}}}`, bad},
		{"search", `{"query":"a","filters":` + strings.Repeat(`{"type":"and","filters":[`, 40) + strings.Repeat(`]}`, 40) + `}`, bad},
		{"create", `{"file_ids":["a b"]}`, bad},
		{"create", `{"file_ids":[null]}`, bad},
		{"create", `{"file_ids":[` + many(maxObjects+1, `"file-1"`) + `]}`, not},
		{"create", `{"name":"` + strings.Repeat("ä", maxStoreText+1) + `"}`, bad},
		{"create", `{"expires_after":{"anchor":"now","days":1}}`, not},
		{"create", `{"expires_after":{"anchor":"last_active_at","days":0.5}}`, bad},
		{"create", `{"chunking_strategy":{"type":"mine"}}`, not},
		{"update", `{"file_ids":["file-1"]}`, not},
		{"files.create", `{}`, bad},
		{"files.update", `{}`, bad},
		{"files.update", pairs(maxAttributes + 1), bad},
		{"files.update", `{"attributes":{"` + strings.Repeat("k", maxAttributeName+1) + `":1}}`, bad},
		{"files.update", `{"attributes":{"k":"` + strings.Repeat("v", maxAttributeValue+1) + `"}}`, bad},
		{"files.update", `{"attributes":{"k":["v"]}}`, bad},
		{"file_batches.create", `{"files":["file-1"]}`, bad},
	} {
		if _, e := read("vector_stores."+tt.endpoint, tt.body, allowance()); e == nil || e.Reason != tt.reason {
			t.Errorf("%s %.80s: %v, want %s", tt.endpoint, tt.body, e, tt.reason)
		}
	}
	for _, taken := range []string{
		pairs(maxAttributes), `{"attributes":{"` + strings.Repeat("ä", maxAttributeName) + `":"` + strings.Repeat("ä", maxAttributeValue) + `"}}`,
	} {
		if _, e := read("vector_stores.files.update", taken, allowance()); e != nil {
			t.Errorf("%.80s: %s", taken, e.Public)
		}
	}
	if _, e := read("vector_stores.create", `{"file_ids":[`+many(maxObjects, `"file-1"`)+`]}`, allowance()); e != nil {
		t.Error(e.Public)
	}
}

// Files of the caller's and searches in its vector stores reach a model where the policy says so. Whose they are is not for
// the reader to know: it names them.
func TestFilesAndStoresAsInput(t *testing.T) {
	files := func(a *Allowance) { a.FileIDs = true }
	searches := func(a *Allowance) { a.HostedTools = []string{"file_search"} }
	search := leastBodies["responses"] + `,"max_tool_calls":2,"tools":[{"type":"file_search","vector_store_ids":["vs_1","vs_2"],"filters":{"type":"eq","key":"a","value":"b"}}]}`
	input := func(item string) string { return `{"model":"gpt-4o","input":[` + item + `]}` }
	for _, tt := range []struct {
		endpoint, body string
		allow          func(*Allowance)
		rule           string
		objects        []core.ObjectRef
		contexts       int64
	}{
		{"responses", input(`{"role":"user","content":[{"type":"input_file","file_id":"file-1"}]}`), files, "file_ids", []core.ObjectRef{{Kind: core.ObjectFile, ID: "file-1"}}, 1},
		{"responses", input(`{"role":"user","content":[{"type":"input_image","file_id":"file-1","detail":"low"}]}`), files, "file_ids", []core.ObjectRef{{Kind: core.ObjectFile, ID: "file-1"}}, 1},
		{
			"chat.completions", `{"model":"gpt-4o","messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"file-1"}}]}]}`, files, "file_ids",
			[]core.ObjectRef{{Kind: core.ObjectFile, ID: "file-1"}},
			1,
		},
		{"responses", search, searches, "hosted_tools", []core.ObjectRef{{Kind: core.ObjectVectorStore, ID: "vs_1"}, {Kind: core.ObjectVectorStore, ID: "vs_2"}}, 3},
		{
			"responses", input(`{"type":"file_search_call","id":"fs_1","status":"completed","queries":["late bills"],"results":[{"file_id":"file-1","text":"t"}]}`),
			searches, "hosted_tools",
			[]core.ObjectRef{{Kind: core.ObjectFile, ID: "file-1"}},
			0,
		},
	} {
		if _, e := read(tt.endpoint, tt.body, allowance()); e == nil || e.Rule != "requests."+tt.rule {
			t.Errorf("%s: %+v by default, want %s", tt.body, e, tt.rule)
		}
		allow := allowance()
		tt.allow(&allow)
		r, e := read(tt.endpoint, tt.body, allow)
		if e != nil {
			t.Errorf("%s: %s", tt.body, e.Public)
			continue
		}
		if diff := cmp.Diff(tt.objects, r.Objects); diff != "" || r.Contexts() != tt.contexts || r.Opaque != (tt.rule == "file_ids") {
			t.Errorf("%s: %d contexts, opaque %v, %s", tt.body, r.Contexts(), r.Opaque, diff)
		}
	}
	// Where a search is not allowed other tools name no store, and containers are never named.
	allow := allowance()
	allow.FileIDs, allow.HostedTools = true, []string{"mcp", "code_interpreter"}
	for _, tool := range []string{`{"type":"mcp","vector_store_ids":["vs_1"]}`, `{"type":"code_interpreter","container":{"type":"auto","file_ids":["file-1"]}}`} {
		if _, e := read("responses", leastBodies["responses"]+`,"max_tool_calls":2,"tools":[`+tool+`]}`, allow); e == nil || e.Reason != core.ReasonUnsupportedParameter {
			t.Errorf("%s: %v", tool, e)
		}
	}
}

// What a path names is found again by its template, and by nothing else.
func TestNamed(t *testing.T) {
	store, conv := core.ObjectRef{Kind: core.ObjectVectorStore, ID: "vs_1"}, core.ObjectRef{Kind: core.ObjectConversation, ID: "conv_1"}
	for path, want := range map[string][]core.ObjectRef{
		"GET /v1/vector_stores":                              nil,
		"GET /v1/models/gpt-4o":                              nil,
		"POST /v1/vector_stores/vs_1/search":                 {store},
		"GET /v1/vector_stores/vs_1/files?after=file-9":      {store},
		"GET /v1/vector_stores/vs_1/files/file-1/content":    {store, {Kind: core.ObjectFile, ID: "file-1"}},
		"GET /v1/vector_stores/vs_1/file_batches/b_1/files":  {store, {Kind: core.ObjectFileBatch, ID: "b_1"}},
		"GET /v1/conversations/conv_1/items/msg_1?include=x": {conv},
	} {
		method, path, _ := strings.Cut(path, " ")
		e, _, denied := Lookup(method, path)
		if denied != nil {
			t.Errorf("%s: %s", path, denied.Public)
		}
		if diff := cmp.Diff(want, Named(e, path)); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}
}

// Whatever a body of whatever owned endpoint holds: it stays as it was, another reader reads it too, and finds no text and
// no id in it that is neither part of the prompt nor an object.
func FuzzReadOwned(f *testing.F) {
	endpoints := append(slices.Sorted(maps.Keys(storeBodies)), "conversations.create", "conversations.items.create", "conversations.update")
	for i, body := range []string{
		`{"name":"n","description":"d","metadata":{"k":"v"},"expires_after":{"anchor":"last_active_at","days":7},"file_ids":["file-1"]}`,
		`{"files":[{"file_id":"file-1","attributes":{"a":"b"}}],"chunking_strategy":{"type":"static","static":{"max_chunk_size_tokens":800}}}`,
		`{"query":["a","b"],"filters":{"type":"and","filters":[{"type":"in","key":"k","value":["v",1,true]}]},"ranking_options":{"ranker":"auto"}}`,
		`{"file_id":"file-1","attributes":{"a":"b","c":1.5,"d":true}}`,
		`{"items":[{"role":"user","content":[{"type":"input_text","text":"x"},{"type":"input_file","file_id":"file-1"}]}],"metadata":{"a":"b"}}`,
		`{"items":[],"Items":[1]}`,
	} {
		for which := range endpoints {
			f.Add(uint8(which), i%2 == 0, []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, everything bool, body []byte) {
		name := endpoints[int(which)%len(endpoints)]
		allow := allowance()
		allow.FileIDs = everything
		given := bytes.Clone(body)
		r, e := Read(endpointNamed(name), "application/json", body, allow)
		if !bytes.Equal(body, given) {
			t.Fatal("the body was changed")
		}
		if e != nil || len(body) == 0 {
			return
		}
		if len(r.Objects) > maxObjects || r.Model != "" {
			t.Fatalf("%d objects, model %q", len(r.Objects), r.Model)
		}
		var other any
		if err := json.Unmarshal(body, &other); err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		if strings.HasPrefix(name, "vector_stores.") {
			told := map[string]bool{}
			for _, p := range r.Prompt.Parts {
				told[p.Text] = true
			}
			for _, o := range r.Objects {
				told[o.ID] = true
			}
			untold(t, other, told)
		}
	})
}

// untold fails for a text that is neither told nor one of the API's own words.
func untold(t *testing.T, v any, told map[string]bool) {
	words := []string{"", "auto", "static", "none", "default-2024-11-15", "last_active_at", "eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "and", "or"}
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			if !told[name] && name != "" && !slices.Contains(names, name) && name != "metadata" {
				t.Errorf("the name %q is untold", name)
			}
			untold(t, value, told)
		}
	case []any:
		for _, value := range v {
			untold(t, value, told)
		}
	case string:
		if !told[v] && !slices.Contains(words, v) {
			t.Errorf("%q is untold", v)
		}
	}
}
