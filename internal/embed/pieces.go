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
	c := cutter{table: t, dst: dst}
	for i := 0; i < len(text); {
		b := text[i]
		if b >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(text[i:])
			c.wide(text[i:i+size], r)
			i += size
			continue
		}
		i++
		if b = folded[b]; b != 0 && c.n < maxWord {
			c.word[c.n] = b
			c.n++
			continue
		}
		c.add(b)
	}
	c.divide()
	return c.dst
}

// folded gives what an ASCII character is within a word: itself, in lower case; 0 divides words.
var folded = func() (t [utf8.RuneSelf]byte) {
	for c := byte('a'); c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = c, c
	}
	for c := byte('0'); c <= '9'; c++ {
		t[c] = c
	}
	return t
}()

// cutter gathers a word and cuts it into pieces.
type cutter struct {
	table *Table
	dst   []Piece
	word  [maxWord]byte
	n     int
}

// add takes a folded character.
func (c *cutter) add(b byte) {
	if b == 0 || c.n == maxWord {
		c.divide()
	}
	if b != 0 {
		c.word[c.n] = b
		c.n++
	}
}

// wide takes a character that may be taken apart into ASCII and marks, which are left out.
func (c *cutter) wide(char string, r rune) {
	parts := norm.NFKD.PropertiesString(char).Decomposition()
	if parts == nil {
		if !unicode.Is(unicode.Mn, r) {
			c.divide()
		}
		return
	}
	for len(parts) > 0 {
		r, size := utf8.DecodeRune(parts)
		switch {
		case r < utf8.RuneSelf:
			c.add(folded[r])
		case !unicode.Is(unicode.Mn, r):
			c.divide()
		}
		parts = parts[size:]
	}
}

// divide ends the word and appends its pieces.
func (c *cutter) divide() {
	word := c.word[:c.n]
	for inside := false; len(word) > 0; inside = true {
		p, n := c.table.longestPiece(word, inside)
		c.dst, word = append(c.dst, p), word[n:]
	}
	c.n = 0
}

// longestPiece gives the longest piece that word begins with, and its length. There always is one: each letter and digit
// is a piece.
func (t *Table) longestPiece(word []byte, inside bool) (Piece, int) {
	var hashes [maxWord + 1]uint64
	most := min(len(word), t.longest)
	h := seed(inside)
	for i := range most {
		h = mix(h, word[i])
		hashes[i+1] = h
	}
	for n := most; n > 0; n-- {
		if p, ok := t.piece(hashes[n]); ok {
			return p, n
		}
	}
	return 0, len(word)
}

// A slot holds the upper bits of a piece's hash and, in the lower ones, its number + 1; 0 is a free slot. The lower bits of
// the hash say where the search for it begins, so that next to all of it is compared. That stands for comparing the name,
// which would be two more reads of memory far apart: a foreign word that meets a piece's 64 bits counts as that piece,
// which whoever made it could have written as well.
const slotPiece = 1<<16 - 1

// piece looks a piece up by its hash. The first free slot ends the search.
func (t *Table) piece(h uint64) (Piece, bool) {
	mask := uint64(len(t.slots) - 1)
	for at := h & mask; t.slots[at] != 0; at = (at + 1) & mask {
		if slot := t.slots[at]; slot&^slotPiece == h&^slotPiece {
			return Piece(slot&slotPiece - 1), true
		}
	}
	return 0, false
}

func (t *Table) insert(h uint64, i int) {
	mask := uint64(len(t.slots) - 1)
	at := h & mask
	for t.slots[at] != 0 {
		at = (at + 1) & mask
	}
	t.slots[at] = h&^slotPiece | uint64(i+1)
}

// FNV-1a, from its authors' specification (RFC 9923), begun with a letter more for pieces that go on a word.
const (
	offset64 = 0xcbf29ce484222325
	prime64  = 0x100000001b3
)

func mix(h uint64, c byte) uint64 { return (h ^ uint64(c)) * prime64 }

func seed(inside bool) uint64 {
	if inside {
		return mix(offset64, '#')
	}
	return offset64
}

func hash(name []byte, inside bool) uint64 {
	h := seed(inside)
	for _, c := range name {
		h = mix(h, c)
	}
	return h
}
