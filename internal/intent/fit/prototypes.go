package fit

import (
	"math"
	"math/rand/v2"
)

// Prototypes gives n vectors of length 1 for each class, near to which its examples lie, by k-means on cosines. What has no
// example is left out.
func Prototypes(examples []Example, classes, n int, seed uint64) []float32 {
	byClass := make([][][]float32, classes)
	for _, e := range examples {
		byClass[e.Class] = append(byClass[e.Class], e.Vector)
	}
	random := rand.New(rand.NewPCG(seed, 3)) //nolint:gosec // the same prototypes for a seed
	var all []float32
	for _, of := range byClass {
		for _, center := range means(of, n, random) {
			all = append(all, center...)
		}
	}
	return all
}

// means gives at most n centers of vectors.
func means(vectors [][]float32, n int, random *rand.Rand) [][]float32 {
	const rounds = 12
	var centers [][]float32
	for _, i := range random.Perm(len(vectors))[:min(n, len(vectors))] {
		centers = append(centers, vectors[i])
	}
	for range rounds {
		sums := make([][]float32, len(centers))
		for _, v := range vectors {
			best, most := 0, float32(math.Inf(-1))
			for k, c := range centers {
				if cosine := Dot(c, v); cosine > most {
					best, most = k, cosine
				}
			}
			if sums[best] == nil {
				sums[best] = make([]float32, len(v))
			}
			for j, x := range v {
				sums[best][j] += x
			}
		}
		for k, s := range sums {
			if s == nil {
				continue // nothing is nearest to it any more
			}
			if length := root(Dot(s, s)); length > 0 {
				for j := range s {
					s[j] /= length
				}
				centers[k] = s
			}
		}
	}
	return centers
}

// Dot is the sum of the products of a and b, which have one length.
func Dot(a, b []float32) float32 {
	sum := float32(0)
	for i, x := range a {
		sum += float32(x * b[i])
	}
	return sum
}
