package openai

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// lexer takes one JSON document apart, strictly (RFC 8259, with the names of each object told apart): invalid UTF-8, lone
// surrogates and names that come twice are faults, as is whatever the grammar does not allow. It works in place and in
// one pass: peek says what comes next, a reading method takes it.
//
// The first fault stays: from then on peek gives 0, and every reading method does nothing.
type lexer struct {
	body []byte
	// at is right after what was read last, next where begins what peek found.
	at, next int
	kind     byte // what peek found, 0 if it has not looked yet
	levels   []level
	names    [][]byte // those of all open objects, the innermost's last
	started  bool     // the document itself was read, or begun
	fault    string   // what is wrong, in words that follow "The request body"
	faultAt  int
}

// level is an open object or array.
type level struct {
	bracket byte
	// read counts the elements of an array that were read, of an object the names and values.
	read int
	// name is the one that was read last. first is where those of this object begin among all names, which hold the first
	// of them; once there are many, all are in a map.
	name  []byte
	first int
	many  map[string]struct{}
}

const (
	// manyNames is from how many names an object's are looked up in a map.
	manyNames = 16
	// maxMembers bounds the members of an object, and so what that map takes.
	maxMembers = 10_000
)

const (
	malformed   = "is not valid JSON"
	endsEarly   = "is not valid JSON: it ends too early"
	sameName    = "has the same name twice in one object"
	notUTF8     = "is not valid JSON: it is not UTF-8"
	loneHalf    = "is not valid JSON: it holds half of a surrogate pair"
	dataBehind  = "has data after its end"
	orderMarked = "begins with a byte order mark"
	tooMany     = "has an object with more than 10000 members"
)

// peek says what comes next by its first byte: { } [ ] " t f n, and '0' for every number. It gives 0 at the end of the
// document and after a fault.
func (l *lexer) peek() byte {
	if l.kind == 0 && l.fault == "" {
		l.kind = l.find()
	}
	return l.kind
}

// find passes what stands between two values and says what follows. That a name is a string is left to whoever reads it.
func (l *lexer) find() byte {
	c := l.skip(l.at)
	if n := len(l.levels); n > 0 {
		switch top := l.levels[n-1]; {
		case top.bracket == '{' && top.read%2 == 1:
			if c != ':' {
				return l.fail(l.next, malformed)
			}
			c = l.skip(l.next + 1)
		case c == top.bracket+2: // "]" and "}" stand two after "[" and "{"
			return c
		case top.read > 0:
			if c != ',' {
				return l.fail(l.next, malformed)
			}
			c = l.skip(l.next + 1)
		}
	} else if l.started {
		if l.next < len(l.body) {
			return l.fail(l.next, dataBehind)
		}
		return 0
	}
	switch c {
	case '"', '{', '[', 't', 'f', 'n':
		return c
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return '0'
	}
	return l.fail(l.next, malformed)
}

// skip sets next to the first byte at or after from that is no white space, and gives it; 0 at the end.
func (l *lexer) skip(from int) byte {
	for i := from; i < len(l.body); i++ {
		switch c := l.body[i]; c {
		case ' ', '\t', '\n', '\r':
		default:
			l.next = i
			return c
		}
	}
	l.next = len(l.body)
	return 0
}

// fail notes the first fault.
func (l *lexer) fail(at int, what string) byte {
	switch {
	case l.fault != "":
		return 0
	case at >= len(l.body):
		at, what = len(l.body), endsEarly
	case bytes.HasPrefix(l.body, []byte("\xef\xbb\xbf")):
		what = orderMarked
	}
	l.kind, l.fault, l.faultAt = 0, what, at
	return 0
}

