package gate_test

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/gate/gatetest"
	"github.com/plumbline/plumbline/internal/intent"
	"github.com/plumbline/plumbline/internal/quota"
)

var (
	store1 = core.ObjectRef{Kind: core.ObjectVectorStore, ID: "vs_1"}
	batch1 = core.ObjectRef{Kind: core.ObjectFileBatch, ID: "batch_1"}
	file2  = core.ObjectRef{Kind: core.ObjectFile, ID: "file-2"}
)

const takesObjects = "version: 1\nrequests: {file_ids: true, hosted_tools: [file_search]}\n"

func post(path, body string) call {
	return call{as: gatetest.Credential, method: "POST", path: path, body: body}
}

// Of several objects that a call names each is to be the caller's own: if one is another's, or nobody's, none is reached.
func TestEachObjectIsForItsOwner(t *testing.T) {
	get := func(path string) call { return call{as: gatetest.Credential, method: "GET", path: path} }
	del := func(path string) call { return call{as: gatetest.Credential, method: "DELETE", path: path} }
	const store = "/v1/vector_stores/vs_1"
	for _, tt := range []struct {
		call call
		refs []core.ObjectRef
	}{
		{get("/v1/vector_stores?after=vs_1"), []core.ObjectRef{store1}},
		{post("/v1/vector_stores", `{"file_ids":["file-1","file-2"]}`), []core.ObjectRef{file1, file2}},
		{get(store), []core.ObjectRef{store1}},
		{post(store, `{"name":"bills"}`), []core.ObjectRef{store1}},
		{del(store), []core.ObjectRef{store1}},
		{post(store+"/search", `{"query":"late bills"}`), []core.ObjectRef{store1}},
		{get(store + "/files?filter=completed"), []core.ObjectRef{store1}},
		{post(store+"/files", `{"file_id":"file-1"}`), []core.ObjectRef{store1, file1}},
		{get(store + "/files/file-1"), []core.ObjectRef{store1, file1}},
		{post(store+"/files/file-1", `{"attributes":{"a":"b"}}`), []core.ObjectRef{store1, file1}},
		{del(store + "/files/file-1"), []core.ObjectRef{store1, file1}},
		{get(store + "/files/file-1/content"), []core.ObjectRef{store1, file1}},
		{post(store+"/file_batches", `{"file_ids":["file-1","file-2"]}`), []core.ObjectRef{store1, file1, file2}},
		{post(store+"/file_batches", `{"files":[{"file_id":"file-1"},{"file_id":"file-2"}]}`), []core.ObjectRef{store1, file1, file2}},
		{get(store + "/file_batches/batch_1"), []core.ObjectRef{store1, batch1}},
		{post(store+"/file_batches/batch_1/cancel", ""), []core.ObjectRef{store1, batch1}},
		{get(store + "/file_batches/batch_1/files"), []core.ObjectRef{store1, batch1}},
		{post("/v1/responses", respond(`,"max_tool_calls":1,"tools":[{"type":"file_search","vector_store_ids":["vs_1"]}]`)), []core.ObjectRef{store1}},
		{post("/v1/responses", `{"model":"gpt-4o-mini","input":[{"role":"user","content":[{"type":"input_file","file_id":"file-1"},{"type":"input_image","file_id":"file-2"}]}]}`), []core.ObjectRef{file1, file2}},
		{post("/v1/chat/completions", `{"model":"gpt-4o-mini","messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"file-1"}}]}]}`), []core.ObjectRef{file1}},
		{post("/v1/conversations", `{"items":[{"role":"user","content":[{"type":"input_file","file_id":"file-1"}]}]}`), []core.ObjectRef{file1}},
		{post("/v1/conversations/conv_1/items", `{"items":[{"role":"user","content":[{"type":"input_file","file_id":"file-1"}]}]}`), []core.ObjectRef{conv1, file1}},
	} {
		t.Run(tt.call.method+" "+tt.call.path+tt.call.body, func(t *testing.T) {
			world := func() *gatetest.World {
				w := gatetest.New(t, gatetest.Options{Policy: takesObjects})
				for _, ref := range tt.refs {
					w.SetObject(core.OwnedObject{ObjectRef: ref, Owner: core.Owner{User: gatetest.User}})
				}
				return w
			}
			w := world()
			x, _, reply := tt.call.sent(t.Context(), w)
			if reply != nil {
				t.Fatalf("its owner is refused: %d %s", reply.Status, reply.Body)
			}
			x.Close(t.Context(), core.FinishInterrupted)
			if rec := w.Record(t, core.RecordIntent); !slices.Equal(rec.Objects, tt.refs) {
				t.Errorf("the record names %v", rec.Objects)
			}
			quiet(t, w)
			for _, foreign := range tt.refs {
				var told []string
				for _, owner := range []core.Owner{{User: gatetest.OtherUser}, {App: gatetest.App}, {User: "nobody"}} {
					w := world()
					w.SetObject(core.OwnedObject{ObjectRef: foreign, Owner: owner})
					told = append(told, withoutID(tt.call.refused(t, w, 404, core.ReasonObjectNotFound)))
					if w.Record(t, core.RecordDeny).Reason != core.ReasonObjectNotFound {
						t.Errorf("the refusal for %v is recorded otherwise", foreign)
					}
					quiet(t, w)
				}
				if slices.Sort(told); len(slices.Compact(told)) != 1 {
					t.Errorf("owners of %v can be told apart: %q", foreign, told)
				}
			}
		})
	}
}

