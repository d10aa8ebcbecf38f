package main

import (
	"fmt"
	"os"
	"strconv"

	"github.com/plumbline/plumbline/internal/intent"
	"github.com/plumbline/plumbline/internal/intent/fit"
)

func main() {
	c, err := readCorpus("/work/shared/data")
	if err != nil {
		panic(err)
	}
	n := map[string]int{}
	for _, e := range c.train {
		n[c.labels[e.Class]]++
	}
	fmt.Println(len(c.train), n)
	k := len(c.labels)
	s := fit.NewSoftmax(c.train, fit.SoftmaxOptions{Classes: k, Epochs: 20, Decay: 1e-5, Seed: 1})
	for _, cost := range []float64{0.1, 0.3, 1} {
		l := fit.NewLinear(c.train, fit.LinearOptions{Rows: intent.Rows, Classes: k, Cost: cost, Epochs: 8, Seed: 1})
		for _, mix := range []float32{0, 0.1, 0.2, 0.4, 0.8, 100} {
			acc, f1, conf := eval(c.validation, l, s, mix, k)
			fmt.Printf("cost %g mix %g acc %.3f f1 %.3f\n", cost, mix, acc, f1)
			if len(os.Args) > 1 && strconv.Itoa(int(mix*10)) == os.Args[1] && cost == 0.3 {
				for a := range conf {
					fmt.Println(c.labels[a], conf[a])
				}
			}
		}
	}
}

func eval(set []fit.Example, l *fit.Linear, s *fit.Softmax, mix float32, k int) (acc, f1 float64, conf [][]int) {
	conf = make([][]int, k)
	for i := range conf {
		conf[i] = make([]int, k)
	}
	m, p := make([]float32, k), make([]float32, k)
	for _, e := range set {
		if e.Class == k-1 {
			continue
		}
		l.Margins(m, e.Rows)
		s.LogProbabilities(p, e.Vector)
		b := 0
		for j := range k - 1 {
			m[j] += mix * p[j]
			if m[j] > m[b] {
				b = j
			}
		}
		conf[e.Class][b]++
	}
	n, r, classes := 0, 0, 0
	for i := range k {
		t, g := 0, 0
		for j := range k {
			t += conf[i][j]
			g += conf[j][i]
		}
		n += t
		r += conf[i][i]
		if t > 0 {
			classes++
			f1 += 2 * float64(conf[i][i]) / float64(t+g)
		}
	}
	return float64(r) / float64(n), f1 / float64(classes), conf
}
