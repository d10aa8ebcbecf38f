// Package provider stands in for OpenAI: chats, responses, completions, pictures and speech as a whole and as event streams
// with usage, embeddings, moderations, transcripts, files, vector stores, and the list of models. The demo, the tests and the benchmark use
// it.
//
// Contract: equal requests get equal answers, but for the ids of what is kept; tokens are words, so that usage can be told from a prompt by counting;
// what was received is kept, within bounds, for assertions. Faults are made only where Options.Behaviours is set.
//
// It imports nothing of Plumbline: what it understands of the wire must not depend on what Plumbline understands.
package provider

import (
	"bytes"
	"crypto/subtle"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// models are the models that are listed and served.
var models = []string{
	"gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano", "gpt-5", "gpt-5-mini", "gpt-5-nano", "o3", "o4-mini",
	"gpt-3.5-turbo-instruct", "text-embedding-3-small", "omni-moderation-latest", "gpt-image-1-mini", "gpt-4o-mini-tts", "tts-1",
	"whisper-1", "gpt-4o-transcribe",
}

const (
	// maxBody bounds what is read of a request.
	maxBody = 64 << 20
	// DefaultWords is the length of an answer that nothing limits.
	DefaultWords = 48
	// DefaultSlow is how long the model standin-slow is silent.
	DefaultSlow = 30 * time.Second
	// created is the time in every answer, so that answers are equal: 2025-01-01T00:00:00Z.
	created = 1735689600
)

// Options say how to stand in. The zero value is a provider that takes any key and never fails.
type Options struct {
	// Key is the only API key that is accepted. Empty: any, and none.
	Key string
	// Behaviours makes the models named standin-… misbehave as their names say; see behaviour.go.
	Behaviours bool
	// Keep is how many of the last requests are kept for Requests.
	Keep int
	// OnRequest, if set, is called with each request before it is answered, from the request's own goroutine.
	OnRequest func(Request)
	// Words is the length of an answer that the request does not limit, DefaultWords when 0.
	Words int
	// ChunkPause is the time between two chunks of an event stream, as a model takes it to think.
	ChunkPause time.Duration
	// Slow is how long the model standin-slow is silent, DefaultSlow when 0.
	Slow time.Duration
}

// Request is what the provider received.
type Request struct {
	Method, Path string // the path with the query
	Header       http.Header
	Body         []byte
}

// Provider is an http.Handler. It is safe for concurrent use.
type Provider struct {
	o        Options
	mux      *http.ServeMux
	total    atomic.Int64
	rejected atomic.Int64

	stored shelf // responses, files and vector stores

	mu   sync.Mutex
	kept []Request // the last o.Keep, oldest first from next on
	next int
}

// New gives a provider.
func New(o Options) *Provider {
	if o.Words <= 0 {
		o.Words = DefaultWords
	}
	if o.Slow <= 0 {
		o.Slow = DefaultSlow
	}
	p := &Provider{o: o, mux: http.NewServeMux()}
	p.mux.HandleFunc("POST /v1/chat/completions", p.chat)
	p.mux.HandleFunc("POST /v1/responses", p.answerWith("", respond))
	p.mux.HandleFunc("POST /v1/completions", p.answerWith("", complete))
	p.mux.HandleFunc("POST /v1/embeddings", p.answerWith("", embed))
	p.mux.HandleFunc("POST /v1/moderations", p.answerWith("omni-moderation-latest", moderate))
	p.mux.HandleFunc("POST /v1/images/generations", p.answerWith("", draw))
	p.mux.HandleFunc("POST /v1/audio/speech", p.answerWith("", speak))
	p.mux.HandleFunc("POST /v1/audio/transcriptions", p.answerForm("file", transcribe))
	p.mux.HandleFunc("POST /v1/audio/translations", p.answerForm("file", transcribe))
	p.mux.HandleFunc("POST /v1/images/edits", p.answerForm("image", redraw))
	p.mux.HandleFunc("POST /v1/files", p.makeFile)
	p.mux.HandleFunc("GET /v1/files/{id}/content", p.fileContent)
	for _, kind := range []string{"responses", "files"} {
		p.mux.HandleFunc("GET /v1/"+kind+"/{id}", p.getStored)
		p.mux.HandleFunc("DELETE /v1/"+kind+"/{id}", p.deleteStored)
	}
	p.routeStores()
	p.mux.HandleFunc("GET /v1/models", listModels)
	p.mux.HandleFunc("GET /v1/models/{id}", getModel)
	p.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fail(w, http.StatusNotFound, "invalid_request_error", "unknown_url", "Unknown request URL: "+r.Method+" "+r.URL.Path)
	})
	return p
}

