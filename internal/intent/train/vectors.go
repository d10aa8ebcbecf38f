package main

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/intent"
)

const (
	vocabulary = 8192 // words of the background
	minCount   = 4    // sentences that a word must stand in
	window     = 8    // content words to either side that count as its company
	spare      = 24   // columns beyond deviation.Dim that steady the subspace iteration
	iterations = 7
)

// background counts the words of sentences and gives each a weight (smoothed inverse document frequency) and a vector:
// the leading eigenvectors of the words' positive pointwise mutual information within a window.
func background(sentences []string) deviation.Model {
	texts := make([][]uint32, len(sentences))
	counts := map[uint32]int{}
	for i, s := range sentences {
		for _, w := range intent.Words(s) {
			if w.Content && !slices.Contains(texts[i], w.Stem) {
				texts[i] = append(texts[i], w.Stem)
				counts[w.Stem]++
			}
		}
	}
	var m deviation.Model
	for _, stem := range sortedKeys(counts) {
		if counts[stem] >= minCount {
			m.Stems = append(m.Stems, stem)
		}
	}
	slices.SortStableFunc(m.Stems, func(a, b uint32) int { return counts[b] - counts[a] })
	m.Stems = m.Stems[:min(len(m.Stems), vocabulary)]
	rows := map[uint32]int{}
	for row, stem := range m.Stems {
		rows[stem] = row
		m.IDF = append(m.IDF, float32(math.Log(float64(len(texts)+1)/float64(counts[stem]+1))))
	}
	m.Unknown = float32(math.Log(float64(len(texts)+1) / float64(minCount)))
	m.Vectors = quantise(eigenvectors(mutualInformation(texts, rows)))
	return m
}

// entry is one cell of a sparse matrix.
type entry struct {
	column int32
	value  float32
}

// mutualInformation gives the symmetric matrix of positive pointwise mutual information, rows sorted.
func mutualInformation(texts [][]uint32, rows map[uint32]int) [][]entry {
	together := map[uint64]float64{}
	for _, text := range texts {
		for i := range text {
			a, ok := rows[text[i]]
			if !ok {
				continue
			}
			for j := i + 1; j < min(len(text), i+1+window); j++ {
				if b, ok := rows[text[j]]; ok && a != b {
					together[uint64(min(a, b))<<32|uint64(max(a, b))]++
				}
			}
		}
	}
	sums := make([]float64, len(rows))
	keys := sortedKeys(together)
	for _, k := range keys {
		sums[k>>32] += together[k]
		sums[k&math.MaxUint32] += together[k]
	}
	// Company is counted to the power of 3/4, which keeps rare words from being alike by chance (Levy, Goldberg and
	// Dagan, "Improving Distributional Similarity with Lessons Learned from Word Embeddings", 2015).
	total, smooth := 0.0, 0.0
	for _, s := range sums {
		total += s
		smooth += math.Pow(s, 0.75)
	}
	matrix := make([][]entry, len(rows))
	for _, k := range keys {
		a, b := int32(k>>32), int32(k&math.MaxUint32)
		pmi := func(a, b int32) float64 {
			return math.Log(together[k] * smooth / (sums[a] * math.Pow(sums[b], 0.75)))
		}
		if v := float32((pmi(a, b) + pmi(b, a)) / 2); v > 0 {
			matrix[a] = append(matrix[a], entry{b, v})
			matrix[b] = append(matrix[b], entry{a, v})
		}
	}
	return matrix
}

// eigenvectors gives the rows of the leading eigenvectors of a symmetric matrix, scaled by the root of their
// eigenvalues: randomised subspace iteration (Halko, Martinsson and Tropp, 2011), then Rayleigh and Ritz.
func eigenvectors(matrix [][]entry) [][]float64 {
	const k = deviation.Dim + spare
	random := rand.New(rand.NewPCG(3, 4))
	q := make([][]float64, len(matrix))
	for i := range q {
		q[i] = make([]float64, k)
		for j := range q[i] {
			q[i][j] = random.NormFloat64()
		}
	}
	for range iterations {
		q = multiply(matrix, q)
		orthonormalise(q)
	}
	mq := multiply(matrix, q)
	small := make([][]float64, k)
	for a := range small {
		small[a] = make([]float64, k)
		for b := range small[a] {
			for i := range q {
				small[a][b] += float64(q[i][a] * mq[i][b])
			}
		}
	}
	values, ritz := jacobi(small)
	order := make([]int, k)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		if values[a] > values[b] {
			return -1
		}
		return 1
	})
	vectors := make([][]float64, len(q))
	for i := range q {
		vectors[i] = make([]float64, deviation.Dim)
		for d := range vectors[i] {
			column := order[d]
			for a := range k {
				vectors[i][d] += float64(q[i][a] * ritz[a][column])
			}
			vectors[i][d] *= math.Sqrt(math.Sqrt(max(values[column], 0)))
		}
	}
	return vectors
}

func multiply(matrix [][]entry, q [][]float64) [][]float64 {
	out := make([][]float64, len(q))
	for i, row := range matrix {
		out[i] = make([]float64, len(q[0]))
		for _, e := range row {
			for j, v := range q[e.column] {
				out[i][j] += float64(float64(e.value) * v)
			}
		}
	}
	return out
}

// orthonormalise makes the columns of q orthonormal (modified Gram and Schmidt).
func orthonormalise(q [][]float64) {
	for a := range q[0] {
		for b := range a + 1 {
			dot := 0.0
			for i := range q {
				dot += float64(q[i][a] * q[i][b])
			}
			for i := range q {
				if b < a {
					q[i][a] -= float64(dot * q[i][b])
				} else {
					q[i][a] /= math.Sqrt(dot)
				}
			}
		}
	}
}

// jacobi gives eigenvalues and eigenvectors (columns) of a small symmetric matrix by cyclic rotations. It changes a.
func jacobi(a [][]float64) (values []float64, vectors [][]float64) {
	const sweeps = 12
	n := len(a)
	vectors = make([][]float64, n)
	for i := range vectors {
		vectors[i] = make([]float64, n)
		vectors[i][i] = 1
	}
	for range sweeps {
		for p := range n {
			for q := p + 1; q < n; q++ {
				if a[p][q] == 0 {
					continue
				}
				theta := (a[q][q] - a[p][p]) / (2 * a[p][q])
				t := math.Copysign(1, theta) / (math.Abs(theta) + math.Sqrt(float64(theta*theta)+1))
				c := 1 / math.Sqrt(float64(t*t)+1)
				s := t * c
				for i := range n {
					x, y := a[i][p], a[i][q]
					a[i][p], a[i][q] = float64(c*x)-float64(s*y), float64(s*x)+float64(c*y)
				}
				for i := range n {
					x, y := a[p][i], a[q][i]
					a[p][i], a[q][i] = float64(c*x)-float64(s*y), float64(s*x)+float64(c*y)
					x, y = vectors[i][p], vectors[i][q]
					vectors[i][p], vectors[i][q] = float64(c*x)-float64(s*y), float64(s*x)+float64(c*y)
				}
			}
		}
	}
	for i := range n {
		values = append(values, a[i][i])
	}
	return values, vectors
}

// quantise gives each row in bytes, its largest number as 127.
func quantise(rows [][]float64) []int8 {
	var out []int8
	for _, row := range rows {
		most := 0.0
		for _, v := range row {
			most = max(most, math.Abs(v))
		}
		for _, v := range row {
			if most > 0 {
				v = math.Round(v / most * 127)
			}
			out = append(out, int8(v))
		}
	}
	return out
}
