package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/plumbline/plumbline/internal/describe"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/evaluate"
)

// develop measures on the development data: parts of the sets that the pages do not judge, by which ways of scoring may be
// chosen. CLINC150's validation split, a third of BANKING77's training split, every other problem of GSM8K that is not judged,
// and the seed tasks of self-instruct. HumanEval has no such part, so there is no task of software.
func develop(data, folder string, w io.Writer) error {
	scorer, err := deviation.Default()
	if err != nil {
		return err
	}
	editor, err := describe.Default()
	if err != nil {
		return err
	}
	for _, set := range []struct {
		file string
		read func(data string, tasks []evaluate.Task) (*corpus, error)
	}{{"domains.json", developCLINC}, {"office.json", developOffice}} {
		tasks, err := readTasks(filepath.Join(folder, set.file))
		if err != nil {
			return err
		}
		c, err := set.read(filepath.Join(data, "intent"), tasks)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s: %d tasks, %d prompts, %d of traffic\n", set.file, len(c.tasks), len(c.prompts), len(c.traffic))
		for _, o := range variants(editor, c) {
			r, err := evaluate.Deviation(context.Background(), scorer, c.tasks, c.prompts, o)
			if err != nil {
				return err
			}
			fmt.Fprintf(w, "  %3d examples, %d out of scope (withheld: %v), %4d of traffic, %s drafted: %v: AUROC %.4f ± %.4f, caught %.3f",
				o.Examples, o.OutOfScope, o.Withhold, r.Traffic, o.Disguise, o.Draft != nil, r.Macro.AUROC, r.Macro.AUROCSE, r.Macro.Caught)
			for _, t := range r.Tasks {
				fmt.Fprintf(w, " %s %.3f", t.ID, t.AUROC)
			}
			fmt.Fprintln(w)
		}
	}
	return nil
}

// variants are what is measured: by examples, alone and beside traffic, with out-of-scope examples, of prompts that hide, and of
// drafted titles.
func variants(editor *describe.Editor, c *corpus) (all []evaluate.Options) {
	for _, examples := range []int{0, 5, 20} {
		for _, traffic := range [][]string{nil, c.traffic} {
			all = append(all, evaluate.Options{Examples: examples, Traffic: traffic, Seeds: seeds})
		}
	}
	for _, examples := range []int{0, 5, 20} {
		for _, withhold := range []bool{true, false} {
			all = append(all, evaluate.Options{Examples: examples, OutOfScope: outOfScope, Withhold: withhold, Seeds: seeds})
		}
	}
	for _, d := range evaluate.Disguises() {
		all = append(all, evaluate.Options{Seeds: 1, Disguise: d})
	}
	return append(all, evaluate.Options{Seeds: 1, Draft: editor})
}

func developCLINC(data string, tasks []evaluate.Task) (*corpus, error) {
	return readSplits(data, tasks, "val")
}

func developOffice(data string, tasks []evaluate.Task) (*corpus, error) {
	c := &corpus{}
	for _, t := range tasks {
		if t.Set != "humaneval" {
			t.NegativeSets = slices.DeleteFunc(t.NegativeSets, func(s string) bool { return s == "humaneval" || s == "mt-bench" })
			c.tasks = append(c.tasks, t)
		}
	}
	if err := c.addCLINC(data, "val"); err != nil {
		return nil, err
	}
	all := &corpus{}
	if err := all.addBanking(filepath.Join(data, "banking77"), "train"); err != nil {
		return nil, err
	}
	for i, p := range all.prompts {
		if i%3 == 0 {
			c.prompts = append(c.prompts, p)
		} else {
			c.traffic = append(c.traffic, p.Text)
		}
	}
	err := eachLine(filepath.Join(data, "gsm8k/test.jsonl"), func(row line, n int) {
		switch {
		case n < judgedOfGSM8K:
		case n%2 == 0:
			c.judge("gsm8k", "maths", row.Question)
		default:
			c.traffic = append(c.traffic, row.Question)
		}
	})
	if err != nil {
		return nil, err
	}
	return c, eachLine(filepath.Join(data, "self-instruct/seed_tasks.jsonl"), func(row line, n int) {
		if n%2 == 0 {
			c.judge("self-instruct", "seed", row.request())
		} else {
			c.traffic = append(c.traffic, row.request())
		}
	})
}
