package openai

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/plumbline/plumbline/internal/core"
)

// Reply is a finished answer of Plumbline's own, in place of the provider's.
type Reply struct {
	Status int
	// Header holds name and value, names in lower case.
	Header [][2]string
	Body   []byte
}

// ErrorContext is what an error reply says besides the error.
type ErrorContext struct {
	// RequestID is the exchange's id and Policy the version of the policy in force.
	RequestID, Policy string
	// NoticeURL is where a person reads about refusals, empty for nowhere.
	NoticeURL string
	Now       time.Time
	// Jitter spreads retries; it gives a duration below its argument. Nil draws a random one.
	Jitter func(below time.Duration) time.Duration
}

// shape is a row of the table of errors: how the official SDKs are told of a reason.
type shape struct {
	status    int
	kind      string // "type" of the error
	code      string
	param     string // when the error names none
	noRetry   bool   // the SDKs would repeat the request in vain
	retry     retry
	challenge string // WWW-Authenticate, RFC 6750 section 3
	notice    bool   // a person may want to read on
}

// retry says how soon trying again makes sense.
type retry int

const (
	retryUnsaid  retry = iota
	retrySoon          // in a moment, spread so that callers do not come back at once
	retryAtReset       // when the window lets go, at most a minute
)

const (
	challengeRequest = `Bearer error="invalid_request"`
	challengeToken   = `Bearer error="invalid_token"`

	typeInvalidRequest = "invalid_request_error"
	typePermission     = "permission_error"
	typeUnavailable    = "service_unavailable_error"
	typeUpstream       = "api_error"
)

// shapeOf is the table. A reason without a row means that Plumbline does not understand itself: governance_unavailable.
func shapeOf(r core.Reason) shape {
	switch r {
	case core.ReasonMissingCredential, core.ReasonMultipleCredentials:
		return shape{status: http.StatusUnauthorized, kind: typeInvalidRequest, code: "invalid_api_key", challenge: challengeRequest}
	case core.ReasonInvalidCredential, core.ReasonExpiredCredential, core.ReasonRevokedCredential, core.ReasonUnknownPrincipal:
		return shape{status: http.StatusUnauthorized, kind: typeInvalidRequest, code: "invalid_api_key", challenge: challengeToken}
	case core.ReasonPrincipalPending:
		return shape{status: http.StatusServiceUnavailable, kind: typeUnavailable, code: "principal_pending", retry: retrySoon}
	case core.ReasonUserBlocked:
		return shape{status: http.StatusForbidden, kind: typePermission, code: "user_blocked", noRetry: true, notice: true}

	case core.ReasonEndpointNotAllowed:
		return shape{status: http.StatusForbidden, kind: typeInvalidRequest, code: "endpoint_not_allowed"}
	case core.ReasonInvalidBody:
		return shape{status: http.StatusBadRequest, kind: typeInvalidRequest, code: "invalid_json"}
	case core.ReasonUnsupportedMediaType:
		return shape{status: http.StatusUnsupportedMediaType, kind: typeInvalidRequest, code: "unsupported_media_type"}
	case core.ReasonUnsupportedParameter:
		return shape{status: http.StatusBadRequest, kind: typeInvalidRequest, code: "unsupported_parameter"}
	case core.ReasonBodyTooLarge:
		return shape{status: http.StatusRequestEntityTooLarge, kind: typeInvalidRequest, code: "body_too_large"}
	case core.ReasonObjectNotFound:
		return shape{status: http.StatusNotFound, kind: typeInvalidRequest, code: "object_not_found"}
	case core.ReasonModelNotAllowed:
		return shape{status: http.StatusForbidden, kind: typeInvalidRequest, code: "model_not_found", param: "model"}

	case core.ReasonPolicyRule:
		return shape{status: http.StatusForbidden, kind: typePermission, code: "policy_rule", noRetry: true, notice: true}
	case core.ReasonForbiddenIntent, core.ReasonSecret, core.ReasonAttack:
		return shape{
			status: http.StatusBadRequest, kind: typeInvalidRequest, code: "content_policy_violation", param: "messages",
			noRetry: true, notice: true,
		}
	case core.ReasonOffTask, core.ReasonUnscored:
		return shape{status: http.StatusForbidden, kind: typePermission, code: "task_deviation", noRetry: true, notice: true}

	case core.ReasonRateLimited:
		return shape{status: http.StatusTooManyRequests, code: "rate_limit_exceeded", retry: retryAtReset, notice: true}
	case core.ReasonConcurrencyLimit:
		return shape{status: http.StatusTooManyRequests, kind: "requests", code: "rate_limit_exceeded", retry: retrySoon, notice: true}
	case core.ReasonQuotaExhausted:
		return shape{status: http.StatusTooManyRequests, kind: "insufficient_quota", code: "insufficient_quota", noRetry: true, notice: true}
	case core.ReasonRequestTooLarge:
		return shape{status: http.StatusTooManyRequests, kind: "tokens", code: "rate_limit_exceeded", noRetry: true, notice: true}

	case core.ReasonQuotaUnavailable:
		return shape{status: http.StatusServiceUnavailable, kind: typeUnavailable, code: "quota_unavailable", retry: retrySoon}
	case core.ReasonOverloaded:
		return shape{status: http.StatusServiceUnavailable, kind: typeUnavailable, code: "overloaded", retry: retrySoon}
	case core.ReasonUpstreamError:
		return shape{status: http.StatusBadGateway, kind: typeUpstream, code: "upstream_error"}
	case core.ReasonUpstreamTimeout:
		return shape{status: http.StatusGatewayTimeout, kind: typeUpstream, code: "upstream_timeout"}
	case core.ReasonUpstreamRejected:
		return shape{status: http.StatusBadGateway, kind: typeUpstream, code: "upstream_rejected_key", noRetry: true}
	default: // governance_unavailable
		return shape{status: http.StatusServiceUnavailable, kind: typeUnavailable, code: "governance_unavailable", retry: retrySoon}
	}
}

