package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/policy"
	"github.com/plumbline/plumbline/internal/trial"
)

type judgeCmd struct {
	Text string   `arg:"" help:"The prompt."`
	Task []string `help:"Score against this task; repeat it. Without: intent only."`

	throughFlags `embed:""`
}

// judged is what classify prints. It holds the prompt's words: it goes to the person who typed them.
type judged struct {
	Intent    core.Intent       `json:"intent"`
	Deviation *core.Deviation   `json:"deviation,omitempty"`
	Words     []core.WordWeight `json:"words,omitempty"`
	Found     *core.Found       `json:"found,omitempty"`
}

func (c judgeCmd) Run(s *session) error {
	var result judged
	err := s.withTrial(func(t *app.Trial) error {
		request := trial.Request{At: time.Now().UTC(), Text: c.Text}
		tasks, err := t.Tasks(c.Task...)
		if err != nil {
			return err
		}
		if err := c.into(s, t, &request); err != nil {
			return err
		}
		result = judgedOf(t.Facts(request, tasks...), len(tasks) > 0)
		return nil
	})
	if err != nil {
		return err
	}
	rows := result.rows()
	return s.printOne(result, []string{"WHAT", "VALUE"}, len(rows), func(i int) []string { return rows[i] })
}

func judgedOf(f policy.Facts, scored bool) judged {
	r := judged{Intent: f.Intent}
	if f.Found.Any() {
		r.Found = &f.Found
	}
	if scored {
		r.Deviation, r.Words = &f.Deviation, f.Deviation.Words
	}
	return r
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
		rows = append(rows, []string{"deviation", deviationLine(*d)},
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
