package provider

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// Vector stores hold files under ids of their own. A search finds every file that has one of its words.

func (p *Provider) routeStores() {
	p.mux.HandleFunc("GET /v1/vector_stores", p.listStores)
	p.mux.HandleFunc("POST /v1/vector_stores", p.makeStore)
	p.mux.HandleFunc("GET /v1/vector_stores/{id}", p.getStored)
	p.mux.HandleFunc("POST /v1/vector_stores/{id}", p.getStored)
	p.mux.HandleFunc("DELETE /v1/vector_stores/{id}", p.deleteStored)
	p.mux.HandleFunc("POST /v1/vector_stores/{id}/search", p.searchStore)
	p.mux.HandleFunc("GET /v1/vector_stores/{id}/files", p.listInStore)
	p.mux.HandleFunc("POST /v1/vector_stores/{id}/files", p.putIntoStore)
	p.mux.HandleFunc("GET /v1/vector_stores/{id}/files/{file}", p.getInStore)
	p.mux.HandleFunc("POST /v1/vector_stores/{id}/files/{file}", p.getInStore)
	p.mux.HandleFunc("DELETE /v1/vector_stores/{id}/files/{file}", p.takeFromStore)
	p.mux.HandleFunc("GET /v1/vector_stores/{id}/files/{file}/content", p.contentInStore)
	p.mux.HandleFunc("POST /v1/vector_stores/{id}/file_batches", p.makeBatch)
	p.mux.HandleFunc("GET /v1/vector_stores/{id}/file_batches/{batch}", p.getBatch)
	p.mux.HandleFunc("POST /v1/vector_stores/{id}/file_batches/{batch}/cancel", p.getBatch)
	p.mux.HandleFunc("GET /v1/vector_stores/{id}/file_batches/{batch}/files", p.listInStore)
}

// storeRequest is what the stand-in understands of all bodies of vector stores.
type storeRequest struct {
	Name    string   `json:"name"`
	FileID  string   `json:"file_id"`
	FileIDs []string `json:"file_ids"`
	Files   []struct {
		FileID string `json:"file_id"`
	} `json:"files"`
	Query any `json:"query"` // a text, or several
}

// files are the ids of all files that the request names.
func (r storeRequest) files() []string {
	ids := slices.Clone(r.FileIDs)
	if r.FileID != "" {
		ids = append(ids, r.FileID)
	}
	for _, f := range r.Files {
		ids = append(ids, f.FileID)
	}
	return ids
}

// readStore reads a body, which may be empty, and answers that it cannot be read or names no file that there is.
func (p *Provider) readStore(w http.ResponseWriter, r *http.Request) (req storeRequest, ok bool) {
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil && r.ContentLength > 0 {
		fail(w, http.StatusBadRequest, "invalid_request_error", "", "We could not parse the JSON body of your request.")
		return req, false
	}
	for _, id := range req.files() {
		if _, known := p.stored.get(id); !known {
			fail(w, http.StatusNotFound, "invalid_request_error", "", "No such file: "+id)
			return req, false
		}
	}
	return req, true
}

func (p *Provider) makeStore(w http.ResponseWriter, r *http.Request) {
	req, ok := p.readStore(w, r)
	if !ok {
		return
	}
	id := p.stored.newID("vs_standin")
	fields := object{
		"id": id, "object": "vector_store", "created_at": created, "name": req.Name, "status": "completed", "usage_bytes": 0,
		"file_counts": counts(len(req.files())), "metadata": object{}, "last_active_at": created,
	}
	p.stored.put(id, stored{fields: fields, holds: req.files()})
	writeJSON(w, http.StatusOK, fields)
}

// counts are the figures of so many files.
func counts(n int) object {
	return object{"in_progress": 0, "completed": n, "failed": 0, "cancelled": 0, "total": n}
}

func (p *Provider) listStores(w http.ResponseWriter, _ *http.Request) {
	page(w, p.stored.ofKind("vector_store"))
}

// page answers with a list of all elements.
func page(w http.ResponseWriter, elements []object) {
	list := object{"object": "list", "data": elements, "first_id": nil, "last_id": nil, "has_more": false}
	if n := len(elements); n > 0 {
		list["first_id"], list["last_id"] = elements[0]["id"], elements[n-1]["id"]
	}
	writeJSON(w, http.StatusOK, list)
}

// inStore is a file as a store shows it.
func inStore(store, file string) object {
	return object{
		"id": file, "object": "vector_store.file", "created_at": created, "vector_store_id": store, "status": "completed",
		"usage_bytes": 0, "last_error": nil, "attributes": object{},
	}
}

func (p *Provider) listInStore(w http.ResponseWriter, r *http.Request) {
	kept, ok := p.find(w, r)
	if !ok {
		return
	}
	files := []object{}
	for _, id := range kept.holds {
		files = append(files, inStore(r.PathValue("id"), id))
	}
	page(w, files)
}

