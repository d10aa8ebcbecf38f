// Package tune adapts the rows of an embedding table to texts without labels, such as a deployment's own prompts: what a sentence
// encoder says of them is what their rows learn to sum up to.
//
// The teacher's vectors have other columns than the table's. Which direction stands for which is found from texts of which the
// table already says what the teacher does: single words and generic sentences. Rows of pieces and pairs that stand in fewer than
// five texts stay as they are, as do the vocabulary, the pairs and the rarities.
//
// Contract: the same table, teacher, texts and seed give the same file, byte for byte, on processors with the same instructions.
// Time and memory are bounded by Options.Limit. Nothing of a text is in what comes out but what rows say of its words. It imports
// embed and must not import what compares prompts.
package tune

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/plumbline/plumbline/internal/embed"
)

// Bounds on what is learnt from, in texts.
const (
	MinTexts = 500
	MaxTexts = 50_000
	// Fewest is how many texts a row must stand in to learn, of as many people where it is known who wrote them: the words of one
	// person change nothing.
	Fewest = 5
	// heldOut says that one text of so many is not learnt from, and tells how near the table comes to the teacher.
	heldOut = 20
	// maxBytes and maxPieces are how much is read of one.
	maxBytes, maxPieces = 500, 64
)

// How it is learnt. The first three were chosen on CLINC150's validation split, of five settings.
const (
	epochs = 5
	rate   = 0.01
	// seenPiece is what a row is taken to have learnt before, as a mean of squares.
	seenPiece = 0.02
	// commonWords are anchors, and alignSteps the steps to directions at right angles: singular values of a millionth get there.
	commonWords   = 4000
	alignSteps    = 50
	leastLength   = 1e-9
	versionPrefix = "tuned"
)

// ErrTooFew is returned where there is not enough to learn from.
var ErrTooFew = errors.New("too few texts")

// Teacher is a sentence encoder.
type Teacher interface {
	// Encode must give a vector of length 1 for each text, which depends on that text alone. It must end early with an error
	// when ctx ends.
	Encode(ctx context.Context, texts []string, told func(done int)) ([]embed.Vector, error)
}

// Options say what is adapted to what.
type Options struct {
	Base    *embed.Table
	Teacher Teacher
	// Texts are learnt from, as many of them as Limit says, drawn at random.
	Texts []string
	// By says who wrote each of Texts, in any names. Nil where that is not known: each then counts as another's.
	By    []string
	Limit int
	// Anchors are sentences of which the table is taken to say what the teacher does: generic ones.
	Anchors []string
	Seed    uint64
	// Told, if set, is called with how many of all texts the teacher has read.
	Told func(done, all int)
}

// Result is an adapted table and what is to be said of it.
type Result struct {
	// File is the new table as it is kept, and Table as it is read back.
	File  []byte       `json:"-"`
	Table *embed.Table `json:"-"`
	// Version is that of the new table, and Base of the one that was adapted.
	Version string `json:"version"`
	Base    string `json:"base"`
	// Given are the texts that were there, Learnt those that were learnt from, and HeldOut those that were not.
	Given   int `json:"given"`
	Learnt  int `json:"learnt"`
	HeldOut int `json:"held_out"`
	// Rows of the table that have learnt.
	Rows int    `json:"rows"`
	Seed uint64 `json:"seed"`
	// Before and After are the mean cosines to the teacher on the texts that were held out.
	Before float64 `json:"cosine_before"`
	After  float64 `json:"cosine_after"`
}

// Tune adapts o.Base.
func Tune(ctx context.Context, o Options) (*Result, error) {
	if o.Limit < MinTexts || o.Limit > MaxTexts {
		return nil, fmt.Errorf("tune: a limit of %d texts: it must be from %d to %d", o.Limit, MinTexts, MaxTexts)
	}
	texts := o.draw()
	if len(texts) < MinTexts {
		return nil, fmt.Errorf("tune: %w: %d different ones with words are there, and %d are needed", ErrTooFew, len(texts), MinTexts)
	}
	anchors := slices.Concat(o.Base.Words(commonWords), o.Anchors)
	all := slices.Clone(anchors)
	for _, t := range texts {
		all = append(all, t.text)
	}
	said, err := o.Teacher.Encode(ctx, all, func(done int) {
		if o.Told != nil {
			o.Told(done, len(all))
		}
	})
	if err != nil {
		return nil, err
	}
	directions, err := align(o.Base, anchors, said[:len(anchors)])
	if err != nil {
		return nil, err
	}
	targets := make([]embed.Vector, len(texts))
	for i, v := range said[len(anchors):] {
		targets[i] = directions.of(v)
	}
	return o.adapt(ctx, texts, targets)
}

// written is a text and who wrote it, by numbers.
type written struct {
	text string
	by   []int32
}

// draw gives the texts to learn from, in an order that the seed says: each once, and none without words.
func (o *Options) draw() []written {
	texts := make([]written, 0, len(o.Texts))
	people := map[string]int32{}
	for i, text := range o.Texts {
		text = clip(text)
		if len(o.Base.AppendPieces(nil, text)) < 2 {
			continue
		}
		t := written{text: text}
		if o.By != nil {
			if _, known := people[o.By[i]]; !known {
				people[o.By[i]] = int32(len(people))
			}
			t.by = []int32{people[o.By[i]]}
		}
		texts = append(texts, t)
	}
	slices.SortStableFunc(texts, func(a, b written) int { return strings.Compare(a.text, b.text) })
	texts = once(texts)
	random := rand.New(rand.NewPCG(o.Seed, MaxTexts)) //nolint:gosec // the same seed must give the same table
	random.Shuffle(len(texts), func(i, j int) { texts[i], texts[j] = texts[j], texts[i] })
	return texts[:min(len(texts), o.Limit)]
}

