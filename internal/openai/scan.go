package openai

import (
	"bytes"
	"math"
	"strconv"
)

// scanner reads JSON that the provider wrote: in one pass, without allocating, and giving parts of the input itself, so
// that they can be kept until the document was read and be looked at in any order. It checks as much as it needs to find
// its way: brackets and quotes, not the grammar of what it skips. Requests, which are judged, are read strictly instead.
//
// After a fault every method does nothing, and at is where the value begins that could not be read.
type scanner struct {
	b   []byte
	at  int
	bad bool
}

// peek gives the byte that the next value, name or bracket begins with; 0 at the end and after a fault.
func (s *scanner) peek() byte {
	if s.bad {
		return 0
	}
	for ; s.at < len(s.b); s.at++ {
		switch c := s.b[s.at]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// open enters an object or an array; another value is skipped.
func (s *scanner) open(bracket byte) bool {
	if s.peek() != bracket {
		s.value()
		return false
	}
	s.at++
	return true
}

// more reports whether the object or array at hand has another member or element, and leaves it when it has none.
func (s *scanner) more(bracket byte) bool {
	if s.peek() == ',' {
		s.at++
	}
	switch s.peek() {
	case 0:
		s.bad = true
		return false
	case bracket:
		s.at++
		return false
	}
	return true
}

// name reads a member's name. None of those that matter has escapes.
func (s *scanner) name() []byte {
	if s.peek() != '"' {
		s.bad = true
		return nil
	}
	v := s.value()
	if s.peek() != ':' {
		s.bad = true
		return nil
	}
	s.at++
	return v[1 : len(v)-1]
}

// value reads a value whole and gives it as it stands, nil after a fault.
func (s *scanner) value() []byte {
	start, end := s.at, 0
	switch s.peek() {
	case '"':
		start = s.at
		end = stringEnd(s.b, start)
	case '{', '[':
		start = s.at
		end = nestEnd(s.b, start)
	case 0, '}', ']', ',', ':':
	default:
		start = s.at
		end = scalarEnd(s.b, start)
	}
	if end == 0 {
		s.bad = true
		return nil
	}
	s.at = end
	return s.b[start:end]
}

// text reads a string, with its quotes; another value is skipped and gives nil.
func (s *scanner) text() []byte {
	if s.peek() == '"' {
		return s.value()
	}
	s.value()
	return nil
}

// stringEnd is where the string that begins at start ends, 0 if it does not.
func stringEnd(b []byte, start int) int {
	for at := start + 1; ; {
		n := bytes.IndexByte(b[at:], '"')
		if n < 0 {
			return 0
		}
		at += n + 1
		slashes := 0
		for i := at - 2; i > start && b[i] == '\\'; i-- {
			slashes++
		}
		if slashes%2 == 0 {
			return at
		}
	}
}

// nestEnd is where the object or array that begins at start ends, 0 if it does not.
func nestEnd(b []byte, start int) int {
	depth := 0
	for at := start; at < len(b); at++ {
		switch b[at] {
		case '"':
			end := stringEnd(b, at)
			if end == 0 {
				return 0
			}
			at = end - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return at + 1
			}
		}
	}
	return 0
}

// scalarEnd is where a number or a literal ends.
func scalarEnd(b []byte, start int) int {
	for at := start; at < len(b); at++ {
		switch b[at] {
		case ',', '}', ']', ':', '"', '{', '[', ' ', '\t', '\n', '\r':
			return at
		}
	}
	return len(b)
}

// maxFigure bounds the figures that are believed: a trillion tokens.
const maxFigure = 1 << 40

// figure reads a whole number that is not negative. Anything else is none: a figure that was reshaped would be charged.
func figure(v []byte) (int64, bool) {
	if len(v) == 0 || len(v) > 13 || v[0] == '0' && len(v) > 1 {
		return 0, false
	}
	n := int64(0)
	for _, c := range v {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, n <= maxFigure
}

// integer reads an index or a time; another value gives 0.
func (s *scanner) integer() int64 {
	n, _ := figure(s.value())
	return n
}

// maxSeconds bounds how long an audio is believed to be: a year.
const maxSeconds = 366 * 24 * 3600

// millis reads a time in seconds, as a number or a number in quotes, and gives milliseconds, rounded up.
func millis(v []byte) (int64, bool) {
	seconds, err := strconv.ParseFloat(string(bytes.Trim(v, `"`)), 64)
	if err != nil || !(seconds >= 0 && seconds <= maxSeconds) {
		return 0, false
	}
	return int64(math.Ceil(math.Round(seconds*1e6) / 1e3)), true // 8.47 seconds are 8,470 ms, not 8,471
}
