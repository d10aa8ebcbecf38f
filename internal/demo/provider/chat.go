package provider

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// chatRequest is what is read of a chat completion request.
type chatRequest struct {
	Model    string `json:"model"`
	Messages []struct {
		Content content `json:"content"`
	} `json:"messages"`
	Stream        bool `json:"stream"`
	StreamOptions struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	MaxTokens           *int `json:"max_tokens"`
	MaxCompletionTokens *int `json:"max_completion_tokens"`
	N                   *int `json:"n"`
}

// content counts the words of a message, which is a string or a list of parts.
type content struct{ words int }

// UnmarshalJSONFrom counts words as it reads: prompts can be long, and the benchmark sends many.
func (c *content) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() == '"' {
		text, err := dec.ReadToken()
		if err != nil {
			return err
		}
		c.words = Words(text.String())
		return nil
	}
	var parts []struct {
		Text string `json:"text"`
	}
	if err := jsonv2.UnmarshalDecode(dec, &parts); err != nil {
		return err
	}
	for _, p := range parts {
		c.words += Words(p.Text)
	}
	return nil
}

// Words is how many tokens a text has for the stand-in: its words.
func Words(text string) int {
	n, inside := 0, false
	for i := range len(text) {
		space := text[i] <= ' '
		if !space && !inside {
			n++
		}
		inside = !space
	}
	return n
}

// tokensPerMessage is what each message costs beside its words.
const tokensPerMessage = 3

func (r *chatRequest) promptTokens() int {
	n := 0
	for _, m := range r.Messages {
		n += m.Content.words + tokensPerMessage
	}
	return n
}

// length is how many words each choice gets, and why it ends there.
func (r *chatRequest) length(most int) (words int, finish string) {
	words, finish = most, "stop"
	for _, limit := range []*int{r.MaxTokens, r.MaxCompletionTokens} {
		if limit != nil && *limit < words {
			words, finish = *limit, "length"
		}
	}
	return words, finish
}

func (r *chatRequest) choices() int {
	if r.N == nil {
		return 1
	}
	return *r.N
}

const maxChoices = 128

func (r *chatRequest) valid() bool {
	for _, limit := range []*int{r.MaxTokens, r.MaxCompletionTokens, r.N} {
		if limit != nil && *limit < 1 {
			return false
		}
	}
	return len(r.Messages) > 0 && r.choices() <= maxChoices
}

type usage struct {
	PromptTokens     int `json:"prompt_tokens"`
	CompletionTokens int `json:"completion_tokens"`
	TotalTokens      int `json:"total_tokens"`
}

type message struct {
	Role    string  `json:"role,omitempty"`
	Content *string `json:"content,omitempty"`
}

type choice struct {
	Index        int      `json:"index"`
	Message      *message `json:"message,omitempty"`
	Delta        *message `json:"delta,omitempty"`
	FinishReason *string  `json:"finish_reason"`
}

type completion struct {
	ID                string   `json:"id"`
	Object            string   `json:"object"`
	Created           int64    `json:"created"`
	Model             string   `json:"model"`
	SystemFingerprint string   `json:"system_fingerprint"`
	Choices           []choice `json:"choices"`
	Usage             *usage   `json:"usage,omitempty"`
}

func (p *Provider) chat(w http.ResponseWriter, r *http.Request) {
	data, _ := io.ReadAll(r.Body) // it is in memory already
	var request chatRequest
	if err := jsonv2.Unmarshal(data, &request); err != nil || !request.valid() {
		fail(w, http.StatusBadRequest, "invalid_request_error", "", "The request could not be understood.")
		return
	}
	words, finish := request.length(p.o.Words)
	a := answer{
		w: w, r: r, request: &request, words: words, finish: finish, pause: p.o.ChunkPause, cut: -1,
		usage: &usage{PromptTokens: request.promptTokens(), CompletionTokens: words * request.choices()},
	}
	a.usage.TotalTokens = a.usage.PromptTokens + a.usage.CompletionTokens
	if p.o.Behaviours && strings.HasPrefix(request.Model, behaviourPrefix) {
		if !p.misbehave(&a) {
			return
		}
	} else if !slices.Contains(models, request.Model) {
		unknownModel(w, request.Model)
		return
	}
	if request.Stream {
		a.stream()
	} else {
		a.whole()
	}
	if zipped, ok := a.w.(*gzipped); ok {
		_ = zipped.zip.Close() // an error means that the client has gone
	}
}

