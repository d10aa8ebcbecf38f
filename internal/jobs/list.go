package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/plumbline/plumbline/internal/postgres"
	"github.com/plumbline/plumbline/internal/sqlite"
)

// Errors of Retry.
var (
	ErrNotFound = errors.New("there is no such job: `plumbline jobs list` has those that are kept")
	ErrRunning  = errors.New("the job is running: wait until it has ended")
	// ErrAnother: a second run of a job in one period is not taken into the queue.
	ErrAnother = errors.New("another run of the job in the same period waits or is done")
)

// Entry is a job in the queue.
type Entry struct {
	ID    int64  `json:"id"`
	Job   string `json:"job"`
	State string `json:"state"`
	// Attempt is how often it was tried, of MaxAttempts.
	Attempt     int       `json:"attempt"`
	MaxAttempts int       `json:"max_attempts"`
	Created     time.Time `json:"created"`
	// Scheduled is when it is or was due.
	Scheduled time.Time `json:"scheduled"`
	Finished  time.Time `json:"finished,omitzero"`
	// By is the process that tried it last.
	By string `json:"by,omitempty"`
	// Error is why the last attempt failed, if one did.
	Error string `json:"error,omitempty"`
}

// States lists the states that a job can be in.
func States() (all []string) {
	for _, s := range rivertype.JobStates() {
		all = append(all, string(s))
	}
	slices.Sort(all)
	return all
}

// Filter says which jobs List gives.
type Filter struct {
	State string // any if empty
	Limit int    // from 1 to 1000
}

// List gives jobs of the queue, the newest first.
func List(ctx context.Context, q Queue, f Filter) ([]Entry, error) {
	c, err := q.client(&river.Config{})
	if err != nil {
		return nil, err
	}
	params := river.NewJobListParams().OrderBy(river.JobListOrderByID, river.SortOrderDesc).First(f.Limit)
	if f.State != "" {
		params = params.States(rivertype.JobState(f.State))
	}
	found, err := c.JobList(ctx, params)
	if err != nil {
		return nil, fmt.Errorf("listing jobs: %w", err)
	}
	entries := make([]Entry, len(found.Jobs))
	for i, row := range found.Jobs {
		entries[i] = entryOf(row)
	}
	return entries, nil
}

// Retry makes a job due now, with one more attempt if it has had all.
func Retry(ctx context.Context, q Queue, id int64) (Entry, error) {
	c, err := q.client(&river.Config{})
	if err != nil {
		return Entry{}, err
	}
	row, err := c.JobRetry(ctx, id)
	switch {
	case errors.Is(err, rivertype.ErrNotFound):
		return Entry{}, ErrNotFound
	case postgres.IsUnique(err) || sqlite.IsUnique(err):
		return Entry{}, ErrAnother
	case err != nil:
		return Entry{}, fmt.Errorf("trying a job again: %w", err)
	case row.State == rivertype.JobStateRunning:
		return Entry{}, ErrRunning
	}
	return entryOf(row), nil
}

func entryOf(row *rivertype.JobRow) Entry {
	e := Entry{
		ID: row.ID, Job: row.Kind, State: string(row.State), Attempt: row.Attempt, MaxAttempts: row.MaxAttempts,
		Created: row.CreatedAt.UTC(), Scheduled: row.ScheduledAt.UTC(),
	}
	var a args
	if json.Unmarshal(row.EncodedArgs, &a) == nil && a.Job != "" {
		e.Job = a.Job
	}
	if row.FinalizedAt != nil {
		e.Finished = row.FinalizedAt.UTC()
	}
	if n := len(row.AttemptedBy); n > 0 {
		e.By = row.AttemptedBy[n-1]
	}
	if n := len(row.Errors); n > 0 {
		e.Error = row.Errors[n-1].Error
	}
	return e
}
