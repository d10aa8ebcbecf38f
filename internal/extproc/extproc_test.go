package extproc_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/extproc"
	"github.com/plumbline/plumbline/internal/gate/gatetest"
	"github.com/plumbline/plumbline/internal/testkit/fakeenvoy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	question = `{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Summarise the open tickets of the support team."}]}`
	stream   = `{"model":"gpt-4o-mini","stream":true,"messages":[{"role":"user","content":"Summarise the open tickets of the support team."}]}`
	answered = `{"id":"c","object":"chat.completion","created":1,"model":"gpt-4o-mini","choices":[{"index":0,"message":` +
		`{"role":"assistant","content":"All is well."},"finish_reason":"stop"}],"usage":{"prompt_tokens":20,"completion_tokens":4}}`
	piece = `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"gpt-4o-mini",` +
		`"choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}` + "\n\n"
	done = "data: [DONE]\n\n"
)

// bodies is the room for request bodies that the servers of these tests have, in bytes.
const bodies = 64 << 20

// env is a fake Envoy in front of a server in front of a gate.
type env struct {
	*gatetest.World
	envoy  *fakeenvoy.Envoy
	server *extproc.Server
}

func newEnv(t testing.TB, o fakeenvoy.Options, w gatetest.Options) *env {
	t.Helper()
	e := &env{World: gatetest.New(t, w)}
	e.server = extproc.New(extproc.Options{Gate: e.Gate, Log: slog.New(slog.DiscardHandler), MaxBodyBytesInFlight: bodies})
	e.envoy = fakeenvoy.New(t, e.server, o)
	return e
}

// good adds the credential that is good.
func good(more ...fakeenvoy.Header) []fakeenvoy.Header {
	return append([]fakeenvoy.Header{{"authorization", gatetest.Credential}}, more...)
}

// head are the headers of a whole request, for exchanges that are driven step by step.
func head(more ...fakeenvoy.Header) []fakeenvoy.Header {
	return append([]fakeenvoy.Header{
		{":method", "POST"},
		{":path", "/v1/chat/completions"},
		{":scheme", "http"},
		{":authority", "localhost"},
		{"content-type", "application/json"},
	}, good(more...)...)
}

func (e *env) do(t testing.TB, x fakeenvoy.Exchange) *fakeenvoy.Result {
	t.Helper()
	r, err := e.envoy.Do(t.Context(), x)
	if err != nil {
		t.Fatalf("Do: %v", err)
	}
	e.quiet(t)
	return r
}

