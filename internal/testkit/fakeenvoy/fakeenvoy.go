// Package fakeenvoy is an ext_proc client that behaves as Envoy does and is stricter than Envoy is: it drives one
// exchange with an ext_proc server, step by step or as a whole, and reports each rule of the protocol that the server
// breaks, also those that Envoy passes over in silence.
//
// Contract: the client runs request body BUFFERED and response body STREAMED with failure_mode_allow false. A broken rule
// is a *Violation; after it, as after any end, the stream is over. Nothing here sleeps; what the fake waits for is the
// server, bounded by Options.MessageTimeout.
//
// It must not import the server that it tests.
package fakeenvoy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	filterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/structpb"
)

// attributesKey is where Envoy puts attributes.
const attributesKey = "envoy.filters.http.ext_proc"

// streamKey names the metadata that ties a server's handler to its stream.
const streamKey = "fakeenvoy-stream"

// Options say what this Envoy is configured with. The zero value is the shipped configuration.
type Options struct {
	// MessageTimeout is how long each answer may take, 2s when 0.
	MessageTimeout time.Duration
	// BodyLimit is the largest buffered request body, 32 MiB when 0. Above it Do answers 413 as Envoy does.
	BodyLimit int
	// RequestBodyMode and ResponseBodyMode are what protocol_config says: BUFFERED and STREAMED when 0 (NONE).
	RequestBodyMode, ResponseBodyMode filterv3.ProcessingMode_BodySendMode
	// NoProtocolConfig leaves protocol_config out, as an old Envoy does.
	NoProtocolConfig bool
	// Attributes are sent with the first message; source.address is always there.
	Attributes map[string]string
	// AllowDrain permits a clean end of the stream between the response's headers and its end.
	AllowDrain bool
}

// Envoy is a fake Envoy with one connection to its server. It is safe for concurrent use.
type Envoy struct {
	o      Options
	client extprocv3.ExternalProcessorClient

	mu       sync.Mutex
	next     int
	handlers map[string]*handler
}

// handler is the server's side of one stream: done is closed when it has returned err.
type handler struct {
	done chan struct{}
	err  error
}

// New serves s in this process and gives an Envoy in front of it, until the end of the test. More gRPC server options
// (limits, interceptors) may be given.
func New(t testing.TB, s extprocv3.ExternalProcessorServer, o Options, more ...grpc.ServerOption) *Envoy {
	t.Helper()
	if o.MessageTimeout == 0 {
		o.MessageTimeout = 2 * time.Second
	}
	if o.BodyLimit == 0 {
		o.BodyLimit = 32 << 20
	}
	if o.RequestBodyMode == filterv3.ProcessingMode_NONE {
		o.RequestBodyMode = filterv3.ProcessingMode_BUFFERED
	}
	if o.ResponseBodyMode == filterv3.ProcessingMode_NONE {
		o.ResponseBodyMode = filterv3.ProcessingMode_STREAMED
	}
	e := &Envoy{o: o, handlers: map[string]*handler{}}
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer(append([]grpc.ServerOption{
		grpc.ChainStreamInterceptor(e.watch), grpc.MaxRecvMsgSize(o.BodyLimit + 1<<20),
	}, more...)...)
	extprocv3.RegisterExternalProcessorServer(server, s)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:///fakeenvoy",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	e.client = extprocv3.NewExternalProcessorClient(conn)
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return e
}

// watch records how each handler returns.
func (e *Envoy) watch(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	var h *handler
	if md, ok := metadata.FromIncomingContext(stream.Context()); ok && len(md[streamKey]) == 1 {
		e.mu.Lock()
		h = e.handlers[md[streamKey][0]]
		e.mu.Unlock()
	}
	if h == nil {
		return next(srv, stream)
	}
	defer close(h.done)
	h.err = next(srv, stream)
	return h.err
}

// Violation is a rule of the protocol that the server broke.
type Violation struct { //nolint:errname // a finding first, and an error so that steps can return it
	// Rule says which, in a few words; Phase is the message that was being answered.
	Rule, Phase string
}

// Error gives both.
func (v *Violation) Error() string { return v.Phase + ": " + v.Rule }

// The ways in which a stream can be over for a step, beside a *Violation.
var (
	// ErrTimeout says that the answer took longer than the message time-out. The client gets 504.
	ErrTimeout = errors.New("the answer took longer than the message time-out")
	// ErrOver says that the exchange was over before the step.
	ErrOver = errors.New("the exchange is over")
)

// StreamError says that the server ended the stream with an error. Before the response's headers went out the client
// gets 503, afterwards both sides are reset.
type StreamError struct{ Err error }

// Error gives the server's words.
func (e *StreamError) Error() string { return "the server ended the stream: " + e.Err.Error() }

// Unwrap gives the gRPC status.
func (e *StreamError) Unwrap() error { return e.Err }

// Header is one header line. Envoy's names are in lower case.
type Header [2]string

// Stream is one exchange, driven step by step. It is not safe for concurrent use.
type Stream struct {
	e       *Envoy
	grpc    extprocv3.ExternalProcessor_ProcessClient
	cancel  context.CancelFunc
	handler *handler
	replies chan received
	started bool // the first message was sent

	over      error // why the exchange is over, nil while it is not
	forwarded bool  // the request has gone to the provider
	answered  bool  // the response's headers have gone to the client
	finished  bool  // the response has ended

	// Request and Response are the headers as they stand after the server's changes.
	Request, Response []Header
	// Immediate is the server's own reply, if it made one.
	Immediate *Immediate
	// Metadata is what the server said for the access log.
	Metadata *structpb.Struct
}

