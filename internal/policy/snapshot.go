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
	doc       Document
	version   string
	endpoints access
	models    access
	requests  *requests
	intents   intents
	enough    int  // calibration prompts for the promise
	deviation Mode // of the rules on deviation and unscored prompts; empty: that of the document
	rules     *rules
	written   []string // the rules that the document itself writes, in its order

	secrets, attacks detection
}

// detection is a Detection made ready: what to do by kind, and about the rest.
type detection struct {
	mode  Mode // empty: that of the document
	kinds map[string]ruling
	rest  ruling
}

// intents is an Intents made ready.
type intents struct {
	mode  Mode // empty: that of the document
	named map[string]ruling
	// rest is for intents that have no ruling of their own: where intents.allowed is written.
	rest ruling
}

// patterns is a list of patterns and its place in the document.
type patterns struct {
	list []string
	rule string
}

// ruling is what to do about one label or kind, and the place in the document that says so.
type ruling struct {
	action core.Action
	rule   string
}

// Option changes how Parse checks a document.
type Option func(*options)

type options struct{ labels, secrets, attacks, endpoints, mute []string }

// WithLabels makes an intent that is not among labels an error. Without it every label is taken.
func WithLabels(labels ...string) Option { return func(o *options) { o.labels = labels } }

// WithKinds makes a kind of secret, or a form of attack, that is not among these an error. Without it every one is taken.
func WithKinds(secrets, attacks []string) Option {
	return func(o *options) { o.secrets, o.attacks = secrets, attacks }
}

// WithEndpoints makes a pattern of endpoints that matches none of these an error. Without it every one is taken.
func WithEndpoints(names ...string) Option { return func(o *options) { o.endpoints = names } }

// WithoutPrompt makes a case an error that asks something of one of these endpoints: they take no prompt.
func WithoutPrompt(endpoints ...string) Option { return func(o *options) { o.mute = endpoints } }

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
	conditions := compileRules(&doc, src)
	if err := src.Err(); err != nil {
		return nil, err
	}
	s, err := compile(doc)
	if err != nil {
		return nil, err
	}
	s.rules = conditions
	s.written = s.writtenIn(src)
	return s, nil
}

// Default is the policy where no document is given: observe, every model allowed.
func Default() *Snapshot {
	s, _ := compile(defaults()) // the defaults are fixed and marshal
	return s
}

func compile(doc Document) (*Snapshot, error) {
	effective, err := json.Marshal(doc.canonical()) // sorts the maps
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(effective)
	return &Snapshot{
		doc:       doc,
		version:   hex.EncodeToString(sum[:VersionLength/2]),
		endpoints: accessOf("endpoints", doc.Endpoints.Allow, doc.Endpoints.Teams, doc.Endpoints.Apps),
		models:    accessOf("models", doc.Models.Allow, doc.Models.Teams, doc.Models.Apps),
		requests:  requestsOf(doc.Requests),
		intents:   intentsOf(doc.Intents),
		enough:    calibrate.Enough(float64(doc.Deviation.Promise)),
		deviation: doc.Deviation.Mode.own(),
		secrets:   detectionOf("secrets", doc.Secrets),
		attacks:   detectionOf("attacks", doc.Attacks),
	}, nil
}

// canonical is the document with what says nothing left out, so that its version does not change with what this format can
// say besides: cases decide nothing, and the defaults of later fields are those of before there were any.
func (doc Document) canonical() Document {
	doc.Cases, doc.CaseTasks, doc.CaseSystemPrompts = nil, nil, nil
	if doc.Timezone == "UTC" {
		doc.Timezone = ""
	}
	if doc.Deviation.Promise == usualPromise {
		doc.Deviation.Promise = 0
	}
	for _, mode := range []*DetectionMode{&doc.Intents.Mode, &doc.Deviation.Mode} {
		if *mode == modeAsPolicy {
			*mode = ""
		}
	}
	if e := doc.Endpoints; slices.Equal(e.Allow, []string{"*"}) && len(e.Teams)+len(e.Apps) == 0 {
		doc.Endpoints = Endpoints{}
	}
	return doc
}

