package policy

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/yamldoc"
)

// IntentClass is a class of intents that a document adds to the built-in ones.
type IntentClass struct {
	Label       string   `json:"label" doc:"What lists and records call it: a-z, 0-9 and _, up to 40. Required."`
	Description string   `json:"description,omitzero" doc:"What such a prompt asks for, in a sentence, up to 500 characters. Required unless there are examples."`
	Examples    []string `json:"examples,omitzero" doc:"Prompts of the class, up to 30 of up to 500 characters. Ten are good."`
}

// Bounds of the classes of one document: a prompt is compared with each description and example.
const (
	maxIntentClasses  = 16
	maxIntentExamples = 30
	maxIntentText     = 500
)

var labelForm = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`)

// checkClasses checks the classes that a document adds. known are the built-in ones, nil for every one.
func checkClasses(src *yamldoc.Document, classes []IntentClass, known []string) {
	const path = "intents.classes"
	if len(classes) > maxIntentClasses {
		src.Problem(path, fmt.Sprintf("has more than %d classes", maxIntentClasses))
		return
	}
	seen := map[string]bool{}
	for i, c := range classes {
		at := yamldoc.Index(path, i)
		label := at + ".label"
		switch {
		case !labelForm.MatchString(c.Label):
			src.Problem(label, "must begin with a-z and hold up to 40 of a-z, 0-9 and _")
		case c.Label == core.LabelUncertain, slices.Contains(known, c.Label):
			src.Problem(label, "is built in; choose another")
		case seen[c.Label]:
			src.Problem(label, "stands twice")
		}
		seen[c.Label] = true
		if c.Description == "" && len(c.Examples) == 0 {
			src.Problem(at, "has neither a description nor examples")
		}
		if len(c.Examples) > maxIntentExamples {
			src.Problem(at+".examples", fmt.Sprintf("has more than %d entries", maxIntentExamples))
		}
		if len([]rune(c.Description)) > maxIntentText {
			src.Problem(at+".description", fmt.Sprintf("has more than %d characters", maxIntentText))
		}
		for j, text := range c.Examples {
			if n := len([]rune(text)); n == 0 || n > maxIntentText {
				src.Problem(yamldoc.Index(at+".examples", j), fmt.Sprintf("must have 1 to %d characters", maxIntentText))
			}
		}
	}
}

// withClasses are the labels that lists may name: the built-in ones and those that the document adds. nil: every one.
func withClasses(known []string, classes []IntentClass) []string {
	if known == nil {
		return nil
	}
	known = slices.Clone(known)
	for _, c := range classes {
		known = append(known, c.Label)
	}
	return known
}

// Classes are the classes of intents that the document adds. The slice is shared and must not be changed.
func (s *Snapshot) Classes() []IntentClass { return s.doc.Intents.Classes }