// By default no file and no vector store is input, whosever it is.
func TestFilesAndStoresAreNoInputByDefault(t *testing.T) {
	for rule, body := range map[string]string{
		"requests.file_ids":     `{"model":"gpt-4o-mini","input":[{"role":"user","content":[{"type":"input_file","file_id":"file-1"}]}]}`,
		"requests.hosted_tools": respond(`,"max_tool_calls":1,"tools":[{"type":"file_search","vector_store_ids":["vs_1"]}]`),
	} {
		w := gatetest.New(t, gatetest.Options{})
		for _, ref := range []core.ObjectRef{file1, store1} {
			w.SetObject(core.OwnedObject{ObjectRef: ref, Owner: core.Owner{User: gatetest.User}})
		}
		post("/v1/responses", body).refused(t, w, 400, core.ReasonUnsupportedParameter)
		if rec := w.Record(t, core.RecordDeny); rec.Verdict.Rule != rule {
			t.Errorf("refused by %q, want %q", rec.Verdict.Rule, rule)
		}
	}
}

// What a file holds that is input is not judged: the record says so, and all of the model's context is held for it.
func TestFilesAsInputAreOpaque(t *testing.T) {
	w := gatetest.New(t, gatetest.Options{Policy: takesObjects})
	w.SetObject(core.OwnedObject{ObjectRef: file1, Owner: core.Owner{User: gatetest.User}})
	x, _, reply := post("/v1/responses", `{"model":"gpt-4o-mini","input":[{"role":"user","content":[{"type":"input_file","file_id":"file-1"}]}]}`).sent(t.Context(), w)
	if reply != nil {
		t.Fatalf("refused: %s", reply.Body)
	}
	x.Close(t.Context(), core.FinishInterrupted)
	rec := w.Record(t, core.RecordIntent)
	if !slices.Equal(rec.Opaque, []string{"application/octet-stream"}) || rec.Reserved.InputTokens != 128_000 || rec.Deviation.Unscored != core.UnscoredOpaque {
		t.Errorf("opaque %v, %d tokens held, deviation %+v", rec.Opaque, rec.Reserved.InputTokens, rec.Deviation)
	}
}

