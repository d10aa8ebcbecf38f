package yamldoc

import (
	"bytes"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// forbidden finds the first character that YAML 1.2 does not allow (c-printable), nil for none: what it does allow can be
// kept in any store, and whoever looks at a document in a terminal sees all of it.
func forbidden(data []byte) *Problem {
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return at(data[:i], "not text in UTF-8")
		case unprintable(r):
			return at(data[:i], fmt.Sprintf("the character %U, which YAML does not allow", r))
		}
		i += size
	}
	return nil
}

func unprintable(r rune) bool {
	switch r {
	case '\t', '\n', '\r', '\u0085':
		return false
	default:
		return unicode.IsControl(r) || r == '\ufffe' || r == '\uffff'
	}
}

// at is a problem with what comes after text.
func at(text []byte, message string) *Problem {
	line := bytes.Count(text, []byte{'\n'})
	column := utf8.RuneCount(text[bytes.LastIndexByte(text, '\n')+1:])
	return &Problem{Line: line + 1, Column: column + 1, Message: message}
}
