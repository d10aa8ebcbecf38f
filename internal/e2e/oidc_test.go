package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/testkit/oidc"
)

// trusting is a configuration that trusts a provider. more are further lines of its entry.
func trusting(t testing.TB, p *oidc.Provider, more ...string) string {
	return "identity:\n  issuers:\n" + entry(t, p, more...)
}

func entry(t testing.TB, p *oidc.Provider, more ...string) string {
	lines := append([]string{
		"issuer: " + p.Issuer, "audiences: [" + oidc.Audience + "]", "jwks_url: " + p.KeysURL,
		"ca_file: " + writeFile(t, t.TempDir(), "ca.pem", string(p.CA)), "allow_private_addresses: true", "max_lifetime: 1h",
	}, more...)
	return "    - " + strings.Join(lines, "\n      ") + "\n"
}

func TestIdentityProvider(t *testing.T) {
	t.Parallel()
	idp, stranger, second := oidc.Start(t), oidc.Start(t), oidc.Start(t)
	w := start(t, setup{config: trusting(t, idp, "app: {claim: azp}", "user: {claim: sub}", "task: {claim: work}") + entry(t, second), objects: objects + `
  - {id: travel, title: Book business trips, description: Flights and hotels., topics: [book a flight, book a hotel], users: [ann]}
`})
	body := chatBody("gpt-4o", onTask, nil)
	claims := func(changes map[string]any) map[string]any {
		return idp.Claims("ann", mergeMaps(map[string]any{"azp": "helpdesk", "jti": "t1"}, changes))
	}

	t.Run("governed as its user", func(t *testing.T) {
		w := w.in(t)
		r := w.send(call{auth: []string{idp.Token(claims(map[string]any{"work": "billing"}), nil)}, body: body})
		if r.Status != http.StatusOK {
			t.Fatalf("status %d: %s", r.Status, r.Body)
		}
		intent, _ := w.outcome(r.Exchange)
		want := core.Principal{User: "ann", Team: "support", App: "helpdesk", Method: core.MethodToken, Issuer: idp.Issuer, Credential: "t1"}
		if intent.Principal != want {
			t.Errorf("the record names %+v, want %+v", intent.Principal, want)
		}
		if facts := string(intent.Facts); !strings.Contains(facts, `["billing"]`) {
			t.Errorf("the task that the token is for is not the one judged by: %s", facts)
		}
		if n := w.provider.Rejected(); n != 0 {
			t.Errorf("the provider rejected %d requests", n)
		}
	})

	t.Run("the metric of its keys", func(t *testing.T) {
		for _, p := range []*oidc.Provider{idp, second} {
			at := w.in(t).metric(`plumbline_jwks_last_success_timestamp_seconds{issuer="` + p.Issuer + `"}`)
			if age := time.Since(time.UnixMilli(int64(at * 1e3))); age < -time.Second || age > time.Minute {
				t.Errorf("the keys of %s were last fetched %v ago", p.Issuer, age)
			}
		}
	})

	refused := func(reason core.Reason) refusal {
		return refusal{401, "invalid_request_error", "invalid_api_key", "", reason, badBearer}
	}
	invalid, expired, unknown := refused(core.ReasonInvalidCredential), refused(core.ReasonExpiredCredential), refused(core.ReasonUnknownPrincipal)
	now := time.Now().Unix()
	good := idp.Token(claims(nil), nil)
	public, err := x509.MarshalPKIXPublicKey(idp.Public())
	must(t, err)
	for _, c := range []struct {
		name, token string
		want        refusal
	}{
		{"wrong audience", idp.Token(claims(map[string]any{"aud": "api://billing"}), nil), invalid},
		{"Plumbline's own audience", idp.Token(claims(map[string]any{"aud": "plumbline"}), nil), invalid},
		{"wrong issuer", idp.Token(claims(map[string]any{"iss": "https://idp.example.com"}), nil), invalid},
		{"Plumbline's issuer", idp.Token(claims(map[string]any{"iss": "plumbline", "aud": "plumbline"}), nil), invalid},
		{"another trusted issuer's iss", idp.Token(claims(map[string]any{"iss": second.Issuer}), nil), invalid},
		{"another trusted issuer's key", second.Token(claims(nil), nil), invalid},
		{"a stranger's key under the same kid", stranger.Token(claims(nil), nil), invalid},
		{"expired", idp.Token(claims(map[string]any{"exp": now - 60, "iat": now - 120}), nil), expired},
		{"not yet valid", idp.Token(claims(map[string]any{"nbf": now + 300}), nil), invalid},
		{"a lifetime too long", idp.Token(claims(map[string]any{"exp": now + 7200}), nil), invalid},
		{"no expiry", idp.Token(claims(map[string]any{"exp": nil}), nil), invalid},
		{"none", unsigned(good), invalid},
		{"HMAC with the public key", confused(good, public), invalid},
		{"RS256 in the header", idp.Token(claims(nil), map[string]any{"alg": "RS256"}), invalid},
		{"a key of its own in the header", idp.Token(claims(nil), map[string]any{"jku": stranger.KeysURL}), invalid},
		{"a logout token", idp.Token(claims(nil), map[string]any{"typ": "logout+jwt"}), invalid},
		{"a security event", idp.Token(claims(map[string]any{"events": map[string]any{}}), nil), invalid},
		{"a claim changed", flip(good, len(good)/2), invalid},
		{"no app", idp.Token(claims(map[string]any{"azp": nil}), nil), invalid},
		{"an unknown app", idp.Token(claims(map[string]any{"azp": "nowhere"}), nil), unknown},
		{"somebody unknown", idp.Token(idp.Claims("zoe", map[string]any{"azp": "helpdesk"}), nil), unknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, call := w.in(t), call{auth: []string{c.token}, body: body}
			if c.want.reason == core.ReasonInvalidCredential {
				w.unnamed(call, c.want)
				return
			}
			// The credential itself is good: the first refusal is recorded by name.
			if _, rec := w.refused(call, c.want); rec.Principal.User == "" || rec.Principal.Issuer != idp.Issuer {
				t.Errorf("the record names %+v", rec.Principal)
			}
		})
	}
	if n := stranger.Fetches(); n != 0 {
		t.Errorf("a token made Plumbline fetch the keys of a stranger %d times", n)
	}

	t.Run("rotation", func(t *testing.T) {
		w := w.in(t)
		withdrawn := idp.Token(claims(nil), nil)
		idp.Add()
		idp.Withdraw()
		began := time.Now()
		eventually(t, "the new key is taken", func() bool {
			return w.send(call{auth: []string{idp.Token(claims(nil), nil)}, body: body}).Status == http.StatusOK
		})
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("a new key was seen after %v", took)
		}
		w.unnamed(call{auth: []string{withdrawn}, body: body}, invalid)
	})
}

