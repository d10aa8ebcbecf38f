package openai

import (
	"bytes"
	"errors"

	"github.com/plumbline/plumbline/internal/core"
)

// errShape says that an answer is not JSON, or not an object.
var errShape = errors.New("openai: an answer of an unknown shape")

// kind says what an answer is about: how its JSON and its events are read, and how a stream of it ends.
type kind int

const (
	kindChat       kind = iota // chat.completions
	kindCompletion             // completions
	kindResponse               // responses
	kindImage                  // images.*
	kindSpeech                 // audio.speech
	kindTranscript             // audio.transcriptions, audio.translations
	kindOther                  // embeddings, moderations, objects: usage and id
)

// kindOf tells what the answer to a request is about.
func kindOf(r *Request) kind {
	if r == nil {
		return kindOther
	}
	switch r.Endpoint {
	case "", "chat.completions":
		return kindChat
	case "completions":
		return kindCompletion
	case "responses":
		return kindResponse
	case "images.generations", "images.edits", "images.variations":
		return kindImage
	case "audio.speech":
		return kindSpeech
	case "audio.transcriptions", "audio.translations":
		return kindTranscript
	}
	return kindOther
}

// document reads JSON documents of the provider's: whole answers and events. It notes what matters and skips the rest.
// Reading is tolerant: what is not as expected is skipped.
type document struct {
	scanner
	kind kind
	out  *delivered
	// soundBytes is how many bytes of speech in base64 stand for a token at least.
	soundBytes int64

	id, model, tier string
	created         int64
	usage           core.Usage
	hasUsage        bool
	spoilt          bool // a report of usage that is part of the whole was none
	choices         []choiceState
	duration        int64 // of audio, in milliseconds, as the answer itself says beside its usage
	images          int64 // pictures that were finished
	picture         picture
	sequence        int64 // the last sequence_number
	deltas          bool  // a transcript came word by word
	final           bool  // an event said that it is the last

	// Of the document at hand:
	sawUsage  bool
	noChoices bool // choices is there and empty
}

// picture is what a picture's price depends on.
type picture struct{ size, quality string }

// choiceState is one choice of the answer.
type choiceState struct {
	index    int64
	finished bool
}

const (
	maxNoted   = 128 // bytes of a name or id that are kept
	maxIndices = 128 // choices that are told apart
)

// whole reads an answer that is one document. An error means that it could not be read to its end; at says how far it was.
func (d *document) whole(data []byte) error {
	if err := d.begin(data); err != nil {
		return err
	}
	d.object()
	return d.finish()
}

// event reads the data of one event of a stream.
func (d *document) event(data []byte) error {
	if err := d.begin(data); err != nil {
		return err
	}
	switch d.kind {
	case kindResponse:
		d.responseEvent()
	case kindImage, kindSpeech, kindTranscript:
		d.mediaEvent()
	default:
		d.object()
	}
	return d.finish()
}

func (d *document) begin(data []byte) error {
	d.sawUsage, d.noChoices = false, false
	d.scanner = scanner{b: data}
	if d.peek() != '{' {
		return errShape
	}
	return nil
}

func (d *document) finish() error {
	if !d.bad && d.peek() != 0 {
		d.bad = true
	}
	if d.bad {
		return errShape
	}
	d.b = nil
	return nil
}

// object reads a whole answer, or a chunk of a chat, which shares its shape.
func (d *document) object() {
	if !d.open('{') {
		return
	}
	for d.more('}') {
		switch name := d.name(); string(name) {
		case "id":
			d.note(&d.id)
		case "model":
			d.note(&d.model)
		case "service_tier":
			d.note(&d.tier)
		case "created", "created_at":
			d.created = d.integer()
		case "choices":
			d.noChoices = d.choiceList()
		case "usage":
			d.readUsage()
		default:
			d.member(name)
		}
	}
}

// member reads what only one kind of answer has.
func (d *document) member(name []byte) {
	switch {
	case d.kind == kindResponse && string(name) == "output":
		d.outputList()
	case d.kind == kindTranscript && string(name) == "text":
		d.restOf(0, 0, textContent, d.text())
	case d.kind == kindTranscript && string(name) == "duration":
		d.duration, _ = millis(d.value())
	case d.kind == kindImage && string(name) == "size":
		d.note(&d.picture.size)
	case d.kind == kindImage && string(name) == "quality":
		d.note(&d.picture.quality)
	default:
		d.value()
	}
}

