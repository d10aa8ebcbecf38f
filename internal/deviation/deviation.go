// Package deviation scores how far a prompt leans from the tasks its person was assigned.
//
// A task is compared by its own words: title, description, covered topics and examples. Each word of the prompt looks
// for its likest word of the task, by stem, by meaning or by spelling; the whole is compared with the task, its phrases and
// its examples; and how near it is to activities that anybody might ask for counts against it. Each of these is measured
// in deviations of what generic sentences have, which makes tasks comparable with one another. With examples, two small
// models of them count as well. The score of a prompt is that of its nearest task.
//
// Scores are not calibrated on the deployment's traffic: Calibrated is false and P nil. MODEL.md says how good they are.
// Known limits: order and negation of words are hardly seen; a prompt that speaks of an assigned task and of something
// else at once is near the task.
//
// Scoring is a pure function of a view, the tasks and the embedded table, with work bounded by the bounds of a view and
// the tasks' size. It imports core, embed and intent, and must not import policy, gate or any front or back end.
package deviation

import (
	"math"
	"sync"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/embed"
	"github.com/plumbline/plumbline/internal/intent"
)

var loaded = sync.OnceValues(func() (*Scorer, error) {
	t, err := embed.Default()
	if err != nil {
		return nil, err
	}
	return New(t)
})

// Default gives the scorer with the embedded table.
func Default() (*Scorer, error) { return loaded() }

// Compile makes t ready for the default scorer, and for it alone. It takes milliseconds: it is meant for the time at
// which tasks change, not for the request path.
func Compile(t core.Task) *Task {
	s, err := loaded()
	if err != nil {
		return &Task{id: t.ID} // Default gives the error, and nothing can be scored without it
	}
	return s.Compile(t)
}

// maxWords is how many words an explanation shows.
const maxWords = 8

// Score says how far v is from the nearest of tasks. Where the last user turn says enough to stand alone it is scored
// both alone and with the turns before it, and the farther counts: a switch of subject must not hide in a conversation. Nor
// must a request hide behind the name of a task: what a turn quotes of one is set aside, see [Scorer.nearestBeside].
func (s *Scorer) Score(v *intent.View, tasks []*Task) core.Deviation {
	d := core.Deviation{Model: s.version, Unscored: v.Unscored}
	switch {
	case d.Unscored != "":
		return d
	case len(tasks) == 0:
		d.Unscored = core.UnscoredNoTask
		return d
	}
	q := s.queries.Get().(*query)
	defer s.queries.Put(q)
	words, pieces := v.Cut(s.table)
	if !s.prepare(q, words, pieces) {
		d.Unscored = core.UnscoredTooShort
		return d
	}
	newest, alone := words[:len(v.Newest)], q
	at, score := 0, math.Inf(-1) // of the whole conversation, where there is one
	if len(newest) < len(words) {
		at, score = nearest(q, tasks)
	}
	if len(newest) == len(words) || len(v.Last) > 0 {
		if len(newest) < len(words) {
			alone = s.queries.Get().(*query)
			defer s.queries.Put(alone)
			s.prepare(alone, newest, pieces)
		}
		r, last, farther := s.nearestBeside(alone, newest, pieces, tasks)
		defer s.giveBack(r)
		if farther > score {
			q, at, score = alone, last, farther
			if r != nil {
				q = &r.query
			}
		}
	}
	d.Score, d.Task, d.Model = score, tasks[at].id, tasks[at].version
	q.name(&d, tasks[at])
	d.Words = explain(q, tasks[at])
	return d
}

// nearest gives the index of the nearest task and its score. The first of equals wins.
func nearest(q *query, tasks []*Task) (at int, score float64) {
	score = math.Inf(1)
	for i, t := range tasks {
		if far := t.score(q); far < score {
			at, score = i, far
		}
	}
	return at, score
}

// name says what of t the prompt of q is nearest to.
func (q *query) name(d *core.Deviation, t *Task) {
	if p := q.likest(t.phrases); p != nil {
		d.Phrase = p.text
	}
	if p := q.likest(t.examples); p != nil {
		d.Example = p.number
	}
	if len(t.outside) == 0 || q.beyond(t) == 0 {
		return
	}
	if p := q.likest(t.outside); p != nil {
		d.OutOfScope = p.number
	}
}

// likest gives the piece that is nearest to q by meaning and wording, nil of none.
func (q *query) likest(pieces []piece) (likest *piece) {
	near := float32(math.Inf(-1))
	for i := range pieces {
		if n := q.probe.Dot(&pieces[i].vector) + q.overlap(&pieces[i]); n > near {
			near, likest = n, &pieces[i]
		}
	}
	return likest
}

// explain gives the words that moved the score most, the first of equals first: how much of the prompt's weight a word
// has, times how much less alike to the task it is than the words of a generic sentence that is nearer than most.
func explain(q *query, t *Task) []core.WordWeight {
	usual := t.usual[partAlike].mean + t.usual[partAlike].deviation
	words := make([]core.WordWeight, 0, min(len(q.words), maxWords))
	for i := range q.words {
		w := &q.words[i]
		if !w.content {
			continue
		}
		share := float64(w.weight) / float64(q.total)
		moved := core.WordWeight{Word: w.text, Weight: share * float64(usual-q.alike(t, w))}
		at := len(words)
		for at > 0 && math.Abs(words[at-1].Weight) < math.Abs(moved.Weight) {
			at--
		}
		if len(words) < maxWords {
			words = append(words, core.WordWeight{})
		}
		if at < len(words) {
			copy(words[at+1:], words[at:])
			words[at] = moved
		}
	}
	return words
}
