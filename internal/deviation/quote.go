package deviation

import (
	"math"
	"slices"

	"github.com/plumbline/plumbline/internal/embed"
	"github.com/plumbline/plumbline/internal/intent"
)

// What is a quotation of a task's text, in content words, and how many have to be left for the rest to be judged. Chosen on
// the development data: MODEL.md.
const (
	quotedRun   = 4 // one after the other, of one phrase in its order
	quotedWhole = 2 // a phrase as a whole
	enoughLeft  = 3
)

// rest is what a prompt says beside what it quotes of a task. A quotation says what the task is, which is known, and nothing
// of what is asked for.
type rest struct {
	content []int    // where the content words of the prompt are
	stems   []uint32 // of those
	quoted  []bool   // of each of its words
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

// nearestBeside gives the nearest of tasks, its score, and what words say beside quoting it: each task that they quote counts by
// that where it is farther than q, which is words as a whole. Without a quotation the score is 0.
func (s *Scorer) nearestBeside(q *query, words []intent.Word, pieces []embed.Piece, tasks []*Task) (r *rest, at int, score float64) {
	if !s.quoted(words, tasks) {
		return nil, 0, 0
	}
	score = math.Inf(1)
	for i, t := range tasks {
		far, beside := t.score(q), s.beside(t, words, pieces)
		if beside != nil {
			far = max(far, t.score(&beside.query))
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

// beside reads what words say beside quoting t, nil where they do not, or where too little is left to be judged.
func (s *Scorer) beside(t *Task, words []intent.Word, pieces []embed.Piece) *rest {
	r := s.rests.Get().(*rest)
	if r.findQuotes(t, words) && s.prepare(&r.query, r.leave(words), pieces) {
		left := 0
		for i := range r.query.words {
			if r.query.words[i].content {
				left++
			}
		}
		if left >= enoughLeft {
			return r
		}
	}
	s.giveBack(r)
	return nil
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
	for i := range r.stems {
		if n := r.longestQuote(t, i); n > 0 {
			found = true
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
