package identity

import (
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/core"
)

func newIssuer(t testing.TB, w *world, alg string) *Issuer {
	t.Helper()
	key, err := NewSigningKey(alg, start)
	if err != nil {
		t.Fatal(err)
	}
	i, err := NewIssuer(IssuerOptions{
		Issuer: ownIssuer, Audience: ourAudience, Key: key, MaxLifetime: maxLifetime, Now: func() time.Time { return w.now },
	})
	if err != nil {
		t.Fatal(err)
	}
	key.Private = nil // verifying needs no secret
	w.known.signing[key.ID] = key
	w.known.generation++
	return i
}

func TestIssuedTokensAreAccepted(t *testing.T) {
	for _, alg := range []string{AlgEdDSA, AlgES256} {
		w := newWorld(t)
		w.now = start.Add(700 * time.Millisecond)
		i := newIssuer(t, w, alg)
		for _, c := range []struct {
			name    string
			request IssueRequest
			want    core.Principal
		}{
			{"user", IssueRequest{User: "ana", Lifetime: time.Hour}, core.Principal{User: "ana", Team: "law"}},
			{"app", IssueRequest{App: "desk", Lifetime: maxLifetime}, core.Principal{App: "desk", Team: "tools"}},
			{"both", IssueRequest{User: "ana", App: "desk", Lifetime: time.Second}, core.Principal{User: "ana", App: "desk", Team: "law"}},
		} {
			signed, id, expires, err := i.Issue(c.request)
			if err != nil {
				t.Fatalf("%s %s: %v", alg, c.name, err)
			}
			if want := start.Add(c.request.Lifetime); !expires.Equal(want) {
				t.Errorf("%s %s: expires %v, want %v", alg, c.name, expires, want)
			}
			session, denied := w.call(signed)
			if denied != nil {
				t.Errorf("%s %s: refused: %v", alg, c.name, denied)
				continue
			}
			c.want.Method, c.want.Issuer, c.want.Credential = core.MethodToken, ownIssuer, id
			if diff := cmp.Diff(c.want, session.Principal); diff != "" {
				t.Errorf("%s %s (-want +got):\n%s", alg, c.name, diff)
			}
		}
	}
}

// A revocation of all that was issued before a moment covers what was issued in the same second before it.
func TestIssuedIsNotAfterTheMomentOfIssue(t *testing.T) {
	w := newWorld(t)
	w.now = start.Add(999 * time.Millisecond)
	i := newIssuer(t, w, AlgEdDSA)
	signed, _, _, err := i.Issue(IssueRequest{User: "ana", Lifetime: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	cut := w.now
	w.known.revoked = func(_, sub string, issued time.Time) bool { return sub == "ana" && issued.Before(cut) }
	if _, denied := w.call(signed); denied == nil || denied.Reason != core.ReasonRevokedCredential {
		t.Errorf("%v, want revoked", denied)
	}
}

func TestRetiredKeyStillVerifies(t *testing.T) {
	w := newWorld(t)
	i := newIssuer(t, w, AlgEdDSA)
	signed, _, _, err := i.Issue(IssueRequest{User: "ana", Lifetime: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	key := w.known.signing[i.o.Key.ID]
	key.Retired = start
	w.known.signing[key.ID] = key
	w.known.generation++
	if _, denied := w.call(signed); denied != nil {
		t.Error(denied)
	}
}

func TestIssueRefuses(t *testing.T) {
	w := newWorld(t)
	i := newIssuer(t, w, AlgEdDSA)
	for name, r := range map[string]IssueRequest{
		"nobody":                {Lifetime: time.Hour},
		"no lifetime":           {User: "ana"},
		"less than a second":    {User: "ana", Lifetime: time.Second - 1},
		"a negative lifetime":   {User: "ana", Lifetime: -time.Hour},
		"too long":              {User: "ana", Lifetime: maxLifetime + time.Second},
		"a user with a newline": {User: "ana\n", Lifetime: time.Hour},
		"a decomposed user":     {User: "ana\u0301", Lifetime: time.Hour},
		"a long app":            {User: "ana", App: strings.Repeat("a", 256), Lifetime: time.Hour},
	} {
		if signed, _, _, err := i.Issue(r); err == nil || signed != "" {
			t.Errorf("%s: issued", name)
		}
	}
}

func TestNewIssuerRefuses(t *testing.T) {
	key, err := NewSigningKey(AlgES256, start)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*IssuerOptions){
		"an empty issuer":    func(o *IssuerOptions) { o.Issuer = "" },
		"an empty audience":  func(o *IssuerOptions) { o.Audience = "" },
		"no clock":           func(o *IssuerOptions) { o.Now = nil },
		"no lifetime":        func(o *IssuerOptions) { o.MaxLifetime = 0 },
		"a retired key":      func(o *IssuerOptions) { o.Key.Retired = start },
		"a damaged key":      func(o *IssuerOptions) { o.Key.Private = o.Key.Private[:20] },
		"a damaged public":   func(o *IssuerOptions) { o.Key.Public = nil },
		"halves of two keys": func(o *IssuerOptions) { o.Key.Public = pkix(t, keys().ec.Public()) },
		"another algorithm":  func(o *IssuerOptions) { o.Key.Alg = AlgEdDSA },
	} {
		o := IssuerOptions{Issuer: "i", Audience: "a", Key: key, MaxLifetime: time.Hour, Now: time.Now}
		change(&o)
		if _, err := NewIssuer(o); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestNewSigningKey(t *testing.T) {
	for _, alg := range []string{AlgEdDSA, AlgES256} {
		a, err := NewSigningKey(alg, start)
		if err != nil {
			t.Fatal(err)
		}
		b, err := NewSigningKey(alg, start)
		if err != nil {
			t.Fatal(err)
		}
		if a.ID == b.ID || !isKid(a.ID) || a.Alg != alg || !a.Created.Equal(start) || string(a.Public) == string(b.Public) {
			t.Errorf("%s: %+v and %+v", alg, a.ID, b.ID)
		}
		if _, err := x509.ParsePKCS8PrivateKey(a.Private); err != nil {
			t.Error(err)
		}
	}
	for _, alg := range []string{"", "none", "HS256", "RS256", "eddsa"} {
		if _, err := NewSigningKey(alg, start); err == nil {
			t.Errorf("a key for %q", alg)
		}
	}
}
