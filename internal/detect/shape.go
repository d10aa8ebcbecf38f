package detect

import (
	"strconv"
	"strings"
)

// step is a part of a shape: a literal, or a run of bytes of one alphabet.
type step struct {
	literal     string
	of          *set
	least, most int
}

// parseShape reads a shape: words parted by spaces, each a quoted literal ('.') or the letter of an alphabet with the number
// of bytes of it (h64, n20-40). Shapes are written in this package; a wrong one is a fault that the first test shows.
func parseShape(text string) []step {
	var steps []step
	for _, word := range strings.Fields(text) {
		if literal, ok := strings.CutPrefix(word, "'"); ok {
			steps = append(steps, step{literal: literal})
			continue
		}
		least, most, ranged := strings.Cut(word[1:], "-")
		if !ranged {
			most = least
		}
		from, err1 := strconv.Atoi(least)
		to, err2 := strconv.Atoi(most)
		if sets[word[0]] == nil || err1 != nil || err2 != nil || from > to {
			panic("detect: wrong shape " + text)
		}
		steps = append(steps, step{of: sets[word[0]], least: from, most: to})
	}
	return steps
}

const (
	// maxBody is how much is kept of what a shape reads, in bytes; what is longer is judged by its beginning.
	maxBody = 512
	// maxJoins is over how many line ends one secret may stretch, and maxJoin how much may stand between two pieces of it.
	maxJoins = 24
	maxJoin  = 48
	// minPiece is how much of a secret stands before its first line end at least.
	minPiece = 4
)

// reader reads one secret at one place of a text.
type reader struct {
	s     string
	at    int
	body  [maxBody]byte // what was read, without what joins its pieces
	n     int
	lead  int // bytes of the anchor
	joins int
	spent int // bytes looked at, over all secrets of a text
}

// begin puts the reader to the place behind an anchor of lead bytes.
func (r *reader) begin(s string, at, lead int) {
	r.s, r.at, r.lead, r.n, r.joins = s, at, lead, 0, 0
}

// read goes over steps. It reports whether they fit and end where a token ends: bytes of the last run's alphabet do not go on.
func (r *reader) read(steps []step) bool {
	for i := range steps {
		st := &steps[i]
		if st.of == nil {
			if !r.literal(st.literal) {
				return false
			}
			continue
		}
		until := byte(0)
		if i+1 < len(steps) && steps[i+1].of == nil {
			until = steps[i+1].literal[0]
		}
		if n := r.run(st, until); n < st.least {
			return false
		}
	}
	return r.ends(steps[len(steps)-1].of)
}

// ends reports whether a token ends here whose last run is of an alphabet. The dot of a sentence is no part of it.
func (r *reader) ends(of *set) bool {
	if of == nil || r.at == len(r.s) {
		return true
	}
	c := r.s[r.at]
	return !alphanumeric(c) && (!of[c] || c == '.') || of['='] && r.s[r.at-1] == '='
}

// run reads up to most bytes of an alphabet. Beyond a line's end it goes on as long as the run is too short to be one, or has
// not come to what must follow it.
func (r *reader) run(st *step, until byte) (n int) {
	for n < st.most {
		switch {
		case r.at < len(r.s) && st.of[r.s[r.at]]:
			r.keep(r.s[r.at])
			n++
		case r.at < len(r.s) && until != 0 && r.s[r.at] == until:
			return n
		case (n < st.least || until != 0) && r.join(st.of):
		default:
			return n
		}
	}
	return n
}

func (r *reader) literal(text string) bool {
	for i := range len(text) {
		if r.at == len(r.s) || r.s[r.at] != text[i] {
			if !r.join(&singles[text[i]]) {
				return false
			}
		}
		r.keep(text[i])
	}
	return true
}

// singles are the alphabets of one byte.
var singles = func() (out [256]set) {
	for c := range out {
		out[c][c] = true
	}
	return out
}()

func (r *reader) keep(c byte) {
	if r.n < maxBody {
		r.body[r.n] = c
		r.n++
	}
	r.at++
	r.spent++
}

// join goes to where a secret goes on that was split: over a line's end, as text or as an escape in JSON, or over the end
// of one string literal and the beginning of the next. It stays where it is if no byte of the alphabet follows.
func (r *reader) join(of *set) bool {
	next := r.joined(of)
	if next == 0 {
		return false
	}
	r.at = next
	r.joins++
	return true
}

// joints may stand between two pieces of a secret: what parts and joins string literals, and what quotes lines.
var joints = newSet(" \t\r+.&>|(),#_")

// joined is where what may stand between two pieces ends and a byte of the alphabet follows, 0 where that is not so.
func (r *reader) joined(of *set) int {
	if r.lead+r.n < minPiece || r.joins == maxJoins {
		return 0
	}
	lines, quotes := 0, 0
	end := min(len(r.s), r.at+maxJoin)
	for i := r.at; i < end; i++ {
		r.spent++
		c := r.s[i]
		parted := lines > 0 && quotes == 0 || quotes >= 2
		switch {
		case parted && of[c]:
			return i
		case c == '\n':
			lines++
		case c == '"' || c == '\'' || c == '`':
			quotes++
		case c == '\\': // an escape; one of them may be escaped again
			if i+1 == end {
				return 0
			}
			switch r.s[i+1] {
			case 'n', 'r':
				lines++
				i++
			case 't':
				i++
			}
		case joints[c] && (c != '_' && c != ',' || quotes > 0 || lines > 0):
		default:
			return 0
		}
	}
	return 0
}

// boundary reports whether a token may begin at a place: after what is no letter or digit, or after an escape that ends in
// one (\n, %3D, \u003d).
func boundary(s string, at int) bool {
	if at == 0 || !alphanumeric(s[at-1]) {
		return true
	}
	switch {
	case at >= 2 && s[at-2] == '\\' && strings.IndexByte("nrtbf", s[at-1]) >= 0:
		return true
	case at >= 3 && s[at-3] == '%' && hexDigits[s[at-2]] && hexDigits[s[at-1]]:
		return true
	case at >= 6 && s[at-6] == '\\' && s[at-5] == 'u':
		return hexDigits[s[at-4]] && hexDigits[s[at-3]] && hexDigits[s[at-2]] && hexDigits[s[at-1]]
	}
	return false
}
