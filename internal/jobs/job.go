package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Bounds of a job.
const (
	// Longest bounds a job's Timeout, so that a job that still runs is not taken for one whose process died.
	Longest = 10 * time.Minute
	// attempts is how often a job is tried in its period before it is discarded. River waits 1, 16, 81 and 256 s between.
	attempts = 5
	// mostEvery keeps a period shorter than what is done stays in the queue, by which a second run is known for one.
	mostEvery, keepDone = 24 * time.Hour, 48 * time.Hour
	// keepDiscarded is how long jobs that failed for good are listed.
	keepDiscarded = 7 * 24 * time.Hour
)

// Job is a piece of background work.
type Job struct {
	// Name identifies the job in the queue, in metrics and in lists. It never changes.
	Name string
	// Every is its period, at most a day. Periods begin at multiples of it since 1970.
	Every time.Duration
	// Timeout bounds one run, at most Longest.
	Timeout time.Duration
	// Run does the work. It must end soon after ctx does, and bear being called again after any part of it was done.
	Run func(ctx context.Context) error
}

// laterError asks for another run in the same period.
type laterError struct{ after time.Duration }

func (e *laterError) Error() string { return "to be gone on with in " + e.after.String() }

// Later is what a job returns that did its part and wants to be called again, in the same period and without a failure.
func Later(after time.Duration) error { return &laterError{after} }

// check reports what is wrong with a set of jobs, which is a mistake in the program.
func check(all []Job) error {
	known := map[string]bool{}
	for _, j := range all {
		switch {
		case j.Name == "" || known[j.Name]:
			return fmt.Errorf("jobs: the name %q is empty or taken", j.Name)
		case j.Run == nil:
			return fmt.Errorf("jobs: %s does nothing", j.Name)
		case j.Every < time.Second || j.Every > mostEvery:
			return fmt.Errorf("jobs: %s has a period of %s, not from 1s to %s", j.Name, j.Every, mostEvery)
		case j.Timeout <= 0 || j.Timeout > Longest:
			return fmt.Errorf("jobs: %s may take %s, not up to %s", j.Name, j.Timeout, Longest)
		}
		known[j.Name] = true
	}
	if len(all) == 0 {
		return errors.New("jobs: there are none")
	}
	return nil
}
