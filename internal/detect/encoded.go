package detect

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
	"unicode/utf8"
)

// Bounds on what is decoded of one prompt, whatever it holds.
const (
	maxDepth   = 3       // encodings around one another
	maxDecoded = 1 << 20 // bytes, all together
	minRun     = 20      // characters of base 64 or hexadecimal that can hold a phrase
	minLine    = 40      // of a line that goes on in the next
	minEscapes = 6       // of single characters, in a text
	minStretch = 4       // of them in a stretch of it
	minRotated = 2       // words of the vocabulary in ROT13
	maxApart   = 24      // bytes between two escapes of one text
	tasteSize  = 24      // characters that are decoded to see whether text comes out
)

// encodings finds what is encoded in s, decodes it and scans that. seen is what the reader of words met in it.
func (c *scan) encodings(s string, seen signs, depth int) {
	c.runs(s, depth)
	if seen.escapes >= minEscapes {
		c.unescape(s, depth)
	}
	if seen.rotated >= minRotated && c.pay(len(s)) {
		c.text(rot13(s), depth+1)
	}
}

// pay takes n bytes from what may be decoded. Where that is not left, some of the text stays unseen, which is a finding.
func (c *scan) pay(n int) bool {
	if c.decoded += n; c.decoded > maxDecoded {
		c.flooded = true
		return false
	}
	return true
}

var runBytes = newSet(base62 + "+/-_")

// runs finds rows of the characters of base 64, of which hexadecimal digits are some. Whether a row is long shows at its far
// end: in prose a space is near it, and most of what is before need not be looked at.
func (c *scan) runs(s string, depth int) {
	for from := 0; from+minRun <= len(s); {
		at := from + minRun - 1
		for at >= from && runBytes[s[at]] {
			at--
		}
		if at >= from {
			from = at + 1
			continue
		}
		end := runEnd(s, from+minRun)
		c.run(s[from:end], depth)
		from = end + 1
	}
}

// runEnd is where a row ends, lines that are filled and go on among it.
func runEnd(s string, at int) int {
	line := at - minRun
	for at < len(s) {
		if runBytes[s[at]] {
			at++
			continue
		}
		next := at
		for next < len(s) && (s[next] == '\n' || s[next] == '\r') {
			next++
		}
		if next == at || at-line < minLine || next == len(s) || !runBytes[s[next]] {
			return at
		}
		at, line = next, next
	}
	return at
}

// run decodes one row, if text comes out.
func (c *scan) run(row string, depth int) {
	c.buffer = c.buffer[:0]
	letters := false
	for i := range len(row) {
		switch b := row[i]; b {
		case '\n', '\r':
		case '-':
			c.buffer = append(c.buffer, '+')
		case '_':
			c.buffer = append(c.buffer, '/')
		default:
			letters = letters || !hexDigits[b]
			c.buffer = append(c.buffer, b)
		}
		if i == 4*tasteSize && !c.tastes(letters) { // most long rows are no text: pictures, keys
			return
		}
		if len(c.buffer) > 2*maxDecoded {
			c.flooded = true
			break
		}
	}
	if !c.tastes(letters) || !c.pay(len(c.buffer)*3/4) {
		return
	}
	if !letters {
		n, _ := hex.Decode(c.buffer, c.buffer[:len(c.buffer)&^1])
		c.text(string(c.buffer[:n]), depth+1)
		return
	}
	n, _ := base64.RawStdEncoding.Decode(c.buffer, c.buffer)
	c.text(string(c.buffer[:n]), depth+1)
}

// tastes reports whether text comes out of the beginning of a row: letters and what stands between them.
func (c *scan) tastes(letters bool) bool {
	var out [tasteSize]byte
	from := c.buffer[:min(len(c.buffer), tasteSize)]
	if !letters {
		n, _ := hex.Decode(out[:], from[:len(from)&^1])
		return texty(out[:n])
	}
	n, _ := base64.RawStdEncoding.Decode(out[:], from[:len(from)&^3])
	return texty(out[:n])
}

// texty reports whether bytes look like text, or like text that is encoded once more.
func texty(b []byte) bool {
	plain := 0
	for _, c := range b {
		if c >= ' ' && c < 0x7F || c == '\n' || c == '\t' || c == '\r' {
			plain++
		}
	}
	return len(b) >= 8 && plain*10 >= len(b)*9
}

// unescape undoes escapes of single characters: %69, \x69, \u0069, &#105;, &#x69;. It takes the stretches in which there are
// several, close to one another, with what stands around them; the rest was read as it stands.
func (c *scan) unescape(s string, depth int) {
	out := c.buffer[:0]
	from, in := 0, 0      // where the stretch begins in out, and how many escapes are in it
	last := -2 * maxApart // where the last escape ended
	for i := 0; i < len(s) && len(out) <= maxDecoded; {
		r, n := escape(s[i:])
		if n == 0 {
			i++
			continue
		}
		if i < last+2*maxApart {
			out = append(out, s[last:i]...)
		} else {
			if in < minStretch {
				out = out[:from]
			} else {
				out = append(out, s[last:last+maxApart]...)
			}
			from, in = len(out), 0
			out = append(append(out, '\n'), s[max(0, i-maxApart):i]...)
		}
		if s[i] == '%' || s[i+1] == 'x' { // a byte of UTF-8
			out = append(out, byte(r))
		} else {
			out = utf8.AppendRune(out, r)
		}
		i += n
		last = i
		in++
	}
	if in < minStretch {
		out = out[:from]
	} else {
		out = append(out, s[last:min(len(s), last+maxApart)]...)
	}
	c.buffer = out
	if len(out) > 0 && c.pay(len(out)) {
		c.text(string(out), depth+1)
	}
}

// escape reads an escape that s begins with, n is 0 for none.
func escape(s string) (r rune, n int) {
	switch {
	case len(s) >= 3 && s[0] == '%':
		return hexRune(s, 1, 2, 0)
	case len(s) >= 4 && s[0] == '\\' && s[1] == 'x':
		return hexRune(s, 2, 2, 0)
	case len(s) >= 6 && s[0] == '\\' && s[1] == 'u':
		return hexRune(s, 2, 4, 0)
	case len(s) >= 5 && s[0] == '&' && s[1] == '#':
		return entity(s)
	}
	return 0, 0
}

// hexRune reads n hexadecimal digits from a place on, and then skips more bytes.
func hexRune(s string, at, n, more int) (rune, int) {
	r := rune(0)
	for i := at; i < at+n; i++ {
		v, ok := hexValue(s[i])
		if !ok {
			return 0, 0
		}
		r = r<<4 | rune(v)
	}
	return r, at + n + more
}

func hexValue(c byte) (byte, bool) {
	switch {
	case digit(c):
		return c - '0', true
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10, true
	}
	return 0, false
}

// entity reads a numeric character reference of HTML, of at most six digits.
func entity(s string) (rune, int) {
	end := strings.IndexByte(s[:min(len(s), 10)], ';')
	switch {
	case end < 3:
		return 0, 0
	case s[2]|0x20 == 'x' && end > 3:
		return hexRune(s, 3, end-3, 1)
	}
	r := rune(0)
	for _, c := range []byte(s[2:end]) {
		if !digit(c) {
			return 0, 0
		}
		r = r*10 + rune(c-'0')
	}
	return r, end + 1
}
