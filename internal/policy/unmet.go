package policy

import (
	"iter"
	"maps"
	"slices"

	"github.com/plumbline/plumbline/internal/yamldoc"
)

// Unmet says in words which places of the document name a model, team or app that is not among those given, which are all
// that somebody knows of: rules on them may be misspelt. A list that is nil is not known, and nothing is said of it.
func (s *Snapshot) Unmet(modelNames, teams, apps []string) []string {
	var unmet []string
	for m := range s.models.lists() {
		for i, pattern := range m.list {
			if modelNames != nil && !slices.ContainsFunc(modelNames, func(name string) bool { return glob(pattern, name) }) {
				unmet = append(unmet, yamldoc.Index(m.rule, i)+": no model that is known matches "+pattern)
			}
		}
	}
	for _, l := range []struct {
		kind  string
		lists map[string]patterns
		known []string
	}{
		{"team", s.models.teams, teams},
		{"app", s.models.apps, apps},
		{"team", s.endpoints.teams, teams},
		{"app", s.endpoints.apps, apps},
	} {
		for _, name := range slices.Sorted(maps.Keys(l.lists)) {
			if l.known != nil && !slices.Contains(l.known, name) {
				unmet = append(unmet, l.lists[name].rule+": no call of this "+l.kind+" is known")
			}
		}
	}
	return unmet
}

// lists gives all lists, in the order of the document, by name within it.
func (a *access) lists() iter.Seq[patterns] {
	return func(yield func(patterns) bool) {
		if !yield(a.allow) {
			return
		}
		for _, byName := range []map[string]patterns{a.teams, a.apps} {
			for _, name := range slices.Sorted(maps.Keys(byName)) {
				if !yield(byName[name]) {
					return
				}
			}
		}
	}
}
