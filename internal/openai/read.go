package openai

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/plumbline/plumbline/internal/core"
)

const (
	maxDepth = 64
	// maxKey bounds names and values that an error repeats.
	maxKey = 64
	// maxParam bounds the path of a field in an error.
	maxParam = 200
)

// reader takes one JSON document apart, strictly: duplicate names, invalid UTF-8, lone surrogates, deep nesting and
// anything after the document are errors. Values are read in place: slices it gives are parts of body.
type reader struct {
	dec     *jsontext.Decoder
	body    []byte
	scratch []byte // of the last string with escapes
}

func newReader(body []byte) *reader {
	return &reader{dec: jsontext.NewDecoder(bytes.NewBuffer(body)), body: body}
}

// value reads the next value of any kind as it stands.
func (r *reader) value() ([]byte, *core.Error) {
	v, err := r.dec.ReadValue()
	if err != nil {
		return nil, r.syntax(err)
	}
	return v, nil
}

// place is the part of the body that v, the value just read, was read from.
func (r *reader) place(v []byte) span {
	end := int(r.dec.InputOffset())
	return span{end - len(v), end}
}

// text reads a string and gives its content, which is valid until the next one is read.
func (r *reader) text() ([]byte, *core.Error) {
	if r.dec.PeekKind() != '"' {
		return nil, r.mismatch("a string")
	}
	v, e := r.value()
	if e != nil {
		return nil, e
	}
	return r.unquote(v), nil
}

// unquote gives the content of a JSON string that was already checked.
func (r *reader) unquote(v []byte) []byte {
	if inner := v[1 : len(v)-1]; bytes.IndexByte(inner, '\\') < 0 {
		return inner
	}
	r.scratch, _ = jsontext.AppendUnquote(r.scratch[:0], v)
	return r.scratch
}

// null reads a null if there is one.
func (r *reader) null() (bool, *core.Error) {
	if r.dec.PeekKind() != 'n' {
		return false, nil
	}
	_, e := r.value()
	return e == nil, e
}

// boolean reads true, false, or null as false.
func (r *reader) boolean() (bool, *core.Error) {
	switch r.dec.PeekKind() {
	case 't', 'f', 'n':
		v, e := r.value()
		return e == nil && v[0] == 't', e
	default:
		return false, r.mismatch("a boolean")
	}
}

// number reads a number or null, which are passed on as they stand.
func (r *reader) number() *core.Error {
	if k := r.dec.PeekKind(); k != '0' && k != 'n' {
		return r.mismatch("a number")
	}
	_, e := r.value()
	return e
}

// integer reads a whole number in [0, most], written as digits only so that no two readers differ on it, or null.
func (r *reader) integer(most int64) (n int64, null bool, at span, e *core.Error) {
	k := r.dec.PeekKind()
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
	for r.dec.PeekKind() != '}' {
		v, e := r.value()
		if e != nil {
			return e
		}
		// A copy of its own for a name with escapes: scratch serves the values.
		name := v[1 : len(v)-1]
		if bytes.IndexByte(name, '\\') >= 0 {
			name, _ = jsontext.AppendUnquote(nil, v)
		}
		if e := member(name); e != nil {
			return e
		}
	}
	return r.token()
}

// array reads an array element by element.
func (r *reader) array(element func(i int) *core.Error) *core.Error {
	if e := r.open('[', "an array"); e != nil {
		return e
	}
	for i := 0; r.dec.PeekKind() != ']'; i++ {
		if e := element(i); e != nil {
			return e
		}
	}
	return r.token()
}

// open reads the bracket that an object or array begins with.
func (r *reader) open(kind jsontext.Kind, what string) *core.Error {
	if r.dec.PeekKind() != kind {
		return r.mismatch(what)
	}
	if r.dec.StackDepth() >= maxDepth {
		return broken(paramOf(r.dec.StackPointer()), r.dec.InputOffset(), "is nested more than "+strconv.Itoa(maxDepth)+" deep")
	}
	return r.token()
}

func (r *reader) token() *core.Error {
	if _, err := r.dec.ReadToken(); err != nil {
		return r.syntax(err)
	}
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
	switch r.dec.PeekKind() {
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
	if _, err := r.dec.ReadToken(); err != nil {
		if errors.Is(err, io.EOF) {
			return nil
		}
		return r.syntax(err)
	}
	return broken("", r.dec.InputOffset(), "has data after its end")
}

// syntax words an error of the decoder without repeating the body.
func (r *reader) syntax(err error) *core.Error {
	offset, at := r.dec.InputOffset(), r.dec.StackPointer()
	what := "is not valid JSON"
	var s *jsontext.SyntacticError
	if errors.As(err, &s) {
		offset, at = s.ByteOffset, s.JSONPointer
	}
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		what = "has the same name twice in one object"
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		what = "is not valid JSON: it ends too early"
	case bytes.HasPrefix(r.body, []byte("\xef\xbb\xbf")):
		what = "begins with a byte order mark"
	}
	return broken(paramOf(at), offset, what)
}

func broken(param string, offset int64, what string) *core.Error {
	return &core.Error{
		Reason: core.ReasonInvalidBody, Param: param,
		Public: "The request body " + what + ", at byte " + strconv.FormatInt(offset, 10) + ".",
	}
}

// mismatch is the error of a value to come that is of the wrong type, or that is no value at all.
func (r *reader) mismatch(want string) *core.Error {
	if r.dec.PeekKind() == jsontext.KindInvalid {
		if _, e := r.value(); e != nil {
			return e // of the syntax
		}
	}
	at := r.dec.StackPointer()
	if kind, length := r.dec.StackIndex(r.dec.StackDepth()); kind == '[' {
		if length > 0 {
			at = at.Parent()
		}
		at = at.AppendToken(strconv.FormatInt(length, 10))
	}
	return r.wrong(paramOf(at), "must be "+want)
}

// invalid is the error of the value that was just read.
func (r *reader) invalid(what string) *core.Error {
	return r.wrong(paramOf(r.dec.StackPointer()), what)
}

func (r *reader) wrong(param, what string) *core.Error {
	return &core.Error{
		Reason: core.ReasonInvalidBody, Param: param,
		Public: named(param) + " " + what + ", at byte " + strconv.FormatInt(r.dec.InputOffset(), 10) + ".",
	}
}

// unsupported is the error of a value or name that was just read, and cannot be let through.
func (r *reader) unsupported(what string) *core.Error {
	param := paramOf(r.dec.StackPointer())
	return &core.Error{Reason: core.ReasonUnsupportedParameter, Param: param, Public: named(param) + " " + what + "."}
}

func named(param string) string {
	if param == "" {
		return "The request body"
	}
	return param
}

// paramOf is the path of a field as OpenAI writes it, e.g. "messages[1].content". Names in it that no API would choose
// are a client's own text, and become "?".
func paramOf(at jsontext.Pointer) string {
	var b strings.Builder
	for token := range at.Tokens() {
		if b.Len() > maxParam {
			break
		}
		if _, err := strconv.ParseUint(token, 10, 32); err == nil {
			b.WriteString("[" + token + "]")
			continue
		}
		if !plainSegment(token) || len(token) > maxKey {
			token = "?"
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(token)
	}
	return b.String()
}
