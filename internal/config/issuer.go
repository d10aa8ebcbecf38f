package config

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/plumbline/plumbline/internal/yamldoc"
)

// Issuer is an identity provider whose tokens are believed. Its keys come from JWKSURL or from JWKSFile.
type Issuer struct {
	Issuer       string        `json:"issuer" doc:"The exact iss of its tokens."`
	Audiences    []string      `json:"audiences" doc:"aud must contain one of these."`
	JWKSURL      string        `json:"jwks_url" doc:"Where it publishes its keys, over HTTPS. Fetched every 5 minutes, and when a token names an unknown key."`
	JWKSFile     string        `json:"jwks_file" doc:"A file with its keys (JWKS) in place of jwks_url. Read at the start."`
	CAFile       string        `json:"ca_file" doc:"Authorities in PEM that vouch for the server of jwks_url. Empty: the system's."`
	AllowPrivate bool          `json:"allow_private_addresses" doc:"jwks_url may lead to an address that is not of the public Internet."`
	Algorithms   []Algorithm   `json:"algorithms" doc:"The algorithms that its keys may use. A key that names one is held to it."`
	Types        []string      `json:"types" doc:"Allowed values of typ; an empty one stands for tokens without it."`
	MaxLifetime  time.Duration `json:"max_lifetime" doc:"Longest time between a token's issue and its expiry. Default: identity.max_lifetime."`
	User         Claim         `json:"user"`
	App          Claim         `json:"app"`
	Team         TeamClaim     `json:"team"`
	Roles        RolesClaim    `json:"roles"`
	Task         Claim         `json:"task"`
	Create       Create        `json:"create" doc:"What is created when a token names it for the first time: none, users, or users and their teams. What is not created must exist."`
}

// Claim is where a name stands in a token.
type Claim struct {
	Claim     string `json:"claim" doc:"The claim; with a / before it, the JSON pointer to a member of one. For the user sub, unless app is set; else none."`
	Prefix    string `json:"prefix" doc:"Must stand before the id, and is cut off."`
	Lowercase bool   `json:"lowercase" doc:"A-Z become a-z."`
}

// TeamClaim is where the team stands.
type TeamClaim struct {
	Claim     string            `json:"claim" doc:"The claim, a text or a list, or the JSON pointer to it."`
	Prefix    string            `json:"prefix" doc:"Values without it do not count; it is cut off."`
	Lowercase bool              `json:"lowercase" doc:"A-Z become a-z."`
	Map       map[string]string `json:"map" doc:"The team for each value that counts. Without it the value is the team's id."`
}

// RolesClaim is where the roles stand, and which one is needed.
type RolesClaim struct {
	Claim   string   `json:"claim" doc:"The claim, a text or a list, or the JSON pointer to it."`
	Require []string `json:"require" doc:"The caller must have one of these."`
}

// defaultTypes are the types of ID tokens and access tokens (RFC 7519 §5.1, RFC 9068 §2.1) and of those that say none.
var defaultTypes = []string{"", "JWT", "at+jwt"}

// defaultAlgorithms are those that nearly all issuers use.
var defaultAlgorithms = []Algorithm{"RS256", "ES256", "EdDSA"}

// derive fills in what an entry leaves out.
func (i *Issuer) derive(maxLifetime time.Duration) {
	if i.Algorithms == nil {
		i.Algorithms = slices.Clone(defaultAlgorithms)
	}
	if i.Types == nil {
		i.Types = slices.Clone(defaultTypes)
	}
	if i.MaxLifetime == 0 {
		i.MaxLifetime = maxLifetime
	}
	if i.User.Claim == "" && i.App.Claim == "" {
		i.User.Claim = "sub"
	}
	if i.Create == "" {
		i.Create = CreateNone
	}
}

// check reports what is wrong with an entry, each problem at the name of its setting below path.
func (i *Issuer) check(path string, problem func(setting, message string)) {
	at := func(key, message string) { problem(path+"."+key, message) }
	if i.Issuer == "" {
		at("issuer", "must not be empty")
	}
	if len(i.Audiences) == 0 || slices.Contains(i.Audiences, "") {
		at("audiences", "must name an audience, and none that is empty")
	}
	i.checkKeys(at)
	if len(i.Algorithms) == 0 {
		at("algorithms", "must name one")
	}
	if len(i.Types) == 0 {
		at("types", "must name one")
	}
	if i.MaxLifetime < 0 {
		at("max_lifetime", "must be positive")
	}
	for _, c := range []struct{ key, claim, prefix string }{
		{"user", i.User.Claim, i.User.Prefix},
		{"app", i.App.Claim, i.App.Prefix},
		{"task", i.Task.Claim, i.Task.Prefix},
		{"team", i.Team.Claim, i.Team.Prefix},
	} {
		if c.claim == "" && c.prefix != "" {
			at(c.key+".claim", "a prefix is given, but no claim")
		}
	}
	if len(i.Team.Map) > 0 && i.Team.Claim == "" {
		at("team.claim", "a map is given, but no claim")
	}
	if (len(i.Roles.Require) > 0) != (i.Roles.Claim != "") {
		at("roles.claim", "set roles.claim and roles.require, or neither")
	}
	if i.Create != CreateNone && i.User.Claim == "" {
		at("create", "people are created, but user.claim does not say who")
	}
	if i.Create == CreateTeams && i.Team.Claim == "" {
		at("create", "teams are created, but team.claim does not say which")
	}
}

func (i *Issuer) checkKeys(at func(key, message string)) {
	switch {
	case (i.JWKSURL == "") == (i.JWKSFile == ""):
		at("jwks_url", "set jwks_url or jwks_file, one of them")
	case i.JWKSFile != "" && (i.CAFile != "" || i.AllowPrivate):
		at("jwks_file", "ca_file and allow_private_addresses are for jwks_url")
	case i.JWKSURL != "":
		if u, err := url.Parse(i.JWKSURL); err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
			at("jwks_url", "must begin with https:// and name a host, and hold no user, password or fragment")
		}
	}
}

// checkIssuers checks every entry, and that no two of them claim the same tokens.
func (i Identity) checkIssuers(problem func(setting, message string)) {
	seen := map[string]bool{i.Issuer: true}
	for n := range i.Issuers {
		path := yamldoc.Index("identity.issuers", n)
		entry := &i.Issuers[n]
		entry.check(path, problem)
		if entry.Issuer != "" && seen[entry.Issuer] {
			problem(path+".issuer", "is there twice; identity.issuer counts too")
		}
		seen[entry.Issuer] = true
	}
}

// Algorithm is a signature algorithm of tokens (RFC 7518 §3.1, RFC 8037 §3.1).
type Algorithm string

// Values lists the algorithms: asymmetric ones alone.
func (Algorithm) Values() []string {
	return strings.Fields("RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA")
}

// Create says what a token of an issuer may bring along.
type Create string

// What may be created.
const (
	CreateNone  Create = "none"
	CreateUsers Create = "users"
	CreateTeams Create = "teams-and-users"
)

// Values lists what may be created.
func (Create) Values() []string {
	return []string{string(CreateNone), string(CreateUsers), string(CreateTeams)}
}
