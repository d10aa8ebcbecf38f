package identity

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/core"
)

func TestNewVerifierRefuses(t *testing.T) {
	good := func() Options {
		return Options{
			Issuer: ownIssuer, Audience: ourAudience,
			Credentials: func() Credentials { return &snapshot{} }, Now: time.Now,
			MaxLifetime: time.Hour, Leeway: time.Second,
		}
	}
	other := Trust{Issuer: otherIssuer, Audiences: []string{"a"}, Types: []string{"JWT"}, Keys: func() *KeySet { return &KeySet{} }}
	for name, change := range map[string]func(*Options){
		"an empty issuer":          func(o *Options) { o.Issuer = "" },
		"an empty audience":        func(o *Options) { o.Audience = "" },
		"no credentials":           func(o *Options) { o.Credentials = nil },
		"no clock":                 func(o *Options) { o.Now = nil },
		"no maximal lifetime":      func(o *Options) { o.MaxLifetime = 0 },
		"too much leeway":          func(o *Options) { o.Leeway = 31 * time.Second },
		"negative leeway":          func(o *Options) { o.Leeway = -1 },
		"a negative cache":         func(o *Options) { o.CacheSize = -1 },
		"Plumbline's issuer twice": func(o *Options) { other := other; other.Issuer = ownIssuer; o.Issuers = []Trust{other} },
		"another issuer twice":     func(o *Options) { o.Issuers = []Trust{other, other} },
		"another's empty issuer":   func(o *Options) { other := other; other.Issuer = ""; o.Issuers = []Trust{other} },
		"another's empty audience": func(o *Options) {
			other := other
			other.Audiences = []string{"a", ""}
			o.Issuers = []Trust{other}
		},
		"another without types": func(o *Options) { other := other; other.Types = nil; o.Issuers = []Trust{other} },
		"another without keys":  func(o *Options) { other := other; other.Keys = nil; o.Issuers = []Trust{other} },
	} {
		o := good()
		change(&o)
		if _, err := NewVerifier(o); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	if _, err := NewVerifier(good()); err != nil {
		t.Errorf("good options: %v", err)
	}
}

func TestAuthorizationHeader(t *testing.T) {
	w := newWorld(t)
	key := w.addKey(t, core.AppKey{ID: "k1", App: "desk"})
	for _, c := range []struct {
		name   string
		values []string
		want   core.Reason
	}{
		{"good", []string{"Bearer " + key}, ""},
		{"scheme in small letters", []string{"bearer " + key}, ""},
		{"none", nil, core.ReasonMissingCredential},
		{"empty", []string{""}, core.ReasonMissingCredential},
		{"scheme alone", []string{"Bearer"}, core.ReasonMissingCredential},
		{"scheme and space", []string{"Bearer "}, core.ReasonMissingCredential},
		{"two", []string{"Bearer " + key, "Bearer " + key}, core.ReasonMultipleCredentials},
		{"two, one empty", []string{"", "Bearer " + key}, core.ReasonMultipleCredentials},
		{"two in one", []string{"Bearer " + key + ", Bearer " + key}, core.ReasonMultipleCredentials},
		{"no scheme", []string{key}, core.ReasonInvalidCredential},
		{"another scheme", []string{"Basic " + key}, core.ReasonInvalidCredential},
		{"two spaces", []string{"Bearer  " + key}, core.ReasonInvalidCredential},
		{"a tab", []string{"Bearer\t" + key}, core.ReasonInvalidCredential},
		{"space before", []string{" Bearer " + key}, core.ReasonInvalidCredential},
		{"space after", []string{"Bearer " + key + " "}, core.ReasonInvalidCredential},
		{"twice the scheme", []string{"Bearer Bearer " + key}, core.ReasonInvalidCredential},
		{"a provider's key", []string{"Bearer sk-proj-abcdefghijklmnopqrstuvwxyz"}, core.ReasonInvalidCredential},
		{"a key of Plumbline's, cut short", []string{"Bearer " + key[:len(key)-1]}, core.ReasonInvalidCredential},
	} {
		session, denied := w.Authenticate(context.Background(), Evidence{Authorization: c.values})
		switch {
		case (denied == nil) != (c.want == ""), denied != nil && denied.Reason != c.want:
			t.Errorf("%s: %v, want %q", c.name, denied, c.want)
		case (denied == nil) != (session != nil):
			t.Errorf("%s: session %v with %v", c.name, session, denied)
		case denied != nil && (denied.Public == "" || denied.Cause == nil):
			t.Errorf("%s: no words or no cause", c.name)
		case denied != nil:
			checkSilent(t, denied, key)
		}
	}
}

func TestPrincipals(t *testing.T) {
	w := newWorld(t)
	expires := start.Add(time.Hour)
	for _, c := range []struct {
		name       string
		credential string
		want       Session
	}{
		{
			"key of an app", w.addKey(t, core.AppKey{ID: "k1", App: "desk"}),
			Session{Principal: core.Principal{App: "desk", Team: "tools", Method: core.MethodAppKey, Credential: "k1"}},
		},
		{
			"key of an app and a user", w.addKey(t, core.AppKey{ID: "k2", App: "desk", User: "ana", Expires: expires}),
			Session{Principal: core.Principal{App: "desk", User: "ana", Team: "law", Method: core.MethodAppKey, Credential: "k2"}, Expires: expires},
		},
		{
			"key of an app and a user without a team", w.addKey(t, core.AppKey{ID: "k3", App: "desk", User: "ben"}),
			Session{Principal: core.Principal{App: "desk", User: "ben", Team: "tools", Method: core.MethodAppKey, Credential: "k3"}},
		},
		{
			"token of a user", good(),
			Session{Principal: core.Principal{User: "ana", Team: "law", Method: core.MethodToken, Issuer: ownIssuer, Credential: "t1"}, Expires: expires.Add(leeway)},
		},
		{
			"token of a user and an app", body(with(goodClaims, `"pl_app":"desk"`)),
			Session{Principal: core.Principal{User: "ana", App: "desk", Team: "law", Method: core.MethodToken, Issuer: ownIssuer, Credential: "t1"}, Expires: expires.Add(leeway)},
		},
		{
			"token of an app", body(with(but(goodClaims, `"ana"`, `"desk"`), `"pl_kind":"app"`)),
			Session{Principal: core.Principal{App: "desk", Team: "tools", Method: core.MethodToken, Issuer: ownIssuer, Credential: "t1"}, Expires: expires.Add(leeway)},
		},
		{
			"token of another issuer", from(otherHeader, otherClaims),
			Session{Principal: core.Principal{User: "ana", Team: "law", Method: core.MethodToken, Issuer: otherIssuer}, Expires: expires.Add(leeway)},
		},
	} {
		for _, round := range []string{"first", "again"} {
			got, denied := w.call(c.credential)
			if denied != nil {
				t.Fatalf("%s, %s: %v", c.name, round, denied)
			}
			seen := Session{Principal: got.Principal, Expires: got.Expires}
			if diff := cmp.Diff(c.want, seen, cmp.AllowUnexported(Session{}, token{}, peer{})); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", c.name, round, diff)
			}
		}
		session, _ := w.call(c.credential)
		if denied := w.Still(session); denied != nil {
			t.Errorf("%s: Still: %v", c.name, denied)
		}
	}
}

