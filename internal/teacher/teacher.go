// Package teacher runs the sentence encoder that the shipped embedding table learnt from, all-MiniLM-L6-v2, to adapt tables to
// other texts (package tune). No request meets it: it takes some ten milliseconds a text.
//
// Its weights are no part of the program. They are read from a file that the caller names, and taken only if their digest is
// the known one: what cannot be told apart from other weights would teach anything. See tools/train/teacher.py for the same in
// the training of the shipped table.
//
// Contract: a text's vector depends on the text alone, whatever else is encoded beside it. Work is bounded by maxTokens a text.
// It imports embed, for its sums, and must not import what compares prompts.
package teacher

import (
	"context"
	"math"
	"runtime"
	"sync"

	"github.com/plumbline/plumbline/internal/embed"
)

const (
	// maxTokens is how many tokens of a text are read, with the two that begin and end it: as in tools/train.
	maxTokens = 48
	// batchTokens is how many tokens are worked on together, so that each weight is fetched once for all of them.
	batchTokens = 256
	// epsilon keeps the normalisation of a layer from dividing by zero: that of the model's configuration.
	epsilon = 1e-12
)

// Encoder is a teacher. It is immutable and safe for concurrent use.
type Encoder struct {
	words  vocabulary
	heads  int
	dim    int
	tokens []float32 // a row for each token of the vocabulary
	places []float32 // and for each place in a text, with that of the only kind of text added
	first  scaling
	layers []layer
}

// layer is one of the transformer: what is looked for, found and taken by attention, and the two dense layers behind.
type layer struct {
	query, key, value, out dense
	attended               scaling
	wide, narrow           dense
	ended                  scaling
}

// dense is a matrix, a row for each output, with biases.
type dense struct {
	weights []float32
	bias    []float32
}

// scaling is the normalisation of a layer.
type scaling struct{ weight, bias []float32 }

// Dim is the number of columns of a vector.
func (e *Encoder) Dim() int { return e.dim }

// Encode gives the vectors of texts, each of length 1. It takes all processors that Go may use, and ends early with the error of
// ctx. told, if set, is called with how many are done, one call at a time.
func (e *Encoder) Encode(ctx context.Context, texts []string, told func(done int)) ([]embed.Vector, error) {
	out := make([]embed.Vector, len(texts))
	var (
		mu         sync.Mutex
		next, done int
		workers    sync.WaitGroup
	)
	take := func() (from, to int, ids [][]int32) {
		mu.Lock()
		defer mu.Unlock()
		from = next
		for n := 0; next < len(texts) && ctx.Err() == nil; next++ {
			text := e.words.read(texts[next])
			if n += len(text); n > batchTokens && next > from {
				break
			}
			ids = append(ids, text)
		}
		return from, next, ids
	}
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for {
				from, to, ids := take()
				if from == to {
					return
				}
				e.forward(out[from:to], ids)
				mu.Lock()
				done += to - from
				if told != nil {
					told(done)
				}
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	return out, ctx.Err()
}

// forward puts the vectors of texts, given as their tokens, into out.
func (e *Encoder) forward(out []embed.Vector, texts [][]int32) {
	x := e.begin(texts)
	n := len(x) / e.dim
	for i := range e.layers {
		l := &e.layers[i]
		q, k, v := l.query.of(x, n), l.key.of(x, n), l.value.of(x, n)
		mixed := make([]float32, len(x))
		from := 0
		for _, ids := range texts {
			to := from + len(ids)*e.dim
			e.attend(mixed[from:to], q[from:to], k[from:to], v[from:to])
			from = to
		}
		add(x, l.out.of(mixed, n))
		l.attended.normalise(x)
		wide := l.wide.of(x, n)
		for i, w := range wide {
			wide[i] = gelu(w)
		}
		add(x, l.narrow.of(wide, n))
		l.ended.normalise(x)
	}
	for i, ids := range texts {
		v := make(embed.Vector, e.dim)
		for range ids {
			add(v, x[:e.dim])
			x = x[e.dim:]
		}
		v.Normalise() // of the mean as of the sum
		out[i] = v
	}
}

// begin gives what the first layer reads: the row of each token and of its place.
func (e *Encoder) begin(texts [][]int32) []float32 {
	var x []float32
	for _, ids := range texts {
		for place, id := range ids {
			from := len(x)
			x = append(x, e.tokens[int(id)*e.dim:(int(id)+1)*e.dim]...)
			add(x[from:], e.places[place*e.dim:(place+1)*e.dim])
		}
	}
	e.first.normalise(x)
	return x
}

// attend puts into mixed, for each token of one text and each head, the mean of the values, weighed by how alike the token's
// query is to their keys.
func (e *Encoder) attend(mixed, q, k, v []float32) {
	n, size := len(q)/e.dim, e.dim/e.heads
	scale := 1 / math.Sqrt(float64(size))
	weights := make([]float64, n)
	for head := range e.heads {
		at := head * size
		for i := range n {
			mine := embed.Vector(q[i*e.dim+at : i*e.dim+at+size])
			most := math.Inf(-1)
			for j := range n {
				weights[j] = scale * float64(mine.Dot(k[j*e.dim+at:j*e.dim+at+size]))
				most = max(most, weights[j])
			}
			sum := 0.0
			for j := range n {
				weights[j] = math.Exp(weights[j] - most)
				sum += weights[j]
			}
			to := mixed[i*e.dim+at : i*e.dim+at+size]
			for j := range n {
				w := float32(weights[j] / sum)
				for d, x := range v[j*e.dim+at : j*e.dim+at+size] {
					to[d] += w * x
				}
			}
		}
	}
}

// of gives the outputs for n rows of inputs. Each row of weights is used for all of them before the next is fetched.
func (l *dense) of(x []float32, n int) []float32 {
	in, outs := len(x)/n, len(l.bias)
	y := make([]float32, n*outs)
	for o, b := range l.bias {
		w := embed.Vector(l.weights[o*in : (o+1)*in])
		for i := range n {
			y[i*outs+o] = w.Dot(x[i*in:(i+1)*in]) + b
		}
	}
	return y
}

// normalise gives each row of x mean 0 and deviation 1, and then scales and moves its columns.
func (s *scaling) normalise(x []float32) {
	dim := len(s.weight)
	for ; len(x) > 0; x = x[dim:] {
		row := x[:dim]
		mean, square := 0.0, 0.0
		for _, v := range row {
			mean += float64(v)
		}
		mean /= float64(dim)
		for _, v := range row {
			square += (float64(v) - mean) * (float64(v) - mean)
		}
		by := 1 / math.Sqrt(square/float64(dim)+epsilon)
		for d, v := range row {
			row[d] = float32((float64(v)-mean)*by)*s.weight[d] + s.bias[d]
		}
	}
}

func add(to, x []float32) {
	for i, v := range x[:len(to)] {
		to[i] += v
	}
}

// gelu is the Gaussian error linear unit, by the error function itself (Hendrycks and Gimpel, 2016).
func gelu(x float32) float32 {
	return float32(float64(x) * 0.5 * (1 + math.Erf(float64(x)/math.Sqrt2)))
}