func mergeMaps(a, b map[string]any) map[string]any {
	for k, v := range b {
		a[k] = v
	}
	return a
}

// unsigned is a token whose header says that there is no signature, and that has none.
func unsigned(token string) string {
	parts := strings.Split(token, ".")
	return reheaded(parts[0], "none") + "." + parts[1] + "."
}

// confused is a token that is signed with a public key taken for the secret of an HMAC.
func confused(token string, secret []byte) string {
	parts := strings.Split(token, ".")
	signed := reheaded(parts[0], "HS256") + "." + parts[1]
	m := hmac.New(sha256.New, secret)
	m.Write([]byte(signed))
	return signed + "." + base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

func reheaded(header, alg string) string {
	data, _ := base64.RawURLEncoding.DecodeString(header)
	var h map[string]any
	_ = json.Unmarshal(data, &h)
	h["alg"] = alg
	data, _ = json.Marshal(h)
	return base64.RawURLEncoding.EncodeToString(data)
}

// A person whom the issuer names for the first time is created, once, and nobody passes before.
func TestProvisioning(t *testing.T) {
	t.Parallel()
	idp, poor := oidc.Start(t), oidc.Start(t)
	w := start(t, setup{config: trusting(t, idp, "create: teams-and-users", "team: {claim: groups, map: {/Legal: legal}}") + entry(t, poor, "create: users", "team: {claim: team}")})
	body := chatBody("gpt-4o", "Hello.", nil)
	pending := refusal{503, "service_unavailable_error", "principal_pending", "", core.ReasonPrincipalPending, soon}
	unknown := refusal{401, "invalid_request_error", "invalid_api_key", "", core.ReasonUnknownPrincipal, badBearer}

	token := idp.Token(idp.Claims("zoe", map[string]any{"groups": []string{"/All", "/Legal"}}), nil)
	before := w.provider.Total()
	first := w.send(call{auth: []string{token}, body: body})
	pending.check(t, first)
	w.untouched(before)
	var second response
	eventually(t, "the person passes", func() bool {
		second = w.send(call{auth: []string{token}, body: body})
		if second.Status != http.StatusOK {
			pending.check(t, second)
		}
		return second.Status == http.StatusOK
	})
	intent, _ := w.outcome(second.Exchange)
	if intent.Principal.User != "zoe" || intent.Principal.Team != "legal" {
		t.Errorf("the record names %+v", intent.Principal)
	}
	var changes []string
	eventually(t, "the audit tells who was created", func() bool {
		changes = nil
		for _, e := range w.all(audit.Query{Kind: core.RecordAdmin}) {
			if c := e.Record.Admin; strings.HasPrefix(c.Actor, "issuer:") {
				changes = append(changes, c.Actor+" "+c.Action+" "+c.Object)
			}
		}
		return len(changes) > 1
	})
	slices.Sort(changes)
	if want := []string{"issuer:" + idp.Issuer + " put team/legal", "issuer:" + idp.Issuer + " put user/zoe"}; !slices.Equal(changes, want) {
		t.Errorf("changes %v, want %v", changes, want)
	}

	t.Run("the SDK waits by itself", func(t *testing.T) {
		client := w.in(t).sdk(idp.Token(idp.Claims("xan", nil), nil))
		if _, err := client.Chat.Completions.New(t.Context(), openai.ChatCompletionNewParams{
			Model: "gpt-4o", Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Hello.")},
		}); err != nil {
			t.Error(err)
		}
	})
	t.Run("a name that no user can have", func(t *testing.T) {
		w.in(t).refused(call{auth: []string{idp.Token(idp.Claims("Zoë O'Hara", nil), nil)}, body: body}, unknown)
	})
	t.Run("a team that does not exist", func(t *testing.T) {
		w := w.in(t)
		token := poor.Token(poor.Claims("yan", map[string]any{"team": "nowhere"}), nil)
		eventually(t, "the person is refused for good", func() bool {
			r := w.send(call{auth: []string{token}, body: body})
			return r.Status == http.StatusUnauthorized
		})
	})
	t.Run("somebody who is blocked stays blocked", func(t *testing.T) {
		w := w.in(t)
		must(t, w.app.Store().Users().Put(t.Context(), core.User{ID: "eve", Blocked: true, Created: time.Now()}))
		w.refresh()
		w.refused(call{auth: []string{idp.Token(idp.Claims("eve", nil), nil)}, body: body},
			refusal{403, "permission_error", "user_blocked", "", core.ReasonUserBlocked, noRetry})
	})
}

// The keys outlive the issuer, and a restart without it.
func TestIssuerDown(t *testing.T) {
	t.Parallel()
	idp := oidc.Start(t)
	s := serve(t, setup{config: trusting(t, idp)})
	body := chatBody("gpt-4o", onTask, nil)
	token := idp.Token(idp.Claims("ann", nil), nil)
	if r := s.send(call{auth: []string{token}, body: body}); r.Status != http.StatusOK {
		t.Fatalf("status %d: %s", r.Status, r.Body)
	}
	idp.Answer(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "down", http.StatusServiceUnavailable) })
	s.process.stop()
	s.start()
	if r := s.send(call{auth: []string{token}, body: body}); r.Status != http.StatusOK {
		t.Errorf("after a restart without the issuer: status %d: %s", r.Status, r.Body)
	}
}

