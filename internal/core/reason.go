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
	ReasonPrincipalPending    Reason = "principal_pending" // a person of a trusted issuer who is being created
	ReasonUserBlocked         Reason = "user_blocked"

	// What is called.
	ReasonEndpointNotAllowed   Reason = "endpoint_not_allowed"
	ReasonInvalidBody          Reason = "invalid_body"
	ReasonUnsupportedMediaType Reason = "unsupported_media_type"
	ReasonUnsupportedParameter Reason = "unsupported_parameter" // understood, but cannot be governed yet or is not allowed
	ReasonBodyTooLarge         Reason = "body_too_large"
	ReasonObjectNotFound       Reason = "object_not_found"  // an object at the provider that is not the caller's, whoever's it is
	ReasonModelNotAllowed      Reason = "model_not_allowed" // by policy, or without a price

	// What is asked.
	ReasonSecret          Reason = "secret_in_prompt"
	ReasonAttack          Reason = "attack"
	ReasonPolicyRule      Reason = "policy_rule" // a rule with a condition
	ReasonForbiddenIntent Reason = "forbidden_intent"
	ReasonOffTask         Reason = "off_task"
	ReasonUnscored        Reason = "unscored"

	// How much.
	ReasonRateLimited      Reason = "rate_limited"       // a window of at most a minute
	ReasonConcurrencyLimit Reason = "concurrency_limit"  // too many at once
	ReasonQuotaExhausted   Reason = "quota_exhausted"    // a longer window
	ReasonRequestTooLarge  Reason = "request_over_limit" // larger than the whole limit: it can never fit
	ReasonQuotaUnavailable Reason = "quota_unavailable"  // the ledger cannot be asked, and the limit is closed without it
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

// ReasonDoc is a reason in words for the people who meet it.
type ReasonDoc struct {
	Reason Reason
	// Meaning says what happened, Advice what to do.
	Meaning, Advice string
}

// Reasons lists every reason in words, in the order in which a request could meet them.
func Reasons() []ReasonDoc {
	return []ReasonDoc{
		{ReasonNone, "Nothing to object to.", ""},
		{ReasonMissingCredential, "The request has no credential.", "Send an app key or a token: `Authorization: Bearer …`."},
		{ReasonMultipleCredentials, "The request has more than one credential.", "Send one."},
		{ReasonInvalidCredential, "The credential is malformed, foreign or wrongly signed, bound to a certificate that the connection did not prove, or of another app or person than the workload that sends it.", "Check that it was copied whole, is one of Plumbline's, and belongs to the workload that sends it."},
		{ReasonExpiredCredential, "The credential has expired.", "Ask for a new one."},
		{ReasonRevokedCredential, "The credential was revoked.", "Ask for a new one."},
		{ReasonUnknownPrincipal, "The credential is good, but its user or app does not exist, its owner has none of the roles that may call, or no rule says for whom the workload calls.", "Ask an administrator."},
		{ReasonPrincipalPending, "The person is called by a trusted issuer for the first time and is being created.", "Retry in a moment; SDKs do by themselves."},
		{ReasonUserBlocked, "The user is blocked.", "Ask an administrator."},
		{ReasonEndpointNotAllowed, "The endpoint cannot be governed, the policy does not give it to this caller, or the path is not in its plain form.", "Use an endpoint that is governed and allowed."},
		{ReasonInvalidBody, "The body is not what the endpoint takes: not strict JSON, a field of the wrong type, cut short.", "Mend the field that the error names."},
		{ReasonUnsupportedMediaType, "The body is not plain JSON.", "Send `Content-Type: application/json` and no encoding."},
		{ReasonUnsupportedParameter, "A field is understood, but cannot be governed or is not allowed.", "Leave out the field that the error names."},
		{ReasonBodyTooLarge, "The body is larger than the endpoint takes.", "Send less."},
		{ReasonObjectNotFound, "The object at the provider does not exist or belongs to another: the answer is the same.", "Use objects that the same user made through Plumbline, or the same app where there was no user."},
		{ReasonModelNotAllowed, "The policy does not give this caller the model, or it has no price.", "Use one of the models that the error names."},
		{ReasonSecret, "The prompt holds a credential, or the number of a card or an account.", "Take it out; change a credential that was real, since it has left its place."},
		{ReasonAttack, "The prompt has the form of an attack on a model: it asks to ignore or reveal instructions, forges roles, or hides text.", "Take out the part that the error names."},
		{ReasonPolicyRule, "A rule of the policy that its author made up does not allow the request.", "Read the error: it names the rule, and may say why."},
		{ReasonForbiddenIntent, "The policy does not allow prompts of this kind.", "Do not retry."},
		{ReasonOffTask, "The prompt is too far from the tasks assigned to the person.", "Rephrase it in terms of that work, or ask for a task that covers it."},
		{ReasonUnscored, "The prompt could not be judged, and the policy does not let such prompts pass.", "Write it in plain English text."},
		{ReasonRateLimited, "A limit of a minute is used up.", "Retry after the time that the error names; SDKs do by themselves."},
		{ReasonConcurrencyLimit, "Too many requests are in flight.", "Wait for one to end; SDKs retry by themselves."},
		{ReasonQuotaExhausted, "A limit of an hour or more is used up.", "Wait for the reset that the error names."},
		{ReasonRequestTooLarge, "The request alone may use more than a whole limit.", "Ask for less output or send a shorter prompt."},
		{ReasonQuotaUnavailable, "The ledger that counts quota cannot be asked right now, and a limit of this call lets nothing pass without it.", "Retry in a moment; operators find the cause in the log."},
		{ReasonGovernanceDown, "Plumbline cannot decide or record right now, and lets nothing pass.", "Retry in a moment; operators find the cause in the log."},
		{ReasonOverloaded, "This replica has no room for another request body.", "Retry in a moment."},
		{ReasonUpstreamError, "The provider could not be reached, or its answer could not be read.", "Retry in a moment."},
		{ReasonUpstreamTimeout, "The provider did not answer in time.", "Retry later."},
		{ReasonUpstreamRejected, "The provider refused Plumbline's own key.", "Tell whoever runs Plumbline."},
	}
}
