package policy

import (
	"maps"
	"slices"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/yamldoc"
)

// Rules names the rules that the document itself writes and that can object to something, in the order in which they are asked.
func (s *Snapshot) Rules() []string { return slices.Clone(s.written) }

// Matches names every rule that objects to the facts, whichever of them decides, each once.
func (s *Snapshot) Matches(f Facts) []string {
	var names []string
	add := func(rule string) {
		if !slices.Contains(names, rule) {
			names = append(names, rule)
		}
	}
	say := func(x finding) {
		if x.action != core.ActionAllow {
			add(x.rule)
		}
	}
	say(s.onEndpoint(&f))
	say(s.onModel(&f))
	for _, group := range []struct {
		rules *detection
		found []core.Sighting
	}{{&s.secrets, f.Found.Secrets}, {&s.attacks, f.Found.Attacks}} {
		for i := range group.found {
			say(group.rules.on(group.found[i:i+1], core.ReasonNone))
		}
	}
	if s.rules != nil {
		s.rules.each(f, nil, func(x *finding) { say(*x) })
	}
	say(s.onIntent(&f.Intent))
	if f.Deviation.Unscored == "" {
		if s.doc.Deviation.Warn.reachedBy(f.Deviation.Score) {
			add("deviation.warn")
		}
		if block := s.doc.Deviation.Block; block.reachedBy(f.Deviation.Score) && (block != Promised || s.promised(&f.Deviation)) {
			add("deviation.block")
		}
	}
	say(s.onUnscored(f.Intent.Unscored))
	say(s.onUnscored(f.Deviation.Unscored))
	return names
}

// writtenIn lists the rules that a document writes.
func (s *Snapshot) writtenIn(src *yamldoc.Document) []string {
	var all []string
	add := func(rule string, objects bool) {
		if objects && written(src, rule) {
			all = append(all, rule)
		}
	}
	for _, a := range []*access{&s.endpoints, &s.models} {
		for list := range a.lists() {
			add(list.rule, !slices.Contains(list.list, "*"))
		}
	}
	for _, d := range []*detection{&s.secrets, &s.attacks} {
		for _, kind := range slices.Sorted(maps.Keys(d.kinds)) {
			add(d.kinds[kind].rule, d.kinds[kind].action != core.ActionAllow)
		}
		add(d.rest.rule, d.rest.action != core.ActionAllow)
	}
	if s.rules != nil {
		for i := range s.rules.list {
			all = append(all, s.rules.list[i].holds.rule)
		}
	}
	for i := range s.doc.Intents.Forbidden {
		add(yamldoc.Index("intents.forbidden", i), true)
	}
	for i := range s.doc.Intents.Warn {
		add(yamldoc.Index("intents.warn", i), true)
	}
	add("intents.allowed", true)
	add("deviation.warn", s.doc.Deviation.Warn != Never)
	add("deviation.block", s.doc.Deviation.Block != Never)
	for _, cause := range []core.Unscored{core.UnscoredLanguage, core.UnscoredOpaque, core.UnscoredEncoded, core.UnscoredTooShort, core.UnscoredNoTask} {
		response, rule := s.unscored(cause)
		add(rule, response != "allow")
	}
	return all
}