// errorBody is OpenAI's error object with Plumbline's in it: what stands beside the member "error", the SDKs drop.
type errorBody struct {
	Error errorObject `json:"error"`
}

type errorObject struct {
	Message   string  `json:"message"`
	Type      string  `json:"type"`
	Param     *string `json:"param"`
	Code      string  `json:"code"`
	Plumbline about   `json:"plumbline"`
}

type about struct {
	Reason    core.Reason `json:"reason"`
	RequestID string      `json:"request_id,omitempty"`
	Policy    string      `json:"policy,omitempty"`
	NoticeURL string      `json:"notice_url,omitempty"`
	// Limit is the one that lacked room. ResetIn says ResetAt in whole seconds from now, for callers whose clock is wrong.
	Limit   *core.Shortage `json:"limit,omitempty"`
	ResetAt *time.Time     `json:"reset_at,omitempty"`
	ResetIn *int64         `json:"reset_in_seconds,omitempty"`
}

// aboutQuota says which limit lacked room, and when it resets.
func (b *about) aboutQuota(e *core.Error, now time.Time) {
	b.Limit = e.Shortage
	if e.Reset.IsZero() {
		return
	}
	at, in := e.Reset.UTC(), int64(max(e.Reset.Sub(now)+time.Second-1, 0)/time.Second)
	b.ResetAt, b.ResetIn = &at, &in
}

// ErrorReply renders an error for callers of the API, in OpenAI's shape. Status and headers are chosen for what the
// official SDKs do with them: 400, 401 and 403 are not repeated, 429 and 503 are unless x-should-retry says no, and a
// long Retry-After would hang the caller, so there is none of a minute or more.
func ErrorReply(e *core.Error, c ErrorContext) Reply {
	s := shapeOf(e.Reason)
	if s.kind == "" {
		s.kind = rateType(e.Dimension)
	}
	body := errorObject{
		Message: e.Public, Type: s.kind, Code: s.code,
		Plumbline: about{Reason: e.Reason, RequestID: c.RequestID, Policy: c.Policy},
	}
	if e.Reason == core.ReasonObjectNotFound && e.Param == ParamPrevious {
		body.Code = "previous_response_not_found" // which SDKs and agents look for
	}
	if param := cmp.Or(e.Param, s.param); param != "" {
		body.Param = &param
	}
	body.Plumbline.aboutQuota(e, c.Now)
	r := Reply{Status: s.status, Header: [][2]string{{"content-type", "application/json"}}}
	if s.notice && c.NoticeURL != "" {
		body.Message += " Details: " + c.NoticeURL
		body.Plumbline.NoticeURL = c.NoticeURL
		r.Header = append(r.Header, [2]string{"link", "<" + c.NoticeURL + `>; rel="help"`})
	}
	if c.RequestID != "" {
		// The SDKs show the second one, which on other answers is the provider's.
		r.Header = append(r.Header, [2]string{"x-plumbline-request-id", c.RequestID}, [2]string{"x-request-id", c.RequestID})
	}
	if s.challenge != "" {
		r.Header = append(r.Header, [2]string{"www-authenticate", s.challenge})
	}
	if s.noRetry {
		r.Header = append(r.Header, [2]string{"x-should-retry", "false"})
	}
	r.Header = append(r.Header, s.retryHeaders(e, c)...)
	var err error
	if r.Body, err = json.Marshal(errorBody{body}); err != nil {
		// A time that JSON cannot hold (a year beyond 9999) is all that can fail, and the reply does without it.
		body.Plumbline.ResetAt = nil
		r.Body, _ = json.Marshal(errorBody{body})
	}
	return r
}

// rateType is the error type of a rate limit: OpenAI tells those on requests from those on tokens.
func rateType(dimension string) string {
	if dimension == "requests" || dimension == "concurrency" {
		return "requests"
	}
	return "tokens"
}

const (
	minRetry = 200 * time.Millisecond
	maxRetry = time.Second
	// maxReset is the longest wait that a caller is told of: beyond it the SDKs would seem to hang, and Node's older ones
	// take a minute for nonsense and come back at once.
	maxReset = 59 * time.Second
)

func (s shape) retryHeaders(e *core.Error, c ErrorContext) [][2]string {
	var after time.Duration
	switch s.retry {
	case retryUnsaid:
		return nil
	case retrySoon:
		jitter := c.Jitter
		if jitter == nil {
			jitter = randomBelow
		}
		after = minRetry + jitter(maxRetry-minRetry)
		return [][2]string{{"retry-after-ms", strconv.FormatInt(after.Milliseconds(), 10)}}
	case retryAtReset:
		if e.Reset.IsZero() {
			return nil
		}
		after = min(max(e.Reset.Sub(c.Now), time.Millisecond), maxReset)
	}
	seconds := int64((after + time.Second - 1) / time.Second)
	millis := int64((after + time.Millisecond - 1) / time.Millisecond)
	return [][2]string{{"retry-after-ms", strconv.FormatInt(millis, 10)}, {"retry-after", strconv.FormatInt(seconds, 10)}}
}

// randomBelow draws a duration in [0, below).
func randomBelow(below time.Duration) time.Duration {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return time.Duration(binary.LittleEndian.Uint64(b[:]) % uint64(below))
}
