package policy

import (
	"errors"
	"strconv"
)

// Mode says whether the rules on what is asked take effect.
type Mode string

// The modes.
const (
	ModeObserve Mode = "observe" // decide and record, but let pass
	ModeEnforce Mode = "enforce"
)

// Values lists the modes.
func (Mode) Values() []string { return []string{string(ModeObserve), string(ModeEnforce)} }

// Response is what a rule asks for, in the words of core.Action.
type Response string

// Values lists the responses.
func (Response) Values() []string { return []string{"allow", "warn", "block"} }

// Threshold is the score from which on a rule applies, or Never.
type Threshold float64

// Never is a threshold that no score reaches.
const Never Threshold = 2

// Promised leaves it to the promise alone from which score on a rule applies.
const Promised Threshold = -1

// TypeName says how a threshold is written.
func (Threshold) TypeName() string { return "a number from 0 to 1, never, or promised" }

// MarshalText writes the threshold as documents do.
func (t Threshold) MarshalText() ([]byte, error) {
	switch {
	case t > 1:
		return []byte("never"), nil
	case t == Promised:
		return []byte("promised"), nil
	}
	return strconv.AppendFloat(nil, float64(t), 'g', -1, 64), nil
}

// UnmarshalText reads a number from 0 to 1, or one of the words.
func (t *Threshold) UnmarshalText(text []byte) error {
	switch string(text) {
	case "never":
		*t = Never
		return nil
	case "promised":
		*t = Promised
		return nil
	}
	x, err := strconv.ParseFloat(string(text), 64)
	if err != nil || !(x >= 0 && x <= 1) { // not in the other sense: NaN
		return errors.New("not " + t.TypeName())
	}
	*t = Threshold(x)
	return nil
}

// reachedBy reports whether the threshold is met. A score that is not a number meets every threshold but Never.
func (t Threshold) reachedBy(score float64) bool { return t <= 1 && !(score < float64(t)) }

// Document is the policy as it is written. A field that is not written keeps its default.
type Document struct {
	Version           int                `json:"version" doc:"Version of this format: 1. Required."`
	Mode              Mode               `json:"mode" doc:"observe: the rules on secrets, attacks, intent and deviation are recorded but change nothing. enforce: they hold."`
	NoticeURL         string             `json:"notice_url" doc:"Page that refusals and warnings point people to."`
	Timezone          string             `json:"timezone,omitzero" doc:"The time zone of time.* in conditions, like Europe/Berlin."`
	Endpoints         Endpoints          `json:"endpoints,omitzero"`
	Models            Models             `json:"models"`
	Deviation         Deviation          `json:"deviation"`
	Intents           Intents            `json:"intents"`
	Secrets           Detection          `json:"secrets"`
	Attacks           Detection          `json:"attacks"`
	Requests          Requests           `json:"requests"`
	Rules             []Rule             `json:"rules,omitempty" doc:"Rules of your own, see below."`
	CaseTasks         []CaseTask         `json:"case_tasks,omitempty" doc:"Tasks that cases name; see below. They are for cases alone."`
	CaseSystemPrompts []CaseSystemPrompt `json:"case_system_prompts,omitempty" doc:"System prompts that cases find registered; see below. They are for cases alone."`
	Cases             []Case             `json:"cases,omitempty" doc:"What must become of which prompts, for plumbline policy test; see below. They change no verdict."`
}

// Models says who may call which models. In a pattern a star stands for any characters; everything else for itself.
type Models struct {
	Allow []string            `json:"allow" doc:"Patterns of the models that everyone may call whose team has no list. [] is none."`
	Teams map[string][]string `json:"teams" doc:"By team: patterns in place of models.allow."`
	Apps  map[string][]string `json:"apps" doc:"By app: patterns that a model must match as well, whoever calls."`
}

