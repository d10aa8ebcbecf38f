// Package policycase runs the cases of a policy document: prompts with what must become of them. They are judged by the
// models and rules that judge traffic, and decided by the policy, without a network, a store or a ledger.
//
// Contract: a case takes the way of a request from its prompt on (gate.Judges, then policy.Decide). What comes before and
// after does not happen: credentials, the reading of a body with what `requests` says of it, limits.
//
// It imports core, policy, deviation, gate and telemetry. It must not import a front end or a back end.
package policycase

import (
	"cmp"
	"strconv"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/gate"
	"github.com/plumbline/plumbline/internal/policy"
	"github.com/plumbline/plumbline/internal/telemetry"
)

// Options say whose cases to run, and by what.
type Options struct {
	Policy *policy.Snapshot
	Judges gate.Judges
	// Compile makes tasks ready for the scorer among the judges.
	Compile func(core.Task) *deviation.Task
	// Priced reports whether a model has a price.
	Priced func(model string) bool
}

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

// Run runs every case in its order.
func Run(o Options) *Report {
	r := &Report{Cases: []Result{}, NeverMatched: []string{}}
	r.Policy.Version, r.Policy.Mode = o.Policy.Version(), o.Policy.Mode()
	tasks := map[string]*deviation.Task{}
	for _, t := range o.Policy.CaseTasks() {
		tasks[t.ID] = o.Compile(t)
	}
	matched := map[string]bool{}
	for i, c := range o.Policy.Cases() {
		result := o.run(c, tasks)
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
	for _, rule := range o.Policy.Rules() {
		if !matched[rule] {
			r.NeverMatched = append(r.NeverMatched, rule)
		}
	}
	return r
}

func (o Options) run(c policy.Case, tasks map[string]*deviation.Task) Result {
	f := o.facts(c)
	assigned := make([]*deviation.Task, len(c.Tasks))
	for i, id := range c.Tasks {
		assigned[i] = tasks[id]
	}
	o.Judges.Judge(&f, prompt(c), assigned, func(telemetry.Stage) {})
	r := Result{
		Want:   Expected{core.Action(c.Verdict), core.Action(c.Action), c.Rule},
		Intent: f.Intent, Deviation: f.Deviation,
	}
	r.Deviation.Words = nil
	r.Verdict = o.Policy.DecideReporting(f, func(rule string) { r.Unanswered = append(r.Unanswered, rule) })
	r.Matched = o.Policy.Matches(f)
	r.Passed = r.Want.met(r.Verdict)
	return r
}

// facts are those that do not come from the prompt.
func (o Options) facts(c policy.Case) policy.Facts {
	f := policy.Facts{
		At: policy.CaseTime, PolicyVersion: o.Policy.Version(),
		Principal: core.Principal{User: cmp.Or(c.User, policy.CaseUser), Team: c.Team, App: c.App, Method: core.MethodToken},
		Endpoint:  cmp.Or(c.Endpoint, policy.CaseEndpoint),
		Model:     c.Model,
		Priced:    c.Model != "" && o.Priced(c.Model),
	}
	if !c.At.IsZero() {
		f.At = c.At
	}
	return f
}

func prompt(c policy.Case) core.Prompt {
	var p core.Prompt
	if c.System != "" {
		p.Parts = append(p.Parts, core.Part{Role: core.RoleSystem, Kind: core.KindText, Text: c.System})
	}
	p.Parts = append(p.Parts, core.Part{Role: core.RoleUser, Kind: core.KindText, Turn: len(p.Parts), Text: c.Prompt})
	return p
}
