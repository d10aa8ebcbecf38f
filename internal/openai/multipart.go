package openai

import (
	"bytes"
	"mime"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/plumbline/plumbline/internal/core"
)

// Bounds of a form.
const (
	maxBoundary   = 70 // RFC 2046, section 5.1.1
	maxFormFields = 64
	maxFieldHead  = 1 << 10 // bytes of the headers of one field
	maxFieldText  = 1 << 20 // bytes of a field that is not a file
)

// form takes a multipart/form-data body (RFC 7578) apart, in place and strictly: what two readers could take for two
// things is an error. So its boundary stands nowhere but where fields begin and end, lines end in CRLF, nothing stands
// before the first field or after the last, and headers are those of RFC 7578, each at most once and on one line.
type form struct {
	body      []byte
	delimiter []byte // two hyphens and the boundary
	at        int    // right after the delimiter that was read last
	fields    int
}

// formField is one field of a form. Its slices are parts of the body.
type formField struct {
	name string
	// file says that the field has a file name, and so is a file.
	file     bool
	filename []byte
	media    string // content type without parameters, empty if not given
	value    []byte
	at       int // where the value begins
}

// newForm begins with the header that says where the fields are.
func newForm(contentType string, body []byte) (*form, *core.Error) {
	boundary, ok := boundaryOf(contentType)
	if !ok {
		return nil, unsupportedForm()
	}
	f := &form{body: body, delimiter: []byte("--" + boundary)}
	if !bytes.HasPrefix(body, f.delimiter) {
		return nil, broken("", 0, "does not begin with the boundary of its content-type")
	}
	f.at = len(f.delimiter)
	return f, nil
}

func unsupportedForm() *core.Error {
	return &core.Error{
		Reason: core.ReasonUnsupportedMediaType,
		Public: "The request body must be a form. Send content-type: multipart/form-data with a boundary, and nothing else.",
	}
}

// boundaryOf reads a content type of multipart/form-data. The boundary must have the letters that RFC 2046 allows, which
// leaves nothing to escape or to encode.
func boundaryOf(contentType string) (string, bool) {
	if strings.ContainsAny(contentType, "*\\%") || strings.Count(strings.ToLower(contentType), "boundary=") != 1 {
		return "", false // given in pieces, encoded or twice, which readers take differently
	}
	media, params, err := mime.ParseMediaType(contentType)
	boundary := params["boundary"]
	if charset, given := params["charset"]; given && !strings.EqualFold(charset, "utf-8") {
		return "", false
	}
	delete(params, "boundary")
	delete(params, "charset")
	if err != nil || media != "multipart/form-data" || len(params) > 0 || len(boundary) > maxBoundary {
		return "", false
	}
	for i := range len(boundary) {
		if c := boundary[i]; !alphanumeric(c) && strings.IndexByte("'()+_,-./:=? ", c) < 0 {
			return "", false
		}
	}
	return boundary, boundary != "" && strings.TrimSpace(boundary) == boundary
}

// next reads the next field; false after the last.
func (f *form) next() (formField, bool, *core.Error) {
	rest := f.body[f.at:]
	if end, ok := bytes.CutPrefix(rest, []byte("--")); ok {
		if len(end) > 0 && string(end) != "\r\n" {
			return formField{}, false, f.broken(f.at+2, "has data after its last boundary")
		}
		return formField{}, false, nil
	}
	if !bytes.HasPrefix(rest, []byte("\r\n")) {
		return formField{}, false, f.broken(f.at, "has its boundary where no field ends")
	}
	if f.fields++; f.fields > maxFormFields {
		return formField{}, false, f.broken(f.at, "has more than "+strconv.Itoa(maxFormFields)+" fields")
	}
	p, e := f.field(f.at + 2)
	return p, e == nil, e
}

// field reads the field whose headers begin at from.
func (f *form) field(from int) (formField, *core.Error) {
	length := bytes.Index(f.body[from:min(len(f.body), from+maxFieldHead)], []byte("\r\n\r\n"))
	if length < 0 {
		return formField{}, f.broken(from, "has a field whose headers are not complete within "+strconv.Itoa(maxFieldHead)+" bytes")
	}
	p := formField{at: from + length + 4}
	end := bytes.Index(f.body[from:], f.delimiter)
	if end < 0 {
		return formField{}, f.broken(len(f.body), "ends without its last boundary")
	}
	end += from
	if end < p.at+2 || string(f.body[end-2:end]) != "\r\n" {
		return formField{}, f.broken(end, "has its boundary inside of a field")
	}
	p.value, f.at = f.body[p.at:end-2], end+len(f.delimiter)
	if bad := p.headers(f.body[from : from+length]); bad != "" {
		return formField{}, f.broken(from, "has a field with "+bad)
	}
	return p, nil
}

