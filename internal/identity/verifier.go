package identity

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/plumbline/plumbline/internal/core"
)

// Credentials is what the verifier needs to know of stored credentials. It must answer from memory, be safe for
// concurrent use, and be consistent in itself: one unchanging snapshot.
type Credentials interface {
	// AppKey gives the app key with a hash, expired and revoked ones included.
	AppKey(hash [32]byte) (core.AppKey, bool)
	// SigningKey gives one of Plumbline's own signing keys, retired ones included. Its Private may be empty.
	SigningKey(id string) (core.SigningKey, bool)
	// Revoked reports whether a token was revoked: by its id, with all of its session, or with all tokens of its subject
	// that were issued before a time. An empty tokenID or session must match no revocation; a zero issuedAt is before
	// every time.
	Revoked(tokenID, session, subject string, issuedAt time.Time) bool
	User(id string) (core.User, bool)
	App(id string) (core.App, bool)
	Team(id string) (core.Team, bool)
	// Generation must change whenever any of the above may answer differently.
	Generation() uint64
}

// Options are what a verifier is made of.
type Options struct {
	// Issuer and Audience are the iss and aud of Plumbline's own tokens. They must not be empty.
	Issuer, Audience string
	// Issuers are the other issuers that are trusted.
	Issuers []Trust
	// Mesh says how identities of the mesh are believed.
	Mesh Mesh
	// Credentials gives the snapshot in force, never nil.
	Credentials func() Credentials
	Now         func() time.Time
	// MaxLifetime is the longest time from a token's issue to its expiry that is accepted.
	MaxLifetime time.Duration
	// Leeway is the clock difference that is forgiven, at most 30 s.
	Leeway time.Duration
	// CacheSize is how many verified tokens are remembered; 0 stands for 8192.
	CacheSize int
}

const (
	maxLeeway        = 30 * time.Second
	defaultCacheSize = 8192
)

// typeAccess is the typ of Plumbline's own tokens (RFC 9068 §2.1). It is theirs alone: nothing else that Plumbline may
// sign with the same keys can pass for a credential (RFC 8725 §3.11).
const typeAccess = "at+jwt"

// Verifier proves who calls. It is safe for concurrent use.
type Verifier struct {
	issuers     map[string]*trust
	credentials func() Credentials
	now         func() time.Time
	leeway      time.Duration
	mesh        Mesh
	verified    *cache
}

// NewVerifier checks the options.
func NewVerifier(o Options) (*Verifier, error) {
	switch {
	case o.Credentials == nil || o.Now == nil:
		return nil, errors.New("identity: Credentials and Now are required")
	case o.MaxLifetime <= 0:
		return nil, errors.New("identity: MaxLifetime must be positive")
	case o.Leeway < 0 || o.Leeway > maxLeeway:
		return nil, fmt.Errorf("identity: Leeway must be between 0 and %v", maxLeeway)
	case o.CacheSize < 0:
		return nil, errors.New("identity: CacheSize must not be negative")
	case o.CacheSize == 0:
		o.CacheSize = defaultCacheSize
	}
	v := &Verifier{
		issuers:     make(map[string]*trust, 1+len(o.Issuers)),
		credentials: o.Credentials,
		now:         o.Now,
		leeway:      o.Leeway,
		mesh:        o.Mesh,
		verified:    newCache(o.CacheSize),
	}
	own := &trust{
		issuer: o.Issuer, audiences: []string{o.Audience}, types: []string{typeAccess}, maxLifetime: o.MaxLifetime, own: true,
		verifies: func(k core.SigningKey) bool { return Verifies(k, v.now(), o.MaxLifetime+o.Leeway) },
	}
	if err := v.trust(own); err != nil {
		return nil, err
	}
	for _, i := range o.Issuers {
		t, err := trusted(i, o.MaxLifetime)
		if err != nil {
			return nil, err
		}
		if err := v.trust(t); err != nil {
			return nil, err
		}
	}
	return v, nil
}

func (v *Verifier) trust(t *trust) error {
	if t.issuer == "" || len(t.audiences) == 0 || slices.Contains(t.audiences, "") {
		return errors.New("identity: an issuer and its audience must not be empty")
	}
	if _, double := v.issuers[t.issuer]; double {
		return fmt.Errorf("identity: issuer %q is there twice", t.issuer)
	}
	v.issuers[t.issuer] = t
	return nil
}

// Session is a caller that was authenticated. It does not change.
type Session struct {
	Principal core.Principal
	// Expires is when the credential ends, leeway included; zero is never.
	Expires time.Time
	// Task is the one task that the credential is for, empty for all that are assigned. It need not exist.
	Task string

	token *token   // what was verified, nil for an app key and for the mesh alone
	key   [32]byte // the hash of the app key
	peer  peer     // what the mesh says
}

// token is a verified token: what of it must be looked at again each time.
type token struct {
	trust   *trust
	kid     string
	key     *Key // that verified it
	claims  claims
	names   names
	issued  time.Time
	expires time.Time // leeway included

	// The token is as good as verified now while these are in force.
	generation uint64
	keys       *KeySet
}

