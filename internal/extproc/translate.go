package extproc

import (
	"context"
	"fmt"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/gate"
	"github.com/plumbline/plumbline/internal/openai"
)

// translation is one exchange between Envoy's messages and the gate's calls.
type translation struct {
	server   *Server
	exchange *gate.Exchange
	answered bool              // a verdict was given, either way
	headed   bool              // the head of the answer was seen
	ended    bool              // the last of the answer was seen, or it was replaced
	held     int64             // bytes taken from the server's bound on bodies
	headers  *corev3.HeaderMap // the request's
}

// close ends the exchange and gives back what it took. Closing twice does nothing.
func (t *translation) close(ctx context.Context, finish core.Finish) {
	t.releaseBody()
	if t.exchange != nil {
		t.exchange.Close(ctx, finish)
	}
}

// translate answers one message by its own type.
func (t *translation) translate(ctx context.Context, m *extprocv3.ProcessingRequest) (*extprocv3.ProcessingResponse, error) {
	switch r := m.GetRequest().(type) {
	case *extprocv3.ProcessingRequest_RequestHeaders:
		if t.exchange != nil || t.answered {
			return nil, outOfOrder("request headers")
		}
		return t.requestHeaders(ctx, m, r.RequestHeaders), nil
	case *extprocv3.ProcessingRequest_RequestBody:
		if t.exchange == nil || t.answered {
			return nil, outOfOrder("request body")
		}
		return t.requestBody(ctx, r.RequestBody), nil
	case *extprocv3.ProcessingRequest_RequestTrailers:
		if !t.answered {
			return nil, outOfOrder("request trailers")
		}
		return &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestTrailers{
			RequestTrailers: &extprocv3.TrailersResponse{},
		}}, nil
	}
	if t.exchange == nil {
		return t.unread(m)
	}
	return t.translateAnswer(ctx, m)
}

// unread answers for a request that Envoy refused by itself before Plumbline saw it (a path in a form that it does not
// take, an upgrade): the head of Envoy's own reply is then the first message.
func (t *translation) unread(m *extprocv3.ProcessingRequest) (*extprocv3.ProcessingResponse, error) {
	h := m.GetResponseHeaders()
	if h == nil || t.answered {
		return nil, outOfOrder("an answer")
	}
	return t.refuse(t.server.gate.RefuseUnread(sourceAddress(attribute(m, "source.address")), answerHead(m, h))), nil
}

// translateAnswer answers a message of the response side. Envoy's own replies come this way too, also before a verdict
// (a body that is too large), so it does not ask for one.
func (t *translation) translateAnswer(ctx context.Context, m *extprocv3.ProcessingRequest) (*extprocv3.ProcessingResponse, error) {
	switch r := m.GetRequest().(type) {
	case *extprocv3.ProcessingRequest_ResponseHeaders:
		if t.headed || t.ended {
			return nil, outOfOrder("response headers")
		}
		t.headed, t.ended = true, r.ResponseHeaders.GetEndOfStream()
		head := answerHead(m, r.ResponseHeaders)
		edits, reply := t.exchange.ObserveHead(ctx, head, r.ResponseHeaders.GetEndOfStream())
		if reply != nil {
			return t.refuse(reply), nil
		}
		return &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ResponseHeaders{
			ResponseHeaders: &extprocv3.HeadersResponse{Response: &extprocv3.CommonResponse{HeaderMutation: mutation(edits, r.ResponseHeaders.GetHeaders())}},
		}}, nil
	case *extprocv3.ProcessingRequest_ResponseBody:
		if !t.headed || t.ended {
			return nil, outOfOrder("response body")
		}
		t.ended = r.ResponseBody.GetEndOfStream()
		piece, err := t.exchange.ObserveBody(ctx, r.ResponseBody.GetBody(), r.ResponseBody.GetEndOfStream())
		if err != nil {
			return nil, status.Error(codes.Aborted, "the answer was cut and the provider went on for too long")
		}
		return &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ResponseBody{
			ResponseBody: &extprocv3.BodyResponse{Response: pieceResponse(piece)},
		}}, nil
	case *extprocv3.ProcessingRequest_ResponseTrailers:
		if !t.headed || t.ended {
			return nil, outOfOrder("response trailers")
		}
		t.ended = true
		t.exchange.ObserveEnd(ctx)
		return &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ResponseTrailers{
			ResponseTrailers: &extprocv3.TrailersResponse{},
		}}, nil
	}
	return nil, outOfOrder("a message of unknown type")
}

// requestHeaders opens the exchange and refuses at once what headers decide. A request without a body is admitted here.
func (t *translation) requestHeaders(ctx context.Context, m *extprocv3.ProcessingRequest, h *extprocv3.HttpHeaders) *extprocv3.ProcessingResponse {
	t.headers = h.GetHeaders()
	head := requestHead(m, h)
	head.Workload, head.Certificate = caller(ctx, m)
	exchange, reply := t.server.gate.Open(ctx, head)
	t.exchange = exchange
	if reply != nil {
		return t.refuse(reply)
	}
	if err := governable(m.GetProtocolConfig()); err != nil {
		return t.refuse(exchange.Fail(ctx, core.AsError(err)))
	}
	if !h.GetEndOfStream() {
		if err := t.acquireBody(head.ContentLength); err != nil {
			return t.refuse(exchange.Fail(ctx, err))
		}
		return continueHeaders
	}
	admission, reply := exchange.Admit(ctx, nil)
	t.answered = true
	if reply != nil {
		return t.refuse(reply)
	}
	return withMetadata(&extprocv3.ProcessingResponse{
		Response: &extprocv3.ProcessingResponse_RequestHeaders{
			RequestHeaders: &extprocv3.HeadersResponse{Response: admissionResponse(admission, t.headers)},
		},
	}, exchange)
}

// requestBody admits the whole body, which Envoy buffered.
func (t *translation) requestBody(ctx context.Context, b *extprocv3.HttpBody) *extprocv3.ProcessingResponse {
	admission, reply := t.exchange.Admit(ctx, b.GetBody())
	t.answered = true
	t.releaseBody()
	if reply != nil {
		return t.refuse(reply)
	}
	return withMetadata(&extprocv3.ProcessingResponse{
		Response: &extprocv3.ProcessingResponse_RequestBody{
			RequestBody: &extprocv3.BodyResponse{Response: admissionResponse(admission, t.headers)},
		},
	}, t.exchange)
}

// refuse sends a finished reply in place of whatever would come.
func (t *translation) refuse(r *openai.Reply) *extprocv3.ProcessingResponse {
	t.answered, t.ended = true, t.headed
	t.releaseBody()
	response := immediate(r)
	if t.exchange != nil {
		response = withMetadata(response, t.exchange)
	}
	return response
}

// acquireBody takes room for a body before it is read. A body of unknown length takes as much as its endpoint allows.
func (t *translation) acquireBody(length int64) *core.Error {
	if length < 0 {
		length = t.exchange.BodyLimit()
	}
	if !t.server.bodies.TryAcquire(length) {
		return &core.Error{
			Reason: core.ReasonOverloaded,
			Public: "Plumbline has no room for another request body right now. Try again in a moment.",
		}
	}
	t.held = length
	t.server.inFlight.Add(length)
	return nil
}

func (t *translation) releaseBody() {
	if t.held > 0 {
		t.server.bodies.Release(t.held)
		t.server.inFlight.Add(-t.held)
		t.held = 0
	}
}

// outOfOrder fails the request: a message that Envoy does not send at this point.
func outOfOrder(what string) error {
	return status.Error(codes.FailedPrecondition, fmt.Sprintf("out of order: %s", what))
}
