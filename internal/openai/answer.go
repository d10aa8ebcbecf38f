package openai

import (
	"bytes"

	"github.com/plumbline/plumbline/internal/core"
)

const (
	// maxAnswer bounds an answer in JSON that is kept to be read at its end, in bytes. A longer one passes unread.
	maxAnswer = 16 << 20
	// maxEvent bounds an event whose end is awaited, in bytes. A longer one passes unread.
	maxEvent = 1 << 20
)

// AnswerOptions says what is known of an answer before its body.
type AnswerOptions struct {
	Request     *Request // nil for plain endpoints
	Status      int
	ContentType string
	// ContentEncoding is the answer's compression. An answer that ReplaceAnswer lets pass can be read.
	ContentEncoding string
	// StripUsage takes the usage chunk out of a stream: the client did not ask for it.
	StripUsage bool
	// FilterModels keeps a list of models to those it reports true for, nil keeps all.
	FilterModels func(model string) bool
}

// Answer reads one answer of the provider while it passes. It is for one goroutine. What it keeps is bounded. What it
// tells of a JSON answer it tells after the end, or as far as the answer came.
//
// Events of a stream pass whole: the part of an event whose end has not arrived is held back. It would be of no use to
// the client before, since the official SDKs parse whole events only, and so a cut always finds the stream between two
// events. Bytes are not changed by that, only where they are cut into pieces.
type Answer struct {
	o      AnswerOptions
	format format
	doc    document
	out    delivered
	kept   []byte // JSON: the answer so far; events: the event whose end has not arrived
	lost   bool   // too long: passes unread
	ended  bool   // the last byte was seen
	whole  bool   // JSON: read to its end; events: [DONE] was seen
	read   bool   // JSON: what was kept was read
	cut    bool

	split   splitter
	dropped bool // events: the last whole event was taken out
	endedCR bool // events: a piece that was given to be forwarded ended with a CR
	passed  int64
}

// format says how an answer is read.
type format int

const (
	formatJSON format = iota
	formatEvents
	formatModels // a list to be filtered
)

// NewAnswer starts to read an answer.
func NewAnswer(o AnswerOptions) *Answer {
	a := &Answer{o: o}
	switch {
	case isEventStream(o.ContentType):
		a.format = formatEvents
	case o.FilterModels != nil && o.Status < 300:
		a.format = formatModels
	}
	model := ""
	if o.Request != nil {
		model = o.Request.Model
	}
	a.out = delivered{count: func() counter { return counterOf(model) }, bounded: a.format != formatEvents}
	a.doc.out = &a.out
	return a
}

// Write takes one piece as it arrives and gives what to forward in its place; changed is false when that is the piece
// itself. end says that it is the last, and may be empty. After Cut nothing is forwarded, but the usage is still read.
func (a *Answer) Write(chunk []byte, end bool) (forward []byte, changed bool) {
	a.ended = a.ended || end
	switch a.format {
	case formatEvents:
		forward, changed = a.writeEvents(chunk, end)
	case formatModels:
		return a.writeModels(chunk, end)
	default:
		a.writeJSON(chunk, end)
		forward = chunk
	}
	if a.cut {
		return nil, true
	}
	if n := len(forward); n > 0 {
		a.passed += int64(n)
		a.endedCR = a.endedCR || forward[n-1] == '\r'
	}
	return forward, changed
}

// writeJSON keeps the answer, and reads it at its end.
func (a *Answer) writeJSON(chunk []byte, end bool) {
	switch {
	case a.lost || a.whole:
	case len(a.kept)+len(chunk) > maxAnswer:
		a.lost, a.kept = true, nil
	default:
		a.kept = append(a.kept, chunk...)
		a.read = a.read && len(chunk) == 0
	}
	if end {
		a.readJSON()
	}
}