// Tokens with made-up kids, as fast as they come: one record for each span of ten seconds, and few fetches.
func TestFloodOfForgedTokens(t *testing.T) {
	t.Parallel()
	idp := oidc.Start(t)
	w := start(t, setup{config: trusting(t, idp)})
	before, began := idp.Fetches(), time.Now()
	const senders, each = 8, 150
	var group sync.WaitGroup
	for sender := range senders {
		group.Go(func() {
			for n := range each {
				token := idp.Token(idp.Claims("ann", nil), map[string]any{"kid": fmt.Sprintf("forged-%d-%d", sender, n)})
				if r := w.send(call{auth: []string{token}, method: "GET", path: "/v1/models"}); r.Status != http.StatusUnauthorized {
					t.Errorf("status %d", r.Status)
				}
			}
		})
	}
	group.Wait()
	spans := int(time.Since(began)/(10*time.Second)) + 2 // those it touches, and the one that is ended below
	if n := w.refusals(core.ReasonInvalidCredential); n != senders*each {
		t.Errorf("the audit counts %d refusals, not %d", n, senders*each)
	}
	records := w.all(auditOf(core.RecordRefusals))
	if len(records) > spans {
		t.Errorf("%d records in %d spans of ten seconds", len(records), spans)
	}
	if n := len(w.all(audit.Query{Kind: core.RecordDeny})); n != 0 {
		t.Errorf("%d refusals have records of their own", n)
	}
	if n := idp.Fetches() - before; n > int64(6*(time.Since(began)/time.Minute+1)) {
		t.Errorf("%d fetches in %v", n, time.Since(began))
	}
	t.Logf("%d refusals in %v: %d records, %d fetches", senders*each, time.Since(began).Round(time.Millisecond), len(records), idp.Fetches()-before)
}
