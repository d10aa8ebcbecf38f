package openai

import (
	"net/http"

	"github.com/plumbline/plumbline/internal/core"
)

const (
	// maxAnswer bounds an answer in JSON that is kept to be read at its end, in bytes, without its pictures and vectors.
	// A longer one passes unread.
	maxAnswer = 16 << 20
	// maxEvent bounds an event whose end is awaited, in bytes, and maxLargeEvent one that may hold a picture. Longer ones
	// pass unread.
	maxEvent      = 1 << 20
	maxLargeEvent = 16 << 20
	// maxTailText is how much of a transcript in plain text is kept, for the time in it, in bytes.
	maxTailText = 4 << 10
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
	// Filter keeps a list to the elements whose ids it reports true for. Nil: the answer is none that is filtered.
	Filter func(id string) bool
	// Unread has the answer pass as it is: there is nothing in it to be learnt or changed.
	Unread bool
	// Keep is how many bytes of each text of the answer are kept for Kept, 0 for none.
	Keep int
	// Terms are what was asked for. They hold where the answer does not say on which it was served.
	Terms Terms
}

// Answer reads one answer of the provider while it passes: JSON, an event stream, plain text or sound, of any governed
// endpoint. It is for one goroutine. What it keeps is bounded. What it tells of a JSON answer it tells after the end, or
// as far as the answer came.
//
// Events of a stream pass whole: the part of an event whose end has not arrived is held back. It would be of no use to
// the client before, since the official SDKs parse whole events only, and so a cut always finds the stream between two
// events. Bytes are not changed by that, only where they are cut into pieces.
//
// A compressed answer is read beside the bytes that pass. Where bytes may have to be changed, in a stream and in a list
// that is filtered, it passes without its compression instead: see Decodes.
type Answer struct {
	o      AnswerOptions
	format format
	doc    document
	out    delivered
	stream stream
	kept   []byte // JSON: the answer so far; text: the end of it
	lost   bool   // JSON: too long to be read
	broken bool   // could not be decompressed: what follows passes unread, or not at all
	ended  bool   // the last byte was seen
	whole  bool   // JSON: read to its end; events: [DONE] was seen, or an event that is the last
	read   bool   // JSON: what was kept was read
	cut    bool
	passed int64

	prune   *pruner   // takes out of JSON what is large and says nothing
	inflate *inflater // nil without compression
	plain   []byte    // what was forwarded of a piece without its compression
}

// format says how an answer is read.
type format int

const (
	formatJSON format = iota
	formatEvents
	formatList // a list to be filtered
	formatUnread
	formatText // a transcript in plain text, SRT or WebVTT
	formatSound
)

// NewAnswer starts to read an answer. Close ends it.
func NewAnswer(o AnswerOptions) *Answer {
	a := &Answer{o: o, doc: document{kind: kindOf(o.Request), soundBytes: speechBytesPerToken(o.Request)}}
	switch {
	case o.Filter != nil && o.Status < http.StatusMultipleChoices:
		a.format = formatList // whatever the answer says that it is: what is not filtered does not pass
	case o.Unread:
		a.format = formatUnread
	case isEventStream(o.ContentType):
		a.format = formatEvents
	case a.doc.kind == kindTranscript && !isJSON(o.ContentType):
		a.format = formatText
	case a.doc.kind == kindSpeech && !isJSON(o.ContentType):
		a.format = formatSound
	}
	if a.format == formatJSON && (a.doc.kind == kindImage || a.doc.kind == kindOther) {
		a.prune = &pruner{}
	}
	if encoded(o.ContentEncoding) && a.format != formatUnread {
		a.inflate = newInflater(o.ContentEncoding, a.format == formatEvents)
		a.lost = a.inflate == nil && a.format == formatJSON
	}
	model := ""
	if o.Request != nil {
		model = o.Request.Model
	}
	a.out = delivered{count: func() counter { return counterOf(model) }, bounded: a.format == formatJSON, keep: o.Keep}
	a.doc.out = &a.out
	a.stream = stream{answer: a, most: maxEvent}
	if a.doc.kind == kindImage || a.doc.kind == kindResponse {
		a.stream.most = maxLargeEvent
	}
	return a
}

// Close lets go of what reading an answer took. The Answer still tells what it has read. Closing twice does nothing.
func (a *Answer) Close() {
	if a.inflate != nil {
		a.inflate.close()
	}
}

// Decodes reports whether what Write forwards has no compression any more, so that the answer's content-encoding does
// not hold for it.
func (a *Answer) Decodes() bool {
	return a.inflate != nil && (a.format == formatEvents || a.format == formatList)
}

// Write takes one piece as it arrives and gives what to forward in its place, which is valid until the next call;
// changed is false when that is the piece itself. end says that it is the last, and may be empty. After Cut nothing is
// forwarded, but the usage is still read.
func (a *Answer) Write(chunk []byte, end bool) (forward []byte, changed bool) {
	a.ended = a.ended || end
	switch {
	case a.Decodes():
		forward, changed = a.writeInflated(chunk, end), true
	case a.inflate != nil:
		a.broken = a.broken || !a.inflate.write(chunk, end, func(plain []byte) { a.take(plain, false) })
		a.take(nil, end)
		forward = chunk
	default:
		forward, changed = a.take(chunk, end)
	}
	if a.cut {
		return nil, true
	}
	a.passed += int64(len(forward))
	a.stream.sent(forward)
	return forward, changed
}

