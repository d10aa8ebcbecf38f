package intent

import (
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
func (b *buffers) appendNormal(dst []byte, s string) (out []byte, hidden bool) {
	scratch := b.visible[:0]
	defer func() { b.visible = scratch }()
	wide, inWord, marks := false, false, 0
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			i++
			if c < ' ' && c != '\n' || c == 0x7F {
				c = ' '
			}
			inWord, marks = isASCIIWord(c), 0
			scratch = append(scratch, c)
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		i += size
		switch {
		case r >= tagFirst && r <= tagLast:
			hidden = true
			if c := byte(r - tagFirst); c >= ' ' && c < 0x7F {
				scratch = append(scratch, c)
			}
		case isInvisible(r):
			// A joiner between emoji or a mark at a line's start is ordinary; within an English word it is not. The
			// soft hyphen is what word processors put there.
			if inWord && r != '\u00AD' && i < len(s) && isASCIIWord(s[i]) {
				hidden = true
			}
		case r == utf8.RuneError || unicode.IsControl(r) || r >= firstLigature && r <= lastLigature:
			scratch, inWord = append(scratch, ' '), false
		case unicode.Is(unicode.Mn, r):
			if marks++; marks <= maxMarks {
				scratch, wide = utf8.AppendRune(scratch, r), true
			}
			continue
		default:
			scratch, wide, inWord = utf8.AppendRune(scratch, r), true, false
		}
		marks = 0
	}
	from := len(dst)
	if !wide {
		dst = append(dst, scratch...)
		for i := from; i < len(dst); i++ {
			if c := dst[i]; 'A' <= c && c <= 'Z' {
				dst[i] = c + 'a' - 'A'
			}
		}
		return dst, hidden
	}
	// Lower case comes after NFKC, which makes capitals of letters such as U+1D400.
	b.plain = norm.NFKC.Append(b.plain[:0], scratch...)
	for i := 0; i < len(b.plain); {
		r, size := utf8.DecodeRune(b.plain[i:])
		dst = utf8.AppendRune(dst, unicode.ToLower(r))
		i += size
	}
	return dst, hidden
}

func isASCIIWord(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

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
	solid, encoded, run := 0, 0, 0
	for i := 0; i <= len(text); i++ {
		if i < len(text) {
			c := text[i]
			if c != ' ' && c != '\n' {
				solid++
			}
			if isASCIIWord(c) || c == '+' || c == '/' || c == '=' || c == '_' || c == '-' || c == '%' {
				run++
				continue
			}
		}
		if run >= long {
			encoded += run
		}
		run = 0
	}
	return encoded*2 > solid
}
