package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/policy"
	"github.com/plumbline/plumbline/internal/store"
)

// inForceName stands for the policy in force where a command takes a policy.
const inForceName = "in-force"

type policyDiffCmd struct {
	Old string `arg:"" help:"A version by its number, or as records name it; a document; or in-force."`
	New string `arg:"" help:"The same of the other. ./12 is a document of that name."`
}

// difference is what diff prints.
type difference struct {
	Old     policyName      `json:"old"`
	New     policyName      `json:"new"`
	Same    bool            `json:"same"`
	Changes []policy.Change `json:"changes"`
}

type policyName struct {
	Version string      `json:"version"`
	Mode    policy.Mode `json:"mode"`
}

func (c policyDiffCmd) Run(s *session) error {
	before, err := s.policyCalled(c.Old)
	if err != nil {
		return err
	}
	after, err := s.policyCalled(c.New)
	if err != nil {
		return err
	}
	changes := policy.Diff(before, after)
	result := difference{
		Old: policyName{before.Version(), before.Mode()}, New: policyName{after.Version(), after.Mode()},
		Same: len(changes) == 0, Changes: append([]policy.Change{}, changes...),
	}
	err = s.printOne(result, []string{"WHERE", "CHANGE", "OLD", "NEW"}, len(changes), func(i int) []string {
		change := changes[i]
		return []string{change.Path, string(change.Kind), valueWords(change.Old), valueWords(change.New)}
	})
	switch {
	case err != nil:
		return err
	case result.Same:
		fmt.Fprintf(s.talk, "no difference: both are policy %s\n", after.Version())
		return nil
	case before.Version() == after.Version():
		fmt.Fprintf(s.talk, "%d differences in cases alone: both are policy %s\n", len(changes), after.Version())
	default:
		fmt.Fprintf(s.talk, "%d differences between policy %s and policy %s\n", len(changes), before.Version(), after.Version())
	}
	return errProblems
}

// policyCalled gives a policy by what a person calls it. A version of the store may name what this build no longer knows, and
// is compared all the same.
func (s *session) policyCalled(name string) (rules *policy.Snapshot, err error) {
	switch {
	case name == inForceName:
		return s.policyInForce()
	case !app.IsPolicyID(name):
		return s.policyIn(name)
	}
	err = s.withStore(func(st store.Store) error {
		p, err := app.FindPolicy(s.ctx, st, name)
		if err != nil {
			return err
		}
		rules, err = policy.Parse(fmt.Sprintf("policy %d", p.Number), []byte(p.Text))
		return err
	})
	return rules, err
}

// policyIn gives the policy of a document.
func (s *session) policyIn(file string) (*policy.Snapshot, error) {
	rules, _, err := app.ReadPolicy(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, configError{fmt.Errorf("%w: give a document, the number or the version of a policy in the store, or %s", err, inForceName)}
	case err != nil:
		return nil, s.problems(err)
	}
	return rules, nil
}

// maxValue is how many bytes of a value a table shows.
const maxValue = 160

// valueWords is a value as a table shows it: a word as it is, everything else as JSON, and of a long one the beginning.
func valueWords(value any) string {
	if value == nil {
		return ""
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return fmt.Sprint(value)
	}
	text := strings.TrimSpace(b.String())
	var word string
	if json.Unmarshal([]byte(text), &word) == nil && word != "" {
		text = word
	}
	if short := core.Head(text, maxValue); len(short) < len(text) {
		return short + "…"
	}
	return text
}
