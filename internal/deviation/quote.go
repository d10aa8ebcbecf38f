package deviation

import (
	"math"
	"slices"

	"github.com/plumbline/plumbline/internal/embed"
	"github.com/plumbline/plumbline/internal/intent"
)

// What is a quotation of a task's text, in content words, and what has to be left for the rest to be judged. Chosen on the
// development data: decisions 0093 and 0097.
const (
	quotedRun   = 4 // one after the other, of one phrase in its order
	quotedWhole = 2 // a phrase as a whole
	// Content words that are about a subject, other than formWords. People come by two words of a task without quoting it, as by
	// "oil change": more has to stand beside those.
	leftOfTwo  = 3
	leftOfMore = 2
	// leftLength is that of the vector of all words that are left, in mean lengths of the generic sentences. Words that mean little
	// have short ones, and words that have nothing to do with one another partly cancel.
	leftLength = 0.72
)

// rest is what a prompt says beside what it quotes of a task. A quotation says what the task is, which is known, and nothing
// of what is asked for.
type rest struct {
	content []int    // where the content words of the prompt are
	stems   []uint32 // of those
	quoted  []bool   // of each of its words
	longest int      // content words of the longest quotation
	words   []intent.Word
	query
}

// pairSigns has a bit for each two words that stand next to one another in a phrase, which some may share.
type pairSigns [64]uint64

func (p *pairSigns) add(a, b uint32) {
	h := pairSign(a, b)
	p[h>>6] |= 1 << (h & 63)
}

func (p *pairSigns) has(a, b uint32) bool {
	h := pairSign(a, b)
	return p[h>>6]&(1<<(h&63)) != 0
}

func pairSign(a, b uint32) uint32 { return (a*31 + b) * 0x9E3779B1 >> 20 }

// quotable notes a phrase of t by its content words.
func (t *Task) quotable(said []uint32) {
	if len(said) < quotedWhole {
		return
	}
	t.said = append(t.said, said)
	for i := range said[1:] {
		t.pairs.add(said[i], said[i+1])
	}
}

// nearestBeside gives the nearest of tasks to words, which are q, and its score. Each task that they quote counts by what they say
// beside it where that is farther; r is what they say beside the nearest, nil where they count as a whole.
func (s *Scorer) nearestBeside(q *query, words []intent.Word, pieces []embed.Piece, tasks []*Task) (r *rest, at int, score float64) {
	quoted := s.quoted(words, tasks)
	score = math.Inf(1)
	for i, t := range tasks {
		far, beside := t.score(q), (*rest)(nil)
		if quoted {
			beside, far = s.beside(t, words, pieces, far)
		}
		if far < score {
			r, beside, at, score = beside, r, i, far
		}
		s.giveBack(beside)
	}
	return r, at, score
}

// quoted reports whether words quote one of tasks. Most prompts do not, and each of them is looked at.
func (s *Scorer) quoted(words []intent.Word, tasks []*Task) bool {
	r := s.rests.Get().(*rest)
	defer s.giveBack(r)
	r.read(words)
	for _, t := range tasks {
		for i := range r.stems {
			if r.longestQuote(t, i) > 0 {
				return true
			}
		}
	}
	return false
}

// read notes the content words of words.
func (r *rest) read(words []intent.Word) {
	r.content, r.stems = r.content[:0], r.stems[:0]
	for i := range words {
		if words[i].Content {
			r.content, r.stems = append(r.content, i), append(r.stems, words[i].Stem)
		}
	}
}

// beside reads what words say beside quoting t, and gives it with its score where that is above far, which is the score of all
// that they say. Otherwise, and where they quote nothing or too little is left to be judged, it gives nil and far.
func (s *Scorer) beside(t *Task, words []intent.Word, pieces []embed.Piece, far float64) (*rest, float64) {
	r := s.rests.Get().(*rest)
	if r.findQuotes(t, words) && s.prepare(&r.query, r.leave(words), pieces) && s.enough(r) {
		if left := t.score(&r.query); left > far {
			return r, left
		}
	}
	s.giveBack(r)
	return nil, far
}

// enough reports whether r says enough to be judged.
func (s *Scorer) enough(r *rest) bool {
	if r.length < leftLength*s.length {
		return false
	}
	left := 0
	for i := range r.query.words {
		if w := &r.query.words[i]; w.content && !s.form[w.stem] {
			left++
		}
	}
	return left >= leftOfTwo || left >= leftOfMore && r.longest > quotedWhole
}

func (s *Scorer) giveBack(r *rest) {
	if r != nil {
		s.rests.Put(r)
	}
}

// findQuotes marks what words quote of t, and reports whether there is anything.
func (r *rest) findQuotes(t *Task, words []intent.Word) (found bool) {
	r.read(words)
	r.quoted = slices.Grow(r.quoted[:0], len(words))[:len(words)]
	clear(r.quoted)
	r.longest = 0
	for i := range r.stems {
		if n := r.longestQuote(t, i); n > 0 {
			found, r.longest = true, max(r.longest, n)
			for j := r.content[i]; j <= r.content[i+n-1]; j++ {
				r.quoted[j] = true
			}
		}
	}
	return found
}

// longestQuote gives how many content words from the i-th on are a quotation, 0 for none.
func (r *rest) longestQuote(t *Task, i int) (longest int) {
	stems := r.stems[i:]
	if len(stems) < quotedWhole || !t.pairs.has(stems[0], stems[1]) {
		return 0
	}
	for _, said := range t.said {
		for from := range said {
			n := 0
			for n < len(stems) && from+n < len(said) && stems[n] == said[from+n] {
				n++
			}
			if n >= quotedRun || n >= quotedWhole && n == len(said) {
				longest = max(longest, n)
			}
		}
	}
	return longest
}

// leave gives the words that are not quoted. Those without content between two quotations, or between one and an end, belong
// to them.
func (r *rest) leave(words []intent.Word) []intent.Word {
	r.words = r.words[:0]
	quoted, from := true, 0 // the last word of content is quoted; where the words without content after it begin in r.words
	for i := range words {
		switch {
		case r.quoted[i]:
			if quoted {
				r.words = r.words[:from]
			}
			quoted, from = true, len(r.words)
		case words[i].Content:
			r.words = append(r.words, words[i])
			quoted, from = false, len(r.words)
		default:
			r.words = append(r.words, words[i])
		}
	}
	if quoted {
		r.words = r.words[:from]
	}
	return r.words
}
