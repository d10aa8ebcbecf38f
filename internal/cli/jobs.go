package cli

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/jobs"
)

type jobsCmd struct {
	List  jobsListCmd  `cmd:"" help:"Background jobs of the last days, the newest first."`
	Retry jobsRetryCmd `cmd:"" help:"Make a job due now."`
}

type jobsListCmd struct {
	State string `help:"Only jobs in this state: available, cancelled, completed, discarded, pending, retryable, running or scheduled." placeholder:"STATE"`
	Limit int    `help:"The most jobs to print, at most 1000." default:"100"`
}

func (c jobsListCmd) Run(s *session) error {
	if c.State != "" && !slices.Contains(jobs.States(), c.State) {
		return configError{fmt.Errorf("there is no state %q: it is one of %s", c.State, strings.Join(jobs.States(), ", "))}
	}
	if c.Limit < 1 || c.Limit > 1000 {
		return configError{errors.New("--limit must be from 1 to 1000")}
	}
	return s.withQueue(func(q jobs.Queue) error {
		found, err := jobs.List(s.ctx, q, jobs.Filter{State: c.State, Limit: c.Limit})
		if err != nil {
			return err
		}
		return s.print(found, []string{"ID", "JOB", "STATE", "ATTEMPT", "DUE", "ENDED", "ERROR"}, func(i int) []string {
			e, ended := found[i], ""
			if !e.Finished.IsZero() {
				ended = e.Finished.Format(time.DateTime)
			}
			return []string{
				strconv.FormatInt(e.ID, 10), e.Job, e.State, fmt.Sprintf("%d of %d", e.Attempt, e.MaxAttempts),
				e.Scheduled.Format(time.DateTime), ended, e.Error,
			}
		})
	})
}

type jobsRetryCmd struct {
	ID int64 `arg:"" help:"The job's number, as jobs list shows it."`
}

func (c jobsRetryCmd) Run(s *session) error {
	return s.withQueue(func(q jobs.Queue) error {
		e, err := jobs.Retry(s.ctx, q, c.ID)
		if err != nil {
			return fmt.Errorf("job %d: %w", c.ID, err)
		}
		return s.say(e, "job %d (%s) is due now; a Plumbline that runs takes it within seconds", e.ID, e.Job)
	})
}

// withQueue opens the queue of background jobs.
func (s *session) withQueue(use func(jobs.Queue) error) error {
	cfg, _, err := s.config()
	if err != nil {
		return err
	}
	queue, err := app.OpenQueue(s.ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { _ = queue.Close() }()
	return use(queue.Queue)
}
