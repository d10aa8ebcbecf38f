package openai

import "bytes"

// stream lets an event stream pass, event by event.
type stream struct {
	answer  *Answer
	most    int // length of an event whose end is awaited
	split   splitter
	kept    []byte // the event whose end has not arrived
	spare   []byte // takes turns with kept, which what is forwarded may be part of
	built   []byte // what had to be put together to be forwarded
	long    bool   // the event at hand is too long: it passes unread
	dropped bool   // the last whole event was taken out
	begun   bool   // something was forwarded
	endedCR bool   // a piece that was given to be forwarded ended with a CR
}

// write reads the events that are whole, and holds the rest back. What it gives is valid until the next call.
func (s *stream) write(chunk []byte, end bool) (forward []byte, changed bool) {
	if cap(s.spare) > maxEvent { // what was forwarded of it is gone
		s.spare = nil
	}
	in, from := chunk, 0
	held := len(s.kept) > 0
	if held {
		from = len(s.kept)
		s.kept = append(s.kept, chunk...)
		in = s.kept
	}
	s.built = s.built[:0]
	start, done := 0, 0          // in[:start] was read, in[:done] is in built or was taken out
	if !held && s.split.lf(in) { // the LF of the last event goes where the event went
		if start = 1; s.dropped {
			done = 1
		}
	}
	for at := max(start, from); ; at = start {
		n := s.split.next(in[at:])
		if n < 0 {
			break
		}
		if s.dropped = s.event(in[start : at+n]); s.dropped {
			s.built = append(s.built, in[done:start]...)
			done = at + n
		}
		start = at + n
	}
	switch rest := in[start:]; {
	case end && len(rest) > 0: // no empty line after the last event
		if s.event(rest) {
			s.built = append(s.built, in[done:start]...)
			done = len(in)
		}
		start = len(in)
	case s.long || len(rest) > s.most:
		s.long = s.long || len(rest) > 0
		s.answer.out.frame(int64(len(rest)))
		start = len(in)
	}
	if rest := in[start:]; held || len(rest) > 0 {
		s.spare = append(s.spare[:0], rest...)
		s.kept, s.spare = s.spare, s.kept
		changed = true
	}
	if done > 0 {
		s.built = append(s.built, in[done:max(start, done)]...)
		return s.built, true
	}
	return in[:start], changed
}

// event reads one event, and reports whether it is to be taken out.
func (s *stream) event(event []byte) (drop bool) {
	if s.long {
		s.long = false
		s.answer.out.frame(int64(len(event)))
		return false
	}
	if !s.begun {
		event = bytes.TrimPrefix(event, []byte("\xef\xbb\xbf"))
	}
	data := eventData(event)
	switch {
	case len(data) == 0:
		return false
	case bytes.HasPrefix(data, []byte("[DONE]")):
		s.answer.whole = true
		return false
	}
	doc := &s.answer.doc
	if err := doc.event(data); err != nil {
		s.answer.out.raw(data)
		return false
	}
	return s.answer.o.StripUsage && doc.sawUsage && doc.noChoices
}

// sent notes what was forwarded.
func (s *stream) sent(b []byte) {
	if n := len(b); n > 0 {
		s.begun = true
		s.endedCR = s.endedCR || b[n-1] == '\r'
	}
}
