package detect

import "unicode/utf8"

// maxWord is the length of a word that can be one of the vocabulary; what is longer is none.
const maxWord = 20

// lowered gives what an ASCII byte counts as within a word: its small letter, or for a digit the letter that it is written
// in place of (1gn0re). 0: no part of a word.
var lowered = func() (t [256]byte) {
	for c := byte('a'); c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = c, c
	}
	for i, c := range []byte("oizeasbtbg") {
		t['0'+i] = c
	}
	return t
}()

// wordReader cuts a text into words as a model reads them: in small letters, without what is not seen, with letters of other
// scripts that look like Latin ones as those. It tells what it had to undo.
type wordReader struct {
	word    [maxWord]byte
	n       int
	hash    uint32
	letters bool // one of the word's letters is ASCII
	wide    bool // one is not
	alien   bool // one is of another script
	hidden  hidden
}

// hidden counts what of a text a reader does not see, or sees as something else.
type hidden struct {
	zeroWidth int // characters without width within words
	longest   int // the most of them in a row
	overrides int // of the direction of writing
	selectors int // variation selectors that select nothing
	tags      int // tag characters outside of flags
	mixed     int // words of letters of two scripts that look alike

	text []byte // what tags and selectors spell

	row    int  // characters without width in a row, of which the last ends at rowEnd
	inFlag bool // within a flag that is spelt in tags
	// Where the last such character, variation selector, and ideograph, which has variants, ended.
	rowEnd, vsEnd, hanEnd int
}

// The characters that matter, by the Unicode Standard.
const (
	tagFirst, tagLast = 0xE0000, 0xE007F // Tags
	tagCancel         = 0xE007F
	blackFlag         = 0x1F3F4          // begins a flag that is spelt in tags
	vsFirst, vsLast   = 0xFE00, 0xFE0F   // Variation Selectors
	vsxFirst, vsxLast = 0xE0100, 0xE01EF // Variation Selectors Supplement
	maxHidden         = 16 << 10         // bytes of hidden text that are kept
)

// rune takes a character that is not ASCII and stands from at to end; next is the byte after it, 0 at the end of the text. It
// reports whether the word ends here.
func (w *wordReader) rune(r rune, at, end int, next byte) (ends bool) {
	h := &w.hidden
	switch {
	case r >= tagFirst && r <= tagLast:
		h.tag(r)
		return false
	case r >= vsFirst && r <= vsLast:
		h.selector(byte(r-vsFirst), at > 0 && h.vsEnd == at)
		h.vsEnd = end
		return false
	case r >= vsxFirst && r <= vsxLast:
		h.selector(byte(r-vsxFirst+16), h.hanEnd != at)
		h.vsEnd = end
		return false
	}
	h.inFlag = r == blackFlag
	if r >= 0x3400 && r <= 0x9FFF || r >= 0x20000 && r <= 0x323AF || r >= 0xF900 && r <= 0xFAFF {
		h.hanEnd = end
	}
	switch {
	case zeroWidth(r):
		if h.rowEnd != at {
			h.row = 0
		}
		h.row, h.rowEnd = h.row+1, end
		h.longest = max(h.longest, h.row)
		if w.letters && lowered[next] != 0 {
			h.zeroWidth++
		}
		return false
	case r == 0x202D || r == 0x202E:
		h.overrides++
		return true
	case r >= 0x300 && r <= 0x36F, r == 0xAD, r == 0x2019: // marks on a letter, soft hyphens, an apostrophe
		return false
	}
	c, script := latin(r)
	if c == 0 {
		return true
	}
	w.wide, w.alien = true, w.alien || script
	w.add(c)
	return false
}

// zeroWidth reports characters that take no room: spaces and joiners of width zero, marks of direction, fillers.
func zeroWidth(r rune) bool {
	return r >= 0x200B && r <= 0x200F || r >= 0x2060 && r <= 0x206F || r == 0xFEFF || r == 0x180E || r == 0x034F ||
		r == 0x115F || r == 0x1160 || r == 0x3164 || r == 0xFFA0 || r == 0x202A || r == 0x202B || r == 0x202C
}

func (h *hidden) tag(r rune) {
	if h.inFlag {
		h.inFlag = r != tagCancel
		return
	}
	h.tags++
	if c := byte(r - tagFirst); c >= ' ' && c < 0x7F {
		h.spell(c)
	}
}

// selector takes a variation selector and what it spells where text is hidden in selectors, one byte in each (the first 16
// values are in the older block). One after a character that has variants, or after an emoji, is an ordinary one.
func (h *hidden) selector(value byte, odd bool) {
	if odd {
		h.selectors++
	}
	if odd || value >= 16 {
		h.spell(value)
	}
}

func (h *hidden) spell(c byte) {
	if len(h.text) < maxHidden {
		h.text = append(h.text, c)
	}
}

// ordinary gives the length of the word that s begins with where all of it is ASCII and no word of the vocabulary has its
// length, first and last letter, else 0. Most words of most texts are so, and need not be read.
func ordinary(s string) int {
	n := 0
	for n < len(s) && lowered[s[n]] != 0 {
		n++
	}
	if n == 0 || n < len(s) && (s[n] >= utf8.RuneSelf || s[n] == '\'') {
		return 0
	}
	if n <= maxWord && vocabulary.shapes[n][lowered[s[0]]&31]>>(lowered[s[n-1]]&31)&1 != 0 {
		return 0
	}
	return n
}

