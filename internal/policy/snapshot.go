package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"github.com/plumbline/plumbline/internal/calibrate"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/yamldoc"
)

// Snapshot is a compiled policy document. It never changes and is safe for concurrent use.
type Snapshot struct {
	doc     Document
	version string
	allow   models            // models.allow
	teams   map[string]models // by team, in place of allow
	apps    map[string]models // by app, as well
	intents map[string]ruling
	enough  int // calibration prompts for the promise

	secrets, attacks detection
}

// detection is a Detection made ready: what to do by kind, and about the rest.
type detection struct {
	mode  Mode // empty: that of the document
	kinds map[string]ruling
	rest  ruling
}

// models is a list of patterns and its place in the document.
type models struct {
	patterns []string
	rule     string
}

// ruling is what to do about one label or kind, and the place in the document that says so.
type ruling struct {
	action core.Action
	rule   string
}

// Option changes how Parse checks a document.
type Option func(*options)

type options struct{ labels, secrets, attacks []string }

// WithLabels makes an intent that is not among labels an error. Without it every label is taken.
func WithLabels(labels ...string) Option { return func(o *options) { o.labels = labels } }

// WithKinds makes a kind of secret, or a form of attack, that is not among these an error. Without it every one is taken.
func WithKinds(secrets, attacks []string) Option {
	return func(o *options) { o.secrets, o.attacks = secrets, attacks }
}

// Parse compiles a policy document; name stands for its file in messages. All problems come in one *yamldoc.Error, each
// with its line and column.
func Parse(name string, data []byte, opts ...Option) (*Snapshot, error) {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	doc := defaults()
	src := yamldoc.Decode(name, data, &doc)
	check(&doc, o, src)
	if err := src.Err(); err != nil {
		return nil, err
	}
	return compile(doc)
}

// Default is the policy where no document is given: observe, every model allowed.
func Default() *Snapshot {
	s, _ := compile(defaults()) // the defaults are fixed and marshal
	return s
}

func compile(doc Document) (*Snapshot, error) {
	effective, err := json.Marshal(doc) // sorts the maps
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(effective)
	s := &Snapshot{
		doc:     doc,
		version: hex.EncodeToString(sum[:6]),
		allow:   models{doc.Models.Allow, "models.allow"},
		teams:   byName("models.teams", doc.Models.Teams),
		apps:    byName("models.apps", doc.Models.Apps),
		intents: map[string]ruling{},
		enough:  calibrate.Enough(float64(doc.Deviation.Promise)),
		secrets: detectionOf("secrets", doc.Secrets),
		attacks: detectionOf("attacks", doc.Attacks),
	}
	for i, label := range doc.Intents.Warn {
		s.intents[label] = ruling{core.ActionWarn, yamldoc.Index("intents.warn", i)}
	}
	for i, label := range doc.Intents.Forbidden {
		s.intents[label] = ruling{core.ActionBlock, yamldoc.Index("intents.forbidden", i)}
	}
	return s, nil
}

func detectionOf(path string, doc Detection) detection {
	d := detection{
		kinds: make(map[string]ruling, len(doc.Kinds)),
		rest:  ruling{core.Action(doc.Default), path + ".default"},
	}
	if doc.Mode != modeAsPolicy {
		d.mode = Mode(doc.Mode)
	}
	for kind, response := range doc.Kinds {
		d.kinds[kind] = ruling{core.Action(response), yamldoc.Key(path+".kinds", kind)}
	}
	return d
}

func byName(path string, lists map[string][]string) map[string]models {
	m := make(map[string]models, len(lists))
	for name, patterns := range lists {
		m[name] = models{patterns, yamldoc.Key(path, name)}
	}
	return m
}

// check reports what is wrong with the meaning of a document that decodes.
func check(doc *Document, o options, src *yamldoc.Document) {
	if _, _, ok := src.Position("version"); !ok {
		src.Problem("version", "is missing; write version: 1")
	} else if doc.Version != 1 {
		src.Problem("version", "must be 1")
	}
	if u, err := url.Parse(doc.NoticeURL); doc.NoticeURL != "" &&
		(err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http") {
		src.Problem("notice_url", "must be an http or https address without a user")
	}
	checkPatterns(src, "models.allow", doc.Models.Allow)
	for team, patterns := range doc.Models.Teams {
		checkPatterns(src, yamldoc.Key("models.teams", team), patterns)
	}
	for app, patterns := range doc.Models.Apps {
		checkPatterns(src, yamldoc.Key("models.apps", app), patterns)
	}
	switch d := doc.Deviation; {
	case d.Warn == Promised:
		src.Problem("deviation.warn", "must be a number from 0 to 1, or never: a warning is not promised to anybody")
	case d.Block < d.Warn && d.Warn != Never && d.Block != Promised:
		warn, _ := d.Warn.MarshalText()
		src.Problem("deviation.block", "must not be below deviation.warn, which is "+string(warn))
	}
	if c := doc.Intents.MinConfidence; c < 0 || c > 1 {
		src.Problem("intents.min_confidence", "must be from 0 to 1")
	}
	if n := doc.Requests.MaxChoices; n < 1 || n > maxChoices {
		src.Problem("requests.max_choices", "must be from 1 to 128")
	}
	if doc.Requests.MaxToolCalls < 0 {
		src.Problem("requests.max_tool_calls", "must not be negative")
	}
	checkKinds(src, "secrets.kinds", doc.Secrets.Kinds, o.secrets)
	checkKinds(src, "attacks.kinds", doc.Attacks.Kinds, o.attacks)
	seen := map[string]string{}
	checkLabels(src, "intents.forbidden", doc.Intents.Forbidden, seen, o.labels)
	checkLabels(src, "intents.warn", doc.Intents.Warn, seen, o.labels)
}

