package fakeenvoy

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Exchange is a whole exchange.
type Exchange struct {
	// Headers are added to those of a chat completion; a pseudo header replaces the usual one.
	Headers []Header
	// Body is the request's, nil for a request of headers only.
	Body []byte
	// Trailers follow the body if there are any.
	Trailers []Header
	// Upstream answers what is forwarded. Nil: 200 with an empty JSON object.
	Upstream func(Forwarded) Answer
}

// Forwarded is what the provider receives.
type Forwarded struct {
	Headers []Header
	Body    []byte
}

// Header gives a header's value, all of them joined when there are several.
func (f Forwarded) Header(name string) string { return value(f.Headers, name) }

// Answer is what the provider answers, or Envoy in its place.
type Answer struct {
	Status  int // 200 when 0
	Headers []Header
	// Chunks arrive one by one. The last one carries the end, unless EmptyLast or Trailers are set.
	Chunks    [][]byte
	EmptyLast bool // the end comes with one more, empty chunk
	Trailers  []Header
	// Details are DetailsUpstream when empty; another value makes it Envoy's own reply.
	Details string
	// Reset says that the provider resets the connection after the last chunk.
	Reset bool
}

// Result is how an exchange ended.
type Result struct {
	// Forwarded is nil when the provider received nothing.
	Forwarded *Forwarded
	// Status, Headers, Body and Trailers are what the client received.
	Status   int
	Headers  []Header
	Body     []byte
	Trailers []Header
	// Immediate is true when the reply is the server's own.
	Immediate bool
	// Reset is true when the client saw the connection end before the answer did.
	Reset bool
	// Handler is what the server's handler returned.
	Handler error
}

// Header gives a header's value, all of them joined when there are several.
func (r *Result) Header(name string) string { return value(r.Headers, name) }

// JSON is an answer of one piece.
func JSON(status int, body string) Answer {
	return Answer{Status: status, Headers: []Header{{"content-type", "application/json"}}, Chunks: [][]byte{[]byte(body)}}
}

// EventStream is an answer of several chunks.
func EventStream(chunks ...string) Answer {
	a := Answer{Headers: []Header{{"content-type", "text/event-stream"}}, EmptyLast: true}
	for _, c := range chunks {
		a.Chunks = append(a.Chunks, []byte(c))
	}
	return a
}

// Do runs an exchange from its beginning to its end. The error is a *Violation, or that of a stream that could not be
// opened; that the server fails or refuses is a Result.
func (e *Envoy) Do(ctx context.Context, x Exchange) (*Result, error) {
	s, err := e.Open(ctx)
	if err != nil {
		return nil, err
	}
	result := &Result{}
	err = s.run(x, result)
	handlerErr, violation := s.Close()
	result.Handler = handlerErr
	for _, err := range []error{err, violation} {
		if v := (*Violation)(nil); errors.As(err, &v) {
			return result, v
		}
	}
	if err != nil && !result.settle(s, err) {
		return result, err
	}
	return result, nil
}

// settle gives the client what Envoy gives it when a stream fails.
func (r *Result) settle(s *Stream, err error) bool {
	failed := errors.As(err, new(*StreamError))
	switch {
	case !failed && !errors.Is(err, ErrTimeout):
		return false
	case s.answered:
		r.Reset = true
	case failed:
		r.Status = http.StatusServiceUnavailable
	default:
		r.Status = http.StatusGatewayTimeout
	}
	return true
}

func (s *Stream) run(x Exchange, result *Result) error {
	answer, err := s.ask(x, result)
	if err != nil || s.replied(result) {
		return err
	}
	headers := append([]Header{{":status", strconv.Itoa(answer.Status)}}, answer.Headers...)
	end := len(answer.Chunks) == 0 && !answer.EmptyLast && len(answer.Trailers) == 0 && !answer.Reset
	if err := s.ResponseHeaders(headers, answer.Details, end); err != nil || s.replied(result) {
		return err
	}
	result.Headers = s.Response
	result.Status, _ = strconv.Atoi(value(s.Response, ":status"))
	chunks := answer.Chunks
	if answer.EmptyLast {
		chunks = append(slices.Clone(chunks), nil)
	}
	for i, chunk := range chunks {
		last := i == len(chunks)-1 && len(answer.Trailers) == 0 && !answer.Reset
		passed, err := s.ResponseBody(chunk, last)
		if err != nil {
			return err
		}
		result.Body = append(result.Body, passed...)
	}
	if answer.Reset {
		result.Reset = true
		return nil
	}
	if len(answer.Trailers) > 0 {
		result.Trailers, err = s.ResponseTrailers(answer.Trailers)
	}
	return err
}

// ask sends the request and gives what the provider, or Envoy in its place, answers.
func (s *Stream) ask(x Exchange, result *Result) (Answer, error) {
	headers := requestHeaders(x)
	if err := s.RequestHeaders(headers, x.Body == nil && len(x.Trailers) == 0); err != nil || s.Immediate != nil {
		return Answer{}, err
	}
	if len(x.Body) > s.e.o.BodyLimit {
		answer := JSON(http.StatusRequestEntityTooLarge, "{}")
		answer.Details = DetailsTooLarge
		return answer, nil
	}
	body := x.Body
	if x.Body != nil {
		var err error
		if body, err = s.RequestBody(x.Body, len(x.Trailers) == 0); err != nil || s.Immediate != nil {
			return Answer{}, err
		}
	}
	if len(x.Trailers) > 0 {
		if err := s.RequestTrailers(x.Trailers); err != nil || s.Immediate != nil {
			return Answer{}, err
		}
	}
	result.Forwarded = &Forwarded{Headers: s.Request, Body: body}
	answer := JSON(http.StatusOK, "{}")
	if x.Upstream != nil {
		answer = x.Upstream(*result.Forwarded)
	}
	if answer.Status == 0 {
		answer.Status = http.StatusOK
	}
	if answer.Details == "" {
		answer.Details = DetailsUpstream
	}
	return answer, nil
}

// replied takes over the server's own reply, if it made one.
func (s *Stream) replied(result *Result) bool {
	i := s.Immediate
	if i == nil {
		return false
	}
	result.Immediate, result.Status, result.Headers, result.Body, result.Reset = true, i.Status, i.Headers, i.Body, i.Reset
	return true
}

// ChatHeaders are the headers of a chat completion with a JSON body of n bytes.
func ChatHeaders(n int, more ...Header) []Header {
	return withHeaders([]Header{
		{":method", "POST"},
		{":path", "/v1/chat/completions"},
		{":scheme", "http"},
		{":authority", "gateway"},
		{"content-type", "application/json"},
		{"content-length", strconv.Itoa(n)},
		{"x-request-id", "fake"},
	}, more)
}

// requestHeaders are those of a chat completion, without a body's own headers where there is none.
func requestHeaders(x Exchange) []Header {
	headers := ChatHeaders(len(x.Body))
	if x.Body == nil {
		headers = slices.DeleteFunc(headers, func(h Header) bool { return h[0] == "content-length" || h[0] == "content-type" })
	}
	return withHeaders(headers, x.Headers)
}

// withHeaders adds headers; a pseudo header can only be there once and replaces the usual one.
func withHeaders(headers, more []Header) []Header {
	for _, h := range more {
		if strings.HasPrefix(h[0], ":") {
			headers = slices.DeleteFunc(headers, func(old Header) bool { return old[0] == h[0] })
		}
		headers = append(headers, h)
	}
	return headers
}