// plain takes the letters and digits of ASCII that s begins with, and gives how many those are.
func (w *wordReader) plain(s string) int {
	n, hash, letters := w.n, w.hash, w.letters
	for i := range len(s) {
		b := s[i]
		c := lowered[b]
		if c == 0 {
			w.n, w.hash, w.letters = n, hash, letters
			return i
		}
		if n < maxWord {
			w.word[n] = c
		}
		n++
		hash = hash*31 + uint32(c)
		letters = letters || b > '9'
	}
	w.n, w.hash, w.letters = n, hash, letters
	return len(s)
}

func (w *wordReader) add(c byte) {
	if w.n < maxWord {
		w.word[w.n] = c
	}
	w.n++
	w.hash = w.hash*31 + uint32(c)
}

// end gives what the word is, and begins the next.
func (w *wordReader) end() class {
	if w.n == 0 {
		return 0
	}
	var found class
	if w.n <= maxWord && (w.letters || w.wide) {
		found = vocabulary.find(w.hash, w.word[:w.n])
	}
	if w.alien && w.letters && w.n >= 3 {
		w.hidden.mixed++
	}
	w.n, w.hash, w.letters, w.wide, w.alien = 0, 0, false, false, false
	return found
}

// latin gives the small Latin letter that a letter is read as, 0 for none; script reports that it is of another script and
// only looks like it. Sources: Unicode's confusables (UTS 39) for Cyrillic and Greek, NFKC for the others.
func latin(r rune) (c byte, script bool) {
	switch {
	case r >= 0xC0 && r <= 0xFF:
		return latin1[r-0xC0], false
	case r >= 0x391 && r <= 0x3C9:
		c = greek[r-0x391]
		return c, c != 0 && (r < 0x3B1 || r == 'ο') // the others are in formulas beside Latin ones
	case r >= 0x400 && r <= 0x4FF:
		c = cyrillic[r-0x400]
		return c, c != 0
	case r >= 0xFF21 && r <= 0xFF3A:
		return byte(r-0xFF21) + 'a', false
	case r >= 0xFF41 && r <= 0xFF5A:
		return byte(r-0xFF41) + 'a', false
	case r >= 0x1D400 && r <= 0x1D6A3: // mathematical alphabets, each of 52 letters
		return byte((r-0x1D400)%26) + 'a', false
	case r >= 0x24B6 && r <= 0x24E9: // letters in circles
		return byte((r-0x24B6)%26) + 'a', false
	case r >= 0x1F130 && r <= 0x1F149, r >= 0x1F150 && r <= 0x1F169, r >= 0x1F170 && r <= 0x1F189: // in squares
		return byte((r-0x1F130)%32) + 'a', false
	}
	return 0, false
}

// latin1 are the letters from U+00C0 to U+00FF without their marks, a dot for none.
var latin1 = plain("aaaaaa.ceeeeiiii.nooooo.ouuuuy..aaaaaa.ceeeeiiii.nooooo.ouuuuy.y")

// greek are the letters from U+0391 to U+03C9 that look like Latin ones.
var greek = lookalikes(0x391, 0x3C9, map[rune]byte{
	'Α': 'a', 'Β': 'b', 'Ε': 'e', 'Ζ': 'z', 'Η': 'h', 'Ι': 'i', 'Κ': 'k', 'Μ': 'm', 'Ν': 'n', 'Ο': 'o', 'Ρ': 'p', 'Τ': 't',
	'Υ': 'y', 'Χ': 'x', 'α': 'a', 'ι': 'i', 'κ': 'k', 'ν': 'v', 'ο': 'o', 'ρ': 'p', 'υ': 'u',
})

// cyrillic are the letters from U+0400 to U+04FF that look like Latin ones.
var cyrillic = lookalikes(0x400, 0x4FF, map[rune]byte{
	'А': 'a', 'В': 'b', 'Е': 'e', 'К': 'k', 'М': 'm', 'Н': 'h', 'О': 'o', 'Р': 'p', 'С': 'c', 'Т': 't', 'У': 'y', 'Х': 'x',
	'Ѕ': 's', 'І': 'i', 'Ј': 'j', 'а': 'a', 'е': 'e', 'о': 'o', 'р': 'p', 'с': 'c', 'у': 'y', 'х': 'x', 'ѕ': 's', 'і': 'i',
	'ј': 'j', 'һ': 'h', 'ԁ': 'd', 'ё': 'e', 'ї': 'i', 'к': 'k', 'ӏ': 'l',
})

func plain(letters string) []byte {
	b := []byte(letters)
	for i, c := range b {
		if c == '.' {
			b[i] = 0
		}
	}
	return b
}

func lookalikes(first, last rune, of map[rune]byte) []byte {
	b := make([]byte, last-first+1)
	for r, c := range of {
		if r >= first && r <= last {
			b[r-first] = c
		}
	}
	return b
}

// begin forgets the text before.
func (w *wordReader) begin() {
	text := w.hidden.text[:0]
	*w = wordReader{}
	w.hidden.text = text
}

// decode is the character at a place that is not ASCII, its length, and the byte after it.
func decode(s string, i int) (r rune, size int, next byte) {
	r, size = utf8.DecodeRuneInString(s[i:])
	if i+size < len(s) {
		next = s[i+size]
	}
	return r, size, next
}