// Authenticate proves who calls: by the credential, by the mesh, or by both. The session is nil when the error is not; the
// error then names the principal if the credential itself was good.
//
// Reasons: missing_credential, multiple_credentials, invalid_credential, expired_credential, revoked_credential,
// unknown_principal, user_blocked.
func (v *Verifier) Authenticate(_ context.Context, e Evidence) (*Session, *core.Error) {
	p, denied := v.mesh.peer(e)
	if denied != nil {
		return nil, denied
	}
	credential, denied := bearer(e.Authorization)
	switch {
	case v.mesh.isAbsent(credential, denied):
		return v.authenticatePeer(p)
	case denied != nil:
		return nil, denied
	case strings.HasPrefix(credential, appKeyPrefix):
		return v.authenticateKey(credential, p)
	}
	return v.authenticateToken(credential, p)
}

// Still reports what has ended a session since Authenticate gave it: its expiry or revocation, the removal of its key,
// user or app, a block of its user. It is made to be asked often and does not allocate while the answer is nil.
func (v *Verifier) Still(s *Session) *core.Error {
	known := v.credentials()
	switch {
	case s.Principal.Method == core.MethodMesh:
		_, denied := s.peer.principal(known)
		return denied
	case s.token == nil:
		_, _, denied := v.key(known, s.key, s.peer)
		return denied
	case !s.token.trust.holds(known, s.token.kid, s.token.key):
		return refuse(core.ReasonRevokedCredential, wordsRevoked, errSigningKeyGone)
	}
	_, denied := v.principal(known, s.token, s.peer)
	return denied
}

// bearer gives the one credential of a request (RFC 6750 §2.1).
func bearer(authorization []string) (string, *core.Error) {
	switch {
	case len(authorization) == 0:
		return "", refuse(core.ReasonMissingCredential, wordsMissing, errNoHeader)
	case len(authorization) > 1:
		return "", refuse(core.ReasonMultipleCredentials, wordsMultiple, errManyHeaders)
	}
	scheme, credential, _ := strings.Cut(authorization[0], " ")
	switch {
	case strings.Contains(authorization[0], ","): // the form of several headers joined by a proxy
		return "", refuse(core.ReasonMultipleCredentials, wordsMultiple, errManyHeaders)
	case credential == "" && (scheme == "" || strings.EqualFold(scheme, "Bearer")):
		return "", refuse(core.ReasonMissingCredential, wordsMissing, errEmptyHeader)
	case !strings.EqualFold(scheme, "Bearer"):
		return "", refuse(core.ReasonInvalidCredential, wordsScheme, errScheme)
	case strings.HasPrefix(credential, "sk-"):
		return "", refuse(core.ReasonInvalidCredential, wordsProvider, errProviderKey)
	}
	return credential, nil
}

func (v *Verifier) authenticateKey(credential string, p peer) (*Session, *core.Error) {
	hash, ok := ParseAppKey(credential)
	if !ok {
		return nil, refuse(core.ReasonInvalidCredential, wordsTypo, errKeyChecksum)
	}
	principal, expires, denied := v.key(v.credentials(), hash, p)
	if denied != nil {
		return nil, denied
	}
	return &Session{Principal: principal, Expires: expires, key: hash, peer: p}, nil
}

// key gives whom an app key that a peer sends stands for now, and until when.
func (v *Verifier) key(known Credentials, hash [32]byte, from peer) (core.Principal, time.Time, *core.Error) {
	none := core.Principal{}
	key, ok := known.AppKey(hash)
	if !ok {
		return none, time.Time{}, refuse(core.ReasonInvalidCredential, wordsUnknown, errKeyUnknown)
	}
	p, now := core.Principal{User: key.User, App: key.App, Method: core.MethodAppKey, Credential: key.ID}, v.now()
	switch {
	case !key.Revoked.IsZero() && !now.Before(key.Revoked):
		return none, time.Time{}, named(p, core.ReasonRevokedCredential, wordsRevoked, errKeyRevoked)
	case !key.Expires.IsZero() && !now.Before(key.Expires):
		return none, time.Time{}, named(p, core.ReasonExpiredCredential, wordsExpired, errKeyExpired)
	}
	principal, denied := from.complete(known, p)
	return principal, key.Expires, denied
}

func (v *Verifier) authenticateToken(credential string, p peer) (*Session, *core.Error) {
	if len(credential) > maxToken { // before work is spent on it
		return nil, refuseToken(errTokenSize)
	}
	known := v.credentials()
	hash := sha256.Sum256([]byte(credential))
	t, ok := v.verified.get(hash)
	if !ok || t.generation != known.Generation() || t.keys != t.trust.keySet() {
		var err error
		t, err = v.verify(known, credential)
		switch {
		case errors.Is(err, errExpired):
			return nil, named(t.principal(), core.ReasonExpiredCredential, wordsExpired, err)
		case err != nil:
			return nil, refuseToken(err)
		}
		v.verified.put(hash, t)
	}
	principal, denied := v.principal(known, t, p)
	if denied != nil {
		return nil, t.provision(denied)
	}
	return &Session{Principal: principal, Expires: t.expires, Task: t.names.task, token: t, peer: p}, nil
}