// A store and a batch are their maker's before the last byte that says so; a store that is deleted is nobody's, and a file
// that is taken out of one stays its owner's.
func TestStoresMakeAndLoseOwners(t *testing.T) {
	w := gatetest.New(t, gatetest.Options{})
	for ref, c := range map[core.ObjectRef]call{
		store1: post("/v1/vector_stores", ""),
		batch1: post("/v1/vector_stores/vs_2/file_batches", `{"file_ids":["file-1"]}`),
	} {
		w.SetObject(core.OwnedObject{ObjectRef: core.ObjectRef{Kind: core.ObjectVectorStore, ID: "vs_2"}, Owner: core.Owner{User: gatetest.User}})
		w.SetObject(core.OwnedObject{ObjectRef: file1, Owner: core.Owner{User: gatetest.User}})
		x, _, reply := c.sent(t.Context(), w)
		if reply != nil {
			t.Fatalf("refused: %s", reply.Body)
		}
		answers(t, x, jsonType)
		observed(t, x, fmt.Appendf(nil, `{"id":%q,"object":"made",`, ref.ID), false)
		if o := w.Object(ref); o != (core.OwnedObject{}) {
			t.Errorf("it has an owner before its last byte: %+v", o)
		}
		observed(t, x, []byte(`"created_at":1}`), true)
		if o := w.Object(ref); o.Owner.User != gatetest.User || o.Tokens != 0 || o.Model != "" {
			t.Errorf("it belongs to %+v", o)
		}
	}
	call{as: gatetest.Credential, method: "DELETE", path: "/v1/vector_stores/vs_1/files/file-1"}.answered(t, w, 200, jsonType, `{"id":"file-1","deleted":true}`)
	if w.Object(file1).Owner.User != gatetest.User || w.Object(store1).Owner.User != gatetest.User {
		t.Error("taking a file out of a store takes it, or the store, from its owner")
	}
	call{as: gatetest.Credential, method: "DELETE", path: "/v1/vector_stores/vs_1"}.answered(t, w, 200, jsonType, `{"id":"vs_1","deleted":true}`)
	if w.Object(store1) != (core.OwnedObject{}) {
		t.Errorf("after its deletion it is %+v", w.Object(store1))
	}
	quiet(t, w)
}

func TestListOfStoresShowsTheCallersOwn(t *testing.T) {
	w := gatetest.New(t, gatetest.Options{})
	w.SetObject(core.OwnedObject{ObjectRef: store1, Owner: core.Owner{User: gatetest.User}})
	w.SetObject(core.OwnedObject{ObjectRef: core.ObjectRef{Kind: core.ObjectVectorStore, ID: "vs_2"}, Owner: core.Owner{User: gatetest.OtherUser}})
	w.SetObject(core.OwnedObject{ObjectRef: core.ObjectRef{Kind: core.ObjectFile, ID: "vs_3"}, Owner: core.Owner{User: gatetest.User}})
	const page = `{"object":"list","data":[{"id":"vs_1","name":"a"},{"id":"vs_2","name":"b"},{"id":"vs_3","name":"c"}],"first_id":"vs_1","last_id":"vs_3","has_more":false}`
	seen := call{as: gatetest.Credential, method: "GET", path: "/v1/vector_stores?limit=100&order=desc"}.answered(t, w, 200, jsonType, page)
	if want := `{"object":"list","data":[{"id":"vs_1","name":"a"}],"first_id":"vs_1","last_id":"vs_1","has_more":false}`; seen != want {
		t.Errorf("%s, want %s", seen, want)
	}
}

// ownWorld is one in which ann has a store, a file and a conversation.
func ownWorld(t *testing.T, o gatetest.Options) *gatetest.World {
	w := gatetest.New(t, o)
	for _, ref := range []core.ObjectRef{store1, file1, conv1} {
		w.SetObject(core.OwnedObject{ObjectRef: ref, Owner: core.Owner{User: gatetest.User}})
	}
	return w
}

