package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// account is a provider account that keeps objects, for everybody who has its key: responses, conversations, files and vector stores.
// It knows nothing of owners.
type account struct {
	mu      sync.Mutex
	made    int
	objects map[string]bool // by path, e.g. /v1/files/file-1
	// pause is how long a stream waits between its first event and its last.
	pause time.Duration
}

// newAccount starts one and gives its URL.
func newAccount(t testing.TB) (*account, string) {
	t.Helper()
	a := &account{objects: map[string]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/responses", a.respond)
	mux.HandleFunc("POST /v1/conversations", a.make("conversation", "conv_%d"))
	mux.HandleFunc("POST /v1/files", a.make("file", "file-%d"))
	mux.HandleFunc("POST /v1/vector_stores", a.make("vector_store", "vs_%d"))
	mux.HandleFunc("POST /v1/vector_stores/{id}/file_batches", a.make("vector_store.file_batch", "vsfb_%d"))
	mux.HandleFunc("GET /v1/files", a.list("/v1/files/"))
	mux.HandleFunc("GET /v1/vector_stores", a.list("/v1/vector_stores/"))
	mux.HandleFunc("GET /v1/files/{id}/content", a.use(`words of a file`))
	for _, path := range []string{
		"GET /v1/responses/{id}", "GET /v1/responses/{id}/input_items", "POST /v1/responses/{id}/cancel", "GET /v1/files/{id}",
		"GET /v1/conversations/{id}", "POST /v1/conversations/{id}", "GET /v1/conversations/{id}/items",
		"POST /v1/conversations/{id}/items", "GET /v1/vector_stores/{id}", "POST /v1/vector_stores/{id}",
		"POST /v1/vector_stores/{id}/search", "GET /v1/vector_stores/{id}/files", "POST /v1/vector_stores/{id}/files",
		"GET /v1/vector_stores/{id}/files/{file}", "POST /v1/vector_stores/{id}/files/{file}",
		"DELETE /v1/vector_stores/{id}/files/{file}", "GET /v1/vector_stores/{id}/files/{file}/content",
		"GET /v1/vector_stores/{id}/file_batches/{batch}", "POST /v1/vector_stores/{id}/file_batches/{batch}/cancel",
		"GET /v1/vector_stores/{id}/file_batches/{batch}/files",
		"GET /v1/conversations/{id}/items/{item}", "DELETE /v1/conversations/{id}/items/{item}",
	} {
		mux.HandleFunc(path, a.use(`{"object":"whatever"}`))
	}
	for _, path := range []string{"DELETE /v1/responses/{id}", "DELETE /v1/conversations/{id}", "DELETE /v1/files/{id}", "DELETE /v1/vector_stores/{id}"} {
		mux.HandleFunc(path, a.remove)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("authorization") != "Bearer "+providerKey {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return a, server.URL
}

// add makes an object and gives its id.
func (a *account) add(collection, form string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.made++
	id := fmt.Sprintf(form, a.made)
	a.objects[collection+"/"+id] = true
	return id
}

// has reports whether the account has an object.
func (a *account) has(path string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.objects[path]
}

func answerJSON(w http.ResponseWriter, status int, body string) {
	w.Header().Set("content-type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

func (a *account) make(object, form string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		answerJSON(w, http.StatusOK, fmt.Sprintf(`{"id":%q,"object":%q,"created_at":1}`, a.add(r.URL.Path, form), object))
	}
}

// respond answers as JSON or as a stream, and keeps the answer unless the request says no.
func (a *account) respond(w http.ResponseWriter, r *http.Request) {
	var req struct {
		Stream   bool   `json:"stream"`
		Store    *bool  `json:"store"`
		Previous string `json:"previous_response_id"`
	}
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		answerJSON(w, http.StatusBadRequest, `{"error":{"message":"no JSON"}}`)
		return
	}
	if req.Previous != "" && !a.has("/v1/responses/"+req.Previous) {
		answerJSON(w, http.StatusBadRequest, `{"error":{"message":"no such response","code":"previous_response_not_found"}}`)
		return
	}
	id := "resp_unkept"
	if req.Store == nil || *req.Store {
		id = a.add("/v1/responses", "resp_%d")
	}
	whole := fmt.Sprintf(`{"id":%q,"object":"response","created_at":1,"status":"completed","model":"gpt-4o-mini","output":[{"type":"message","id":"msg_1",`+
		`"status":"completed","role":"assistant","content":[{"type":"output_text","text":"Refunds take five days.","annotations":[]}]}],`+
		`"usage":{"input_tokens":30,"output_tokens":6,"total_tokens":36}}`, id)
	if !req.Stream {
		answerJSON(w, http.StatusOK, whole)
		return
	}
	w.Header().Set("content-type", "text/event-stream")
	fmt.Fprintf(w, "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":%q,\"status\":\"in_progress\"}}\n\n", id)
	w.(http.Flusher).Flush()
	select {
	case <-time.After(a.pause):
	case <-r.Context().Done():
		return
	}
	fmt.Fprintf(w, "event: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":1,\"response\":%s}\n\n", whole)
}

// path is the path of the object that a request names.
func objectPath(r *http.Request) string {
	parts := strings.SplitN(strings.TrimPrefix(r.URL.Path, "/"), "/", 4)
	return "/" + strings.Join(parts[:3], "/")
}

func (a *account) use(answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !a.has(objectPath(r)) {
			answerJSON(w, http.StatusNotFound, `{"error":{"message":"No such object.","type":"invalid_request_error","param":"id","code":null}}`)
			return
		}
		answerJSON(w, http.StatusOK, answer)
	}
}

func (a *account) remove(w http.ResponseWriter, r *http.Request) {
	path := objectPath(r)
	if !a.has(path) {
		answerJSON(w, http.StatusNotFound, `{"error":{"message":"No such object.","type":"invalid_request_error","param":"id","code":null}}`)
		return
	}
	a.mu.Lock()
	delete(a.objects, path)
	a.mu.Unlock()
	answerJSON(w, http.StatusOK, fmt.Sprintf(`{"id":%q,"deleted":true}`, r.PathValue("id")))
}

// list gives what everybody has in a collection.
func (a *account) list(collection string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		var all []string
		for path := range a.objects {
			if id, ok := strings.CutPrefix(path, collection); ok && !strings.Contains(id, "/") {
				all = append(all, fmt.Sprintf(`{"id":%q,"object":"whatever","name":"of-somebody"}`, id))
			}
		}
		slices.Sort(all)
		answerJSON(w, http.StatusOK, `{"object":"list","data":[`+strings.Join(all, ",")+`],"has_more":false}`)
	}
}
