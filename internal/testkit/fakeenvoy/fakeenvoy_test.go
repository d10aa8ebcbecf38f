package fakeenvoy_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	filterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/plumbline/plumbline/internal/testkit/fakeenvoy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type (
	request  = extprocv3.ProcessingRequest
	response = extprocv3.ProcessingResponse
	stream   = extprocv3.ExternalProcessor_ProcessServer
)

// server is an ext_proc server made of one function. It passes on what the function gives no reply to.
type server struct {
	extprocv3.UnimplementedExternalProcessorServer
	on func(stream, *request) (*response, error)
}

// errClean has the server end the stream cleanly.
var errClean = errors.New("clean end")

func (s server) Process(st stream) error {
	for {
		m, err := st.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var r *response
		if s.on != nil {
			if r, err = s.on(st, m); errors.Is(err, errClean) {
				return nil
			} else if err != nil {
				return err
			}
		}
		if r == nil {
			r = passOn(m)
		}
		if err := st.Send(r); err != nil {
			return err
		}
	}
}

func passOn(m *request) *response {
	switch m.GetRequest().(type) {
	case *extprocv3.ProcessingRequest_RequestHeaders:
		return &response{Response: &extprocv3.ProcessingResponse_RequestHeaders{}}
	case *extprocv3.ProcessingRequest_RequestBody:
		return &response{Response: &extprocv3.ProcessingResponse_RequestBody{}}
	case *extprocv3.ProcessingRequest_RequestTrailers:
		return &response{Response: &extprocv3.ProcessingResponse_RequestTrailers{}}
	case *extprocv3.ProcessingRequest_ResponseHeaders:
		return &response{Response: &extprocv3.ProcessingResponse_ResponseHeaders{}}
	case *extprocv3.ProcessingRequest_ResponseBody:
		return &response{Response: &extprocv3.ProcessingResponse_ResponseBody{}}
	}
	return &response{Response: &extprocv3.ProcessingResponse_ResponseTrailers{}}
}

func set(name, value string) *corev3.HeaderValueOption {
	return &corev3.HeaderValueOption{
		Header:       &corev3.HeaderValue{Key: name, RawValue: []byte(value)},
		AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	}
}

func headersReply(c *extprocv3.CommonResponse) *response {
	return &response{Response: &extprocv3.ProcessingResponse_RequestHeaders{RequestHeaders: &extprocv3.HeadersResponse{Response: c}}}
}

func setting(h ...*corev3.HeaderValueOption) *response {
	return headersReply(&extprocv3.CommonResponse{HeaderMutation: &extprocv3.HeaderMutation{SetHeaders: h}})
}

func removing(names ...string) *response {
	return headersReply(&extprocv3.CommonResponse{HeaderMutation: &extprocv3.HeaderMutation{RemoveHeaders: names}})
}

func bodyReply(body string, h ...*corev3.HeaderValueOption) *response {
	return &response{Response: &extprocv3.ProcessingResponse_RequestBody{RequestBody: &extprocv3.BodyResponse{Response: &extprocv3.CommonResponse{
		HeaderMutation: &extprocv3.HeaderMutation{SetHeaders: h},
		BodyMutation:   &extprocv3.BodyMutation{Mutation: &extprocv3.BodyMutation_Body{Body: []byte(body)}},
	}}}}
}

func immediate(change func(*extprocv3.ImmediateResponse)) *response {
	r := &extprocv3.ImmediateResponse{
		Status: &typev3.HttpStatus{Code: typev3.StatusCode_Forbidden}, Body: []byte(`{"error":{}}`), Details: "plumbline",
		Headers: &extprocv3.HeaderMutation{SetHeaders: []*corev3.HeaderValueOption{set("content-type", "application/json")}},
	}
	if change != nil {
		change(r)
	}
	return &response{Response: &extprocv3.ProcessingResponse_ImmediateResponse{ImmediateResponse: r}}
}

// at makes a server's function reply r to messages of the same kind as kind, and pass everything else on.
func at(kind string, r *response, err error) func(stream, *request) (*response, error) {
	return func(_ stream, m *request) (*response, error) {
		if phase(m) != kind {
			return nil, nil
		}
		return r, err
	}
}

