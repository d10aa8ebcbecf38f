package main

import (
	_ "embed" // the harmless texts
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/plumbline/plumbline/internal/detect"
	"github.com/plumbline/plumbline/internal/intent/fit"
)

// attackClass is the class of the prompts that are attacks. Those that ask for harm are none: a head that learns them learns
// the words of harm, and finds them in questions that mean none.
const attackClass = "jailbreak"

// passing is the share of ordinary texts, of those that are long enough to be judged, that the shipped head may take for
// attacks. Texts in which rules have found a little are nearer to attacks than most: 1 % of all would be too many of those.
const passing = 0.002

// harmless are texts in the words of attacks that are none.
//
//go:embed harmless.txt
var harmless string

// harmlessWeight is how much one of them counts, of which there are few.
const harmlessWeight = 8

// trainAttacks learns the head of package detect from the prompts that were written for the classes, and from sentences as
// texts that are none. Its threshold is chosen on texts that it has not learnt.
func trainAttacks(data string) (*detect.Head, string, error) {
	prompts, err := learnt(data, labels())
	if err != nil {
		return nil, "", err
	}
	var examples []fit.Example
	attacks := 0
	for _, p := range prompts {
		e := attackExample(p.text, p.label == attackClass)
		if e.Class == 0 {
			attacks++
		}
		examples = append(examples, e)
	}
	for line := range strings.Lines(harmless) {
		if e := attackExample(strings.TrimSpace(line), false); line[0] != '#' {
			e.Weight = harmlessWeight
			examples = append(examples, e)
		}
	}
	sentences, err := readSentences(data)
	if err != nil {
		return nil, "", err
	}
	for _, s := range sentences {
		examples = append(examples, attackExample(s, false))
	}
	h := quantised(fit.NewLinear(examples, fit.LinearOptions{Rows: detect.HeadRows, Classes: 1, Cost: 1, Epochs: 10, Seed: seed}))
	held, err := ordinaryTexts(data)
	if err != nil {
		return nil, "", err
	}
	h.Threshold = threshold(h, held)
	return h, fmt.Sprintf("attacks: %d of %d texts learnt, threshold %.4f by %d ordinary texts\n", attacks, len(examples), h.Threshold, len(held)), nil
}

// attackExample is a text for the head, whose only class is 0.
func attackExample(text string, attack bool) fit.Example {
	e := fit.Example{Rows: detect.AppendHeadRows(nil, text), Class: 1, Weight: 1}
	if attack {
		e.Class = 0
	}
	return e
}

// quantised keeps a linear head in bytes.
func quantised(l *fit.Linear) *detect.Head {
	most := float32(0)
	for _, w := range l.Weights {
		most = max(most, w, -w)
	}
	h := &detect.Head{Weights: make([]int8, len(l.Weights)), Scale: most / math.MaxInt8, Bias: l.Bias[0]}
	for i, w := range l.Weights {
		h.Weights[i] = int8(math.Round(float64(w / h.Scale)))
	}
	return h
}

// ordinaryTexts are texts that are no attack and are not learnt: CLINC150's prompts for choosing settings, the seed tasks of
// self-instruct, and other lines of the sentences.
func ordinaryTexts(data string) ([]string, error) {
	var splits map[string][][2]string
	if err := readJSON(filepath.Join(data, "intent", "clinc150", "data_full.json"), &splits); err != nil {
		return nil, err
	}
	var all []string
	for _, row := range slices.Concat(splits["val"], splits["oos_val"]) {
		all = append(all, row[0])
	}
	tasks, err := readValidation(data)
	if err != nil {
		return nil, err
	}
	for _, t := range tasks {
		if t.label != attackClass {
			all = append(all, t.text)
		}
	}
	for _, name := range sentenceFiles {
		lines, err := readLines(filepath.Join(data, "sentences", name+".txt.gz"))
		if err != nil {
			return nil, err
		}
		for i := 4; i < len(lines); i += 8 {
			all = append(all, lines[i])
		}
	}
	return all, nil
}

// threshold is the least margin that no more than the share of texts with one reaches that may pass for attacks.
func threshold(h *detect.Head, ordinary []string) float32 {
	var margins []float32
	for _, text := range ordinary {
		if m := h.Margin(text); !math.IsInf(float64(m), -1) {
			margins = append(margins, m)
		}
	}
	slices.Sort(margins)
	return math.Nextafter32(margins[len(margins)-1-int(passing*float64(len(margins)))], float32(math.Inf(1)))
}