// readJSON reads what was kept, unless it did. The text of an answer that breaks off counts as far as it goes.
func (a *Answer) readJSON() {
	if a.read || a.format != formatJSON || a.lost {
		return
	}
	a.read = true
	a.out.reset()
	body, ok := a.kept, true
	if encoded(a.o.ContentEncoding) {
		body, ok = decoded(a.o.ContentEncoding, a.kept)
	}
	if err := a.doc.read(body); err != nil {
		a.out.raw(body[a.doc.dec.InputOffset():])
		return
	}
	if a.whole = ok; ok {
		a.kept = nil
	}
}

// writeEvents reads the events that are whole, and holds the rest back.
func (a *Answer) writeEvents(chunk []byte, end bool) (forward []byte, changed bool) {
	if a.lost {
		a.out.frame(int64(len(chunk)))
		return chunk, false
	}
	in, from := chunk, 0
	held := len(a.kept) > 0
	if held {
		from = len(a.kept)
		a.kept = append(a.kept, chunk...)
		in = a.kept
	}
	var out []byte // of what has to be put together
	start, done := 0, 0
	if !held && a.split.lf(in) { // the LF of the last event goes where the event went
		start = 1
		if a.dropped {
			done, changed = 1, true
		}
	}
	for at := max(start, from); ; at = start {
		n := a.split.next(in[at:])
		if n < 0 {
			break
		}
		event := in[start : at+n]
		if a.dropped = a.event(event); a.dropped {
			out = append(out, in[done:start]...)
			done, changed = at+n, true
		}
		start = at + n
	}
	switch rest := in[start:]; {
	case end && len(rest) > 0: // no empty line after the last event
		if a.event(rest) {
			out = append(out, in[done:start]...)
			done, changed = len(in), true
		}
		start = len(in)
	case len(rest) > maxEvent:
		a.lost = true
		a.out.frame(int64(len(rest)))
		start = len(in)
	}
	rest := in[start:]
	if !held && !changed && len(rest) == 0 {
		return chunk, false
	}
	out = append(out, in[done:max(start, done)]...)
	if held {
		a.kept = append(a.kept[:0], rest...)
	} else {
		a.kept = append([]byte(nil), rest...)
	}
	return out, true
}

// event reads one event, and reports whether it is to be taken out.
func (a *Answer) event(event []byte) (drop bool) {
	if a.passed == 0 {
		event = bytes.TrimPrefix(event, []byte("\xef\xbb\xbf"))
	}
	data := eventData(event)
	switch {
	case len(data) == 0:
		return false
	case bytes.HasPrefix(data, []byte("[DONE]")):
		a.whole = true
		return false
	}
	if err := a.doc.read(data); err != nil {
		a.out.raw(data)
		return false
	}
	return a.o.StripUsage && a.doc.sawUsage && a.doc.noChoices
}

// Usage is what the provider reported, the last of it. It is false when there was no report.
func (a *Answer) Usage() (core.Usage, bool) {
	a.readJSON()
	return a.doc.usage, a.doc.hasUsage
}

// ServedModel is the model that the provider named, empty if it named none.
func (a *Answer) ServedModel() string {
	a.readJSON()
	return a.doc.model
}

// Complete reports whether the answer says of itself that it is whole: a stream by [DONE], JSON by its end.
func (a *Answer) Complete() bool {
	if a.lost {
		return a.ended
	}
	a.readJSON()
	return a.whole
}

// DeliveredBound is an upper bound on the tokens of the output so far, without a tokenizer.
func (a *Answer) DeliveredBound() int64 {
	if a.format == formatJSON && !a.read {
		return max(a.passed, int64(len(a.kept)))
	}
	return a.out.bound
}

// CountDelivered counts the tokens of the output so far, with the model's tokenizer. Nothing is counted twice: calls
// cost what arrived since the last one. Of an answer that passed unread it gives the bound.
func (a *Answer) CountDelivered() int64 {
	if a.format == formatJSON && a.lost {
		return a.passed
	}
	a.readJSON()
	return a.out.tokens()
}
