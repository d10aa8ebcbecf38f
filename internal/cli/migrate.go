package cli

import (
	"errors"
	"fmt"

	"github.com/plumbline/plumbline/internal/app"
)

type migrateCmd struct {
	Check bool `help:"Show what would be applied, and change nothing. Exit status 3 if there is something."`
}

func (c migrateCmd) Run(s *session) error {
	cfg, _, err := s.config()
	if err != nil {
		return err
	}
	var done []app.Migration
	if c.Check {
		done, err = app.PendingMigrations(s.ctx, cfg)
	} else {
		done, err = app.Migrate(s.ctx, cfg, func(message string) { fmt.Fprintln(s.talk, "warning:", message) })
	}
	if errors.Is(err, app.ErrEmbedded) {
		fmt.Fprintln(s.talk, err)
		return nil
	}
	if len(done) > 0 || (err == nil && s.flags.Output != outputTable) { // also what was applied before it failed
		err = errors.Join(err, s.print(done, []string{"SCHEMA", "MIGRATION"}, func(i int) []string {
			return []string{done[i].Schema, done[i].Name}
		}))
	}
	switch {
	case err != nil:
		return err
	case c.Check && len(done) > 0:
		return errProblems
	case len(done) == 0:
		fmt.Fprintln(s.talk, "nothing to apply: every schema is up to date")
	}
	return nil
}
