package gate

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/plumbline/plumbline/internal/core"
)

// replaceAnswer gives the error that a caller gets in place of an answer, nil for an answer that may pass: Envoy's own
// replies are not in OpenAI's form, a provider that refuses Plumbline's key quotes a part of it, and an answer in an
// encoding that cannot be read could not be charged.
func replaceAnswer(h AnswerHead) *core.Error {
	switch {
	case h.Local != "" && h.Status == http.StatusRequestEntityTooLarge:
		return &core.Error{Reason: core.ReasonBodyTooLarge, Public: "The request body is larger than the gateway takes. Send less."}
	case h.Local != "" && (h.Status == http.StatusGatewayTimeout || h.Status == http.StatusRequestTimeout):
		return &core.Error{
			Reason: core.ReasonUpstreamTimeout, Public: "The provider did not answer in time. Try again later.",
			Cause: fmt.Errorf("Envoy answered %d: %s", h.Status, h.Local),
		}
	case h.Local != "":
		return &core.Error{
			Reason: core.ReasonUpstreamError, Public: "The provider could not be reached. Try again in a moment.",
			Cause: fmt.Errorf("Envoy answered %d: %s", h.Status, h.Local),
		}
	case h.Status == http.StatusUnauthorized || h.Status == http.StatusForbidden:
		return &core.Error{
			Reason: core.ReasonUpstreamRejected,
			Public: "The provider refused the gateway's own key. Your credential is good; tell whoever runs the gateway.",
			Cause:  fmt.Errorf("the provider answered %d", h.Status),
		}
	case h.ContentEncoding != "" && !strings.EqualFold(h.ContentEncoding, "identity"):
		return &core.Error{
			Reason: core.ReasonUpstreamError,
			Public: "The provider's answer came in an encoding that it was not asked for, and was withheld because it cannot be read.",
			Cause:  fmt.Errorf("content-encoding %q", h.ContentEncoding),
		}
	}
	return nil
}
