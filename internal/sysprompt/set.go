package sysprompt

import (
	"hash/maphash"
	"slices"
	"sync"

	"github.com/plumbline/plumbline/internal/core"
)

// Set is what is registered for one app. It is immutable and safe for concurrent use; a nil one has nothing registered.
type Set struct {
	app     string
	prompts []core.SystemPrompt
	longest int // bytes of the longest text that could be one of them
}

// Sets gives the sets of all apps that have one.
func Sets(registered []core.SystemPrompt) map[string]*Set {
	sets := map[string]*Set{}
	for _, p := range registered {
		s := sets[p.App]
		if s == nil {
			s = &Set{app: p.App}
			sets[p.App] = s
		}
		_, most := lengths(p.Pieces)
		s.prompts, s.longest = append(s.prompts, p), max(s.longest, most)
	}
	return sets
}

// buffers hold the normal text of a message.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// lengths are those of the shortest and the longest text of a fingerprint.
func lengths(pieces []core.PromptPiece) (least, most int) {
	for _, p := range pieces {
		least += p.Bytes
	}
	return least, least + min((len(pieces)-1)*MaxVariable, MaxFilled)
}

// Split tells the app's own system prompts in p from the rest. judged is p without them, also without what stands in the parts
// that vary: a name and a date are no request, and too short to be one. foreign holds the other texts of system and developer
// messages, each as a user's: where an app has registered prompts of its own, whoever sends another one asks for something by
// it.
//
// The parts that vary of all messages together stand for at most [MaxFilled] bytes: a request must not be dealt out over many
// of them. What comes on top is foreign. A message that stands there again takes no more room.
//
// Without a set judged is p, and foreign is empty. Texts longer than any registered one are not hashed. Of each fingerprint of
// the same length and beginning at most [MaxVariable]+1 places are tried for each piece.
func (s *Set) Split(p core.Prompt) (judged, foreign core.Prompt) {
	if s == nil || len(s.prompts) == 0 {
		return p, core.Prompt{}
	}
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	judged.Parts = make([]core.Part, 0, len(p.Parts))
	var room gaps
	for from := 0; from < len(p.Parts); {
		to := from + 1
		for to < len(p.Parts) && p.Parts[to].Role == p.Parts[from].Role && p.Parts[to].Turn == p.Parts[from].Turn {
			to++
		}
		message := p.Parts[from:to]
		from = to
		if !instructs(message[0].Role) {
			judged.Parts = append(judged.Parts, message...)
			continue
		}
		*buffer = s.appendText((*buffer)[:0], message)
		if filled, own := s.match(*buffer); own && room.take(*buffer, filled) {
			judged.Parts = appendOpaque(judged.Parts, message)
			continue
		}
		judged.Parts = append(judged.Parts, message...)
		foreign.Parts = appendAsked(foreign.Parts, message)
	}
	return judged, foreign
}

// appendOpaque appends what is no text of a message.
func appendOpaque(parts, message []core.Part) []core.Part {
	for _, part := range message {
		if part.Kind != core.KindText {
			parts = append(parts, part)
		}
	}
	return parts
}

// appendAsked appends the texts of a message as a user's.
func appendAsked(parts, message []core.Part) []core.Part {
	for _, part := range message {
		if part.Kind == core.KindText {
			part.Role = core.RoleUser
			parts = append(parts, part)
		}
	}
	return parts
}

func instructs(r core.Role) bool { return r == core.RoleSystem || r == core.RoleDeveloper }

// appendText appends the normal text of a message, or as much as shows that it is longer than any registered one.
func (s *Set) appendText(dst []byte, message []core.Part) []byte {
	for _, part := range message {
		if part.Kind == core.KindText {
			dst = appendNormal(dst, part.Text, s.longest)
		}
	}
	return dst
}

// match reports whether a normal text is registered, and how many bytes of it stand in parts that vary: the fewest, where it
// fits several.
func (s *Set) match(text []byte) (filled int, own bool) {
	for _, p := range s.prompts {
		least, most := lengths(p.Pieces)
		if n := len(text) - least; n < 0 || len(text) > most || own && n >= filled || !s.fits(text, p.Pieces) {
			continue
		}
		filled, own = len(text)-least, true
	}
	return filled, own
}

// gaps is what the parts that vary have taken in the messages of one request.
type gaps struct {
	bytes int
	seen  []uint64 // hashes of the texts that took it: at most one a byte
}

// hashes is random, so that nobody can make two texts that have one hash.
var hashes = maphash.MakeSeed()

// take reports whether there is room for a text of which n bytes vary, and takes it.
func (g *gaps) take(text []byte, n int) bool {
	if n == 0 {
		return true
	}
	hash := maphash.Bytes(hashes, text)
	switch {
	case slices.Contains(g.seen, hash):
		return true
	case g.bytes+n > MaxFilled:
		return false
	}
	g.bytes += n
	g.seen = append(g.seen, hash)
	return true
}

// fits lays the pieces over text: the first at its beginning, each further one at the first place where it fits, the last at
// the end. A text that would only fit otherwise is not taken for the app's own, which is the safe side.
func (s *Set) fits(text []byte, pieces []core.PromptPiece) bool {
	at := 0
	for i, p := range pieces {
		first, last := at, at+MaxVariable
		if i == 0 {
			last = 0
		}
		if i == len(pieces)-1 {
			first = max(first, len(text)-p.Bytes)
		}
		place := s.find(text, p, first, last)
		if place < 0 {
			return false
		}
		at = place + p.Bytes
	}
	return true
}

// find gives the first place from first to last at which the piece stands, -1 for none.
func (s *Set) find(text []byte, p core.PromptPiece, first, last int) int {
	for at := first; at <= last && at+p.Bytes <= len(text); at++ {
		if piece := text[at : at+p.Bytes]; probe(piece) == p.Probe && sum(s.app, piece) == p.Sum {
			return at
		}
	}
	return -1
}
