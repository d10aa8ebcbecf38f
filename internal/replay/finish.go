package replay

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// finish sorts and words what was counted.
func (r *replay) finish() *Report {
	out := &r.report
	out.Policy = PolicyName{r.version, string(r.o.Policy.Mode())}
	out.Applied, out.Decided = r.applied.list(), r.decided.list()
	if out.Total.NewlyBlocked+out.Total.NoLongerBlocked > 0 {
		out.Approximate.Limits = out.Approximate.limited
	}
	r.listPeople()
	out.Rules = r.listRules()
	out.NotReplayed = r.listCauses()
	out.Policies = r.listPolicies()
	out.Models = r.listModels()
	out.Warnings = r.warnings()
	return out
}

// listPeople lists the people whom most would change for first, and sums up those who are not to be named.
func (r *replay) listPeople() {
	out := &r.report
	out.People = []Person{}
	var erased Group
	for key, p := range r.people.of {
		if r.o.Erased != nil && key.user != "" && r.o.Erased(key.user) {
			erased.People++
			erased.sum(p.Tally)
			continue
		}
		p.User, p.App = key.user, key.app
		out.People = append(out.People, *p)
	}
	slices.SortFunc(out.People, func(a, b Person) int {
		return cmp.Or(cmp.Compare(b.NewlyBlocked, a.NewlyBlocked), cmp.Compare(b.Changed, a.Changed), cmp.Compare(b.Calls, a.Calls),
			strings.Compare(a.User, b.User), strings.Compare(a.App, b.App))
	})
	if erased.People > 0 {
		out.Erased = &erased
	}
	if r.people.over {
		out.Others = &Group{Tally: r.people.rest.Tally}
	}
}

func (r *replay) listRules() []Rule {
	list := []Rule{}
	for key, rule := range r.rules.of {
		list = append(list, Rule{key.rule, key.reason, rule.Was, rule.Would})
	}
	slices.SortFunc(list, func(a, b Rule) int {
		return cmp.Or(cmp.Compare(b.moved(), a.moved()), strings.Compare(a.Rule, b.Rule), strings.Compare(string(a.Reason), string(b.Reason)))
	})
	if r.rules.over {
		list = append(list, Rule{others, "", r.rules.rest.Was, r.rules.rest.Would})
	}
	return list
}

// moved is how much the rule's counts change.
func (r *Rule) moved() int64 {
	d := r.Would.Less(r.Was)
	return max(d.Blocked, -d.Blocked) + max(d.Warned, -d.Warned) + max(d.Observed, -d.Observed)
}

func (r *replay) listCauses() []Calls {
	list := []Calls{}
	for key, n := range r.causes.of {
		list = append(list, Calls{key.cause, key.reason, *n})
	}
	slices.SortFunc(list, func(a, b Calls) int {
		return cmp.Or(strings.Compare(string(a.Cause), string(b.Cause)), strings.Compare(string(a.Reason), string(b.Reason)))
	})
	if r.causes.over {
		list = append(list, Calls{others, "", r.causes.rest})
	}
	return list
}

func (r *replay) listPolicies() []Version {
	list := []Version{}
	for _, version := range slices.Sorted(maps.Keys(r.under.of)) {
		list = append(list, Version{version, *r.under.of[version]})
	}
	if r.under.over {
		list = append(list, Version{others, r.under.rest})
	}
	return list
}

func (r *replay) listModels() []Model {
	today := map[string]string{partIntent: r.o.IntentModel, partDeviation: r.o.DeviationModel}
	list := []Model{}
	for key, n := range r.models.of {
		list = append(list, Model{key.part, key.version, n.calls, n.beside, key.version == today[key.part]})
	}
	slices.SortFunc(list, func(a, b Model) int {
		return cmp.Or(strings.Compare(b.Part, a.Part), strings.Compare(a.Version, b.Version))
	})
	if r.models.over {
		list = append(list, Model{others, others, r.models.rest.calls, r.models.rest.beside, false})
	}
	return list
}

// warnings say what of the policy could have no effect on this traffic, and what the replay cannot see.
func (r *replay) warnings() []string {
	list := []string{}
	var models []string // that are known; nil when they are too many to say
	if seen := r.seen.models.list(); seen != nil {
		models = slices.Concat(seen, r.o.Models)
	}
	list = append(list, r.o.Policy.Unmet(models, r.seen.teams.list(), r.seen.apps.list())...)
	if r.o.InForce != nil && !reflect.DeepEqual(r.o.InForce.Requests(), r.o.Policy.Requests()) {
		list = append(list, "requests: differs from the policy in force, and is not replayed: what a request asks for beyond text is not among the facts")
	}
	return list
}
