package openai

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/plumbline/plumbline/internal/core"
)

const (
	maxDepth = 64
	// maxKey bounds names and values that an error repeats.
	maxKey = 64
	// maxParam bounds the path of a field in an error.
	maxParam = 200
)

// reader gives the values of one JSON document by their types, in the order in which they stand. What it gives are parts
// of the body, where they can be. It is as strict as the lexer below it, and refuses deep nesting and anything after the
// document besides.
type reader struct {
	lexer
	scratch []byte // of the last string with escapes
}

func newReader(body []byte) *reader {
	return &reader{lexer: lexer{body: body, levels: make([]level, 0, 8), names: make([][]byte, 0, 16)}}
}

// readers are kept from one document to the next: setting one up costs as much as reading a small document.
var readers = sync.Pool{New: func() any { return newReader(nil) }}

// borrowReader gives a reader of body, to be given back.
func borrowReader(body []byte) *reader {
	r := readers.Get().(*reader)
	r.body = body
	return r
}

const (
	maxKeptNames = 64
	maxKeptText  = 64 << 10
)

// giveBack keeps r for the next document. What a large one made grow is let go.
func (r *reader) giveBack() {
	if cap(r.levels) <= maxDepth && cap(r.names) <= maxKeptNames && cap(r.scratch) <= maxKeptText {
		r.wipe()
		readers.Put(r)
	}
}

// wipe leaves r its memory and nothing of the document: no part of a body outlives its exchange.
func (r *reader) wipe() {
	levels, names, scratch := r.levels[:cap(r.levels)], r.names[:cap(r.names)], r.scratch[:cap(r.scratch)]
	clear(levels)
	clear(names)
	clear(scratch)
	*r = reader{lexer: lexer{levels: levels[:0], names: names[:0]}, scratch: scratch[:0]}
}

// offset is right after what was read last.
func (r *reader) offset() int { return r.at }

// value reads the next value of any kind as it stands.
func (r *reader) value() ([]byte, *core.Error) {
	if k := r.peek(); k == '{' || k == '[' {
		from := r.next
		e := r.strings(func([]byte) {})
		return r.body[from:r.at], e
	}
	v := r.scalar()
	if v == nil {
		return nil, r.syntax()
	}
	return v, nil
}

// place is the part of the body that v, the value just read, was read from.
func (r *reader) place(v []byte) span { return span{r.at - len(v), r.at} }

// text reads a string and gives its content, which is valid until the next one is read.
func (r *reader) text() ([]byte, *core.Error) {
	if r.peek() != '"' {
		return nil, r.mismatch("a string")
	}
	v, e := r.value()
	if e != nil {
		return nil, e
	}
	inner := v[1 : len(v)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return inner, nil
	}
	r.scratch = appendUnquoted(slices.Grow(r.scratch[:0], len(inner)), inner)
	return r.scratch, nil
}

// null reads a null if there is one.
func (r *reader) null() (bool, *core.Error) {
	if r.peek() != 'n' {
		return false, nil
	}
	_, e := r.value()
	return e == nil, e
}

// boolean reads true, false, or null as false.
func (r *reader) boolean() (bool, *core.Error) {
	switch r.peek() {
	case 't', 'f', 'n':
		v, e := r.value()
		return e == nil && v[0] == 't', e
	default:
		return false, r.mismatch("a boolean")
	}
}

// number reads a number or null, which are passed on as they stand.
func (r *reader) number() *core.Error {
	if k := r.peek(); k != '0' && k != 'n' {
		return r.mismatch("a number")
	}
	_, e := r.value()
	return e
}

// integer reads a whole number in [0, most], written as digits only so that no two readers differ on it, or null.
func (r *reader) integer(most int64) (n int64, null bool, at span, e *core.Error) {
	k := r.peek()
	if k != '0' && k != 'n' {
		return 0, false, span{}, r.mismatch("a whole number")
	}
	v, e := r.value()
	if e != nil {
		return 0, false, span{}, e
	}
	if k == 'n' {
		return 0, true, r.place(v), nil
	}
	n, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil || n < 0 || n > most || v[0] == '-' {
		return 0, false, span{}, r.invalid("must be a whole number between 0 and " + strconv.FormatInt(most, 10))
	}
	return n, false, r.place(v), nil
}

// word reads a string that must be one of those allowed, or null. Other words are not understood, and so denied.
func (r *reader) word(allowed ...string) *core.Error {
	_, e := r.choice(allowed...)
	return e
}

