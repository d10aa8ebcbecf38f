package openai

import "bytes"

// fields are the members of an event that matter, in whatever order they came, as parts of the event. A member that is
// not there is nil.
type fields struct {
	kind                     []byte // "type", without its quotes
	delta, whole             []byte // a piece of a text, and the text as a whole
	item, part, response     []byte
	output, content, summary int64
}

// eventFields reads the members of an event of a response.
func (d *document) eventFields() (f fields) {
	d.open('{')
	for d.more('}') {
		switch string(d.name()) {
		case "type":
			if v := d.text(); v != nil {
				f.kind = v[1 : len(v)-1]
			}
		case "sequence_number":
			d.sequence = d.integer()
		case "delta":
			f.delta = d.text()
		case "text", "refusal", "arguments", "input", "code", "transcript":
			if v := d.text(); v != nil {
				f.whole = v
			}
		case "item":
			f.item = d.value()
		case "part":
			f.part = d.value()
		case "response":
			f.response = d.value()
		case "output_index":
			f.output = d.integer()
		case "content_index":
			f.content = d.integer()
		case "summary_index":
			f.summary = d.integer()
		default:
			d.value()
		}
	}
	return f
}

// responseEvent reads one event of the stream of a response. Text comes as deltas and then, up to four times, as a whole:
// in the event that ends it, in its part, in its item and in the response. Each whole adds only what the ones before it
// did not bring, which is nothing as a rule.
func (d *document) responseEvent() {
	f := d.eventFields()
	if d.bad {
		return
	}
	if f.response != nil {
		around := d.scanner
		d.scanner = scanner{b: f.response}
		d.object()
		d.scanner = around
	}
	if f.item != nil {
		d.item(&scanner{b: f.item}, f.output)
	}
	if f.part != nil {
		d.part(&scanner{b: f.part}, f.output, f.content+f.summary)
	}
	kind, index := textOf(f.kind), f.content+f.summary // an event has one of them
	switch {
	case kind == textSound:
		d.out.speech(f.delta, d.soundBytes)
	case f.delta != nil:
		d.words(f.output, index, kind, f.delta)
	case f.whole != nil:
		d.restOf(f.output, index, kind, f.whole)
	}
	switch string(f.kind) {
	case "response.completed", "response.incomplete", "response.failed":
		d.final = true
	}
}

// textOf tells from the type of an event what its text is.
func textOf(kind []byte) textKind {
	name := bytes.TrimPrefix(kind, []byte("response."))
	name = bytes.TrimSuffix(bytes.TrimSuffix(name, []byte(".delta")), []byte(".done"))
	switch string(name) {
	case "refusal":
		return textRefusal
	case "reasoning_text":
		return textReasoning
	case "reasoning_summary_text":
		return textSummary
	case "function_call_arguments", "mcp_call_arguments", "custom_tool_call_input", "code_interpreter_call_code":
		return textCall
	case "audio":
		return textSound
	case "audio.transcript":
		return textTranscript
	}
	return textContent
}

// outputList reads the items of a response.
func (d *document) outputList() {
	if !d.open('[') {
		return
	}
	for position := int64(0); d.more(']'); position++ {
		d.item(&d.scanner, position)
	}
}

// item reads one item of the output: a message, reasoning or a call.
func (d *document) item(s *scanner, output int64) {
	if !s.open('{') {
		return
	}
	for s.more('}') {
		switch string(s.name()) {
		case "content", "summary":
			d.parts(s, output)
		case "name":
			if v := s.text(); v != nil && d.out.rest(output, 0, textName, v) {
				d.out.frame(tokensPerCall)
			}
		case "arguments", "input", "code":
			d.restOf(output, 0, textCall, s.text())
		default:
			s.value()
		}
	}
}

// parts reads the contents of a message, or the summary of a reasoning.
func (d *document) parts(s *scanner, output int64) {
	if !s.open('[') {
		return
	}
	for position := int64(0); s.more(']'); position++ {
		d.part(s, output, position)
	}
}

// part reads one part of an item.
func (d *document) part(s *scanner, output, index int64) {
	if !s.open('{') {
		return
	}
	kind, text := textContent, []byte(nil)
	for s.more('}') {
		switch string(s.name()) {
		case "type":
			switch string(bytes.Trim(s.text(), `"`)) {
			case "reasoning_text":
				kind = textReasoning
			case "summary_text":
				kind = textSummary
			}
		case "text":
			text = s.text()
		case "refusal":
			d.restOf(output, index, textRefusal, s.text())
		case "transcript":
			d.restOf(output, index, textTranscript, s.text())
		default:
			s.value()
		}
	}
	d.restOf(output, index, kind, text)
}
