package identity

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/plumbline/plumbline/internal/core"
)

// Evidence is what a request and its connection show of who calls.
type Evidence struct {
	// Authorization are all values of all headers that carry a credential, exactly as received.
	Authorization []string
	// Workload is the SPIFFE id of the calling program and Certificate the SHA-256 of the certificate that it proved to
	// hold, in hex; empty for none. Both are the word of an Envoy that is trusted to say so, never a header of the caller.
	Workload, Certificate string
}

// Mesh says how identities of the mesh are believed. The zero Mesh believes none.
type Mesh struct {
	// Rules are tried in order; the first whose pattern matches decides.
	Rules []MeshRule
	// DummyKey is a bearer credential that stands for none, for SDKs that do not start without a key. Empty: there is none.
	DummyKey string
}

// MeshRule says for whom the workloads of a pattern call.
type MeshRule struct {
	domain   string
	segments []segment
	app      template
	user     template
	team     template
}

// segment is one segment of a pattern: a text, a placeholder, or neither, which matches any.
type segment struct{ text, name string }

// template is a text with placeholders: pieces, each after the first behind the value of a name.
type template struct{ pieces, names []string }

// ParseMeshRule reads a rule: a pattern, then what it gives, "spiffe://prod.example.com/ns/{ns}/sa/{sa} app={ns}.{sa}".
// A segment of the pattern is a text, a placeholder, or a star for any text. What it gives are app, user and team, each at
// most once and app or user at least; placeholders in them stand for what the pattern's stood for. The trust domain is
// always written out.
func ParseMeshRule(rule string) (MeshRule, error) {
	pattern, gives, _ := strings.Cut(rule, " ")
	r, names, err := parsePattern(pattern)
	if err != nil {
		return MeshRule{}, err
	}
	into := map[string]*template{"app": &r.app, "user": &r.user, "team": &r.team}
	for _, field := range strings.Fields(gives) {
		what, text, _ := strings.Cut(field, "=")
		t, known := into[what]
		switch {
		case !known:
			return MeshRule{}, errors.New("after the pattern come app=, user= and team=")
		case t.pieces != nil:
			return MeshRule{}, fmt.Errorf("%s= is given twice", what)
		}
		if *t, err = parseTemplate(text, names); err != nil {
			return MeshRule{}, fmt.Errorf("%s=: %w", what, err)
		}
	}
	if r.app.pieces == nil && r.user.pieces == nil {
		return MeshRule{}, errors.New("it gives neither an app nor a user: add app= or user=")
	}
	return r, nil
}

func parsePattern(pattern string) (r MeshRule, names map[string]bool, err error) {
	rest, ok := strings.CutPrefix(pattern, spiffeScheme)
	domain, path, found := strings.Cut(rest, "/")
	if !ok || !found || !isTrustDomain(domain) {
		return r, nil, errors.New("the pattern must be spiffe:// with a trust domain in small letters and a path")
	}
	r.domain, names = domain, map[string]bool{}
	for text := range strings.SplitSeq(path, "/") {
		name, isName := placeholder(text)
		switch {
		case text == "*":
			r.segments = append(r.segments, segment{})
		case isName && names[name]:
			return r, nil, fmt.Errorf("the placeholder {%s} is there twice", name)
		case isName:
			names[name] = true
			r.segments = append(r.segments, segment{name: name})
		case isSegment(text):
			r.segments = append(r.segments, segment{text: text})
		default:
			return r, nil, errors.New("a segment of the pattern is a text of letters, digits, '.', '-' and '_', a {placeholder} or *")
		}
	}
	return r, names, nil
}

// placeholder gives the name in "{name}".
func placeholder(s string) (string, bool) {
	if len(s) < 3 || s[0] != '{' || s[len(s)-1] != '}' {
		return "", false
	}
	name := s[1 : len(s)-1]
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && !isDigit(c) && c != '_' {
			return "", false
		}
	}
	return name, true
}

