package deviation

import (
	"cmp"
	"slices"
	"strings"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/intent"
)

// Bounds on a compiled task, so that one task's text cannot make every request slow. What is beyond is not compared.
const (
	maxPhrases   = 64
	maxExamples  = 256
	maxTaskWords = 512
)

// Task is a task made ready for comparison. It is immutable and safe for concurrent use.
type Task struct {
	id string
	// alikeRow is, for each word of the background, how alike it is to its likest word of the task, 255 for the same.
	alikeRow []uint8
	// spelled are the words of the task, each once, for words that the background does not have.
	spelled  []spelling
	whole    vector
	phrases  []piece
	examples []piece
	// generic are the activities to tell this task from: the shipped ones without those that it is like itself.
	generic []int
}

// ID is the id of the task that was compiled.
func (t *Task) ID() string { return t.id }

// piece is a piece of a task's text.
type piece struct {
	text   string
	vector vector
	stems  []uint32
	norm   float32 // length of the tf-idf vector
}

// Compile makes t ready for s.
func (s *Scorer) Compile(t core.Task) *Task {
	c := &Task{id: t.ID, alikeRow: make([]uint8, len(s.vectors))}
	texts := append([]string{t.Title}, sentences(t.Description)...)
	texts = append(texts, t.Topics...)
	rows := map[int32]bool{}
	spelled := map[spelling]bool{}
	words := 0
	for _, text := range texts {
		p := s.piece(text)
		if len(p.stems) == 0 || len(c.phrases) == maxPhrases {
			continue
		}
		c.phrases = append(c.phrases, p)
		for _, w := range intent.Words(text) {
			row := s.row(w.Stem)
			if !w.Content || words == maxTaskWords {
				continue
			}
			words++
			if spelt := spell(w); !spelled[spelt] {
				spelled[spelt] = true
				c.spelled = append(c.spelled, spelt)
			}
			if row >= 0 {
				rows[row] = true
				c.whole.add(&s.vectors[row], s.idf(row))
			}
		}
	}
	c.whole.normalise()
	for _, text := range t.Examples {
		if p := s.piece(text); len(p.stems) > 0 && len(c.examples) < maxExamples {
			c.examples = append(c.examples, p)
		}
	}
	for row := range rows {
		for other := range s.vectors {
			if near := s.vectors[row].dot(&s.vectors[other]); near > 0 {
				c.alikeRow[other] = max(c.alikeRow[other], uint8(min(near*near*254, 254)))
			}
		}
	}
	for row := range rows {
		c.alikeRow[row] = same
	}
	c.generic = s.others(&c.whole)
	return c
}

// same is the likeness of a word to itself.
const same = 255

// others gives the generic activities without the fifth of them that is nearest to whole.
func (s *Scorer) others(whole *vector) []int {
	all := make([]int, len(s.generic))
	for i := range all {
		all[i] = i
	}
	slices.SortStableFunc(all, func(a, b int) int {
		return cmp.Compare(whole.dot(&s.generic[a]), whole.dot(&s.generic[b]))
	})
	return all[:len(all)-len(all)/5]
}

func (s *Scorer) piece(text string) piece {
	p := piece{text: text}
	for _, w := range intent.Words(text) {
		if !w.Content || slices.Contains(p.stems, w.Stem) || len(p.stems) == maxTaskWords {
			continue
		}
		row := s.row(w.Stem)
		weight := s.idf(row)
		p.stems = append(p.stems, w.Stem)
		p.norm += weight * weight
		if row >= 0 {
			p.vector.add(&s.vectors[row], weight)
		}
	}
	p.norm = sqrt(p.norm)
	p.vector.normalise()
	return p
}

// sentences cuts a description into sentences.
func sentences(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(".;!?\n", r) })
}