// note reads a short string that is kept. Over-long ones are not.
func (d *document) note(into *string) {
	v := d.text()
	if v == nil || len(v) > maxNoted {
		return
	}
	if v = v[1 : len(v)-1]; string(v) != *into && bytes.IndexByte(v, '\\') < 0 {
		*into = string(v)
	}
}

func (d *document) choiceList() (empty bool) {
	if !d.open('[') {
		return false
	}
	empty = true
	for d.more(']') {
		empty = false
		d.choice()
	}
	return empty
}

// choice reads one choice: its message when the answer is whole, its delta in a stream, its text in a completion.
func (d *document) choice() {
	if !d.open('{') {
		return
	}
	index, indexed, finished := int64(0), false, false
	var message, text []byte // seen before the index
	for d.more('}') {
		switch string(d.name()) {
		case "index":
			index, indexed = d.integer(), true
		case "finish_reason":
			finished = d.peek() == '"'
			d.value()
		case "message", "delta":
			start := d.at
			if !indexed {
				message = d.value()
			}
			if indexed || d.bad { // as far as it came
				d.at, d.bad = start, false
				d.message(&d.scanner, index)
			}
		case "text":
			text = d.text()
		default:
			d.value()
		}
	}
	if message != nil {
		d.message(&scanner{b: message}, index)
	}
	d.words(index, 0, textContent, text)
	d.seen(index, finished)
}

// seen notes that a choice is there, and whether it is at its end.
func (d *document) seen(index int64, finished bool) {
	for i := range d.choices {
		if d.choices[i].index == index {
			d.choices[i].finished = d.choices[i].finished || finished
			return
		}
	}
	if len(d.choices) < maxIndices {
		d.choices = append(d.choices, choiceState{index, finished})
	}
}

// message reads a message or a delta of a chat.
func (d *document) message(s *scanner, choice int64) {
	if !s.open('{') {
		return
	}
	for s.more('}') {
		switch string(s.name()) {
		case "content":
			d.words(choice, 0, textContent, s.text())
		case "refusal":
			d.words(choice, 0, textRefusal, s.text())
		case "reasoning", "reasoning_content":
			d.words(choice, 0, textReasoning, s.text())
		case "tool_calls":
			if s.open('[') {
				for position := int64(0); s.more(']'); position++ {
					d.call(s, choice, position)
				}
			}
		case "function_call":
			d.called(s, choice, 0)
		case "audio":
			d.audio(s, choice)
		default:
			s.value()
		}
	}
}

func (d *document) audio(s *scanner, choice int64) {
	if !s.open('{') {
		return
	}
	for s.more('}') {
		switch string(s.name()) {
		case "transcript":
			d.words(choice, 0, textTranscript, s.text())
		case "data":
			d.out.speech(s.text(), d.soundBytes)
		default:
			s.value()
		}
	}
}

// call reads one tool call. In a stream it says its index, first; in a whole answer its position is it.
func (d *document) call(s *scanner, choice, index int64) {
	if !s.open('{') {
		return
	}
	for s.more('}') {
		switch string(s.name()) {
		case "index":
			index = s.integer()
		case "function", "custom":
			d.called(s, choice, index)
		default:
			s.value()
		}
	}
}

func (d *document) called(s *scanner, choice, index int64) {
	if !s.open('{') {
		return
	}
	for s.more('}') {
		switch string(s.name()) {
		case "name":
			d.out.frame(tokensPerCall)
			d.words(choice, index, textCall, s.text())
		case "arguments", "input":
			d.words(choice, index, textCall, s.text())
		default:
			s.value()
		}
	}
}

// words adds a piece of a text, as JSON.
func (d *document) words(choice, index int64, kind textKind, v []byte) {
	if len(v) > len(`""`) {
		d.out.quoted(choice, index, kind, v)
	}
}

// restOf adds what the pieces of a text did not bring, now that it is there as a whole.
func (d *document) restOf(choice, index int64, kind textKind, v []byte) {
	if len(v) > len(`""`) {
		d.out.rest(choice, index, kind, v)
	}
}