// Total is how many requests were received.
func (p *Provider) Total() int64 { return p.total.Load() }

// Rejected is how many of them had no key or another than the expected one.
func (p *Provider) Rejected() int64 { return p.rejected.Load() }

// Requests gives the last requests, oldest first.
func (p *Provider) Requests() []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append(append([]Request(nil), p.kept[p.next:]...), p.kept[:p.next]...)
}

// ServeHTTP answers one request.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.total.Add(1)
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		fail(w, http.StatusBadRequest, "invalid_request_error", "", "The request's body could not be read.")
		return
	}
	p.keep(Request{Method: r.Method, Path: r.URL.RequestURI(), Header: r.Header, Body: body})
	if !p.accepts(r.Header["Authorization"]) {
		p.rejected.Add(1)
		// As the real one does it quotes a part of the key, which must not reach a caller.
		w.Header().Set("Openai-Organization", "standin-org")
		fail(w, http.StatusUnauthorized, "invalid_request_error", "invalid_api_key",
			"Incorrect API key provided: "+redacted(r.Header.Get("Authorization"))+".")
		return
	}
	h := w.Header()
	h["Server"] = serverHeader
	h["Openai-Version"] = versionHeader
	h["Openai-Organization"] = organisationHeader
	h["Set-Cookie"] = cookieHeader
	h["X-Request-Id"] = []string{"req_standin" + strconv.FormatInt(p.total.Load(), 10)}
	r.Body = io.NopCloser(bytes.NewReader(body))
	p.mux.ServeHTTP(w, r)
}

// Headers that the real provider sends and that Plumbline removes or passes on.
var (
	serverHeader       = []string{"standin"}
	versionHeader      = []string{"2020-10-01"}
	organisationHeader = []string{"standin-org"}
	cookieHeader       = []string{"__cf_bm=standin; Path=/; HttpOnly"}
)

func (p *Provider) accepts(authorization []string) bool {
	if p.o.Key == "" {
		return true
	}
	return len(authorization) == 1 && subtle.ConstantTimeCompare([]byte(authorization[0]), []byte("Bearer "+p.o.Key)) == 1
}

// redacted shows the beginning and the end of a key.
func redacted(authorization string) string {
	if len(authorization) < 20 {
		return "''"
	}
	return authorization[7:11] + "********" + authorization[len(authorization)-4:]
}

func (p *Provider) keep(r Request) {
	if p.o.OnRequest != nil {
		p.o.OnRequest(r)
	}
	if p.o.Keep <= 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.kept) < p.o.Keep {
		p.kept = append(p.kept, r)
		return
	}
	p.kept[p.next] = r
	p.next = (p.next + 1) % p.o.Keep
}

type model struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
}

func listModels(w http.ResponseWriter, _ *http.Request) {
	list := struct {
		Object string  `json:"object"`
		Data   []model `json:"data"`
	}{Object: "list"}
	for _, id := range models {
		list.Data = append(list.Data, model{id, "model", created, "system"})
	}
	writeJSON(w, http.StatusOK, list)
}

func getModel(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	for _, known := range models {
		if known == id {
			writeJSON(w, http.StatusOK, model{id, "model", created, "system"})
			return
		}
	}
	unknownModel(w, id)
}

func unknownModel(w http.ResponseWriter, id string) {
	fail(w, http.StatusNotFound, "invalid_request_error", "model_not_found", "The model '"+id+"' does not exist.")
}

// failure is OpenAI's error body.
type failure struct {
	Error struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    *string `json:"code"`
	} `json:"error"`
}

func fail(w http.ResponseWriter, status int, kind, code, message string) {
	var f failure
	f.Error.Message, f.Error.Type = message, kind
	if code != "" {
		f.Error.Code = &code
	}
	writeJSON(w, status, f)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	data, err := json.Marshal(v)
	if err != nil { // none of the types here can fail
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header()["Content-Type"] = jsonType
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(status)
	_, _ = w.Write(data) // an error means that the client has gone
}

var (
	jsonType   = []string{"application/json"}
	streamType = []string{"text/event-stream; charset=utf-8"}
)