func phase(m *request) string {
	switch m.GetRequest().(type) {
	case *extprocv3.ProcessingRequest_RequestHeaders:
		return "request headers"
	case *extprocv3.ProcessingRequest_RequestBody:
		return "request body"
	case *extprocv3.ProcessingRequest_RequestTrailers:
		return "request trailers"
	case *extprocv3.ProcessingRequest_ResponseHeaders:
		return "response headers"
	case *extprocv3.ProcessingRequest_ResponseBody:
		return "response body"
	}
	return "response trailers"
}

var exchange = fakeenvoy.Exchange{
	Body: []byte(`{"model":"m"}`),
	Upstream: func(fakeenvoy.Forwarded) fakeenvoy.Answer {
		a := fakeenvoy.EventStream("one ", "two")
		a.Trailers = []fakeenvoy.Header{{"t", "1"}}
		return a
	},
}

func TestBrokenRulesAreFound(t *testing.T) {
	raw := func(o *corev3.HeaderValueOption, f func(*corev3.HeaderValueOption)) *corev3.HeaderValueOption {
		f(o)
		return o
	}
	override := passOn(&request{Request: &extprocv3.ProcessingRequest_RequestHeaders{}})
	override.ModeOverride = &filterv3.ProcessingMode{}
	streamed := &response{Response: &extprocv3.ProcessingResponse_ResponseBody{ResponseBody: &extprocv3.BodyResponse{Response: &extprocv3.CommonResponse{
		BodyMutation: &extprocv3.BodyMutation{Mutation: &extprocv3.BodyMutation_StreamedResponse{}},
	}}}}
	lateHeader := &response{Response: &extprocv3.ProcessingResponse_ResponseBody{ResponseBody: &extprocv3.BodyResponse{Response: &extprocv3.CommonResponse{
		HeaderMutation: &extprocv3.HeaderMutation{SetHeaders: []*corev3.HeaderValueOption{set("x", "y")}},
	}}}}
	wrong := &response{Response: &extprocv3.ProcessingResponse_ResponseTrailers{}}
	for name, c := range map[string]struct {
		on   func(stream, *request) (*response, error)
		want string
	}{
		"clean end at the headers":    {at("request headers", nil, errClean), "cleanly before the verdict"},
		"clean end at the body":       {at("request body", nil, errClean), "cleanly before the verdict"},
		"clean end at the answer":     {at("response headers", nil, errClean), "cleanly in mid-answer"},
		"clean end in mid-answer":     {at("response body", nil, errClean), "cleanly in mid-answer"},
		"another type to headers":     {at("request headers", wrong, nil), "spurious"},
		"another type to body":        {at("request body", passOn(&request{Request: &extprocv3.ProcessingRequest_RequestHeaders{}}), nil), "spurious"},
		"another type to response":    {at("response headers", passOn(&request{Request: &extprocv3.ProcessingRequest_ResponseBody{}}), nil), "spurious"},
		"another type to trailers":    {at("response trailers", passOn(&request{Request: &extprocv3.ProcessingRequest_ResponseBody{}}), nil), "spurious"},
		"an empty reply":              {at("request headers", &response{}, nil), "spurious"},
		"value in place of raw_value": {at("request headers", setting(raw(set("a", ""), func(o *corev3.HeaderValueOption) { o.Header.Value = "v" })), nil), "raw_value"},
		"an empty header":             {at("request headers", setting(set("a", "")), nil), "is empty"},
		"append":                      {at("request headers", setting(raw(set("a", "v"), func(o *corev3.HeaderValueOption) { o.AppendAction = 0 })), nil), "append_action"},
		"upper case":                  {at("request headers", setting(set("Authorization", "v")), nil), "lower case"},
		"a routing header":            {at("request headers", setting(set("host", "v")), nil), "may not be changed"},
		"an Envoy header":             {at("request headers", removing("x-envoy-retry-on"), nil), "may not be changed"},
		"a pseudo header removed":     {at("request headers", removing(":path"), nil), "is removed"},
		"a line break":                {at("request headers", setting(set("a", "b\r\nc: d")), nil), "line break"},
		"a body in reply to headers":  {at("request headers", headersReply(&extprocv3.CommonResponse{BodyMutation: &extprocv3.BodyMutation{}}), nil), "body change in reply to headers"},
		"continue and replace":        {at("request headers", headersReply(&extprocv3.CommonResponse{Status: extprocv3.CommonResponse_CONTINUE_AND_REPLACE}), nil), "CONTINUE_AND_REPLACE"},
		"the route cache":             {at("request headers", headersReply(&extprocv3.CommonResponse{ClearRouteCache: true}), nil), "clear_route_cache"},
		"a mode override":             {at("request headers", override, nil), "mode override"},
		"another length":              {at("request body", bodyReply("{}"), nil), "mismatch between content-length 13 and the body of 2"},
		"an empty replacement":        {at("request body", bodyReply("", set("content-length", "0")), nil), "clear_body"},
		"a change of another mode":    {at("response body", streamed, nil), "belongs to another mode"},
		"headers after the headers":   {at("response body", lateHeader, nil), "after they went out"},
		"no status":                   {at("request headers", immediate(func(r *extprocv3.ImmediateResponse) { r.Status = nil }), nil), "without a status"},
		"status 200":                  {at("request body", immediate(func(r *extprocv3.ImmediateResponse) { r.Status.Code = 200 }), nil), "status 200"},
		"no details":                  {at("request body", immediate(func(r *extprocv3.ImmediateResponse) { r.Details = "" }), nil), "details"},
		"no JSON":                     {at("request body", immediate(func(r *extprocv3.ImmediateResponse) { r.Body = []byte("no") }), nil), "no JSON"},
		"no type":                     {at("request body", immediate(func(r *extprocv3.ImmediateResponse) { r.Headers = nil }), nil), "of type"},
		"immediate in mid-answer":     {at("response body", immediate(nil), nil), "after the headers went out"},
		"two replies to one message": {func(st stream, m *request) (*response, error) {
			if phase(m) == "request headers" {
				return nil, st.Send(passOn(m))
			}
			return nil, nil
		}, "spurious"},
	} {
		t.Run(name, func(t *testing.T) {
			envoy := fakeenvoy.New(t, server{on: c.on}, fakeenvoy.Options{})
			_, err := envoy.Do(t.Context(), exchange)
			var v *fakeenvoy.Violation
			if !errors.As(err, &v) || !strings.Contains(v.Error(), c.want) {
				t.Errorf("%v, want a violation with %q", err, c.want)
			}
		})
	}
}

