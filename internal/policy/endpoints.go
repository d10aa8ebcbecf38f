package policy

import (
	"slices"

	"github.com/plumbline/plumbline/internal/core"
)

// Endpoints says who may call which of the endpoints that Plumbline governs. Patterns are as for models.
type Endpoints struct {
	Allow []string            `json:"allow" doc:"Patterns of the endpoints that everyone may call whose team has no list, by the names of [requests](../explanation/requests.md), like chat.completions. [] is none."`
	Teams map[string][]string `json:"teams,omitzero" doc:"By team: patterns in place of endpoints.allow."`
	Apps  map[string][]string `json:"apps,omitzero" doc:"By app: patterns that an endpoint must match as well, whoever calls."`
}

// onEndpoint applies the lists of endpoints.
func (s *Snapshot) onEndpoint(f *Facts) finding {
	rule := s.endpoints.refused(&f.Principal, f.Endpoint)
	if rule == "" {
		return nothing()
	}
	return finding{action: core.ActionBlock, reason: core.ReasonEndpointNotAllowed, rule: rule}
}

// access is who may use what of one sort: a list for everyone, those of teams in its place, and those of apps as well.
type access struct {
	allow patterns
	teams map[string]patterns // by team, in place of allow
	apps  map[string]patterns // by app, as well
}

func accessOf(path string, allow []string, teams, apps map[string][]string) access {
	return access{
		allow: patterns{allow, path + ".allow"},
		teams: byName(path+".teams", teams),
		apps:  byName(path+".apps", apps),
	}
}

// refused gives the place of the list that refuses a name, empty when it is allowed.
func (a *access) refused(p *core.Principal, name string) (rule string) {
	if base := a.base(p); !base.match(name) {
		return base.rule
	}
	if app, ok := a.apps[p.App]; ok && p.App != "" && !app.match(name) {
		return app.rule
	}
	return ""
}

// base is the list of p's team, or the one for everyone.
func (a *access) base(p *core.Principal) patterns {
	if team, ok := a.teams[p.Team]; ok && p.Team != "" {
		return team
	}
	return a.allow
}

// allowed gives patterns that describe what p may use. Where two lists apply, it gives the patterns of each that the other
// covers; refused is what decides.
func (a *access) allowed(p *core.Principal) []string {
	base := a.base(p)
	app, ok := a.apps[p.App]
	if !ok || p.App == "" {
		return slices.Clone(base.list)
	}
	var both []string
	for _, pattern := range base.list {
		if app.match(pattern) { // a star in the pattern is matched by a star only
			both = append(both, pattern)
		}
	}
	for _, pattern := range app.list {
		if base.match(pattern) && !slices.Contains(both, pattern) {
			both = append(both, pattern)
		}
	}
	return both
}
