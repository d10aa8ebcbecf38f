package policy

import (
	"slices"
	"sync"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/yamldoc"
)

// RequestChange is what a team or an app may ask for where that differs. What is not written stays.
type RequestChange struct {
	RemoteURLs   *bool         `json:"remote_urls,omitzero" doc:"As requests.remote_urls."`
	Inline       []Inline      `json:"inline,omitzero" doc:"As requests.inline."`
	FileIDs      *bool         `json:"file_ids,omitzero" doc:"As requests.file_ids."`
	HostedTools  []HostedTool  `json:"hosted_tools,omitzero" doc:"As requests.hosted_tools."`
	FilePurposes []FilePurpose `json:"file_purposes,omitzero" doc:"As requests.file_purposes."`
	MaxToolCalls *int          `json:"max_tool_calls,omitzero" doc:"As requests.max_tool_calls."`
	ServiceTiers []ServiceTier `json:"service_tiers,omitzero" doc:"As requests.service_tiers."`
	MaxChoices   *int          `json:"max_choices,omitzero" doc:"As requests.max_choices."`
	MaxEffort    *Effort       `json:"max_effort,omitzero" doc:"As requests.max_effort."`
}

// requests is a Requests made ready.
type requests struct {
	everyone *Requests
	teams    map[string]*Requests
	apps     map[string]RequestChange
	// both holds what teams, or everyone, may ask for through one of the apps, once it was asked for: as many as the
	// document has pairs of them at most.
	both sync.Map // of teamApp to *Requests
}

type teamApp struct {
	team *Requests
	app  string
}

func requestsOf(doc Requests) *requests {
	r := &requests{everyone: &doc, teams: make(map[string]*Requests, len(doc.Teams)), apps: doc.Apps}
	for team, change := range doc.Teams {
		r.teams[team] = change.inPlaceOf(doc)
	}
	return r
}

// RequestsOf says what requests of p may ask for beyond text. What it gives must not be changed, and is the same for all
// principals of one team and app.
func (s *Snapshot) RequestsOf(p core.Principal) *Requests {
	r := s.requests
	base := r.everyone
	if team, ok := r.teams[p.Team]; ok && p.Team != "" {
		base = team
	}
	change, ok := r.apps[p.App]
	if !ok || p.App == "" {
		return base
	}
	key := teamApp{base, p.App}
	if narrowed, ok := r.both.Load(key); ok {
		return narrowed.(*Requests) //nolint:forcetypeassert // nothing else is stored
	}
	narrowed, _ := r.both.LoadOrStore(key, change.within(*base))
	return narrowed.(*Requests) //nolint:forcetypeassert // see above
}

// Requests is what the document says of requests. Its lists and maps must not be changed.
func (s *Snapshot) Requests() Requests { return s.doc.Requests }

// inPlaceOf puts what is written in the place of what r says.
func (c RequestChange) inPlaceOf(r Requests) *Requests {
	replace(&r.RemoteURLs, c.RemoteURLs)
	replace(&r.FileIDs, c.FileIDs)
	replace(&r.MaxToolCalls, c.MaxToolCalls)
	replace(&r.MaxChoices, c.MaxChoices)
	replace(&r.MaxEffort, c.MaxEffort)
	replaceList(&r.Inline, c.Inline)
	replaceList(&r.HostedTools, c.HostedTools)
	replaceList(&r.FilePurposes, c.FilePurposes)
	replaceList(&r.ServiceTiers, c.ServiceTiers)
	return &r
}

func replace[T any](into, by *T) {
	if by != nil {
		*into = *by
	}
}

func replaceList[T any](into *[]T, by []T) {
	if by != nil {
		*into = by
	}
}

// within gives what both r and what is written allow.
func (c RequestChange) within(r Requests) *Requests {
	own := c.inPlaceOf(r)
	return &Requests{
		RemoteURLs:   own.RemoteURLs && r.RemoteURLs,
		FileIDs:      own.FileIDs && r.FileIDs,
		MaxToolCalls: min(own.MaxToolCalls, r.MaxToolCalls),
		MaxChoices:   min(own.MaxChoices, r.MaxChoices),
		MaxEffort:    lesser(own.MaxEffort, r.MaxEffort),
		Inline:       common(own.Inline, r.Inline),
		HostedTools:  common(own.HostedTools, r.HostedTools),
		FilePurposes: common(own.FilePurposes, r.FilePurposes),
		ServiceTiers: common(own.ServiceTiers, r.ServiceTiers),
	}
}

// lesser is the lesser of two efforts.
func lesser(a, b Effort) Effort {
	order := Effort("").Values()
	if slices.Index(order, string(a)) < slices.Index(order, string(b)) {
		return a
	}
	return b
}

// common keeps of a what is in b too.
func common[T comparable](a, b []T) []T {
	both := []T{}
	for _, x := range a {
		if slices.Contains(b, x) {
			both = append(both, x)
		}
	}
	return both
}

func checkRequests(src *yamldoc.Document, r *Requests) {
	checkNumbers(src, "requests", &r.MaxChoices, &r.MaxToolCalls)
	for _, l := range []struct {
		path string
		list map[string]RequestChange
	}{{"requests.teams", r.Teams}, {"requests.apps", r.Apps}} {
		for name, change := range l.list {
			checkNumbers(src, yamldoc.Key(l.path, name), change.MaxChoices, change.MaxToolCalls)
		}
	}
}

func checkNumbers(src *yamldoc.Document, path string, choices, calls *int) {
	if choices != nil && (*choices < 1 || *choices > maxChoices) {
		src.Problem(path+".max_choices", "must be from 1 to 128")
	}
	if calls != nil && *calls < 0 {
		src.Problem(path+".max_tool_calls", "must not be negative")
	}
}
