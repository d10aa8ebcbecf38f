package provider

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// object is a JSON object that is written with its names in order.
type object = map[string]any

// otherRequest is what is read of a request to any endpoint but chat.
type otherRequest struct {
	Model        string `json:"model"`
	Stream       bool   `json:"stream"`
	StreamFormat string `json:"stream_format"`
	Options      struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	Input           any    `json:"input"`
	Prompt          any    `json:"prompt"`
	Instructions    any    `json:"instructions"`
	EncodingFormat  string `json:"encoding_format"`
	MaxTokens       int    `json:"max_tokens"`
	MaxOutputTokens int    `json:"max_output_tokens"`
	N               int    `json:"n"`
}

// other is one answer to it on its way.
type other struct {
	otherRequest
	p *Provider
	w http.ResponseWriter
	r *http.Request
}

// answerWith serves an endpoint whose requests are otherRequest. ofModel names the model of a request without one.
func (p *Provider) answerWith(ofModel string, answer func(*other)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		a := &other{p: p, w: w, r: r}
		data, _ := io.ReadAll(r.Body) // it is in memory already
		if err := json.Unmarshal(data, &a.otherRequest); err != nil || a.prompted() == nil {
			fail(w, http.StatusBadRequest, "invalid_request_error", "", "The request could not be understood.")
			return
		}
		if a.Model == "" {
			a.Model = ofModel
		}
		if !slices.Contains(models, a.Model) {
			unknownModel(w, a.Model)
			return
		}
		answer(a)
	}
}

// prompted is the prompt, by either of its names.
func (a *other) prompted() any {
	if a.Input != nil {
		return a.Input
	}
	return a.Prompt
}

// promptTokens counts the words of the prompt and of the instructions.
func (a *other) promptTokens() int { return wordsIn(a.prompted()) + wordsIn(a.Instructions) }

// wordsIn counts the words of all strings below a value that are text, and tokens that came as numbers.
func wordsIn(v any) int {
	n := 0
	switch v := v.(type) {
	case string:
		return Words(v)
	case float64:
		return 1
	case []any:
		for _, e := range v {
			n += wordsIn(e)
		}
	case map[string]any:
		for _, name := range []string{"content", "text", "output", "arguments", "input"} {
			n += wordsIn(v[name])
		}
	}
	return n
}

// words is how many words an answer has that the request limits to most, 0 for no limit.
func (a *other) words(most int) int {
	if most > 0 {
		return min(most, a.p.o.Words)
	}
	return a.p.o.Words
}

// event sends one event; one without a name has data only.
func (a *other) event(name string, data any) {
	encoded, err := json.Marshal(data)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	event := "data: " + string(encoded) + "\n\n"
	if name != "" {
		event = "event: " + name + "\n" + event
	}
	_, _ = io.WriteString(a.w, event) // an error means that the client has gone
	_ = http.NewResponseController(a.w).Flush()
	(&answer{r: a.r, pause: a.p.o.ChunkPause}).rest()
}

// respond answers POST /v1/responses.
func respond(a *other) {
	words, id := a.words(a.MaxOutputTokens), a.p.stored.newID("resp_standin")
	text, status := Text(words), "completed"
	if a.MaxOutputTokens > 0 && a.MaxOutputTokens < a.p.o.Words {
		status = "incomplete"
	}
	part := object{"type": "output_text", "text": text, "annotations": []any{}}
	item := object{"id": "msg_standin", "type": "message", "role": "assistant", "status": status, "content": []any{part}}
	whole := object{
		"id": id, "object": "response", "created_at": created, "model": a.Model, "status": status,
		"output": []any{item}, "usage": a.inputUsage(words, "input_tokens_details"),
	}
	if status == "incomplete" {
		whole["incomplete_details"] = object{"reason": "max_output_tokens"}
	}
	a.p.stored.put(id, stored{fields: whole})
	if !a.Stream {
		writeJSON(a.w, http.StatusOK, whole)
		return
	}
	a.w.Header()["Content-Type"] = streamType
	sequence := 0
	send := func(kind string, members object) {
		members["type"], members["sequence_number"] = kind, sequence
		sequence++
		a.event(kind, members)
	}
	begun := object{"id": id, "object": "response", "created_at": created, "model": a.Model, "status": "in_progress", "output": []any{}}
	send("response.created", object{"response": begun})
	send("response.output_item.added", object{"output_index": 0, "item": object{"id": "msg_standin", "type": "message", "role": "assistant", "content": []any{}}})
	for n := range words {
		send("response.output_text.delta", object{"item_id": "msg_standin", "output_index": 0, "content_index": 0, "delta": word(n)})
	}
	send("response.output_text.done", object{"item_id": "msg_standin", "output_index": 0, "content_index": 0, "text": text})
	send("response.output_item.done", object{"output_index": 0, "item": item})
	send("response."+status, object{"response": whole})
}

