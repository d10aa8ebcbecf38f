package policy

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/plumbline/plumbline/internal/condition"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/yamldoc"
)

// Rule is a rule that the author makes up: what to do where a condition over the facts holds.
type Rule struct {
	Name    string        `json:"name" doc:"What records, refusals and metrics call the rule: rules.<name>. Letters, digits, - and _."`
	When    string        `json:"when" doc:"The condition, in CEL, over the facts below."`
	Then    Effect        `json:"then" doc:"What to do where it holds."`
	OnError Effect        `json:"on_error,omitzero" doc:"What to do where the condition cannot be answered: an index out of range, a cost above the limit. Default: block."`
	Mode    DetectionMode `json:"mode,omitzero" doc:"observe or enforce for this rule alone; as_policy, the default: what mode says."`
	Message string        `json:"message,omitzero" doc:"What a refused caller reads, one line. Nothing of the prompt can stand in it."`
}

// Effect is what a rule does.
type Effect string

// Values lists the effects.
func (Effect) Values() []string { return []string{"warn", "block"} }

// Bounds of the rules of one document.
const (
	maxRules   = 200
	maxMessage = 300
	// maxCosts bounds what all conditions together can cost for one decision, in the unit of condition.MaxCost.
	maxCosts = 25_000
)

var ruleName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// rule is a Rule made ready.
type rule struct {
	when    *condition.Condition[scene]
	holds   finding // what it says where the condition holds
	fails   finding // and where it cannot be answered
	message string
}

// rules are those of one document with what their conditions read. The nil rules are none.
type rules struct {
	list []rule
	env  *condition.Env[scene]
	zone *time.Location
}

// compileRules compiles the conditions and reports what is wrong with the rules.
func compileRules(doc *Document, src *yamldoc.Document) *rules {
	zone, err := zoneOf(doc.Timezone)
	if err != nil {
		src.Problem("timezone", "must be the name of a time zone, like Europe/Berlin")
	}
	if len(doc.Rules) == 0 {
		return nil
	}
	if len(doc.Rules) > maxRules {
		src.Problem("rules", fmt.Sprintf("has %d rules; at most %d are allowed", len(doc.Rules), maxRules))
		return nil
	}
	env, err := newEnv()
	if err != nil {
		src.Problem("rules", "cannot be compiled") // the declarations are fixed, and a test compiles them
		return nil
	}
	r := &rules{env: env, zone: zone}
	seen, cost := map[string]string{}, uint64(0)
	for i := range doc.Rules {
		at := yamldoc.Index("rules", i)
		checkRule(src, at, &doc.Rules[i], seen)
		if doc.Rules[i].When == "" {
			if written(src, at+".when") {
				src.Problem(at+".when", "is empty; say when the rule applies")
			}
			continue
		}
		when, problems := env.Compile(doc.Rules[i].When)
		for _, p := range problems {
			src.ProblemWithin(at+".when", p.Line, p.Column, p.Message)
		}
		if when == nil {
			continue
		}
		cost += when.Cost()
		r.list = append(r.list, ready(&doc.Rules[i], when))
	}
	if cost > maxCosts {
		src.Problem("rules", "can cost up to "+strconv.FormatUint(cost, 10)+" together; at most "+strconv.Itoa(maxCosts)+" is allowed")
	}
	return r
}

func checkRule(src *yamldoc.Document, at string, r *Rule, seen map[string]string) {
	switch first, twice := seen[r.Name]; {
	case r.Name == "":
		src.Problem(at+".name", "is missing; give the rule a name")
	case !ruleName.MatchString(r.Name):
		src.Problem(at+".name", "must have from 1 to 64 letters, digits, - and _")
	case twice:
		src.Problem(at+".name", "the same name as "+first)
	default:
		seen[r.Name] = at
	}
	if !written(src, at+".when") {
		src.Problem(at+".when", "is missing; say when the rule applies")
	}
	if !written(src, at+".then") {
		src.Problem(at+".then", "is missing; write warn or block")
	}
	if len(r.Message) > maxMessage || strings.ContainsFunc(r.Message, unicode.IsControl) {
		src.Problem(at+".message", fmt.Sprintf("must be one line of at most %d bytes", maxMessage))
	}
}

func written(src *yamldoc.Document, path string) bool {
	_, _, ok := src.Position(path)
	return ok
}

func ready(r *Rule, when *condition.Condition[scene]) rule {
	said := finding{action: core.Action(r.Then), reason: core.ReasonPolicyRule, rule: yamldoc.Key("rules", r.Name), observed: true}
	if r.Mode != "" && r.Mode != modeAsPolicy {
		said.own = Mode(r.Mode)
	}
	failed := said
	failed.action, failed.rule = core.ActionBlock, said.rule+".on_error"
	if r.OnError != "" {
		failed.action = core.Action(r.OnError)
	}
	return rule{when: when, holds: said, fails: failed, message: r.Message}
}

// into adds what the rules say to a tally. See each.
func (r *rules) into(t tally, f Facts, failed func(rule string)) tally {
	r.each(f, failed, func(x *finding) { t.add(*x) })
	return t
}

// each gives what every rule says that applies, and tells failed, if set, which of them could not be answered: those say what
// their on_error does. The facts are a copy: conditions take it to where the rest of Decide keeps its own out of.
func (r *rules) each(f Facts, failed func(rule string), say func(*finding)) {
	values := r.env.Of(&scene{facts: &f, zone: r.zone})
	defer values.Done()
	for i := range r.list {
		rule := &r.list[i]
		switch holds, err := rule.when.Holds(values); {
		case err != nil:
			if failed != nil {
				failed(rule.holds.rule)
			}
			say(&rule.fails)
		case holds:
			say(&rule.holds)
		}
	}
}

// Message is what the author of a rule has callers read whom it refuses, empty for nothing.
func (s *Snapshot) Message(name string) string {
	if s.rules == nil {
		return ""
	}
	i := slices.IndexFunc(s.rules.list, func(r rule) bool { return r.holds.rule == name })
	if i < 0 {
		return ""
	}
	return s.rules.list[i].message
}

func zoneOf(name string) (*time.Location, error) {
	if name == "Local" {
		return time.UTC, errors.New("it depends on the machine")
	}
	zone, err := time.LoadLocation(name) // "" is UTC
	if err != nil {
		return time.UTC, err
	}
	return zone, nil
}
