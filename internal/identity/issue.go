package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/plumbline/plumbline/internal/core"
)

// The algorithms of Plumbline's own signing keys.
const (
	AlgEdDSA = "EdDSA" // Ed25519, the default
	AlgES256 = "ES256"
)

// NewSigningKey makes a key pair for alg, AlgEdDSA or AlgES256.
func NewSigningKey(alg string, now time.Time) (core.SigningKey, error) {
	private, err := generate(alg)
	if err != nil {
		return core.SigningKey{}, err
	}
	public, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		return core.SigningKey{}, fmt.Errorf("identity: new signing key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return core.SigningKey{}, fmt.Errorf("identity: new signing key: %w", err)
	}
	return core.SigningKey{ID: rand.Text(), Alg: alg, Public: public, Private: der, Created: now}, nil
}

func generate(alg string) (crypto.Signer, error) {
	switch alg {
	case AlgEdDSA:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	case AlgES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	return nil, fmt.Errorf("identity: signing keys are %s or %s, not %q", AlgEdDSA, AlgES256, alg)
}

// ownKey gives one of Plumbline's own keys for verification.
func ownKey(stored core.SigningKey) (*Key, error) {
	public, err := x509.ParsePKIXPublicKey(stored.Public)
	if err != nil {
		return nil, errKeyDamaged
	}
	return newKey(public, []string{stored.Alg})
}

// IssuerOptions are what an issuer is made of.
type IssuerOptions struct {
	// Issuer and Audience become iss and aud. They must not be empty.
	Issuer, Audience string
	// Key signs. It must not be retired.
	Key core.SigningKey
	// MaxLifetime is the longest lifetime of a token: the verifier's.
	MaxLifetime time.Duration
	Now         func() time.Time
}

// Issuer signs Plumbline's own tokens. It is safe for concurrent use.
type Issuer struct {
	o       IssuerOptions
	method  jwt.SigningMethod
	private crypto.PrivateKey
}

// NewIssuer checks the options.
func NewIssuer(o IssuerOptions) (*Issuer, error) {
	switch {
	case o.Issuer == "" || o.Audience == "":
		return nil, errors.New("identity: an issuer and its audience must not be empty")
	case o.Now == nil || o.MaxLifetime <= 0:
		return nil, errors.New("identity: Now and a positive MaxLifetime are required")
	case !o.Key.Retired.IsZero():
		return nil, fmt.Errorf("identity: signing key %s is retired", o.Key.ID)
	}
	private, err := x509.ParsePKCS8PrivateKey(o.Key.Private)
	if err != nil {
		return nil, fmt.Errorf("identity: signing key %s is damaged", o.Key.ID) // the cause could quote the key
	}
	public, err := ownKey(o.Key)
	if err != nil {
		return nil, fmt.Errorf("identity: signing key %s: %w", o.Key.ID, err)
	}
	if !isPair(private, public.public) {
		return nil, fmt.Errorf("identity: signing key %s: its halves do not belong together", o.Key.ID)
	}
	return &Issuer{o: o, method: public.methods[0], private: private}, nil
}

func isPair(private crypto.PrivateKey, public crypto.PublicKey) bool {
	signer, ok := private.(crypto.Signer)
	if !ok {
		return false
	}
	own, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && own.Equal(public)
}

// IssueRequest says whom a token is for.
type IssueRequest struct {
	// User and App are their ids. With both, the app calls in the name of the user. At least one is set.
	User, App string
	// Session groups tokens that are revoked together (sid). Actor is who acts for the user or app (act, RFC 8693 §4.1).
	// Both may be empty.
	Session, Actor string
	// Certificate binds the token to the client certificate with this SHA-256 (cnf, RFC 8705 §3.1). Zero: it is not bound.
	Certificate [32]byte
	// Lifetime is at least a second and at most the issuer's MaxLifetime; fractions of a second are dropped.
	Lifetime time.Duration
}

// Issue signs a token. The id is the token's jti, by which it can be revoked.
func (i *Issuer) Issue(r IssueRequest) (signed, id string, expires time.Time, err error) {
	for _, name := range []string{r.User, r.App, r.Session, r.Actor} {
		if name != "" && !isIdentifier(name) {
			return "", "", time.Time{}, errors.New("identity: ids in tokens have at most 255 bytes of printable text in NFC")
		}
	}
	lifetime := r.Lifetime.Truncate(time.Second)
	if lifetime < time.Second || lifetime > i.o.MaxLifetime {
		return "", "", time.Time{}, fmt.Errorf("identity: the lifetime must be between 1s and %v", i.o.MaxLifetime)
	}
	// Whole seconds, rounded down: a revocation of all that was issued before now covers this second too.
	issued := i.o.Now().Truncate(time.Second)
	expires = issued.Add(lifetime)
	id = rand.Text()
	claims := jwt.MapClaims{
		"iss": i.o.Issuer, "aud": i.o.Audience, "jti": id, "iat": issued.Unix(), "exp": expires.Unix(),
	}
	if r.Session != "" {
		claims["sid"] = r.Session
	}
	if r.Actor != "" {
		claims["act"] = map[string]string{"sub": r.Actor}
	}
	if r.Certificate != [32]byte{} {
		claims["cnf"] = map[string]string{"x5t#S256": base64.RawURLEncoding.EncodeToString(r.Certificate[:])}
	}
	switch {
	case r.User != "":
		claims["sub"], claims[claimKind] = r.User, kindUser
		if r.App != "" {
			claims[claimApp] = r.App
		}
	case r.App != "":
		claims["sub"], claims[claimKind] = r.App, kindApp
	default:
		return "", "", time.Time{}, errors.New("identity: a token is for a user or an app")
	}
	t := jwt.NewWithClaims(i.method, claims)
	t.Header["typ"], t.Header["kid"] = typeAccess, i.o.Key.ID
	signed, err = t.SignedString(i.private)
	if err != nil {
		return "", "", time.Time{}, fmt.Errorf("identity: signing a token: %w", err)
	}
	return signed, id, expires, nil
}
