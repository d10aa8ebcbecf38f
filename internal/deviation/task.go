package deviation

import (
	"cmp"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/embed"
	"github.com/plumbline/plumbline/internal/intent"
)

// Bounds on a compiled task, so that one task's text cannot make every request slow. What is beyond is not compared.
const (
	MaxPhrases   = 64
	MaxExamples  = 256
	MaxTaskWords = 512
	// MaxText is how many bytes are read of a description, a topic or an example.
	MaxText = 8 << 10
)

// Task is a task made ready for comparison. It is safe for concurrent use and gives the same scores for as long as it lives.
type Task struct {
	id string
	// version is that of the scorer, and of the background where the task was compiled beside one.
	version string
	// stems are the content words of the task, in order.
	stems []uint32
	// own are its pieces, and liked how alike each piece of the vocabulary is to the likest of them: four
	// bytes a number, each 1 + 254 times the square of their cosine, or 0 where nobody has asked yet. A piece is compared once, by the
	// prompt that first has it: most are never asked for.
	table *embed.Table
	own   []embed.Known
	liked []atomic.Uint32
	// spelled are the words of the task, each once, for words that are no piece of the table.
	spelled  []spelling
	whole    embed.Short
	phrases  []piece
	examples []piece
	// said are the content words of each phrase one after the other, and pairs which of them stand next to one another.
	said  [][]uint32
	pairs pairSigns
	// outside are the out-of-scope examples.
	outside []piece
	// activities are what to tell this task from: the generic ones without those that it is like itself.
	activities []int
	// usual is how generic sentences score against the task, learnt what its examples add, and mix how the parts are mixed.
	usual  usual
	learnt *learnt
	mix    mix
	scorer *Scorer
}

// ID is the id of the task that was compiled.
func (t *Task) ID() string { return t.id }

// Scorer is what compiled the task: no other can score against it.
func (t *Task) Scorer() *Scorer { return t.scorer }

// Beside is the version of the background that the task was compiled beside, empty for none.
func (t *Task) Beside() string {
	_, background, _ := strings.Cut(t.version, "+")
	return background
}

// piece is a piece of a task's text.
type piece struct {
	text   string
	number int // of an example in its list, from 1
	vector embed.Short
	stems  []uint32
	norm   float32 // length of the tf-idf vector
}

// Compile makes t ready for s. It takes some milliseconds, and longer with many examples.
func (s *Scorer) Compile(t core.Task) *Task { return s.CompileBeside(t, nil) }

// CompileBeside makes t ready for s, with models that are trained beside b: what the deployment's traffic looks like. That
// takes a tenth of a second or two and is work for the background. The same task and background give the same scores.
func (s *Scorer) CompileBeside(t core.Task, b *Background) *Task {
	c := &Task{
		id: t.ID, version: s.version + b.suffix(), scorer: s, table: s.table, liked: make([]atomic.Uint32, s.table.Len()/4+1),
	}
	whole := s.readText(c, t)
	c.examples, c.outside = s.pieces(t.Examples), s.pieces(t.OutOfScope)
	c.mix = mixOf(len(c.examples), b)
	c.whole, c.activities = whole.Short(), s.others(whole)
	s.measureUsual(c, b)
	return c
}

// pieces reads examples, those that have words of content, up to MaxExamples of them.
func (s *Scorer) pieces(examples []string) (all []piece) {
	q := new(query)
	all = make([]piece, 0, min(len(examples), MaxExamples))
	for i, text := range examples {
		if len(all) == MaxExamples {
			break
		}
		if p, ok := s.piece(q, core.Head(text, MaxText)); ok {
			p.number = i + 1
			all = append(all, p)
		}
	}
	return all
}

// readText reads the title, the description's sentences and the topics: each is a phrase. It gives the vector of all of them.
func (s *Scorer) readText(c *Task, t core.Task) embed.Vector {
	q, whole := new(query), make(embed.Vector, s.table.Dim())
	spelled := map[spelling]bool{}
	own := map[embed.Piece]bool{}
	words := 0
	texts := append([]string{t.Title}, sentences(core.Head(t.Description, MaxText))...)
	for _, text := range append(texts, t.Topics...) {
		text = core.Head(text, MaxText)
		if len(c.phrases) == MaxPhrases {
			break
		}
		p, ok := s.piece(q, text)
		if !ok {
			continue
		}
		c.phrases = append(c.phrases, p)
		s.table.AddPieces(whole, s.table.AppendPieces(nil, text))
		said := len(c.stems)
		for _, w := range intent.Words(text) {
			if !w.Content || words == MaxTaskWords {
				continue
			}
			words++
			c.stems = append(c.stems, w.Stem)
			if spelt := spell(w); !spelled[spelt] {
				spelled[spelt] = true
				c.spelled = append(c.spelled, spelt)
			}
			for _, piece := range s.table.AppendPieces(nil, w.Text) {
				if !own[piece] {
					own[piece] = true
					c.own = append(c.own, s.table.Know(piece))
				}
			}
		}
		c.quotable(slices.Clone(c.stems[said:]))
	}
	slices.Sort(c.stems)
	c.stems = slices.Compact(c.stems)
	whole.Normalise()
	return whole
}

func (t *Task) has(stem uint32) bool {
	_, found := slices.BinarySearch(t.stems, stem)
	return found
}

// likeness gives how alike p is to the likest piece of t, in [0, 1].
func (t *Task) likeness(p embed.Piece) float32 {
	word, shift := &t.liked[p/4], p%4*8
	kept := word.Load() >> shift & 0xFF
	if kept == 0 {
		kept = t.compare(p)
		word.Or(kept << shift) // the same for each who compares: nobody's bits are lost or mixed
	}
	return float32(kept-1) / 254
}

// compare is not on the usual way: it is done once for each piece and task.
func (t *Task) compare(p embed.Piece) uint32 {
	best := t.table.Likest(p, t.own)
	return 1 + uint32(min(best*best, 1)*254)
}

// others gives the generic activities without the fifth of them that is nearest to whole.
func (s *Scorer) others(whole embed.Vector) []int {
	var probe embed.Probe
	probe.Read(whole)
	all := make([]int, len(s.activities))
	for i := range all {
		all[i] = i
	}
	slices.SortStableFunc(all, func(a, b int) int {
		return cmp.Compare(probe.Dot(&s.activities[a]), probe.Dot(&s.activities[b]))
	})
	return all[:len(all)-len(all)/5]
}

// piece reads text, and reports false when it has no word of content.
func (s *Scorer) piece(q *query, text string) (piece, bool) {
	if !s.prepareText(q, text) {
		return piece{}, false
	}
	p := piece{text: text, vector: q.vector.Short(), norm: q.norm, stems: make([]uint32, 0, len(q.words))}
	for _, w := range q.words {
		if w.content {
			p.stems = append(p.stems, w.stem)
		}
	}
	return p, true
}

// sentences cuts a description into sentences.
func sentences(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(".;!?\n", r) })
}