// provision asks for the user whom a token names and nobody knows, if the issuer may bring people along. The request is
// refused in either case: nobody passes who is not in the store.
func (t *token) provision(denied *core.Error) *core.Error {
	if t.trust.provision == nil || t.names.user == "" || !errors.Is(denied, errUserUnknown) {
		return denied
	}
	if !t.trust.provision(core.User{ID: t.names.user, Team: t.names.team}) {
		return denied
	}
	return named(denied.Principal, core.ReasonPrincipalPending, wordsPending, errUserPending)
}

// verify reads a token, checks its signature and what it says. The order matters: what an unverified token says selects
// the issuer and its key and nothing more. A token that is signed by a trusted issuer, is for us and has expired comes
// with the error.
func (v *Verifier) verify(known Credentials, credential string) (*token, error) {
	form, err := parseCompact(credential)
	if err != nil {
		return nil, err
	}
	said, err := parseClaims(form.payload)
	if err != nil {
		return nil, err
	}
	issuer, ok := v.issuers[said.issuer]
	if !ok {
		return nil, errIssuer
	}
	if !slices.Contains(issuer.types, mediaType(form.typ)) {
		return nil, errTyp
	}
	now := v.now()
	keys := issuer.keySet()
	key, err := issuer.key(known, keys, form.kid)
	if err != nil {
		if issuer.missing != nil && said.judge(issuer, now, v.leeway) == nil { // what would be refused anyway is not worth a look for new keys
			issuer.missing(form.kid)
		}
		return nil, err
	}
	if err := form.verify(key); err != nil {
		return nil, err
	}
	judged := said.judge(issuer, now, v.leeway)
	if judged != nil && !errors.Is(judged, errExpired) {
		return nil, judged
	}
	whom, err := issuer.names(&said, form.payload)
	if err != nil {
		return nil, err
	}
	t := &token{
		trust: issuer, kid: form.kid, key: key, claims: said, names: whom,
		expires:    time.Unix(said.expires, 0).Add(v.leeway),
		generation: known.Generation(),
		keys:       keys,
	}
	if said.issued != 0 {
		t.issued = time.Unix(said.issued, 0)
	}
	return t, judged
}

// principal gives whom a verified token that a peer sends stands for now. What it is bound to is checked here, and so each
// time: a verification that is remembered says nothing of who sends the token now.
func (v *Verifier) principal(known Credentials, t *token, from peer) (core.Principal, *core.Error) {
	switch c := &t.claims; {
	case known.Revoked(c.id, c.session, cmp.Or(t.names.user, t.names.app), t.issued):
		return core.Principal{}, named(t.principal(), core.ReasonRevokedCredential, wordsRevoked, errTokenRevoked)
	case !v.now().Before(t.expires):
		return core.Principal{}, named(t.principal(), core.ReasonExpiredCredential, wordsExpired, errExpired)
	case c.bound != thumbprint{} && c.bound != from.certificate:
		return core.Principal{}, named(t.principal(), core.ReasonInvalidCredential, wordsBound, errBound)
	}
	return from.complete(known, t.principal())
}

// principal gives whom a verified token names.
func (t *token) principal() core.Principal {
	return core.Principal{
		User: t.names.user, App: t.names.app, Team: t.names.team,
		Method: core.MethodToken, Issuer: t.trust.issuer, Credential: t.claims.id, Actor: t.claims.actor,
	}
}

// complete looks up whom a credential and the mesh name. The team is the user's; a user who has none is in the one that
// the credential claims, if it exists, or else in the app's, or else in what p has of the mesh.
func complete(known Credentials, p core.Principal, claimed string) (core.Principal, *core.Error) {
	if p.IsZero() {
		return core.Principal{}, refuse(core.ReasonUnknownPrincipal, wordsNobody, errNobody)
	}
	if p.App != "" {
		app, ok := known.App(p.App)
		if !ok {
			return core.Principal{}, named(p, core.ReasonUnknownPrincipal, wordsNobody, errAppUnknown)
		}
		if app.Team != "" {
			p.Team = app.Team
		}
	}
	if claimed != "" {
		if team, ok := known.Team(claimed); ok {
			p.Team = team.ID
		}
	}
	if p.User != "" {
		user, ok := known.User(p.User)
		switch {
		case !ok:
			return core.Principal{}, named(p, core.ReasonUnknownPrincipal, wordsNobody, errUserUnknown)
		case user.Blocked:
			p.Team = cmp.Or(user.Team, p.Team)
			return core.Principal{}, named(p, core.ReasonUserBlocked, wordsBlocked, errUserBlocked)
		case user.Team != "":
			p.Team = user.Team
		}
	}
	return p, nil
}
