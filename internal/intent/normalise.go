package intent

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Tag characters mirror ASCII at this offset and are drawn by nothing: text in them reaches the model and no reader.
// Source: The Unicode Standard, "Tags", U+E0000 to U+E007F.
const (
	tagFirst = 0xE0000
	tagLast  = 0xE007F
)

// Text that is made to be slow to normalise: long rows of marks on one letter, which have to be sorted, and Arabic words
// in one character (U+FDF0 to U+FDFD), which grow to eighteen.
const (
	maxMarks      = 4
	firstLigature = 0xFDF0
	lastLigature  = 0xFDFD
)

// buffers are what appendNormal works in, kept from one call to the next.
type buffers struct{ visible, plain []byte }

// appendNormal appends s as a model reads it: compatibility forms undone (NFKC), lower case, invisible and
// direction-changing characters removed, tag characters decoded, control characters and bad UTF-8 as spaces. hidden
// reports tag characters anywhere, and invisible ones within a word, where no script that is scored needs them.
//
// Text is ASCII for the most part, which normalises byte by byte. The rest goes in stretches, each from the ASCII
// character before, to which marks may belong, up to the next that none of what is before can change.
func (b *buffers) appendNormal(dst []byte, s string) (out []byte, hidden bool) {
	for i := 0; ; {
		var plain int
		if dst, plain = appendPlain(dst, s[i:]); i+plain == len(s) {
			return dst, hidden
		}
		from := i
		if plain > 0 {
			from, dst = i+plain-1, dst[:len(dst)-1]
		}
		var wide, h bool
		i, wide, h = b.readVisible(s, from)
		hidden = hidden || h
		if wide {
			dst = b.appendNFKC(dst)
		} else {
			dst = appendLower(dst, b.visible)
		}
	}
}

// longPlain is how many ASCII characters in a row end a stretch: fewer are not worth to begin another.
const longPlain = 16

