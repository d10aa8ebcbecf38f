package app

import (
	"fmt"

	"github.com/plumbline/plumbline/internal/gate"
	"github.com/plumbline/plumbline/internal/intent"
	"github.com/plumbline/plumbline/internal/policy"
)

// ClassifierFor gives the shipped classifier with the classes that a policy adds.
func ClassifierFor(rules *policy.Snapshot) (gate.Classifier, error) {
	classifier, err := intent.Default()
	if err != nil {
		return nil, err
	}
	return extended(classifier, rules)
}

// extended adds the classes of a policy to a classifier.
func extended(c *intent.Classifier, rules *policy.Snapshot) (gate.Classifier, error) {
	if len(rules.Classes()) == 0 {
		return c, nil
	}
	var classes []intent.Class
	for _, own := range rules.Classes() {
		classes = append(classes, intent.Class{Label: own.Label, Description: own.Description, Examples: own.Examples})
	}
	e, err := c.Extend(classes)
	if err != nil {
		return nil, fmt.Errorf("intents.classes: %w", err)
	}
	return e, nil
}

// extends gives the gate the classifier for a policy. That the classes of one can be had was seen when its document was read.
func extends(c *intent.Classifier) func(*policy.Snapshot) gate.Classifier {
	return func(rules *policy.Snapshot) gate.Classifier {
		if e, err := extended(c, rules); err == nil {
			return e
		}
		return c
	}
}
