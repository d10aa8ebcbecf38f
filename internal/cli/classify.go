package cli

import (
	"fmt"
	"strings"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/detect"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/intent"
	"github.com/plumbline/plumbline/internal/store"
)

type judgeCmd struct {
	Text string   `arg:"" help:"The prompt."`
	Task []string `help:"Score against this task; repeat it. Without: intent only."`
}

// judged is what classify prints. It holds the prompt's words: it goes to the person who typed them.
type judged struct {
	Intent    core.Intent       `json:"intent"`
	Deviation *core.Deviation   `json:"deviation,omitempty"`
	Words     []core.WordWeight `json:"words,omitempty"`
	Found     *core.Found       `json:"found,omitempty"`
}

func (c judgeCmd) Run(s *session) error {
	classifier, err := intent.Default()
	if err != nil {
		return err
	}
	prompt := core.Prompt{Parts: []core.Part{{Role: core.RoleUser, Kind: core.KindText, Text: c.Text}}}
	view := intent.NewView(prompt)
	result := judged{Intent: classifier.Classify(view)}
	if found := detect.Prompt(prompt); found.Any() {
		result.Found = &found
	}
	if len(c.Task) > 0 {
		d, err := c.score(s, view)
		if err != nil {
			return err
		}
		result.Deviation, result.Words = &d, d.Words
	}
	rows := result.rows()
	return s.printOne(result, []string{"WHAT", "VALUE"}, len(rows), func(i int) []string { return rows[i] })
}

func (c judgeCmd) score(s *session, view *intent.View) (core.Deviation, error) {
	scorer, err := s.scorer()
	if err != nil {
		return core.Deviation{}, err
	}
	var compiled []*deviation.Task
	err = s.withStore(func(st store.Store) error {
		for _, id := range c.Task {
			t, err := st.Tasks().Get(s.ctx, id)
			if err != nil {
				return err
			}
			compiled = append(compiled, scorer.Compile(t))
		}
		return nil
	})
	if err != nil {
		return core.Deviation{}, err
	}
	return scorer.Score(view, compiled), nil
}

// rows are the lines of the table.
func (j judged) rows() [][]string {
	var top []string
	for _, l := range j.Intent.Top {
		top = append(top, fmt.Sprintf("%s %.2f", l.Label, l.P))
	}
	rows := [][]string{
		{"intent", j.Intent.Label}, {"confidence", fmt.Sprintf("%.2f", j.Intent.Confidence)}, {"classes", strings.Join(top, ", ")},
	}
	if j.Intent.Unscored != "" {
		rows = append(rows, []string{"unscored", string(j.Intent.Unscored)})
	}
	if j.Found != nil {
		for _, s := range j.Found.Secrets {
			rows = append(rows, []string{"secret", sighting(s)})
		}
		for _, s := range j.Found.Attacks {
			rows = append(rows, []string{"attack", sighting(s)})
		}
	}
	if d := j.Deviation; d != nil {
		rows = append(rows, []string{"deviation", fmt.Sprintf("%.3f (0 on task, 1 nothing in common; not calibrated)", d.Score)},
			[]string{"nearest task", d.Task}, []string{"nearest phrase", d.Phrase})
		if d.Unscored != "" {
			rows = append(rows, []string{"unscored", string(d.Unscored)})
		}
		for _, w := range j.Words {
			rows = append(rows, []string{"word", fmt.Sprintf("%+.2f %s", w.Weight, w.Word)})
		}
	}
	return rows
}

// sighting is a kind of what was found, with how often where that is not once.
func sighting(s core.Sighting) string {
	text := s.Kind
	if s.Count > 1 {
		text += fmt.Sprintf(" (%d times)", s.Count)
	}
	if s.Encoded {
		text += " (encoded)"
	}
	return text
}
