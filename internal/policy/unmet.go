package policy

import (
	"maps"
	"slices"

	"github.com/plumbline/plumbline/internal/yamldoc"
)

// Unmet says in words which places of the document name a model, team or app that is not among those given, which are all
// that somebody knows of: rules on them may be misspelt. A list that is nil is not known, and nothing is said of it.
func (s *Snapshot) Unmet(modelNames, teams, apps []string) []string {
	var unmet []string
	for _, m := range s.lists() {
		for i, pattern := range m.patterns {
			if modelNames != nil && !slices.ContainsFunc(modelNames, func(name string) bool { return glob(pattern, name) }) {
				unmet = append(unmet, yamldoc.Index(m.rule, i)+": no model that is known matches "+pattern)
			}
		}
	}
	for _, l := range []struct {
		kind  string
		lists map[string]models
		known []string
	}{{"team", s.teams, teams}, {"app", s.apps, apps}} {
		for _, name := range slices.Sorted(maps.Keys(l.lists)) {
			if l.known != nil && !slices.Contains(l.known, name) {
				unmet = append(unmet, l.lists[name].rule+": no call of this "+l.kind+" is known")
			}
		}
	}
	return unmet
}

// lists are all lists of models, in the order of the document, by name within it.
func (s *Snapshot) lists() []models {
	lists := []models{s.allow}
	for _, byName := range []map[string]models{s.teams, s.apps} {
		for _, name := range slices.Sorted(maps.Keys(byName)) {
			lists = append(lists, byName[name])
		}
	}
	return lists
}
