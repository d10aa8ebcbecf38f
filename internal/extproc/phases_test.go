package extproc_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"

	filterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/gate/gatetest"
	"github.com/plumbline/plumbline/internal/intent"
	"github.com/plumbline/plumbline/internal/testkit/fakeenvoy"
)

func wrongModes() map[string]fakeenvoy.Options {
	return map[string]fakeenvoy.Options{
		"no protocol_config":      {NoProtocolConfig: true},
		"streamed requests":       {RequestBodyMode: filterv3.ProcessingMode_STREAMED},
		"part of requests":        {RequestBodyMode: filterv3.ProcessingMode_BUFFERED_PARTIAL},
		"full duplex requests":    {RequestBodyMode: filterv3.ProcessingMode_FULL_DUPLEX_STREAMED},
		"buffered responses":      {ResponseBodyMode: filterv3.ProcessingMode_BUFFERED},
		"full duplex responses":   {ResponseBodyMode: filterv3.ProcessingMode_FULL_DUPLEX_STREAMED},
		"a part of the responses": {ResponseBodyMode: filterv3.ProcessingMode_BUFFERED_PARTIAL},
	}
}

// phases bring a stream of events to each point between two messages.
var phases = []struct {
	name     string
	judged   bool // the verdict was given
	outcomes int
	run      func(testing.TB, *fakeenvoy.Stream)
}{
	{"after the request's headers", false, 0, func(t testing.TB, s *fakeenvoy.Stream) {
		must(t, s.RequestHeaders(head(), false))
	}},
	{"after the request's body", true, 1, func(t testing.TB, s *fakeenvoy.Stream) {
		must(t, s.RequestHeaders(head(), false))
		_, err := s.RequestBody([]byte(stream), true)
		must(t, err)
	}},
	{"after the response's headers", true, 1, func(t testing.TB, s *fakeenvoy.Stream) {
		must(t, s.RequestHeaders(head(), false))
		_, err := s.RequestBody([]byte(stream), true)
		must(t, err)
		must(t, s.ResponseHeaders([]fakeenvoy.Header{{":status", "200"}, {"content-type", "text/event-stream"}}, fakeenvoy.DetailsUpstream, false))
	}},
	{"in mid-answer", true, 1, func(t testing.TB, s *fakeenvoy.Stream) {
		must(t, s.RequestHeaders(head(), false))
		_, err := s.RequestBody([]byte(stream), true)
		must(t, err)
		must(t, s.ResponseHeaders([]fakeenvoy.Header{{":status", "200"}, {"content-type", "text/event-stream"}}, fakeenvoy.DetailsUpstream, false))
		for range 3 {
			_, err = s.ResponseBody([]byte(piece), false)
			must(t, err)
		}
	}},
}

// However a stream ends, and wherever, it is closed once; and before the verdict the handler never ends it cleanly.
func TestEndsInEveryPhase(t *testing.T) {
	for name, end := range map[string]func(*fakeenvoy.Stream) error{"reset": (*fakeenvoy.Stream).Cancel, "EOF": (*fakeenvoy.Stream).HangUp} {
		for _, phase := range phases {
			t.Run(name+" "+phase.name, func(t *testing.T) {
				t.Parallel()
				e := newEnv(t, fakeenvoy.Options{}, gatetest.Options{})
				s := e.open(t)
				phase.run(t, s)
				err := end(s)
				if !phase.judged && err == nil {
					t.Error("the handler ended cleanly before the verdict: the request would pass")
				}
				got := e.finishes()
				if len(got) != phase.outcomes || len(got) == 1 && got[0] != core.FinishInterrupted {
					t.Errorf("outcomes %v", got)
				}
				if !phase.judged && e.Record(t, core.RecordDeny).Finish != core.FinishInterrupted {
					t.Errorf("records %+v", e.Records())
				}
				e.quiet(t)
			})
		}
	}
}

