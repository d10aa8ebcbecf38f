package cli

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/plumbline/plumbline/internal/evaluate"
)

type evalCalibrationCmd struct {
	Tasks    string    `help:"JSON array of tasks, as eval deviation takes it." required:"" placeholder:"FILE" type:"existingfile"`
	Prompts  string    `help:"Labelled prompts, as eval deviation takes them." required:"" placeholder:"FILE" type:"existingfile"`
	Trained  string    `help:"Prompts in the same form that something was trained with. One that is on a task ends the trial." placeholder:"FILE" type:"existingfile"`
	Promise  []float64 `help:"Shares of prompts on task that may be blocked, in percent." default:"1,5" placeholder:"PERCENT"`
	Draws    int       `help:"How often prompts are drawn anew. With few, a promise that holds can seem not to by chance." default:"2000" placeholder:"N"`
	Pooled   []int     `help:"Prompts of all tasks that calibrate, for each of the promises." default:"1000,200" placeholder:"N"`
	PerTask  []int     `help:"Prompts of one task that calibrate, for each of the promises." default:"400,80" placeholder:"N"`
	Examples int       `help:"Prompts that each task is given as examples." default:"0" placeholder:"K"`
	Table    string    `help:"The embedding table to judge by. Default: the shipped one, whatever is in use." placeholder:"FILE" type:"existingfile"`
}

func (c evalCalibrationCmd) Run(s *session) error {
	tasks, prompts, err := readLabelled(c.Tasks, c.Prompts)
	if err != nil {
		return err
	}
	if len(c.Pooled) != len(c.Promise) || len(c.PerTask) != len(c.Promise) {
		return configError{errors.New("--pooled and --per-task must have a number for each --promise")}
	}
	o := evaluate.CalibrationOptions{Draws: c.Draws, Examples: c.Examples}
	for i, percent := range c.Promise {
		o.Promises = append(o.Promises, evaluate.PromiseOptions{Alpha: percent / 100, Pooled: c.Pooled[i], PerTask: c.PerTask[i]})
	}
	if c.Trained != "" {
		trained, err := readFile(c.Trained, evaluate.ReadPrompts)
		if err != nil {
			return configError{err}
		}
		for _, p := range trained {
			o.Trained = append(o.Trained, p.Text)
		}
	}
	scorer, _, err := scorerOf(c.Table)
	if err != nil {
		return err
	}
	report, err := evaluate.Calibration(s.ctx, scorer, tasks, prompts, o)
	var leak *evaluate.LeakError
	switch {
	case errors.As(err, &leak):
		fmt.Fprintln(s.talk, "plumbline:", err)
		return errProblems
	case err != nil:
		return configError{err}
	}
	if err := s.printOne(report, promiseHeader, len(report.Promises), func(i int) []string { return promiseRow(report.Promises[i]) }); err != nil {
		return err
	}
	if !report.Holds() {
		fmt.Fprintln(s.talk, "a promise held in fewer than 95 % of draws")
		return errProblems
	}
	return nil
}

var promiseHeader = []string{"PROMISE", "SCOPE", "CALIBRATING", "TESTING", "HELD IN", "EXPECTED", "REALISED", "WORST", "CAUGHT"}

func promiseRow(p evaluate.Promised) []string {
	percent := func(x float64, digits int) string { return strconv.FormatFloat(100*x, 'f', digits, 64) + " %" }
	return []string{
		percent(p.Alpha, -1), p.Scope, strconv.Itoa(p.Calibrating), strconv.Itoa(p.Testing), percent(p.Held, 1), percent(p.Expected, 1),
		percent(p.Realised, 2), percent(p.Worst, 2), percent(p.Caught, 1),
	}
}
