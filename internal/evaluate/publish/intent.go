package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/plumbline/plumbline/internal/evaluate"
	"github.com/plumbline/plumbline/internal/intent"
	"github.com/plumbline/plumbline/internal/intent/testset"
)

// publishIntent measures the shipped classifier on Plumbline's test sets, and its heads on CLINC150.
func publishIntent(data, _, out string) error {
	classifier, err := intent.Default()
	if err != nil {
		return err
	}
	seen, err := onSet(classifier, testset.Load, data)
	if err != nil {
		return err
	}
	blind, err := onSet(classifier, testset.LoadBlind, data)
	if err != nil {
		return err
	}
	second, err := onSet(classifier, testset.LoadSecondBlind, data)
	if err != nil {
		return err
	}
	both, err := onSet(classifier, bothBlind, data)
	if err != nil {
		return err
	}
	heads, err := evaluate.Heads(filepath.Join(data, "intent", "clinc150"))
	if err != nil {
		return err
	}
	var page bytes.Buffer
	fmt.Fprintf(&page, intentHead, both.Model, both.Prompts)
	writeIntent(&page, both)
	writeClasses(&page, both)
	fmt.Fprintf(&page, secondHead, second.Prompts)
	writeIntent(&page, second)
	fmt.Fprintf(&page, firstHead, blind.Prompts)
	writeIntent(&page, blind)
	writeMistaken(&page, blind)
	fmt.Fprintf(&page, seenHead, seen.Prompts)
	writeIntent(&page, seen)
	writeMistaken(&page, seen)
	fmt.Fprint(&page, "\nOf debugging this set holds two prompts: its F1, and its share of the macro-F1, say little.\n")
	writeHeads(&page, heads)
	return os.WriteFile(out, page.Bytes(), 0o644)
}

// bothBlind gives the prompts of the two blind sets.
func bothBlind(data string) ([]testset.Prompt, error) {
	first, err := testset.LoadBlind(data)
	if err != nil {
		return nil, err
	}
	second, err := testset.LoadSecondBlind(data)
	return append(first, second...), err
}

// onSet measures a classifier on one of the test sets.
func onSet(c *intent.Classifier, load func(string) ([]testset.Prompt, error), data string) (*evaluate.IntentReport, error) {
	set, err := load(data)
	if err != nil {
		return nil, err
	}
	var prompts []evaluate.Prompt
	for _, p := range set {
		prompts = append(prompts, evaluate.Prompt{Set: p.Source, Label: p.Label, Text: p.Text})
	}
	return evaluate.Intent(c, prompts)
}

const intentHead = `# How well intents are told

Written by ` + "`go run ./internal/evaluate/publish`" + `; ` + "`plumbline eval intent --data ../shared/data`" + ` measures the same. What the classes are: [Intents](explanation/intents.md). How to measure prompts of your own: [Measure](how-to/evaluate.md).

## Both blind sets
Model ` + "`%s`" + `, %d prompts of public sets, labelled one by one by [rules](../internal/intent/testset/RULES.md). They were labelled and committed before any model was asked about them, by readers who wrote no line to learn from. None of them is learnt from, and no line is near to one, which a test holds. Standard errors are over the prompts.

The two differ by more than their errors: what a figure is worth depends on the kinds of prompts, and no set here is a deployment's traffic.

| | |
|---|---|
`

const secondHead = `
## The second blind set
%d prompts, drawn to have [more of the classes that are told badly](../internal/intent/testset/README.md). Many are short and plain requests, and one in thirteen is for a translation: it is the easier set of the two. What its classes are taken for is not told, so that it stays blind.

| | |
|---|---|
`

const firstHead = `
## The first blind set
%d prompts, most of them questions and second turns. It has been asked about twice, of this model and the one before (.532, .607 and .614 in the first three rows), and what its prompts are taken for stands below: who writes lines has no longer seen nothing of it.

| | |
|---|---|
`

const seenHead = `
## The set that has been seen
%d other prompts, labelled by the same rules. A third of the lines to learn from are of before this labelling; more were written after the first measurement, which gave a macro-F1 of .573, in the knowledge of what kinds of prompts the set has. Lines that were near to its prompts were taken out later. Its figures are therefore kinder than those of the blind sets, which have other shares of each kind besides.

| | |
|---|---|
`

func writeIntent(w io.Writer, r *evaluate.IntentReport) {
	row := func(name string, e evaluate.Estimate) { fmt.Fprintf(w, "| %s | %.3f ± %.3f |\n", name, e.Value, e.SE) }
	row(fmt.Sprintf("macro-F1 over the classes that have prompts, the most probable one named (%d prompts with a class)", r.Forced.Prompts), r.Forced.MacroF1)
	row("the same, over the classes of ten prompts or more", r.Forced.MacroF1Ten)
	row("accuracy", r.Forced.Accuracy)
	row("right class among the first two", r.Forced.Top2)
	row("expected calibration error, 15 bins", r.Forced.ECE)
	row("given a class when the floor holds, of those with one", r.Floor.Named)
	row("of these given the right one", r.Floor.Right)
	row(fmt.Sprintf("called uncertain, of the %d without a class", r.Floor.Out), r.Floor.Uncertain)
}

// writeClasses tells how well each class is told, and not what it is taken for: a set that is to stay blind does not say what to
// write lines about.
func writeClasses(w io.Writer, r *evaluate.IntentReport) {
	fmt.Fprint(w, "\n| class | prompts | precision | recall | F1 |\n|---|---|---|---|---|\n")
	for _, c := range r.Classes {
		if c.Prompts > 0 {
			fmt.Fprintf(w, "| %s | %d | %.2f | %.2f | %.3f ± %.3f |\n", c.Label, c.Prompts, c.Precision, c.Recall, c.F1.Value, c.F1.SE)
		}
	}
}

// writeMistaken tells of each class what its prompts are taken for, too.
func writeMistaken(w io.Writer, r *evaluate.IntentReport) {
	fmt.Fprint(w, "\n| class | prompts | precision | recall | F1 | most often taken for |\n|---|---|---|---|---|---|\n")
	for _, c := range r.Classes {
		if c.Prompts == 0 {
			continue
		}
		fmt.Fprintf(w, "| %s | %d | %.2f | %.2f | %.3f ± %.3f | %s |\n", c.Label, c.Prompts, c.Precision, c.Recall, c.F1.Value, c.F1.SE,
			strings.Join(c.Mistaken, ", "))
	}
}

const headsText = `
## The two heads on CLINC150
The heads learn the 150 intents of CLINC150 (CC BY 3.0) from its training split (%d prompts) and are judged on its test splits. Their settings were chosen by its validation split. The embedding table, ` + "`%s`" + `, has seen nothing of it. Out of scope is told by the greatest sum of an intent and the cosine to the nearest prompt learnt from, each in deviations of what the validation prompts have.

| | both heads | n-grams alone | meaning alone |
|---|---|---|---|
| accuracy in scope, 4,500 prompts | %.2f %% ± %.2f | %.2f %% | %.2f %% |
| AUROC of in scope against out of scope, 1,000 prompts | %.2f %% ± %.2f | | |
| out of scope that passes where 95 %% in scope do | %.1f %% | | |
`

func writeHeads(w io.Writer, h *evaluate.HeadsReport) {
	fmt.Fprintf(w, headsText, h.Train, h.Table, 100*h.Accuracy.Value, 100*h.Accuracy.SE, 100*h.NGrams, 100*h.Meaning,
		100*h.AUROC, 100*h.AUROCSE, 100*h.FPR95)
}