func (e *env) open(t testing.TB) *fakeenvoy.Stream {
	t.Helper()
	s, err := e.envoy.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// quiet checks that the exchanges, which are over, left nothing behind.
func (e *env) quiet(t testing.TB) {
	t.Helper()
	if n := e.server.OpenStreams(); n != 0 {
		t.Errorf("%d streams are still open", n)
	}
	if n := e.server.BodyBytesInFlight(); n != 0 {
		t.Errorf("%d bytes of bodies are still spoken for", n)
	}
	if n := e.Ledger.Pending(); n != 0 {
		t.Errorf("%d reservations are still held", n)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func answer(fakeenvoy.Forwarded) fakeenvoy.Answer { return fakeenvoy.JSON(200, answered) }

func events(chunks ...string) func(fakeenvoy.Forwarded) fakeenvoy.Answer {
	return func(fakeenvoy.Forwarded) fakeenvoy.Answer { return fakeenvoy.EventStream(chunks...) }
}

// finishes gives the finish of each outcome, in order.
func (e *env) finishes() []core.Finish {
	var all []core.Finish
	for _, r := range e.Records() {
		if r.Kind == core.RecordOutcome {
			all = append(all, r.Finish)
		}
	}
	return all
}

// Each message is answered by its own type, in each shape in which Envoy sends a request and an answer; the fake Envoy
// reports every broken rule.
func TestEveryShapeOfAnExchange(t *testing.T) {
	split := func(s string) (chunks []string) {
		for i := range len(s) {
			chunks = append(chunks, s[i:i+1])
		}
		return chunks
	}
	trailers := []fakeenvoy.Header{{"x-checksum", "1"}}
	for name, c := range map[string]struct {
		x    fakeenvoy.Exchange
		want string // of the body
	}{
		"JSON":               {fakeenvoy.Exchange{Body: []byte(question), Upstream: answer}, answered},
		"request trailers":   {fakeenvoy.Exchange{Body: []byte(question), Trailers: trailers, Upstream: answer}, answered},
		"a stream":           {fakeenvoy.Exchange{Body: []byte(stream), Upstream: events(piece, piece, done)}, piece + piece + done},
		"one-byte chunks":    {fakeenvoy.Exchange{Body: []byte(stream), Upstream: events(split(piece + done)...)}, piece + done},
		"empty chunks":       {fakeenvoy.Exchange{Body: []byte(stream), Upstream: events("", piece, "", done, "")}, piece + done},
		"one chunk":          {fakeenvoy.Exchange{Body: []byte(stream), Upstream: events(piece + done)}, piece + done},
		"an end of its own":  {fakeenvoy.Exchange{Body: []byte(stream), Upstream: lastFull(piece, done)}, piece + done},
		"response trailers":  {fakeenvoy.Exchange{Body: []byte(stream), Upstream: withTrailers(piece, done)}, piece + done},
		"a header-only read": {fakeenvoy.Exchange{Headers: []fakeenvoy.Header{{":method", "GET"}, {":path", "/v1/models"}}, Upstream: models}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, fakeenvoy.Options{}, gatetest.Options{})
			c.x.Headers = append(good(), c.x.Headers...)
			r := e.do(t, c.x)
			if r.Status != 200 || r.Immediate || c.want != "" && string(r.Body) != c.want {
				t.Errorf("the client got %d %q, want %q", r.Status, r.Body, c.want)
			}
			if got := e.finishes(); len(got) != 1 || got[0] != core.FinishComplete {
				t.Errorf("outcomes %v, want one that is complete", got)
			}
			if status.Code(r.Handler) != codes.Canceled {
				t.Errorf("the handler returned %v for the reset with which Envoy ends a stream", r.Handler)
			}
		})
	}
}

func lastFull(chunks ...string) func(fakeenvoy.Forwarded) fakeenvoy.Answer {
	return func(fakeenvoy.Forwarded) fakeenvoy.Answer {
		a := fakeenvoy.EventStream(chunks...)
		a.EmptyLast = false
		return a
	}
}

func withTrailers(chunks ...string) func(fakeenvoy.Forwarded) fakeenvoy.Answer {
	return func(fakeenvoy.Forwarded) fakeenvoy.Answer {
		a := fakeenvoy.EventStream(chunks...)
		a.EmptyLast, a.Trailers = false, []fakeenvoy.Header{{"x-checksum", "1"}}
		return a
	}
}

func models(fakeenvoy.Forwarded) fakeenvoy.Answer {
	return fakeenvoy.JSON(200, `{"object":"list","data":[{"id":"gpt-4o-mini","object":"model"}]}`)
}

func TestWhatTheProviderGets(t *testing.T) {
	e := newEnv(t, fakeenvoy.Options{}, gatetest.Options{})
	var got fakeenvoy.Forwarded
	r := e.do(t, fakeenvoy.Exchange{
		Headers: good(
			fakeenvoy.Header{"cookie", "a=b"},
			fakeenvoy.Header{"x-forwarded-user", "eve"}, fakeenvoy.Header{"x-forwarded-client-cert", "By=eve"},
			fakeenvoy.Header{"x-forwarded-host", "inside"}, fakeenvoy.Header{"forwarded", "for=10.0.0.1"},
			fakeenvoy.Header{"openai-organization", "org"}, fakeenvoy.Header{"x-kept", "yes"},
		),
		Body:     []byte(stream),
		Upstream: func(f fakeenvoy.Forwarded) fakeenvoy.Answer { got = f; return fakeenvoy.EventStream(piece, done) },
	})
	if r.Status != 200 {
		t.Fatalf("refused: %d %s", r.Status, r.Body)
	}
	for _, name := range []string{"cookie", "x-forwarded-user", "x-forwarded-client-cert", "x-forwarded-host", "forwarded", "openai-organization"} {
		if v := got.Header(name); v != "" {
			t.Errorf("%s reached the provider: %s", name, v)
		}
	}
	for name, want := range map[string]string{
		"authorization": "Bearer " + gatetest.Key, "accept-encoding": "identity", "x-kept": "yes",
		"content-length": fmt.Sprint(len(got.Body)),
	} {
		if v := got.Header(name); v != want {
			t.Errorf("%s is %q, want %q", name, v, want)
		}
	}
	if len(got.Body) == len(stream) || !strings.Contains(string(got.Body), "include_usage") {
		t.Errorf("the body was not rewritten: %s", got.Body)
	}
}

// Refusals have a status, JSON and the exchange's id in Envoy's access log; nothing is forwarded.
func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		x      fakeenvoy.Exchange
		status int
		reason core.Reason
	}{
		"no credential":     {fakeenvoy.Exchange{Body: []byte(question)}, 401, core.ReasonInvalidCredential},
		"two credentials":   {fakeenvoy.Exchange{Headers: good(fakeenvoy.Header{"api-key", "k"}), Body: []byte(question)}, 401, core.ReasonInvalidCredential},
		"unknown endpoint":  {fakeenvoy.Exchange{Headers: good(fakeenvoy.Header{":path", "/v1/batches"}), Body: []byte(question)}, 403, core.ReasonEndpointNotAllowed},
		"no body":           {fakeenvoy.Exchange{Headers: good(fakeenvoy.Header{"content-type", "application/json"})}, 400, core.ReasonInvalidBody},
		"an empty body":     {fakeenvoy.Exchange{Headers: good(), Body: []byte{}}, 400, core.ReasonInvalidBody},
		"not JSON":          {fakeenvoy.Exchange{Headers: good(), Body: []byte("hello")}, 400, core.ReasonInvalidBody},
		"a length too much": {fakeenvoy.Exchange{Headers: good(fakeenvoy.Header{"content-length", "999999999"}), Body: []byte(question)}, 413, core.ReasonBodyTooLarge},
		"compressed":        {fakeenvoy.Exchange{Headers: good(fakeenvoy.Header{"content-encoding", "gzip"}), Body: []byte(question)}, 415, core.ReasonUnsupportedMediaType},
		"the type twice": {
			fakeenvoy.Exchange{Headers: append(good(), fakeenvoy.Header{"content-type", "application/json"}), Body: []byte(question)},
			415, core.ReasonUnsupportedMediaType,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, fakeenvoy.Options{}, gatetest.Options{})
			r := e.do(t, c.x)
			if r.Status != c.status || !strings.Contains(string(r.Body), string(c.reason)) || !r.Immediate {
				t.Errorf("the client got %d %s, want %d %s", r.Status, r.Body, c.status, c.reason)
			}
			if r.Forwarded != nil {
				t.Error("the request was forwarded")
			}
		})
	}
}

