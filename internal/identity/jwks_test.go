package identity

import (
	"crypto/sha256"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/plumbline/plumbline/internal/core"
)

// What is published verifies Plumbline's tokens elsewhere: in another Plumbline, through its own reader of key sets, and
// with the library that others use.
func TestPublishedKeysVerify(t *testing.T) {
	w := newWorld(t)
	for _, alg := range []string{AlgEdDSA, AlgES256} {
		i := newIssuer(t, w, alg)
		token, id, _, err := i.Issue(IssueRequest{User: "ana", Session: "s1", Actor: "agent-7", Lifetime: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		data, err := PublicKeySet([]core.SigningKey{i.o.Key}, start, maxLifetime)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), `"d"`) {
			t.Fatalf("%s: a private key is published: %s", alg, data)
		}
		set, err := ParseKeySet(data, []string{alg})
		if err != nil || set.Len() != 1 {
			t.Fatalf("%s: %v, of %s", alg, err, data)
		}
		elsewhere, err := NewVerifier(Options{
			Issuer: "https://elsewhere.test", Audience: "elsewhere",
			Issuers:     []Trust{{Issuer: ownIssuer, Audiences: []string{ourAudience}, Types: []string{typeAccess}, Keys: func() *KeySet { return set }}},
			Credentials: func() Credentials { return w.known }, Now: func() time.Time { return start }, MaxLifetime: maxLifetime,
		})
		if err != nil {
			t.Fatal(err)
		}
		other := &world{Verifier: elsewhere}
		if session, denied := other.call(token); denied != nil || session.Principal.User != "ana" || session.Principal.Actor != "agent-7" {
			t.Errorf("%s: another Plumbline: %v", alg, denied)
		}
		key, ok := set.Key(i.o.Key.ID)
		if !ok {
			t.Fatalf("%s: no key %s", alg, i.o.Key.ID)
		}
		claims := jwt.MapClaims{}
		_, err = jwt.ParseWithClaims(token, claims, func(*jwt.Token) (any, error) { return key.public, nil },
			jwt.WithValidMethods([]string{alg}), jwt.WithAudience(ourAudience), jwt.WithIssuer(ownIssuer), jwt.WithTimeFunc(func() time.Time { return start }))
		if err != nil || claims["jti"] != id || claims["sid"] != "s1" {
			t.Errorf("%s: golang-jwt: %v, %v", alg, err, claims)
		}
	}
}

func TestPublishedKeys(t *testing.T) {
	at := func(hours int) time.Time { return start.Add(time.Duration(hours) * time.Hour) }
	var all []core.SigningKey
	for _, k := range []struct {
		id               string
		created, retired int
	}{{"old", -100, -13}, {"overlapping", -99, -11}, {"older", -2, 0}, {"new", -1, 0}} {
		key, err := NewSigningKey(AlgES256, at(k.created))
		if err != nil {
			t.Fatal(err)
		}
		key.ID = k.id
		if k.retired != 0 {
			key.Retired = at(k.retired)
		}
		all = append(all, key)
	}
	data, err := PublicKeySet(all, start, maxLifetime)
	if err != nil {
		t.Fatal(err)
	}
	var set struct{ Keys []struct{ Kid, Use string } }
	if err := json.Unmarshal(data, &set); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, k := range set.Keys {
		ids = append(ids, k.Kid)
	}
	if got := strings.Join(ids, " "); got != "new older overlapping" {
		t.Errorf("published: %s", got)
	}
	if data, err := PublicKeySet(nil, start, maxLifetime); err != nil || string(data) != `{"keys":[]}` {
		t.Errorf("no key: %s, %v", data, err)
	}
	if _, err := PublicKeySet([]core.SigningKey{{ID: "x", Public: []byte{1}, Private: []byte("SECRET")}}, start, maxLifetime); err == nil || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("a damaged key: %v", err)
	}
}

// A retired key verifies until the last token that it can have signed has expired, and then no more: what a thief of the
// key forges with a later time is refused as well.
func TestRetiredKeyEnds(t *testing.T) {
	w := newWorld(t)
	i := newIssuer(t, w, AlgEdDSA)
	key := w.known.signing[i.o.Key.ID]
	key.Retired = start
	w.known.signing[key.ID] = key
	w.known.generation++
	issue := func() string {
		token, _, _, err := i.Issue(IssueRequest{User: "ana", Lifetime: maxLifetime})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	w.now = start.Add(maxLifetime)
	token := issue()
	session, denied := w.call(token)
	if denied != nil {
		t.Fatalf("while tokens of before can be valid: %v", denied)
	}
	w.now = start.Add(maxLifetime + leeway)
	if denied := w.Still(session); denied == nil || denied.Reason != core.ReasonRevokedCredential {
		t.Errorf("Still: %v", denied)
	}
	w.known.generation++
	if _, denied := w.call(token); denied == nil {
		t.Error("a forged token is accepted after the last true one has expired")
	}
}

func TestIssuedTokenBoundToACertificate(t *testing.T) {
	w := newWorld(t)
	digest := sha256.Sum256([]byte("a certificate"))
	token, _, _, err := newIssuer(t, w, AlgES256).Issue(IssueRequest{App: "desk", Certificate: digest, Lifetime: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if _, denied := w.call(token); denied == nil {
		t.Error("accepted without its certificate")
	}
}
