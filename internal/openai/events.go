package openai

import "bytes"

// splitter finds where the events of an event stream end, over pieces that are cut anywhere. Lines end with LF, CRLF or
// CR; an empty line ends an event (HTML, section 9.2.5).
type splitter struct {
	inLine bool // the line at hand is not empty
	skipLF bool // the last byte was a CR that ended a line: an LF that follows belongs to it
}

// next gives the length of the part of b that belongs to the event at hand, with the empty line, or -1 when all of b
// does and the event goes on. What it has seen it does not look at again.
//
// An event may end with a CR at the end of b whose LF is yet to come: see lf.
func (s *splitter) next(b []byte) int {
	i := 0
	if s.skipLF && len(b) > 0 {
		s.skipLF = false
		if b[0] == '\n' {
			i = 1
		}
	}
	for i < len(b) {
		n := lineEnd(b[i:])
		if n < 0 {
			s.inLine = true
			return -1
		}
		ended := n == 0 && !s.inLine
		s.inLine = false
		cr := b[i+n] == '\r'
		i += n + 1
		if cr {
			switch {
			case i == len(b):
				s.skipLF = true
			case b[i] == '\n':
				i++
			}
		}
		if ended {
			return i
		}
	}
	return -1
}

// lf takes the LF of an event whose CR was the last byte of the piece before: it reports whether b begins with it.
func (s *splitter) lf(b []byte) bool {
	if !s.skipLF || len(b) == 0 {
		return false
	}
	s.skipLF = false
	return b[0] == '\n'
}

// lineEnd is the length of the line that b begins with, -1 when it has no end.
func lineEnd(b []byte) int {
	n := bytes.IndexByte(b, '\n')
	if n < 0 {
		return bytes.IndexByte(b, '\r')
	}
	if cr := bytes.IndexByte(b[:n], '\r'); cr >= 0 {
		return cr
	}
	return n
}

// eventData gives the data of an event: its data lines, joined by LF. One line, the usual case, is not copied.
func eventData(event []byte) []byte {
	var data []byte
	lines := 0
	for len(event) > 0 {
		line := event
		if n := lineEnd(event); n >= 0 {
			line, event = event[:n], event[n+1:]
		} else {
			event = nil
		}
		value, ok := dataLine(line)
		if !ok {
			continue
		}
		switch lines++; lines {
		case 1:
			data = value
		case 2:
			data = append(append(append(make([]byte, 0, len(data)+len(value)+1), data...), '\n'), value...)
		default:
			data = append(append(data, '\n'), value...)
		}
	}
	return data
}

// dataLine gives the value of a line of the field data.
func dataLine(line []byte) ([]byte, bool) {
	rest, ok := bytes.CutPrefix(line, []byte("data"))
	if !ok {
		return nil, false
	}
	if len(rest) == 0 {
		return rest, true
	}
	if rest[0] != ':' {
		return nil, false
	}
	return bytes.TrimPrefix(rest[1:], []byte(" ")), true
}
