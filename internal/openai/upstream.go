package openai

import (
	"net/http"
	"strings"

	"github.com/plumbline/plumbline/internal/core"
)

// ReplaceAnswer gives the error that the caller gets in place of an answer, or nil for an answer that may pass.
// local is Envoy's response.code_details when Envoy itself answered, empty for an answer of the provider's.
//
// A provider's 401 and 403 quote parts of its key, and blame the caller for a key that is not the caller's.
func ReplaceAnswer(o AnswerOptions, local string) *core.Error {
	switch {
	case local != "":
		return localReply(o.Status, local)
	case o.Status < http.StatusOK:
		// A switch of protocols that nobody asked for: what follows would pass unread.
		return &core.Error{Reason: core.ReasonUpstreamError, Public: "The provider's answer is none to this request."}
	case o.Status == http.StatusUnauthorized || o.Status == http.StatusForbidden:
		return &core.Error{
			Reason: core.ReasonUpstreamRejected,
			Public: "The provider refused the key that Plumbline sent. Yours is fine: tell the operator of this gateway.",
		}
	case encoded(o.ContentEncoding) && decoderOf(o.ContentEncoding) == nil: // what cannot be read cannot be charged
		return &core.Error{
			Reason: core.ReasonUpstreamError,
			Public: "The provider compressed its answer in a way that is not known, although it was asked not to.",
		}
	}
	return nil
}

// localReply words Envoy's own replies, which are plain text and speak of Envoy.
func localReply(status int, details string) *core.Error {
	switch {
	case status == http.StatusRequestEntityTooLarge:
		return &core.Error{Reason: core.ReasonBodyTooLarge, Public: "The request body is larger than this gateway takes. Send less."}
	case status == http.StatusRequestTimeout:
		return &core.Error{Reason: core.ReasonInvalidBody, Public: "The rest of the request did not arrive in time. Send it again."}
	case status == http.StatusGatewayTimeout, strings.Contains(details, "timeout"):
		return &core.Error{Reason: core.ReasonUpstreamTimeout, Public: "The provider did not answer in time. Try again."}
	case status == http.StatusNotFound && strings.Contains(details, "route"):
		return &core.Error{Reason: core.ReasonEndpointNotAllowed, Public: "No route of this gateway leads to the provider for this path."}
	}
	if status >= 400 && status < 500 {
		// Envoy refused it by itself: a path in a form that it does not take, an upgrade, a missing host.
		return &core.Error{
			Reason: core.ReasonEndpointNotAllowed,
			Public: "This gateway does not take a request of this form. Send the path in its plain form, and no upgrade.",
		}
	}
	return &core.Error{Reason: core.ReasonUpstreamError, Public: "The provider could not be reached. Try again in a moment."}
}

// isEventStream reports whether a content type is text/event-stream.
func isEventStream(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.TrimSpace(media), "text/event-stream")
}

// isJSON reports whether a content type is JSON, or none: what says nothing of itself is read as an object.
func isJSON(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	media = strings.ToLower(strings.TrimSpace(media))
	return media == "" || media == "application/json" || strings.HasSuffix(media, "+json")
}

// encoded reports whether a content encoding is one at all.
func encoded(contentEncoding string) bool {
	return contentEncoding != "" && !strings.EqualFold(contentEncoding, "identity")
}
