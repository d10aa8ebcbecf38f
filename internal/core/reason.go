package core

// Reason is why an exchange was decided or ended as it was. The same code is the log field, the metric label, the audit
// column, the API field and the name of the help page.
type Reason string

// The closed set of reasons. Reasons() lists them with their public words.
const (
	ReasonNone Reason = "none" // nothing to object to

	// Who calls.
	ReasonMissingCredential   Reason = "missing_credential"
	ReasonMultipleCredentials Reason = "multiple_credentials"
	ReasonInvalidCredential   Reason = "invalid_credential" // malformed, foreign, wrongly signed
	ReasonExpiredCredential   Reason = "expired_credential"
	ReasonRevokedCredential   Reason = "revoked_credential"
	ReasonUnknownPrincipal    Reason = "unknown_principal" // a good credential for a person or app that does not exist
	ReasonUserBlocked         Reason = "user_blocked"

	// What is called.
	ReasonEndpointNotAllowed   Reason = "endpoint_not_allowed"
	ReasonInvalidBody          Reason = "invalid_body"
	ReasonUnsupportedMediaType Reason = "unsupported_media_type"
	ReasonUnsupportedParameter Reason = "unsupported_parameter" // understood, but cannot be governed yet or is not allowed
	ReasonBodyTooLarge         Reason = "body_too_large"
	ReasonModelNotAllowed      Reason = "model_not_allowed" // by policy, or without a price

	// What is asked.
	ReasonForbiddenIntent Reason = "forbidden_intent"
	ReasonOffTask         Reason = "off_task"
	ReasonUnscored        Reason = "unscored"

	// How much.
	ReasonRateLimited      Reason = "rate_limited"       // a window of at most a minute
	ReasonConcurrencyLimit Reason = "concurrency_limit"  // too many at once
	ReasonQuotaExhausted   Reason = "quota_exhausted"    // a longer window
	ReasonRequestTooLarge  Reason = "request_over_limit" // larger than the whole limit: it can never fit
	ReasonGovernanceDown   Reason = "governance_unavailable"
	ReasonOverloaded       Reason = "overloaded" // this replica's bound on work in flight
	ReasonUpstreamError    Reason = "upstream_error"
	ReasonUpstreamTimeout  Reason = "upstream_timeout"
	ReasonUpstreamRejected Reason = "upstream_rejected_key" // the provider refused Plumbline's own key
)

// Action is what is done with an exchange.
type Action string

// The actions, from mild to severe.
const (
	ActionAllow Action = "allow"
	ActionWarn  Action = "warn"
	ActionBlock Action = "block"
)

// Verdict is the outcome of a decision.
type Verdict struct {
	// Action is what is done, Decided what the rules said. They differ only where the policy observes.
	Action  Action `json:"action"`
	Decided Action `json:"decided"`
	Reason  Reason `json:"reason"`
	// Rule names the rule of the policy document that decided, empty for none.
	Rule string `json:"rule,omitempty"`
	// Uncalibrated states that an uncalibrated score was enforced because the operator said so.
	Uncalibrated bool `json:"uncalibrated,omitempty"`
}

// Blocked reports whether the exchange is stopped.
func (v Verdict) Blocked() bool { return v.Action == ActionBlock }
