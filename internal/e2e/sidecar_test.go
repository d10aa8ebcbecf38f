package e2e

import (
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/demo/provider"
	"github.com/plumbline/plumbline/internal/envoyconf"
	"github.com/plumbline/plumbline/internal/sqlite"
	"github.com/plumbline/plumbline/internal/telemetry"
	"github.com/plumbline/plumbline/internal/testkit"
)

// stub is a sidecar that serves well up to one message, and then does what it is told.
type stub struct {
	extprocv3.UnimplementedExternalProcessorServer
	at   func(*extprocv3.ProcessingRequest) bool
	then func(extprocv3.ExternalProcessor_ProcessServer) error
}

// Process lets every message pass unchanged until s.at.
func (s *stub) Process(stream extprocv3.ExternalProcessor_ProcessServer) error {
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		if s.at(m) {
			return s.then(stream)
		}
		if err := stream.Send(pass(m)); err != nil {
			return err
		}
	}
}

// pass answers a message with its own type and no change.
func pass(m *extprocv3.ProcessingRequest) *extprocv3.ProcessingResponse {
	switch {
	case m.GetRequestHeaders() != nil:
		return &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestHeaders{RequestHeaders: &extprocv3.HeadersResponse{}}}
	case m.GetRequestBody() != nil:
		return &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestBody{RequestBody: &extprocv3.BodyResponse{}}}
	case m.GetResponseHeaders() != nil:
		return &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ResponseHeaders{ResponseHeaders: &extprocv3.HeadersResponse{}}}
	default:
		return &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ResponseBody{ResponseBody: &extprocv3.BodyResponse{}}}
	}
}

// byEnvoy is how Envoy itself words governance_unavailable.
func byEnvoy(t *testing.T, r response) {
	t.Helper()
	governanceDown.check(t, r)
	if strings.Contains(strings.ToLower(r.Body), "ext_proc") || strings.Contains(r.Body, "grpc") {
		t.Errorf("the answer speaks of the machinery: %s", r.Body)
	}
}

// TestSidecarFails has the sidecar fail in each way at each message. Before the verdict the provider sees nothing; after
// it the caller gets nothing un-metered that looks whole.
func TestSidecarFails(t *testing.T) {
	t.Parallel()
	messages := []struct {
		name   string
		at     func(*extprocv3.ProcessingRequest) bool
		judged bool // the provider was asked
		begun  bool // the caller has the head of the answer
	}{
		{"request headers", func(m *extprocv3.ProcessingRequest) bool { return m.GetRequestHeaders() != nil }, false, false},
		{"request body", func(m *extprocv3.ProcessingRequest) bool { return m.GetRequestBody() != nil }, false, false},
		{"response headers", func(m *extprocv3.ProcessingRequest) bool { return m.GetResponseHeaders() != nil }, true, false},
		{"response body", func(m *extprocv3.ProcessingRequest) bool { return m.GetResponseBody() != nil }, true, true},
	}
	hang := func(s extprocv3.ExternalProcessor_ProcessServer) error {
		<-s.Context().Done()
		return s.Context().Err()
	}
	ways := map[string]func(extprocv3.ExternalProcessor_ProcessServer) error{
		"hangs": hang,
		"fails": func(extprocv3.ExternalProcessor_ProcessServer) error {
			return status.Error(codes.Internal, "grpc secret words")
		},
		"answers by the wrong type": func(s extprocv3.ExternalProcessor_ProcessServer) error {
			if err := s.Send(&extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestTrailers{
				RequestTrailers: &extprocv3.TrailersResponse{},
			}}); err != nil {
				return err
			}
			return hang(s)
		},
	}
	for way, then := range ways {
		for _, m := range messages {
			t.Run(way+" at "+m.name, func(t *testing.T) {
				t.Parallel()
				url, p := withSidecar(t, testkit.Sidecar(t, &stub{at: m.at, then: then}))
				conn := dial(t, url)
				conn.Write(call{auth: []string{"any"}, body: chatBody("gpt-4o", onTask, streamed)}.bytes())
				r, err := readResponse(conn, "POST")
				switch {
				case !m.begun:
					must(t, err)
					byEnvoy(t, r)
				case err == nil && r.Status == http.StatusOK:
					t.Errorf("an answer that nobody reads any more ended in order: %q", r.Body)
				case strings.Contains(r.Body, "[DONE]"):
					t.Errorf("an answer that nobody reads any more went on: %q", r.Body)
				}
				if n := p.Total(); (n == 1) != m.judged || n > 1 {
					t.Errorf("the provider received %d requests", n)
				}
			})
		}
	}
}