func TestModesThatLetSomethingPassUnreadAreRefused(t *testing.T) {
	for name, o := range wrongModes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, o, gatetest.Options{})
			for _, body := range []string{question, ""} {
				x := fakeenvoy.Exchange{Headers: good(), Upstream: answer}
				if body == "" {
					x.Headers = good(fakeenvoy.Header{":method", "GET"}, fakeenvoy.Header{":path", "/v1/models"})
				} else {
					x.Body = []byte(body)
				}
				r := e.do(t, x)
				if r.Status != 503 || r.Forwarded != nil || !strings.Contains(string(r.Body), string(core.ReasonGovernanceDown)) {
					t.Errorf("the client got %d %s, forwarded %t", r.Status, r.Body, r.Forwarded != nil)
				}
			}
		})
	}
}

func TestEnvoysOwnRepliesAreReplaced(t *testing.T) {
	t.Run("provider down", func(t *testing.T) {
		e := newEnv(t, fakeenvoy.Options{}, gatetest.Options{})
		r := e.do(t, fakeenvoy.Exchange{Headers: good(), Body: []byte(question), Upstream: func(fakeenvoy.Forwarded) fakeenvoy.Answer {
			return fakeenvoy.Answer{Status: 503, Details: fakeenvoy.DetailsReset, Chunks: [][]byte{[]byte("upstream connect error")}}
		}})
		if r.Status != 502 || !strings.Contains(string(r.Body), string(core.ReasonUpstreamError)) {
			t.Errorf("the client got %d %s", r.Status, r.Body)
		}
	})
	t.Run("body too large", func(t *testing.T) {
		e := newEnv(t, fakeenvoy.Options{BodyLimit: 64}, gatetest.Options{})
		r := e.do(t, fakeenvoy.Exchange{Headers: good(), Body: []byte(question)})
		if r.Status != 413 || !strings.Contains(string(r.Body), string(core.ReasonBodyTooLarge)) {
			t.Errorf("the client got %d %s", r.Status, r.Body)
		}
		if rec := e.Record(t, core.RecordDeny); rec.Reason != core.ReasonBodyTooLarge {
			t.Errorf("the record says %s", rec.Reason)
		}
	})
	t.Run("before the request was seen", func(t *testing.T) {
		e := newEnv(t, fakeenvoy.Options{}, gatetest.Options{})
		s := e.open(t)
		_ = s.ResponseHeaders([]fakeenvoy.Header{{":status", "400"}}, "path_normalization_failed", true)
		if s.Immediate == nil || s.Immediate.Status != 403 {
			t.Errorf("the reply is %+v", s.Immediate)
		}
		s.Close()
		if e.Refusals() != 1 {
			t.Errorf("%d refusals were counted, want 1", e.Refusals())
		}
	})
}

