package cli

import (
	"fmt"
	"os"
	"slices"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/describe"
	"github.com/plumbline/plumbline/internal/store"
)

type taskLintCmd struct {
	ID    []string `arg:"" optional:"" help:"The tasks; without, all."`
	File  string   `short:"f" help:"Look at the tasks of a YAML file, as for apply, in place of those that are stored." type:"existingfile"`
	Draft bool     `help:"Draft topics for tasks that have few."`
}

// linted is what lint prints.
type linted struct {
	Problems []describe.Problem `json:"problems"`
	Drafts   []draft            `json:"drafts,omitempty"`
}

type draft struct {
	Task   string   `json:"task"`
	Topics []string `json:"topics"`
}

func (c taskLintCmd) Run(s *session) error {
	editor, err := s.editor()
	if err != nil {
		return err
	}
	all, err := c.tasks(s)
	if err != nil {
		return err
	}
	some := all
	if len(c.ID) > 0 {
		some = nil
		for _, id := range c.ID {
			i := slices.IndexFunc(all, func(t core.Task) bool { return t.ID == id })
			if i < 0 {
				return fmt.Errorf("task %q does not exist", id)
			}
			some = append(some, all[i])
		}
	}
	result := linted{Problems: editor.Lint(some, all)}
	if result.Problems == nil {
		result.Problems = []describe.Problem{}
	}
	if c.Draft {
		for _, t := range some {
			if topics := editor.Draft(t); len(topics) > 0 && len(t.Topics) < describe.EnoughTopics {
				result.Drafts = append(result.Drafts, draft{t.ID, topics})
			}
		}
	}
	return result.print(s, len(some))
}

// tasks are those of the file, or else those that are stored.
func (c taskLintCmd) tasks(s *session) (all []core.Task, err error) {
	if c.File != "" {
		data, err := os.ReadFile(c.File)
		if err != nil {
			return nil, err
		}
		objects, err := app.ParseObjects(c.File, data)
		if err != nil {
			return nil, configError{err}
		}
		return objects.Tasks, nil
	}
	err = s.withStore(func(st store.Store) error {
		all, err = store.All(s.ctx, st.Tasks(), func(t core.Task) string { return t.ID })
		return err
	})
	return all, err
}

// print shows what was found, and says by the exit status whether anything was.
func (l linted) print(s *session, looked int) error {
	var rows [][]string
	for _, p := range l.Problems {
		rows = append(rows, []string{p.Task, p.Where, p.Text})
	}
	for _, d := range l.Drafts {
		for _, topic := range d.Topics {
			rows = append(rows, []string{d.Task, "draft", topic})
		}
	}
	if err := s.printOne(l, []string{"TASK", "WHERE", "WHAT"}, len(rows), func(i int) []string { return rows[i] }); err != nil {
		return err
	}
	if len(l.Problems) > 0 {
		return errProblems
	}
	fmt.Fprintf(s.talk, "no problem found in %d tasks\n", looked)
	return nil
}