// scalar reads a string, a number or a literal and gives it as it stands, nil after a fault.
func (l *lexer) scalar() []byte {
	end := 0
	switch l.peek() {
	case '"':
		end = l.stringEnd(l.next)
	case '0':
		end = l.numberEnd(l.next)
	case 't':
		end = l.literalEnd("true")
	case 'f':
		end = l.literalEnd("false")
	case 'n':
		end = l.literalEnd("null")
	default:
		l.fail(l.next, malformed)
	}
	if end == 0 {
		return nil
	}
	v := l.body[l.next:end]
	l.took(end)
	return v
}

// took notes that what peek found ends there.
func (l *lexer) took(end int) {
	l.at, l.kind, l.started = end, 0, true
	if n := len(l.levels); n > 0 {
		l.levels[n-1].read++
	}
}

// enter reads an opening bracket.
func (l *lexer) enter() {
	l.levels = append(l.levels, level{bracket: l.body[l.next], first: len(l.names)})
	l.at, l.kind, l.started = l.next+1, 0, true
}

// leave reads the closing bracket that peek found.
func (l *lexer) leave() {
	top := len(l.levels) - 1
	l.names = l.names[:l.levels[top].first]
	l.levels = l.levels[:top]
	l.took(l.next + 1)
}

// name reads the name of a member and gives it without its escapes; false after a fault. It stays as it is.
func (l *lexer) name() ([]byte, bool) {
	if l.peek() != '"' {
		l.fail(l.next, malformed)
		return nil, false
	}
	start := l.next
	v := l.scalar()
	if v == nil {
		return nil, false
	}
	name := v[1 : len(v)-1]
	if bytes.IndexByte(name, '\\') >= 0 {
		name = appendUnquoted(nil, name)
	}
	top := &l.levels[len(l.levels)-1]
	top.name = name
	switch {
	case l.met(top, name):
		l.fail(start, sameName)
		return nil, false
	case top.read > 2*maxMembers:
		l.fail(start, tooMany)
		return nil, false
	}
	return name, true
}

// met reports whether the object has a member of that name already, and remembers it.
func (l *lexer) met(v *level, name []byte) bool {
	names := l.names[v.first:]
	if v.many == nil && len(names) < manyNames {
		for _, n := range names {
			if bytes.Equal(n, name) {
				return true
			}
		}
		l.names = append(l.names, name)
		return false
	}
	if v.many == nil {
		v.many = make(map[string]struct{}, 4*manyNames)
		for _, n := range names {
			v.many[string(n)] = struct{}{}
		}
	}
	_, again := v.many[string(name)]
	v.many[string(name)] = struct{}{}
	return again
}

func (l *lexer) literalEnd(word string) int {
	for i := range len(word) {
		if at := l.next + i; at >= len(l.body) || l.body[at] != word[i] {
			l.fail(at, malformed)
			return 0
		}
	}
	return l.next + len(word)
}

// numberEnd is where the number ends that begins at from, 0 if it is none.
func (l *lexer) numberEnd(from int) int {
	at := from
	if l.body[at] == '-' {
		at++
	}
	whole := at
	if at = l.digits(at); at == 0 || l.body[whole] == '0' && at > whole+1 {
		l.fail(whole+1, malformed) // a zero in front, which some readers take for an octal number
		return 0
	}
	if at < len(l.body) && l.body[at] == '.' {
		if at = l.digits(at + 1); at == 0 {
			return 0
		}
	}
	if at < len(l.body) && l.body[at]|0x20 == 'e' {
		if at++; at < len(l.body) && (l.body[at] == '+' || l.body[at] == '-') {
			at++
		}
		return l.digits(at)
	}
	return at
}

// digits is where the digits end that begin at from, 0 if there is none.
func (l *lexer) digits(from int) int {
	at := from
	for at < len(l.body) && l.body[at] >= '0' && l.body[at] <= '9' {
		at++
	}
	if at == from {
		l.fail(at, malformed)
		return 0
	}
	return at
}