// After the cut the client has a whole stream; what goes on is withheld, and a provider that goes on for too long reset.
func TestCutStream(t *testing.T) {
	e := newEnv(t, fakeenvoy.Options{}, gatetest.Options{})
	s := e.open(t)
	must(t, s.RequestHeaders(head(), false))
	_, err := s.RequestBody([]byte(stream), true)
	must(t, err)
	must(t, s.ResponseHeaders([]fakeenvoy.Header{{":status", "200"}, {"content-type", "text/event-stream"}}, fakeenvoy.DetailsUpstream, false))
	e.End(core.ReasonUserBlocked)
	out, err := s.ResponseBody([]byte(piece), false)
	must(t, err)
	if !strings.HasSuffix(string(out), done) || strings.Contains(string(out), "word") {
		t.Errorf("the client got %q", out)
	}
	big := strings.Repeat(piece, 1000)
	for range 20 {
		if out, err = s.ResponseBody([]byte(big), false); err != nil {
			break
		}
		if len(out) != 0 {
			t.Fatalf("after the cut the client got %q", out)
		}
	}
	var over *fakeenvoy.StreamError
	if !errors.As(err, &over) || status.Code(over.Err) != codes.Aborted {
		t.Errorf("the provider went on without an end: %v", err)
	}
	must(t, ignoreHandler(s.Close()))
	if got := e.finishes(); len(got) != 1 || got[0] != core.FinishCut {
		t.Errorf("outcomes %v", got)
	}
	e.quiet(t)
}

func ignoreHandler(_, violation error) error { return violation }

func TestRoomForBodies(t *testing.T) {
	e := newEnv(t, fakeenvoy.Options{}, gatetest.Options{})
	// Bodies of unknown length take as much as their endpoint allows: 4 MiB of 64.
	var waiting []*fakeenvoy.Stream
	for {
		s := e.open(t)
		must(t, s.RequestHeaders(head(), false))
		if s.Immediate != nil {
			if s.Immediate.Status != 503 || !strings.Contains(string(s.Immediate.Body), string(core.ReasonOverloaded)) {
				t.Errorf("refused with %d %s", s.Immediate.Status, s.Immediate.Body)
			}
			s.Close()
			break
		}
		waiting = append(waiting, s)
		if len(waiting) > bodies>>20 {
			t.Fatal("there is room without an end")
		}
	}
	if got := e.server.BodyBytesInFlight(); got > bodies || len(waiting) == 0 {
		t.Errorf("%d bytes are spoken for by %d streams, of %d", got, len(waiting), bodies)
	}
	// Every ending gives its room back.
	for i, s := range waiting {
		switch i % 4 {
		case 0:
			_ = s.Cancel()
		case 1:
			_ = s.HangUp()
		case 2:
			_, err := s.RequestBody([]byte(question), true)
			must(t, err)
			if want := e.server.BodyBytesInFlight(); want > int64(len(waiting)-i-1)<<22 {
				t.Errorf("the room of a body that was admitted is still taken")
			}
			s.Close()
		case 3:
			_ = s.ResponseHeaders([]fakeenvoy.Header{{":status", "413"}}, fakeenvoy.DetailsTooLarge, true)
			s.Close()
		}
	}
	e.quiet(t)
	if r := e.do(t, fakeenvoy.Exchange{Headers: good(), Body: []byte(question), Upstream: answer}); r.Status != 200 {
		t.Errorf("after all had ended: %d %s", r.Status, r.Body)
	}
}

// The access log can be joined with the audit.
func TestMetadataNamesTheExchange(t *testing.T) {
	e := newEnv(t, fakeenvoy.Options{}, gatetest.Options{})
	s := e.open(t)
	must(t, s.RequestHeaders(head(), false))
	_, err := s.RequestBody([]byte(question), true)
	must(t, err)
	s.Close()
	named := s.Metadata.GetFields()["plumbline"].GetStructValue().GetFields()["exchange"].GetStringValue()
	if want := e.Record(t, core.RecordIntent).Exchange; named != want || want == "" {
		t.Errorf("the access log names %q, the audit %q", named, want)
	}
}

// When Envoy gives up on a verdict nothing is forwarded, and the record says so.
func TestEnvoyThatGivesUpDuringAdmission(t *testing.T) {
	e := newEnv(t, fakeenvoy.Options{MessageTimeout: 100 * time.Millisecond}, gatetest.Options{})
	e.Fail = func(ctx context.Context, step string) error {
		if step == "intent" {
			<-ctx.Done()
		}
		return nil // the log takes it all the same
	}
	s := e.open(t)
	must(t, s.RequestHeaders(head(), false))
	if _, err := s.RequestBody([]byte(question), true); !errors.Is(err, fakeenvoy.ErrTimeout) {
		t.Errorf("the verdict came to %v", err)
	}
	if err := s.Wait(); err == nil {
		t.Error("the handler ended cleanly without a verdict")
	}
	if got := e.finishes(); len(got) != 1 || got[0] != core.FinishNotForwarded {
		t.Errorf("outcomes %v, want one that was not forwarded", got)
	}
	e.quiet(t)
}
