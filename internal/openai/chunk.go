package openai

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/plumbline/plumbline/internal/core"
)

// errShape says that an answer is JSON, but not of the shape it should have.
var errShape = errors.New("openai: an answer of an unknown shape")

// document reads JSON documents of the provider's: whole answers and chunks of streams, which share their shape. It
// notes what matters and skips the rest. Reading is tolerant: what is not as expected is skipped.
type document struct {
	dec jsontext.Decoder
	buf bytes.Buffer

	id, model string
	created   int64
	usage     core.Usage
	hasUsage  bool
	choices   []choiceState
	out       *delivered

	// Of the document at hand:
	sawUsage  bool
	noChoices bool // choices is there and empty
}

// choiceState is one choice of the answer.
type choiceState struct {
	index    int64
	finished bool
}

const (
	maxNoted   = 128 // bytes of a name or id that are kept
	maxIndices = 128 // choices that are told apart
	maxFigure  = 1 << 40
)

// read takes one document. An error means that it could not be read to its end.
func (d *document) read(data []byte) error {
	d.sawUsage, d.noChoices = false, false
	d.buf = *bytes.NewBuffer(data)
	d.dec.Reset(&d.buf, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if d.dec.PeekKind() != '{' {
		return errShape
	}
	if err := d.object(d.member); err != nil {
		return err
	}
	if _, err := d.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return errShape
	}
	return nil
}

// object reads an object member by member, or skips another value. member must read the value.
func (d *document) object(member func(name []byte) error) error {
	if d.dec.PeekKind() != '{' {
		return d.dec.SkipValue()
	}
	if _, err := d.dec.ReadToken(); err != nil {
		return err
	}
	for d.dec.PeekKind() != '}' {
		v, err := d.dec.ReadValue()
		if err != nil {
			return err
		}
		if len(v) < 2 {
			return errShape
		}
		if err := member(v[1 : len(v)-1]); err != nil { // none of the names that matter has escapes
			return err
		}
	}
	_, err := d.dec.ReadToken()
	return err
}

// array reads an array element by element, or skips another value.
func (d *document) array(element func() error) (empty bool, err error) {
	if d.dec.PeekKind() != '[' {
		return false, d.dec.SkipValue()
	}
	if _, err := d.dec.ReadToken(); err != nil {
		return false, err
	}
	empty = true
	for d.dec.PeekKind() != ']' {
		empty = false
		if err := element(); err != nil {
			return false, err
		}
	}
	_, err = d.dec.ReadToken()
	return empty, err
}

// text reads a string as JSON; another value is skipped and gives nil.
func (d *document) text() ([]byte, error) {
	if d.dec.PeekKind() != '"' {
		return nil, d.dec.SkipValue()
	}
	return d.dec.ReadValue()
}

// note reads a short string that is kept. Over-long ones are not.
func (d *document) note(into *string) error {
	v, err := d.text()
	if err != nil || v == nil || len(v) > maxNoted {
		return err
	}
	if v = v[1 : len(v)-1]; string(v) != *into && bytes.IndexByte(v, '\\') < 0 {
		*into = string(v)
	}
	return nil
}

// integer reads a number that is not negative, rounded up and bounded; another value gives 0.
func (d *document) integer() (int64, error) {
	if d.dec.PeekKind() != '0' {
		return 0, d.dec.SkipValue()
	}
	v, err := d.dec.ReadValue()
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseFloat(string(v), 64)
	if err != nil && n == 0 {
		return 0, err
	}
	return int64(math.Ceil(min(max(n, 0), maxFigure))), nil
}

func (d *document) member(name []byte) error {
	switch string(name) {
	case "id":
		return d.note(&d.id)
	case "model":
		return d.note(&d.model)
	case "created":
		n, err := d.integer()
		d.created = n
		return err
	case "choices":
		empty, err := d.array(d.choice)
		d.noChoices = empty
		return err
	case "usage":
		if d.dec.PeekKind() != '{' {
			return d.dec.SkipValue()
		}
		d.usage, d.sawUsage, d.hasUsage = core.Usage{}, true, true
		return d.object(d.usageMember)
	}
	return d.dec.SkipValue()
}

func (d *document) usageMember(name []byte) (err error) {
	switch string(name) {
	case "prompt_tokens":
		d.usage.InputTokens, err = d.integer()
	case "completion_tokens":
		d.usage.OutputTokens, err = d.integer()
	case "prompt_tokens_details":
		return d.object(func(name []byte) (err error) {
			switch string(name) {
			case "cached_tokens":
				d.usage.CachedInputTokens, err = d.integer()
			case "audio_tokens":
				d.usage.AudioInputTokens, err = d.integer()
			default:
				err = d.dec.SkipValue()
			}
			return err
		})
	case "completion_tokens_details":
		return d.object(func(name []byte) (err error) {
			switch string(name) {
			case "reasoning_tokens":
				d.usage.ReasoningTokens, err = d.integer()
			case "audio_tokens":
				d.usage.AudioOutputTokens, err = d.integer()
			default:
				err = d.dec.SkipValue()
			}
			return err
		})
	default:
		err = d.dec.SkipValue()
	}
	return err
}

// choice reads one choice: its message when the answer is whole, its delta in a stream.
func (d *document) choice() error {
	index, finished := int64(0), false
	err := d.object(func(name []byte) error {
		switch string(name) {
		case "index":
			n, err := d.integer()
			index = n
			return err
		case "finish_reason":
			finished = d.dec.PeekKind() == '"'
			return d.dec.SkipValue()
		case "message", "delta":
			return d.object(func(name []byte) error { return d.said(index, name) })
		}
		return d.dec.SkipValue()
	})
	d.seen(index, finished)
	return err
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

// said reads a member of a message or a delta.
func (d *document) said(choice int64, name []byte) error {
	switch string(name) {
	case "content":
		return d.words(choice, 0, textContent)
	case "refusal":
		return d.words(choice, 0, textRefusal)
	case "reasoning", "reasoning_content":
		return d.words(choice, 0, textReasoning)
	case "tool_calls":
		position := int64(-1)
		_, err := d.array(func() error {
			position++
			return d.call(choice, position)
		})
		return err
	case "function_call":
		return d.called(choice, 0)
	case "audio":
		return d.object(func(name []byte) error {
			switch string(name) {
			case "transcript":
				return d.words(choice, 0, textTranscript)
			case "data":
				v, err := d.text()
				d.out.frame(int64(len(v)) / audioBytesPerToken)
				return err
			}
			return d.dec.SkipValue()
		})
	}
	return d.dec.SkipValue()
}

func (d *document) words(choice, index int64, kind textKind) error {
	v, err := d.text()
	if err == nil && len(v) > len(`""`) {
		d.out.quoted(choice, index, kind, v)
	}
	return err
}

// call reads one tool call. In a stream it says its index; in a whole answer its position is it.
func (d *document) call(choice, position int64) error {
	index := position
	return d.object(func(name []byte) error {
		switch string(name) {
		case "index":
			n, err := d.integer()
			index = n
			return err
		case "function", "custom":
			return d.called(choice, index)
		}
		return d.dec.SkipValue()
	})
}

func (d *document) called(choice, index int64) error {
	return d.object(func(name []byte) error {
		switch string(name) {
		case "name":
			d.out.frame(tokensPerCall)
			return d.words(choice, index, textCall)
		case "arguments", "input":
			return d.words(choice, index, textCall)
		}
		return d.dec.SkipValue()
	})
}