// ending is something that ends a session that is open, and with it a verification that is remembered.
type ending struct {
	name   string
	end    func(*world)
	reason core.Reason // of Still
	again  core.Reason // of Authenticate, when it differs
}

func TestTokenEnds(t *testing.T) {
	user := body(with(goodClaims, `"pl_app":"desk","sid":"s1"`))
	for _, e := range []ending{
		{"expired", func(w *world) { w.now = start.Add(time.Hour + leeway) }, core.ReasonExpiredCredential, ""},
		{"blocked", func(w *world) { w.known.users["ana"] = core.User{ID: "ana", Blocked: true} }, core.ReasonUserBlocked, ""},
		{"user removed", func(w *world) { delete(w.known.users, "ana") }, core.ReasonUnknownPrincipal, ""},
		{"app removed", func(w *world) { delete(w.known.apps, "desk") }, core.ReasonUnknownPrincipal, ""},
		{"revoked by id", func(w *world) {
			w.known.revoked = func(id, _ string, _ time.Time) bool { return id == "t1" }
		}, core.ReasonRevokedCredential, ""},
		{"revoked by subject", func(w *world) {
			w.known.revoked = func(_, sub string, issued time.Time) bool { return sub == "ana" && issued.Equal(start) }
		}, core.ReasonRevokedCredential, ""},
		{"revoked by session", func(w *world) { w.known.ended = "s1" }, core.ReasonRevokedCredential, ""},
		{"signing key removed", func(w *world) {
			delete(w.known.signing, "own-ed")
			w.known.generation++ // as the contract says: a verification outlives anything but this
		}, core.ReasonRevokedCredential, core.ReasonInvalidCredential},
	} {
		w := newWorld(t)
		checkEnding(t, w, user, e)
	}
}

func TestOtherIssuersTokenEnds(t *testing.T) {
	w := newWorld(t)
	checkEnding(t, w, from(otherHeader, otherClaims), ending{
		"key no longer published", func(w *world) { w.other = keySetOf(t) },
		core.ReasonRevokedCredential, core.ReasonInvalidCredential,
	})
}

