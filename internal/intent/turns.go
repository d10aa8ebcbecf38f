package intent

import (
	"slices"

	"github.com/plumbline/plumbline/internal/core"
)

// eachTurn calls read with the parts of each of the newest turns that role accepts, newest first, and gives the number of
// those before them.
func (s *scratch) eachTurn(parts []core.Part, role func(core.Role) bool, read func([]core.Part)) (left int) {
	turns := 0
	for end := len(parts); end > 0; {
		from := end - 1
		if !role(parts[from].Role) {
			end--
			continue
		}
		for from > 0 && parts[from-1].Role == parts[end-1].Role && parts[from-1].Turn == parts[end-1].Turn {
			from--
		}
		if turns < maxTurns {
			read(parts[from:end])
		}
		turns++
		end = from
	}
	return max(0, turns-maxTurns)
}

// readUser reads the user's turns but those left, the oldest of a long conversation. opaque and encoded are said of the
// newest: that it holds what cannot be read, and that it is encoded for the most part.
func (s *scratch) readUser(parts []core.Part) (left int, opaque, encoded bool) {
	newest := true
	left = s.eachTurn(parts, isUser, func(parts []core.Part) {
		s.readTurn(parts)
		if newest {
			opaque = slices.ContainsFunc(parts, func(p core.Part) bool { return p.Kind == core.KindOpaque })
			encoded = mostlyEncoded(s.normal)
		}
		newest = false
	})
	return left, opaque, encoded
}

func isUser(r core.Role) bool  { return r == core.RoleUser }
func isOther(r core.Role) bool { return r != core.RoleUser && r != core.RoleMeta }

// readTurn normalises the text of a turn and appends its instruction view to s.text.
func (s *scratch) readTurn(parts []core.Part) {
	s.normal = s.normal[:0]
	room := maxTurn * 3 / 4 // a quarter is kept for the last part, so that no amount of text before it hides it
	for i, part := range parts {
		if part.Kind != core.KindText && part.Kind != core.KindCall {
			continue
		}
		if i == len(parts)-1 {
			room += maxTurn / 4
		}
		head, tail := clip(part.Text, room)
		room -= len(head) + len(tail)
		for _, text := range [...]string{head, tail} {
			if text == "" {
				continue
			}
			var h bool
			s.normal, h = s.appendNormal(s.normal, text)
			s.normal = append(s.normal, '\n')
			s.hidden = s.hidden || h
		}
	}
	s.text, s.spans = appendInstruction(s.text, s.normal, s.spans)
	s.ends = append(s.ends, len(s.text))
}

// cutWords cuts s.text into words, of which the first userTurns turns are the user's, and fills in v's instruction. last
// is the number of words of the newest user turn.
func (s *scratch) cutWords(v *View, userTurns int) (words []Word, last int) {
	text := string(s.text)
	words = make([]Word, 0, len(text)/5+4)
	from, weight := 0, float32(1)
	for i, end := range s.ends {
		if i == userTurns {
			weight = 1 // the newest of the other roles
		}
		words = appendWords(words, text[from:end], weight)
		if i == 0 {
			v.Instruction = text[:end]
			if userTurns > 0 {
				last = len(words)
			}
		}
		from = end
		weight *= fade
	}
	return words, last
}
