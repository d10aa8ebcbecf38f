package identity

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/core"
)

// The surroundings of every test: one clock, one installation, two other issuers.
const (
	ownIssuer    = "https://plumbline.test"
	otherIssuer  = "https://idp.test"
	secondIssuer = "https://second.test"
	ourAudience  = "plumbline"
	maxLifetime  = 12 * time.Hour
	leeway       = 10 * time.Second
)

var start = time.Unix(1_800_000_000, 0)

// snapshot is a Credentials whose parts tests change between requests.
type snapshot struct {
	keys       map[[32]byte]core.AppKey
	signing    map[string]core.SigningKey
	users      map[string]core.User
	apps       map[string]core.App
	teams      map[string]core.Team
	revoked    func(tokenID, subject string, issuedAt time.Time) bool
	ended      string // the session whose tokens are revoked
	generation uint64
}

func (s *snapshot) AppKey(hash [32]byte) (core.AppKey, bool) { k, ok := s.keys[hash]; return k, ok }
func (s *snapshot) SigningKey(id string) (core.SigningKey, bool) {
	k, ok := s.signing[id]
	return k, ok
}
func (s *snapshot) User(id string) (core.User, bool) { u, ok := s.users[id]; return u, ok }
func (s *snapshot) App(id string) (core.App, bool)   { a, ok := s.apps[id]; return a, ok }
func (s *snapshot) Team(id string) (core.Team, bool) { t, ok := s.teams[id]; return t, ok }
func (s *snapshot) Generation() uint64               { return s.generation }
func (s *snapshot) Revoked(id, session, sub string, issued time.Time) bool {
	return session != "" && session == s.ended || s.revoked != nil && s.revoked(id, sub, issued)
}

// keyring holds private keys by the kid under which their public halves are known, made once for all tests.
type keyring struct {
	ed, otherEd        ed25519.PrivateKey
	secondEd           ed25519.PrivateKey
	ec, otherEC, ec384 *ecdsa.PrivateKey
	rsa                *rsa.PrivateKey
}

var keys = sync.OnceValue(func() *keyring {
	must := func(k *ecdsa.PrivateKey, err error) *ecdsa.PrivateKey {
		if err != nil {
			panic(err)
		}
		return k
	}
	k := &keyring{
		ed:       ed25519.NewKeyFromSeed(make([]byte, 32)),
		otherEd:  ed25519.NewKeyFromSeed([]byte(strings.Repeat("o", 32))),
		secondEd: ed25519.NewKeyFromSeed([]byte(strings.Repeat("2", 32))),
		ec:       must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)),
		otherEC:  must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)),
		ec384:    must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)),
	}
	var err error
	if k.rsa, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		panic(err)
	}
	return k
})

// world is an installation under test.
type world struct {
	known *snapshot
	other *KeySet
	now   time.Time
	*Verifier
}

