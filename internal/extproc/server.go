// Package extproc is the front end for Envoy's external processing filter: it translates messages to and from the gate,
// and nothing more. Envoy's types stay here.
//
// It speaks the mode that docs/decisions/0001 chose: request body BUFFERED, response body STREAMED. Which mode Envoy
// runs is read from the first message of each stream; any other is refused, since a prompt could pass unread.
package extproc

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"sync/atomic"

	filterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/gate"
)

// Options are what a server is made of.
type Options struct {
	Gate *gate.Gate
	Log  *slog.Logger
	// MaxBodyBytesInFlight bounds the request bodies in memory at once; beyond it new requests are refused.
	MaxBodyBytesInFlight int64
}

// Server implements Envoy's ExternalProcessor service.
type Server struct {
	extprocv3.UnimplementedExternalProcessorServer
	gate     *gate.Gate
	log      *slog.Logger
	bodies   *semaphore.Weighted
	open     atomic.Int64
	inFlight atomic.Int64
	draining atomic.Bool
}

// New gives a server that translates for the options' gate.
func New(o Options) *Server {
	return &Server{gate: o.Gate, log: o.Log, bodies: semaphore.NewWeighted(o.MaxBodyBytesInFlight)}
}

// OpenStreams is how many exchanges are open now.
func (s *Server) OpenStreams() int64 { return s.open.Load() }

// BodyBytesInFlight is how many bytes of request bodies are spoken for now.
func (s *Server) BodyBytesInFlight() int64 { return s.inFlight.Load() }

// Drain says that streams which are cut off from now on were ended by Plumbline's shutdown.
func (s *Server) Drain() { s.draining.Store(true) }

// Process serves one exchange: one stream of messages from Envoy, each answered by its own type, in order.
//
// Returning nil before the verdict would let the request through un-judged, whatever Envoy's failure_mode_allow says;
// after it, the rest of the answer un-metered. So there is one place that returns nil: the end that Envoy itself made.
func (s *Server) Process(stream extprocv3.ExternalProcessor_ProcessServer) (err error) {
	s.open.Add(1)
	defer s.open.Add(-1)
	t := translation{server: s}
	defer func() { // last of all, so that an ending that panics does not end the process
		if cause := recover(); cause != nil {
			// The panic's value may quote a prompt: its type and the stack are logged, no more.
			s.log.Error("panic while processing an exchange", "type", fmt.Sprintf("%T", cause), "stack", string(debug.Stack()))
			err = status.Error(codes.Internal, "internal error")
		}
	}()
	defer func() { t.close(stream.Context(), s.finish(err)) }()
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) && t.answered {
			return nil // Envoy ended the stream after the verdict
		}
		if err != nil {
			return ended(err)
		}
		response, err := t.translate(stream.Context(), request)
		if err != nil {
			return err
		}
		if err := stream.Send(response); err != nil {
			return err
		}
	}
}

// ended gives the status for a stream that ended before its time. Its words reach Envoy's access log.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return status.Error(codes.Canceled, "the stream ended before the verdict")
	}
	return err
}

// finish says how an exchange ended whose answer was not seen to its end.
func (s *Server) finish(err error) core.Finish {
	if s.draining.Load() && err != nil {
		return core.FinishDrained
	}
	return core.FinishInterrupted
}

// governable reports whether Envoy runs a mode in which nothing passes unread.
func governable(p *extprocv3.ProtocolConfiguration) error {
	switch {
	case p == nil:
		return errors.New("Envoy sent no protocol_config: it is older than 1.39.1")
	case p.GetRequestBodyMode() != filterv3.ProcessingMode_BUFFERED:
		return fmt.Errorf("Envoy's request_body_mode is %s, not BUFFERED", p.GetRequestBodyMode())
	case p.GetResponseBodyMode() != filterv3.ProcessingMode_STREAMED:
		return fmt.Errorf("Envoy's response_body_mode is %s, not STREAMED", p.GetResponseBodyMode())
	}
	return nil
}
