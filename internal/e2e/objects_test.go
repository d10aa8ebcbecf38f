package e2e

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/openai"
)

const takesFiles = allowAll + "requests:\n  file_purposes: [user_data]\n"

// as sends a request under somebody's key. A body that begins with "--" is a form.
func (w *world) as(key, method, path, body string) response {
	w.t.Helper()
	req := w.request(method, path, body)
	req.Header.Set("authorization", "Bearer "+key)
	if strings.HasPrefix(body, "--") {
		req.Header.Set("content-type", "multipart/form-data; boundary=XX")
	}
	return w.do(req)
}

const aFile = "--XX\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nuser_data\r\n" +
	"--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"notes.txt\"\r\n\r\nwords\r\n--XX--\r\n"

// respondTo is a body of POST /v1/responses, with more members.
func respondTo(more string) string {
	return fmt.Sprintf(`{"model":"gpt-4o-mini","max_output_tokens":50,"input":%q%s}`, onTask, more)
}

// newObject has somebody make an object and gives its id.
func (w *world) newObject(key, path, body string) string {
	w.t.Helper()
	r := w.as(key, "POST", path, body)
	id, _, _ := strings.Cut(strings.TrimPrefix(r.Body[max(strings.Index(r.Body, `"id":"`), 0):], `"id":"`), `"`)
	if r.Status != http.StatusOK || !openai.IsID(id) {
		w.t.Fatalf("POST %s: %d %s", path, r.Status, r.Body)
	}
	_, outcome := w.outcome(r.Exchange)
	if n := len(outcome.Objects); n == 0 || outcome.Objects[n-1].ID != id {
		w.t.Errorf("the outcome names %v, not %s", outcome.Objects, id)
	}
	return id
}

