package e2e

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/testkit"
)

// within is the bound on how long a change takes to be in force. The directory looks every half second; the rest is for
// a busy machine.
const within = 1500 * time.Millisecond

// What an administrator changes by the command line takes effect in the running process within a second, and is in the
// audit in their name.
func TestCommandsBesideAServer(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	// ask gives the status of a call and the code of its refusal.
	ask := func(key string) (status int, code string) {
		r := s.send(call{auth: []string{key}, body: chatBody("gpt-4o", onTask, nil)})
		var e apiError
		if r.Status != http.StatusOK {
			must(t, json.Unmarshal([]byte(r.Body), &e))
		}
		return r.Status, e.Error.Code
	}
	takesEffect := func(what, key string, want int) {
		t.Helper()
		since := time.Now()
		var code string
		eventually(t, what+" takes effect", func() bool {
			var status int
			status, code = ask(key)
			return status == want
		})
		if took := time.Since(since); took > within {
			t.Errorf("%s took effect after %v (%s)", what, took, code)
		}
	}

	s.run("user", "put", "zoe", "--name", "Zoe", "--team", "support")
	secret := s.run("key", "create", "--app", "helpdesk", "--user", "zoe", "--expires", "1h")
	key := strings.TrimSpace(secret)
	takesEffect("a new person's new key", key, http.StatusOK)

	s.run("user", "put", "zoe", "--name", "Zoe", "--team", "support", "--blocked")
	takesEffect("the block", key, http.StatusForbidden)
	s.run("user", "put", "zoe", "--name", "Zoe", "--team", "support")
	takesEffect("the end of the block", key, http.StatusOK)

	id := s.keyOf("zoe")
	s.run("key", "revoke", id)
	takesEffect("the revocation", key, http.StatusUnauthorized)
	if status, _ := ask(s.key); status != http.StatusOK {
		t.Errorf("another key got %d", status)
	}

	s.run("limit", "set", "none-left", "--scope", "user", "--subject", "ann", "--dimension", "requests", "--window", "month", "--value", "0")
	takesEffect("the limit", s.key, http.StatusTooManyRequests)
	s.run("limit", "delete", "none-left")
	takesEffect("the end of the limit", s.key, http.StatusOK)

	want := map[string]int{
		"put user/zoe": 3, "issue key/" + id: 1, "revoke key/" + id: 1, "put limit/none-left": 1, "delete limit/none-left": 1,
	}
	var changes []core.Record
	eventually(t, "every change is in the audit", func() bool {
		changes = nil
		must(t, json.Unmarshal([]byte(s.run("audit", "search", "--kind", "admin", "-o", "json")), &changes))
		n := 0
		for _, r := range changes {
			if strings.HasPrefix(r.Admin.Actor, "cli:") {
				n++
			}
		}
		return n >= 7
	})
	for _, r := range changes {
		switch {
		case r.Admin.Actor == "test": // what the test itself seeded
		case r.Admin.Actor == "file" && strings.HasPrefix(r.Admin.Object, "policy/"): // what the configuration names
		case strings.HasPrefix(r.Admin.Actor, "cli:") && len(r.Admin.Actor) > len("cli:"):
			want[r.Admin.Action+" "+r.Admin.Object]--
		default:
			t.Errorf("%s %s is by %q", r.Admin.Action, r.Admin.Object, r.Admin.Actor)
		}
	}
	for change, missing := range want {
		if missing != 0 {
			t.Errorf("%q: the audit has %d records too few", change, missing)
		}
	}
	for _, r := range changes {
		if data, _ := json.Marshal(r); strings.Contains(string(data), key) {
			t.Errorf("the audit holds the key: %s", data)
		}
	}
}

// keyOf gives the id of a person's one key.
func (s *server) keyOf(user string) string {
	s.t.Helper()
	var keys []core.AppKey
	must(s.t, json.Unmarshal([]byte(s.run("key", "list", "-o", "json")), &keys))
	id := ""
	for _, k := range keys {
		if k.User == user {
			id = k.ID
		}
	}
	if id == "" {
		s.t.Fatalf("%s has no key in %+v", user, keys)
	}
	return id
}

// The audit is read while it is written: searched, verified and followed.
func TestAuditBesideAServer(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	allowed := s.chat(chatBody("gpt-4o", onTask, nil))
	refused := s.chat(`{"model":`)
	s.outcome(allowed.Exchange)
	s.denied(refused.Exchange)

	var found []core.Record
	must(t, json.Unmarshal([]byte(s.run("audit", "search", "--exchange", allowed.Exchange, "-o", "json")), &found))
	if len(found) != 2 || found[0].Kind != core.RecordOutcome || found[1].Kind != core.RecordIntent || found[0].Usage == nil {
		t.Errorf("the search found %+v", found)
	}
	table := s.run("audit", "search", "--user", "ann", "--reason", "invalid_body")
	if !strings.Contains(table, refused.Exchange) || strings.Contains(table, allowed.Exchange) {
		t.Errorf("the search by reason found:\n%s", table)
	}
	if verified := s.run("audit", "verify"); !strings.Contains(verified, "none is missing or changed") {
		t.Errorf("verify says %q", verified)
	}

	out := &testkit.Buffer{}
	cmd := s.command("tail")
	cmd.Stdout, cmd.Stderr = out, out
	tail := launch(t, cmd)
	var later []string
	eventually(t, "tail shows a call that is made beside it", func() bool { // it shows what came after its own start
		later = append(later, s.chat(chatBody("gpt-4o", onTask, nil)).Exchange)
		return slices.ContainsFunc(later, func(exchange string) bool { return strings.Contains(out.String(), exchange) })
	})
	if shown := out.String(); strings.Contains(shown, allowed.Exchange) {
		t.Errorf("tail shows what was before it:\n%s", shown)
	}
	tail.stop()
}
