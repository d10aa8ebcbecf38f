package provider

import (
	"compress/gzip"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const behaviourPrefix = "standin-"

// The models that misbehave when Options.Behaviours is set.
const (
	ModelError   = "standin-error-" // and a status: that error, e.g. standin-error-500
	Model401     = "standin-401"    // the key is refused, with a part of it in the message
	ModelCutoff  = "standin-cutoff" // the connection ends in mid-answer
	ModelSlow    = "standin-slow"   // silence before the first byte
	ModelRubbish = "standin-rubbish"
	ModelNoUsage = "standin-nousage" // an answer that does not say what was used
	ModelGzip    = "standin-gzip"    // an answer that nobody asked to be compressed
	ModelLong    = "standin-long"    // an answer of LongWords words, unless the request limits it
)

// LongWords is the length of the answers of ModelLong.
const LongWords = 5000

// misbehave does what the model's name says. It reports whether an answer is still to be written.
func (p *Provider) misbehave(a *answer) bool {
	switch name := a.request.Model; name {
	case Model401:
		fail(a.w, http.StatusUnauthorized, "invalid_request_error", "invalid_api_key",
			"Incorrect API key provided: "+redacted(a.r.Header.Get("Authorization"))+".")
		return false
	case ModelCutoff:
		a.cut = a.words / 2
	case ModelSlow:
		return a.silence(p.o.Slow)
	case ModelRubbish:
		a.rubbish()
		return false
	case ModelNoUsage:
		a.usage = nil
	case ModelGzip:
		zipped := &gzipped{ResponseWriter: a.w, zip: gzip.NewWriter(a.w)}
		zipped.Header().Set("Content-Encoding", "gzip")
		a.w = zipped
	case ModelLong:
		a.words, a.finish = a.request.length(LongWords)
		a.usage.CompletionTokens = a.words * a.request.choices()
		a.usage.TotalTokens = a.usage.PromptTokens + a.usage.CompletionTokens
	default:
		status, err := strconv.Atoi(strings.TrimPrefix(name, ModelError))
		if err != nil || status < 400 || status > 599 {
			unknownModel(a.w, name)
			return false
		}
		fail(a.w, status, "server_error", "", "The stand-in fails with "+strconv.Itoa(status)+", as it was asked to.")
		return false
	}
	return true
}

func (a *answer) silence(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-a.r.Context().Done():
		return false
	case <-timer.C:
		return true
	}
}

// rubbish claims to be what was asked for and is not.
func (a *answer) rubbish() {
	a.w.Header()["Content-Type"] = jsonType
	body := "{\"id\":\"chatcmpl-standin\",\"choices\":[{\x00\xff\xfe"
	if a.request.Stream {
		a.w.Header()["Content-Type"] = streamType
		body = "data: {\"choices\":[{\x00\xff\n\nnonsense without a colon\n\ndata: 17\n\ndata: \"\xfe\"\n\n"
	}
	_, _ = a.w.Write([]byte(body))
}

// gzipped compresses what is written and ends each flush at a byte that can be decompressed.
type gzipped struct {
	http.ResponseWriter
	zip *gzip.Writer
}

// WriteHeader drops a length that is not the compressed one.
func (g *gzipped) WriteHeader(status int) {
	g.Header().Del("Content-Length")
	g.ResponseWriter.WriteHeader(status)
}

func (g *gzipped) Write(p []byte) (int, error) { return g.zip.Write(p) }

// FlushError is what http.ResponseController calls.
func (g *gzipped) FlushError() error {
	if err := g.zip.Flush(); err != nil {
		return err
	}
	return http.NewResponseController(g.ResponseWriter).Flush()
}
