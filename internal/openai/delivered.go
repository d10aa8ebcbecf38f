package openai

import (
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/plumbline/plumbline/internal/core"
)

const (
	// maxRuns bounds the texts of one answer that are counted apart (choices, tool calls).
	maxRuns = 256
	// maxPending bounds the text that waits to be counted. Longer answers are counted as they go.
	maxPending = 256 << 10
	// maxRaw bounds what cannot be read and is counted nevertheless. More of it counts by its bytes.
	maxRaw = 64 << 10
	// maxTail bounds the end of a text that is counted again when more of it arrives.
	maxTail = 256
	// maxKept bounds the texts of one answer whose beginning is kept.
	maxKept = 16
)

// delivered keeps account of the output that went to the client, as tokens.
type delivered struct {
	count   func() counter
	bound   int64 // upper bound: bytes of text and framing
	extra   int64 // tokens that are not text
	heard   int64 // bytes of speech, in base64
	spoken  int64 // tokens of extra that are speech
	counted int64 // tokens of text that was counted and let go
	pending int
	runs    []run
	closed  bool // what comes now reaches nobody
	bounded bool // the text comes from something that is bounded itself: it may wait until it is asked for
	keep    int  // how many bytes of each run are kept
	omitted int  // bytes of text that were not
}

// run is one text: content, a refusal, the arguments of one tool call. Texts of an answer come interleaved, and tokens
// do not cross from one to the other.
type run struct {
	choice, index int64
	kind          textKind
	text          []byte // not counted yet
	brought       int    // the length of all that came of it
	kept          []byte // the beginning of all that came of it
}

type textKind int

const (
	textContent textKind = iota
	textRefusal
	textReasoning
	textSummary // of a reasoning
	textCall
	textName // of a call
	textTranscript
	textRaw   // what could not be read
	textSound // no text: audio as base64
)

// reset forgets what was delivered, to count it anew.
func (d *delivered) reset() {
	*d = delivered{count: d.count, closed: d.closed, bounded: d.bounded, keep: d.keep}
}

// frame adds tokens that are not text.
func (d *delivered) frame(tokens int64) {
	if d.closed {
		return
	}
	d.bound += tokens
	d.extra += tokens
}

// speech adds a JSON string of speech in base64, of which a token has so many bytes at least.
func (d *delivered) speech(v []byte, perToken int64) {
	if d.closed || len(v) < len(`""`) {
		return
	}
	d.heard += int64(len(v) - len(`""`))
	more := (d.heard+perToken-1)/perToken - d.spoken // the pieces are smaller than a token's: only their sum is rounded
	d.spoken += more
	d.frame(more)
}

// quoted adds the text of a JSON string that was already checked.
func (d *delivered) quoted(choice, index int64, kind textKind, v []byte) {
	if d.closed {
		return
	}
	r := d.run(choice, index, kind)
	before := len(r.text)
	r.unquote(v)
	d.grew(r, before)
}

// rest adds what is not yet there of a text, given the JSON string that holds the whole of it, and reports whether there
// was anything.
func (d *delivered) rest(choice, index int64, kind textKind, v []byte) bool {
	if d.closed {
		return false
	}
	r := d.run(choice, index, kind)
	if len(v)-len(`""`) <= r.brought { // escapes only make it longer
		return false
	}
	before := len(r.text)
	r.unquote(v)
	unseen := len(r.text) - before - r.brought
	if unseen <= 0 {
		r.text = r.text[:before]
		return false
	}
	r.text = append(r.text[:before], r.text[before+r.brought:]...)
	d.grew(r, before)
	return true
}

// unquote appends the text of a JSON string; of one that is none, its bytes.
func (r *run) unquote(v []byte) {
	before := len(r.text)
	var err error
	if r.text, err = jsontext.AppendUnquote(r.text, v); err != nil {
		r.text = append(r.text[:before], v[1:len(v)-1]...)
	}
}

// raw adds bytes that could not be read.
func (d *delivered) raw(b []byte) {
	if len(b) > maxRaw {
		d.frame(int64(len(b)))
		return
	}
	d.plain(textRaw, b)
}

// plain adds bytes as they are.
func (d *delivered) plain(kind textKind, b []byte) {
	if d.closed {
		return
	}
	r := d.run(0, 0, kind)
	before := len(r.text)
	r.text = append(r.text, b...)
	d.grew(r, before)
}

func (d *delivered) grew(r *run, before int) {
	n := len(r.text) - before
	r.brought += n
	d.keepOf(r, r.text[before:])
	d.bound += int64(n)
	if d.pending += n; d.pending > maxPending && !d.bounded {
		for i := range d.runs {
			d.settle(&d.runs[i])
		}
	}
}

// keepOf keeps the beginning of a run, if that is asked for.
func (d *delivered) keepOf(r *run, text []byte) {
	if d.keep == 0 {
		return
	}
	room := max(0, min(len(text), d.keep-len(r.kept)))
	if len(d.runs) > maxKept && r.kept == nil || r.kind == textSound {
		room = 0
	}
	r.kept = append(r.kept, text[:room]...)
	d.omitted += len(text) - room
}

// part is what a text is as part of an answer.
func (k textKind) part() core.Kind {
	switch k {
	case textCall:
		return core.KindCall
	case textName:
		return core.KindName
	default:
		return core.KindText
	}
}

// Kept gives the beginning of each text of the answer, as far as it reached the client, and how many bytes of text are
// not in it.
func (a *Answer) Kept() (parts []core.Part, omitted int) {
	a.readJSON()
	for i := range a.out.runs {
		if r := &a.out.runs[i]; len(r.kept) > 0 {
			parts = append(parts, core.Part{Role: core.RoleAssistant, Kind: r.kind.part(), Turn: int(r.choice), Text: strings.ToValidUTF8(string(r.kept), "\uFFFD")})
		}
	}
	return parts, a.out.omitted
}

func (d *delivered) run(choice, index int64, kind textKind) *run {
	for i := range d.runs {
		if r := &d.runs[i]; r.choice == choice && r.index == index && r.kind == kind {
			return r
		}
	}
	if len(d.runs) == maxRuns {
		return &d.runs[maxRuns-1]
	}
	d.runs = append(d.runs, run{choice: choice, index: index, kind: kind})
	return &d.runs[len(d.runs)-1]
}

// tokens counts what was delivered so far. Text is counted once; only the last word of a run, which may go on, is
// counted again with what follows it.
func (d *delivered) tokens() int64 {
	total := d.extra
	for i := range d.runs {
		r := &d.runs[i]
		d.settle(r)
		if len(r.text) > 0 {
			total += d.count()(string(r.text))
		}
	}
	return min(total+d.counted, d.bound)
}

// settle counts the part of a run that what follows cannot change, and lets it go.
func (d *delivered) settle(r *run) {
	n := seam(r.text)
	if n == 0 {
		return
	}
	d.counted += d.count()(string(r.text[:n]))
	d.pending -= n
	r.text = append(r.text[:0], r.text[n:]...)
}

// seam is the last place where a text can be cut without changing its tokens: before a space between two ASCII letters,
// where the pre-tokenizers of all vocabularies cut as well. A long text without one is cut at a character near its end.
func seam(text []byte) int {
	for i := len(text) - 2; i > 0; i-- {
		if text[i] == ' ' && letter(text[i-1]) && letter(text[i+1]) {
			return i
		}
		if len(text)-i > maxTail {
			for n := len(text) - maxTail/2; n < len(text); n++ {
				if utf8.RuneStart(text[n]) {
					return n
				}
			}
			return len(text)
		}
	}
	return 0
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
