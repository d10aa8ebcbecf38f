package openai

import "bytes"

// pruner copies a JSON object without what its member "data" holds, and counts the elements there: pictures and vectors
// are by far the larger part of answers that have them, and say nothing of their price. It takes pieces that are cut
// anywhere. Of an object that is not JSON it copies what it does not take for data.
type pruner struct {
	elements int64

	depth    int
	inString bool
	escaped  bool
	name     []byte // at depth 1: the string at hand, as far as it can be "data"
	isData   bool   // the last string at depth 1 was "data"
	in       bool   // in the value of data
	filled   bool   // the element at hand of data has begun
}

// append copies what matters of a piece to dst.
func (p *pruner) append(dst, piece []byte) []byte {
	for i := 0; i < len(piece); i++ {
		if p.in && p.inString && !p.escaped { // pictures are long strings
			n := bytes.IndexByte(piece[i:], '"')
			if n < 0 {
				n = len(piece) - i
			}
			if slash := bytes.IndexByte(piece[i:i+n], '\\'); slash >= 0 {
				n = slash
			}
			if i += n; i == len(piece) {
				break
			}
		}
		if was := p.in; p.step(piece[i]) || !was || !p.in {
			dst = append(dst, piece[i])
		}
	}
	return dst
}

// step takes one byte, and reports whether it is to be copied although it stands in data.
func (p *pruner) step(c byte) bool {
	if p.inString {
		p.stringByte(c)
		return false
	}
	switch c {
	case '"':
		p.inString = true
		p.name = p.name[:0]
		p.fill()
	case '{', '[':
		if p.depth == 1 && p.isData && c == '[' {
			p.in, p.filled = true, false
			p.depth++
			return true
		}
		p.fill()
		p.depth++
	case '}', ']':
		if p.depth--; p.in && p.depth == 1 {
			p.close()
		}
		p.isData = false
	case ',':
		if p.in && p.depth == 2 {
			p.close()
			p.in = true
		}
		if p.depth == 1 {
			p.isData = false
		}
	case ':', ' ', '\t', '\n', '\r':
	default:
		p.fill()
	}
	return false
}

func (p *pruner) stringByte(c byte) {
	switch {
	case p.escaped:
		p.escaped = false
	case c == '\\':
		p.escaped = true
	case c == '"':
		p.inString = false
		if p.depth == 1 {
			p.isData = string(p.name) == "data"
		}
		return
	}
	if len(p.name) <= len("data") {
		p.name = append(p.name, c)
	}
}

// fill notes that an element of data has begun.
func (p *pruner) fill() {
	if p.in && p.depth == 2 {
		p.filled = true
	}
}

// close ends an element of data, and data with it.
func (p *pruner) close() {
	if p.filled {
		p.elements++
	}
	p.filled, p.in = false, false
}