func TestAppKeyEnds(t *testing.T) {
	change := func(edit func(*core.AppKey)) func(*world) {
		return func(w *world) {
			for hash, k := range w.known.keys {
				edit(&k)
				w.known.keys[hash] = k
			}
		}
	}
	for _, e := range []ending{
		{"expired", func(w *world) { w.now = start.Add(time.Hour) }, core.ReasonExpiredCredential, ""},
		{"revoked", change(func(k *core.AppKey) { k.Revoked = start }), core.ReasonRevokedCredential, ""},
		{"removed", func(w *world) { clear(w.known.keys) }, core.ReasonInvalidCredential, ""},
		{"blocked", func(w *world) { w.known.users["ana"] = core.User{ID: "ana", Blocked: true} }, core.ReasonUserBlocked, ""},
		{"user removed", func(w *world) { delete(w.known.users, "ana") }, core.ReasonUnknownPrincipal, ""},
		{"app removed", func(w *world) { delete(w.known.apps, "desk") }, core.ReasonUnknownPrincipal, ""},
		{"bound to nobody", change(func(k *core.AppKey) { k.App, k.User = "", "" }), core.ReasonUnknownPrincipal, ""},
	} {
		w := newWorld(t)
		key := w.addKey(t, core.AppKey{ID: "k1", App: "desk", User: "ana", Expires: start.Add(time.Hour)})
		checkEnding(t, w, key, e)
	}
}

func checkEnding(t *testing.T, w *world, credential string, e ending) {
	t.Helper()
	session, denied := w.call(credential)
	if denied == nil {
		denied = w.Still(session)
	}
	if denied != nil {
		t.Fatalf("%s: refused before: %v", e.name, denied)
	}
	e.end(w)
	if e.again == "" {
		e.again = e.reason
	}
	if denied := w.Still(session); denied == nil || denied.Reason != e.reason {
		t.Errorf("%s: Still: %v, want %s", e.name, denied, e.reason)
	}
	if _, denied := w.call(credential); denied == nil || denied.Reason != e.again {
		t.Errorf("%s: Authenticate: %v, want %s", e.name, denied, e.again)
	}
}

// A signature is paid for once per token and generation: with a cached verification the keys are not even looked at.
func TestVerificationIsRemembered(t *testing.T) {
	w := newWorld(t)
	if _, denied := w.call(good()); denied != nil {
		t.Fatal(denied)
	}
	kept := w.known.signing["own-ed"]
	kept.Public = nil // verifying once more would fail
	w.known.signing["own-ed"] = kept
	if _, denied := w.call(good()); denied != nil {
		t.Errorf("verified again: %v", denied)
	}
	w.known.generation++
	if _, denied := w.call(good()); denied == nil {
		t.Error("a verification outlived its generation")
	}
}

func TestRefusedTokenIsNotRemembered(t *testing.T) {
	w := newWorld(t)
	early := body(with(goodClaims, `"nbf":1800000060`))
	if _, denied := w.call(early); denied == nil {
		t.Fatal("accepted before nbf")
	}
	w.now = start.Add(time.Minute)
	if _, denied := w.call(early); denied != nil {
		t.Errorf("refused after nbf: %v", denied)
	}
}

func TestStillDoesNotAllocate(t *testing.T) {
	w := newWorld(t)
	key := w.addKey(t, core.AppKey{ID: "k1", App: "desk", User: "ana"})
	for _, credential := range []string{key, good(), from(otherHeader, otherClaims)} {
		session, denied := w.call(credential)
		if denied != nil {
			t.Fatal(denied)
		}
		if n := testing.AllocsPerRun(100, func() { _ = w.Still(session) }); n != 0 {
			t.Errorf("%s: %v allocations", session.Principal.Method, n)
		}
	}
}

// Whatever is sent, a credential is believed only when it is one of those that were issued.
func FuzzAuthenticate(f *testing.F) {
	w := newWorld(f)
	key := w.addKey(f, core.AppKey{ID: "k1", App: "desk"})
	issued := map[string]bool{
		key: true, good(): true, body(with(goodClaims, `"pl_app":"desk"`)): true, from(otherHeader, otherClaims): true,
	}
	for _, v := range slices.Concat(headerVectors(), timeVectors(), formVectors()) {
		issued[v.token] = v.want == nil
		f.Add("Bearer " + v.token)
	}
	for credential := range issued {
		f.Add("Bearer " + credential)
	}
	f.Add("Basic eDp5")
	f.Add("")
	f.Fuzz(func(t *testing.T, header string) {
		session, denied := w.Authenticate(context.Background(), Evidence{Authorization: []string{header}})
		switch {
		case (session == nil) == (denied == nil):
			t.Fatalf("session %v with %v", session, denied)
		case session == nil:
			return
		}
		if credential := header[len("Bearer "):]; !issued[credential] {
			t.Errorf("accepted: %q as %+v", header, session.Principal)
		}
	})
}
