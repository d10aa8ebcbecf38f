package app

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/identity"
	"github.com/plumbline/plumbline/internal/store"
)

// TestSigningKeysRotate: a new key signs, those before it verify and are published until their last token has expired, and
// their private halves are gone.
func TestSigningKeysRotate(t *testing.T) {
	a, stop := running(t, testConfig(t, nil))
	defer stop()
	seedPeople(t, a)
	ctx, st, c := store.WithActor(t.Context(), "test"), a.Store(), a.cfg.Identity
	issue := func() string {
		token, _, err := IssueToken(ctx, st, c, identity.IssueRequest{User: "ann", Lifetime: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	before := issue()
	old, _, err := st.Load(ctx)
	if err != nil || len(old.SigningKeys) != 1 {
		t.Fatalf("%d keys, %v", len(old.SigningKeys), err)
	}
	key, err := RotateSigningKey(ctx, st, c, identity.AlgES256)
	if err != nil {
		t.Fatal(err)
	}
	after := issue()
	set := published(t, a)
	if set.Len() != 2 {
		t.Errorf("%d keys are published", set.Len())
	}
	for name, id := range map[string]string{"old": old.SigningKeys[0].ID, "new": key.ID} {
		if _, ok := set.Key(id); !ok {
			t.Errorf("the %s key is not published", name)
		}
	}
	verifier, err := a.newAuthenticator()
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{"before": before, "after": after} {
		if _, denied := verifier.Authenticate(ctx, identity.Evidence{Authorization: []string{"Bearer " + token}}); denied != nil {
			t.Errorf("a token of %s the rotation: %v", name, denied)
		}
	}
	retired, err := st.SigningKeys().Get(ctx, old.SigningKeys[0].ID)
	if err != nil || len(retired.Private) != 0 || retired.Retired.IsZero() {
		t.Errorf("the old key keeps %d bytes of its private half, retired %v, %v", len(retired.Private), retired.Retired, err)
	}

	// Its time is over: it is published no more, and the next rotation deletes it.
	retired.Retired = time.Now().Add(-TokenLife(c) - time.Second)
	if err := st.SigningKeys().Put(ctx, retired); err != nil {
		t.Fatal(err)
	}
	if set := published(t, a); set.Len() != 1 {
		t.Errorf("%d keys are published after the time of one", set.Len())
	}
	if _, err := RotateSigningKey(ctx, st, c, identity.AlgEdDSA); err != nil {
		t.Fatal(err)
	}
	if _, err := st.SigningKeys().Get(ctx, retired.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a key whose time is over is kept: %v", err)
	}
}

// published reads the key set as another service would.
func published(t *testing.T, a *App) *identity.KeySet {
	t.Helper()
	if err := a.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	res, err := http.Get(a.OpsURL() + "/.well-known/jwks.json")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK || res.Header.Get("content-type") != "application/jwk-set+json" ||
		!strings.Contains(res.Header.Get("cache-control"), "max-age=") {
		t.Fatalf("%s, %v, %v", res.Status, res.Header, err)
	}
	set, err := identity.ParseKeySet(data, []string{identity.AlgEdDSA, identity.AlgES256})
	if err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	return set
}

// TestSigningKeysAreBounded: a set that grew beyond what readers take would make all of its keys worthless.
func TestSigningKeysAreBounded(t *testing.T) {
	a, stop := running(t, testConfig(t, nil))
	defer stop()
	ctx := t.Context()
	for range identity.MaxSigningKeys {
		if _, err := RotateSigningKey(ctx, a.Store(), a.cfg.Identity, identity.AlgEdDSA); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := RotateSigningKey(ctx, a.Store(), a.cfg.Identity, identity.AlgEdDSA); err == nil {
		t.Error("one more than readers take")
	}
	if set := published(t, a); set.Len() != identity.MaxSigningKeys {
		t.Errorf("%d keys are published", set.Len())
	}
}

// TestTokensLeaveATrace: issuing and revoking are in the audit, in the name of whoever did it, and the list says what is
// left of each token.
func TestTokensLeaveATrace(t *testing.T) {
	a, stop := running(t, testConfig(t, nil))
	defer stop()
	seedPeople(t, a)
	ctx, st, c := store.WithActor(t.Context(), "cli:root"), a.Store(), a.cfg.Identity
	var kept []core.IssuedToken
	for _, r := range []identity.IssueRequest{
		{User: "ann", Session: "s1"}, {User: "ann", Session: "s2"}, {User: "ben"}, {App: "helpdesk"}, {User: "ben", App: "helpdesk"},
	} {
		r.Lifetime = time.Hour
		_, one, err := IssueToken(ctx, st, c, r)
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, one)
	}
	for _, r := range []core.Revocation{{Session: "s1"}, {TokenID: kept[2].ID}, {Subject: "helpdesk"}} {
		if err := RevokeToken(ctx, st, c, r); err != nil {
			t.Fatal(err)
		}
	}
	kept = append(kept, core.IssuedToken{ID: "OLD", User: "ann", Expires: time.Now().Add(-time.Minute)})
	states, err := TokenStates(ctx, st, kept)
	// The last but one acts for ben: helpdesk is not its subject.
	if got := strings.Join(states, " "); err != nil || got != "revoked good revoked revoked good expired" {
		t.Errorf("the tokens are %s, %v", got, err)
	}
	if err := a.trail.catchUp(ctx); err != nil {
		t.Fatal(err)
	}
	reader, err := audit.OpenReader(ctx, AuditPath(a.cfg.DataDir))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	entries, _, err := reader.Search(ctx, audit.Query{Kind: core.RecordAdmin, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	issued, revoked := map[string]bool{}, 0
	for _, e := range entries {
		if change := e.Record.Admin; change.Actor == "cli:root" {
			issued[change.Object] = change.Action == "issue"
			if change.Action == "revoke" {
				revoked++
			}
		}
	}
	for _, one := range kept[:5] {
		if !issued["token/"+one.ID] {
			t.Errorf("the audit does not say that %s was issued", one.ID)
		}
	}
	if revoked != 3 {
		t.Errorf("the audit has %d revocations", revoked)
	}
}

func TestBlockingKeepsWhatAUserHas(t *testing.T) {
	a, stop := running(t, testConfig(t, nil))
	defer stop()
	seedPeople(t, a)
	for _, blocked := range []bool{true, true, false} {
		if err := BlockUser(t.Context(), a.Store(), "ann", blocked); err != nil {
			t.Fatal(err)
		}
		if u, err := a.Store().Users().Get(t.Context(), "ann"); err != nil || u.Blocked != blocked || u.Team != "support" {
			t.Errorf("%+v, %v", u, err)
		}
	}
	if err := BlockUser(t.Context(), a.Store(), "nobody", true); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("somebody who is not there: %v", err)
	}
}

func TestMeshRulesAreChecked(t *testing.T) {
	c := testConfig(t, map[string]string{"identity.mesh.ids": "spiffe://prod/ns,spiffe://prod/{a} app={a},prod app=x"})
	_, err := LoadMesh(c.Identity.Mesh)
	if err == nil || !strings.Contains(err.Error(), "ids[0]") || !strings.Contains(err.Error(), "ids[2]") || strings.Contains(err.Error(), "ids[1]") {
		t.Errorf("%v: want every rule that cannot be read, and no other", err)
	}
}