type received struct {
	reply *extprocv3.ProcessingResponse
	err   error
}

// Open starts an exchange. Close, Cancel or HangUp ends it; a test that forgets is ended by ctx.
func (e *Envoy) Open(ctx context.Context) (*Stream, error) {
	e.mu.Lock()
	e.next++
	id := strconv.Itoa(e.next)
	h := &handler{done: make(chan struct{})}
	e.handlers[id] = h
	e.mu.Unlock()
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(ctx, streamKey, id))
	stream, err := e.client.Process(ctx)
	if err != nil {
		cancel()
		return nil, err
	}
	s := &Stream{e: e, grpc: stream, cancel: cancel, handler: h, replies: make(chan received)}
	go s.receive(ctx)
	return s, nil
}

// receive hands over replies as they come, so that one that nobody asked for is noticed.
func (s *Stream) receive(ctx context.Context) {
	for {
		reply, err := s.grpc.Recv()
		select {
		case s.replies <- received{reply, err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// exchange sends one message and waits for its answer.
func (s *Stream) exchange(m *extprocv3.ProcessingRequest, phase string) (*extprocv3.ProcessingResponse, error) {
	if s.over != nil {
		return nil, fmt.Errorf("%w: %w", ErrOver, s.over)
	}
	select {
	case early := <-s.replies:
		return nil, s.end(unasked(early, phase))
	default:
	}
	s.addFirst(m)
	if err := s.grpc.Send(m); err != nil && !errors.Is(err, io.EOF) { // EOF: Recv knows why
		return nil, s.end(&StreamError{err})
	}
	timer := time.NewTimer(s.e.o.MessageTimeout)
	defer timer.Stop()
	select {
	case r := <-s.replies:
		if r.err != nil {
			return nil, s.end(s.ended(r.err, phase))
		}
		return r.reply, nil
	case <-timer.C:
		return nil, s.end(ErrTimeout)
	}
}

func unasked(r received, phase string) error {
	if r.err == nil {
		return &Violation{"a spurious message: one that answers nothing", phase}
	}
	if errors.Is(r.err, io.EOF) {
		return &Violation{"the stream was ended cleanly between two messages: the rest would pass untouched", phase}
	}
	return &StreamError{r.err}
}

// ended judges the end of a stream during an answer.
func (s *Stream) ended(err error, phase string) error {
	switch {
	case !errors.Is(err, io.EOF):
		return &StreamError{err}
	case !s.forwarded:
		return &Violation{"the stream was ended cleanly before the verdict: the request would pass", phase}
	case s.e.o.AllowDrain && s.answered:
		return &StreamError{err}
	default:
		return &Violation{"the stream was ended cleanly in mid-answer: the rest would pass unmetered", phase}
	}
}

// addFirst adds what only the first message of a stream carries.
func (s *Stream) addFirst(m *extprocv3.ProcessingRequest) {
	if s.started {
		return
	}
	s.started = true
	attributes := map[string]string{"source.address": "192.0.2.10:40000"}
	for name, value := range s.e.o.Attributes {
		attributes[name] = value
	}
	addAttributes(m, attributes)
	if !s.e.o.NoProtocolConfig {
		m.ProtocolConfig = &extprocv3.ProtocolConfiguration{
			RequestBodyMode: s.e.o.RequestBodyMode, ResponseBodyMode: s.e.o.ResponseBodyMode,
		}
	}
}

func addAttributes(m *extprocv3.ProcessingRequest, values map[string]string) {
	if m.Attributes == nil {
		m.Attributes = map[string]*structpb.Struct{attributesKey: {Fields: map[string]*structpb.Value{}}}
	}
	for name, value := range values {
		m.Attributes[attributesKey].Fields[name] = structpb.NewStringValue(value)
	}
}

// end makes err the end of the exchange: Envoy resets a stream that has failed.
func (s *Stream) end(err error) error {
	s.over = err
	s.cancel()
	return err
}

// Close ends a whole exchange as Envoy does: it resets the stream, which the server sees as Canceled. It gives what the
// server's handler returned, once it has, and a *Violation when the server had sent something that nobody asked for, or
// had ended cleanly before the answer's end.
func (s *Stream) Close() (handlerErr, violation error) {
	if s.over == nil {
		select {
		case r := <-s.replies:
			err := s.end(unasked(r, "end"))
			if atEnd := s.finished && errors.Is(r.err, io.EOF); !atEnd && errors.As(err, new(*Violation)) {
				violation = err
			}
		default:
			_ = s.end(errors.New("it was closed"))
		}
	}
	return s.Wait(), violation
}

// Cancel resets the stream in whatever phase it is, as Envoy does when the provider resets or a time-out passes, and
// gives what the handler returned.
func (s *Stream) Cancel() error {
	_ = s.end(errors.New("it was cancelled"))
	return s.Wait()
}

// HangUp ends the sending side only, as Envoy does when the client hangs up: the server sees EOF. It gives what the
// handler returned, which it may do cleanly: there is nobody left to pass anything to.
func (s *Stream) HangUp() error {
	s.over = errors.New("the client hung up")
	_ = s.grpc.CloseSend() // fails only on a stream that has ended
	err := s.Wait()
	s.cancel()
	return err
}

// Wait gives what the server's handler returned, once it has. Of a stream that never carried a message it gives nil: the
// server may not have seen it.
func (s *Stream) Wait() error {
	if !s.started {
		return nil
	}
	<-s.handler.done
	return s.handler.err
}
