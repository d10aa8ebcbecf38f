package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/plumbline/plumbline/internal/core"
)

// held is a provider whose streams stop half-way until they are let go.
type held struct {
	url string
	// release lets every stream go on. It may be called again.
	release func()
}

const (
	heldHead = `data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[{"index":0,"delta":{"role":"assistant","content":"Her refund"},"finish_reason":null}],"usage":null}` + "\n\n"
	heldTail = `data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[{"index":0,"delta":{"content":" is under way."},"finish_reason":null}],"usage":null}` + "\n\n" +
		`data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}` + "\n\n" +
		`data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[],"usage":{"prompt_tokens":21,"completion_tokens":6,"total_tokens":27}}` + "\n\n" +
		"data: [DONE]\n\n"
)

func newHeld(t testing.TB) *held {
	t.Helper()
	released := make(chan struct{}, 1)
	h := &held{release: func() {
		select {
		case released <- struct{}{}:
		default:
		}
	}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("content-type", "text/event-stream")
		_, _ = io.WriteString(w, heldHead)
		_ = http.NewResponseController(w).Flush()
		select {
		case <-released:
			_, _ = io.WriteString(w, heldTail)
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	h.url = server.URL
	return h
}

// holdStream opens a stream that has begun to answer.
func (w *world) holdStream() *stream {
	w.t.Helper()
	s := w.open(w.chatCall(chatBody("gpt-4o", onTask, streamed)))
	s.until("Her refund")
	return s
}

// A service manager's SIGTERM ends nothing that has begun: health says so, new calls are refused, the open stream gets
// its time, and the process ends in order.
func TestShutdownWaitsForStreams(t *testing.T) {
	t.Parallel()
	h := newHeld(t)
	s := serve(t, setup{upstream: h.url, settings: map[string]string{"shutdown.grace": "15s"}})
	health := s.watchHealth()
	if got := health(); got != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Fatalf("health is %s before the end", got)
	}
	open := s.holdStream()
	s.process.terminate()
	if got := health(); got != grpc_health_v1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("health is %s while it ends", got)
	}
	var refused response
	eventually(t, "new calls are refused", func() bool {
		refused = s.chat(chatBody("gpt-4o", onTask, map[string]any{"no_such_field": 1})) // it would be refused otherwise, too
		return refused.Status == http.StatusServiceUnavailable
	})
	byEnvoy(t, refused)
	pause(t.Context(), 200*time.Millisecond) // an end that does not wait would have come by now
	h.release()
	rest, err := open.rest()
	if err != nil || !strings.Contains(rest, "is under way.") || !strings.HasSuffix(rest, "data: [DONE]\n\n") {
		t.Errorf("the open stream ended with %v: %q", err, rest)
	}
	if err := s.process.wait(); err != nil {
		t.Errorf("it ended with %v:\n%s", err, s.log)
	}
	if log := fmt.Sprint(s.log); !strings.Contains(log, "stopping;") || !strings.HasSuffix(strings.TrimSpace(log), `"msg":"stopped"}`) {
		t.Errorf("its log does not say that it stops and has stopped:\n%s", log)
	}
	_, outcome := s.outcome(open.exchange)
	if outcome.Finish != core.FinishComplete || outcome.Usage.Estimated || outcome.Usage.OutputTokens != 6 {
		t.Errorf("the audit has finish %s, usage %+v", outcome.Finish, outcome.Usage)
	}
}