func (f *form) broken(at int, what string) *core.Error { return broken("", at, what) }

// headers reads the lines of a field's head. What it gives is what is wrong with them, if anything is.
func (p *formField) headers(head []byte) (bad string) {
	seen := [3]bool{}
	for len(head) > 0 {
		line, rest, _ := bytes.Cut(head, []byte("\r\n"))
		head = rest
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || hasControl(line) {
			return "a header that is not one line of a name and a value"
		}
		value = bytes.TrimLeft(value, " ")
		which := 0
		switch strings.ToLower(string(name)) {
		case "content-disposition":
			bad = p.disposition(value)
		case "content-type":
			which, bad = 1, p.contentType(string(value))
		case "content-length":
			if which = 2; string(value) != strconv.Itoa(len(p.value)) {
				bad = "a content-length that is not its length"
			}
		default:
			bad = "a header that is none of content-disposition, content-type and content-length"
		}
		if bad == "" && seen[which] {
			bad = "the same header twice"
		}
		if bad != "" {
			return bad
		}
		seen[which] = true
	}
	if !seen[0] {
		return "no content-disposition"
	}
	return ""
}

// disposition reads form-data; name="…" and, of a file, filename="…". The further filename* that some clients send must
// say the same, in letters that need no decoding.
func (p *formField) disposition(v []byte) (bad string) {
	const want = "a content-disposition that is not: form-data; name=\"…\"; filename=\"…\""
	rest, ok := bytes.CutPrefix(v, []byte("form-data; name="))
	name, rest, read := parameter(rest)
	if !ok || !read || len(name) == 0 {
		return want
	}
	p.name = string(name)
	if rest, p.file = bytes.CutPrefix(rest, []byte("; filename=")); p.file {
		if p.filename, rest, read = parameter(rest); !read || !plainFilename(p.filename) {
			return "a file name that can be read in two ways; give a plain one, without a path"
		}
		if again, given := bytes.CutPrefix(rest, []byte("; filename*=utf-8''")); given {
			if !bytes.Equal(again, p.filename) || !plainSegment(string(again)) {
				return "a file name that is given in two ways"
			}
			rest = nil
		}
	}
	if len(rest) > 0 {
		return want
	}
	return ""
}

// parameter reads a token or a quoted string, without any escape, up to a semicolon or the end.
func parameter(b []byte) (value, rest []byte, ok bool) {
	if quoted, is := bytes.CutPrefix(b, []byte(`"`)); is {
		value, rest, ok = bytes.Cut(quoted, []byte(`"`))
		return value, rest, ok && bytes.IndexByte(value, '\\') < 0 && (len(rest) == 0 || rest[0] == ';')
	}
	end := bytes.IndexByte(b, ';')
	if end < 0 {
		end = len(b)
	}
	return b[:end], b[end:], plainSegment(string(b[:end]))
}

// plainFilename reports whether every reader takes b for the same name: no path of any system, nothing that some readers
// decode, take for the end of a line or for another parameter.
func plainFilename(b []byte) bool {
	if len(b) == 0 || len(b) > 255 || !utf8.Valid(b) || bytes.ContainsAny(b, `/\";`) {
		return false
	}
	for i, c := range string(b) {
		escaped := c == '%' && i+2 < len(b) && hexDigit(b[i+1]) && hexDigit(b[i+2])
		if escaped || !unicode.IsGraphic(c) {
			return false
		}
	}
	return true
}

// contentType reads the media type of a field. Of its parameters those are known that browsers and SDKs send: the charset
// of a text, which is UTF-8, and the codecs of a recording.
func (p *formField) contentType(v string) (bad string) {
	const unread = "a content-type that is not known here"
	media, param, given := strings.Cut(v, ";")
	kind, subtype, ok := strings.Cut(media, "/")
	if !ok || !mediaSubtype([]byte(kind)) || !mediaSubtype([]byte(subtype)) || kind == "multipart" || kind == "message" {
		return unread
	}
	p.media = media
	if !given {
		return ""
	}
	name, value, _ := strings.Cut(strings.TrimLeft(param, " "), "=")
	value = unquoted(value)
	switch name {
	case "charset":
		if strings.EqualFold(value, "utf-8") {
			return ""
		}
	case "codecs":
		if len(value) <= maxKey && strings.Trim(value, codecLetters) == "" {
			return ""
		}
	}
	return unread
}

const codecLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,"

func unquoted(s string) string {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}

func hasControl(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c == 0x7f {
			return true
		}
	}
	return false
}

func alphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

func hexDigit(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}
