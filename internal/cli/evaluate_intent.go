package cli

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/plumbline/plumbline/internal/evaluate"
	"github.com/plumbline/plumbline/internal/intent"
	"github.com/plumbline/plumbline/internal/intent/testset"
)

type evalIntentCmd struct {
	Data    string `help:"Folder with intent/, as its README describes it: judges Plumbline's own test set and the heads on CLINC150." type:"existingdir" placeholder:"DIR"`
	Prompts string `help:"Labelled prompts of your own, a JSON object a line: set, label, text. May be packed with gzip." placeholder:"FILE" type:"existingfile"`
}

// intentReport is what of both was asked for.
type intentReport struct {
	Intent *evaluate.IntentReport `json:"intent"`
	Blind  *evaluate.IntentReport `json:"blind,omitempty"`
	Second *evaluate.IntentReport `json:"second_blind,omitempty"`
	Heads  *evaluate.HeadsReport  `json:"clinc150,omitempty"`
}

func (c evalIntentCmd) Run(s *session) error {
	if (c.Data == "") == (c.Prompts == "") {
		return configError{errors.New("say either --data or --prompts")}
	}
	classifier, err := intent.Default()
	if err != nil {
		return err
	}
	prompts, err := c.read()
	if err != nil {
		return configError{err}
	}
	var r intentReport
	if r.Intent, err = evaluate.Intent(classifier, prompts); err != nil {
		return configError{err}
	}
	if c.Data != "" {
		if r.Blind, err = c.onSet(classifier, testset.LoadBlind); err != nil {
			return configError{err}
		}
		if r.Second, err = c.onSet(classifier, testset.LoadSecondBlind); err != nil {
			return configError{err}
		}
		if r.Heads, err = evaluate.Heads(filepath.Join(c.Data, "intent", "clinc150")); err != nil {
			return configError{err}
		}
	}
	rows := r.rows()
	return s.printOne(r, []string{"FIGURE", "VALUE", "±", "PROMPTS", "INSTEAD"}, len(rows), func(i int) []string { return rows[i] })
}

func (c evalIntentCmd) read() ([]evaluate.Prompt, error) {
	if c.Prompts != "" {
		return readFile(c.Prompts, evaluate.ReadPrompts)
	}
	set, err := testset.Load(c.Data)
	return forEvaluation(set), err
}

// onSet measures on one of the sets that were labelled before an answer to them was seen.
func (c evalIntentCmd) onSet(classifier *intent.Classifier, load func(string) ([]testset.Prompt, error)) (*evaluate.IntentReport, error) {
	set, err := load(c.Data)
	if err != nil {
		return nil, err
	}
	return evaluate.Intent(classifier, forEvaluation(set))
}

func forEvaluation(set []testset.Prompt) []evaluate.Prompt {
	var prompts []evaluate.Prompt
	for _, p := range set {
		prompts = append(prompts, evaluate.Prompt{Set: p.Source, Label: p.Label, Text: p.Text})
	}
	return prompts
}

func (r intentReport) rows() [][]string {
	row := func(name string, e evaluate.Estimate, n int, more string) []string {
		return []string{name, fmt.Sprintf("%.3f", e.Value), fmt.Sprintf("%.3f", e.SE), strconv.Itoa(n), more}
	}
	i := r.Intent
	rows := [][]string{
		row("macro-F1", i.Forced.MacroF1, i.Forced.Prompts, ""),
		row("macro-F1, classes of 10 or more", i.Forced.MacroF1Ten, i.Forced.Prompts, ""),
		row("accuracy", i.Forced.Accuracy, i.Forced.Prompts, ""),
		row("among the first two", i.Forced.Top2, i.Forced.Prompts, ""),
		row("calibration error", i.Forced.ECE, i.Forced.Prompts, ""),
		row("given a class, with the floor", i.Floor.Named, i.Forced.Prompts, ""),
		row("of those right", i.Floor.Right, i.Forced.Prompts, ""),
		row("without a class and uncertain", i.Floor.Uncertain, i.Floor.Out, ""),
	}
	for _, set := range []struct {
		name string
		*evaluate.IntentReport
	}{{"blind", r.Blind}, {"second blind", r.Second}} {
		if set.IntentReport == nil {
			continue
		}
		f := set.Forced
		rows = append(rows,
			row(set.name+": macro-F1", f.MacroF1, f.Prompts, ""),
			row(set.name+": macro-F1, classes of 10 or more", f.MacroF1Ten, f.Prompts, ""),
			row(set.name+": accuracy", f.Accuracy, f.Prompts, ""),
			row(set.name+": among the first two", f.Top2, f.Prompts, ""))
	}
	for _, c := range i.Classes {
		rows = append(rows, row("F1 "+c.Label, c.F1, c.Prompts, strings.Join(c.Mistaken, ", ")))
	}
	if h := r.Heads; h != nil {
		rows = append(rows,
			row("CLINC150: accuracy in scope", h.Accuracy, 4500, ""),
			row("CLINC150: AUROC out of scope", evaluate.Estimate{Value: h.AUROC, SE: h.AUROCSE}, 5500, ""),
			row("CLINC150: passes at 95 % right", evaluate.Estimate{Value: h.FPR95}, 1000, ""))
	}
	return rows
}
