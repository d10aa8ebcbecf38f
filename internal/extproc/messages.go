package extproc

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/plumbline/plumbline/internal/gate"
	"github.com/plumbline/plumbline/internal/openai"
)

// attributesKey is where Envoy puts the attributes that its configuration asks for.
const attributesKey = "envoy.filters.http.ext_proc"

// continueHeaders lets the request's headers wait for the verdict on the body. It is shared and never written.
var continueHeaders = &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestHeaders{
	RequestHeaders: &extprocv3.HeadersResponse{},
}}

// requestHead reads what the gate needs from a request's headers and attributes.
func requestHead(m *extprocv3.ProcessingRequest, h *extprocv3.HttpHeaders) gate.Head {
	head := gate.Head{ContentLength: -1}
	for _, v := range h.GetHeaders().GetHeaders() {
		switch value := headerValue(v); v.GetKey() {
		case ":method":
			head.Method = value
		case ":path":
			head.Path = value
			head.Authorization = append(head.Authorization, queryCredentials(value)...)
		case "authorization", "api-key", "x-api-key", "proxy-authorization":
			head.Authorization = append(head.Authorization, value)
		case "content-type":
			head.ContentType = joined(head.ContentType, value)
		case "content-encoding":
			head.ContentEncoding = joined(head.ContentEncoding, value)
		case "content-length":
			if n, err := strconv.ParseInt(value, 10, 64); err == nil && n >= 0 {
				head.ContentLength = n
			}
		case "upgrade":
			head.Upgrade = value
		case "traceparent":
			head.TraceParent = value
		}
	}
	if h.GetEndOfStream() {
		head.ContentLength = 0
	}
	head.Source = sourceAddress(attribute(m, "source.address"))
	return head
}

// queryCredentials are the credentials in a path's query (RFC 6750 §2.3 and what others take). They count as any other, so
// that one beside the header is refused: it would go on to the provider.
func queryCredentials(path string) (found []string) {
	_, query, ok := strings.Cut(path, "?")
	if !ok {
		return nil
	}
	for pair := range strings.FieldsFuncSeq(query, func(r rune) bool { return r == '&' || r == ';' }) {
		name, value, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		switch strings.ToLower(name) {
		case "api_key", "api-key", "apikey", "access_token", "authorization":
			found = append(found, value)
		}
	}
	return found
}

// answerHead reads what the gate needs from an answer's headers and attributes.
func answerHead(m *extprocv3.ProcessingRequest, h *extprocv3.HttpHeaders) gate.AnswerHead {
	var head gate.AnswerHead
	for _, v := range h.GetHeaders().GetHeaders() {
		switch value := headerValue(v); v.GetKey() {
		case ":status":
			head.Status, _ = strconv.Atoi(value) // Envoy wrote it; 0 is read as an error
		case "content-type":
			head.ContentType = value
		case "content-encoding":
			head.ContentEncoding = value
		default:
			if strings.HasPrefix(v.GetKey(), "x-ratelimit-") {
				head.RateLimits = append(head.RateLimits, [2]string{v.GetKey(), value})
			}
		}
	}
	if details := attribute(m, "response.code_details"); details != viaUpstream {
		head.Local = details
	}
	return head
}

// viaUpstream is Envoy's response.code_details of an answer that the provider itself gave.
const viaUpstream = "via_upstream"

// headerValue gives a header's value: Envoy fills raw_value, others may fill value.
func headerValue(v *corev3.HeaderValue) string {
	if raw := v.GetRawValue(); len(raw) > 0 {
		return string(raw)
	}
	return v.GetValue()
}

// joined makes two headers of one name into one value that no check will take for a single good one.
func joined(a, b string) string {
	if a == "" {
		return b
	}
	return a + ", " + b
}

func attribute(m *extprocv3.ProcessingRequest, name string) string {
	var fields map[string]*structpb.Value
	if s := m.GetAttributes()[attributesKey]; s != nil {
		fields = s.GetFields()
	}
	return fields[name].GetStringValue()
}

// sourceAddress reads Envoy's "ip:port"; anything else gives no address.
func sourceAddress(s string) netip.Addr {
	if at, err := netip.ParseAddrPort(s); err == nil {
		return at.Addr().Unmap()
	}
	return netip.Addr{}
}

// mutation is the gate's header edits as Envoy takes them. Only headers that the message has are removed: each name
// costs Envoy a look-up.
func mutation(e gate.HeaderEdits, present *corev3.HeaderMap) *extprocv3.HeaderMutation {
	m := &extprocv3.HeaderMutation{}
	for _, h := range present.GetHeaders() {
		if slices.Contains(e.Remove, h.GetKey()) {
			m.RemoveHeaders = append(m.RemoveHeaders, h.GetKey())
		}
	}
	m.SetHeaders = setHeaders(e.Set)
	return m
}

