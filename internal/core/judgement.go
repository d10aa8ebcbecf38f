package core

import "strings"

// Unscored says why a prompt could not be judged. Empty: it was.
type Unscored string

// The causes for which a prompt stays unscored.
const (
	UnscoredLanguage Unscored = "language"  // not in a language the models know
	UnscoredOpaque   Unscored = "opaque"    // only images, audio or files
	UnscoredEncoded  Unscored = "encoded"   // base64 and the like
	UnscoredTooShort Unscored = "too_short" // nothing to go by
	UnscoredNoTask   Unscored = "no_task"   // the person has no task to deviate from
)

// LabelUncertain is the intent label of a prompt for which no class is probable enough.
const LabelUncertain = "uncertain"

// LabelScore is one class and its probability.
type LabelScore struct {
	Label string  `json:"label"`
	P     float64 `json:"p"`
}

// Intent is what the prompt asks for.
type Intent struct {
	// Label is the class, LabelUncertain below the confidence floor, empty when Unscored.
	Label string `json:"label,omitempty"`
	// Confidence is the calibrated probability of the most probable class, in [0, 1].
	Confidence float64 `json:"confidence"`
	// Top holds the most probable classes, best first, at most three.
	Top      []LabelScore `json:"top,omitempty"`
	Unscored Unscored     `json:"unscored,omitempty"`
	// Model is the version of the classifier.
	Model string `json:"model"`
}

// Deviation is how far a prompt leans from the tasks its person was assigned.
type Deviation struct {
	// Score is in [0, 1]: 0 as close to an assigned task as its own description, 1 nothing in common with any.
	Score float64 `json:"score"`
	// P is the conformal p-value, nil unless Calibrated.
	P *float64 `json:"p,omitempty"`
	// N is the number of calibration prompts behind P.
	N          int      `json:"n"`
	Calibrated bool     `json:"calibrated"`
	Unscored   Unscored `json:"unscored,omitempty"`
	// Task is the id of the nearest assigned task and Phrase the nearest piece of its title, description and topics.
	Task   string `json:"task,omitempty"`
	Phrase string `json:"phrase,omitempty"`
	// Example is the number, from 1, of the nearest of that task's examples; 0 for none. OutOfScope is that of the out-of-scope
	// example which the prompt is nearer to than to all that is in the task's scope, and which moved the score away. Examples
	// may be what somebody once asked: their texts stand in the task, for who may read it, and nowhere else. The numbers are
	// those of the version of the task's text that is among the facts.
	Example    int `json:"example,omitempty"`
	OutOfScope int `json:"out_of_scope_example,omitempty"`
	// Words are the prompt's words that moved the score. They derive from the prompt: they are shown where the prompt
	// itself may be shown, and are never stored in clear (docs: audit, sealing).
	Words []WordWeight `json:"-"`
	// Model is the version of the scorer.
	Model string `json:"model"`
}

// Scorer gives the version of the scorer alone, and whether the score was made beside a sample of the deployment's traffic,
// whose version follows that of the scorer after a plus.
func (d *Deviation) Scorer() (version string, beside bool) {
	version, _, beside = strings.Cut(d.Model, "+")
	return version, beside
}

// Found is what the rules on secrets and attacks found in a prompt, each kind once, in the order in which they were met. It
// holds kinds and places and never the text.
type Found struct {
	// Secrets are credentials and accounts, by the kinds that package detect lists, and Attacks the forms of attacks.
	Secrets []Sighting `json:"secrets,omitempty"`
	Attacks []Sighting `json:"attacks,omitempty"`
	// Rules is the version of the rules; empty where nothing was found.
	Rules string `json:"rules,omitempty"`
}

// Any reports whether anything was found.
func (f Found) Any() bool { return len(f.Secrets)+len(f.Attacks) > 0 }

// Sighting is one kind of what was found, and where it was met first.
type Sighting struct {
	Kind string `json:"kind"`
	Role Role   `json:"role"`
	// Turn is the index of the message, -1 for what stands outside the conversation.
	Turn int `json:"turn"`
	// Count is how often it was met.
	Count int `json:"count"`
	// Encoded reports that it was met behind an encoding only.
	Encoded bool `json:"encoded,omitempty"`
}

// WordWeight is a word of the prompt and how far it moved the deviation, positive away from the task.
type WordWeight struct {
	Word   string  `json:"word"`
	Weight float64 `json:"weight"`
}
