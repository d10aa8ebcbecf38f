package provider

import (
	"encoding/base64"
	"io"
	"net/http"
)

// audioSeconds is how long every recording is said to be.
const audioSeconds = 3

// upload reads a file out of a form, or answers that it cannot.
func upload(w http.ResponseWriter, r *http.Request, field string) (name string, content []byte, ok bool) {
	file, head, err := r.FormFile(field)
	if err == nil {
		defer file.Close()
		if content, err = io.ReadAll(file); err == nil {
			return head.Filename, content, true
		}
	}
	fail(w, http.StatusBadRequest, "invalid_request_error", "", "The upload could not be understood.")
	return "", nil, false
}

// transcribe answers POST /v1/audio/transcriptions and /v1/audio/translations. A stream reports tokens, all else seconds.
func transcribe(w http.ResponseWriter, r *http.Request) {
	if _, _, ok := upload(w, r, "file"); !ok {
		return
	}
	text := Text(DefaultWords)
	if r.FormValue("stream") != "true" {
		writeJSON(w, http.StatusOK, object{"text": text, "usage": object{"type": "duration", "seconds": audioSeconds}})
		return
	}
	w.Header()["Content-Type"] = streamType
	s := eventStream{w: w, flush: http.NewResponseController(w)}
	for n := range DefaultWords {
		s.sendData(object{"type": "transcript.text.delta", "delta": word(n)})
	}
	const audioTokens = 10 * audioSeconds
	s.sendData(object{"type": "transcript.text.done", "text": text, "usage": object{
		"type": "tokens", "input_tokens": audioTokens, "input_token_details": object{"text_tokens": 0, "audio_tokens": audioTokens},
		"output_tokens": DefaultWords, "total_tokens": audioTokens + DefaultWords,
	}})
}

// editPicture answers POST /v1/images/edits.
func editPicture(w http.ResponseWriter, r *http.Request) {
	if _, _, ok := upload(w, r, "image"); !ok {
		return
	}
	input := Words(r.FormValue("prompt")) + pictureTokens
	writeJSON(w, http.StatusOK, object{
		"created": created, "data": []any{object{"b64_json": base64.StdEncoding.EncodeToString([]byte("not really a picture"))}},
		"usage": object{
			"input_tokens": input, "input_tokens_details": object{"text_tokens": input - pictureTokens, "image_tokens": pictureTokens},
			"output_tokens": pictureTokens, "total_tokens": input + pictureTokens,
		},
	})
}