func TestAWholeExchange(t *testing.T) {
	var phases []string
	envoy := fakeenvoy.New(t, server{on: func(_ stream, m *request) (*response, error) {
		phases = append(phases, phase(m))
		switch phase(m) {
		case "request headers":
			if m.GetProtocolConfig().GetRequestBodyMode() != filterv3.ProcessingMode_BUFFERED ||
				m.GetAttributes()["envoy.filters.http.ext_proc"].GetFields()["source.address"].GetStringValue() == "" {
				return nil, errors.New("the first message lacks its configuration")
			}
			return removing("authorization"), nil
		case "request body":
			return bodyReply("{}", set("content-length", "2"), set("authorization", "Bearer key")), nil
		}
		return nil, nil
	}}, fakeenvoy.Options{})
	x := exchange
	x.Headers = []fakeenvoy.Header{{":path", "/v1/x"}, {"authorization", "Bearer pl_1"}}
	got, err := envoy.Do(t.Context(), x)
	if err != nil {
		t.Fatal(err)
	}
	if code := status.Code(got.Handler); code != codes.Canceled {
		t.Errorf("the handler ended with %v", got.Handler)
	}
	want := &fakeenvoy.Result{
		Forwarded: &fakeenvoy.Forwarded{Body: []byte("{}"), Headers: []fakeenvoy.Header{
			{":method", "POST"},
			{":scheme", "http"},
			{":authority", "gateway"},
			{"content-type", "application/json"},
			{"x-request-id", "fake"},
			{":path", "/v1/x"},
			{"content-length", "2"},
			{"authorization", "Bearer key"},
		}},
		Status: 200, Headers: []fakeenvoy.Header{{":status", "200"}, {"content-type", "text/event-stream"}},
		Body: []byte("one two"), Trailers: []fakeenvoy.Header{{"t", "1"}}, Handler: got.Handler,
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(errors.Is)); diff != "" {
		t.Error(diff)
	}
	wantPhases := []string{"request headers", "request body", "response headers", "response body", "response body", "response body", "response trailers"}
	if diff := cmp.Diff(wantPhases, phases); diff != "" {
		t.Error(diff)
	}
}