// A panic fails its exchange and nothing else, and leaves nothing held.
func TestPanicInEveryPhase(t *testing.T) {
	for _, where := range []string{"classifier", "reserve", "intent", "deny", "extend", "outcome", "settle"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			o := gatetest.Options{}
			if where == "deny" {
				o.Policy = "version: 1\nmodels:\n  allow: [o3]\n"
			}
			e := newEnv(t, fakeenvoy.Options{}, o)
			var once sync.Once
			e.Fail = func(_ context.Context, step string) error {
				if step == where {
					once.Do(func() { panic("a prompt") })
				}
				return nil
			}
			if where == "classifier" {
				e.Classify = func(*intent.View) (i core.Intent) { once.Do(func() { panic("a prompt") }); return i }
			}
			body := []byte(`{"model":"gpt-4o-mini","stream":true,"max_tokens":2,"messages":[{"role":"user","content":"Summarise it."}]}`)
			r, err := e.envoy.Do(t.Context(), fakeenvoy.Exchange{
				Headers: good(), Body: body, Upstream: events(piece, piece, piece, piece, piece, piece, done),
			})
			must(t, err)
			if status.Code(r.Handler) != codes.Internal {
				t.Errorf("the handler returned %v", r.Handler)
			}
			if forwarded := where == "extend" || where == "outcome" || where == "settle"; (r.Forwarded != nil) != forwarded {
				t.Errorf("forwarded %t", r.Forwarded != nil)
			}
			if got := status.Convert(r.Handler).Message(); got != "internal error" {
				t.Errorf("the access log reads %q", got)
			}
			if n := e.server.OpenStreams() + e.server.BodyBytesInFlight(); n != 0 {
				t.Errorf("%d streams and bytes are left", n)
			}
			if n := e.Ledger.Pending(); n != 0 && where != "outcome" && where != "settle" { // the parts that end a hold
				t.Errorf("%d reservations are still held", n)
			}
			if where != "deny" {
				if r := mustDo(t, e, fakeenvoy.Exchange{Headers: good(), Body: []byte(question), Upstream: answer}); r.Status != 200 {
					t.Errorf("the next exchange got %d %s", r.Status, r.Body)
				}
			}
		})
	}
}

func mustDo(t *testing.T, e *env, x fakeenvoy.Exchange) *fakeenvoy.Result {
	t.Helper()
	r, err := e.envoy.Do(t.Context(), x)
	must(t, err)
	return r
}

// step is one message, sent out of order.
type step struct {
	name string
	send func(*fakeenvoy.Stream) error
}

