package e2e

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/identity"
	"github.com/plumbline/plumbline/internal/store"
)

const noticePage = "https://plumbline.test/notices"

// strictPolicy has a list of models, and forbids and judges what is asked.
const strictPolicy = `
version: 1
mode: enforce
notice_url: ` + noticePage + `
models:
  allow: ["gpt-*", "standin-*", "made-up"]
deviation:
  warn: 0.6
  block: 0.9
  enforce_uncalibrated: true
`

func TestCredentials(t *testing.T) {
	t.Parallel()
	w := start(t, setup{policy: strictPolicy})
	body := chatBody("gpt-4o", onTask, nil)
	st, ctx := w.app.Store(), store.WithActor(t.Context(), "test")

	token, _ := w.issue(identity.IssueRequest{User: "ann"})
	revokedToken, tokenID := w.issue(identity.IssueRequest{User: "ann"})
	must(t, app.RevokeToken(ctx, st, w.cfg.Identity, core.Revocation{TokenID: tokenID}))
	ownKeys, _, err := st.Load(ctx)
	must(t, err)
	ownKey := ownKeys.SigningKeys[0]
	foreign, err := identity.NewSigningKey(identity.AlgEdDSA, time.Now())
	must(t, err)
	impostor := foreign
	impostor.ID = ownKey.ID
	sign := func(key core.SigningKey, issuer, audience string, at time.Time) string {
		i, err := identity.NewIssuer(identity.IssuerOptions{
			Issuer: issuer, Audience: audience, Key: key, MaxLifetime: time.Hour, Now: func() time.Time { return at },
		})
		must(t, err)
		signed, _, _, err := i.Issue(identity.IssueRequest{User: "ann", Lifetime: time.Hour})
		must(t, err)
		return signed
	}
	our := w.cfg.Identity
	revokedKey, key, err := app.CreateKey(ctx, st, "helpdesk", "ann", time.Hour)
	must(t, err)
	must(t, app.RevokeKey(ctx, st, key.ID))
	expiredKey, key, err := app.CreateKey(ctx, st, "helpdesk", "ann", time.Hour)
	must(t, err)
	key.Expires = time.Now().Add(-time.Minute)
	must(t, st.Keys().Put(ctx, key))
	must(t, st.Users().Put(ctx, core.User{ID: "mallory", Team: "support", Created: time.Now()}))
	blocked := w.newKey("helpdesk", "mallory")
	must(t, st.Users().Put(ctx, core.User{ID: "mallory", Team: "support", Blocked: true}))
	must(t, st.Users().Put(ctx, core.User{ID: "gone", Created: time.Now()}))
	orphan, _ := w.issue(identity.IssueRequest{User: "gone"})
	must(t, st.Users().Delete(ctx, "gone"))
	must(t, st.Users().Put(ctx, core.User{ID: "carl", Created: time.Now()}))
	subject, _ := w.issue(identity.IssueRequest{User: "carl"})
	must(t, app.RevokeToken(ctx, st, w.cfg.Identity, core.Revocation{Subject: "carl"}))
	w.refresh()

	refused := func(reason core.Reason, header map[string]string) refusal {
		return refusal{401, "invalid_request_error", "invalid_api_key", "", reason, header}
	}
	missing, several := refused(core.ReasonMissingCredential, askAgain), refused(core.ReasonMultipleCredentials, askAgain)
	invalid := refused(core.ReasonInvalidCredential, badBearer)
	expired, revoked := refused(core.ReasonExpiredCredential, badBearer), refused(core.ReasonRevokedCredential, badBearer)
	tests := []struct {
		name string
		call call
		want refusal
		who  string // the user that a good credential names
	}{
		{"none", call{}, missing, ""},
		{"an empty header", call{}.with("authorization", ""), missing, ""},
		{"two headers", call{auth: []string{w.key, token}}, several, ""},
		{"the same header twice", call{auth: []string{w.key, w.key}}, several, ""},
		{"two in one header", call{}.with("authorization", "Bearer "+w.key+", Bearer "+w.key), several, ""},
		{"api-key beside it", w.chatCall("").with("api-key", w.key), several, ""},
		{"x-api-key beside it", w.chatCall("").with("X-Api-Key", "x"), several, ""},
		{"proxy-authorization beside it", w.chatCall("").with("Proxy-Authorization", "Basic eDp5"), several, ""},
		{"api_key in the query beside it", call{path: "/v1/chat/completions?api_key=x", auth: []string{w.key}}, several, ""},
		{"api_key in the query, by percent", call{path: "/v1/chat/completions?a=b&%61PI_key=x", auth: []string{w.key}}, several, ""},
		{"access_token in the query beside it", call{path: "/v1/chat/completions?access_token=x", auth: []string{w.key}}, several, ""},
		{"api_key in the query alone", call{path: "/v1/chat/completions?api_key=" + w.key}, invalid, ""},
		{"a certificate in a header alone", call{}.with("x-forwarded-client-cert", "By=spiffe://x/y;URI=spiffe://prod.test/ns/chat/sa/helpdesk"), missing, ""},
		{"basic", call{}.with("authorization", "Basic YW5uOnNlY3JldA=="), invalid, ""},
		{"a scheme alone", call{}.with("authorization", "Bearer"), missing, ""},
		{"words", call{auth: []string{"let me in please"}}, invalid, ""},
		{"not a token", call{auth: []string{"not-a-token"}}, invalid, ""},
		{"the provider's own key", call{auth: []string{providerKey}}, invalid, ""},
		{"a key cut short", call{auth: []string{w.key[:len(w.key)-1]}}, invalid, ""},
		{"a key with a typo", call{auth: []string{flip(w.key, 10)}}, invalid, ""},
		{"an unknown key", call{auth: []string{unknownKey(t)}}, invalid, ""},
		{"a revoked key", call{auth: []string{revokedKey}}, revoked, "ann"},
		{"an expired key", call{auth: []string{expiredKey}}, expired, "ann"},
		{"a token cut short", call{auth: []string{token[:len(token)-4]}}, invalid, ""},
		{"a token with a changed claim", call{auth: []string{flip(token, len(token)/2)}}, invalid, ""},
		{"a token of 9 kB", call{auth: []string{token + strings.Repeat("A", 9<<10)}}, invalid, ""},
		{"an expired token", call{auth: []string{sign(ownKey, our.Issuer, our.Audience, time.Now().Add(-2*time.Hour))}}, expired, "ann"},
		{"a token of a foreign key", call{auth: []string{sign(foreign, our.Issuer, our.Audience, time.Now())}}, invalid, ""},
		{"a foreign key under our key's id", call{auth: []string{sign(impostor, our.Issuer, our.Audience, time.Now())}}, invalid, ""},
		{"a token of a foreign issuer", call{auth: []string{sign(ownKey, "https://evil.test", our.Audience, time.Now())}}, invalid, ""},
		{"a token for another service", call{auth: []string{sign(ownKey, our.Issuer, "billing", time.Now())}}, invalid, ""},
		{"a revoked token", call{auth: []string{revokedToken}}, revoked, "ann"},
		{"a token of a revoked subject", call{auth: []string{subject}}, revoked, "carl"},
		{"somebody who is gone", call{auth: []string{orphan}}, refused(core.ReasonUnknownPrincipal, badBearer), "gone"},
		{
			"somebody who is blocked",
			call{auth: []string{blocked}},
			refusal{403, "permission_error", "user_blocked", "", core.ReasonUserBlocked, map[string]string{
				"x-should-retry": "false", "link": "<" + noticePage + `>; rel="help"`, "www-authenticate": "",
			}},
			"mallory",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.call.body = body
			var e apiError
			if tt.who == "" {
				e = w.in(t).unnamed(tt.call, tt.want)
			} else {
				e = w.in(t).turnedAway(tt.call, tt.want, tt.who)
			}
			for _, secret := range tt.call.auth {
				if strings.Contains(e.Error.Message, secret) {
					t.Errorf("the message quotes the credential: %s", e.Error.Message)
				}
			}
		})
	}

	t.Run("good ones pass", func(t *testing.T) {
		w := w.in(t)
		for name, credential := range map[string]string{"key": w.key, "token": token} {
			if r := w.send(call{auth: []string{credential}, body: body}); r.Status != http.StatusOK {
				t.Errorf("%s: status %d: %s", name, r.Status, r.Body)
			}
		}
		if n := w.provider.Rejected(); n != 0 {
			t.Errorf("the provider rejected %d requests: they had another key than its own", n)
		}
	})
}

