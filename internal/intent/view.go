package intent

import (
	"sync"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/embed"
)

// Bounds on the work for one prompt. Of a longer text the start and the end are read, of a longer conversation the
// newest turns: what stands between is not judged.
const (
	maxTurn  = 16 << 10 // bytes of one turn
	maxTurns = 8
)

const (
	// standAlone is the number of content words from which a turn is judged alone too, not only with those before it.
	standAlone = 8
	// enough is the number of content words below which the user turns say so little that the other roles are judged
	// with them: a request hidden there must not hide behind "go on".
	enough = 3
	// fade is how much less each turn counts than the one after it.
	fade = 0.85
)

// Word is one word of a view.
type Word struct {
	// Text is the word as normalised, in lower case.
	Text string
	// Stem is the hash of the word's stem, see [Stem].
	Stem uint32
	// Weight is 1 for the newest turn and less for older ones.
	Weight float32
	from   uint32 // see [Word.Pieces]
	pieces uint8
	// Content reports that the word carries meaning of its own, other than "the" or "please".
	Content bool
	kind    kind
}

// View is what is judged of a prompt. It is safe for concurrent use, must not be changed, and holds text of the prompt: it must not be stored or logged.
type View struct {
	// Instruction is the instruction view of the newest user turn: at most about 500 bytes, normalised.
	Instruction string
	// Asked are the words the intent is judged by: those of the newest user turn, or all when it says too little.
	Asked []Word
	// Newest are the words of the newest user turn, however few.
	Newest []Word
	// Last are the words of the last user turn, nil unless it has enough content words to stand alone.
	Last []Word
	// Pooled are the words of the user turns together, newest first, and those of other roles where the user turns say
	// too little to be judged.
	Pooled []Word
	// Hidden reports that invisible characters were taken out of words, or tag characters decoded.
	Hidden bool
	// Left is how many of the user's turns are older than those that are judged.
	Left int
	// Unscored says why the view cannot be judged, empty when it can.
	Unscored core.Unscored

	once   sync.Once // guards what follows, see [View.Cut]
	table  *embed.Table
	pieces []embed.Piece
}

// NewView prepares p. It reads at most 16 kB of each of the last eight user turns, and where those hold fewer than three
// content words the same of the other roles. A system prompt beside a user turn that says enough is not judged here: what
// may be a request in one's place is judged by a view of its own, see package sysprompt.
func NewView(p core.Prompt) *View {
	s := borrowScratch()
	defer s.giveBack()
	v := &View{}
	left, opaque, encoded := s.readUser(p.Parts)
	v.Left = left
	words, last := s.cutWords(v, len(s.ends))
	if contentWords(words, enough) < enough {
		turns := len(s.ends)
		s.eachTurn(p.Parts, isOther, s.readTurn)
		words, last = s.cutWords(v, turns)
	}
	v.Hidden = s.hidden

	v.Pooled, v.Asked, v.Newest = words, words, words[:last:last]
	if contentWords(words[:last], standAlone) >= standAlone {
		v.Last = words[:last:last]
	}
	if contentWords(words[:last], enough) >= enough {
		v.Asked = words[:last:last]
	}
	switch {
	case encoded:
		v.Unscored = core.UnscoredEncoded
	case opaque && contentWords(words, 1) == 0:
		v.Unscored = core.UnscoredOpaque
	case len(words) == 0:
		v.Unscored = core.UnscoredTooShort
	case !judgeable(v.Asked):
		v.Unscored = core.UnscoredLanguage
	}
	return v
}

// contentWords counts the content words, up to most.
func contentWords(words []Word, most int) int {
	n := 0
	for _, w := range words {
		if w.Content {
			if n++; n == most {
				break
			}
		}
	}
	return n
}

// scratch holds the buffers of one NewView.
type scratch struct {
	buffers
	normal []byte // the turn that is read
	text   []byte // the instruction views of all turns
	spans  []span
	ends   []int // where each turn's instruction view ends in text, newest first
	hidden bool  // one of the turns hides text
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

func borrowScratch() *scratch { return scratches.Get().(*scratch) }

func (s *scratch) giveBack() {
	s.text, s.ends, s.hidden = s.text[:0], s.ends[:0], false
	scratches.Put(s)
}
