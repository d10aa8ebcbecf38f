package provider

import (
	"io"
	"mime/multipart"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// answerForm serves an endpoint whose requests are forms. file is the field that each must have.
func (p *Provider) answerForm(file string, answer func(*other, *multipart.Form)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		form, err := readForm(r)
		if err != nil || len(form.File[file])+len(form.File[file+"[]"]) == 0 {
			fail(w, http.StatusBadRequest, "invalid_request_error", "", "The request could not be understood.")
			return
		}
		value := func(name string) string { return strings.Join(form.Value[name], "") }
		a := &other{p: p, w: w, r: r}
		a.Model, a.Stream, a.Prompt = value("model"), value("stream") == "true", value("prompt")
		a.N, _ = strconv.Atoi(value("n")) // none is one
		if !slices.Contains(models, a.Model) {
			unknownModel(w, a.Model)
			return
		}
		answer(a, form)
	}
}

// readForm reads a form, all of it into memory: maxBody bounds it.
func readForm(r *http.Request) (*multipart.Form, error) {
	parts, err := r.MultipartReader()
	if err != nil {
		return nil, err
	}
	return parts.ReadForm(maxBody)
}

// What an audio comes to here.
const (
	bytesPerSecond  = 4000
	tokensPerSecond = 10
)

// transcribe answers POST /v1/audio/transcriptions and /v1/audio/translations.
func transcribe(a *other, form *multipart.Form) {
	seconds := (int(form.File["file"][0].Size) + bytesPerSecond - 1) / bytesPerSecond
	text := Text(a.p.o.Words)
	usage := object{"type": "duration", "seconds": seconds}
	if a.Model != "whisper-1" {
		input := a.promptTokens() + seconds*tokensPerSecond
		usage = object{
			"type": "tokens", "input_tokens": input, "output_tokens": a.p.o.Words, "total_tokens": input + a.p.o.Words,
			"input_token_details": object{"text_tokens": a.promptTokens(), "audio_tokens": seconds * tokensPerSecond},
		}
	}
	switch {
	case a.Stream && a.Model != "whisper-1":
		a.w.Header()["Content-Type"] = streamType
		for k := range a.p.o.Words {
			a.event("", object{"type": "transcript.text.delta", "delta": word(k)})
		}
		a.event("", object{"type": "transcript.text.done", "text": text, "usage": usage})
	case slices.Contains(form.Value["response_format"], "text"):
		a.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(a.w, text+"\n")
	default:
		writeJSON(a.w, http.StatusOK, object{"text": text, "usage": usage})
	}
}

// redraw answers POST /v1/images/edits.
func redraw(a *other, _ *multipart.Form) { drawAs(a, "image_edit") }
