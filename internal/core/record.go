package core

import (
	"encoding/json"
	"time"
)

// RecordKind says which step of an exchange, or which other event, a record keeps.
type RecordKind string

// The kinds of audit records.
const (
	RecordIntent   RecordKind = "intent"   // written before anything is forwarded
	RecordOutcome  RecordKind = "outcome"  // how a forwarded exchange ended
	RecordDeny     RecordKind = "deny"     // both in one: refused, nothing was forwarded
	RecordRefusals RecordKind = "refusals" // a sum of refusals of callers that nobody could name
	RecordAdmin    RecordKind = "admin"    // a change made by an administrator
)

// Finish says how a forwarded exchange ended.
type Finish string

// The endings of a forwarded exchange.
const (
	FinishComplete Finish = "complete"
	// FinishInterrupted: the caller left, or the provider broke off. Envoy does not tell which (docs/decisions/0008).
	FinishInterrupted   Finish = "interrupted"
	FinishUpstreamError Finish = "upstream_error" // the provider, or Envoy in its place, answered with an error
	FinishCut           Finish = "cut"            // Plumbline ended the answer: quota or policy
	FinishDrained       Finish = "drained"        // Plumbline shut down before the end of the answer
	FinishCrashed       Finish = "crashed"        // Plumbline died before the end; closed at the next start
	FinishNotForwarded  Finish = "not_forwarded"  // admitted, then undone before the provider was reached
)

// Record is one audit entry. The log adds writer, sequence and leaf hash (see audit.Entry).
type Record struct {
	Kind RecordKind `json:"kind"`
	// Time is when the step happened, UTC, microseconds.
	Time time.Time `json:"time"`
	// Exchange is the id the server gave the exchange, a UUIDv7; equal on intent and outcome.
	Exchange  string    `json:"exchange,omitempty"`
	Trace     string    `json:"trace,omitempty"` // W3C trace id
	Principal Principal `json:"principal"`
	Source    string    `json:"source,omitempty"` // the caller's network address
	Endpoint  string    `json:"endpoint,omitempty"`
	// Model is the one asked for, ServedModel the one the provider named in its answer.
	Model       string `json:"model,omitempty"`
	ServedModel string `json:"served_model,omitempty"`
	// Objects are those at the provider that the request named, and in an outcome the one that its answer made.
	Objects []ObjectRef `json:"objects,omitempty"`
	// Opaque are the media types of what the request held that could not be judged, each once.
	Opaque []string `json:"opaque,omitempty"`

	PolicyVersion string     `json:"policy_version,omitempty"`
	Intent        *Intent    `json:"intent,omitempty"`
	Deviation     *Deviation `json:"deviation,omitempty"`
	Verdict       *Verdict   `json:"verdict,omitempty"`
	// Facts are the canonical bytes of what the decision saw beside the fields of this record (policy.FactsOf); the same
	// facts give the same verdict.
	Facts json.RawMessage `json:"facts,omitempty"`

	Reserved *Charge `json:"reserved,omitempty"` // intent: what was held
	Settled  *Charge `json:"settled,omitempty"`  // outcome: what was charged
	// Fallback says how the call was admitted while the quota ledger could not be asked, "local" or "open"; empty when it
	// was.
	Fallback string `json:"fallback,omitempty"`
	Usage    *Usage `json:"usage,omitempty"`
	// PriceVersion dates the price table behind the costs.
	PriceVersion string `json:"price_version,omitempty"`

	Status int    `json:"status,omitempty"` // HTTP status the caller saw
	Finish Finish `json:"finish,omitempty"`
	Reason Reason `json:"reason,omitempty"`
	// StageMicros is the time each stage took, in microseconds.
	StageMicros map[string]int64 `json:"stage_us,omitempty"`
	// WorkedMicros is the time Plumbline itself worked on the exchange, over all of its messages.
	WorkedMicros int64 `json:"worked_us,omitempty"`
	// UnattributedTokens is output that the provider went on to make after its answer was cut; nobody is charged for it.
	UnattributedTokens int64 `json:"unattributed_tokens,omitempty"`

	// Sealed is what derives from the prompt and the answer; nil where nothing is kept of them.
	Sealed *Sealed `json:"sealed,omitempty"`

	Refusals *Refusals `json:"refusals,omitempty"`
	Admin    *Change   `json:"admin,omitempty"`
}

// Sealed is what a record holds of what derives from a prompt or an answer: ciphertexts and keyed hashes, never clear text.
// All of it is under one key of the exchange's subject, and means nothing when that is destroyed (package seal).
type Sealed struct {
	Key      string `json:"key,omitempty"` // the id of the subject's key
	Evidence []byte `json:"evidence,omitempty"`
	Prompt   []byte `json:"prompt,omitempty"`
	Answer   []byte `json:"answer,omitempty"`
	// PromptHash and AnswerHash are keyed hashes: equal texts of one subject have equal ones.
	PromptHash []byte `json:"prompt_hash,omitempty"`
	AnswerHash []byte `json:"answer_hash,omitempty"`
	// Sample is a prompt that was drawn for calibration, sealed under the subject's key and then under that of its day,
	// SampleKey, which is destroyed after a time.
	Sample    []byte `json:"sample,omitempty"`
	SampleKey string `json:"sample_key,omitempty"`
	// Withheld says why something is missing that should be here, empty for nothing.
	Withheld Withheld `json:"withheld,omitempty"`
}

// Withheld is why a record lacks what it should hold sealed.
type Withheld string

// WithheldNoKey says that the subject's key could not be had in time. What cannot be sealed is not recorded.
const WithheldNoKey Withheld = "no_key"

// Charge is what an exchange held or was charged, with what is needed to book it again from the records.
type Charge struct {
	// Admitted is when the reservation was made: it pins the windows that are charged.
	Admitted     time.Time `json:"admitted"`
	Requests     int64     `json:"requests"`
	InputTokens  int64     `json:"input_tokens"`
	OutputTokens int64     `json:"output_tokens"`
	Cost         MicroUSD  `json:"cost_micro_usd"`
}

// Refusals sums refusals before a principal was known: they can be a flood.
type Refusals struct {
	Count int64     `json:"count"`
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	// Issuer is the issuer that the credentials named, if it is one that is trusted.
	Issuer string `json:"issuer,omitempty"`
	// Network is the source's /24 or /48.
	Network string `json:"network,omitempty"`
}

// Change is a change to an object by an administrator.
type Change struct {
	Actor  string `json:"actor"`
	Action string `json:"action"` // put, delete, issue, revoke, …
	Object string `json:"object"` // kind/id
	// Reason is why, in the actor's words, where one was asked for.
	Reason string `json:"reason,omitempty"`
}
