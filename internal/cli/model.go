package cli

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/describe"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/embed"
	"github.com/plumbline/plumbline/internal/models"
	"github.com/plumbline/plumbline/internal/store"
)

type modelCmd struct {
	Status   modelStatusCmd   `cmd:"" help:"Show which model is in use."`
	List     modelListCmd     `cmd:"" help:"List the models of the directory, and the shipped one. Exit status 3 if one is broken."`
	Install  modelInstallCmd  `cmd:"" help:"Put a table into the directory. It is not in use thereby."`
	Use      modelUseCmd      `cmd:"" help:"Have a model be used by each replica of the directory, within seconds. It is recorded, with your name."`
	Tune     modelTuneCmd     `cmd:"" help:"Adapt a table to prompts of your own, without labels. Exit status 3 if it would judge worse."`
	Rollback modelRollbackCmd `cmd:"" help:"Have the model be used again that was before. It is recorded, with your name."`
}

// inUse gives the table that is in use, and the scorer by it.
func (s *session) inUse() (*deviation.Scorer, *embed.Table, error) {
	cfg, _, err := s.config()
	if err != nil {
		return nil, nil, err
	}
	scorer, table, err := app.LoadScorer(cfg.Deviation)
	if err != nil {
		return nil, nil, configError{err}
	}
	return scorer, table, nil
}

// scorer gives the scorer by the table that is in use.
func (s *session) scorer() (*deviation.Scorer, error) {
	scorer, _, err := s.inUse()
	return scorer, err
}

// editor gives the editor of tasks by the table that is in use.
func (s *session) editor() (*describe.Editor, error) {
	scorer, table, err := s.inUse()
	if err != nil {
		return nil, err
	}
	return describe.New(scorer, table), nil
}

func (s *session) models() (models.Dir, error) {
	cfg, _, err := s.config()
	return models.Dir(cfg.Deviation.Models), err
}

// modelStatus is what status prints: the table, the name that scores by it have in records, and where tables are.
type modelStatus struct {
	Table     string `json:"table"`
	Model     string `json:"model"`
	Columns   int    `json:"columns"`
	Shipped   bool   `json:"shipped"`
	Directory string `json:"directory"`
	// Candidates were adapted here and never used, the newest first.
	Candidates []models.Model `json:"candidates,omitempty"`
}

type modelStatusCmd struct{}

func (modelStatusCmd) Run(s *session) error {
	dir, err := s.models()
	if err != nil {
		return err
	}
	scorer, table, err := s.inUse()
	if err != nil {
		return err
	}
	shipped, err := embed.Default()
	if err != nil {
		return err
	}
	candidates, err := dir.Candidates()
	if err != nil {
		return configError{err}
	}
	status := modelStatus{table.Version(), scorer.Version(), table.Dim(), table == shipped, string(dir), candidates}
	for _, m := range candidates {
		fmt.Fprintf(s.talk, "%s waits beside it: %s\n", m.Version, worth(m.Card))
	}
	return s.printOne(status, []string{"TABLE", "SCORES ARE CALLED", "COLUMNS", "DIRECTORY"}, 1, func(int) []string {
		return []string{status.Table, status.Model, strconv.Itoa(status.Columns), status.Directory}
	})
}

type modelListCmd struct{}

func (modelListCmd) Run(s *session) error {
	dir, err := s.models()
	if err != nil {
		return err
	}
	all, err := dir.List()
	if err != nil {
		return configError{err}
	}
	broken := false
	err = s.print(all, []string{"TABLE", "", "COLUMNS", "BYTES", "MADE", "WORTH", "PROBLEM"}, func(i int) []string {
		m := all[i]
		mark, made := "", ""
		switch {
		case m.InUse:
			mark = "in use"
		case m.Shipped:
			mark = "shipped"
		case m.Candidate:
			mark = "candidate"
		}
		if m.Card != nil {
			made = when(m.Card.Made)
		}
		return []string{m.Version, mark, strconv.Itoa(m.Columns), strconv.FormatInt(m.Bytes, 10), made, worth(m.Card), m.Problem}
	})
	for _, m := range all {
		broken = broken || m.Problem != ""
	}
	if err == nil && broken {
		return errProblems
	}
	return err
}

// worth says what is known of a model that was adapted here, nothing of others.
func worth(c *models.Card) string {
	switch {
	case c == nil:
		return ""
	case c.Judged == nil:
		return fmt.Sprintf("cosine to the teacher %.4f, before %.4f; not judged", c.After, c.Before)
	}
	j := c.Judged
	return fmt.Sprintf("AUROC %.4f, that of %s %.4f: %+.4f ± %.4f", j.AUROCAfter, printable(j.Beside), j.AUROCBefore, j.Difference, j.SE)
}

type modelInstallCmd struct {
	File string `arg:"" help:"A table, as plumbline model tune and make table write it." type:"existingfile"`
}

func (c modelInstallCmd) Run(s *session) error {
	dir, err := s.models()
	if err != nil {
		return err
	}
	version, err := dir.Install(c.File)
	if err != nil {
		return err
	}
	return s.say(map[string]string{"table": version}, "%s", version)
}

type modelUseCmd struct {
	Version string `arg:"" help:"The table, as list names it."`
	Reason  string `help:"Why. It is recorded, with your name." required:"" placeholder:"WORDS"`
}

func (c modelUseCmd) Run(s *session) error {
	return s.choosing(c.Reason, func(dir models.Dir, st store.Store) error {
		changed, err := dir.Use(c.Version, func() error { return st.NoteModel(s.ctx, store.UseAction, c.Version) })
		switch {
		case err != nil:
			return err
		case !changed:
			fmt.Fprintf(s.talk, "%s is in use already\n", c.Version)
			return nil
		}
		if card, err := dir.Card(c.Version); err == nil && card != nil && card.Judged == nil {
			fmt.Fprintf(s.talk, "nobody judged %s: whether it is better is not known\n", c.Version)
		}
		return s.switched(c.Version)
	})
}

// choosing makes a change of the model in use, which is recorded before it is made.
func (s *session) choosing(reason string, change func(models.Dir, store.Store) error) error {
	if err := store.CheckReason(reason); err != nil {
		return configError{err}
	}
	dir, err := s.models()
	if err != nil {
		return err
	}
	return s.withStore(func(st store.Store) error {
		s.ctx = store.WithReason(s.ctx, reason)
		return change(dir, st)
	})
}

// switched says what follows from a change of the model.
func (s *session) switched(version string) error {
	scorer, err := s.scorer()
	if err != nil {
		return err
	}
	fmt.Fprintf(s.talk, "%s is used within seconds by each replica that runs on this directory. Its scores are called %s: a calibration made with another model does not apply to them.\n", version, scorer.Version())
	return nil
}

type modelRollbackCmd struct {
	Reason string `help:"Why. It is recorded, with your name." required:"" placeholder:"WORDS"`
}

func (c modelRollbackCmd) Run(s *session) error {
	return s.choosing(c.Reason, func(dir models.Dir, st store.Store) error {
		from, to, err := dir.Rollback(func(to string) error { return st.NoteModel(s.ctx, store.RestoreAction, to) })
		if errors.Is(err, models.ErrNothingBefore) {
			fmt.Fprintln(s.talk, "plumbline:", err)
			return errProblems
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(s.talk, "back from %s\n", from)
		return s.switched(to)
	})
}