// setHeaders sets headers for good: only raw_value is read, and OVERWRITE makes two values of one name impossible. All of them
// take four allocations.
func setHeaders(headers [][2]string) []*corev3.HeaderValueOption {
	size := 0
	for _, h := range headers {
		size += len(h[1])
	}
	raw := make([]byte, 0, size)
	values := make([]corev3.HeaderValue, len(headers))
	options := make([]corev3.HeaderValueOption, len(headers))
	set := make([]*corev3.HeaderValueOption, len(headers), len(headers)+1) // content-length may follow
	for i, h := range headers {
		from := len(raw)
		raw = append(raw, h[1]...)
		values[i].Key, values[i].RawValue = h[0], raw[from:len(raw):len(raw)]
		options[i].Header = &values[i]
		options[i].AppendAction = corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD
		set[i] = &options[i]
	}
	return set
}

// admissionResponse lets a request pass with its changes. A replaced body states its exact length, or Envoy fails it.
func admissionResponse(a gate.Admission, present *corev3.HeaderMap) *extprocv3.CommonResponse {
	r := &extprocv3.CommonResponse{HeaderMutation: mutation(a.Headers, present)}
	if a.Body != nil {
		r.BodyMutation = &extprocv3.BodyMutation{Mutation: &extprocv3.BodyMutation_Body{Body: a.Body}}
		r.HeaderMutation.SetHeaders = append(r.HeaderMutation.SetHeaders,
			setHeaders([][2]string{{"content-length", strconv.Itoa(len(a.Body))}})...)
	}
	return r
}

// pieceResponse passes, replaces or withholds one piece of an answer.
func pieceResponse(p gate.Piece) *extprocv3.CommonResponse {
	switch {
	case !p.Replace:
		return nil
	case len(p.Body) == 0:
		return &extprocv3.CommonResponse{BodyMutation: &extprocv3.BodyMutation{Mutation: &extprocv3.BodyMutation_ClearBody{ClearBody: true}}}
	}
	return &extprocv3.CommonResponse{BodyMutation: &extprocv3.BodyMutation{Mutation: &extprocv3.BodyMutation_Body{Body: p.Body}}}
}

// metadataNamespace is under which Envoy's access log finds the exchange; see internal/envoyconf.
const metadataNamespace = "plumbline"

// Numbers of the fields that withMetadata writes: dynamic_metadata of ext_proc's ProcessingResponse, and those of
// google.protobuf.Struct and Value.
const (
	fieldMetadata    = 8
	fieldFields      = 1
	fieldKey         = 1
	fieldValue       = 2
	fieldStringValue = 3
	fieldStructValue = 5
)

// withMetadata names the exchange to Envoy, so that its access log can be joined with the audit. The field is appended as
// bytes: two maps of a Struct would cost more to encode than all the rest of an exchange's replies.
func withMetadata(r *extprocv3.ProcessingResponse, x *gate.Exchange) *extprocv3.ProcessingResponse {
	named := appendEntry(nil, "exchange", fieldStringValue, []byte(x.ID()))
	named = appendEntry(named, "reason", fieldStringValue, []byte(x.Reason()))
	all := appendEntry(nil, metadataNamespace, fieldStructValue, named)
	r.ProtoReflect().SetUnknown(appendField(nil, fieldMetadata, all))
	return r
}

// appendEntry appends an entry of a Struct's map, of a value of the kind that a field of Value has.
func appendEntry(b []byte, key string, kind protowire.Number, value []byte) []byte {
	entry := appendField(nil, fieldKey, []byte(key))
	entry = appendField(entry, fieldValue, appendField(nil, kind, value))
	return appendField(b, fieldFields, entry)
}

func appendField(b []byte, number protowire.Number, content []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, number, protowire.BytesType), content)
}

// immediate is a finished reply. The status is always set: Envoy reads an unset one as 200.
func immediate(r *openai.Reply) *extprocv3.ProcessingResponse {
	headers := make([][2]string, len(r.Header))
	for i, h := range r.Header {
		headers[i] = [2]string{strings.ToLower(h[0]), h[1]}
	}
	return &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ImmediateResponse{
		ImmediateResponse: &extprocv3.ImmediateResponse{
			Status:  &typev3.HttpStatus{Code: typev3.StatusCode(r.Status)},
			Headers: &extprocv3.HeaderMutation{SetHeaders: setHeaders(headers)},
			Body:    r.Body,
			Details: "plumbline",
		},
	}}
}