func checkKinds(src *yamldoc.Document, path string, kinds map[string]Response, known []string) {
	for kind := range kinds {
		if known != nil && !slices.Contains(known, kind) {
			src.Problem(yamldoc.Key(path, kind), "not a kind that the rules know"+yamldoc.DidYouMean(kind, known))
		}
	}
}

func checkPatterns(src *yamldoc.Document, path string, patterns []string) {
	for i, p := range patterns {
		if p == "" || strings.ContainsAny(p, `?[]\ `) {
			src.Problem(yamldoc.Index(path, i), "must be a model's name in which * stands for any characters")
		}
	}
}

func checkLabels(src *yamldoc.Document, path string, labels []string, seen map[string]string, known []string) {
	for i, label := range labels {
		at := yamldoc.Index(path, i)
		switch first, twice := seen[label]; {
		case label == "":
			src.Problem(at, "must name an intent")
		case twice:
			src.Problem(at, "the same intent as "+first)
		case known != nil && label != core.LabelUncertain && !slices.Contains(known, label):
			src.Problem(at, "not an intent that the classifier knows"+yamldoc.DidYouMean(label, known))
		}
		seen[label] = at
	}
}

// Version names the policy by its content, defaults included: two documents have the same version exactly when they say
// the same. It is the first 12 hexadecimal digits of a SHA-256.
func (s *Snapshot) Version() string { return s.version }

// Mode is observe or enforce.
func (s *Snapshot) Mode() Mode { return s.doc.Mode }

// NoticeURL is the page that refusals and warnings point people to, empty for none.
func (s *Snapshot) NoticeURL() string { return s.doc.NoticeURL }

// Requests says what requests may ask for beyond text. Its lists must not be changed.
func (s *Snapshot) Requests() Requests { return s.doc.Requests }

// ModelAllowed reports whether p may call model, as Decide decides it. Whether the model has a price is another matter.
func (s *Snapshot) ModelAllowed(p core.Principal, model string) bool {
	return s.modelRefused(&p, model) == ""
}

// modelRefused gives the place of the list that refuses the model, empty when it is allowed.
func (s *Snapshot) modelRefused(p *core.Principal, model string) (rule string) {
	if base := s.base(p); !base.match(model) {
		return base.rule
	}
	if app, ok := s.apps[p.App]; ok && p.App != "" && !app.match(model) {
		return app.rule
	}
	return ""
}

// base is the list of p's team, or the one for everyone.
func (s *Snapshot) base(p *core.Principal) models {
	if team, ok := s.teams[p.Team]; ok && p.Team != "" {
		return team
	}
	return s.allow
}

// AllowedModels gives patterns that describe the models p may call, for the words of a refusal. Where two lists apply,
// it gives the patterns of each that the other covers; ModelAllowed is what decides.
func (s *Snapshot) AllowedModels(p core.Principal) []string {
	base := s.base(&p)
	app, ok := s.apps[p.App]
	if !ok || p.App == "" {
		return slices.Clone(base.patterns)
	}
	var both []string
	for _, pattern := range base.patterns {
		if app.match(pattern) { // a star in the pattern is matched by a star only
			both = append(both, pattern)
		}
	}
	for _, pattern := range app.patterns {
		if base.match(pattern) && !slices.Contains(both, pattern) {
			both = append(both, pattern)
		}
	}
	return both
}

func (m models) match(model string) bool {
	for _, p := range m.patterns {
		if glob(p, model) {
			return true
		}
	}
	return false
}

// glob reports whether s matches pattern, in which a star stands for any characters. It takes at most len(pattern) ×
// len(s) steps: a later star makes going back to an earlier one needless.
func glob(pattern, s string) bool {
	star, mark := -1, 0
	p := 0
	for i := 0; i < len(s); {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && pattern[p] == s[i]:
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
