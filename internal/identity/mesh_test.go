package identity

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/core"
)

const workload = "spiffe://prod.test/ns/chat/sa/desk"

// rules map what the tests' workloads are called.
func rules(t testing.TB, texts ...string) []MeshRule {
	t.Helper()
	var all []MeshRule
	for _, text := range texts {
		r, err := ParseMeshRule(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		all = append(all, r)
	}
	return all
}

func newMeshWorld(t testing.TB) *world {
	w := newWorld(t)
	w.known.apps["tools.web"] = core.App{ID: "tools.web"}
	w.known.apps["other"] = core.App{ID: "other"}
	w.mesh = Mesh{DummyKey: "dummy", Rules: rules(t,
		"spiffe://prod.test/ns/chat/sa/{sa} app={sa}",
		"spiffe://prod.test/ns/{ns}/sa/{sa} app={ns}.{sa} team={ns}",
		"spiffe://corp.test/people/{name} user={name}",
		"spiffe://corp.test/*/{name}/on/{app} user={name} app={app}",
	)}
	return w
}

// from is a request of a workload with these bearer credentials.
func (w *world) from(id string, credentials ...string) (*Session, *core.Error) {
	e := Evidence{Workload: id}
	for _, c := range credentials {
		e.Authorization = append(e.Authorization, "Bearer "+c)
	}
	return w.Authenticate(context.Background(), e)
}

func TestParseMeshRuleRefuses(t *testing.T) {
	for name, rule := range map[string]string{
		"nothing": "", "a pattern alone": "spiffe://prod/ns", "no path": "spiffe://prod app=x", "no trust domain": "spiffe:///ns app=x",
		"a placeholder for the trust domain": "spiffe://{td}/ns app=x", "a star for the trust domain": "spiffe://*/ns app=x",
		"an empty segment": "spiffe://prod//ns app=x", "part of a segment": "spiffe://prod/ns-{ns} app=x", "a star in a segment": "spiffe://prod/ns* app=x",
		"a placeholder twice": "spiffe://prod/{a}/{a} app={a}", "an unknown placeholder": "spiffe://prod/{a} app={b}",
		"an open brace": "spiffe://prod/{a} app={a", "a closing brace": "spiffe://prod/{a} app=a}", "an empty placeholder": "spiffe://prod/{} app=x",
		"an empty app": "spiffe://prod/ns app=", "an app twice": "spiffe://prod/ns app=a app=b", "a team alone": "spiffe://prod/ns team=x",
		"another word": "spiffe://prod/ns role=x", "a capital in a placeholder": "spiffe://prod/{A} app={A}",
	} {
		if r, err := ParseMeshRule(rule); err == nil {
			t.Errorf("%s: read as %+v", name, r)
		}
	}
}

func TestWorkloads(t *testing.T) {
	w := newMeshWorld(t)
	for _, c := range []struct {
		name, workload string
		want           core.Principal
		reason         core.Reason
	}{
		{"of an app", workload, core.Principal{App: "desk", Team: "tools"}, ""},
		{"composed, with the rule's team", "spiffe://prod.test/ns/tools/sa/web", core.Principal{App: "tools.web", Team: "tools"}, ""},
		{"of a person", "spiffe://corp.test/people/ana", core.Principal{User: "ana", Team: "law"}, ""},
		{"of a person with an app", "spiffe://corp.test/eu/ana/on/desk", core.Principal{User: "ana", App: "desk", Team: "law"}, ""},
		{"an app that is not known", "spiffe://prod.test/ns/chat/sa/nobody", core.Principal{}, core.ReasonUnknownPrincipal},
		{"a person who is blocked", "spiffe://corp.test/people/eve", core.Principal{}, core.ReasonUserBlocked},
		{"without a rule", "spiffe://prod.test/other", core.Principal{}, core.ReasonUnknownPrincipal},
		{"longer than a rule", workload + "/more", core.Principal{}, core.ReasonUnknownPrincipal},
		{"of another trust domain", "spiffe://evil.test/ns/chat/sa/desk", core.Principal{}, core.ReasonUnknownPrincipal},
		{"of a domain with a prefix", "spiffe://prod.test.evil/ns/chat/sa/desk", core.Principal{}, core.ReasonUnknownPrincipal},
		{"malformed", "spiffe://prod.test/ns/../sa/desk", core.Principal{}, core.ReasonInvalidCredential},
		{"two ids", workload + "," + workload, core.Principal{}, core.ReasonInvalidCredential},
		{"none", "", core.Principal{}, core.ReasonMissingCredential},
	} {
		for name, credentials := range map[string][]string{"without a credential": nil, "with the dummy key": {"dummy"}} {
			session, denied := w.from(c.workload, credentials...)
			switch {
			case c.reason != "" && (denied == nil || denied.Reason != c.reason || denied.Public == ""):
				t.Errorf("%s %s: %v, want %s", c.name, name, denied, c.reason)
			case c.reason != "":
			case denied != nil:
				t.Errorf("%s %s: refused: %v", c.name, name, denied)
			default:
				c.want.Method, c.want.Workload = core.MethodMesh, c.workload
				if diff := cmp.Diff(c.want, session.Principal); diff != "" || !session.Expires.IsZero() {
					t.Errorf("%s %s (-want +got):\n%s", c.name, name, diff)
				}
				if denied := w.Still(session); denied != nil {
					t.Errorf("%s %s: Still: %v", c.name, name, denied)
				}
			}
		}
	}
}

// Without rules nobody is believed for a workload's sake, whatever Envoy says.
func TestMeshIsOffUnlessConfigured(t *testing.T) {
	w := newWorld(t)
	if _, denied := w.from(workload); denied == nil || denied.Reason != core.ReasonMissingCredential {
		t.Errorf("a workload: %v", denied)
	}
	if _, denied := w.from(workload, "dummy"); denied == nil || denied.Reason != core.ReasonInvalidCredential {
		t.Errorf("a dummy key: %v", denied)
	}
	if session, denied := w.from("not one", good()); denied != nil || session.Principal.Workload != "" {
		t.Errorf("a token beside it: %v", denied)
	}
}

func TestWorkloadBesideACredential(t *testing.T) {
	w := newMeshWorld(t)
	appKey := w.addKey(t, core.AppKey{ID: "k1", App: "desk"})
	otherKey := w.addKey(t, core.AppKey{ID: "k2", App: "other", User: "ana"})
	for _, c := range []struct {
		name, workload, credential string
		want                       core.Principal
		reason                     core.Reason
	}{
		{"token of a user", workload, good(), core.Principal{User: "ana", App: "desk", Team: "law", Method: core.MethodToken, Issuer: ownIssuer, Credential: "t1"}, ""},
		{"key of the app", workload, appKey, core.Principal{App: "desk", Team: "tools", Method: core.MethodAppKey, Credential: "k1"}, ""},
		{"token of the app's user and the app", workload, body(with(goodClaims, `"pl_app":"desk"`)), core.Principal{User: "ana", App: "desk", Team: "law", Method: core.MethodToken, Issuer: ownIssuer, Credential: "t1"}, ""},
		{"a workload without a rule", "spiffe://prod.test/other", good(), core.Principal{User: "ana", Team: "law", Method: core.MethodToken, Issuer: ownIssuer, Credential: "t1"}, ""},
		{"a person's own", "spiffe://corp.test/people/ana", good(), core.Principal{User: "ana", Team: "law", Method: core.MethodToken, Issuer: ownIssuer, Credential: "t1"}, ""},
		{"key of another app", workload, otherKey, core.Principal{User: "ana", App: "other", Method: core.MethodAppKey, Credential: "k2"}, core.ReasonInvalidCredential},
		{"another person's", "spiffe://corp.test/people/ben", good(), core.Principal{User: "ana", Method: core.MethodToken, Issuer: ownIssuer, Credential: "t1"}, core.ReasonInvalidCredential},
		{"a bad token", workload, good() + "x", core.Principal{}, core.ReasonInvalidCredential},
		{"a provider's key", workload, "sk-proj-x", core.Principal{}, core.ReasonInvalidCredential},
	} {
		session, denied := w.from(c.workload, c.credential)
		if c.want.IsZero() {
			c.workload = ""
		}
		c.want.Workload = c.workload
		var got core.Principal
		if denied != nil {
			got = denied.Principal
		} else {
			got = session.Principal
		}
		if diff := cmp.Diff(c.want, got); diff != "" || (denied == nil) != (c.reason == "") || denied != nil && denied.Reason != c.reason {
			t.Errorf("%s: %v (-want +got):\n%s", c.name, denied, diff)
		}
		if denied != nil {
			checkSilent(t, denied, c.credential)
		}
	}
	if _, denied := w.from(workload, appKey, "dummy"); denied == nil || denied.Reason != core.ReasonMultipleCredentials {
		t.Errorf("a dummy key beside another: %v", denied)
	}
}

func TestWorkloadEnds(t *testing.T) {
	for _, e := range []ending{
		{"blocked", func(w *world) { w.known.users["ana"] = core.User{ID: "ana", Blocked: true} }, core.ReasonUserBlocked, ""},
		{"user removed", func(w *world) { delete(w.known.users, "ana") }, core.ReasonUnknownPrincipal, ""},
		{"app removed", func(w *world) { delete(w.known.apps, "desk") }, core.ReasonUnknownPrincipal, ""},
	} {
		w := newMeshWorld(t)
		session, denied := w.from("spiffe://corp.test/eu/ana/on/desk")
		if denied != nil {
			t.Fatal(denied)
		}
		e.end(w)
		if denied := w.Still(session); denied == nil || denied.Reason != e.reason {
			t.Errorf("%s: Still: %v, want %s", e.name, denied, e.reason)
		}
	}
}

// certificate is a thumbprint as Envoy writes it, and as tokens do.
func certificate(fill byte) (envoys, claims string) {
	raw := make([]byte, 32)
	for i := range raw {
		raw[i] = fill
	}
	return hex.EncodeToString(raw), base64.RawURLEncoding.EncodeToString(raw)
}

func TestTokenBoundToACertificate(t *testing.T) {
	w := newWorld(t)
	mine, claim := certificate(0xab)
	others, _ := certificate(0xac)
	token := body(with(goodClaims, `"cnf":{"x5t#S256":"`+claim+`"}`))
	send := func(certificate string) *core.Error {
		_, denied := w.Authenticate(context.Background(), Evidence{Authorization: []string{"Bearer " + token}, Certificate: certificate})
		return denied
	}
	for _, round := range []string{"first", "remembered"} { // a verification that is remembered proves nothing of the sender
		if denied := send(mine); denied != nil {
			t.Errorf("%s, with its certificate: %v", round, denied)
		}
		for name, wrong := range map[string]string{"another": others, "none": "", "half": mine[:32], "no hex": "x" + mine[1:], "zero": hex.EncodeToString(make([]byte, 32))} {
			denied := send(wrong)
			if denied == nil || denied.Reason != core.ReasonInvalidCredential || denied.Principal.User != "ana" {
				t.Errorf("%s, with %s certificate: %v", round, name, denied)
			}
		}
	}
	session, _ := w.Authenticate(context.Background(), Evidence{Authorization: []string{"Bearer " + token}, Certificate: mine})
	if denied := w.Still(session); denied != nil {
		t.Errorf("Still: %v", denied)
	}
	if _, denied := w.Authenticate(context.Background(), Evidence{Authorization: []string{"Bearer " + good()}, Certificate: mine}); denied != nil {
		t.Errorf("a token that is bound to nothing: %v", denied)
	}
}

func TestConfirmationIsReadStrictly(t *testing.T) {
	w := newWorld(t)
	envoys, claim := certificate(1)
	_, zero := certificate(0)
	for name, cnf := range map[string]string{
		"empty": `{}`, "a text": `"x"`, "a list": `[]`, "another binding": `{"jkt":"x"}`, "a second binding": `{"x5t#S256":"` + claim + `","jkt":"x"}`,
		"twice": `{"x5t#S256":"` + claim + `","x5t#S256":"` + claim + `"}`, "padded": `{"x5t#S256":"` + claim + `="}`, "SHA-1": `{"x5t":"` + claim + `"}`,
		"too short": `{"x5t#S256":"` + claim[:42] + `"}`, "small letters": `{"x5t#s256":"` + claim + `"}`, "a number": `{"x5t#S256":1}`, "zero": `{"x5t#S256":"` + zero + `"}`,
	} {
		token := body(with(goodClaims, `"cnf":`+cnf))
		_, denied := w.Authenticate(context.Background(), Evidence{Authorization: []string{"Bearer " + token}, Certificate: envoys})
		if denied == nil || denied.Reason != core.ReasonInvalidCredential {
			t.Errorf("%s: %v", name, denied)
		}
	}
}

func TestActor(t *testing.T) {
	w := newWorld(t)
	for act, want := range map[string]string{
		`{"sub":"agent-7"}`: "agent-7", `{"sub":"agent-7","iss":"https://other","act":{"sub":"agent-1"}}`: "agent-7",
		`{}`: "", `"agent"`: "", `{"act":{"sub":"x"}}`: "", `{"sub":""}`: "", `{"sub":"a\n"}`: "", `{"sub":1}`: "", `null`: "", `{"sub":"a","Sub":"b"}`: "", `{"sub":"a","sub":"b"}`: "",
	} {
		session, denied := w.call(body(with(goodClaims, `"act":`+act)))
		switch {
		case want == "" && denied == nil:
			t.Errorf("%s: accepted", act)
		case want != "" && (denied != nil || session.Principal.Actor != want || session.Principal.User != "ana"):
			t.Errorf("%s: %v, %+v", act, denied, session)
		}
	}
}

// What is refused although the credential was good names whom it was of; what is not proven names nobody.
func TestRefusalsNameWhoIsKnown(t *testing.T) {
	ana := func(w *world) { w.known.users["ana"] = core.User{ID: "ana", Team: "law", Blocked: true} }
	expired := func(w *world) { w.now = start.Add(24 * time.Hour) }
	revoked := func(w *world) { w.known.revoked = func(string, string, time.Time) bool { return true } }
	for _, c := range []struct {
		name, token string
		change      func(*world)
		want        string // the user
	}{
		{"blocked", good(), ana, "ana"},
		{"expired", good(), expired, "ana"},
		{"revoked", good(), revoked, "ana"},
		{"another issuer's, expired", from(otherHeader, otherClaims), expired, "ana"},
		{"of nobody here", body(but(goodClaims, `"ana"`, `"zoe"`)), func(*world) {}, "zoe"},
		{"wrongly signed and expired", good()[:len(good())-8] + "AAAAAAAA", expired, ""},
		{"for another service and expired", body(but(goodClaims, `"plumbline"`, `"other"`)), expired, ""},
		{"unreadable", "a.b.c", func(*world) {}, ""},
	} {
		w := newWorld(t)
		c.change(w)
		_, denied := w.call(c.token)
		if denied == nil || denied.Principal.User != c.want {
			t.Errorf("%s: %v of %+v, want %q", c.name, denied, denied.Principal, c.want)
		}
	}
}
