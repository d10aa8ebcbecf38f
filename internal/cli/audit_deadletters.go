package cli

import (
	"errors"
	"fmt"
	"time"

	"github.com/plumbline/plumbline/internal/app"
)

type auditDeadlettersCmd struct {
	List deadlettersListCmd `cmd:"" help:"List audit records that Postgres refused, with the reason. As json or yaml their bytes too, in base64."`
}

type deadlettersListCmd struct {
	Limit int `help:"The most to print." default:"100"`
}

func (c deadlettersListCmd) Run(s *session) error {
	cfg, _, err := s.config()
	if err != nil {
		return err
	}
	if cfg.Postgres.URL.IsZero() {
		return configError{errors.New("there are dead letters only where records go to Postgres: set postgres.url")}
	}
	store, pool, err := app.OpenRecords(s.ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { _ = pool.Close() }()
	letters, err := store.Letters(s.ctx, max(0, c.Limit))
	if err != nil {
		return err
	}
	return s.print(letters, []string{"WRITER", "NUMBER", "TIME", "BYTES", "REASON"}, func(i int) []string {
		l := letters[i]
		at := ""
		if !l.Time.IsZero() {
			at = l.Time.Format(time.DateTime)
		}
		return []string{l.Writer, fmt.Sprint(l.Seq), at, fmt.Sprint(len(l.Record)), l.Reason}
	})
}
