package deviation

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"

	"github.com/plumbline/plumbline/internal/intent"
)

// maxSampleWords is how many words are kept of a prompt of the traffic.
const maxSampleWords = 128

// Background is what a deployment's traffic looks like, without labels: features of prompts, by which the models of a task
// tell it from what else people ask. It derives from prompts and must not leave the memory of the process in clear. It is
// immutable and safe for concurrent use.
type Background struct {
	samples []*query
	version string
}

// NewBackground gives the background that views make, those that have no words left out; nil where none has any.
func (s *Scorer) NewBackground(views []*intent.View) *Background {
	var samples []*query
	for _, v := range views {
		if q := s.sample(v); q != nil {
			samples = append(samples, q)
		}
	}
	return newBackground(samples)
}

// sample gives what is kept of v, nil where it cannot be scored.
func (s *Scorer) sample(v *intent.View) *query {
	if v.Unscored != "" {
		return nil
	}
	q := s.queries.Get().(*query)
	defer s.queries.Put(q)
	words, pieces := v.Cut(s.table)
	if !s.prepare(q, words[:min(len(words), maxSampleWords)], pieces) {
		return nil
	}
	return q.features()
}

func newBackground(samples []*query) *Background {
	if len(samples) == 0 {
		return nil
	}
	made := sha256.New()
	for _, q := range samples {
		for i := range q.words {
			made.Write(binary.LittleEndian.AppendUint32(nil, q.words[i].stem))
			made.Write(binary.LittleEndian.AppendUint32(nil, math.Float32bits(q.words[i].weight)))
		}
		made.Write([]byte{0})
	}
	return &Background{samples, hex.EncodeToString(made.Sum(nil)[:4])}
}

// Len is the number of prompts that b was made of.
func (b *Background) Len() int {
	if b == nil {
		return 0
	}
	return len(b.samples)
}

// Version names b by what it was made of; empty for none.
func (b *Background) Version() string {
	if b == nil {
		return ""
	}
	return b.version
}

// suffix is what b adds to the version of a scorer.
func (b *Background) suffix() string {
	if b == nil {
		return ""
	}
	return "+" + b.version
}

// How near the description, and the examples, must say that a prompt of the traffic is, in deviations of generic sentences,
// to count half as one that is on the task; and how much a deviation more counts.
const (
	taughtMiddle = 3
	taughtSlope  = 2
)

// taught says of each of samples how far it is taken for an example: with few examples, the description tells which of the
// traffic is on the task, and the models learn from that how people word it. nil: not at all.
func (t *Task) taught(samples []*query) []float32 {
	if t.mix.taught == 0 {
		return nil
	}
	all := make([]float32, len(samples))
	for i, q := range samples {
		near := t.near(q) / (t.mix.described + t.mix.nearest) // the models are not there yet
		all[i] = t.mix.taught * logistic(taughtSlope*(near-taughtMiddle))
	}
	return all
}