func newWorld(t testing.TB) *world {
	t.Helper()
	k := keys()
	w := &world{now: start, known: &snapshot{
		keys: map[[32]byte]core.AppKey{},
		signing: map[string]core.SigningKey{
			"own-ed": {ID: "own-ed", Alg: AlgEdDSA, Public: pkix(t, k.ed.Public())},
			"own-ec": {ID: "own-ec", Alg: AlgES256, Public: pkix(t, k.ec.Public())},
		},
		users: map[string]core.User{"ana": {ID: "ana", Team: "law"}, "ben": {ID: "ben"}, "eve": {ID: "eve", Blocked: true}},
		apps:  map[string]core.App{"desk": {ID: "desk", Team: "tools"}},
	}}
	w.other = keySetOf(t,
		jwkOf(k.otherEd.Public(), "other-ed", "EdDSA"),
		jwkOf(k.otherEC.Public(), "other-ec", "ES256"),
		jwkOf(k.rsa.Public(), "other-rs", "RS256"),
		jwkOf(k.rsa.Public(), "other-ps", "PS256"))
	second := keySetOf(t,
		jwkOf(k.secondEd.Public(), "other-ed", "EdDSA"), jwkOf(k.ec384.Public(), "other-ec", "ES384"), jwkOf(k.secondEd.Public(), "second-ed", ""))
	v, err := NewVerifier(Options{
		Issuer: ownIssuer, Audience: ourAudience,
		Issuers: []Trust{{
			Issuer: otherIssuer, Audiences: []string{"api://plumbline"}, Types: []string{"JWT", ""},
			Keys: func() *KeySet { return w.other },
		}, {
			// It has the first one's ids for keys of its own, and its audience.
			Issuer: secondIssuer, Audiences: []string{"api://plumbline", "api://second"}, Types: []string{"JWT"},
			Keys: func() *KeySet { return second },
		}},
		Credentials: func() Credentials { return w.known },
		Now:         func() time.Time { return w.now },
		MaxLifetime: maxLifetime, Leeway: leeway, CacheSize: 64,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Verifier = v
	return w
}

// call authenticates one bearer credential.
func (w *world) call(credential string) (*Session, *core.Error) {
	return w.Authenticate(context.Background(), Evidence{Authorization: []string{"Bearer " + credential}})
}

// addKey makes an app key.
func (w *world) addKey(t testing.TB, k core.AppKey) string {
	t.Helper()
	key, hash, hint, err := NewAppKey()
	if err != nil {
		t.Fatal(err)
	}
	k.Hash, k.Hint = hash, hint
	w.known.keys[hash] = k
	w.known.generation++
	return key
}

// The header and claims of a token that is accepted.
const (
	goodHeader = `{"alg":"EdDSA","typ":"at+jwt","kid":"own-ed"}`
	goodClaims = `{"iss":"https://plumbline.test","sub":"ana","aud":"plumbline","exp":1800003600,"iat":1800000000,"jti":"t1"}`

	otherHeader = `{"alg":"EdDSA","typ":"JWT","kid":"other-ed"}`
	otherClaims = `{"iss":"https://idp.test","sub":"ana","aud":"api://plumbline","exp":1800003600}`
)

// with adds members to a JSON object, given as they are to be written.
func with(object, members string) string {
	return strings.TrimSuffix(object, "}") + "," + members + "}"
}

// without drops text from an object, with the comma before or after it.
func without(object, member string) string {
	for _, s := range []string{"," + member, member + ","} {
		if strings.Contains(object, s) {
			return strings.Replace(object, s, "", 1)
		}
	}
	panic("no member " + member)
}

// but puts now in place of old.
func but(object, old, now string) string {
	if !strings.Contains(object, old) {
		panic("nothing to replace: " + old)
	}
	return strings.Replace(object, old, now, 1)
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// head gives a token with this header and good claims, properly signed by Plumbline's Ed25519 key.
func head(header string) string { return signEd(keys().ed, header, goodClaims) }

// body gives a token with a good header and these claims, properly signed.
func body(claims string) string { return signEd(keys().ed, goodHeader, claims) }

// from gives a token of the other issuer, properly signed by its Ed25519 key.
func from(header, claims string) string { return signEd(keys().otherEd, header, claims) }

func good() string { return body(goodClaims) }

// The signatures are made by the standard library alone: the tests share nothing with what they test.

func signEd(k ed25519.PrivateKey, header, claims string) string {
	signed := b64(header) + "." + b64(claims)
	return signed + "." + b64(string(ed25519.Sign(k, []byte(signed))))
}

func signEC(k *ecdsa.PrivateKey, h crypto.Hash, header, claims string) string {
	signed := b64(header) + "." + b64(claims)
	r, s, err := ecdsa.Sign(rand.Reader, k, digest(h, signed))
	if err != nil {
		panic(err)
	}
	size := (k.Params().BitSize + 7) / 8
	signature := make([]byte, 2*size)
	r.FillBytes(signature[:size])
	s.FillBytes(signature[size:])
	return signed + "." + b64(string(signature))
}

func signRSA(k *rsa.PrivateKey, opts crypto.SignerOpts, header, claims string) string {
	signed := b64(header) + "." + b64(claims)
	signature, err := k.Sign(rand.Reader, digest(opts.HashFunc(), signed), opts)
	if err != nil {
		panic(err)
	}
	return signed + "." + b64(string(signature))
}

func signHMAC(secret []byte, header, claims string) string {
	signed := b64(header) + "." + b64(claims)
	m := hmac.New(sha256.New, secret)
	m.Write([]byte(signed))
	return signed + "." + b64(string(m.Sum(nil)))
}

func digest(h crypto.Hash, s string) []byte {
	d := h.New()
	d.Write([]byte(s))
	return d.Sum(nil)
}

func pkix(t testing.TB, public crypto.PublicKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// everyAlgorithm allows a key set all that there is.
var everyAlgorithm = []string{"EdDSA", "ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}

func keySetOf(t testing.TB, jwks ...map[string]any) *KeySet {
	t.Helper()
	set, err := ParseKeySet(keySetJSON(t, jwks...), everyAlgorithm)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func keySetJSON(t testing.TB, jwks ...map[string]any) []byte {
	t.Helper()
	doc, err := json.Marshal(map[string]any{"keys": append([]map[string]any{}, jwks...)})
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func jwkOf(public crypto.PublicKey, kid, alg string) map[string]any {
	j := map[string]any{"kid": kid, "use": "sig"}
	if alg != "" {
		j["alg"] = alg
	}
	switch public := public.(type) {
	case ed25519.PublicKey:
		j["kty"], j["crv"], j["x"] = "OKP", "Ed25519", b64(string(public))
	case *ecdsa.PublicKey:
		point, err := public.Bytes()
		if err != nil {
			panic(err)
		}
		half := len(point) / 2
		j["kty"], j["crv"] = "EC", public.Params().Name
		j["x"], j["y"] = b64(string(point[1:1+half])), b64(string(point[1+half:]))
	case *rsa.PublicKey:
		j["kty"], j["n"], j["e"] = "RSA", b64(string(public.N.Bytes())), "AQAB"
	}
	return j
}