// once leaves each of sorted texts once, written by all who wrote it, or by somebody of its own where that is not known.
func once(sorted []written) []written {
	kept := sorted[:0]
	for _, t := range sorted {
		if last := len(kept) - 1; last >= 0 && kept[last].text == t.text {
			kept[last].by = withAll(kept[last].by, t.by)
			continue
		}
		kept = append(kept, t)
	}
	for i := range kept {
		if kept[i].by == nil {
			kept[i].by = []int32{int32(i)}
		}
	}
	return kept
}

// withAll adds people to people, each once, up to Fewest of them.
func withAll(people, more []int32) []int32 {
	for _, one := range more {
		if len(people) < Fewest && !slices.Contains(people, one) {
			people = append(people, one)
		}
	}
	return people
}

// clip cuts text to maxBytes. What is left of a character that is cut through has no pieces.
func clip(text string) string { return text[:min(len(text), maxBytes)] }

// adapt has the rows learn, and measures on the texts that were held out.
func (o *Options) adapt(ctx context.Context, texts []written, targets []embed.Vector) (*Result, error) {
	r := &Result{Base: o.Base.Version(), Given: len(o.Texts), Seed: o.Seed}
	l := newLearner(o.Base)
	for i, t := range texts {
		if i%heldOut == 0 {
			r.HeldOut++
			continue
		}
		l.add(t, targets[i])
	}
	r.Learnt, r.Rows = len(l.targets), l.taught()
	if err := l.learn(ctx, o.Seed); err != nil {
		return nil, err
	}
	var err error
	if r.File, err = o.Base.With(versionPrefix, l.rows); err != nil {
		return nil, err
	}
	if r.Table, err = embed.Parse(r.File); err != nil {
		return nil, err
	}
	r.Version = r.Table.Version()
	for i := 0; i < len(texts); i += heldOut {
		r.Before += float64(o.Base.Text(texts[i].text).Dot(targets[i])) / float64(r.HeldOut)
		r.After += float64(r.Table.Text(texts[i].text).Dot(targets[i])) / float64(r.HeldOut)
	}
	return r, nil
}

// directions map a teacher's vector to the table's columns.
type directions struct {
	from, to int
	weights  []float64 // a row of to for each column of the teacher
}

// align finds the directions, at right angles to one another, that come nearest to what the table says of anchors: the orthogonal
// factor of the polar decomposition of their products (the Procrustes problem; Schönemann, 1966).
func align(base *embed.Table, anchors []string, said []embed.Vector) (*directions, error) {
	if len(said) == 0 || len(said[0]) == 0 {
		return nil, errors.New("tune: the teacher says nothing")
	}
	d := &directions{from: len(said[0]), to: base.Dim()}
	d.weights = make([]float64, d.from*d.to)
	for i, text := range anchors {
		v := base.Text(text)
		for row, x := range said[i] {
			for column, y := range v {
				d.weights[row*d.to+column] += float64(x) * float64(y)
			}
		}
	}
	if !orthogonal(d.weights, d.from, d.to) {
		return nil, errors.New("tune: what the teacher says of the anchors is not enough to find directions by")
	}
	return d, nil
}

// of gives v in the table's columns, of length 1.
func (d *directions) of(v embed.Vector) embed.Vector {
	sums := make([]float64, d.to)
	for row, x := range v {
		for column := range sums {
			sums[column] += float64(x) * d.weights[row*d.to+column]
		}
	}
	out := make(embed.Vector, d.to)
	for i, s := range sums {
		out[i] = float32(s)
	}
	out.Normalise()
	return out
}

// orthogonal puts the orthogonal factor of the polar decomposition in the place of m, rows of columns, by the iteration of Newton
// and Schulz (N. Higham, Functions of Matrices, 2008, 8.3). It reports whether there was anything to go by.
func orthogonal(m []float64, rows, columns int) bool {
	size := 0.0
	for _, x := range m {
		size += x * x
	}
	if size = math.Sqrt(size); size < leastLength || math.IsNaN(size) || math.IsInf(size, 0) {
		return false
	}
	for i := range m {
		m[i] /= size // now no singular value is above 1, and the iteration converges
	}
	inner, next := make([]float64, columns*columns), make([]float64, columns)
	for range alignSteps {
		clear(inner)
		for r := range rows {
			row := m[r*columns : (r+1)*columns]
			for i, x := range row {
				addTimes(inner[i*columns:(i+1)*columns], row, x)
			}
		}
		for r := range rows {
			row := m[r*columns : (r+1)*columns]
			clear(next)
			for i, x := range row {
				addTimes(next, inner[i*columns:(i+1)*columns], x)
			}
			for i := range row {
				row[i] = 1.5*row[i] - 0.5*next[i]
			}
		}
	}
	return true
}

func addTimes(to, row []float64, times float64) {
	for i, x := range row {
		to[i] += times * x
	}
}
