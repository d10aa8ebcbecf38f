package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
)

// patience bounds every wait in these tests. A promise that has its own bound is held to that one.
const patience = 15 * time.Second

// call is a request that is written byte by byte, so that it may be one that no client library would send.
type call struct {
	method, path string // POST and the chat endpoint unless given
	auth         []string
	header       [][2]string
	body         string
	chunked      bool // the length is not told before
	promise      int  // a content-length that is not the body's
}

// chatCall is a chat request under ann's key.
func (w *world) chatCall(body string) call { return call{auth: []string{w.key}, body: body} }

// with adds a header.
func (c call) with(name, value string) call {
	c.header = append(append([][2]string(nil), c.header...), [2]string{name, value})
	return c
}

// bytes is the request as it goes over the wire.
func (c call) bytes() []byte {
	if c.path == "" {
		c.path = "/v1/chat/completions"
	}
	if c.method == "" {
		c.method = "POST"
	}
	var b bytes.Buffer
	line := func(parts ...string) { b.WriteString(strings.Join(parts, "") + "\r\n") }
	line(c.method, " ", c.path, " HTTP/1.1")
	line("host: gateway.test")
	typed := false
	for _, h := range c.header {
		line(h[0], ": ", h[1])
		typed = typed || strings.EqualFold(h[0], "content-type")
	}
	for _, a := range c.auth {
		line("authorization: Bearer ", a)
	}
	if c.body != "" && !typed {
		line("content-type: application/json")
	}
	switch {
	case c.chunked:
		line("transfer-encoding: chunked")
	case c.promise > 0:
		line("content-length: ", strconv.Itoa(c.promise))
	case c.body != "" || c.method == "POST":
		line("content-length: ", strconv.Itoa(len(c.body)))
	}
	line()
	if !c.chunked {
		b.WriteString(c.body)
		return b.Bytes()
	}
	chunks := httputil.NewChunkedWriter(&b)
	for rest := c.body; len(rest) > 0; {
		n := min(len(rest), 16<<10)
		chunks.Write([]byte(rest[:n]))
		rest = rest[n:]
	}
	chunks.Close()
	line()
	return b.Bytes()
}

// dial connects to Envoy.
func (w *world) dial() net.Conn {
	w.t.Helper()
	conn := dial(w.t, w.envoy.URL)
	if w.client == nil {
		return conn
	}
	return tls.Client(conn, w.client) // the handshake is with the first byte
}