func intentsOf(doc Intents) intents {
	in := intents{mode: doc.Mode.own(), named: map[string]ruling{}}
	if doc.Allowed != nil {
		in.rest = ruling{core.ActionBlock, "intents.allowed"}
		for _, label := range append(slices.Clone(doc.Allowed), core.LabelUncertain, "") {
			in.named[label] = ruling{action: core.ActionAllow}
		}
	}
	for i, label := range doc.Warn {
		in.named[label] = ruling{core.ActionWarn, yamldoc.Index("intents.warn", i)}
	}
	for i, label := range doc.Forbidden {
		in.named[label] = ruling{core.ActionBlock, yamldoc.Index("intents.forbidden", i)}
	}
	return in
}

func detectionOf(path string, doc Detection) detection {
	d := detection{
		mode:  doc.Mode.own(),
		kinds: make(map[string]ruling, len(doc.Kinds)),
		rest:  ruling{core.Action(doc.Default), path + ".default"},
	}
	for kind, response := range doc.Kinds {
		d.kinds[kind] = ruling{core.Action(response), yamldoc.Key(path+".kinds", kind)}
	}
	return d
}

func byName(path string, lists map[string][]string) map[string]patterns {
	m := make(map[string]patterns, len(lists))
	for name, list := range lists {
		m[name] = patterns{list, yamldoc.Key(path, name)}
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
	checkAccess(src, accessOf("endpoints", doc.Endpoints.Allow, doc.Endpoints.Teams, doc.Endpoints.Apps), endpointWords, o.endpoints)
	checkAccess(src, accessOf("models", doc.Models.Allow, doc.Models.Teams, doc.Models.Apps), modelWords, nil)
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
	checkRequests(src, &doc.Requests)
	checkKinds(src, "secrets.kinds", doc.Secrets.Kinds, o.secrets)
	checkKinds(src, "attacks.kinds", doc.Attacks.Kinds, o.attacks)
	checkClasses(src, doc.Intents.Classes, o.labels)
	seen, labels := map[string]string{}, withClasses(o.labels, doc.Intents.Classes)
	checkLabels(src, "intents.forbidden", doc.Intents.Forbidden, seen, labels)
	checkLabels(src, "intents.warn", doc.Intents.Warn, seen, labels)
	checkLabels(src, "intents.allowed", doc.Intents.Allowed, seen, labels)
	checkCases(src, doc, o)
}

func checkKinds(src *yamldoc.Document, path string, kinds map[string]Response, known []string) {
	for kind := range kinds {
		if known != nil && !slices.Contains(known, kind) {
			src.Problem(yamldoc.Key(path, kind), "not a kind that the rules know"+yamldoc.DidYouMean(kind, known))
		}
	}
}

// What an entry of a list of patterns must be, in words.
const (
	modelWords    = "must be a model's name in which * stands for any characters"
	endpointWords = "must be an endpoint's name in which * stands for any characters"
)

// checkAccess checks every pattern of the lists. known, if set, are all names that there are.
func checkAccess(src *yamldoc.Document, a access, words string, known []string) {
	for list := range a.lists() {
		for i, p := range list.list {
			switch at := yamldoc.Index(list.rule, i); {
			case p == "" || strings.ContainsAny(p, `?[]\ `):
				src.Problem(at, words)
			case known != nil && !slices.ContainsFunc(known, func(name string) bool { return glob(p, name) }):
				src.Problem(at, "matches nothing that there is"+yamldoc.DidYouMean(p, known))
			}
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

// VersionLength is how many hexadecimal digits of a SHA-256 name a policy.
const VersionLength = 12

// Version names the policy by its content, defaults included: two documents have the same version exactly when they say
// the same. It has VersionLength hexadecimal digits.
func (s *Snapshot) Version() string { return s.version }

// Mode is observe or enforce.
func (s *Snapshot) Mode() Mode { return s.doc.Mode }

// NoticeURL is the page that refusals and warnings point people to, empty for none.
func (s *Snapshot) NoticeURL() string { return s.doc.NoticeURL }

// ModelAllowed reports whether p may call model, as Decide decides it. Whether the model has a price is another matter.
func (s *Snapshot) ModelAllowed(p core.Principal, model string) bool {
	return s.models.refused(&p, model) == ""
}

// AllowedModels gives patterns that describe the models p may call, for the words of a refusal. ModelAllowed is what decides.
func (s *Snapshot) AllowedModels(p core.Principal) []string { return s.models.allowed(&p) }

// AllowedEndpoints gives the same of endpoints.
func (s *Snapshot) AllowedEndpoints(p core.Principal) []string { return s.endpoints.allowed(&p) }

func (m patterns) match(name string) bool {
	for _, p := range m.list {
		if p == "*" || glob(p, name) {
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