// choice is word, and gives the one that it is, empty for null.
func (r *reader) choice(allowed ...string) (string, *core.Error) {
	if null, e := r.null(); null || e != nil {
		return "", e
	}
	s, e := r.text()
	if e != nil {
		return "", e
	}
	for _, a := range allowed {
		if string(s) == a {
			return a, nil
		}
	}
	return "", r.unsupported("must be one of " + strings.Join(allowed, ", "))
}

// object reads an object member by member. member is called after each name was read and must read the value.
func (r *reader) object(member func(name []byte) *core.Error) *core.Error {
	if e := r.open('{', "an object"); e != nil {
		return e
	}
	for r.peek() != '}' {
		name, ok := r.name()
		if !ok {
			return r.syntax()
		}
		if e := member(name); e != nil {
			return e
		}
	}
	r.leave()
	return nil
}

// array reads an array element by element.
func (r *reader) array(element func(i int) *core.Error) *core.Error {
	if e := r.open('[', "an array"); e != nil {
		return e
	}
	for i := 0; r.peek() != ']'; i++ {
		if r.fault != "" {
			return r.syntax()
		}
		if e := element(i); e != nil {
			return e
		}
	}
	r.leave()
	return nil
}

// open reads the bracket that an object or array begins with.
func (r *reader) open(bracket byte, what string) *core.Error {
	if r.peek() != bracket {
		return r.mismatch(what)
	}
	if len(r.levels) >= maxDepth {
		return broken(r.param(true), r.next, "is nested more than "+strconv.Itoa(maxDepth)+" deep")
	}
	r.enter()
	return nil
}

// optional reads a string, or null as the empty one.
func (r *reader) optional() ([]byte, *core.Error) {
	if null, e := r.null(); null || e != nil {
		return nil, e
	}
	return r.text()
}

// strings calls found for every string below the next value, names included.
func (r *reader) strings(found func([]byte)) *core.Error {
	switch r.peek() {
	case '{':
		return r.object(func(name []byte) *core.Error {
			found(name)
			return r.strings(found)
		})
	case '[':
		return r.array(func(int) *core.Error { return r.strings(found) })
	case '"':
		s, e := r.text()
		if e == nil {
			found(s)
		}
		return e
	default:
		_, e := r.value()
		return e
	}
}

// end refuses anything after the document.
func (r *reader) end() *core.Error {
	if r.peek(); r.fault != "" {
		return r.syntax()
	}
	return nil
}

// syntax words the fault of the document without repeating it.
func (r *reader) syntax() *core.Error { return broken(r.param(true), r.faultAt, r.fault) }

func broken(param string, offset int, what string) *core.Error {
	return &core.Error{
		Reason: core.ReasonInvalidBody, Param: param,
		Public: "The request body " + what + ", at byte " + strconv.Itoa(offset) + ".",
	}
}

// mismatch is the error of a value to come that is of the wrong type, or that is no value at all.
func (r *reader) mismatch(want string) *core.Error {
	if r.peek(); r.fault != "" {
		return r.syntax()
	}
	return r.wrong(r.param(true), "must be "+want)
}

// invalid is the error of the value that was just read.
func (r *reader) invalid(what string) *core.Error { return r.wrong(r.param(false), what) }

func (r *reader) wrong(param, what string) *core.Error {
	return &core.Error{
		Reason: core.ReasonInvalidBody, Param: param,
		Public: named(param) + " " + what + ", at byte " + strconv.Itoa(r.at) + ".",
	}
}

// unsupported is the error of a value or name that was just read, and cannot be let through.
func (r *reader) unsupported(what string) *core.Error {
	param := r.param(false)
	return &core.Error{Reason: core.ReasonUnsupportedParameter, Param: param, Public: named(param) + " " + what + "."}
}

func named(param string) string {
	if param == "" {
		return "The request body"
	}
	return param
}

// param is the path of the value that was read last, or of the one to come, as OpenAI writes it: "messages[1].content".
// Names in it that no API would choose are a client's own text, and become "?".
func (r *reader) param(coming bool) string {
	var b strings.Builder
	for i, v := range r.levels {
		if b.Len() > maxParam {
			break
		}
		at := v.read // of an open array within another value: the element that was begun and not read to its end
		if i == len(r.levels)-1 && !coming {
			at--
		}
		switch {
		case v.bracket == '[' && at >= 0:
			b.WriteString("[" + strconv.Itoa(at) + "]")
		case v.bracket == '{' && v.read > 0:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(publicName(v.name))
		}
	}
	return b.String()
}

func publicName(name []byte) string {
	if len(name) > maxKey || !plainSegment(string(name)) {
		return "?"
	}
	return string(name)
}
