package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/plumbline/plumbline/internal/calibrate"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/evaluate"
)

// draws is how often what calibrates is drawn anew.
const draws = 2000

// promises are what is tried: with a third more prompts of a task than it takes, and with three times as many of all.
var promises = []evaluate.PromiseOptions{{Alpha: 0.01, Pooled: 1000, PerTask: 400}, {Alpha: 0.05, Pooled: 200, PerTask: 80}}

const calibrationHead = `# Whether the promise holds

Written by ` + "`go run ./internal/evaluate/publish`" + `; the same command gives the same page. What is promised, and what is not: [The promise](explanation/promise.md).

Model ` + "`%s`" + `. The ten domains of CLINC150 (CC BY 3.0) are tasks, and what is on them are the prompts of all of its splits. None has trained the scorer, whose few weights were chosen on the training split; those that are among its generic sentences or a task's own words are left out (%d). %d times some are drawn to calibrate, and the others are stopped or not by what those allow. *Held* is the share of draws in which at most the promised share of them was stopped; *expected* what that share is on average over all draws there are. A promise says 95 %% and rests on ranks: it is kept with some room, as a rank is a whole number.

| examples a task | promise | | calibrating | testing | held in | expected | stopped on task, mean | worst draw | stopped off task |
|---|---|---|---|---|---|---|---|---|---|
`

// publishCalibration tries the promises without examples and with some, and writes the page. One that does not hold is an error.
func publishCalibration(data, folder, out string) error {
	s, err := deviation.Default()
	if err != nil {
		return err
	}
	tasks, err := readTasks(filepath.Join(folder, "domains.json"))
	if err != nil {
		return err
	}
	c, err := readSplits(filepath.Join(data, "intent"), tasks, "train", "val", "test")
	if err != nil {
		return err
	}
	generic, err := os.ReadFile("internal/deviation/generic.txt")
	if err != nil {
		return err
	}
	trained := append(describing(tasks), strings.Split(string(generic), "\n")...)
	prompts, left := without(c.prompts, trained)
	var page bytes.Buffer
	fmt.Fprintf(&page, calibrationHead, s.Version(), left, draws)
	for _, examples := range []int{0, 20} {
		r, err := evaluate.Calibration(context.Background(), s, tasks, prompts, evaluate.CalibrationOptions{
			Promises: promises, Draws: draws, Examples: examples, Trained: trained,
		})
		if err != nil {
			return err
		}
		if !r.Holds() {
			return fmt.Errorf("a promise held in fewer than 95 %% of draws: %+v", r.Promises)
		}
		for _, p := range r.Promises {
			fmt.Fprintf(&page, "| %d | %g %% | %s | %d | %d | %.1f %% | %.1f %% | %.2f %% | %.2f %% | %.1f %% |\n",
				examples, 100*p.Alpha, p.Scope, p.Calibrating, p.Testing, 100*p.Held, 100*p.Expected, 100*p.Realised, 100*p.Worst, 100*p.Caught)
		}
	}
	return os.WriteFile(out, page.Bytes(), 0o644)
}

// without leaves out prompts that are among some texts, and says how many those were.
func without(prompts []evaluate.Prompt, texts []string) (left []evaluate.Prompt, n int) {
	among := map[string]bool{}
	for _, t := range texts {
		among[calibrate.Plain(t)] = true
	}
	for _, p := range prompts {
		if !among[calibrate.Plain(p.Text)] {
			left = append(left, p)
		}
	}
	return left, len(prompts) - len(left)
}

// describing are the texts that the tasks are described by.
func describing(tasks []evaluate.Task) (texts []string) {
	for _, t := range tasks {
		texts = append(texts, t.Title, t.Description)
		texts = append(texts, t.Topics...)
	}
	return texts
}