// Deviation says from which score on a prompt is too far from the tasks its person was assigned.
type Deviation struct {
	Warn                Threshold `json:"warn" doc:"Warn from this score on."`
	Block               Threshold `json:"block" doc:"Block from this score on, as far as promise allows. Not below warn. promised: as far as promise allows, whatever the score."`
	Promise             Share     `json:"promise,omitzero" doc:"The largest share of prompts on task that may be blocked, by a calibration of enough labelled prompts: 299 for 1%, 2995 for 0.1%."`
	EnforceUncalibrated bool      `json:"enforce_uncalibrated" doc:"Block from the score of block on also where no calibration backs the promise, and say so in each record. Otherwise such a score warns at most."`
	OnUnscored          Responses `json:"on_unscored"`

	Mode DetectionMode `json:"mode,omitzero" doc:"observe or enforce for the rules on deviation and unscored prompts alone; as_policy: what mode says."`
}

// Responses says what to do with a prompt that could not be scored, by cause.
type Responses struct {
	Language Response `json:"language" doc:"The prompt is in a language that the models do not know."`
	Opaque   Response `json:"opaque" doc:"The prompt is an image, audio or a file only."`
	Encoded  Response `json:"encoded" doc:"The prompt is encoded, in base64 and the like."`
	TooShort Response `json:"too_short" doc:"The prompt has too few words to go by."`
	NoTask   Response `json:"no_task" doc:"The person has no task to deviate from."`
}

// Intents says what may not be asked for.
type Intents struct {
	Forbidden []string      `json:"forbidden" doc:"Intents that are blocked."`
	Warn      []string      `json:"warn" doc:"Intents that are warned about."`
	Allowed   []string      `json:"allowed,omitzero" doc:"If written: every intent that stands in none of these lists is blocked. uncertain is not, unless forbidden names it."`
	Classes   []IntentClass `json:"classes,omitzero" doc:"Classes of your own, see below. Lists name them by their label."`

	MinConfidence float64 `json:"min_confidence" doc:"Confidence, in [0, 1], below which no list applies."`

	Mode DetectionMode `json:"mode,omitzero" doc:"observe or enforce for these rules alone; as_policy: what mode says."`
}

// Detection says what to do about what the rules on secrets, or those on attacks, found in a prompt.
type Detection struct {
	Mode    DetectionMode       `json:"mode" doc:"observe or enforce for these rules alone; as_policy: what mode says."`
	Default Response            `json:"default" doc:"What to do about a kind that is not listed in kinds."`
	Kinds   map[string]Response `json:"kinds" doc:"What to do about one kind, by its name."`
}

// DetectionMode is the mode of one group of rules.
type DetectionMode string

// modeAsPolicy leaves a group of rules to the mode of the document.
const modeAsPolicy DetectionMode = "as_policy"

// own is the mode of the group itself, empty for that of the document.
func (m DetectionMode) own() Mode {
	if m == modeAsPolicy {
		return ""
	}
	return Mode(m)
}

// Values lists the modes of a group.
func (DetectionMode) Values() []string {
	return []string{string(modeAsPolicy), string(ModeObserve), string(ModeEnforce)}
}

// defaults is the document with every default filled in.
func defaults() Document {
	return Document{
		Version:   1,
		Mode:      ModeObserve,
		Timezone:  "UTC",
		Endpoints: Endpoints{Allow: []string{"*"}},
		Models:    Models{Allow: []string{"*"}},
		Deviation: Deviation{
			Warn:       0.8,
			Block:      Never,
			Promise:    usualPromise,
			Mode:       modeAsPolicy,
			OnUnscored: Responses{Language: "warn", Opaque: "warn", Encoded: "warn", TooShort: "warn", NoTask: "allow"},
		},
		Intents:  Intents{MinConfidence: 0.5, Mode: modeAsPolicy},
		Secrets:  Detection{Mode: modeAsPolicy, Default: "warn"},
		Attacks:  Detection{Mode: modeAsPolicy, Default: "warn"},
		Requests: defaultRequests(),
	}
}