// watchHealth follows what gRPC health reports. The function gives the next state; the one that it is ending is the
// last, since a watch is a stream, too.
func (s *server) watchHealth() func() grpc_health_v1.HealthCheckResponse_ServingStatus {
	s.t.Helper()
	conn, err := grpc.NewClient("unix:"+s.cfg.ExtProc.Socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(s.t, err)
	s.t.Cleanup(func() { conn.Close() })
	watch, err := grpc_health_v1.NewHealthClient(conn).Watch(s.t.Context(), &grpc_health_v1.HealthCheckRequest{})
	must(s.t, err)
	return func() grpc_health_v1.HealthCheckResponse_ServingStatus {
		s.t.Helper()
		m, err := watch.Recv()
		must(s.t, err)
		if m.GetStatus() == grpc_health_v1.HealthCheckResponse_NOT_SERVING {
			conn.Close()
		}
		return m.GetStatus()
	}
}

// A stream that outlasts the grace is reset: its caller must not take it for whole. What was delivered is charged.
func TestShutdownDrains(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{upstream: newHeld(t).url, settings: map[string]string{"shutdown.grace": "200ms"}})
	open := s.holdStream()
	s.process.terminate()
	if rest, err := open.rest(); err == nil || strings.Contains(rest, "[DONE]") {
		t.Errorf("the stream ended in order: %q", rest)
	}
	if err := s.process.wait(); err != nil {
		t.Errorf("it ended with %v:\n%s", err, s.log)
	}
	_, outcome := s.outcome(open.exchange)
	if outcome.Finish != core.FinishDrained || outcome.Usage == nil || !outcome.Usage.Estimated || outcome.Usage.OutputTokens == 0 {
		t.Errorf("the audit has finish %s, usage %+v", outcome.Finish, outcome.Usage)
	}
}

// Two processes on one data directory, or on one socket, would each undo what the other does.
func TestSecondStartIsRefused(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	elsewhere := filepath.Join(t.TempDir(), "data")
	for name, tt := range map[string]struct {
		args []string
		says string
	}{
		"same data": {[]string{"serve"}, "another Plumbline writes to this audit log"},
		"same data, other socket": {
			[]string{"serve", "--set", "extproc.socket=" + filepath.Join(elsewhere, "s")}, "another Plumbline writes to this audit log",
		},
		"same socket, other data": {
			[]string{"serve", "--set", "data_dir=" + elsewhere, "--set", "extproc.socket=" + s.cfg.ExtProc.Socket},
			"another Plumbline serves on " + s.cfg.ExtProc.Socket,
		},
	} {
		if _, talk, code := s.try(tt.args...); code != 1 || !strings.Contains(talk, tt.says) {
			t.Errorf("%s: exit status %d, want 1 and that %s:\n%s", name, code, tt.says, talk)
		}
	}
	if r := s.chat(chatBody("gpt-4o", onTask, nil)); r.Status != http.StatusOK {
		t.Errorf("the first does not serve any more: status %d: %s", r.Status, r.Body)
	}
}

// What a killed process left open is closed at the next start and charged what it had reserved, the most that it can
// have used: the limit that this uses up holds.
func TestCrashIsChargedAsReserved(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{upstream: newHeld(t).url, objects: objects + `
limits:
  - {id: month, scope: user, subject: ann, dimension: output_tokens, window: month, value: 1100}
`})
	open := s.holdStream()
	s.process.kill()
	if rest, err := open.rest(); err == nil || strings.Contains(rest, "[DONE]") {
		t.Errorf("the stream ended in order: %q", rest)
	}
	began := time.Now()
	s.start()
	intent, outcome := s.outcome(open.exchange)
	if outcome.Finish != core.FinishCrashed || outcome.Time.Before(began.UTC().Truncate(time.Microsecond)) {
		t.Errorf("the audit has finish %s at %v, and the start was at %v", outcome.Finish, outcome.Time, began)
	}
	if intent.Reserved == nil || outcome.Settled == nil || *outcome.Settled != *intent.Reserved || intent.Reserved.OutputTokens < 1000 {
		t.Errorf("charged %+v, reserved %+v", outcome.Settled, intent.Reserved)
	}
	if !outcome.Usage.Estimated {
		t.Error("the audit takes the reservation for what the provider reported")
	}
	if log := s.log.String(); !strings.Contains(log, "exchanges that an earlier Plumbline left open") {
		t.Errorf("the log does not tell:\n%s", log)
	}
	quotaUsedUp.check(t, s.send(s.chatCall(chatBody("gpt-4o", onTask, streamed))))
}
