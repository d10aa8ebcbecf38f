package main

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/embed"
	"github.com/plumbline/plumbline/internal/intent"
	"github.com/plumbline/plumbline/internal/intent/fit"
)

// seed makes the prompts and the order in which they are learnt.
const seed = 1

// realWeight is how much a prompt counts that a person wrote for a purpose of their own.
const realWeight = 3

// corpus is what is learnt from, and what models are chosen and calibrated by.
type corpus struct {
	labels            []string
	table             string // the version of the embedding table
	train, validation []fit.Example
	// real are the seed tasks of the validation prompts, which may be learnt from: last, when all numbers are fitted.
	real []fit.Example
}

// readCorpus writes the prompts of each class, and reads those of the labelled sets below data.
func readCorpus(data string) (*corpus, error) {
	table, err := embed.Default()
	if err != nil {
		return nil, err
	}
	c := &corpus{labels: labels(), table: table.Version()}
	train, err := learnt(data, c.labels)
	if err != nil {
		return nil, err
	}
	validation, err := readValidation(data)
	if err != nil {
		return nil, err
	}
	questions, err := readOutOfScope(data, "oos_val")
	if err != nil {
		return nil, err
	}
	e := encoder{table, c.labels}
	c.train, c.real = e.examples(train), e.examples(validation)
	c.validation = append(slices.Clone(c.real), e.examples(questions)...)
	for i := range c.real {
		c.real[i].Weight = realWeight
	}
	return c, nil
}

// labels gives the classes in the order of the model's.
func labels() []string {
	var all []string
	for _, class := range intent.Taxonomy() {
		all = append(all, class.Label)
	}
	return append(all, core.LabelUncertain)
}

// learnt gives the prompts to learn from, own ones first.
func learnt(data string, labels []string) ([]labelled, error) {
	sentences, err := readSentences(data)
	if err != nil {
		return nil, err
	}
	w, err := newWriter(sentences, seed)
	if err != nil {
		return nil, err
	}
	var all []labelled
	for _, label := range labels {
		s, err := readSource(label)
		if err != nil {
			return nil, err
		}
		prompts, err := w.write(s)
		if err != nil {
			return nil, err
		}
		for _, p := range prompts {
			all = append(all, labelled{text: p.text, label: label, group: fmt.Sprint(label, " ", p.of)})
		}
	}
	others, err := mapped(data, rand.New(rand.NewPCG(seed, 8)))
	if err != nil {
		return nil, err
	}
	outOfScope, err := readOutOfScope(data, "oos_train")
	if err != nil {
		return nil, err
	}
	all = append(append(all, others...), outOfScope...)
	weigh(all)
	return all, nil
}

// formulaic reports whether a class is asked for in few forms, so that templates say all of how: code to be completed, and
// what frees a model of its rules.
func formulaic(label string) bool { return label == "coding" || label == "jailbreak" }

// weigh makes the prompts of one line count the less the more they are, by the root: a template teaches what may be asked
// for, and must not outweigh the many lines that say how.
func weigh(prompts []labelled) {
	of := map[string]int{}
	for _, p := range prompts {
		of[p.group]++
	}
	for i, p := range prompts {
		if formulaic(p.label) {
			prompts[i].weight = 1
			continue
		}
		prompts[i].weight = float32(math.Sqrt(variants / float64(of[p.group])))
	}
}

// sentenceFiles are those of texts of any subject. HWU is left to judge by.
var sentenceFiles = []string{"18f", "digitalgov", "taskmaster", "tldr"}

// readSentences gives texts of any subject, which stand for what people paste.
func readSentences(data string) ([]string, error) {
	var all []string
	for _, name := range sentenceFiles {
		lines, err := readLines(filepath.Join(data, "sentences", name+".txt.gz"))
		if err != nil {
			return nil, err
		}
		for i := 0; i < len(lines); i += 8 {
			all = append(all, lines[i])
		}
	}
	return all, nil
}

// readOutOfScope gives the prompts of CLINC150 that belong to none of its intents, of one split, by the labels of the file of
// that name. Those that it does not name are information_seeking.
func readOutOfScope(data, split string) ([]labelled, error) {
	raw, err := files.ReadFile("prompts/" + split + ".txt")
	if err != nil {
		return nil, err
	}
	var splits map[string][][2]string
	if err := readJSON(filepath.Join(data, "intent", "clinc150", "data_full.json"), &splits); err != nil {
		return nil, err
	}
	var all []labelled
	for i, row := range splits[split] {
		all = append(all, labelled{text: row[0], label: "information_seeking", group: fmt.Sprint(split, " ", i)})
	}
	for line := range strings.Lines(string(raw)) {
		var i int
		var label string
		if line[0] == '#' {
			continue
		}
		if _, err := fmt.Sscan(line, &i, &label); err != nil || i >= len(all) {
			return nil, fmt.Errorf("%s.txt: %q is no number of a prompt and label", split, line)
		}
		all[i].label = label
	}
	return all, nil
}

// readValidation reads the seed tasks of self-instruct with the labels of validation.txt.
func readValidation(data string) ([]labelled, error) {
	const name = "internal/intent/train/validation.txt"
	raw, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(filepath.Join(data, "intent", "self-instruct", "seed_tasks.jsonl"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var tasks []string
	for d := json.NewDecoder(f); d.More(); {
		var t struct {
			Instruction string
			Instances   []struct{ Input string }
		}
		if err := d.Decode(&t); err != nil {
			return nil, fmt.Errorf("seed_tasks.jsonl: %w", err)
		}
		tasks = append(tasks, strings.TrimSpace(t.Instruction+"\n\n"+t.Instances[0].Input))
	}
	var all []labelled
	for line := range strings.Lines(string(raw)) {
		if line[0] == '#' {
			continue
		}
		var i int
		var label string
		if _, err := fmt.Sscan(line, &i, &label); err != nil || i >= len(tasks) {
			return nil, fmt.Errorf("%s: %q is no line of seed_tasks.jsonl and label", name, line)
		}
		all = append(all, labelled{text: tasks[i], label: label, group: fmt.Sprint("seed task ", i)})
	}
	return all, nil
}

// encoder makes examples of prompts.
type encoder struct {
	table  *embed.Table
	labels []string
}

func (e encoder) examples(prompts []labelled) []fit.Example {
	var all []fit.Example
	for _, p := range prompts {
		v := view(p.text)
		if v.Unscored != "" {
			continue
		}
		vector := make(embed.Vector, e.table.Dim())
		v.Meaning(e.table, vector)
		all = append(all, fit.Example{
			Rows: intent.AppendFeatures(nil, v.Asked), Vector: vector, Class: slices.Index(e.labels, p.label), Weight: cmp.Or(p.weight, 1),
		})
	}
	return all
}

// view prepares text as the request path would.
func view(text string) *intent.View {
	return intent.NewView(core.Prompt{Parts: []core.Part{{Role: core.RoleUser, Kind: core.KindText, Text: text}}})
}

func readJSON(name string, into any) error {
	raw, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func readLines(name string) ([]string, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var lines []string
	s := bufio.NewScanner(z)
	for s.Scan() {
		lines = append(lines, s.Text())
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return lines, nil
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