// Messages that Envoy does not send at a point fail the exchange; what was begun is closed.
func TestMessagesOutOfOrder(t *testing.T) {
	requestHeaders := step{"request headers", func(s *fakeenvoy.Stream) error { return s.RequestHeaders(head(), false) }}
	requestBody := step{"request body", func(s *fakeenvoy.Stream) error { _, err := s.RequestBody([]byte(stream), true); return err }}
	requestTrailers := step{"request trailers", func(s *fakeenvoy.Stream) error { return s.RequestTrailers(nil) }}
	responseHeaders := step{"response headers", func(s *fakeenvoy.Stream) error {
		return s.ResponseHeaders([]fakeenvoy.Header{{":status", "200"}, {"content-type", "text/event-stream"}}, fakeenvoy.DetailsUpstream, false)
	}}
	responseBody := step{"response body", func(s *fakeenvoy.Stream) error { _, err := s.ResponseBody([]byte(piece), false); return err }}
	lastBody := step{"last body", func(s *fakeenvoy.Stream) error { _, err := s.ResponseBody([]byte(done), true); return err }}
	responseTrailers := step{"response trailers", func(s *fakeenvoy.Stream) error { _, err := s.ResponseTrailers(nil); return err }}
	for i, c := range []struct{ before, wrong []step }{
		{nil, []step{requestBody, requestTrailers, responseBody, responseTrailers}},
		{[]step{requestHeaders}, []step{requestHeaders, requestTrailers, responseBody, responseTrailers}},
		{[]step{requestHeaders, requestBody}, []step{requestHeaders, requestBody, responseBody, responseTrailers}},
		{[]step{requestHeaders, requestBody, responseHeaders}, []step{requestHeaders, requestBody, responseHeaders}},
		{[]step{requestHeaders, requestBody, responseHeaders, responseBody}, []step{requestBody, responseHeaders}},
		{[]step{requestHeaders, requestBody, responseHeaders, lastBody}, []step{requestBody, responseHeaders, responseBody, responseTrailers}},
		{[]step{requestHeaders, requestBody, responseHeaders, responseTrailers}, []step{responseBody, responseTrailers}},
	} {
		for _, wrong := range c.wrong {
			t.Run(fmt.Sprintf("%d %s", i, wrong.name), func(t *testing.T) {
				t.Parallel()
				e := newEnv(t, fakeenvoy.Options{}, gatetest.Options{})
				s := e.open(t)
				for _, b := range c.before {
					must(t, b.send(s))
				}
				var failed *fakeenvoy.StreamError
				if err := wrong.send(s); !errors.As(err, &failed) || status.Code(failed.Err) != codes.FailedPrecondition {
					t.Errorf("%s after %d messages: %v", wrong.name, len(c.before), err)
				}
				s.Close()
				if got, want := len(e.finishes()), min(len(c.before)/2, 1); got != want {
					t.Errorf("%d outcomes, want %d", got, want)
				}
				e.quiet(t)
			})
		}
	}
}

// Many at once: none is lost, none is mixed up with another. PLUMBLINE_STREAMS says how many.
func TestManyStreams(t *testing.T) {
	n := 1000
	if s := os.Getenv("PLUMBLINE_STREAMS"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatalf("PLUMBLINE_STREAMS: %v", err)
		}
	}
	e := newEnv(t, fakeenvoy.Options{MessageTimeout: 60e9}, gatetest.Options{})
	e.Classify = func(*intent.View) core.Intent { return core.Intent{} }
	var open, group sync.WaitGroup
	open.Add(n)
	failures := make(chan error, n)
	for i := range n {
		group.Go(func() {
			if err := e.manyAtOnce(t.Context(), &open, i%2 == 0); err != nil {
				failures <- err
			}
		})
	}
	group.Wait()
	if len(failures) > 0 {
		t.Errorf("%d of %d streams failed, the first: %v", len(failures), n, <-failures)
	}
	e.quiet(t)
	count := map[core.Finish]int{}
	for _, f := range e.finishes() {
		count[f]++
	}
	if count[core.FinishComplete] != (n+1)/2 || count[core.FinishInterrupted] != n/2 {
		t.Errorf("%d streams finished as %v", n, count)
	}
}

// manyAtOnce runs a stream of events, in the middle of which it waits until all others are open.
func (e *env) manyAtOnce(ctx context.Context, open *sync.WaitGroup, whole bool) error {
	here := sync.OnceFunc(open.Done)
	defer here()
	s, err := e.envoy.Open(ctx)
	if err != nil {
		return err
	}
	begin := func() error {
		if err := s.RequestHeaders(head(fakeenvoy.Header{"content-length", strconv.Itoa(len(stream))}), false); err != nil {
			return err
		}
		if _, err := s.RequestBody([]byte(stream), true); err != nil {
			return err
		}
		return s.ResponseHeaders([]fakeenvoy.Header{{":status", "200"}, {"content-type", "text/event-stream"}}, fakeenvoy.DetailsUpstream, false)
	}
	err = begin()
	here()
	open.Wait()
	for range 3 {
		if err == nil {
			_, err = s.ResponseBody([]byte(piece), false)
		}
	}
	if err == nil && whole {
		_, err = s.ResponseBody([]byte(done), true)
	}
	_, violation := s.Close()
	return errors.Join(err, violation)
}