func dial(t testing.TB, url string) net.Conn {
	t.Helper()
	_, address, _ := strings.Cut(url, "://")
	c, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

// send makes a call and reads the whole answer.
func (w *world) send(c call) response {
	w.t.Helper()
	return exchange(w.t, w.dial(), c)
}

func send(t testing.TB, url string, c call) response {
	t.Helper()
	return exchange(t, dial(t, url), c)
}

// exchange makes a call on a connection, and ends it.
func exchange(t testing.TB, conn net.Conn, c call) response {
	t.Helper()
	defer conn.Close()
	go conn.Write(c.bytes()) // an answer may come before all of it was taken
	r, err := readResponse(conn, c.method)
	if err != nil {
		t.Fatalf("reading the answer: %v", err)
	}
	return r
}

// readResponse reads one answer. What came of one that broke off comes with the error.
func readResponse(conn net.Conn, method string) (response, error) {
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		return response{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	r := response{Status: res.StatusCode, Header: res.Header, Body: string(body), Exchange: res.Header.Get("x-plumbline-request-id")}
	if r.Exchange == "" {
		r.Exchange = plumblineError(body).RequestID
	}
	return r, err
}

// apiError is an error as callers of OpenAI know it.
type apiError struct {
	Error struct {
		Message, Type, Code string
		Param               *string
		Plumbline           struct {
			Reason    core.Reason
			RequestID string     `json:"request_id"`
			Policy    string     `json:"policy"`
			NoticeURL string     `json:"notice_url"`
			ResetAt   *time.Time `json:"reset_at"`
		}
	}
}

// refusal is how a request is refused. Every field is compared; a header with the value "" must be absent, one with "*"
// may have any value.
type refusal struct {
	status     int
	kind, code string
	param      string
	reason     core.Reason
	header     map[string]string
}

// Rows of the table of errors.
var (
	noRetry   = map[string]string{"x-should-retry": "false", "retry-after": "", "retry-after-ms": ""}
	soon      = map[string]string{"x-should-retry": "", "retry-after": "", "retry-after-ms": "*"}
	unsaid    = map[string]string{"x-should-retry": "", "retry-after": "", "retry-after-ms": ""}
	askAgain  = map[string]string{"www-authenticate": `Bearer error="invalid_request"`, "x-should-retry": "", "retry-after-ms": ""}
	badBearer = map[string]string{"www-authenticate": `Bearer error="invalid_token"`, "x-should-retry": "", "retry-after-ms": ""}

	governanceDown = refusal{503, "service_unavailable_error", "governance_unavailable", "", core.ReasonGovernanceDown, soon}
	badBody        = refusal{400, "invalid_request_error", "invalid_json", "", core.ReasonInvalidBody, unsaid}
	badParameter   = refusal{400, "invalid_request_error", "unsupported_parameter", "", core.ReasonUnsupportedParameter, unsaid}
	badMedia       = refusal{415, "invalid_request_error", "unsupported_media_type", "", core.ReasonUnsupportedMediaType, unsaid}
	badModel       = refusal{403, "invalid_request_error", "model_not_found", "model", core.ReasonModelNotAllowed, unsaid}
	badEndpoint    = refusal{403, "invalid_request_error", "endpoint_not_allowed", "", core.ReasonEndpointNotAllowed, unsaid}
	tooLarge       = refusal{413, "invalid_request_error", "body_too_large", "", core.ReasonBodyTooLarge, unsaid}
	offTask        = refusal{403, "permission_error", "task_deviation", "messages", core.ReasonOffTask, noRetry}
	quotaUsedUp    = refusal{429, "insufficient_quota", "insufficient_quota", "", core.ReasonQuotaExhausted, noRetry}
)

// at is the refusal with the field at fault.
func (r refusal) at(param string) refusal {
	r.param = param
	return r
}

// check compares an answer with the refusal it must be and gives it.
func (r refusal) check(t testing.TB, got response) apiError {
	t.Helper()
	var e apiError
	if err := json.Unmarshal([]byte(got.Body), &e); err != nil {
		t.Fatalf("status %d, and the body is no error object (%v): %q", got.Status, err, got.Body)
	}
	compare := func(what string, got, want any) {
		if got != want {
			t.Errorf("%s is %#v, want %#v", what, got, want)
		}
	}
	compare("status", got.Status, r.status)
	compare("content-type", got.Header.Get("content-type"), "application/json")
	compare("type", e.Error.Type, r.kind)
	compare("code", e.Error.Code, r.code)
	compare("reason", e.Error.Plumbline.Reason, r.reason)
	param := ""
	if e.Error.Param != nil {
		param = *e.Error.Param
	}
	compare("param", param, r.param)
	if e.Error.Message == "" {
		t.Error("the error has no message")
	}
	if id := got.Header.Get("x-request-id"); id == "" || e.Error.Plumbline.RequestID != "" && id != e.Error.Plumbline.RequestID {
		t.Errorf("the answer has the x-request-id %q, and says %q", id, e.Error.Plumbline.RequestID)
	}
	for name, want := range r.header {
		switch got := got.Header.Get(name); {
		case want == "*" && got == "":
			t.Errorf("header %s is missing", name)
		case want != "*":
			compare("header "+name, got, want)
		}
	}
	if t.Failed() {
		t.Logf("the answer was: %d %v %s", got.Status, got.Header, got.Body)
	}
	return e
}

// refused makes a call that must be refused, and checks its one deny record and that the provider saw nothing of it.
func (w *world) refused(c call, want refusal) (apiError, core.Record) {
	w.t.Helper()
	before := w.provider.Total()
	got := w.send(c)
	e := want.check(w.t, got)
	rec := w.denied(got.Exchange)
	if rec.Reason != want.reason || rec.Status != want.status || rec.Verdict == nil || !rec.Verdict.Blocked() {
		w.t.Errorf("the audit has reason %s, status %d, verdict %+v", rec.Reason, rec.Status, rec.Verdict)
	}
	w.untouched(before)
	return e, rec
}

// unnamed makes a call that nobody can be named for: it must be refused, the sum of its reason grow by exactly one, and
// the provider see nothing.
func (w *world) unnamed(c call, want refusal) apiError {
	w.t.Helper()
	before, sum := w.provider.Total(), w.refusals(want.reason)
	got := w.send(c)
	e := want.check(w.t, got)
	if now := w.refusals(want.reason); now != sum+1 {
		w.t.Errorf("the audit's sum of %s went from %d to %d", want.reason, sum, now)
	}
	if own := w.all(audit.Query{Exchange: got.Exchange}); got.Exchange != "" && len(own) != 0 {
		w.t.Errorf("the refusal of a caller whom nobody can name has %d records of its own", len(own))
	}
	w.untouched(before)
	return e
}

// turnedAway makes a call with a credential that was good and is refused: it must have one record that names whom it is of,
// when nothing of theirs was refused a moment ago.
func (w *world) turnedAway(c call, want refusal, who string) apiError {
	w.t.Helper()
	must(w.t, w.app.FlushRefusals(w.t.Context()))
	e, rec := w.refused(c, want)
	if rec.Principal.User != who || rec.Principal.Credential == "" && rec.Principal.Method != core.MethodMesh {
		w.t.Errorf("the audit names %+v, want %s", rec.Principal, who)
	}
	return e
}

// untouched checks that the provider received nothing since it had seen that many requests.
func (w *world) untouched(before int64) {
	w.t.Helper()
	if now := w.provider.Total(); now != before {
		w.t.Errorf("the provider received %d requests", now-before)
	}
}

// eventually waits until check reports true.
func eventually(t testing.TB, what string, check func() bool) {
	t.Helper()
	deadline, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for !check() {
		select {
		case <-deadline.Done():
			t.Fatalf("in %v it did not happen that %s", patience, what)
		case <-poll.C:
		}
	}
}

// last gives the newest record of a kind, waiting until there are more than n of them.
func (w *world) last(kind core.RecordKind, n int) core.Record {
	w.t.Helper()
	var entries []audit.Entry
	eventually(w.t, "the audit has another record of kind "+string(kind), func() bool {
		entries = w.all(audit.Query{Kind: kind})
		return len(entries) > n
	})
	return entries[0].Record
}

// all gives the records that match, newest first.
func (w *world) all(q audit.Query) []audit.Entry {
	w.t.Helper()
	q.Limit = 1000
	entries, _, err := w.audit.Search(w.t.Context(), q)
	if err != nil {
		w.t.Fatal(err)
	}
	return entries
}

// auditOf asks for all records of a kind.
func auditOf(kind core.RecordKind) audit.Query { return audit.Query{Kind: kind} }