func (p *Provider) putIntoStore(w http.ResponseWriter, r *http.Request) {
	req, ok := p.readStore(w, r)
	if !ok {
		return
	}
	if kept, ok := p.find(w, r); ok {
		kept.holds = append(slices.Clip(kept.holds), req.files()...)
		p.stored.put(r.PathValue("id"), kept)
		writeJSON(w, http.StatusOK, inStore(r.PathValue("id"), req.FileID))
	}
}

// findInStore gives the store and the file in it that the path names, or answers that there is no such thing.
func (p *Provider) findInStore(w http.ResponseWriter, r *http.Request) (store, file stored, ok bool) {
	store, ok = p.find(w, r)
	if !ok {
		return stored{}, stored{}, false
	}
	file, ok = p.stored.get(r.PathValue("file"))
	if !ok || !slices.Contains(store.holds, r.PathValue("file")) {
		fail(w, http.StatusNotFound, "invalid_request_error", "", "No such file in the vector store: "+r.PathValue("file"))
		return stored{}, stored{}, false
	}
	return store, file, true
}

func (p *Provider) getInStore(w http.ResponseWriter, r *http.Request) {
	if _, _, ok := p.findInStore(w, r); ok {
		writeJSON(w, http.StatusOK, inStore(r.PathValue("id"), r.PathValue("file")))
	}
}

func (p *Provider) takeFromStore(w http.ResponseWriter, r *http.Request) {
	store, _, ok := p.findInStore(w, r)
	if !ok {
		return
	}
	store.holds = slices.DeleteFunc(slices.Clone(store.holds), func(id string) bool { return id == r.PathValue("file") })
	p.stored.put(r.PathValue("id"), store)
	writeJSON(w, http.StatusOK, object{"id": r.PathValue("file"), "object": "vector_store.file.deleted", "deleted": true})
}

func (p *Provider) contentInStore(w http.ResponseWriter, r *http.Request) {
	if _, file, ok := p.findInStore(w, r); ok {
		text := object{"type": "text", "text": string(file.content)}
		writeJSON(w, http.StatusOK, object{"object": "vector_store.file_content.page", "data": []object{text}, "has_more": false, "next_page": nil})
	}
}

func (p *Provider) makeBatch(w http.ResponseWriter, r *http.Request) {
	req, ok := p.readStore(w, r)
	if !ok {
		return
	}
	store, ok := p.find(w, r)
	if !ok {
		return
	}
	store.holds = append(slices.Clip(store.holds), req.files()...)
	p.stored.put(r.PathValue("id"), store)
	id := p.stored.newID("vsfb_standin")
	fields := object{
		"id": id, "object": "vector_store.file_batch", "created_at": created, "vector_store_id": r.PathValue("id"), "status": "completed",
		"file_counts": counts(len(req.files())),
	}
	p.stored.put(id, stored{fields: fields})
	writeJSON(w, http.StatusOK, fields)
}

func (p *Provider) getBatch(w http.ResponseWriter, r *http.Request) {
	if kept, ok := p.stored.get(r.PathValue("batch")); ok {
		writeJSON(w, http.StatusOK, kept.fields)
		return
	}
	fail(w, http.StatusNotFound, "invalid_request_error", "", "No such batch: "+r.PathValue("batch"))
}

func (p *Provider) searchStore(w http.ResponseWriter, r *http.Request) {
	req, ok := p.readStore(w, r)
	if !ok {
		return
	}
	store, ok := p.find(w, r)
	if !ok {
		return
	}
	queries := queriesOf(req.Query)
	found := []object{}
	for _, id := range store.holds {
		file, known := p.stored.get(id)
		if known && slices.ContainsFunc(strings.Fields(strings.Join(queries, " ")), func(word string) bool { return strings.Contains(string(file.content), word) }) {
			found = append(found, object{
				"file_id": id, "filename": file.fields["filename"], "score": 1, "attributes": object{},
				"content": []object{{"type": "text", "text": string(file.content)}},
			})
		}
	}
	writeJSON(w, http.StatusOK, object{"object": "vector_store.search_results.page", "search_query": queries, "data": found, "has_more": false, "next_page": nil})
}

// queriesOf gives the texts of a query, which is one or several.
func queriesOf(query any) []string {
	if one, ok := query.(string); ok {
		return []string{one}
	}
	several, _ := query.([]any)
	texts := make([]string, 0, len(several))
	for _, q := range several {
		if text, ok := q.(string); ok {
			texts = append(texts, text)
		}
	}
	return texts
}

// ofKind gives all that is kept of a kind, in the order in which it was made.
func (s *shelf) ofKind(kind string) []object {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []object{}
	for _, kept := range s.all {
		if kept.fields["object"] == kind {
			all = append(all, kept.fields)
		}
	}
	slices.SortFunc(all, func(a, b object) int {
		x, y := a["id"].(string), b["id"].(string)
		return cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(x, y))
	})
	return all
}