// withSidecar starts an Envoy with the sidecar at a socket and a provider.
func withSidecar(t *testing.T, socket string) (url string, p *provider.Provider) {
	t.Helper()
	p, upstream := testkit.Provider(t, provider.Options{ChunkPause: time.Millisecond})
	return testkit.StartEnvoy(t, envoyconf.Options{Upstream: upstream, Socket: socket, MessageTimeout: 300 * time.Millisecond}).URL, p
}

// TestSidecarDies kills the sidecar while it holds a request.
func TestSidecarDies(t *testing.T) {
	t.Parallel()
	holding := make(chan struct{})
	socket := testkit.Socket(t)
	listener, err := net.Listen("unix", socket)
	must(t, err)
	server := grpc.NewServer()
	extprocv3.RegisterExternalProcessorServer(server, &stub{
		at: func(m *extprocv3.ProcessingRequest) bool { return m.GetRequestBody() != nil },
		then: func(s extprocv3.ExternalProcessor_ProcessServer) error {
			close(holding)
			<-s.Context().Done()
			return s.Context().Err()
		},
	})
	go server.Serve(listener)
	p, upstream := testkit.Provider(t, provider.Options{})
	envoy := testkit.StartEnvoy(t, envoyconf.Options{Upstream: upstream, Socket: socket, MessageTimeout: patience})
	c := call{auth: []string{"any"}, body: chatBody("gpt-4o", onTask, nil)}
	conn := dial(t, envoy.URL)
	conn.Write(c.bytes())
	<-holding
	server.Stop()
	r, err := readResponse(conn, "POST")
	must(t, err)
	byEnvoy(t, r)
	byEnvoy(t, send(t, envoy.URL, c)) // and now there is none
	if n := p.Total(); n != 0 {
		t.Errorf("the provider received %d requests", n)
	}
}

func TestNoSidecar(t *testing.T) {
	t.Parallel()
	dead := testkit.Socket(t)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: dead, Net: "unix"})
	must(t, err)
	l.SetUnlinkOnClose(false)
	l.Close()
	for name, socket := range map[string]string{"missing": testkit.Socket(t), "left behind": dead} {
		t.Run(name, func(t *testing.T) {
			url, p := withSidecar(t, socket)
			for _, c := range []call{
				{auth: []string{"any"}, body: chatBody("gpt-4o", onTask, nil)}, {method: "GET", path: "/v1/models", auth: []string{"any"}}, {},
			} {
				byEnvoy(t, send(t, url, c))
			}
			if n := p.Total(); n != 0 {
				t.Errorf("the provider received %d requests", n)
			}
		})
	}
}

// TestRestart stops Plumbline under a running Envoy and starts it again: in between nothing passes, after it everything
// is as it was, what was used up included.
func TestRestart(t *testing.T) {
	t.Parallel()
	s := setup{objects: objects + `
limits:
  - {id: two, scope: user, subject: ann, dimension: requests, window: day, value: 2}
`}
	w := start(t, s)
	key := w.key
	c := w.chatCall(chatBody("gpt-4o", onTask, nil))
	if r := w.send(c); r.Status != http.StatusOK {
		t.Fatalf("status %d: %s", r.Status, r.Body)
	}
	w.stop()
	byEnvoy(t, w.send(c))
	if n := w.provider.Total(); n != 1 {
		t.Errorf("the provider received %d requests", n)
	}
	w.serve(s)
	c.auth = []string{key}
	if r := w.send(c); r.Status != http.StatusOK {
		t.Errorf("after the restart: status %d: %s", r.Status, r.Body)
	}
	w.refused(c, quotaUsedUp)
}

