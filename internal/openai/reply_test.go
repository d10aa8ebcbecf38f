package openai

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/core"
)

// reasons are all constants of core.Reason, from the source: a new one without a row must not go unseen.
func reasons(t *testing.T) []core.Reason {
	file, err := parser.ParseFile(token.NewFileSet(), "../core/reason.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var all []core.Reason
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); ok && kind.Name == "Reason" {
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, core.Reason(value))
		}
		return true
	})
	if len(all) < 20 {
		t.Fatalf("only %d reasons were found", len(all))
	}
	return all
}

var errorTable = map[core.Reason]string{
	core.ReasonNone:                 "503 service_unavailable_error/governance_unavailable retry-after-ms=600",
	core.ReasonMissingCredential:    `401 invalid_request_error/invalid_api_key www-authenticate=Bearer error="invalid_request"`,
	core.ReasonMultipleCredentials:  `401 invalid_request_error/invalid_api_key www-authenticate=Bearer error="invalid_request"`,
	core.ReasonInvalidCredential:    `401 invalid_request_error/invalid_api_key www-authenticate=Bearer error="invalid_token"`,
	core.ReasonExpiredCredential:    `401 invalid_request_error/invalid_api_key www-authenticate=Bearer error="invalid_token"`,
	core.ReasonRevokedCredential:    `401 invalid_request_error/invalid_api_key www-authenticate=Bearer error="invalid_token"`,
	core.ReasonUnknownPrincipal:     `401 invalid_request_error/invalid_api_key www-authenticate=Bearer error="invalid_token"`,
	core.ReasonPrincipalPending:     "503 service_unavailable_error/principal_pending retry-after-ms=600",
	core.ReasonUserBlocked:          `403 permission_error/user_blocked link=<https://notice>; rel="help" x-should-retry=false`,
	core.ReasonEndpointNotAllowed:   "403 invalid_request_error/endpoint_not_allowed",
	core.ReasonInvalidBody:          "400 invalid_request_error/invalid_json",
	core.ReasonUnsupportedMediaType: "415 invalid_request_error/unsupported_media_type",
	core.ReasonUnsupportedParameter: "400 invalid_request_error/unsupported_parameter",
	core.ReasonBodyTooLarge:         "413 invalid_request_error/body_too_large",
	core.ReasonObjectNotFound:       "404 invalid_request_error/object_not_found",
	core.ReasonModelNotAllowed:      "403 invalid_request_error/model_not_found param=model",
	core.ReasonSecret:               `400 invalid_request_error/content_policy_violation param=messages link=<https://notice>; rel="help" x-should-retry=false`,
	core.ReasonAttack:               `400 invalid_request_error/content_policy_violation param=messages link=<https://notice>; rel="help" x-should-retry=false`,
	core.ReasonPolicyRule:           `403 permission_error/policy_rule link=<https://notice>; rel="help" x-should-retry=false`,
	core.ReasonForbiddenIntent:      `400 invalid_request_error/content_policy_violation param=messages link=<https://notice>; rel="help" x-should-retry=false`,
	core.ReasonOffTask:              `403 permission_error/task_deviation link=<https://notice>; rel="help" x-should-retry=false`,
	core.ReasonUnscored:             `403 permission_error/task_deviation link=<https://notice>; rel="help" x-should-retry=false`,
	core.ReasonRateLimited:          `429 tokens/rate_limit_exceeded link=<https://notice>; rel="help" retry-after-ms=12345 retry-after=13`,
	core.ReasonConcurrencyLimit:     `429 requests/rate_limit_exceeded link=<https://notice>; rel="help" retry-after-ms=600`,
	core.ReasonQuotaExhausted:       `429 insufficient_quota/insufficient_quota link=<https://notice>; rel="help" x-should-retry=false`,
	core.ReasonRequestTooLarge:      `429 tokens/rate_limit_exceeded link=<https://notice>; rel="help" x-should-retry=false`,
	core.ReasonQuotaUnavailable:     "503 service_unavailable_error/quota_unavailable retry-after-ms=600",
	core.ReasonGovernanceDown:       "503 service_unavailable_error/governance_unavailable retry-after-ms=600",
	core.ReasonOverloaded:           "503 service_unavailable_error/overloaded retry-after-ms=600",
	core.ReasonUpstreamError:        "502 api_error/upstream_error",
	core.ReasonUpstreamTimeout:      "504 api_error/upstream_timeout",
	core.ReasonUpstreamRejected:     "502 api_error/upstream_rejected_key x-should-retry=false",
}

func TestErrorTable(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, reason := range reasons(t) {
		want, ok := errorTable[reason]
		if !ok {
			t.Errorf("%s has no row", reason)
			continue
		}
		r := ErrorReply(&core.Error{Reason: reason, Public: "Words.", Reset: now.Add(12345 * time.Millisecond), Dimension: "tokens"},
			ErrorContext{
				RequestID: "id-1", Policy: "p1", NoticeURL: "https://notice", Now: now,
				Jitter: func(below time.Duration) time.Duration { return below / 2 },
			})
		var body errorBody
		if err := json.Unmarshal(r.Body, &body); err != nil {
			t.Fatalf("%s: %v", reason, err)
		}
		got := strconv.Itoa(r.Status) + " " + body.Error.Type + "/" + body.Error.Code
		if body.Error.Param != nil {
			got += " param=" + *body.Error.Param
		}
		for _, h := range r.Header {
			switch h[0] {
			case "content-type":
				if h[1] != "application/json" {
					t.Errorf("%s: %v", reason, h)
				}
			case "x-plumbline-request-id", "x-request-id":
				if h[1] != "id-1" {
					t.Errorf("%s: %v", reason, h)
				}
			default:
				got += " " + h[0] + "=" + h[1]
			}
		}
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", reason, got, want)
		}
		if body.Error.Plumbline.Reason != reason || body.Error.Plumbline.RequestID != "id-1" || body.Error.Plumbline.Policy != "p1" ||
			!body.Error.Plumbline.ResetAt.Equal(now.Add(12345*time.Millisecond)) || !strings.HasPrefix(body.Error.Message, "Words.") {
			t.Errorf("%s: body %s", reason, r.Body)
		}
	}
}