const anItem = `{"items":[{"type":"message","role":"user","content":"How do I build a bomb?"}]}`

// What is searched for, and what is put into a conversation, is judged as a prompt is.
func TestSearchesAndItemsAreJudged(t *testing.T) {
	for _, tt := range []struct {
		path, body, param string
	}{
		{"/v1/vector_stores/vs_1/search", `{"query":["How do I","build a bomb?"]}`, "query"},
		{"/v1/conversations/conv_1/items", anItem, "items"},
		{"/v1/conversations", anItem, "items"},
	} {
		w := ownWorld(t, gatetest.Options{Policy: "version: 1\nmode: enforce\nintents: {forbidden: [weapons]}\n"})
		read := ""
		w.Classify = func(v *intent.View) core.Intent {
			read = v.Instruction
			return core.Intent{Label: "weapons", Confidence: 1}
		}
		told := post(tt.path, tt.body).refused(t, w, 400, core.ReasonForbiddenIntent)
		if !strings.Contains(told, fmt.Sprintf(`"param":%q`, tt.param)) || strings.Contains(told, "bomb") {
			t.Errorf("%s: told %s", tt.path, told)
		}
		if !strings.Contains(read, "build a bomb") {
			t.Errorf("%s: the classifier read %q", tt.path, read)
		}
		if rec := w.Record(t, core.RecordDeny); rec.Reason != core.ReasonForbiddenIntent || rec.Intent.Label != "weapons" {
			t.Errorf("%s: recorded as %+v", tt.path, rec)
		}
		quiet(t, w)
	}
	// Names and attributes are words beside a prompt: there is nothing to judge, and no cause to refuse it for that.
	w := ownWorld(t, gatetest.Options{Policy: "version: 1\nmode: enforce\ndeviation: {on_unscored: {too_short: block, opaque: block}}\n"})
	w.Classify = func(*intent.View) core.Intent {
		t.Error("names alone are judged")
		return core.Intent{}
	}
	for path, body := range map[string]string{
		"/v1/vector_stores/vs_1": `{"name":"bills"}`, "/v1/vector_stores/vs_1/files": `{"file_id":"file-1","attributes":{"a":"b"}}`,
		"/v1/conversations/conv_1": `{"metadata":{"a":"b"}}`,
	} {
		post(path, body).answered(t, w, 200, jsonType, `{}`)
	}
}

// A call that is read and that no model answers is one request under the limits, and no token.
func TestSearchesAndItemsCountAsRequests(t *testing.T) {
	for _, tt := range []struct{ path, body string }{
		{"/v1/vector_stores/vs_1/search", `{"query":"late bills"}`},
		{"/v1/conversations/conv_1/items", strings.Replace(anItem, "a bomb", "a shed", 1)},
		{"/v1/vector_stores/vs_1/files", `{"file_id":"file-1"}`},
	} {
		w := ownWorld(t, gatetest.Options{Limits: []quota.Limit{{
			ID: "two", Scope: quota.ScopeUser, Subject: gatetest.User, Dimension: quota.DimensionRequests, Window: quota.WindowDay,
			Value: 2, Enforcement: quota.EnforceHard,
		}}})
		for range 2 {
			// What the provider may say of its usage is not charged.
			post(tt.path, tt.body).answered(t, w, 200, jsonType, `{"object":"list","data":[],"usage":{"input_tokens":50,"output_tokens":5,"total_tokens":55}}`)
		}
		one := core.Charge{Requests: 1}
		for _, rec := range w.Records() {
			if got := cmp.Or(rec.Reserved, rec.Settled); got == nil || got.Requests != one.Requests || got.InputTokens+got.OutputTokens != 0 || got.Cost != 0 {
				t.Errorf("%s: %s has %+v", tt.path, rec.Kind, got)
			}
		}
		post(tt.path, tt.body).refused(t, w, 429, core.ReasonQuotaExhausted)
		quiet(t, w)
	}
}

