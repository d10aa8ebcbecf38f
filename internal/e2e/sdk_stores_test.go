package e2e

import (
	"strings"
	"testing"
)

// sdkStores has ann make, fill, search and delete a vector store through a client, and ben find none of it.
func (w *world) sdkStores(t *testing.T, client sdk, ben string, made func(*testing.T, sdkCall) string, none func(code, param string) sdkError) {
	call := func(method string, body map[string]any, args ...string) sdkCall {
		c := w.sdkCall(method, body)
		c.Args = args
		return c
	}
	foreign := func(param string, c sdkCall) {
		t.Helper()
		c.Key = ben
		none("object_not_found", param).check(t, w, client, c)
	}
	own := func(says string, c sdkCall) {
		t.Helper()
		r := client.make(t, c).ok(t)
		if !strings.Contains(r.text(), says) {
			t.Errorf("%s: its maker gets %s, not %q", c.Method, r.text(), says)
		}
	}
	upload := call("files.create", map[string]any{"purpose": "user_data"})
	upload.Files = map[string]sdkFile{"file": {Name: "bill.txt", Type: "text/plain", Data: []byte(onTask)}}
	file := made(t, upload)
	store := made(t, call("vectorStores.create", map[string]any{"name": "bills", "expires_after": map[string]any{"anchor": "last_active_at", "days": 7}}))
	of := map[string]any{"vector_store_id": store}
	with := map[string]any{"file_id": file, "attributes": map[string]any{"about": "bills", "year": 2025}}
	search := call("vectorStores.search", map[string]any{"query": onTask, "rewrite_query": true, "max_num_results": 5}, store)
	respond := call("responses.create", map[string]any{
		"model": "gpt-4o-mini", "input": onTask, "max_tool_calls": 1,
		"tools": []any{map[string]any{"type": "file_search", "vector_store_ids": []string{store}}},
	})
	read := call("responses.create", map[string]any{
		"model": "gpt-4o-mini",
		"input": []any{map[string]any{"type": "message", "role": "user", "content": []any{
			map[string]any{"type": "input_text", "text": onTask}, map[string]any{"type": "input_file", "file_id": file},
		}}},
	})

	own(file, call("vectorStores.files.create", with, store))
	foreign("", call("vectorStores.files.create", with, store))
	foreign("file_id", call("vectorStores.create", map[string]any{"file_ids": []string{file}}))
	own(file, search)
	foreign("", search)
	own(store, call("vectorStores.list", nil))
	bens := call("vectorStores.list", nil)
	bens.Key = ben
	if r := client.make(t, bens).ok(t); strings.Contains(r.text(), store) {
		t.Errorf("ben sees %s", r.text())
	}
	batch := made(t, call("vectorStores.fileBatches.create", map[string]any{"file_ids": []string{file}}, store))
	own(batch, call("vectorStores.fileBatches.retrieve", of, batch))
	foreign("", call("vectorStores.fileBatches.retrieve", of, batch))
	own(file, call("vectorStores.files.retrieve", of, file))
	own(onTask, call("vectorStores.files.content", of, file))
	foreign("", call("vectorStores.files.content", of, file))
	own(store, call("vectorStores.update", map[string]any{"name": "old bills"}, store))
	own("response", respond)
	foreign("vector_store_ids", respond)
	own("response", read)
	foreign("file_id", read)
	foreign("", call("vectorStores.files.delete", of, file))
	own("deleted", call("vectorStores.files.delete", of, file))
	foreign("", call("vectorStores.delete", nil, store))
	own("deleted", call("vectorStores.delete", nil, store))
	none("object_not_found", "").check(t, w, client, call("vectorStores.retrieve", nil, store))
}
