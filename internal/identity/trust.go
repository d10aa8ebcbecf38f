package identity

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/plumbline/plumbline/internal/core"
)

// Trust is an issuer other than Plumbline itself whose tokens are believed.
type Trust struct {
	// Issuer is the exact iss.
	Issuer string
	// Audiences are those of which aud must contain one.
	Audiences []string
	// Types are the allowed values of typ. An empty one allows tokens without typ.
	Types []string
	// MaxLifetime is the longest time from a token's issue to its expiry; 0 stands for the verifier's.
	MaxLifetime time.Duration
	// Claims say whom a token names. The zero Mapping takes sub as the id of a user.
	Claims Mapping
	// Keys gives the key set in force. It must answer from memory, be safe for concurrent use and not give nil.
	Keys func() *KeySet
	// Missing, if not nil, is told the kid of a token that is refused for nothing but that Keys does not have it. It must
	// not wait.
	Missing func(kid string)
	// Provision, if not nil, is asked to create a user whom a verified token names and nobody knows. It must not wait, and
	// report whether it will try.
	Provision func(core.User) bool
}

// trust is an issuer as the verifier sees it.
type trust struct {
	issuer      string
	audiences   []string
	types       []string
	maxLifetime time.Duration
	claims      Mapping
	own         bool                       // keys are those of Credentials
	verifies    func(core.SigningKey) bool // of own: whether a key still does
	keys        func() *KeySet             // nil for own
	missing     func(kid string)           // may be nil, as provision
	provision   func(core.User) bool
}

// trusted checks an issuer.
func trusted(i Trust, maxLifetime time.Duration) (*trust, error) {
	if i.Keys == nil || len(i.Types) == 0 {
		return nil, fmt.Errorf("identity: issuer %q: Keys and Types are required", i.Issuer)
	}
	if i.MaxLifetime < 0 {
		return nil, fmt.Errorf("identity: issuer %q: MaxLifetime must not be negative", i.Issuer)
	}
	if err := i.Claims.check(); err != nil {
		return nil, fmt.Errorf("identity: issuer %q: %w", i.Issuer, err)
	}
	t := &trust{
		issuer: i.Issuer, audiences: i.Audiences, maxLifetime: i.MaxLifetime, claims: i.Claims.complete(),
		keys: i.Keys, missing: i.Missing, provision: i.Provision,
	}
	if t.maxLifetime == 0 {
		t.maxLifetime = maxLifetime
	}
	for _, typ := range i.Types {
		t.types = append(t.types, mediaType(typ))
	}
	return t, nil
}

// keySet gives the key set in force, nil for Plumbline's own keys.
func (t *trust) keySet() *KeySet {
	if t.own {
		return nil
	}
	return t.keys()
}

// key gives the key that may verify a token of this issuer.
func (t *trust) key(known Credentials, keys *KeySet, kid string) (*Key, error) {
	if !t.own {
		if key, ok := keys.Key(kid); ok {
			return key, nil
		}
		return nil, errKid
	}
	stored, ok := known.SigningKey(kid)
	if !ok || !t.verifies(stored) {
		return nil, errKid
	}
	return ownKey(stored)
}

// holds reports whether the key that verified a token is still one of the issuer's.
func (t *trust) holds(known Credentials, kid string, key *Key) bool {
	if t.own {
		stored, ok := known.SigningKey(kid)
		return ok && t.verifies(stored)
	}
	now, ok := t.keys().Key(kid)
	return ok && now.same(key)
}

// names says whom verified claims name.
func (t *trust) names(said *claims, payload []byte) (names, error) {
	switch {
	case !t.own:
		return t.claims.read(payload)
	case said.kind == kindApp:
		return names{app: said.subject}, nil
	default:
		return names{user: said.subject, app: said.app}, nil
	}
}

// names is whom a token names.
type names struct{ user, app, team, task string }

// Claim says where a name stands in a token, and how to make an id of it.
type Claim struct {
	// Name is the name of a claim, or, when it begins with "/", the JSON pointer (RFC 6901) to a member of one. Empty: none.
	Name string
	// Prefix must stand before the id and is cut off.
	Prefix string
	// Lowercase turns A-Z to a-z. Other letters stay as they are.
	Lowercase bool
}

// Mapping says which claims of an issuer's tokens name whom. A token must name what User and App ask for, and may name the
// rest.
type Mapping struct {
	// User and App name who calls. When both are empty, sub names the user.
	User, App Claim
	// Team names the team of a user, in a text or a list of texts. Teams, if not empty, gives the team for each value that
	// counts; else the id of the team is the value. The first value that gives a team decides.
	Team  Claim
	Teams map[string]string
	// Roles names the roles of the caller, of which one must be among Require, unless that is empty.
	Roles   string
	Require []string
	// Task names the one task, among those that are assigned, that the token is for.
	Task Claim
}