// inputUsage is the form in which the newer endpoints report.
func (a *other) inputUsage(output int, details string) object {
	input := a.promptTokens()
	return object{"input_tokens": input, details: object{"text_tokens": input}, "output_tokens": output, "total_tokens": input + output}
}

// complete answers POST /v1/completions.
func complete(a *other) {
	const usual = 16
	if a.MaxTokens == 0 {
		a.MaxTokens = usual
	}
	words, n := a.words(a.MaxTokens), max(a.N, 1)
	usage := object{"prompt_tokens": a.promptTokens(), "completion_tokens": words * n, "total_tokens": a.promptTokens() + words*n}
	answer := func(choices []any) object {
		return object{"id": "cmpl-standin", "object": "text_completion", "created": created, "model": a.Model, "choices": choices}
	}
	choice := func(index int, text string, finish any) object {
		return object{"index": index, "text": text, "logprobs": nil, "finish_reason": finish}
	}
	if !a.Stream {
		var choices []any
		for i := range n {
			choices = append(choices, choice(i, Text(words), "length"))
		}
		whole := answer(choices)
		whole["usage"] = usage
		writeJSON(a.w, http.StatusOK, whole)
		return
	}
	a.w.Header()["Content-Type"] = streamType
	for k := range words {
		for i := range n {
			a.event("", answer([]any{choice(i, word(k), nil)}))
		}
	}
	for i := range n {
		a.event("", answer([]any{choice(i, "", "length")}))
	}
	if a.Options.IncludeUsage {
		last := answer([]any{})
		last["usage"] = usage
		a.event("", last)
	}
	_, _ = io.WriteString(a.w, "data: [DONE]\n\n")
}

// embed answers POST /v1/embeddings: the same short vector for each input.
func embed(a *other) {
	inputs := 1
	if list, ok := a.Input.([]any); ok {
		if inputs = len(list); inputs > 0 {
			if _, tokens := list[0].(float64); tokens {
				inputs = 1
			}
		}
	}
	vector := []float32{0.25, -0.5, 0.125}
	var embedding any = vector
	if a.EncodingFormat == "base64" {
		var packed []byte
		for _, v := range vector {
			packed = binary.LittleEndian.AppendUint32(packed, math.Float32bits(v))
		}
		embedding = base64.StdEncoding.EncodeToString(packed)
	}
	var data []any
	for i := range inputs {
		data = append(data, object{"object": "embedding", "index": i, "embedding": embedding})
	}
	writeJSON(a.w, http.StatusOK, object{
		"object": "list", "model": a.Model, "data": data,
		"usage": object{"prompt_tokens": a.promptTokens(), "total_tokens": a.promptTokens()},
	})
}

// moderate answers POST /v1/moderations: nothing to object to.
func moderate(a *other) {
	writeJSON(a.w, http.StatusOK, object{
		"id": "modr-standin", "model": a.Model,
		"results": []any{object{"flagged": false, "categories": object{"violence": false}, "category_scores": object{"violence": 0.001}}},
	})
}

// pictureTokens is what a picture costs.
const pictureTokens = 272

// draw answers POST /v1/images/generations.
func draw(a *other) { drawAs(a, "image_generation") }

// drawAs answers a request for pictures, with events of the given kind.
func drawAs(a *other, kind string) {
	n := max(a.N, 1)
	picture := base64.StdEncoding.EncodeToString([]byte("not really a picture"))
	if !a.Stream {
		var data []any
		for range n {
			data = append(data, object{"b64_json": picture})
		}
		writeJSON(a.w, http.StatusOK, object{
			"created": created, "data": data, "size": "1024x1024", "quality": "low",
			"usage": a.inputUsage(pictureTokens*n, "input_tokens_details"),
		})
		return
	}
	a.w.Header()["Content-Type"] = streamType
	a.event(kind+".partial_image", object{"type": kind + ".partial_image", "partial_image_index": 0, "b64_json": picture})
	a.event(kind+".completed", object{
		"type": kind + ".completed", "b64_json": picture, "size": "1024x1024", "quality": "low",
		"usage": a.inputUsage(pictureTokens, "input_tokens_details"),
	})
}

// bytesPerCharacter is how much sound a character makes.
const bytesPerCharacter = 100

// speak answers POST /v1/audio/speech.
func speak(a *other) {
	text, _ := a.Input.(string)
	sound := []byte(strings.Repeat("~", utf8.RuneCountInString(text)*bytesPerCharacter))
	if a.StreamFormat != "sse" {
		a.w.Header().Set("Content-Type", "audio/mpeg")
		_, _ = a.w.Write(sound)
		return
	}
	a.w.Header()["Content-Type"] = streamType
	for piece := range slices.Chunk(sound, 1024) {
		a.event("", object{"type": "speech.audio.delta", "audio": base64.StdEncoding.EncodeToString(piece)})
	}
	a.event("", object{"type": "speech.audio.done", "usage": a.inputUsage(Words(text)*4, "input_token_details")})
}
