package provider_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/plumbline/plumbline/internal/demo/provider"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const key = "sk-standin-0123456789abcdef"

// answer is a whole answer. Err is why its body ended too early.
type answer struct {
	Status int
	Header http.Header
	Body   []byte
	Err    error
}

func serve(t *testing.T, o provider.Options) (*provider.Provider, func(body string) answer) {
	t.Helper()
	p := provider.New(o)
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	t.Cleanup(client.CloseIdleConnections)
	return p, func(body string) answer {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/v1/chat/completions", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+key)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		return answer{resp.StatusCode, resp.Header, data, err}
	}
}

type reply struct {
	Model   string
	Choices []struct {
		Message      struct{ Content string }
		Delta        struct{ Content string }
		FinishReason *string `json:"finish_reason"`
	}
	Usage *struct {
		Prompt     int `json:"prompt_tokens"`
		Completion int `json:"completion_tokens"`
		Total      int `json:"total_tokens"`
	}
}

func TestAnswersAsJSON(t *testing.T) {
	for name, c := range map[string]struct {
		body               string
		prompt, completion int
		finish             string
	}{
		"plain":                 {`{"model":"gpt-4o","messages":[{"role":"user","content":"one two  three"}]}`, 6, provider.DefaultWords, "stop"},
		"parts":                 {`{"model":"gpt-4o","messages":[{"content":[{"type":"text","text":"one two"},{"type":"image_url"}]},{"content":null}]}`, 8, provider.DefaultWords, "stop"},
		"max_tokens":            {`{"model":"gpt-4o","messages":[{"content":"x"}],"max_tokens":5}`, 4, 5, "length"},
		"max_completion_tokens": {`{"model":"gpt-4o","messages":[{"content":"x"}],"max_completion_tokens":7}`, 4, 7, "length"},
		"n":                     {`{"model":"gpt-4o","messages":[{"content":"x"}],"max_tokens":5,"n":3}`, 4, 15, "length"},
	} {
		t.Run(name, func(t *testing.T) {
			_, post := serve(t, provider.Options{Key: key})
			resp := post(c.body)
			var got reply
			if err := json.Unmarshal(resp.Body, &got); err != nil {
				t.Fatal(err)
			}
			if resp.Status != http.StatusOK || got.Usage.Prompt != c.prompt || got.Usage.Completion != c.completion ||
				got.Usage.Total != c.prompt+c.completion || *got.Choices[0].FinishReason != c.finish {
				t.Errorf("status %d, %+v, finish %s", resp.Status, *got.Usage, *got.Choices[0].FinishReason)
			}
			words := 0
			for _, ch := range got.Choices {
				words += provider.Words(ch.Message.Content)
			}
			if words != c.completion {
				t.Errorf("%d words for %d tokens", words, c.completion)
			}
		})
	}
}

// events reads an event stream to its end.
func events(t *testing.T, a answer) (chunks []reply, done bool, err error) {
	t.Helper()
	lines := bufio.NewScanner(bytes.NewReader(a.Body))
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		switch {
		case !ok && lines.Text() == "":
		case data == "[DONE]":
			done = true
		default:
			var c reply
			if err := json.Unmarshal([]byte(data), &c); err != nil {
				t.Fatalf("%v in %q", err, data)
			}
			chunks = append(chunks, c)
		}
	}
	return chunks, done, a.Err
}

func TestStreams(t *testing.T) {
	for _, usage := range []bool{false, true} {
		_, post := serve(t, provider.Options{})
		body := `{"model":"gpt-4o","stream":true,"max_tokens":6,"messages":[{"content":"x"}]}`
		if usage {
			body = strings.Replace(body, `"stream":true`, `"stream":true,"stream_options":{"include_usage":true}`, 1)
		}
		chunks, done, err := events(t, post(body))
		if err != nil || !done {
			t.Fatalf("done %v, %v", done, err)
		}
		var text strings.Builder
		for _, c := range chunks {
			if len(c.Choices) > 0 {
				text.WriteString(c.Choices[0].Delta.Content)
			}
		}
		if diff := cmp.Diff(provider.Text(6), text.String()); diff != "" {
			t.Error(diff)
		}
		last := chunks[len(chunks)-1]
		if got := last.Usage != nil; got != usage {
			t.Errorf("usage in the last chunk: %v, want %v", got, usage)
		}
		if usage && (len(last.Choices) != 0 || last.Usage.Total != 10) {
			t.Errorf("last chunk %+v", last)
		}
	}
}