// stringEnd is where the string ends that begins at from, 0 if it is none.
func (l *lexer) stringEnd(from int) int {
	at, ascii := from+1, true
	for {
		var plain bool
		at, plain = plainEnd(l.body, at)
		ascii = ascii && plain
		if at >= len(l.body) {
			l.fail(at, malformed)
			return 0
		}
		switch l.body[at] {
		case '"':
			if !ascii && !utf8.Valid(l.body[from:at]) {
				l.fail(from+validLength(l.body[from:at]), notUTF8)
				return 0
			}
			return at + 1
		case '\\':
			if at = l.escapeEnd(at); at == 0 {
				return 0
			}
		default:
			l.fail(at, malformed) // a control character
			return 0
		}
	}
}

// Eight bytes at once: a bit for each that is a quote, a backslash, a control character or not ASCII. As all of them have
// to be looked at, bytes that follow one of those may be marked too.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// plainEnd is the first quote, backslash or control character at or after at, and whether all before it is ASCII.
func plainEnd(b []byte, at int) (end int, ascii bool) {
	other := uint64(0)
	for ; at+8 <= len(b); at += 8 {
		w := binary.LittleEndian.Uint64(b[at:])
		quote, slash := w^(ones*'"'), w^(ones*'\\')
		stop := ((quote-ones) & ^quote | (slash-ones) & ^slash | (w-ones*' ') & ^w) & highs
		if stop == 0 {
			other |= w & highs
			continue
		}
		// The lowest mark is right: a borrow runs upwards only.
		n := bits.TrailingZeros64(stop) &^ 7
		other |= w & highs & (1<<n - 1)
		return at + n/8, other == 0
	}
	for ; at < len(b); at++ {
		c := b[at]
		if c == '"' || c == '\\' || c < ' ' {
			break
		}
		other |= uint64(c) & highs
	}
	return at, other == 0
}

// validLength is how much of b is UTF-8.
func validLength(b []byte) int {
	at := 0
	for at < len(b) {
		r, n := utf8.DecodeRune(b[at:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		at += n
	}
	return at
}

// escapeEnd is where the escape sequence ends that begins at from, 0 if it is none. Two halves of a pair are one.
func (l *lexer) escapeEnd(from int) int {
	if from+1 >= len(l.body) {
		l.fail(len(l.body), malformed)
		return 0
	}
	switch l.body[from+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return from + 2
	case 'u':
	default:
		l.fail(from, malformed)
		return 0
	}
	first, ok := escapedUnit(l.body[from:])
	switch {
	case !ok && from+6 > len(l.body):
		l.fail(len(l.body), malformed)
		return 0
	case !ok:
		l.fail(from, malformed)
		return 0
	case !utf16.IsSurrogate(first):
		return from + 6
	}
	if second, ok := escapedUnit(l.body[from+6:]); ok && utf16.DecodeRune(first, second) != utf8.RuneError {
		return from + 12
	}
	l.fail(from, loneHalf)
	return 0
}

// escapedUnit reads the unit of UTF-16 that b begins with, as \uXXXX.
func escapedUnit(b []byte) (rune, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	unit := rune(0)
	for _, c := range b[2:6] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		unit = unit<<4 | rune(c)
	}
	return unit, true
}

// appendUnquoted appends the content of a string that was checked, given without its quotes.
func appendUnquoted(to, inner []byte) []byte {
	for {
		at := bytes.IndexByte(inner, '\\')
		if at < 0 {
			return append(to, inner...)
		}
		to = append(to, inner[:at]...)
		if c := inner[at+1]; c != 'u' {
			to = append(to, unescaped(c))
			inner = inner[at+2:]
			continue
		}
		unit, _ := escapedUnit(inner[at:])
		inner = inner[at+6:]
		if utf16.IsSurrogate(unit) {
			low, _ := escapedUnit(inner)
			unit, inner = utf16.DecodeRune(unit, low), inner[6:]
		}
		to = utf8.AppendRune(to, unit)
	}
}

func unescaped(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}