// TestSlowAudit holds the audit's tables until the journal takes no new records, so that none becomes durable in time.
func TestSlowAudit(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name              string
		plumbline, filter time.Duration // the message_timeout as Plumbline believes and as Envoy has it
	}{
		{"Plumbline answers in time", 900 * time.Millisecond, 900 * time.Millisecond},
		{"Envoy is quicker than Plumbline believes", 2 * time.Second, 250 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := setup{settings: map[string]string{"extproc.message_timeout": tt.plumbline.String(), "audit.journal_size": smallJournal}}
			s.envoy.MessageTimeout = tt.filter
			w := start(t, s)
			release := w.holdAudit()
			passed := w.provider.Total()
			began := time.Now()
			r := w.send(w.chatCall(chatBody("gpt-4o", onTask, nil)))
			governanceDown.check(t, r)
			if took := time.Since(began); took > tt.filter+time.Second {
				t.Errorf("refused after %v", took)
			}
			if own := r.Exchange != ""; own != (tt.plumbline == tt.filter) {
				t.Errorf("the answer names the exchange %q", r.Exchange)
			}
			release()
			w.untouched(passed)
			eventually(t, "calls pass again", func() bool { return w.send(w.chatCall(chatBody("gpt-4o", onTask, nil))).Status == http.StatusOK })
			w.untouched(passed + 1)
			// What became of the refused one: nothing, a refusal, or an intent that is closed as not forwarded.
			for _, e := range w.all(auditOf(core.RecordOutcome)) {
				if rec := e.Record; rec.Finish != core.FinishComplete && (rec.Finish != core.FinishNotForwarded || rec.Settled != nil && *rec.Settled != (core.Charge{})) {
					t.Errorf("the audit closes what never reached the provider with %s, charge %+v", rec.Finish, rec.Settled)
				}
			}
			if intents, outcomes := len(w.all(auditOf(core.RecordIntent))), len(w.all(auditOf(core.RecordOutcome))); intents != outcomes {
				t.Errorf("the audit has %d intents and %d outcomes", intents, outcomes)
			}
			if n := w.metric("plumbline_quota_reserved_tokens"); n != 0 {
				t.Errorf("%v tokens are still reserved", n)
			}
		})
	}
}

// smallJournal takes some dozens of records.
const smallJournal = "64KiB"

// holdAudit takes the write lock of the audit's tables, and fills up the journal, which is to be small: until release is
// called, no new record becomes durable.
func (w *world) holdAudit() (release func()) {
	w.t.Helper()
	db, err := sqlite.Open(w.t.Context(), app.AuditPath(w.cfg.DataDir), sqlite.Options{})
	must(w.t, err)
	w.t.Cleanup(func() { db.Close() })
	_, err = db.ExecContext(w.t.Context(), "BEGIN IMMEDIATE")
	must(w.t, err)
	passed := 0
	// One refusal may be of the moment: the journal's other half is given free once who moves records gives up on the lock.
	for refused := 0; refused < 2; {
		if w.send(w.chatCall(chatBody("gpt-4o", onTask, nil))).Status == http.StatusOK {
			passed, refused = passed+1, 0
		} else {
			refused++
		}
	}
	if passed == 0 {
		w.t.Error("no call passed while the journal had room")
	}
	return func() {
		w.t.Helper()
		_, err := db.ExecContext(w.t.Context(), "ROLLBACK")
		must(w.t, err)
	}
}

// TestBadPolicy starts Plumbline with policies that do not parse: it says where, and does not serve.
func TestBadPolicy(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ policy, where string }{
		"broken YAML":    {"version: 1\nmode: [enforce\n", "policy.yaml:2:7"},
		"unknown key":    {"version: 1\nmode: enforce\ndevation:\n  warn: 0.5\n", "policy.yaml:3:1"},
		"unknown value":  {"version: 1\nmode: enforc\n", "policy.yaml:2:7"},
		"duplicate key":  {"version: 1\nmode: enforce\nmode: observe\n", "policy.yaml:3:1"},
		"no version":     {"mode: enforce\n", "policy.yaml:1:1"},
		"unknown intent": {"version: 1\nintents:\n  forbidden: [gossip, codding]\n", "policy.yaml:3:15"},
		"wrong type":     {"version: 1\ndeviation:\n  warn: much\n", "policy.yaml:3:9"},
		"empty":          {" ", "policy.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			w := &world{t: t}
			cfg := w.config(dir, setup{policy: tt.policy})
			a, err := app.New(t.Context(), app.Options{Config: cfg, Build: telemetry.Build{Version: "test"}, Log: slog.New(slog.DiscardHandler)})
			if err == nil {
				t.Fatalf("started, listening on %s", a.Socket())
			}
			if !strings.Contains(err.Error(), tt.where) {
				t.Errorf("the error does not say %s: %v", tt.where, err)
			}
			if _, err := os.Stat(filepath.Join(dir, "plumbline.sock")); err == nil {
				t.Error("there is a socket")
			}
		})
	}
}