// writeInflated forwards without compression. What cannot be decompressed ends the stream: nothing of it could follow.
func (a *Answer) writeInflated(chunk []byte, end bool) []byte {
	a.plain = a.plain[:0]
	collect := func(plain []byte) {
		forward, _ := a.take(plain, false)
		a.plain = append(a.plain, forward...)
	}
	a.broken = a.broken || !a.inflate.write(chunk, end, collect)
	if end {
		forward, _ := a.take(nil, true)
		a.plain = append(a.plain, forward...)
	}
	return a.plain
}

// take reads a piece that has no compression.
func (a *Answer) take(chunk []byte, end bool) (forward []byte, changed bool) {
	switch a.format {
	case formatEvents:
		return a.stream.write(chunk, end)
	case formatList:
		return a.writeList(chunk, end)
	case formatText:
		a.out.plain(textContent, chunk)
		if a.kept = append(a.kept, chunk...); len(a.kept) > 2*maxTailText {
			a.kept = append(a.kept[:0], a.kept[len(a.kept)-maxTailText:]...)
		}
	case formatSound, formatUnread:
	default:
		a.writeJSON(chunk, end)
	}
	return chunk, false
}

// writeJSON keeps the answer, and reads it at its end.
func (a *Answer) writeJSON(chunk []byte, end bool) {
	switch {
	case a.lost || a.whole:
	case len(a.kept)+len(chunk) > maxAnswer && a.prune == nil:
		a.lost, a.kept = true, nil
	default:
		if a.prune != nil {
			a.kept = a.prune.append(a.kept, chunk)
		} else {
			a.kept = append(a.kept, chunk...)
		}
		a.read = a.read && len(chunk) == 0
		if len(a.kept) > maxAnswer {
			a.lost, a.kept = true, nil
		}
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
	a.doc.hasUsage, a.doc.spoilt, a.doc.usage = false, false, core.Usage{}
	if err := a.doc.whole(a.kept); err != nil {
		a.out.raw(a.kept[min(a.doc.at, len(a.kept)):])
	} else if a.whole = a.inflate == nil || a.inflate.ended; a.whole {
		a.kept = nil
	}
	if a.doc.kind == kindImage {
		a.doc.images = a.prune.elements
		a.out.frame(a.doc.images * a.doc.picture.tokens())
	}
}

// Usage is what the provider reported, the last of it, with what can be counted for certain beside it: pictures, and the
// characters that were spoken. It is false when there was no report, or one that cannot be.
func (a *Answer) Usage() (core.Usage, bool) {
	a.readJSON()
	u, ok := a.doc.reported()
	if ok && a.doc.kind == kindSpeech {
		u.Characters = characters(a.o.Request)
	}
	return u, ok
}

// Counted is what was used as far as Plumbline itself can count it, for an answer without a report: the request's input,
// the output that was delivered, and what is not counted in tokens. It takes as long as CountInput and CountDelivered.
func (a *Answer) Counted() core.Usage {
	u := core.Usage{OutputTokens: a.CountDelivered(), Images: a.doc.images, AudioMillis: a.countedAudio(), Estimated: true}
	switch a.doc.kind {
	case kindSpeech:
		u.AudioOutputTokens = u.OutputTokens
	case kindImage:
		u.ImageOutputTokens = u.OutputTokens
	default:
		u.AudioOutputTokens = min(a.out.spoken, u.OutputTokens)
	}
	if a.o.Request != nil {
		u.InputTokens = a.o.Request.CountInput()
		if a.doc.kind == kindSpeech {
			u.Characters = characters(a.o.Request)
		}
	}
	return u
}

// ServedModel is the model that the provider named, empty if it named none.
func (a *Answer) ServedModel() string {
	a.readJSON()
	return a.doc.model
}

// ServedTerms are the terms on which the provider served the request.
func (a *Answer) ServedTerms() Terms {
	a.readJSON()
	t := a.o.Terms
	if a.doc.tier != "" {
		t.Tier = a.doc.tier
	}
	if p := a.doc.picture; p.size != "" && p.quality != "" {
		t.Image = p.size + "/" + p.quality
	}
	return t
}

// ObjectID is the id of the object that the answer is, empty if it said none: of a response or a chat, which the provider
// may keep, or of a file. At a provider account that callers share, it belongs to the one who made it.
func (a *Answer) ObjectID() string {
	a.readJSON()
	return a.doc.id
}

// Complete reports whether the answer says of itself that it is whole: a stream by [DONE] or its last event, JSON by its
// end, what has no end of its own by the last byte.
func (a *Answer) Complete() bool {
	switch a.format {
	case formatText, formatSound, formatUnread:
		return a.ended && (a.inflate == nil || a.inflate.ended)
	case formatEvents:
		return a.whole || a.doc.final
	default:
		if a.lost {
			return a.ended
		}
		a.readJSON()
		return a.whole
	}
}

// DeliveredBound is an upper bound on the tokens of the output so far, without a tokenizer.
func (a *Answer) DeliveredBound() int64 {
	switch {
	case a.format == formatSound:
		return a.sound()
	case a.format == formatJSON && !a.read:
		return max(a.passed, int64(len(a.kept)))
	}
	return a.out.bound
}

// CountDelivered counts the tokens of the output so far, with the model's tokenizer. Nothing is counted twice: calls
// cost what arrived since the last one. Of an answer that passed unread it gives the bound.
func (a *Answer) CountDelivered() int64 {
	switch {
	case a.format == formatSound:
		return a.sound()
	case a.format == formatJSON && a.lost:
		return a.passed
	}
	a.readJSON()
	return a.out.tokens()
}

// sound is how many tokens the sound that passed can have had at most.
func (a *Answer) sound() int64 {
	per := soundBytesPerToken(a.o.ContentType)
	return (a.passed + per - 1) / per
}
