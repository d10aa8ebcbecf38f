package fakeenvoy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
)

// Immediate is a reply of the server's own.
type Immediate struct {
	Status  int
	Headers []Header
	Body    []byte
	Details string
	// Reset says that the client sees a reset and not this reply: the answer's headers had gone out before.
	Reset bool
}

// checker holds one reply against the rules and applies it. The first broken rule counts.
type checker struct {
	s     *Stream
	phase string
	err   error
}

func (c *checker) fail(format string, args ...any) {
	if c.err == nil {
		c.err = &Violation{fmt.Sprintf(format, args...), c.phase}
	}
}

// done ends the exchange when a rule was broken or the server made the reply itself.
func (c *checker) done() error {
	if c.err != nil {
		return c.s.end(c.err)
	}
	if c.s.Immediate != nil && c.s.over == nil {
		_ = c.s.end(fmt.Errorf("the server replied %d itself", c.s.Immediate.Status))
	}
	return nil
}

// other judges a reply that is not of the message's own type.
func (c *checker) other(reply *extprocv3.ProcessingResponse) {
	r := reply.GetImmediateResponse()
	if r == nil {
		c.fail("a spurious message: %T", reply.GetResponse())
		return
	}
	i := &Immediate{Status: int(r.GetStatus().GetCode()), Body: r.GetBody(), Details: r.GetDetails(), Reset: c.s.answered}
	c.s.Immediate = i
	c.mutation(r.GetHeaders(), &i.Headers)
	switch {
	case i.Status == 0:
		c.fail("an immediate response without a status: the client would get 200")
	case i.Status < 400:
		c.fail("an immediate response with status %d", i.Status)
	case i.Details == "" || strings.ContainsAny(i.Details, " \t\r\n"):
		c.fail("an immediate response with the details %q", i.Details)
	case r.GetGrpcStatus() != nil:
		c.fail("an immediate response with a gRPC status")
	case !json.Valid(i.Body):
		c.fail("an immediate response whose body is no JSON")
	case value(i.Headers, "content-type") != "application/json":
		c.fail("an immediate response of type %q", value(i.Headers, "content-type"))
	case i.Reset:
		c.fail("an immediate response after the headers went out: the client sees a reset")
	}
}

// envelope judges what is beside the reply itself.
func (c *checker) envelope(reply *extprocv3.ProcessingResponse) {
	switch {
	case reply.GetModeOverride() != nil:
		c.fail("a mode override, which is not allowed")
	case reply.GetOverrideMessageTimeout() != nil:
		c.fail("a message time-out override, which is not allowed")
	}
	if m := reply.GetDynamicMetadata(); m != nil {
		c.s.Metadata = m
	}
}

// headers judges and applies what a headers or body reply changes.
func (c *checker) headers(r *extprocv3.CommonResponse, to *[]Header) {
	switch {
	case r.GetStatus() != extprocv3.CommonResponse_CONTINUE:
		c.fail("the status %s", r.GetStatus())
	case r.GetTrailers() != nil:
		c.fail("trailers in a reply that cannot have them")
	case r.GetClearRouteCache():
		c.fail("clear_route_cache, which route_cache_action RETAIN forbids")
	case r.GetBodyMutation() != nil && strings.HasSuffix(c.phase, "headers"):
		c.fail("a body change in reply to headers")
	}
	c.mutation(r.GetHeaderMutation(), to)
}

// routing are headers that mutation_rules do not let a server change.
var routing = []string{"host", ":authority", ":scheme", ":method"}

func (c *checker) mutation(m *extprocv3.HeaderMutation, to *[]Header) {
	for _, name := range m.GetRemoveHeaders() {
		c.name(name)
		if strings.HasPrefix(name, ":") {
			c.fail("%s is removed", name)
		}
		*to = slices.DeleteFunc(*to, func(h Header) bool { return strings.EqualFold(h[0], name) })
	}
	for _, o := range m.GetSetHeaders() {
		name, raw := o.GetHeader().GetKey(), o.GetHeader().GetRawValue()
		c.name(name)
		switch {
		case o.GetHeader().GetValue() != "":
			c.fail("%s has value in place of raw_value: Envoy sends an empty header", name)
		case len(raw) == 0:
			c.fail("%s is empty", name)
		case strings.ContainsAny(string(raw), "\r\n\x00"):
			c.fail("%s holds a line break or NUL", name)
		case o.GetAppend() != nil: //nolint:staticcheck // the deprecated field is what is to be found
			c.fail("%s sets the deprecated append", name)
		case o.GetAppendAction() != corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD:
			c.fail("%s has the append_action %s: two values are possible", name, o.GetAppendAction())
		}
		*to = slices.DeleteFunc(*to, func(h Header) bool { return h[0] == name })
		*to = append(*to, Header{name, string(raw)})
	}
}

func (c *checker) name(name string) {
	switch {
	case name == "" || name != strings.ToLower(name):
		c.fail("the header name %q is not in lower case", name)
	case slices.Contains(routing, name) || strings.HasPrefix(name, "x-envoy"):
		c.fail("%s may not be changed", name)
	}
}

// body judges a body change and gives what is passed on.
func (c *checker) body(r *extprocv3.CommonResponse, body []byte) []byte {
	switch m := r.GetBodyMutation().GetMutation().(type) {
	case nil:
		return body
	case *extprocv3.BodyMutation_Body:
		if len(m.Body) == 0 {
			c.fail("a body is replaced by an empty one: clear_body says so")
		}
		return m.Body
	case *extprocv3.BodyMutation_ClearBody:
		if !m.ClearBody {
			return body
		}
		return nil
	default:
		c.fail("a body change of type %T, which belongs to another mode", m)
		return body
	}
}

// length holds a stated length against the real one.
func (c *checker) length(headers []Header, n int) {
	stated := value(headers, "content-length")
	if stated != "" && stated != strconv.Itoa(n) {
		c.fail("mismatch between content-length %s and the body of %d bytes", stated, n)
	}
}

// value gives the only value of a header, or all of them joined.
func value(headers []Header, name string) string {
	var all []string
	for _, h := range headers {
		if h[0] == name {
			all = append(all, h[1])
		}
	}
	return strings.Join(all, ", ")
}
