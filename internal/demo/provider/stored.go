package provider

import (
	"io"
	"net/http"
	"strconv"
	"sync"
)

// maxStored bounds what is kept of responses and files: beyond it all of them are forgotten.
const maxStored = 1000

// stored is what the provider keeps under an id: a response, a file with its content, a vector store with the files in it.
type stored struct {
	fields  object
	content []byte
	holds   []string // ids, never changed in place
}

// shelf keeps what is stored, under ids of its own.
type shelf struct {
	mu   sync.Mutex
	last int
	all  map[string]stored
}

func (s *shelf) newID(prefix string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	return prefix + strconv.Itoa(s.last)
}

func (s *shelf) put(id string, kept stored) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil || len(s.all) >= maxStored {
		s.all = map[string]stored{}
	}
	s.all[id] = kept
}

func (s *shelf) get(id string) (stored, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept, ok := s.all[id]
	return kept, ok
}

func (s *shelf) remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, id)
}

// find gives what the path names, or answers that there is no such thing.
func (p *Provider) find(w http.ResponseWriter, r *http.Request) (stored, bool) {
	kept, ok := p.stored.get(r.PathValue("id"))
	if !ok {
		fail(w, http.StatusNotFound, "invalid_request_error", "", "No such object: "+r.PathValue("id"))
	}
	return kept, ok
}

func (p *Provider) getStored(w http.ResponseWriter, r *http.Request) {
	if kept, ok := p.find(w, r); ok {
		writeJSON(w, http.StatusOK, kept.fields)
	}
}

func (p *Provider) deleteStored(w http.ResponseWriter, r *http.Request) {
	if kept, ok := p.find(w, r); ok {
		p.stored.remove(r.PathValue("id"))
		writeJSON(w, http.StatusOK, object{"id": r.PathValue("id"), "object": kept.fields["object"], "deleted": true})
	}
}

func (p *Provider) makeFile(w http.ResponseWriter, r *http.Request) {
	file, head, err := r.FormFile("file")
	var content []byte
	if err == nil {
		defer file.Close()
		content, err = io.ReadAll(file)
	}
	if err != nil {
		fail(w, http.StatusBadRequest, "invalid_request_error", "", "The upload could not be understood.")
		return
	}
	id := p.stored.newID("file-standin")
	fields := object{
		"id": id, "object": "file", "bytes": len(content), "created_at": created, "filename": head.Filename,
		"purpose": r.FormValue("purpose"), "status": "processed",
	}
	p.stored.put(id, stored{fields: fields, content: content})
	writeJSON(w, http.StatusOK, fields)
}

func (p *Provider) fileContent(w http.ResponseWriter, r *http.Request) {
	if kept, ok := p.find(w, r); ok {
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = w.Write(kept.content) // an error means that the client has gone
	}
}
