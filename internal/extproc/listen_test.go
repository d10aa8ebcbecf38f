package extproc_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	filterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/extproc"
	"github.com/plumbline/plumbline/internal/gate/gatetest"
	"github.com/plumbline/plumbline/internal/testkit/fakeenvoy"
)

func socketOptions(path string) extproc.ListenOptions {
	return extproc.ListenOptions{Socket: path, Mode: 0o600, MaxBody: 4 << 20}
}

func TestSocketMode(t *testing.T) {
	e := newEnv(t, fakeenvoy.Options{}, gatetest.Options{})
	for _, mode := range []fs.FileMode{0o600, 0o660} {
		o := socketOptions(filepath.Join(t.TempDir(), "s"))
		o.Mode = mode
		l, err := e.server.Listen(t.Context(), o)
		must(t, err)
		info, err := os.Stat(o.Socket)
		must(t, err)
		if got := info.Mode().Perm(); got != mode {
			t.Errorf("the socket has mode %o, want %o", got, mode)
		}
		if l.Address() != o.Socket {
			t.Errorf("it listens on %s", l.Address())
		}
		l.Close()
		if _, err := os.Stat(o.Socket); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the socket is still there: %v", err)
		}
	}
}

func TestWhatIsInTheSocketsPlace(t *testing.T) {
	e := newEnv(t, fakeenvoy.Options{}, gatetest.Options{})
	t.Run("a dead socket is replaced", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "s")
		dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
		must(t, err)
		dead.SetUnlinkOnClose(false)
		dead.Close()
		l, err := e.server.Listen(t.Context(), socketOptions(path))
		must(t, err)
		l.Close()
	})
	t.Run("a living one is not", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "s")
		l, err := e.server.Listen(t.Context(), socketOptions(path))
		must(t, err)
		defer l.Close()
		if _, err := e.server.Listen(t.Context(), socketOptions(path)); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("a second listener got %v", err)
		}
		if _, err := os.Stat(path); err != nil {
			t.Errorf("the first one lost its socket: %v", err)
		}
	})
	t.Run("one that may be alive is not", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "s")
		other, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
		must(t, err)
		defer other.Close()
		if _, err := e.server.Listen(t.Context(), socketOptions(path)); err == nil {
			t.Error("the socket of another program was replaced")
		}
		if _, err := os.Stat(path); err != nil {
			t.Errorf("the other program lost its socket: %v", err)
		}
	})
	t.Run("no file is", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "s")
		must(t, os.WriteFile(path, []byte("precious"), 0o600))
		if _, err := e.server.Listen(t.Context(), socketOptions(path)); err == nil || !strings.Contains(err.Error(), "no socket") {
			t.Errorf("a file in the socket's place: %v", err)
		}
		if b, _ := os.ReadFile(path); string(b) != "precious" {
			t.Errorf("the file is now %q", b)
		}
	})
	t.Run("no folder", func(t *testing.T) {
		if _, err := e.server.Listen(t.Context(), socketOptions(filepath.Join(t.TempDir(), "none", "s"))); err == nil {
			t.Error("it listens in a folder that is not there")
		}
	})
	t.Run("a port that is taken", func(t *testing.T) {
		l, err := e.server.Listen(t.Context(), extproc.ListenOptions{Address: "127.0.0.1:0", MaxBody: 1})
		must(t, err)
		defer l.Close()
		if _, err := e.server.Listen(t.Context(), extproc.ListenOptions{Address: l.Address(), MaxBody: 1}); err == nil {
			t.Error("two listeners have one port")
		}
	})
}

// served is a server on a real socket, and a connection to it.
type served struct {
	*env
	listener *extproc.Listener
	conn     *grpc.ClientConn
	health   grpc_health_v1.HealthClient
	stop     context.CancelFunc
	done     chan error
}

