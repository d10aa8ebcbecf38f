package identity

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/core"
)

// mapped is a world whose other issuer has a mapping.
func mapped(t *testing.T, m Mapping, change func(*Trust)) *world {
	t.Helper()
	w := newWorld(t)
	w.known.teams = map[string]core.Team{"law": {ID: "law"}, "ops": {ID: "ops"}}
	trust := Trust{
		Issuer: otherIssuer, Audiences: []string{"api://plumbline", "api://second"}, Types: []string{"JWT", ""}, Claims: m,
		Keys: func() *KeySet { return w.other },
	}
	if change != nil {
		change(&trust)
	}
	v, err := NewVerifier(Options{
		Issuer: ownIssuer, Audience: ourAudience, Issuers: []Trust{trust},
		Credentials: func() Credentials { return w.known }, Now: func() time.Time { return w.now },
		MaxLifetime: maxLifetime, Leeway: leeway,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Verifier = v
	return w
}

func TestClaimMapping(t *testing.T) {
	user := func(c Claim) Mapping { return Mapping{User: c} }
	team := func(c Claim, teams map[string]string) Mapping {
		return Mapping{User: Claim{Name: "u"}, Team: c, Teams: teams}
	}
	roles := func(claim string) Mapping { return Mapping{Roles: claim, Require: []string{"llm", "admin"}} }
	nested := `"realm_access":{"roles":["x","llm"]},"kubernetes.io":{"namespace":"prod","a/b":{"~":"ben"}},"https://x.test/u":"ben"`
	for _, c := range []struct {
		name    string
		mapping Mapping
		claims  string // beside those of every token, whose sub is ana
		want    core.Principal
		cause   error
	}{
		{"sub by default", Mapping{}, `"email":"ben"`, core.Principal{User: "ana", Team: "law"}, nil},
		{"another claim", user(Claim{Name: "oid"}), `"oid":"ben"`, core.Principal{User: "ben"}, nil},
		{"claim missing", user(Claim{Name: "oid"}), `"OID2":"ben"`, core.Principal{}, errClaimMissing},
		{"claim null", user(Claim{Name: "oid"}), `"oid":null`, core.Principal{}, errClaimMissing},
		{"claim a number", user(Claim{Name: "oid"}), `"oid":5`, core.Principal{}, errClaimText},
		{"claim a list", user(Claim{Name: "oid"}), `"oid":["ben"]`, core.Principal{}, errClaimText},
		{"claim empty", user(Claim{Name: "oid"}), `"oid":""`, core.Principal{}, errClaimText},
		{"claim with a line break", user(Claim{Name: "oid"}), `"oid":"ben\n"`, core.Principal{}, errClaimText},
		{"claim in other letters", user(Claim{Name: "oid"}), `"Oid":"ben"`, core.Principal{}, errOtherCase},
		{"claim in other letters beside it", user(Claim{Name: "oid"}), `"oid":"ben","OID":"ana"`, core.Principal{}, errOtherCase},
		{"a name like a URL", user(Claim{Name: "https://x.test/u"}), nested, core.Principal{User: "ben"}, nil},
		{"a pointer", user(Claim{Name: "/kubernetes.io/a~1b/~0"}), nested, core.Principal{User: "ben"}, nil},
		{"a pointer to nothing", user(Claim{Name: "/kubernetes.io/pod"}), nested, core.Principal{}, errClaimMissing},
		{"a pointer through a text", user(Claim{Name: "/u/x"}), `"u":"ben"`, core.Principal{}, errClaimMissing},
		{"a pointer through a list", user(Claim{Name: "/realm_access/roles/0"}), nested, core.Principal{}, errClaimMissing},
		{"a pointer in other letters", user(Claim{Name: "/Kubernetes.io/namespace"}), nested, core.Principal{}, errOtherCase},
		{"a prefix", user(Claim{Name: "u", Prefix: "auth0|"}), `"u":"auth0|ben"`, core.Principal{User: "ben"}, nil},
		{"another prefix", user(Claim{Name: "u", Prefix: "auth0|"}), `"u":"github|ben"`, core.Principal{}, errClaimPrefix},
		{"a prefix in other letters", user(Claim{Name: "u", Prefix: "auth0|", Lowercase: true}), `"u":"AUTH0|ben"`, core.Principal{}, errClaimPrefix},
		{"a prefix alone", user(Claim{Name: "u", Prefix: "auth0|"}), `"u":"auth0|"`, core.Principal{}, errClaimPrefix},
		{"small letters", user(Claim{Name: "u", Lowercase: true}), `"u":"BEN"`, core.Principal{User: "ben"}, nil},
		{"capitals stay", user(Claim{Name: "u"}), `"u":"BEN"`, core.Principal{}, errUserUnknown},
		{"letters that look alike stay", user(Claim{Name: "u", Lowercase: true}), `"u":"ΒEN"`, core.Principal{}, errUserUnknown},
		{"a blocked one", user(Claim{Name: "u"}), `"u":"eve"`, core.Principal{}, errUserBlocked},

		{"an address that is vouched for", user(Claim{Name: "email"}), `"email":"ben","email_verified":true`, core.Principal{User: "ben"}, nil},
		{"an address that is vouched for in text", user(Claim{Name: "email"}), `"email":"ben","email_verified":"true"`, core.Principal{User: "ben"}, nil},
		{"an address that is not", user(Claim{Name: "email"}), `"email":"ben","email_verified":false`, core.Principal{}, errEmailUnverified},
		{"an address, and nothing said", user(Claim{Name: "email"}), `"email":"ben"`, core.Principal{}, errEmailUnverified},
		{"an address, by pointer", user(Claim{Name: "/email"}), `"email":"ben"`, core.Principal{}, errEmailUnverified},
		{"an address vouched for in other letters", user(Claim{Name: "email"}), `"email":"ben","Email_Verified":true`, core.Principal{}, errEmailUnverified},

		{"an app alone", Mapping{App: Claim{Name: "azp"}}, `"azp":"desk"`, core.Principal{App: "desk", Team: "tools"}, nil},
		{"an app and a user", Mapping{User: Claim{Name: "sub"}, App: Claim{Name: "azp"}}, `"azp":"desk"`, core.Principal{User: "ana", App: "desk", Team: "law"}, nil},
		{"an app that is missing", Mapping{User: Claim{Name: "sub"}, App: Claim{Name: "azp"}}, `"cid":"desk"`, core.Principal{}, errClaimMissing},
		{"an unknown app", Mapping{App: Claim{Name: "azp"}}, `"azp":"nowhere"`, core.Principal{}, errAppUnknown},
		{"Plumbline's own claims say nothing", Mapping{}, `"pl_kind":"app","pl_app":"desk"`, core.Principal{User: "ana", Team: "law"}, nil},

		{"a team", team(Claim{Name: "team"}, nil), `"u":"ben","team":"ops"`, core.Principal{User: "ben", Team: "ops"}, nil},
		{"a team of a list", team(Claim{Name: "groups"}, nil), `"u":"ben","groups":["ops","law"]`, core.Principal{User: "ben", Team: "ops"}, nil},
		{"a team by the map", team(Claim{Name: "groups"}, map[string]string{"/Law": "law"}), `"u":"ben","groups":["/All","/Law"]`, core.Principal{User: "ben", Team: "law"}, nil},
		{"no team of the map", team(Claim{Name: "groups"}, map[string]string{"/Law": "law"}), `"u":"ben","groups":["law"]`, core.Principal{User: "ben"}, nil},
		{"a team with a prefix", team(Claim{Name: "groups", Prefix: "llm-"}, nil), `"u":"ben","groups":["vpn","llm-ops"]`, core.Principal{User: "ben", Team: "ops"}, nil},
		{"an unknown team", team(Claim{Name: "team"}, nil), `"u":"ben","team":"nowhere"`, core.Principal{User: "ben"}, nil},
		{"no team", team(Claim{Name: "team"}, nil), `"u":"ben"`, core.Principal{User: "ben"}, nil},
		{"a team as a number", team(Claim{Name: "team"}, nil), `"u":"ben","team":1`, core.Principal{}, errClaimText},
		{"the administrator's word on the team", team(Claim{Name: "team"}, nil), `"u":"ana","team":"ops"`, core.Principal{User: "ana", Team: "law"}, nil},

		{"a role", roles("roles"), `"roles":["x","admin"]`, core.Principal{User: "ana", Team: "law"}, nil},
		{"a role in a text", roles("roles"), `"roles":"llm"`, core.Principal{User: "ana", Team: "law"}, nil},
		{"a role by pointer", roles("/realm_access/roles"), nested, core.Principal{User: "ana", Team: "law"}, nil},
		{"other roles", roles("roles"), `"roles":["x","LLM","llm2"]`, core.Principal{}, errRole},
		{"no roles", roles("roles"), `"x":1`, core.Principal{}, errRole},
		{"roles in one text", roles("roles"), `"roles":"x llm"`, core.Principal{}, errRole},
		{"roles as an object", roles("roles"), `"roles":{"llm":true}`, core.Principal{}, errClaimText},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := mapped(t, c.mapping, nil)
			token := from(otherHeader, with(otherClaims, c.claims))
			session, denied := w.call(token)
			if c.cause != nil {
				if denied == nil || !errors.Is(denied, c.cause) {
					t.Fatalf("%+v, %v, want %v", session, denied, c.cause)
				}
				checkSilent(t, denied, token)
				return
			}
			if denied != nil {
				t.Fatal(denied)
			}
			c.want.Method, c.want.Issuer = core.MethodToken, otherIssuer
			if diff := cmp.Diff(c.want, session.Principal); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestTaskOfAToken(t *testing.T) {
	w := mapped(t, Mapping{Task: Claim{Name: "task", Prefix: "t-"}}, nil)
	for claims, want := range map[string]string{`"task":"t-billing"`: "billing", `"task":["x","t-a","t-b"]`: "a", `"x":1`: "", `"task":"billing"`: ""} {
		session, denied := w.call(from(otherHeader, with(otherClaims, claims)))
		if denied != nil || session.Task != want {
			t.Errorf("%s: %v, %v", claims, session, denied)
		}
	}
}

func TestTrustOptions(t *testing.T) {
	for name, change := range map[string]func(*Trust){
		"no audience":                func(i *Trust) { i.Audiences = nil },
		"a negative lifetime":        func(i *Trust) { i.MaxLifetime = -1 },
		"required roles of no claim": func(i *Trust) { i.Claims.Require = []string{"x"} },
		"a claim with a line break":  func(i *Trust) { i.Claims.User.Name = "a\nb" },
	} {
		i := Trust{Issuer: otherIssuer, Audiences: []string{"a"}, Types: []string{"JWT"}, Keys: func() *KeySet { return &KeySet{} }}
		change(&i)
		if _, err := NewVerifier(Options{
			Issuer: ownIssuer, Audience: ourAudience, Issuers: []Trust{i}, MaxLifetime: time.Hour, Now: time.Now,
			Credentials: func() Credentials { return &snapshot{} },
		}); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	w := mapped(t, Mapping{}, func(i *Trust) { i.MaxLifetime = time.Minute })
	if _, denied := w.call(from(otherHeader, otherClaims)); !errors.Is(denied, errLifetime) {
		t.Errorf("an hour under an issuer's own limit of a minute: %v", denied)
	}
	if _, denied := w.call(from(otherHeader, but(but(otherClaims, "1800003600", "1800000060"), "api://plumbline", "api://second"))); denied != nil {
		t.Errorf("the second audience: %v", denied)
	}
	if _, denied := w.call(good()); denied != nil {
		t.Errorf("Plumbline's own token under its own limit: %v", denied)
	}
}

// Only a token that would be good but for its key asks for new keys.
func TestMissingKeyIsTold(t *testing.T) {
	var told []string
	w := mapped(t, Mapping{}, func(i *Trust) { i.Missing = func(kid string) { told = append(told, kid) } })
	rotated := but(otherHeader, "other-ed", "rotated")
	for _, token := range []string{
		from(otherHeader, otherClaims), from(but(otherHeader, "EdDSA", "none"), otherClaims), good(),
		from(rotated, but(otherClaims, "1800003600", "1799990000")), from(rotated, but(otherClaims, "api://plumbline", "api://x")),
		from(but(rotated, "JWT", "logout+jwt"), otherClaims), from(rotated, but(otherClaims, "idp.test", "evil.test")),
	} {
		_, _ = w.call(token)
	}
	if len(told) > 0 {
		t.Errorf("told %v", told)
	}
	if _, denied := w.call(from(rotated, otherClaims)); !errors.Is(denied, errKid) || len(told) != 1 || told[0] != "rotated" {
		t.Errorf("told %v, %v", told, denied)
	}
}

func TestProvisioningIsAskedFor(t *testing.T) {
	var asked []core.User
	will := true
	w := mapped(t, Mapping{Team: Claim{Name: "team"}}, func(i *Trust) {
		i.Provision = func(u core.User) bool { asked = append(asked, u); return will }
	})
	zoe := from(otherHeader, with(but(otherClaims, `"ana"`, `"zoe"`), `"team":"ops"`))
	if _, denied := w.call(zoe); denied == nil || denied.Reason != core.ReasonPrincipalPending {
		t.Errorf("before: %v", denied)
	}
	if diff := cmp.Diff([]core.User{{ID: "zoe", Team: "ops"}}, asked); diff != "" {
		t.Error(diff)
	}
	will = false
	if _, denied := w.call(zoe); denied == nil || denied.Reason != core.ReasonUnknownPrincipal {
		t.Errorf("when it is refused: %v", denied)
	}
	w.known.users["zoe"] = core.User{ID: "zoe"}
	session, denied := w.call(zoe)
	if denied != nil || session.Principal.Team != "ops" {
		t.Errorf("after: %+v %v", session, denied)
	}
	// Who is removed while an answer streams is gone: only a new request asks.
	asked, will = nil, true
	delete(w.known.users, "zoe")
	if denied := w.Still(session); denied == nil || denied.Reason != core.ReasonUnknownPrincipal || asked != nil {
		t.Errorf("Still: %v, asked for %v", denied, asked)
	}
	// Nobody else's token brings people along, and nobody who is blocked or badly signed.
	for _, token := range []string{
		body(but(goodClaims, "ana", "zoe")), from(otherHeader, but(otherClaims, "ana", "eve")),
		signEd(keys().ed, otherHeader, but(otherClaims, "ana", "zoe")), from(otherHeader, but(but(otherClaims, "ana", "zoe"), "1800003600", "1799990000")),
	} {
		_, _ = w.call(token)
	}
	if asked != nil {
		t.Errorf("asked for %v", asked)
	}
}

// Another key under the same id ends what the old one verified, also while an answer streams; the same key in a new
// document does not.
func TestKeyReplacedUnderItsID(t *testing.T) {
	w := newWorld(t)
	token := from(otherHeader, otherClaims)
	session, denied := w.call(token)
	if denied != nil {
		t.Fatal(denied)
	}
	w.other = keySetOf(t, jwkOf(keys().otherEd.Public(), "other-ed", ""))
	if denied := w.Still(session); denied != nil {
		t.Errorf("published again: %v", denied)
	}
	w.other = keySetOf(t, jwkOf(keys().ed.Public(), "other-ed", "EdDSA"))
	if denied := w.Still(session); denied == nil || denied.Reason != core.ReasonRevokedCredential {
		t.Errorf("Still: %v", denied)
	}
	if _, denied := w.call(token); !errors.Is(denied, errSignature) {
		t.Errorf("Authenticate: %v", denied)
	}
}

func TestInspect(t *testing.T) {
	w := mapped(t, Mapping{User: Claim{Name: "/who/id"}}, nil)
	token := from(with(otherHeader, `"x5t":"secret"`), with(otherClaims, `"who":{"id":"ben"},"phone":"secret"`))
	i := w.Inspect(token)
	want := Inspection{
		Header: []Member{{"alg", `"EdDSA"`}, {"typ", `"JWT"`}, {"kid", `"other-ed"`}, {Name: "x5t"}},
		Claims: []Member{
			{"iss", `"https://idp.test"`},
			{"sub", `"ana"`},
			{"aud", `"api://plumbline"`},
			{"exp", "1800003600"},
			{"who", `{"id":"ben"}`},
			{Name: "phone"},
		},
		Issuer: otherIssuer, Key: "other-ed",
		Principal: &core.Principal{User: "ben", Method: core.MethodToken, Issuer: otherIssuer},
	}
	if diff := cmp.Diff(want, i); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for name, token := range map[string]string{
		"forged": signEd(keys().ed, otherHeader, otherClaims), "malformed": "a.b", "too long": strings.Repeat("a", maxToken+1),
		"foreign": from(otherHeader, but(otherClaims, "idp.test", "evil.test")), "without claims": from(otherHeader, "[]"),
	} {
		if i := w.Inspect(token); i.Principal != nil || i.Reason == "" || i.Cause == "" {
			t.Errorf("%s: %+v", name, i)
		}
	}
}

// A token of another issuer and the mesh speak together: each names what the other does not, both must agree, and a token
// that is bound to a certificate needs it.
func TestTokenOfAnIssuerInTheMesh(t *testing.T) {
	w := mapped(t, Mapping{User: Claim{Name: "sub"}, Team: Claim{Name: "team"}}, func(i *Trust) {
		i.Provision = func(u core.User) bool { return u.ID == "zoe" }
	})
	rule, err := ParseMeshRule("spiffe://prod.test/sa/{sa} app={sa} team=mesh")
	if err != nil {
		t.Fatal(err)
	}
	w.mesh = Mesh{Rules: []MeshRule{rule}}
	certificate := strings.Repeat("ab", 32)
	bound := with(otherClaims, `"cnf":{"x5t#S256":"`+b64(strings.Repeat("\xab", 32))+`"}`)
	for _, c := range []struct {
		name, claims, workload, certificate string
		want                                core.Principal
		cause                               error
	}{
		{"the user of the token, the app of the mesh", otherClaims, "desk", "", core.Principal{User: "ana", App: "desk", Team: "law"}, nil},
		{"a team of the token before the app's and the mesh's", with(but(otherClaims, `"ana"`, `"ben"`), `"team":"ops"`), "desk", "", core.Principal{User: "ben", App: "desk", Team: "ops"}, nil},
		{"an unknown team of the token", with(but(otherClaims, `"ana"`, `"ben"`), `"team":"nowhere"`), "desk", "", core.Principal{User: "ben", App: "desk", Team: "tools"}, nil},
		{"an unknown app of the mesh", otherClaims, "nowhere", "", core.Principal{}, errAppUnknown},
		{"somebody who is created", but(otherClaims, `"ana"`, `"zoe"`), "desk", "", core.Principal{}, errUserPending},
		{"bound, and the certificate", bound, "desk", certificate, core.Principal{User: "ana", App: "desk", Team: "law"}, nil},
		{"bound, and another certificate", bound, "desk", strings.Repeat("ac", 32), core.Principal{}, errBound},
		{"bound, and none", bound, "", "", core.Principal{}, errBound},
	} {
		e := Evidence{Authorization: []string{"Bearer " + from(otherHeader, c.claims)}, Certificate: c.certificate}
		if c.workload != "" {
			e.Workload = "spiffe://prod.test/sa/" + c.workload
			c.want.Workload = e.Workload
		}
		session, denied := w.Authenticate(t.Context(), e)
		if c.cause != nil {
			if !errors.Is(denied, c.cause) {
				t.Errorf("%s: %+v, %v, want %v", c.name, session, denied, c.cause)
			}
			continue
		}
		c.want.Method, c.want.Issuer = core.MethodToken, otherIssuer
		if denied != nil {
			t.Errorf("%s: %v", c.name, denied)
		} else if diff := cmp.Diff(c.want, session.Principal); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
	// A person whom the mesh alone names is not the issuer's to bring along.
	app := mapped(t, Mapping{App: Claim{Name: "azp"}}, func(i *Trust) { i.Provision = func(core.User) bool { return true } })
	if rule, err = ParseMeshRule("spiffe://prod.test/user/{u} user={u}"); err != nil {
		t.Fatal(err)
	}
	app.mesh = Mesh{Rules: []MeshRule{rule}}
	robot := Evidence{Authorization: []string{"Bearer " + from(otherHeader, with(otherClaims, `"azp":"desk"`))}, Workload: "spiffe://prod.test/user/zoe"}
	if _, denied := app.Authenticate(t.Context(), robot); !errors.Is(denied, errUserUnknown) {
		t.Errorf("somebody unknown to all but the mesh: %v", denied)
	}
	other := mapped(t, Mapping{User: Claim{Name: "sub"}, App: Claim{Name: "azp"}}, nil)
	other.mesh = w.mesh
	e := Evidence{Authorization: []string{"Bearer " + from(otherHeader, with(otherClaims, `"azp":"desk"`))}, Workload: "spiffe://prod.test/sa/thief"}
	if _, denied := other.Authenticate(t.Context(), e); !errors.Is(denied, errOtherWorkload) {
		t.Errorf("a token of another app than the workload's: %v", denied)
	}
}

// Sessions of another issuer end with their sid, and subjects by the ids that they have here.
func TestRevocationOfAnIssuersTokens(t *testing.T) {
	w := mapped(t, Mapping{User: Claim{Name: "oid"}}, nil)
	token := from(otherHeader, with(otherClaims, `"oid":"ben","sid":"s1","iat":1800000000`))
	session, denied := w.call(token)
	if denied != nil {
		t.Fatal(denied)
	}
	for name, revoke := range map[string]func(){
		"by session": func() { w.known.ended = "s1" },
		"by subject": func() { w.known.revoked = func(_, sub string, _ time.Time) bool { return sub == "ben" } },
	} {
		w.known.ended, w.known.revoked = "", nil
		revoke()
		if denied := w.Still(session); denied == nil || denied.Reason != core.ReasonRevokedCredential {
			t.Errorf("%s: Still: %v", name, denied)
		}
		if _, denied := w.call(token); denied == nil || denied.Principal.User != "ben" {
			t.Errorf("%s: %v", name, denied)
		}
	}
	w.known.ended, w.known.revoked = "", func(_, sub string, _ time.Time) bool { return sub == "ana" }
	if _, denied := w.call(token); denied != nil {
		t.Errorf("sub names nobody here: %v", denied)
	}
}