// Every row of owned endpoints, through a real Envoy: the one who made an object gets at it, to others it is not there,
// and that stays so over a restart.
func TestObjectsAtTheProvider(t *testing.T) {
	account, upstream := newAccount(t)
	w := start(t, setup{upstream: upstream, policy: takesFiles})
	ann, ben, app := w.key, w.newKey("helpdesk", "ben"), w.newKey("helpdesk", "")
	resp := w.newObject(ann, "/v1/responses", respondTo(""))
	streamed := w.newObject(ann, "/v1/responses", respondTo(`,"stream":true`))
	conv := w.newObject(ann, "/v1/conversations", `{"metadata":{"about":"refunds"}}`)
	file := w.newObject(ann, "/v1/files", aFile)
	vs := w.newObject(ann, "/v1/vector_stores", `{"name":"bills","file_ids":["`+file+`"]}`)
	items := fmt.Sprintf(`{"items":[{"type":"message","role":"user","content":%q}]}`, onTask)
	ofApp := w.newObject(app, "/v1/files", aFile)

	rows := []struct{ method, path, body string }{
		{"GET", "/v1/responses/" + resp, ""},
		{"GET", "/v1/responses/" + streamed, ""},
		{"GET", "/v1/responses/" + resp + "/input_items?limit=5&order=desc", ""},
		{"POST", "/v1/responses/" + resp + "/cancel", ""},
		{"POST", "/v1/responses", respondTo(`,"store":false,"previous_response_id":"` + resp + `"`)},
		{"POST", "/v1/responses", respondTo(`,"store":false,"conversation":"` + conv + `"`)},
		{"GET", "/v1/conversations/" + conv, ""},
		{"POST", "/v1/conversations/" + conv, `{"metadata":{}}`},
		{"GET", "/v1/conversations/" + conv + "/items?after=msg_1", ""},
		{"GET", "/v1/conversations/" + conv + "/items/msg_1", ""},
		{"DELETE", "/v1/conversations/" + conv + "/items/msg_1", ""},
		{"POST", "/v1/conversations/" + conv + "/items", items},
		{"GET", "/v1/vector_stores/" + vs, ""},
		{"POST", "/v1/vector_stores/" + vs, `{"name":"bills"}`},
		{"POST", "/v1/vector_stores/" + vs + "/search", fmt.Sprintf(`{"query":%q}`, onTask)},
		{"GET", "/v1/vector_stores/" + vs + "/files?limit=5", ""},
		{"GET", "/v1/vector_stores?after=" + vs, ""},
		{"GET", "/v1/files/" + file, ""},
		{"GET", "/v1/files/" + file + "/content", ""},
		{"GET", "/v1/files?after=" + file, ""},
		{"DELETE", "/v1/files/" + file, ""},
		{"DELETE", "/v1/conversations/" + conv, ""},
		{"DELETE", "/v1/vector_stores/" + vs, ""},
		{"DELETE", "/v1/responses/" + resp, ""},
	}
	refusedToOthers := func(t *testing.T) {
		for _, row := range rows {
			for _, other := range []string{ben, app} {
				r := w.as(other, row.method, row.path, row.body)
				e := plumblineError([]byte(r.Body))
				if r.Status != http.StatusNotFound || e.Reason != core.ReasonObjectNotFound || !strings.Contains(r.Body, `"type":"invalid_request_error"`) {
					t.Errorf("%s %s of another: %d %s", row.method, row.path, r.Status, r.Body)
				}
				if rec := w.denied(r.Exchange); len(rec.Objects) != 1 || rec.Reason != core.ReasonObjectNotFound {
					t.Errorf("%s %s of another is recorded as %+v", row.method, row.path, rec)
				}
			}
		}
		for key, own := range map[string]string{ann: file, ben: "", app: ofApp} {
			r := w.as(key, "GET", "/v1/files", "")
			if r.Status != http.StatusOK || strings.Count(r.Body, "of-somebody") != len(own)/max(len(own), 1) || !strings.Contains(r.Body, own) {
				t.Errorf("the one with %q sees %d %s", own, r.Status, r.Body)
			}
		}
	}
	refusedToOthers(t)
	if r := w.as(ann, "GET", "/v1/responses/"+resp+"x", ""); r.Status != http.StatusNotFound {
		t.Errorf("what nobody made: %d %s", r.Status, r.Body)
	}

	// A new Plumbline on the same files knows it all.
	w.stop()
	w.serve(setup{objects: objects})
	if w.app.Socket() != w.cfg.ExtProc.Socket {
		t.Fatalf("Envoy calls %s, and Plumbline is at %s", w.cfg.ExtProc.Socket, w.app.Socket())
	}
	refusedToOthers(t)
	for _, row := range rows {
		r := w.as(ann, row.method, row.path, row.body)
		if r.Status != http.StatusOK {
			t.Errorf("%s %s of one's own: %d %s", row.method, row.path, r.Status, r.Body)
		}
		if intent, outcome := w.outcome(r.Exchange); len(intent.Objects) != 1 || outcome.Finish != core.FinishComplete {
			t.Errorf("%s %s is recorded as %+v and %+v", row.method, row.path, intent.Objects, outcome)
		}
	}
	for _, path := range []string{"/v1/files/" + file, "/v1/conversations/" + conv, "/v1/vector_stores/" + vs, "/v1/responses/" + resp} {
		if account.has(path) {
			t.Errorf("%s is still there", path)
		}
		if r := w.as(ann, "GET", path, ""); r.Status != http.StatusNotFound || plumblineError([]byte(r.Body)).Reason != core.ReasonObjectNotFound {
			t.Errorf("%s after its deletion: %d %s", path, r.Status, r.Body)
		}
	}
}