func serve(t *testing.T, grace time.Duration) *served {
	t.Helper()
	s := &served{env: newEnv(t, fakeenvoy.Options{}, gatetest.Options{}), done: make(chan error, 1)}
	path := filepath.Join(t.TempDir(), "s")
	var err error
	s.listener, err = s.server.Listen(t.Context(), socketOptions(path))
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	go func() { s.done <- s.listener.Serve(ctx, grace) }()
	s.conn, err = grpc.NewClient("unix:"+path, grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(t, err)
	s.health = grpc_health_v1.NewHealthClient(s.conn)
	t.Cleanup(func() {
		cancel()
		s.conn.Close()
		s.listener.Close()
	})
	return s
}

// begin opens an exchange and brings it to the middle of its answer.
func (s *served) begin(t *testing.T) extprocv3.ExternalProcessor_ProcessClient {
	t.Helper()
	c, err := extprocv3.NewExternalProcessorClient(s.conn).Process(t.Context())
	must(t, err)
	s.send(t, c, &extprocv3.ProcessingRequest{
		ProtocolConfig: &extprocv3.ProtocolConfiguration{
			RequestBodyMode: filterv3.ProcessingMode_BUFFERED, ResponseBodyMode: filterv3.ProcessingMode_STREAMED,
		},
		Request: &extprocv3.ProcessingRequest_RequestHeaders{RequestHeaders: &extprocv3.HttpHeaders{Headers: headerMap(head()...)}},
	})
	s.send(t, c, &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestBody{
		RequestBody: &extprocv3.HttpBody{Body: []byte(stream), EndOfStream: true},
	}})
	s.send(t, c, &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseHeaders{
		ResponseHeaders: &extprocv3.HttpHeaders{Headers: headerMap(
			fakeenvoy.Header{":status", "200"}, fakeenvoy.Header{"content-type", "text/event-stream"})},
	}})
	s.send(t, c, responsePiece(piece, false))
	return c
}

func responsePiece(body string, end bool) *extprocv3.ProcessingRequest {
	return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseBody{
		ResponseBody: &extprocv3.HttpBody{Body: []byte(body), EndOfStream: end},
	}}
}

func headerMap(headers ...fakeenvoy.Header) *corev3.HeaderMap {
	m := &corev3.HeaderMap{}
	for _, h := range headers {
		m.Headers = append(m.Headers, &corev3.HeaderValue{Key: h[0], RawValue: []byte(h[1])})
	}
	return m
}

func (s *served) send(t *testing.T, c extprocv3.ExternalProcessor_ProcessClient, m *extprocv3.ProcessingRequest) {
	t.Helper()
	must(t, c.Send(m))
	r, err := c.Recv()
	must(t, err)
	if r.GetImmediateResponse() != nil {
		t.Fatalf("refused: %s", r.GetImmediateResponse().GetBody())
	}
}

func TestHealth(t *testing.T) {
	s := serve(t, time.Minute)
	for _, service := range []string{"", extprocv3.ExternalProcessor_ServiceDesc.ServiceName} {
		for _, serving := range []bool{true, false} {
			s.listener.SetServing(serving)
			r, err := s.health.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: service})
			must(t, err)
			if got := r.GetStatus() == grpc_health_v1.HealthCheckResponse_SERVING; got != serving {
				t.Errorf("%q is serving %t, want %t", service, got, serving)
			}
		}
	}
}

// When Plumbline stops it says so to those who ask, and lets a stream that is open come to its end.
func TestAStreamEndsWithinTheGrace(t *testing.T) {
	s := serve(t, time.Hour)
	s.listener.SetServing(true)
	watch, err := s.health.Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	must(t, err)
	c := s.begin(t)
	s.stop()
	for state := grpc_health_v1.HealthCheckResponse_SERVING; state != grpc_health_v1.HealthCheckResponse_NOT_SERVING; {
		r, err := watch.Recv()
		must(t, err)
		state = r.GetStatus()
	}
	for range 10 {
		s.send(t, c, responsePiece(piece, false))
	}
	s.send(t, c, responsePiece(done, true))
	must(t, c.CloseSend())
	s.conn.Close() // the watch is a stream as well
	must(t, <-s.done)
	if got := s.finishes(); len(got) != 1 || got[0] != core.FinishComplete {
		t.Errorf("outcomes %v", got)
	}
	s.quiet(t)
}

// A caller that leaves while Plumbline waits was not drained.
func TestACallerThatLeavesWithinTheGrace(t *testing.T) {
	s := serve(t, time.Hour)
	s.begin(t)
	s.stop()
	s.conn.Close()
	must(t, <-s.done)
	if got := s.finishes(); len(got) != 1 || got[0] != core.FinishInterrupted {
		t.Errorf("outcomes %v, want one that was interrupted", got)
	}
	s.quiet(t)
}

// Past the grace a stream is reset, never ended cleanly, and recorded as drained.
func TestAStreamPastTheGraceIsReset(t *testing.T) {
	s := serve(t, time.Millisecond)
	c := s.begin(t)
	s.stop()
	if _, err := c.Recv(); err == nil || status.Code(err) == codes.OK {
		t.Errorf("the stream ended with %v", err)
	}
	must(t, <-s.done)
	if got := s.finishes(); len(got) != 1 || got[0] != core.FinishDrained {
		t.Errorf("outcomes %v, want one that was drained", got)
	}
	s.quiet(t)
}

func TestServeEndsWithItsListener(t *testing.T) {
	s := serve(t, time.Minute)
	s.begin(t)
	s.listener.Close()
	if err := <-s.done; err != nil && strings.Contains(err.Error(), "nil") {
		t.Errorf("Serve: %v", err)
	}
}
