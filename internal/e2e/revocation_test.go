package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/identity"
	"github.com/plumbline/plumbline/internal/store"
)

// TestRevocationCutsAStream ends a credential, in each way there is, while its stream is open: the next chunk is the last,
// within a second, and the credential is refused from then on.
func TestRevocationCutsAStream(t *testing.T) {
	t.Parallel()
	o := setup{objects: objects + "  - {id: other, title: Other work, users: [ben]}\n"}
	o.provider.ChunkPause = 20 * time.Millisecond
	w := start(t, o)
	ctx, st := store.WithActor(t.Context(), "test"), w.app.Store()
	secret, key, err := app.CreateKey(ctx, st, "helpdesk", "ann", time.Hour)
	must(t, err)
	single, singleID := w.issue(identity.IssueRequest{User: "ann"})
	session, _ := w.issue(identity.IssueRequest{User: "ann", Session: "laptop-7"})
	subject, _ := w.issue(identity.IssueRequest{App: "helpdesk"})
	user := w.newKey("helpdesk", "ben")
	spared, _ := w.issue(identity.IssueRequest{User: "ann", Session: "phone-1"})
	signed, _ := w.issue(identity.IssueRequest{User: "ann"})
	w.refresh()
	revoke := func(r core.Revocation) func() error {
		return func() error { return app.RevokeToken(ctx, st, w.cfg.Identity, r) }
	}
	deleteKeys := func() error {
		all, _, err := st.Load(ctx)
		if err != nil {
			return err
		}
		for _, k := range all.SigningKeys {
			if err := st.SigningKeys().Delete(ctx, k.ID); err != nil {
				return err
			}
		}
		return nil
	}
	again := core.ReasonRevokedCredential
	for _, tt := range []struct {
		name, credential string
		end              func() error
		reason, after    core.Reason
	}{
		{"key", secret, func() error { return app.RevokeKey(ctx, st, key.ID) }, again, again},
		{"token", single, revoke(core.Revocation{TokenID: singleID}), again, again},
		{"session", session, revoke(core.Revocation{Session: "laptop-7"}), again, again},
		{"subject", subject, revoke(core.Revocation{Subject: "helpdesk"}), again, again},
		{"user", user, func() error { return app.BlockUser(ctx, st, "ben", true) }, core.ReasonUserBlocked, core.ReasonUserBlocked},
		{"signing key", signed, deleteKeys, again, core.ReasonInvalidCredential},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := w.in(t)
			s := w.open(call{auth: []string{tt.credential}, body: chatBody("standin-long", onTask, map[string]any{"stream": true})})
			s.until(`"content":" hangs"`)
			must(t, tt.end())
			since := time.Now()
			rest := s.until("[DONE]")
			// The directory looks every half second; the rest of the bound is for a busy machine.
			if took := time.Since(since); took > 1500*time.Millisecond {
				t.Errorf("the stream went on for %v", took)
			}
			if !strings.Contains(rest, `"finish_reason":"content_filter"`) || !strings.Contains(rest, `"reason":"`+string(tt.reason)+`"`) {
				t.Errorf("the last chunk does not say why: %q", rest[max(0, len(rest)-400):])
			}
			s.close()
			_, outcome := w.outcome(s.exchange)
			if outcome.Finish != core.FinishCut || outcome.Reason != tt.reason {
				t.Errorf("the audit has finish %s, reason %s", outcome.Finish, outcome.Reason)
			}
			if outcome.Usage.OutputTokens == 0 || !outcome.Usage.Estimated {
				t.Errorf("the audit has usage %+v: what was delivered is charged", outcome.Usage)
			}
			r := w.send(call{auth: []string{tt.credential}, body: chatBody("gpt-4o", onTask, nil)})
			if got := plumblineError([]byte(r.Body)).Reason; got != tt.after {
				t.Errorf("used again: status %d, reason %s, want %s", r.Status, got, tt.after)
			}
			if tt.name != "signing key" {
				if r := w.send(call{auth: []string{spared}, body: chatBody("gpt-4o", onTask, nil)}); r.Status != 200 {
					t.Errorf("another credential of the same person: status %d: %s", r.Status, r.Body)
				}
			}
		})
	}
}

// TestManyRefusalsOfOnePerson: whoever goes on calling with a credential that ended has one record of their own in a while,
// and the others in a sum that names them.
func TestManyRefusalsOfOnePerson(t *testing.T) {
	t.Parallel()
	w := start(t, setup{})
	token, id := w.issue(identity.IssueRequest{User: "ann", App: "helpdesk"})
	other, otherID := w.issue(identity.IssueRequest{User: "ann", App: "helpdesk"})
	ctx := store.WithActor(t.Context(), "test")
	for _, id := range []string{id, otherID} {
		must(t, app.RevokeToken(ctx, w.app.Store(), w.cfg.Identity, core.Revocation{TokenID: id}))
	}
	w.refresh()
	const calls = 20
	for i := range calls {
		w.send(call{auth: []string{[]string{token, other}[i%2]}, body: chatBody("gpt-4o", onTask, nil)})
	}
	must(t, w.app.FlushRefusals(t.Context()))
	denied := w.all(audit.Query{User: "ann", Kind: core.RecordDeny})
	sums := w.all(audit.Query{User: "ann", Kind: core.RecordRefusals})
	var alone, summed int64 = int64(len(denied)), 0
	for _, s := range sums {
		summed += s.Record.Refusals.Count
		if s.Record.Principal.App != "helpdesk" || s.Record.Reason != core.ReasonRevokedCredential || s.Record.Refusals.Network != "127.0.0.0/24" {
			t.Errorf("a sum of %+v: %+v", s.Record.Principal, s.Record.Refusals)
		}
	}
	// The span of ten seconds may have ended once meanwhile.
	if alone < 1 || alone > 2 || alone+summed != calls {
		t.Errorf("%d records and sums of %d, of %d refusals", alone, summed, calls)
	}
	if rec := denied[0].Record; rec.Principal.Method != core.MethodToken || rec.Principal.Credential == "" || rec.Reason != core.ReasonRevokedCredential || rec.Status != 401 {
		t.Errorf("the record: %+v", rec)
	}
}