// Items that are put into a conversation are input of its next turn: it is known to hold no less, whatever became of them.
func TestItemsOfAConversationAreCounted(t *testing.T) {
	const window = 128_000
	reserved := func(w *gatetest.World) int64 {
		t.Helper()
		x, _, reply := post("/v1/responses", respond(`,"conversation":"conv_1"`)).sent(t.Context(), w)
		if reply != nil {
			t.Fatalf("refused: %s", reply.Body)
		}
		x.Close(t.Context(), core.FinishInterrupted)
		records := w.Records()
		return records[len(records)-2].Reserved.InputTokens
	}
	alone := reserved(ownWorld(t, gatetest.Options{}))
	long := fmt.Sprintf(`{"items":[{"role":"user","content":%q}]}`, strings.Repeat("word ", 1000))
	holds := func(t *testing.T, w *gatetest.World, when, model string, least, most int64) {
		t.Helper()
		if o := w.Object(conv1); o.Tokens < least || o.Tokens > most || o.Model != model {
			t.Errorf("%s it holds %d tokens of %q, want %d to %d of %q", when, o.Tokens, o.Model, least, most, model)
		}
	}
	t.Run("a new one", func(t *testing.T) {
		w := ownWorld(t, gatetest.Options{})
		post("/v1/conversations/conv_1/items", long).answered(t, w, 200, jsonType, `{"object":"list","data":[]}`)
		holds(t, w, "after items", "*", 5000, 5100)
		post("/v1/conversations/conv_1/items", long).answered(t, w, http.StatusBadRequest, jsonType, `{}`)
		holds(t, w, "after a refusal", "*", 10_000, 10_100)
		post("/v1/conversations/conv_1/items", long).answered(t, w, http.StatusInternalServerError, jsonType, `{}`)
		holds(t, w, "after a failure", "*", 15_000, 15_200)
		if got := reserved(w); got < alone+15_000 || got > alone+15_200 {
			t.Errorf("%d tokens are reserved, %d without the items", got, alone)
		}
	})
	t.Run("one with turns", func(t *testing.T) {
		w := ownWorld(t, gatetest.Options{})
		w.SetObject(core.OwnedObject{ObjectRef: conv1, Owner: core.Owner{User: gatetest.User}, Model: "gpt-4o-mini", Tokens: 700})
		post("/v1/conversations/conv_1", `{"metadata":{"a":"b"}}`).answered(t, w, 200, jsonType, `{}`)
		holds(t, w, "after metadata", "gpt-4o-mini", 700, 700)
		post("/v1/conversations/conv_1/items", long).answered(t, w, 200, jsonType, `{}`)
		holds(t, w, "after items", "gpt-4o-mini", 5700, 5800)
		w.SetObject(core.OwnedObject{ObjectRef: conv1, Owner: core.Owner{User: gatetest.User}, Model: "gpt-4o-mini"})
		post("/v1/conversations/conv_1/items", long).answered(t, w, 200, jsonType, `{}`)
		holds(t, w, "where what it held is not known", "gpt-4o-mini", 0, 0)
	})
	t.Run("a file", func(t *testing.T) {
		w := ownWorld(t, gatetest.Options{Policy: takesObjects})
		post("/v1/conversations/conv_1/items", `{"items":[{"role":"user","content":[{"type":"input_file","file_id":"file-1"}]}]}`).answered(t, w, 200, jsonType, `{}`)
		holds(t, w, "after a file", "*", 0, 0)
		if got := reserved(w); got != window {
			t.Errorf("%d tokens are reserved, want all that the model reads", got)
		}
	})
	t.Run("made with items", func(t *testing.T) {
		w := gatetest.New(t, gatetest.Options{})
		post("/v1/conversations", long).answered(t, w, 200, jsonType, `{"id":"conv_1","object":"conversation"}`)
		holds(t, w, "made", "*", 5000, 5100)
	})
}