func TestWhatTheClientGetsWhenTheServerDoesNotHelp(t *testing.T) {
	broken := errors.New("broken")
	hang := func(kind string) func(stream, *request) (*response, error) {
		return func(st stream, m *request) (*response, error) {
			if phase(m) == kind {
				<-st.Context().Done()
				return nil, st.Context().Err()
			}
			return nil, nil
		}
	}
	for name, c := range map[string]struct {
		on        func(stream, *request) (*response, error)
		x         fakeenvoy.Exchange
		status    int
		reset     bool
		immediate bool
		forwarded bool
	}{
		"error at the headers":   {at("request headers", nil, broken), exchange, 503, false, false, false},
		"error at the body":      {at("request body", nil, broken), exchange, 503, false, false, false},
		"error at the answer":    {at("response headers", nil, broken), exchange, 503, false, false, true},
		"error in mid-answer":    {at("response body", nil, broken), exchange, 200, true, false, true},
		"hanging at the body":    {hang("request body"), exchange, 504, false, false, false},
		"hanging in mid-answer":  {hang("response body"), exchange, 200, true, false, true},
		"refused at the headers": {at("request headers", immediate(nil), nil), exchange, 403, false, true, false},
		"refused at the body":    {at("request body", immediate(nil), nil), exchange, 403, false, true, false},
		"refused at the answer":  {at("response headers", immediate(nil), nil), exchange, 403, false, true, true},
		"too large":              {nil, fakeenvoy.Exchange{Body: make([]byte, 2000)}, 413, false, false, false},
		"headers only":           {nil, fakeenvoy.Exchange{Headers: []fakeenvoy.Header{{":method", "GET"}}}, 200, false, false, true},
		"upstream reset": {nil, fakeenvoy.Exchange{Body: []byte("{}"), Upstream: func(fakeenvoy.Forwarded) fakeenvoy.Answer {
			return fakeenvoy.Answer{Chunks: [][]byte{[]byte("x")}, Reset: true}
		}}, 200, true, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			envoy := fakeenvoy.New(t, server{on: c.on}, fakeenvoy.Options{BodyLimit: 1000, MessageTimeout: 50 * time.Millisecond})
			got, err := envoy.Do(t.Context(), c.x)
			if err != nil {
				t.Fatal(err)
			}
			if got.Status != c.status || got.Reset != c.reset || got.Immediate != c.immediate || (got.Forwarded != nil) != c.forwarded {
				t.Errorf("%+v", got)
			}
			if c.status == http.StatusForbidden && got.Header("content-type") != "application/json" {
				t.Errorf("headers %v", got.Headers)
			}
		})
	}
}

func TestAStreamCanEndAtAnyPoint(t *testing.T) {
	ctx := context.Background()
	headers := fakeenvoy.ChatHeaders(2)
	steps := []func(*fakeenvoy.Stream) error{
		func(s *fakeenvoy.Stream) error { return s.RequestHeaders(headers, false) },
		func(s *fakeenvoy.Stream) error { _, err := s.RequestBody([]byte("{}"), true); return err },
		func(s *fakeenvoy.Stream) error {
			return s.ResponseHeaders([]fakeenvoy.Header{{":status", "200"}}, fakeenvoy.DetailsUpstream, false)
		},
		func(s *fakeenvoy.Stream) error { _, err := s.ResponseBody([]byte("x"), false); return err },
	}
	envoy := fakeenvoy.New(t, server{}, fakeenvoy.Options{})
	for n := range len(steps) + 1 {
		run := func() *fakeenvoy.Stream {
			s, err := envoy.Open(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, step := range steps[:n] {
				if err := step(s); err != nil {
					t.Fatal(err)
				}
			}
			return s
		}
		if err := run().HangUp(); err != nil {
			t.Errorf("hanging up after %d steps: %v", n, err)
		}
		if err := run().Cancel(); n > 0 && status.Code(err) != codes.Canceled {
			t.Errorf("cancelling after %d steps: %v", n, err)
		}
		s := run()
		if err, violation := s.Close(); violation != nil || n > 0 && status.Code(err) != codes.Canceled {
			t.Errorf("closing after %d steps: %v, %v", n, err, violation)
		}
		if err := s.RequestHeaders(headers, false); !errors.Is(err, fakeenvoy.ErrOver) {
			t.Errorf("a step after the end: %v", err)
		}
		if got := s.Forwarded(); got != (n >= 2) {
			t.Errorf("forwarded after %d steps: %v", n, got)
		}
	}
}