// claimEmail is the one claim that its issuer may fill without having asked the person: it counts when email_verified
// (OpenID Connect Core §5.1) says so.
const (
	claimEmail         = "email"
	claimEmailVerified = "email_verified"
)

func (m Mapping) check() error {
	for _, c := range []string{m.User.Name, m.App.Name, m.Team.Name, m.Roles, m.Task.Name} {
		if strings.ContainsFunc(c, func(r rune) bool { return r < ' ' }) {
			return errors.New("the name of a claim holds a control character")
		}
	}
	if len(m.Require) > 0 && m.Roles == "" {
		return errors.New("roles are required, but no claim is named that holds them")
	}
	return nil
}

func (m Mapping) complete() Mapping {
	if m.User.Name == "" && m.App.Name == "" {
		m.User.Name = "sub"
	}
	return m
}

// read gives whom the payload of a verified token names.
func (m Mapping) read(payload []byte) (n names, err error) {
	if n.user, err = m.User.required(payload); err != nil {
		return n, err
	}
	if steps(m.User.Name)[0] == claimEmail && !isTrue(find(payload, claimEmailVerified)) {
		return n, errEmailUnverified
	}
	if n.app, err = m.App.required(payload); err != nil {
		return n, err
	}
	if n.team, err = m.team(payload); err != nil {
		return n, err
	}
	if err := m.mayCall(payload); err != nil {
		return n, err
	}
	tasks, err := m.Task.all(payload)
	if err == nil && len(tasks) > 0 {
		n.task = tasks[0]
	}
	return n, err
}

func (m Mapping) team(payload []byte) (string, error) {
	values, err := m.Team.all(payload)
	if err != nil {
		return "", err
	}
	for _, v := range values {
		if len(m.Teams) == 0 {
			return v, nil
		}
		if team, ok := m.Teams[v]; ok {
			return team, nil
		}
	}
	return "", nil
}

func (m Mapping) mayCall(payload []byte) error {
	if len(m.Require) == 0 {
		return nil
	}
	roles, err := Claim{Name: m.Roles}.all(payload)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(roles, func(r string) bool { return slices.Contains(m.Require, r) }) {
		return errRole
	}
	return nil
}

// required gives the one id that the claim holds, empty only where no claim is named.
func (c Claim) required(payload []byte) (string, error) {
	if c.Name == "" {
		return "", nil
	}
	value, err := find(payload, c.Name)
	if err != nil {
		return "", err
	}
	if value == nil {
		return "", errClaimMissing
	}
	s, err := identifier(value)
	if err != nil {
		return "", err
	}
	id, ok := c.id(s)
	if !ok {
		return "", errClaimPrefix
	}
	return id, nil
}

// all gives every id of a claim that may be absent, a text or a list of texts. Values without the prefix do not count.
func (c Claim) all(payload []byte) ([]string, error) {
	if c.Name == "" {
		return nil, nil
	}
	value, err := find(payload, c.Name)
	if err != nil || value == nil {
		return nil, err
	}
	values, err := audience(value)
	if err != nil {
		return nil, errClaimText
	}
	var ids []string
	for _, v := range values {
		if id, ok := c.id(v); ok && isIdentifier(v) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// id makes an id of a claim's value.
func (c Claim) id(value string) (string, bool) {
	id, ok := strings.CutPrefix(value, c.Prefix)
	if c.Lowercase {
		id = strings.Map(func(r rune) rune {
			if 'A' <= r && r <= 'Z' {
				r += 'a' - 'A'
			}
			return r
		}, id)
	}
	return id, ok && id != ""
}

func isTrue(v jsontext.Value, err error) bool {
	s, _ := text(v)
	return err == nil && (string(v) == "true" || s == "true") // Amazon's Cognito writes a text
}

// find gives the value that a claim's name or pointer leads to, nil when it is not there.
func find(object jsontext.Value, name string) (jsontext.Value, error) {
	for _, step := range steps(name) {
		if object.Kind() != '{' {
			return nil, nil
		}
		var found jsontext.Value
		err := readObject(object, []string{step}, func(name string, value jsontext.Value) error {
			if name == step && value.Kind() != 'n' {
				found = value.Clone()
			}
			return nil
		})
		if err != nil || found == nil {
			return nil, err
		}
		object = found
	}
	return object, nil
}

// steps are the names on the way to a claim.
func steps(name string) []string {
	pointer, ok := strings.CutPrefix(name, "/")
	if !ok {
		return []string{name}
	}
	path := strings.Split(pointer, "/")
	escapes := strings.NewReplacer("~1", "/", "~0", "~")
	for i, step := range path {
		path[i] = escapes.Replace(step)
	}
	return path
}
