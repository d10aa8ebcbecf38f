package fakeenvoy

import (
	"errors"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
)

// The details of Envoy's own code, as response.code_details has them.
const (
	DetailsUpstream = "via_upstream"
	DetailsTooLarge = "request_payload_too_large"
	DetailsReset    = "upstream_reset_before_response_started{connection_termination}"
)

// RequestHeaders sends the request's headers. With end there is no body, and the request is forwarded unless the server
// made a reply of its own (Immediate).
func (s *Stream) RequestHeaders(headers []Header, end bool) error {
	s.Request = append([]Header(nil), headers...)
	reply, err := s.exchange(&extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestHeaders{
		RequestHeaders: &extprocv3.HttpHeaders{Headers: headerMap(headers), EndOfStream: end},
	}}, "request headers")
	if err != nil {
		return err
	}
	check := checker{s: s, phase: "request headers"}
	if r, ok := reply.GetResponse().(*extprocv3.ProcessingResponse_RequestHeaders); ok {
		check.headers(r.RequestHeaders.GetResponse(), &s.Request)
	} else {
		check.other(reply)
	}
	check.envelope(reply)
	s.forwarded = s.forwarded || end && s.Immediate == nil && check.err == nil
	return check.done()
}

// RequestBody sends the whole, buffered body and gives what the provider receives. With end false trailers follow, and
// the request is forwarded after them.
func (s *Stream) RequestBody(body []byte, end bool) ([]byte, error) {
	reply, err := s.exchange(&extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestBody{
		RequestBody: &extprocv3.HttpBody{Body: body, EndOfStream: end},
	}}, "request body")
	if err != nil {
		return nil, err
	}
	check := checker{s: s, phase: "request body"}
	if r, ok := reply.GetResponse().(*extprocv3.ProcessingResponse_RequestBody); ok {
		check.headers(r.RequestBody.GetResponse(), &s.Request)
		body = check.body(r.RequestBody.GetResponse(), body)
		check.length(s.Request, len(body))
	} else {
		check.other(reply)
	}
	check.envelope(reply)
	s.forwarded = s.forwarded || end && s.Immediate == nil && check.err == nil
	return body, check.done()
}

// RequestTrailers sends trailers after the body; then the request is forwarded.
func (s *Stream) RequestTrailers(trailers []Header) error {
	reply, err := s.exchange(&extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestTrailers{
		RequestTrailers: &extprocv3.HttpTrailers{Trailers: headerMap(trailers)},
	}}, "request trailers")
	if err != nil {
		return err
	}
	check := checker{s: s, phase: "request trailers"}
	if r, ok := reply.GetResponse().(*extprocv3.ProcessingResponse_RequestTrailers); ok {
		check.mutation(r.RequestTrailers.GetHeaderMutation(), &trailers)
	} else {
		check.other(reply)
	}
	check.envelope(reply)
	s.forwarded = s.forwarded || s.Immediate == nil && check.err == nil
	return check.done()
}

// ResponseHeaders sends an answer's headers, which hold :status. Details are DetailsUpstream for the provider's own
// answer and another value for one that Envoy made. A request that was not forwarded can only have the latter.
func (s *Stream) ResponseHeaders(headers []Header, details string, end bool) error {
	if !s.forwarded && details == DetailsUpstream {
		return errors.New("the test answers a request that was not forwarded")
	}
	s.Response = append([]Header(nil), headers...)
	m := &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseHeaders{
		ResponseHeaders: &extprocv3.HttpHeaders{Headers: headerMap(headers), EndOfStream: end},
	}}
	addAttributes(m, map[string]string{"response.code_details": details})
	reply, err := s.exchange(m, "response headers")
	if err != nil {
		return err
	}
	check := checker{s: s, phase: "response headers"}
	if r, ok := reply.GetResponse().(*extprocv3.ProcessingResponse_ResponseHeaders); ok {
		check.headers(r.ResponseHeaders.GetResponse(), &s.Response)
		if end {
			check.length(s.Response, 0)
		}
	} else {
		check.other(reply)
	}
	check.envelope(reply)
	s.answered = s.Immediate == nil && check.err == nil
	s.finished = s.answered && end
	return check.done()
}

// ResponseBody sends one chunk of the answer and gives what the client receives in its place.
func (s *Stream) ResponseBody(chunk []byte, end bool) ([]byte, error) {
	reply, err := s.exchange(&extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseBody{
		ResponseBody: &extprocv3.HttpBody{Body: chunk, EndOfStream: end},
	}}, "response body")
	if err != nil {
		return nil, err
	}
	check := checker{s: s, phase: "response body"}
	if r, ok := reply.GetResponse().(*extprocv3.ProcessingResponse_ResponseBody); ok {
		if m := r.ResponseBody.GetResponse().GetHeaderMutation(); len(m.GetSetHeaders())+len(m.GetRemoveHeaders()) > 0 {
			check.fail("headers are changed after they went out: Envoy ignores it")
		}
		chunk = check.body(r.ResponseBody.GetResponse(), chunk)
	} else {
		check.other(reply)
	}
	check.envelope(reply)
	s.finished = s.finished || end && check.err == nil
	return chunk, check.done()
}

// ResponseTrailers sends trailers after the last chunk, whose end was false, and gives what the client receives.
func (s *Stream) ResponseTrailers(trailers []Header) ([]Header, error) {
	reply, err := s.exchange(&extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseTrailers{
		ResponseTrailers: &extprocv3.HttpTrailers{Trailers: headerMap(trailers)},
	}}, "response trailers")
	if err != nil {
		return nil, err
	}
	trailers = append([]Header(nil), trailers...)
	check := checker{s: s, phase: "response trailers"}
	if r, ok := reply.GetResponse().(*extprocv3.ProcessingResponse_ResponseTrailers); ok {
		check.mutation(r.ResponseTrailers.GetHeaderMutation(), &trailers)
	} else {
		check.other(reply)
	}
	check.envelope(reply)
	s.finished = s.finished || check.err == nil
	return trailers, check.done()
}

// Forwarded reports whether the request has gone to the provider.
func (s *Stream) Forwarded() bool { return s.forwarded }

func headerMap(headers []Header) *corev3.HeaderMap {
	m := &corev3.HeaderMap{Headers: make([]*corev3.HeaderValue, len(headers))}
	for i, h := range headers {
		m.Headers[i] = &corev3.HeaderValue{Key: h[0], RawValue: []byte(h[1])}
	}
	return m
}
