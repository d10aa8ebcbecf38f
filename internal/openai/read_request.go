package openai

import (
	"fmt"

	"github.com/plumbline/plumbline/internal/core"
)

// Read reads the body of a request to a governed endpoint, or to an owned one that takes JSON. Every member of the public API is known; one that is not, or
// that asks for what cannot be judged, priced or allowed, is refused with unsupported_parameter. A body that is not strict
// JSON of the right types is refused with invalid_body and the byte offset.
//
// contentType is one that CheckContent takes. Body is not kept.
func Read(endpoint Endpoint, contentType string, body []byte, allow Allowance) (*Request, *core.Error) {
	owned := endpoint.Class == ClassOwned
	switch {
	case len(body) == 0 && owned:
		contentType, body = "application/json", []byte("{}") // as the provider takes it
	case len(body) == 0:
		return nil, &core.Error{Reason: core.ReasonInvalidBody, Public: "The request body is empty. Send one."}
	}
	d := &draft{req: &Request{Endpoint: endpoint.Name, Choices: 1}, allow: &allow}
	d.req.Prompt.Parts = make([]core.Part, 0, 8)
	if e := d.read(endpoint, contentType, body); e != nil {
		return nil, e
	}
	if d.req.Model == "" && !owned {
		return nil, missing("model")
	}
	if text := len(body) - d.media; text > maxJSONBody {
		return nil, &core.Error{
			Reason: core.ReasonBodyTooLarge,
			Public: fmt.Sprintf("The request body holds more than %d bytes beside its images, audio and files. Send less.", maxJSONBody),
		}
	}
	return d.req, nil
}

// read reads a body by its endpoint.
func (d *draft) read(endpoint Endpoint, contentType string, body []byte) *core.Error {
	switch endpoint.Name {
	case "audio.transcriptions":
		return d.readForm(contentType, body, transcriptionFields, "model", "file")
	case "audio.translations":
		return d.readForm(contentType, body, translationFields, "model", "file")
	case "images.edits":
		return d.readForm(contentType, body, imageEditFields, "model", "prompt", "image")
	}
	if !isJSON(contentType) {
		return notJSON()
	}
	d.reader = borrowReader(body)
	defer d.giveBack()
	switch endpoint.Name {
	case "chat.completions":
		return (&chat{draft: d}).read()
	case "responses":
		return (&responses{draft: d}).read()
	case "completions":
		return (&completions{draft: d}).read()
	case "embeddings":
		return (&embeddings{draft: d}).read()
	case "moderations":
		return (&moderations{draft: d}).read()
	case "images.generations":
		return (&pictures{draft: d}).read()
	case "audio.speech":
		return (&speech{draft: d}).read()
	case "conversations.create", "conversations.update", "conversations.items.create":
		return (&conversation{responses: responses{draft: d}}).read()
	}
	if members := storeBodies[endpoint.Name]; members != nil {
		return (&storeBody{draft: d}).read(members)
	}
	return notAllowed("Bodies of this endpoint are not read.")
}
