// Package policycase runs the cases of a policy document: prompts with what must become of them. They are judged by the
// models and rules that judge traffic, and decided by the policy, without a network, a store or a ledger.
//
// Contract: a case takes the way of a request from its prompt on, as package trial says. The tasks and the system prompts that
// it knows are those of the document.
//
// It imports core, deviation, policy, sysprompt and trial. It must not import a front end or a back end.
package policycase

import (
	"cmp"
	"strconv"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/policy"
	"github.com/plumbline/plumbline/internal/sysprompt"
	"github.com/plumbline/plumbline/internal/trial"
)

// Report is what became of the cases.
type Report struct {
	Policy struct {
		Version string      `json:"version"`
		Mode    policy.Mode `json:"mode"`
	} `json:"policy"`
	Cases  []Result `json:"cases"`
	Passed int      `json:"passed"`
	Failed int      `json:"failed"`
	// NeverMatched are the rules that the document writes and that objected to no case.
	NeverMatched []string `json:"never_matched"`
}

// Result is what became of one case. It holds nothing of the prompt.
type Result struct {
	Name    string       `json:"name"`
	Passed  bool         `json:"passed"`
	Want    Expected     `json:"want"`
	Verdict core.Verdict `json:"verdict"`
	// Matched are all rules that objected, and Unanswered those whose condition could not be answered.
	Matched    []string       `json:"matched,omitempty"`
	Unanswered []string       `json:"unanswered,omitempty"`
	Intent     core.Intent    `json:"intent"`
	Deviation  core.Deviation `json:"deviation"`
}

// Expected is what a case says. What is empty may be anything.
type Expected struct {
	Verdict core.Action `json:"verdict"`
	Action  core.Action `json:"action,omitempty"`
	Rule    string      `json:"rule,omitempty"`
}

// met reports whether a verdict is what was expected.
func (e Expected) met(v core.Verdict) bool {
	return v.Decided == e.Verdict && (e.Action == "" || v.Action == e.Action) && (e.Rule == "" || v.Rule == e.Rule)
}

// Run runs every case of the policy of j in its order. Of the registered system prompts and the calibration of j nothing is
// taken: a document brings what its cases need, and says the same on every machine.
func Run(j trial.Judge) *Report {
	rules := j.Policy
	r := &Report{Cases: []Result{}, NeverMatched: []string{}}
	r.Policy.Version, r.Policy.Mode = rules.Version(), rules.Mode()
	j.Prompts, j.Calibration = sysprompt.Sets(rules.CaseSystemPrompts()), nil
	tasks := map[string]*deviation.Task{}
	for _, t := range rules.CaseTasks() {
		tasks[t.ID] = j.Scorer.Compile(t)
	}
	matched := map[string]bool{}
	for i, c := range rules.Cases() {
		result := run(j, c, tasks)
		result.Name = cmp.Or(c.Name, "cases["+strconv.Itoa(i)+"]")
		for _, rule := range result.Matched {
			matched[rule] = true
		}
		if result.Passed {
			r.Passed++
		} else {
			r.Failed++
		}
		r.Cases = append(r.Cases, result)
	}
	for _, rule := range rules.Rules() {
		if !matched[rule] {
			r.NeverMatched = append(r.NeverMatched, rule)
		}
	}
	return r
}

func run(j trial.Judge, c policy.Case, tasks map[string]*deviation.Task) Result {
	assigned := make([]*deviation.Task, len(c.Tasks))
	for i, id := range c.Tasks {
		assigned[i] = tasks[id]
	}
	f := j.Facts(request(c), assigned)
	r := Result{
		Want:   Expected{core.Action(c.Verdict), core.Action(c.Action), c.Rule},
		Intent: f.Intent, Deviation: f.Deviation,
	}
	r.Deviation.Words = nil
	r.Verdict = j.Policy.DecideReporting(f, func(rule string) { r.Unanswered = append(r.Unanswered, rule) })
	r.Matched = j.Policy.Matches(f)
	r.Passed = r.Want.met(r.Verdict)
	return r
}

func request(c policy.Case) trial.Request {
	r := trial.Request{
		Principal: core.Principal{User: cmp.Or(c.User, policy.CaseUser), Team: c.Team, App: c.App, Method: core.MethodToken},
		At:        policy.CaseTime, Endpoint: c.Endpoint, Model: c.Model, System: c.System, Text: c.Prompt,
	}
	if !c.At.IsZero() {
		r.At = c.At
	}
	return r
}
