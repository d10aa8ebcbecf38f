package intent

import "github.com/plumbline/plumbline/internal/core"

// Word is one word of a view.
type Word struct {
	// Text is the word as normalised, in lower case.
	Text string
	// Stem is the hash of the word's stem.
	Stem uint32
	// Weight is 1 for the newest turn and less for older ones.
	Weight float32
	// Content reports that the word carries meaning of its own, other than "the" or "please".
	Content bool
}

// View is what is judged of a prompt. It is immutable and holds text of the prompt: it must not be stored or logged.
type View struct {
	// Instruction is the instruction view of the newest user turn.
	Instruction string
	// Asked are the words the intent is judged by.
	Asked []Word
	// Last are the words of the last user turn, nil unless it says enough to stand alone.
	Last []Word
	// Pooled are the words of the user turns together.
	Pooled []Word
	// Hidden reports that invisible characters were taken out of the middle of the text.
	Hidden bool
	// Unscored says why the view cannot be judged, empty when it can.
	Unscored core.Unscored
}

// NewView prepares p.
func NewView(p core.Prompt) *View {
	return &View{Unscored: core.UnscoredTooShort}
}