func TestBodies(t *testing.T) {
	t.Parallel()
	const limit = 1 << 20
	s := setup{settings: map[string]string{"extproc.max_body": "1MiB"}}
	w := start(t, s)
	good := chatBody("gpt-4o", onTask, nil)
	message := func(content string) string {
		return `{"model":"gpt-4o","messages":[{"role":"user","content":` + content + `}]}`
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	z.Write([]byte(good))
	z.Close()
	tests := []struct {
		name string
		call call
		want refusal
	}{
		{"empty", w.chatCall("").with("content-type", "application/json"), badBody},
		{"white space", w.chatCall(" \n "), badBody},
		{"truncated", w.chatCall(good[:len(good)-4]), badBody.at("model")},
		{"not an object", w.chatCall(`["model"]`), badBody},
		{"not JSON", w.chatCall("model=gpt-4o"), badBody},
		{"duplicate model", w.chatCall(strings.Replace(good, `"model":`, `"model":"gpt-4o-mini","model":`, 1)), badBody.at("model")},
		{"duplicate key deep down", w.chatCall(strings.Replace(good, `"role":`, `"content":"x","role":`, 1)), badBody.at("messages[0].content")},
		{"duplicate by an escape", w.chatCall(strings.Replace(good, `"model":`, `"\u006dodel":"gpt-4o-mini","model":`, 1)), badBody.at("model")},
		{"MODEL", w.chatCall(strings.Replace(good, `"model"`, `"MODEL"`, 1)), badBody.at("MODEL")},
		{"both cases", w.chatCall(strings.Replace(good, `"model":`, `"Model":"gpt-4o-mini","model":`, 1)), badBody.at("Model")},
		{"Content", w.chatCall(strings.Replace(good, `"content"`, `"Content"`, 1)), badBody.at("messages[0].Content")},
		{"byte order mark", w.chatCall("\xef\xbb\xbf" + good), badBody},
		{"UTF-16", w.chatCall("{\x00\"\x00m\x00"), badBody},
		{"invalid UTF-8", w.chatCall(message("\"\xff\xfe\"")), badBody.at("messages[0].content")},
		{"overlong UTF-8", w.chatCall(message("\"\xc0\xaf\"")), badBody.at("messages[0].content")},
		{"a lone surrogate", w.chatCall(message(`"\ud800"`)), badBody.at("messages[0].content")},
		{"a lone low surrogate", w.chatCall(message(`"\udc00x"`)), badBody.at("messages[0].content")},
		{"trailing data", w.chatCall(good + "{}"), badBody},
		{"two documents", w.chatCall(good + "\n" + good), badBody},
		{"NaN", w.chatCall(chatBody("gpt-4o", onTask, nil)[:1] + `"temperature":NaN,` + good[1:]), badBody.at("temperature")},
		{"deeply nested content", w.chatCall(message(strings.Repeat("[", 100) + strings.Repeat("]", 100))), badBody.at("messages[0].content[0]")},
		{"deeply nested beyond any stack", w.chatCall(strings.Repeat(`{"a":`, 100_000)), badParameter.at("a")},
		{"no model", w.chatCall(`{"messages":[]}`), badBody.at("model")},
		{"no messages", w.chatCall(`{"model":"gpt-4o"}`), badBody.at("messages")},
		{"a parameter nobody knows", w.chatCall(good[:1] + `"mystery":1,` + good[1:]), badParameter.at("mystery")},
		{"web search", w.chatCall(good[:1] + `"web_search_options":{},` + good[1:]), badParameter.at("web_search_options")},
		{"too large, length told", w.chatCall(chatBody("gpt-4o", strings.Repeat("x ", limit/2), nil)), tooLarge},
		{"too large, chunked", call{auth: []string{w.key}, body: chatBody("gpt-4o", strings.Repeat("x ", limit/2), nil), chunked: true}, tooLarge},
		{"no content type", w.chatCall(good).with("content-type", ""), badMedia},
		{"text/plain", w.chatCall(good).with("content-type", "text/plain"), badMedia},
		{"a form", w.chatCall("model=gpt-4o").with("content-type", "application/x-www-form-urlencoded"), badMedia},
		{"two content types", w.chatCall(good).with("content-type", "application/json").with("content-type", "text/plain"), badMedia},
		{"UTF-16 by its type", w.chatCall(good).with("content-type", "application/json; charset=utf-16"), badMedia},
		{"gzip", w.chatCall(zipped.String()).with("content-encoding", "gzip"), badMedia},
		{"gzip in name only", w.chatCall(good).with("content-encoding", "gzip"), badMedia},
		{"two encodings", w.chatCall(good).with("content-encoding", "identity").with("content-encoding", "br"), badMedia},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, rec := w.in(t).refused(tt.call, tt.want)
			if rec.Principal.User != "ann" || rec.Endpoint != "chat.completions" {
				t.Errorf("the audit names %+v at %q", rec.Principal, rec.Endpoint)
			}
			if strings.Contains(e.Error.Message, "double charge") {
				t.Errorf("the message quotes the prompt: %s", e.Error.Message)
			}
		})
	}
	t.Run("as large as is allowed", func(t *testing.T) {
		w := w.in(t)
		body := chatBody("gpt-4o", onTask, nil)
		body += strings.Repeat(" ", limit-len(body))
		for _, chunked := range []bool{false, true} {
			if r := w.send(call{auth: []string{w.key}, body: body, chunked: chunked}); r.Status != http.StatusOK {
				t.Errorf("chunked %v: status %d: %s", chunked, r.Status, r.Body)
			}
		}
	})
}

