package core

import "time"

// Sample is a prompt that was drawn at random for calibration, before its verdict: how it was scored, and never its text,
// which lies sealed in the audit for a while.
type Sample struct {
	Exchange string    `json:"exchange"`
	Drawn    time.Time `json:"drawn"`
	// Task is the nearest task and Text the version of that task's text; Model is that of the scorer.
	Task  string  `json:"task"`
	Text  string  `json:"text"`
	Model string  `json:"model"`
	Score float64 `json:"score"`
	// Place is where the sample stands in the queue to be labelled, drawn at random: what was labelled is at any time a
	// random part of what was drawn.
	Place int64 `json:"-"`
}

// Lesson is a prompt that was drawn at random like a sample, and set aside to learn from. It is no sample: nobody labels it, and
// so it never calibrates what was learnt from it, or anything else.
type Lesson struct {
	Exchange string
	Drawn    time.Time
	// Place is where it stands among others, drawn at random: what is learnt from is a random part of them.
	Place int64
}

// Label is what somebody says of a sample.
type Label struct {
	Sample
	By     string    `json:"by"` // as the audit names them
	OnTask bool      `json:"on_task"`
	At     time.Time `json:"at"`
	// Approved is who answers for the label, By itself for somebody who may; empty: it does not count yet.
	Approved string `json:"approved,omitempty"`
	// Proposal is what a judge proposed to whoever labelled, and Judge which; both are empty if none did.
	Proposal Proposed `json:"proposal,omitempty"`
	Judge    string   `json:"judge,omitempty"`
}

// Proposed is what a judge that is no person says of a sample.
type Proposed string

// What a judge can say. An empty one is none of them: it was asked and proposes nothing.
const (
	ProposedOn  Proposed = "on_task"
	ProposedOff Proposed = "off_task"
)

// Proposal is what came of asking a judge about a sample. It counts for nothing.
type Proposal struct {
	Exchange string
	Judge    string
	Verdict  Proposed
	// Rationale is why, sealed as the sample is; nil for nothing.
	Rationale []byte
	At        time.Time
}

// N is how many prompts a version is made of.
func (c Calibration) N() (n int) {
	for _, t := range c.Tasks {
		n += len(t.Scores)
	}
	return n
}

// MostScores is how many prompts a calibration is made of at most. More make no promise better, and every replica has them in
// memory.
const MostScores = 20_000

// Calibration is one version of what labels say. It never changes but for Demoted.
type Calibration struct {
	ID      string    `json:"id"` // named by its content
	Created time.Time `json:"created"`
	Model   string    `json:"model"` // of the scorer that all of its scores are from
	// Tasks are the tasks that it speaks of, by id.
	Tasks []CalibratedTask `json:"tasks"`
	// Demoted is when it was found that more is stopped than was promised. It stops nothing since.
	Demoted time.Time `json:"demoted,omitzero"`
}

// CalibratedTask holds the scores of prompts that were nearest to one task, and on somebody's task.
type CalibratedTask struct {
	Task   string    `json:"task"`
	Text   string    `json:"text"`   // the version of the task's text that they were scored against
	Scores []float64 `json:"scores"` // rising
}
