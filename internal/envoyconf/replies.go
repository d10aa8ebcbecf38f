package envoyconf

import (
	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	filelogv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/file/v3"
	celv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/filters/cel/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// localReply is what a caller gets in place of a reply that Envoy would make by itself.
type localReply struct {
	when    string // a CEL expression over the exchange
	status  uint32 // replaces Envoy's, 0 keeps it
	message string
	kind    string // OpenAI's error type
	code    string
	reason  string // Plumbline's, where there is one
	retry   bool   // say when to try again
}

// localReplies are tried in order. A refusal by Plumbline is a local reply as well, with the details "plumbline": none of
// them may match it.
var localReplies = []localReply{
	{
		when: `response.code_details.startsWith("ext_proc") || response.code_details == "spurious_message" || ` +
			`response.code_details.startsWith("mismatch_between") || response.code_details.startsWith("header_mutation_")`,
		status: 503, retry: true,
		message: "Plumbline could not govern this request. Try again in a moment.",
		kind:    "service_unavailable_error", code: "governance_unavailable", reason: "governance_unavailable",
	},
	{
		when:    `response.code_details == "request_payload_too_large"`,
		message: "The request's body is larger than is allowed. Send less.",
		kind:    "invalid_request_error", code: "body_too_large", reason: "body_too_large",
	},
	{
		when:    `response.code == 504 && response.code_details != "plumbline"`,
		message: "The provider did not answer in time. Try again later, or ask for less.",
		kind:    "api_error", code: "upstream_timeout", reason: "upstream_timeout",
	},
	{
		when: `response.code >= 500 && response.code_details != "plumbline"`, status: 502,
		message: "The provider could not be reached, or it ended the connection before it answered. Try again in a moment.",
		kind:    "api_error", code: "upstream_error", reason: "upstream_error",
	},
	{
		when:    `response.code == 408 && response.code_details != "plumbline"`,
		message: "The request did not arrive in time. Send it again.",
		kind:    "invalid_request_error", code: "request_timeout",
	},
	{
		when:    `response.code >= 400 && response.code_details != "plumbline"`,
		message: "The request was refused before it was read: its path, its headers or a protocol upgrade are not allowed. Use the API's paths as they are documented.",
		kind:    "invalid_request_error", code: "invalid_request",
	},
}

func newLocalReplies() (*hcmv3.LocalReplyConfig, error) {
	c := &hcmv3.LocalReplyConfig{}
	for _, r := range localReplies {
		m, err := r.mapper()
		if err != nil {
			return nil, err
		}
		c.Mappers = append(c.Mappers, m)
	}
	// The first that matches decides, so what is left are Plumbline's own refusals, which keep their words.
	named, err := newMapper("true")
	if err != nil {
		return nil, err
	}
	c.Mappers = append(c.Mappers, named)
	return c, nil
}

func (r localReply) mapper() (*hcmv3.ResponseMapper, error) {
	m, err := newMapper(r.when)
	if err != nil {
		return nil, err
	}
	fields := map[string]any{"message": r.message, "type": r.kind, "param": nil, "code": r.code}
	if r.reason != "" {
		fields["plumbline"] = map[string]any{"reason": r.reason}
	}
	body, err := structpb.NewStruct(map[string]any{"error": fields})
	if err != nil {
		return nil, err
	}
	m.BodyFormatOverride = &corev3.SubstitutionFormatString{
		Format: &corev3.SubstitutionFormatString_JsonFormat{JsonFormat: body},
	}
	if r.status != 0 {
		m.StatusCode = wrapperspb.UInt32(r.status)
	}
	if r.retry {
		m.HeadersToAdd = append(m.HeadersToAdd, &corev3.HeaderValueOption{
			Header:       &corev3.HeaderValue{Key: "retry-after-ms", Value: "500"},
			AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
		})
	}
	return m, nil
}

// requestIDs are where the x-request-id of a reply comes from, which the SDKs show: the first that is there. The exchange's
// and Envoy's own stand in the access log. After the request has gone on, and before its path was read, Envoy has none.
var requestIDs = []string{"%DYNAMIC_METADATA(plumbline:exchange)%", "%STREAM_ID%", "%UNIQUE_ID%"}

// newMapper changes replies for which the CEL expression when holds, by default in one thing: each has an x-request-id.
func newMapper(when string) (*hcmv3.ResponseMapper, error) {
	expression, err := anypb.New(&celv3.ExpressionFilter{Expression: when})
	if err != nil {
		return nil, err
	}
	m := &hcmv3.ResponseMapper{
		Filter: &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_ExtensionFilter{
			ExtensionFilter: &accesslogv3.ExtensionFilter{
				Name:       "envoy.access_loggers.extension_filters.cel",
				ConfigType: &accesslogv3.ExtensionFilter_TypedConfig{TypedConfig: expression},
			},
		}},
	}
	for _, id := range requestIDs {
		m.HeadersToAdd = append(m.HeadersToAdd, &corev3.HeaderValueOption{
			Header:       &corev3.HeaderValue{Key: "x-request-id", Value: id},
			AppendAction: corev3.HeaderValueOption_ADD_IF_ABSENT,
		})
	}
	return m, nil
}

// newAccessLog writes one line of JSON for each exchange: what passed where and how it ended, no header that could hold
// a credential and no query.
func newAccessLog(path string) (*accesslogv3.AccessLog, error) {
	format, err := structpb.NewStruct(map[string]any{
		"time":               "%START_TIME%",
		"request_id":         "%STREAM_ID%",
		"source":             "%DOWNSTREAM_REMOTE_ADDRESS%",
		"method":             "%REQ(:METHOD)%",
		"path":               "%PATH(NQ)%",
		"protocol":           "%PROTOCOL%",
		"status":             "%RESPONSE_CODE%",
		"flags":              "%RESPONSE_FLAGS%",
		"details":            "%RESPONSE_CODE_DETAILS%",
		"bytes_in":           "%BYTES_RECEIVED%",
		"bytes_out":          "%BYTES_SENT%",
		"duration_ms":        "%DURATION%",
		"upstream":           "%UPSTREAM_HOST%",
		"upstream_attempts":  "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
		"upstream_failure":   "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
		"plumbline_exchange": "%DYNAMIC_METADATA(plumbline:exchange)%",
		"plumbline_reason":   "%DYNAMIC_METADATA(plumbline:reason)%",
	})
	if err != nil {
		return nil, err
	}
	config, err := anypb.New(&filelogv3.FileAccessLog{
		Path: path,
		AccessLogFormat: &filelogv3.FileAccessLog_LogFormat{LogFormat: &corev3.SubstitutionFormatString{
			Format: &corev3.SubstitutionFormatString_JsonFormat{JsonFormat: format},
		}},
	})
	if err != nil {
		return nil, err
	}
	return &accesslogv3.AccessLog{
		Name:       "envoy.access_loggers.file",
		ConfigType: &accesslogv3.AccessLog_TypedConfig{TypedConfig: config},
	}, nil
}
