package embed

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxWord is the length at which a word is cut: no word of a language is longer.
const maxWord = 40

// AppendPieces appends the pieces of text to dst: lower-case letters and digits without their accents make words, all else
// divides them, and a word is cut into the longest pieces from its start on. Letters of other scripts have no pieces.
func (t *Table) AppendPieces(dst []Piece, text string) []Piece {
	var word [maxWord]byte
	n := 0
	letter := func(c byte) {
		if n == maxWord {
			dst, n = t.appendWord(dst, word[:n]), 0
		}
		word[n] = c
		n++
	}
	divide := func() { dst, n = t.appendWord(dst, word[:n]), 0 }
	for i := 0; i < len(text); {
		if c := text[i]; c < utf8.RuneSelf {
			fold(c, letter, divide)
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		foldWide(text[i:i+size], r, letter, divide)
		i += size
	}
	return t.appendWord(dst, word[:n])
}

// fold gives an ASCII character to letter in lower case, or divides.
func fold(c byte, letter func(byte), divide func()) {
	switch {
	case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		letter(c)
	case 'A' <= c && c <= 'Z':
		letter(c + 'a' - 'A')
	default:
		divide()
	}
}

// foldWide does so for a character that may be taken apart into ASCII and marks, which are left out.
func foldWide(char string, r rune, letter func(byte), divide func()) {
	parts := norm.NFKD.PropertiesString(char).Decomposition()
	if parts == nil {
		if !unicode.Is(unicode.Mn, r) {
			divide()
		}
		return
	}
	for len(parts) > 0 {
		r, size := utf8.DecodeRune(parts)
		switch {
		case r < utf8.RuneSelf:
			fold(byte(r), letter, divide)
		case !unicode.Is(unicode.Mn, r):
			divide()
		}
		parts = parts[size:]
	}
}

// appendWord appends the pieces of word, which holds only what plain accepts.
func (t *Table) appendWord(dst []Piece, word []byte) []Piece {
	for inside := false; len(word) > 0; inside = true {
		p, n := t.longestPiece(word, inside)
		dst, word = append(dst, p), word[n:]
	}
	return dst
}

// longestPiece gives the longest piece that word begins with, and its length. There always is one: each letter and digit
// is a piece.
func (t *Table) longestPiece(word []byte, inside bool) (Piece, int) {
	var hashes [maxWord + 1]uint32
	most := min(len(word), t.longest)
	h := seed(inside)
	for i := range most {
		h = mix(h, word[i])
		hashes[i+1] = h
	}
	for n := most; n > 0; n-- {
		if p, ok := t.piece(hashes[n], word[:n], inside); ok {
			return p, n
		}
	}
	return 0, len(word)
}

// piece looks a piece up by its hash. The first slot of the table that is 0 ends the search: slots hold number + 1.
func (t *Table) piece(h uint32, name []byte, inside bool) (Piece, bool) {
	mask := uint32(len(t.slots) - 1)
	for at := h & mask; t.slots[at] != 0; at = (at + 1) & mask {
		i := t.slots[at] - 1
		if full := t.names[i]; inside && len(full) == len(name)+len(continues) && full[:len(continues)] == continues &&
			full[len(continues):] == string(name) || !inside && full == string(name) {
			return Piece(i), true
		}
	}
	return 0, false
}

func (t *Table) insert(h uint32, i int) {
	mask := uint32(len(t.slots) - 1)
	at := h & mask
	for t.slots[at] != 0 {
		at = (at + 1) & mask
	}
	t.slots[at] = uint32(i + 1)
}

// FNV-1a, from its authors' specification (RFC 9923), begun with a letter more for pieces that go on a word.
const (
	offset32 = 2166136261
	prime32  = 16777619
)

func mix(h uint32, c byte) uint32 { return (h ^ uint32(c)) * prime32 }

func seed(inside bool) uint32 {
	if inside {
		return mix(offset32, '#')
	}
	return offset32
}

func hash(name []byte, inside bool) uint32 {
	h := seed(inside)
	for _, c := range name {
		h = mix(h, c)
	}
	return h
}
