package deviation

import (
	"math/bits"
	"slices"

	"github.com/plumbline/plumbline/internal/intent"
)

// spelling is a word by its runs of three letters, to compare words that the background does not have.
type spelling struct {
	stem uint32
	n    int32
	// signs has a bit for each run, which some may share.
	signs uint64
	runs  [maxRuns]uint32
}

const maxRuns = 16

func spell(w intent.Word) spelling {
	s := spelling{stem: w.Stem}
	text := w.Text
	for i := -1; i+2 <= len(text) && s.n < maxRuns; i++ {
		run := uint32(0)
		for j := i; j < i+3; j++ {
			run <<= 8
			if j >= 0 && j < len(text) {
				run |= uint32(text[j])
			}
		}
		s.runs[s.n] = run
		s.signs |= 1 << (run * 0x9E3779B1 >> 26)
		s.n++
	}
	slices.Sort(s.runs[:s.n])
	return s
}

// alike gives the share of runs that two words have in common (Dice), 0 below what chance gives.
func (s *spelling) alike(t *spelling) float32 {
	if s.stem == t.stem {
		return 1
	}
	if s.unlike(t) {
		return 0
	}
	both := 0
	for i, j := int32(0), int32(0); i < s.n && j < t.n; {
		switch {
		case s.runs[i] == t.runs[j]:
			both, i, j = both+1, i+1, j+1
		case s.runs[i] < t.runs[j]:
			i++
		default:
			j++
		}
	}
	if dice := 2 * float32(both) / float32(s.n+t.n); dice >= chance {
		return dice
	}
	return 0
}

// chance is the share of runs below which two words are no more alike than any two.
const chance = 0.5

// unlike reports words whose signs alone say that less than chance of their runs are common, which is so of almost all
// pairs: each sign that the other word lacks is of a run, at least, that it lacks.
func (s *spelling) unlike(t *spelling) bool {
	most := min(s.n-int32(bits.OnesCount64(s.signs&^t.signs)), t.n-int32(bits.OnesCount64(t.signs&^s.signs)))
	return 2*float32(most) < chance*float32(s.n+t.n)
}