func TestOnlyTheKeyIsAccepted(t *testing.T) {
	p, post := serve(t, provider.Options{Key: "sk-another-0123456789"})
	resp := post(`{"model":"gpt-4o","messages":[{"content":"x"}]}`)
	if body := resp.Body; resp.Status != http.StatusUnauthorized || !strings.Contains(string(body), "sk-s********cdef") {
		t.Errorf("%d %s", resp.Status, body)
	}
	if p.Total() != 1 || p.Rejected() != 1 {
		t.Errorf("total %d, rejected %d", p.Total(), p.Rejected())
	}
}

func TestTheLastRequestsAreKept(t *testing.T) {
	p, post := serve(t, provider.Options{Keep: 2})
	for _, body := range []string{"1", "2", "3"} {
		post(body)
	}
	var got []string
	for _, r := range p.Requests() {
		got = append(got, r.Method+" "+r.Path+" "+string(r.Body))
	}
	if diff := cmp.Diff([]string{"POST /v1/chat/completions 2", "POST /v1/chat/completions 3"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestBehaviours(t *testing.T) {
	ask := func(t *testing.T, o provider.Options, model, more string) answer {
		t.Helper()
		o.Behaviours = true
		_, post := serve(t, o)
		return post(`{"model":"` + model + `","messages":[{"content":"x"}]` + more + `}`)
	}
	const stream = `,"stream":true,"stream_options":{"include_usage":true}`
	t.Run("only when asked for", func(t *testing.T) {
		_, post := serve(t, provider.Options{})
		if resp := post(`{"model":"standin-error-500","messages":[{"content":"x"}]}`); resp.Status != http.StatusNotFound {
			t.Error(resp.Status)
		}
	})
	t.Run("errors", func(t *testing.T) {
		for model, want := range map[string]int{
			"standin-error-500": 500, "standin-error-429": 429, "standin-401": 401,
			"standin-error-200": 404, "standin-error-x": 404, "standin-": 404,
		} {
			if resp := ask(t, provider.Options{}, model, ""); resp.Status != want {
				t.Errorf("%s: %d", model, resp.Status)
			}
		}
	})
	t.Run("cutoff", func(t *testing.T) {
		if err := ask(t, provider.Options{}, provider.ModelCutoff, "").Err; !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Error(err)
		}
		chunks, done, err := events(t, ask(t, provider.Options{}, provider.ModelCutoff, stream))
		if !errors.Is(err, io.ErrUnexpectedEOF) || done || len(chunks) == 0 {
			t.Errorf("%d chunks, done %v, %v", len(chunks), done, err)
		}
	})
	t.Run("slow", func(t *testing.T) {
		if resp := ask(t, provider.Options{Slow: time.Millisecond}, provider.ModelSlow, ""); resp.Status != http.StatusOK {
			t.Error(resp.Status)
		}
	})
	t.Run("rubbish", func(t *testing.T) {
		resp := ask(t, provider.Options{}, provider.ModelRubbish, "")
		if resp.Err != nil || json.Valid(resp.Body) {
			t.Errorf("%q, %v", resp.Body, resp.Err)
		}
	})
	t.Run("no usage", func(t *testing.T) {
		var got reply
		if err := json.Unmarshal(ask(t, provider.Options{}, provider.ModelNoUsage, "").Body, &got); err != nil || got.Usage != nil {
			t.Errorf("%+v, %v", got.Usage, err)
		}
	})
	t.Run("gzip", func(t *testing.T) {
		for _, more := range []string{"", stream} {
			resp := ask(t, provider.Options{}, provider.ModelGzip, more)
			zr, err := gzip.NewReader(bytes.NewReader(resp.Body))
			if err != nil || resp.Header.Get("Content-Encoding") != "gzip" {
				t.Fatal(err, resp.Header)
			}
			if plain, err := io.ReadAll(zr); err != nil || !strings.Contains(string(plain), `"total_tokens":52`) {
				t.Errorf("%v in %s", err, plain)
			}
		}
	})
	t.Run("long", func(t *testing.T) {
		chunks, _, _ := events(t, ask(t, provider.Options{}, provider.ModelLong, stream))
		if got := chunks[len(chunks)-1].Usage.Completion; got != provider.LongWords {
			t.Error(got)
		}
	})
}

func TestModels(t *testing.T) {
	p := provider.New(provider.Options{})
	for path, want := range map[string]int{
		"/v1/models": 200, "/v1/models/gpt-4o": 200, "/v1/models/none": 404, "/v1/embeddings": 404, "/": 404,
	} {
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != want || !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

func BenchmarkChat(b *testing.B) {
	p := provider.New(provider.Options{})
	body := `{"model":"gpt-4o-mini","messages":[{"role":"user","content":"` + strings.Repeat("plumb line ", 170) + `"}]}`
	for b.Loop() {
		p.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/v1/chat/completions", strings.NewReader(body)))
	}
}