// What would let prompts pass unread or uncharged is refused, in words that say so.
func TestObjectsThatStayDenied(t *testing.T) {
	account, upstream := newAccount(t)
	w := start(t, setup{upstream: upstream})
	conv := w.newObject(w.key, "/v1/conversations", "{}")
	before := account.made
	for _, tt := range []struct {
		method, path, body string
		status             int
		words              string
	}{
		{"POST", "/v1/files", aFile, 400, "what they hold is not judged"},
		{"POST", "/v1/files", strings.Replace(aFile, "user_data", "batch", 1), 400, "unread and uncharged"},
		{"POST", "/v1/files", `{"purpose":"user_data"}`, 415, "multipart/form-data"},
		{"POST", "/v1/uploads", "{}", 403, "unread or uncharged"},
		{"POST", "/v1/conversations/" + conv + "/items", `{"items":[{"type":"item_reference","id":"msg_1"}]}`, 400, "cannot be judged"},
		{"POST", "/v1/conversations/" + conv, `{"items":[]}`, 400, "not a parameter that is known here"},
		{"POST", "/v1/vector_stores", `{"unheard_of":1}`, 400, "not a parameter that is known here"},
		{"POST", "/v1/responses", `{"model":"gpt-4o-mini","input":[{"role":"user","content":[{"type":"input_file","file_id":"file-1"}]}]}`, 400, "requests.file_ids"},
		{"GET", "/v1/files?limit=10", "", 400, "after, order, purpose"},
		{"GET", "/v1/responses/" + "resp_1?stream=true", "", 400, "include"},
		{"POST", "/v1/responses", respondTo(`,"background":true`), 400, "background"},
	} {
		if r := w.as(w.key, tt.method, tt.path, tt.body); r.Status != tt.status || !strings.Contains(r.Body, tt.words) {
			t.Errorf("%s %s %s: %d %s, want %d and %q", tt.method, tt.path, tt.body, r.Status, r.Body, tt.status, tt.words)
		}
	}
	if account.made != before {
		t.Errorf("%d objects were made", account.made-before)
	}
}

// Whatever moment Plumbline is killed at, no id that anybody ever saw is good for another, and one that its maker got with
// a whole answer is good for its maker.
func TestKilledBetweenAnswerAndOwner(t *testing.T) {
	account, upstream := newAccount(t)
	account.pause = 3 * time.Millisecond
	s := serve(t, setup{upstream: upstream})
	ben := strings.TrimSpace(s.run("key", "create", "--app", "helpdesk", "--user", "ben"))
	var mu sync.Mutex
	seen, whole := map[string]bool{}, map[string]bool{} // by path
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var callers sync.WaitGroup
	for i := range 4 {
		callers.Go(func() {
			for ctx.Err() == nil {
				collection, body := "/v1/responses", respondTo(fmt.Sprintf(`,"stream":%v`, i%2 == 0))
				if i == 3 {
					collection, body = "/v1/vector_stores", `{"name":"bills"}`
				}
				id, complete := s.objectOf(ctx, collection, body)
				if id == "" {
					pause(ctx, 5*time.Millisecond)
					continue
				}
				mu.Lock()
				id = collection + "/" + id
				seen[id], whole[id] = true, whole[id] || complete
				mu.Unlock()
			}
		})
	}
	for range kills(t) {
		pause(ctx, time.Duration(30+rand.IntN(200))*time.Millisecond)
		s.process.kill()
		s.start()
	}
	stop()
	callers.Wait()
	kept, lost := 0, 0
	for id := range seen {
		if r := s.as(ben, "GET", id, ""); r.Status != http.StatusNotFound {
			t.Errorf("%s of ann's is good for ben: %d %s", id, r.Status, r.Body)
		}
		switch r := s.as(s.key, "GET", id, ""); {
		case r.Status == http.StatusOK:
			kept++
		case whole[id]:
			t.Errorf("%s, which ann got whole, is not hers: %d %s", id, r.Status, r.Body)
		default:
			lost++
		}
	}
	t.Logf("%d ids were seen: %d are their maker's, %d are nobody's since Plumbline was killed before the end of the answer", len(seen), kept, lost)
	if kept < kills(t) {
		t.Error("too few to prove anything")
	}
}

// objectOf makes an object and gives the id that its caller saw, and whether it saw the whole answer.
func (s *server) objectOf(ctx context.Context, path, body string) (id string, whole bool) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.envoy.URL+path, strings.NewReader(body))
	if err != nil {
		return "", false
	}
	req.Header.Set("authorization", "Bearer "+s.key)
	req.Header.Set("content-type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", false
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	for _, prefix := range []string{"resp_", "vs_"} {
		if _, rest, ok := strings.Cut(string(answer), `"id":"`+prefix); ok {
			number, _, _ := strings.Cut(rest, `"`)
			id = prefix + number
		}
	}
	ends := strings.Contains(string(answer), `"status":"completed"`) || strings.HasSuffix(string(answer), `"created_at":1}`)
	return id, err == nil && res.StatusCode == http.StatusOK && ends
}