func TestModels(t *testing.T) {
	t.Parallel()
	w := start(t, setup{policy: strictPolicy, settings: map[string]string{"prices.unknown_input": "0", "prices.unknown_output": "0"}})
	for _, tt := range []struct{ name, model, words string }{
		{"forbidden", "o3", "Allowed: gpt-*, standin-*, made-up."},
		{"unknown", "claude-3-opus", "Allowed: gpt-*, standin-*, made-up."},
		{"without a price", "made-up", "no price"},
		{"in other letters", "GPT-4o", "Allowed: gpt-*"},
		{"with a space", " gpt-4o", "Allowed: gpt-*"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, rec := w.in(t).refused(w.chatCall(chatBody(tt.model, onTask, nil)), badModel)
			if !strings.Contains(e.Error.Message, tt.words) {
				t.Errorf("the message does not say %q: %s", tt.words, e.Error.Message)
			}
			if rec.Model != tt.model || len(rec.Facts) == 0 {
				t.Errorf("the audit has model %q and %d bytes of facts", rec.Model, len(rec.Facts))
			}
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// flip changes one letter of s.
func flip(s string, at int) string {
	letter := "a"
	if s[at] == 'a' {
		letter = "b"
	}
	return s[:at] + letter + s[at+1:]
}

// unknownKey is a well-formed key that nobody made.
func unknownKey(t testing.TB) string {
	t.Helper()
	secret, _, _, err := identity.NewAppKey()
	must(t, err)
	return secret
}
