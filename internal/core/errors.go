package core

import (
	"errors"
	"time"
)

// Error is the one error type that crosses package borders: a reason, words that the caller may read, and a private
// cause for the log. Each protocol has one function that maps a Reason to its status; see openai.ErrorReply.
type Error struct {
	Reason Reason
	// Public is shown to the caller. It says what happened and what to do, and never quotes a prompt or a secret.
	Public string
	// Param names the request field at fault, if one is.
	Param string
	// Rule is the policy rule behind a refusal, if one is.
	Rule string
	// Dimension is the quota dimension that lacked room ("requests", "tokens", …), if that is the reason.
	Dimension string
	// Shortage is the limit behind a refusal for quota, nil for others.
	Shortage *Shortage
	// Reset is when trying again makes sense, zero when unknown or never.
	Reset time.Time
	// Principal is whom a refused credential names, when the credential itself was found good: revoked, expired, blocked.
	// Zero when nobody can be named, or when the exchange knows its caller.
	Principal Principal
	// Cause is private: for the log only.
	Cause error
}

// Shortage says for programs which limit lacked room. The amounts are in the unit of the dimension: requests, tokens, or
// millionths of a US dollar for cost.
type Shortage struct {
	Limit     string `json:"id"`
	Dimension string `json:"dimension"`
	Window    string `json:"window"`
	Value     int64  `json:"value"`
	// Used is what was posted and held without the call, Wanted what the call asked for.
	Used   int64 `json:"used"`
	Wanted int64 `json:"wanted"`
}

// Error gives the reason and the private cause. It is for logs; callers read Public.
func (e *Error) Error() string {
	if e.Cause != nil {
		return string(e.Reason) + ": " + e.Cause.Error()
	}
	return string(e.Reason) + ": " + e.Public
}

// Unwrap gives the private cause.
func (e *Error) Unwrap() error { return e.Cause }

// AsError gives err as an *Error. Anything that is not one is governance_unavailable: what Plumbline does not understand
// in itself fails closed.
func AsError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{
		Reason: ReasonGovernanceDown,
		Public: "Plumbline could not decide this request. Nothing was sent to the provider. Try again in a moment.",
		Cause:  err,
	}
}