// readVisible puts into b.visible what is seen of the stretch of s from i on, and gives where it ends. wide reports that
// some of it is not ASCII, hidden what appendNormal does.
func (b *buffers) readVisible(s string, i int) (end int, wide, hidden bool) {
	visible := b.visible[:0]
	inWord, marks := false, 0
	for i < len(s) {
		if s[i] < utf8.RuneSelf {
			n := asciiPrefix(s[i:])
			if n >= longPlain {
				break
			}
			visible = append(visible, s[i:i+n]...)
			i += n
			inWord, marks = isASCIIWord(s[i-1]), 0
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		i += size
		switch {
		case r >= tagFirst && r <= tagLast:
			hidden = true
			if c := byte(r - tagFirst); c >= ' ' && c < 0x7F {
				visible = append(visible, c)
			}
		case isInvisible(r):
			// A joiner between emoji or a mark at a line's start is ordinary; within an English word it is not. The
			// soft hyphen is what word processors put there.
			if inWord && r != '\u00AD' && i < len(s) && isASCIIWord(s[i]) {
				hidden = true
			}
		case r == utf8.RuneError || unicode.IsControl(r) || r >= firstLigature && r <= lastLigature:
			visible, inWord = append(visible, ' '), false
		case unicode.Is(unicode.Mn, r):
			if marks++; marks <= maxMarks {
				visible, wide = utf8.AppendRune(visible, r), true
			}
			continue
		default:
			visible, wide, inWord = utf8.AppendRune(visible, r), true, false
		}
		marks = 0
	}
	b.visible = visible
	return i, wide, hidden
}

// appendNFKC appends b.visible with its compatibility forms undone and in lower case, in this order: NFKC makes capitals
// of letters such as U+1D400.
func (b *buffers) appendNFKC(dst []byte) []byte {
	b.plain = norm.NFKC.Append(b.plain[:0], b.visible...)
	for i := 0; i < len(b.plain); {
		if c := b.plain[i]; c < utf8.RuneSelf {
			dst = append(dst, lower[c])
			i++
			continue
		}
		r, size := utf8.DecodeRune(b.plain[i:])
		dst = utf8.AppendRune(dst, unicode.ToLower(r))
		i += size
	}
	return dst
}

// appendPlain appends the ASCII that s begins with as appendLower does, and gives its length.
func appendPlain(dst []byte, s string) (out []byte, n int) {
	from := len(dst)
	dst = slices.Grow(dst, len(s))[:from+len(s)]
	to := dst[from:]
	for ; n+8 <= len(s); n += 8 {
		w := load(s[n:])
		if w&highs != 0 {
			break
		}
		// Seven bits each: what is added to a character shows in its eighth bit and goes no further.
		capital := (w + ones*(0x80-'A')) &^ (w + ones*(0x80-'Z'-1)) & highs
		control := ^(w + ones*(0x80-' ')) | (w + ones)
		if control &= (w ^ ones*'\n') + ones*0x7F; control&highs != 0 { // a line's end is none of them
			for i := n; i < n+8; i++ {
				to[i] = lower[s[i]]
			}
			continue
		}
		binary.LittleEndian.PutUint64(to[n:], w|capital>>2) // 0x80>>2 is what tells small letters from capitals
	}
	for ; n < len(s) && s[n] < utf8.RuneSelf; n++ {
		to[n] = lower[s[n]]
	}
	return dst[:from+n], n
}

// Eight characters at once, in the bytes of a word.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// load gives the first eight bytes of s.
func load(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// appendLower appends s, which is ASCII, in lower case and with control characters as spaces.
func appendLower(dst, s []byte) []byte {
	from := len(dst)
	dst = append(dst, s...)
	for i, c := range dst[from:] {
		dst[from+i] = lower[c]
	}
	return dst
}

// lower gives what an ASCII character is read as.
var lower = func() (lower [256]byte) {
	for i := range lower {
		switch c := byte(i); {
		case c < ' ' && c != '\n' || c == 0x7F:
			lower[i] = ' '
		case 'A' <= c && c <= 'Z':
			lower[i] = c + 'a' - 'A'
		default:
			lower[i] = c
		}
	}
	return lower
}()

// asciiPrefix gives how many bytes s begins with that are ASCII.
func asciiPrefix(s string) int {
	i := 0
	for i+8 <= len(s) && load(s[i:])&highs == 0 {
		i += 8
	}
	for i < len(s) && s[i] < utf8.RuneSelf {
		i++
	}
	return i
}

func isASCIIWord(c byte) bool { return asciiWord[c] }

// asciiWord are the letters and digits.
var asciiWord = func() (set [256]bool) {
	for i := range set {
		c := byte(i)
		set[i] = 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
	}
	return set
}()

// isInvisible reports characters that change nothing that a reader sees of English text: default ignorable code points
// (Unicode Standard Annex 44) and the controls of direction (Annex 9).
func isInvisible(r rune) bool {
	switch {
	case r == 0x00AD, r == 0x034F, r == 0x061C, r == 0x115F, r == 0x1160, r == 0x180E, r == 0x3164, r == 0xFEFF, r == 0xFFA0,
		r >= 0x200B && r <= 0x200F, r >= 0x202A && r <= 0x202E, r >= 0x2060 && r <= 0x206F, r >= 0xFE00 && r <= 0xFE0F,
		r >= 0xFFF9 && r <= 0xFFFB, r >= 0xE0100 && r <= 0xE01EF:
		return true
	}
	return false
}

// clip gives at most n bytes of s, the first three quarters of them from its start and the rest from its end: an
// instruction stands at one of the two. It may cut a character in half, which is then read as a space.
func clip(s string, n int) (head, tail string) {
	if len(s) <= n {
		return s, ""
	}
	return s[:n-n/4], s[len(s)-n/4:]
}

// mostlyEncoded reports whether more than half of text stands in long unbroken runs, as of base64 or hexadecimal.
func mostlyEncoded(text []byte) bool {
	const long = 48
	encoded := 0
	for from := 0; from+long <= len(text); {
		// from is where a run may begin. Whether it is long shows at its far end: in prose a break is near it, and most
		// of what is before need not be looked at.
		at := from + long - 1
		for at >= from && unbroken[text[at]] {
			at--
		}
		if at >= from {
			from = at + 1
			continue
		}
		end := from + long
		for end < len(text) && unbroken[text[end]] {
			end++
		}
		encoded += end - from
		from = end + 1
	}
	if encoded == 0 {
		return false
	}
	solid := len(text) - bytes.Count(text, []byte{' '}) - bytes.Count(text, []byte{'\n'})
	return encoded*2 > solid
}

// unbroken are the characters of encoded text.
var unbroken = func() (set [256]bool) {
	for i := range set {
		set[i] = isASCIIWord(byte(i)) || strings.IndexByte("+/=_-%", byte(i)) >= 0
	}
	return set
}()