func parseTemplate(text string, names map[string]bool) (template, error) {
	var t template
	for rest := text; ; {
		before, after, found := strings.Cut(rest, "{")
		t.pieces = append(t.pieces, before)
		if !found {
			break
		}
		inner, behind, closed := strings.Cut(after, "}")
		if name, ok := placeholder("{" + inner + "}"); !closed || !ok || !names[name] {
			return t, errors.New("it has a placeholder that the pattern does not have")
		}
		t.names, rest = append(t.names, inner), behind
	}
	if text == "" || strings.ContainsAny(strings.Join(t.pieces, ""), "{}") {
		return t, errors.New("it must be an id, with placeholders of the pattern")
	}
	return t, nil
}

// match gives what the placeholders stand for, and false for an id of another pattern.
func (r *MeshRule) match(id spiffeID) (map[string]string, bool) {
	if r.domain != id.domain || len(r.segments) != len(id.segments) {
		return nil, false
	}
	values := map[string]string{}
	for i, s := range r.segments {
		switch {
		case s.name != "":
			values[s.name] = id.segments[i]
		case s.text != "" && s.text != id.segments[i]:
			return nil, false
		}
	}
	return values, true
}

func (t *template) fill(values map[string]string) string {
	var b strings.Builder
	for i, piece := range t.pieces {
		if i > 0 {
			b.WriteString(values[t.names[i-1]])
		}
		b.WriteString(piece)
	}
	return b.String()
}

// peer is what the mesh says of a caller. The zero peer says nothing.
type peer struct {
	workload        string // the SPIFFE id
	app, user, team string // for whom it calls, empty when no rule names anybody
	certificate     thumbprint
}

// peer reads what the mesh says. Where no rules are set only the certificate counts, for tokens that are bound to it.
func (m *Mesh) peer(e Evidence) (peer, *core.Error) {
	p := peer{certificate: parseThumbprint(e.Certificate)}
	if len(m.Rules) == 0 || e.Workload == "" {
		return p, nil
	}
	id, err := parseSPIFFE(e.Workload)
	if err != nil {
		return peer{}, refuse(core.ReasonInvalidCredential, wordsWorkload, err)
	}
	p.workload = id.String()
	for i := range m.Rules {
		if values, ok := m.Rules[i].match(id); ok {
			r := &m.Rules[i]
			p.app, p.user, p.team = r.app.fill(values), r.user.fill(values), r.team.fill(values)
			break
		}
	}
	return p, nil
}

// isAbsent reports whether a request has no credential, or the one that stands for none.
func (m *Mesh) isAbsent(credential string, denied *core.Error) bool {
	if denied != nil {
		return denied.Reason == core.ReasonMissingCredential
	}
	return m.DummyKey != "" && credential == m.DummyKey
}

// authenticatePeer makes a session of what the mesh alone says.
func (v *Verifier) authenticatePeer(p peer) (*Session, *core.Error) {
	if p.workload == "" {
		return nil, refuse(core.ReasonMissingCredential, wordsMissing, errNoHeader)
	}
	principal, denied := p.principal(v.credentials())
	if denied != nil {
		return nil, denied
	}
	return &Session{Principal: principal, peer: p}, nil
}

func (p *peer) principal(known Credentials) (core.Principal, *core.Error) {
	if p.app == "" && p.user == "" {
		return core.Principal{}, refuse(core.ReasonUnknownPrincipal, wordsUnmapped, errUnmapped)
	}
	return p.complete(known, core.Principal{Method: core.MethodMesh})
}

// complete adds what the mesh says to what a credential says. Each may name whom the other does not; where both name an
// app, or both a user, they must agree: a credential that another workload sends was taken from its owner.
func (p *peer) complete(known Credentials, c core.Principal) (core.Principal, *core.Error) {
	claimed := c.Team
	c.Workload, c.Team = p.workload, p.team
	if p.app != "" && c.App != "" && p.app != c.App || p.user != "" && c.User != "" && p.user != c.User {
		return core.Principal{}, named(c, core.ReasonInvalidCredential, wordsOther, errOtherWorkload)
	}
	if c.App == "" {
		c.App = p.app
	}
	if c.User == "" {
		c.User = p.user
	}
	return complete(known, c, claimed)
}

// thumbprint is the SHA-256 of a certificate in DER (RFC 8705 §3.1). The zero thumbprint is that of none.
type thumbprint [32]byte

func parseThumbprint(s string) (t thumbprint) {
	if raw, err := hex.DecodeString(s); err == nil && len(raw) == len(t) {
		copy(t[:], raw)
	}
	return t
}