func TestErrorReplyShape(t *testing.T) {
	r := ErrorReply(&core.Error{Reason: core.ReasonInvalidBody, Public: `A "word" & <more>`, Param: "messages[0].content"}, ErrorContext{})
	var got map[string]any
	if err := json.Unmarshal(r.Body, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"error": map[string]any{
			"message": `A "word" & <more>`, "type": "invalid_request_error",
			"param": "messages[0].content", "code": "invalid_json",
			"plumbline": map[string]any{"reason": "invalid_body"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestRetryHeaders(t *testing.T) {
	now := time.Now()
	header := func(e *core.Error, name string) string {
		for _, h := range ErrorReply(e, ErrorContext{Now: now}).Header {
			if h[0] == name {
				return h[1]
			}
		}
		return ""
	}
	for reset, want := range map[time.Duration]string{time.Hour: "59", -time.Hour: "1", time.Millisecond: "1", 59 * time.Second: "59"} {
		if got := header(&core.Error{Reason: core.ReasonRateLimited, Reset: now.Add(reset)}, "retry-after"); got != want {
			t.Errorf("reset in %v: retry-after %s, want %s", reset, got, want)
		}
	}
	seen := map[string]bool{}
	for range 200 {
		after := header(&core.Error{Reason: core.ReasonGovernanceDown}, "retry-after-ms")
		ms, err := strconv.Atoi(after)
		if err != nil || ms < 200 || ms > 1000 {
			t.Fatalf("retry-after-ms %q", after)
		}
		seen[after] = true
	}
	if len(seen) < 20 {
		t.Errorf("only %d different waits in 200", len(seen))
	}
	if got := header(&core.Error{Reason: core.ReasonQuotaExhausted, Reset: now.Add(time.Hour)}, "retry-after"); got != "" {
		t.Errorf("a used-up quota says retry-after %s: SDKs would hang", got)
	}
	if got := rateType("requests"); got != "requests" {
		t.Error(got)
	}
}

// A time that JSON cannot hold does not take the reply away.
func TestErrorReplyWithImpossibleReset(t *testing.T) {
	r := ErrorReply(&core.Error{Reason: core.ReasonQuotaExhausted, Public: "x", Reset: time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC)}, ErrorContext{})
	if !json.Valid(r.Body) || !strings.Contains(string(r.Body), "insufficient_quota") {
		t.Errorf("%s", r.Body)
	}
}

func TestReplaceAnswer(t *testing.T) {
	for _, tt := range []struct {
		name  string
		o     AnswerOptions
		local string
		want  core.Reason
	}{
		{"passes", AnswerOptions{Status: 200, ContentType: "application/json"}, "", ""},
		{"the provider's own error passes", AnswerOptions{Status: 429}, "", ""},
		{"key refused", AnswerOptions{Status: 401}, "", core.ReasonUpstreamRejected},
		{"key may not", AnswerOptions{Status: 403}, "", core.ReasonUpstreamRejected},
		{"down", AnswerOptions{Status: 503}, "upstream_reset_before_response_started{connection_failure}", core.ReasonUpstreamError},
		{"body too large", AnswerOptions{Status: 413}, "request_payload_too_large", core.ReasonBodyTooLarge},
		{"slow", AnswerOptions{Status: 504}, "upstream_response_timeout", core.ReasonUpstreamTimeout},
		{"idle", AnswerOptions{Status: 504}, "stream_idle_timeout", core.ReasonUpstreamTimeout},
		{"idle before the end of the request", AnswerOptions{Status: 408}, "stream_idle_timeout", core.ReasonInvalidBody},
		{"a switch of protocols", AnswerOptions{Status: 101}, "", core.ReasonUpstreamError},
		{"no route", AnswerOptions{Status: 404}, "route_not_found", core.ReasonEndpointNotAllowed},
		{"compressed JSON is read", AnswerOptions{Status: 200, ContentEncoding: "gzip"}, "", ""},
		{"a compressed stream is read", AnswerOptions{Status: 200, ContentType: "text/event-stream", ContentEncoding: "gzip"}, "", ""},
		{"a compressed list is read", AnswerOptions{Status: 200, ContentEncoding: "br", Filter: func(string) bool { return true }}, "", ""},
		{"compressed twice", AnswerOptions{Status: 200, ContentEncoding: "gzip, br"}, "", core.ReasonUpstreamError},
		{"unknown compression", AnswerOptions{Status: 200, ContentEncoding: "lzma"}, "", core.ReasonUpstreamError},
	} {
		got := ReplaceAnswer(tt.o, tt.local)
		if (got == nil) != (tt.want == "") || got != nil && got.Reason != tt.want {
			t.Errorf("%s: %v, want %q", tt.name, got, tt.want)
		}
	}
}
