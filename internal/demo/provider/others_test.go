package provider_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/internal/demo/provider"
)

// Every endpoint counts the words of the prompt, answers as a whole and as a stream, and refuses what it does not know.
func TestOtherEndpoints(t *testing.T) {
	p := provider.New(provider.Options{Words: 5})
	for _, tt := range []struct {
		path, body string
		status     int
		says       []string
	}{
		{"/v1/responses", `{"model":"gpt-4o","input":"one two","instructions":"three"}`, 200, []string{`"input_tokens":3`, `"output_tokens":5`, provider.Text(5)}},
		{"/v1/responses", `{"model":"gpt-4o","max_output_tokens":2,"input":[{"role":"user","content":[{"type":"input_text","text":"one"}]}]}`, 200, []string{`"input_tokens":1`, `"status":"incomplete"`}},
		{"/v1/responses", `{"model":"gpt-4o","stream":true,"input":"one"}`, 200, []string{"event: response.created", `"delta":"the"`, "event: response.completed"}},
		{"/v1/completions", `{"model":"gpt-3.5-turbo-instruct","prompt":["one","two three"],"n":2}`, 200, []string{`"prompt_tokens":3`, `"completion_tokens":10`, `"index":1`}},
		{"/v1/completions", `{"model":"gpt-3.5-turbo-instruct","prompt":"one","stream":true,"stream_options":{"include_usage":true}}`, 200, []string{`"choices":[],`, "data: [DONE]"}},
		{"/v1/embeddings", `{"model":"text-embedding-3-small","input":[1,2,3]}`, 200, []string{`"prompt_tokens":3`, `"index":0`}},
		{"/v1/moderations", `{"input":"one"}`, 200, []string{`"flagged":false`, "omni-moderation-latest"}},
		{"/v1/images/generations", `{"model":"gpt-image-1-mini","prompt":"one","n":2}`, 200, []string{`"output_tokens":544`}},
		{"/v1/images/generations", `{"model":"gpt-image-1-mini","prompt":"one","stream":true}`, 200, []string{"image_generation.completed"}},
		{"/v1/audio/speech", `{"model":"tts-1","input":"one"}`, 200, []string{strings.Repeat("~", 300)}},
		{"/v1/audio/speech", `{"model":"gpt-4o-mini-tts","input":"one","stream_format":"sse"}`, 200, []string{"speech.audio.done", `"output_tokens":4`}},
		{"/v1/responses", `{"model":"unheard-of","input":"one"}`, 404, []string{"model_not_found"}},
		{"/v1/responses", `{"model":"gpt-4o"}`, 400, nil},
		{"/v1/embeddings", `[]`, 400, nil},
	} {
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequest(http.MethodPost, tt.path, strings.NewReader(tt.body)))
		if w.Code != tt.status {
			t.Errorf("%s %s: status %d: %s", tt.path, tt.body, w.Code, w.Body)
		}
		for _, part := range tt.says {
			if !strings.Contains(w.Body.String(), part) {
				t.Errorf("%s %s: no %s in %s", tt.path, tt.body, part, w.Body)
			}
		}
	}
}
