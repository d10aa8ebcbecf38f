package tune

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/plumbline/plumbline/internal/embed"
)

// learner holds rows and what they learn from: of each text its rows and its target.
type learner struct {
	base    *embed.Table
	rows    embed.Rows
	of      map[uint32]int32 // pair to row
	people  [][]int32        // who wrote the texts that a row stands in, up to Fewest of them
	flat    []int32
	starts  []int
	targets []embed.Vector
}

func newLearner(base *embed.Table) *learner {
	l := &learner{base: base, rows: base.Rows(), of: map[uint32]int32{}, starts: []int{0}}
	l.people = make([][]int32, len(l.rows.Values)/l.rows.Dim)
	for i, pair := range l.rows.Pairs {
		l.of[pair] = int32(base.Len() + i)
	}
	return l
}

// add takes a text to learn from: the rows that its vector is the sum of.
func (l *learner) add(t written, target embed.Vector) {
	pieces := l.base.AppendPieces(nil, t.text)
	pieces = pieces[:min(len(pieces), maxPieces)]
	for i, p := range pieces {
		l.flat = append(l.flat, int32(p))
		if i == 0 {
			continue
		}
		if row, known := l.of[uint32(pieces[i-1])<<16|uint32(p)]; known {
			l.flat = append(l.flat, row)
		}
	}
	rows := slices.Clone(l.flat[l.starts[len(l.starts)-1]:])
	slices.Sort(rows)
	for _, row := range slices.Compact(rows) {
		l.people[row] = withAll(l.people[row], t.by)
	}
	l.starts = append(l.starts, len(l.flat))
	l.targets = append(l.targets, target)
}

// taught is how many rows learn.
func (l *learner) taught() int {
	n := 0
	for row := range l.people {
		if l.learns(int32(row)) {
			n++
		}
	}
	return n
}

// learns reports whether a row learns: enough people use what it stands for.
func (l *learner) learns(row int32) bool { return len(l.people[row]) >= Fewest }

// learn goes through the texts, one at a time: the loss is 1 - cosine, each row of a text has the same gradient, and each step is
// shorter the more its row has learnt (Adagrad with one size a row; Duchi and others, 2011), down to none at the end.
func (l *learner) learn(ctx context.Context, seed uint64) error {
	dim := l.rows.Dim
	seen := make([]float64, len(l.rows.Values)/dim)
	for i := range seen {
		seen[i] = seenPiece
	}
	total, gradient := make([]float64, dim), make([]float64, dim)
	random := rand.New(rand.NewPCG(seed, epochs)) //nolint:gosec // the same seed must give the same table
	steps, done := epochs*len(l.targets), 0
	for range epochs {
		if err := ctx.Err(); err != nil {
			return err
		}
		for _, text := range random.Perm(len(l.targets)) {
			now := rate * (1 - float64(done)/float64(steps))
			done++
			rows := l.flat[l.starts[text]:l.starts[text+1]]
			power, ok := l.slope(rows, l.targets[text], total, gradient)
			if !ok {
				continue
			}
			for _, at := range rows {
				if !l.learns(at) {
					continue
				}
				seen[at] += power
				step := now / math.Sqrt(seen[at])
				row := l.rows.Row(int(at))
				for d, g := range gradient {
					row[d] -= float32(step * g)
				}
			}
		}
	}
	return nil
}

// slope puts the gradient of a text into gradient, and gives the mean of its squares; none where the rows sum up to nothing.
func (l *learner) slope(rows []int32, target embed.Vector, total, gradient []float64) (power float64, ok bool) {
	clear(total)
	for _, at := range rows {
		for d, v := range l.rows.Row(int(at)) {
			total[d] += float64(v)
		}
	}
	length, near := 0.0, 0.0
	for d, v := range total {
		length += v * v
		near += v * float64(target[d])
	}
	if length = math.Sqrt(length); length < leastLength {
		return 0, false
	}
	near /= length
	for d, v := range total {
		gradient[d] = (near*v/length - float64(target[d])) / length
		power += gradient[d] * gradient[d]
	}
	return power / float64(len(gradient)), true
}