// answer is one chat completion on its way.
type answer struct {
	w       http.ResponseWriter
	r       *http.Request
	request *chatRequest
	words   int
	finish  string
	usage   *usage
	pause   time.Duration
	cut     int // end the connection after so many words; negative: never
}

func (a *answer) completion(object string) completion {
	return completion{ID: "chatcmpl-standin", Object: object, Created: created, Model: a.request.Model, SystemFingerprint: "fp_standin"}
}

func (a *answer) whole() {
	text := Text(a.words)
	c := a.completion("chat.completion")
	c.Usage = a.usage
	for i := range a.request.choices() {
		c.Choices = append(c.Choices, choice{Index: i, Message: &message{Role: "assistant", Content: &text}, FinishReason: &a.finish})
	}
	if a.cut < 0 {
		writeJSON(a.w, http.StatusOK, c)
		return
	}
	data, err := json.Marshal(c)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	a.w.Header()["Content-Type"] = jsonType
	a.w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	_, _ = a.w.Write(data[:len(data)/2])
	_ = http.NewResponseController(a.w).Flush()
	panic(http.ErrAbortHandler)
}

func (a *answer) stream() {
	a.w.Header()["Content-Type"] = streamType
	s := eventStream{w: a.w, flush: http.NewResponseController(a.w), c: a.completion("chat.completion.chunk")}
	s.c.Choices = make([]choice, 1)
	empty := ""
	for i := range a.request.choices() {
		s.send(choice{Index: i, Delta: &message{Role: "assistant", Content: &empty}})
	}
	for n := range a.words {
		if n == a.cut {
			panic(http.ErrAbortHandler)
		}
		if !a.rest() {
			return
		}
		text := word(n)
		for i := range a.request.choices() {
			s.send(choice{Index: i, Delta: &message{Content: &text}})
		}
	}
	for i := range a.request.choices() {
		s.send(choice{Index: i, Delta: &message{}, FinishReason: &a.finish})
	}
	if a.request.StreamOptions.IncludeUsage && a.usage != nil {
		s.c.Choices, s.c.Usage = []choice{}, a.usage
		s.sendData(s.c)
	}
	s.write([]byte("data: [DONE]\n\n"))
}

// rest waits between two chunks, and reports false when the client has gone.
func (a *answer) rest() bool {
	if a.pause <= 0 {
		return a.r.Context().Err() == nil
	}
	timer := time.NewTimer(a.pause)
	defer timer.Stop()
	select {
	case <-a.r.Context().Done():
		return false
	case <-timer.C:
		return true
	}
}

// eventStream writes chunks. Errors of writing are not looked at: they mean that the client has gone.
type eventStream struct {
	w     io.Writer
	flush *http.ResponseController
	c     completion
}

func (s *eventStream) send(c choice) {
	s.c.Choices[0] = c
	s.sendData(s.c)
}

func (s *eventStream) sendData(v any) {
	data, err := json.Marshal(v)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	event := make([]byte, 0, len(data)+8)
	event = append(event, "data: "...)
	event = append(event, data...)
	s.write(append(event, "\n\n"...))
}

func (s *eventStream) write(event []byte) {
	_, _ = s.w.Write(event)
	_ = s.flush.Flush()
}

var vocabulary = strings.Fields("the line hangs straight from the beam and shows how far the wall leans so that whoever builds can set it right before the next course is laid")

// word is word n of every answer, with the space before it.
func word(n int) string {
	w := vocabulary[n%len(vocabulary)]
	if n == 0 {
		return w
	}
	return " " + w
}

// Text is what an answer of n words says.
func Text(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(word(i))
	}
	return b.String()
}
