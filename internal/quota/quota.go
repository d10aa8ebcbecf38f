// Package quota holds limits, their windows, the arithmetic of reserve, extend and settle, and the Ledger contract.
//
// A limit bounds what a scope may use in a window. All limits that match a call are reserved together or not at all,
// in integers only. The implementations live in memory and redis and pass one conformance suite (quotatest).
// It must not import a front end, a back end or a clock of its own: time is handed in.
package quota

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/plumbline/plumbline/internal/core"
)

// ScopeKind says whom a limit counts together.
type ScopeKind string

// The scopes of a limit.
const (
	ScopeEveryone ScopeKind = "everyone"
	ScopeTeam     ScopeKind = "team"
	ScopeUser     ScopeKind = "user"
	ScopeApp      ScopeKind = "app"
)

// Dimension says what a limit counts.
type Dimension string

// The dimensions of a limit.
const (
	DimensionRequests     Dimension = "requests"
	DimensionInputTokens  Dimension = "input_tokens"
	DimensionOutputTokens Dimension = "output_tokens"
	DimensionTokens       Dimension = "tokens"      // input plus output
	DimensionCost         Dimension = "cost"        // micro-dollars
	DimensionConcurrency  Dimension = "concurrency" // requests in flight
)

// Window is the span of time a limit counts over. A minute slides in 12 buckets of 5 s of which the oldest is counted
// whole; the others are calendar spans in the limit's zone; concurrency has none.
type Window string

// The windows of a limit.
const (
	WindowNone   Window = "none" // concurrency only
	WindowMinute Window = "minute"
	WindowHour   Window = "hour"
	WindowDay    Window = "day"
	WindowWeek   Window = "week" // from Monday
	WindowMonth  Window = "month"
)

// Enforcement says what happens when a limit lacks room.
type Enforcement string

// The enforcements of a limit.
const (
	EnforceHard    Enforcement = "hard"    // refuse
	EnforceSoft    Enforcement = "soft"    // admit and warn
	EnforceObserve Enforcement = "observe" // admit and count only
)

// Unreachable says what a limit does while the ledger cannot be asked.
type Unreachable string

// The behaviours of a limit without its ledger.
const (
	UnreachableClosed Unreachable = "closed" // refuse
	UnreachableLocal  Unreachable = "local"  // each replica counts on its own, with its share of what was left
	UnreachableOpen   Unreachable = "open"   // admit
)

// Limit bounds one dimension of one scope in one window.
type Limit struct {
	ID    string    `json:"id"`
	Scope ScopeKind `json:"scope"`
	// Subject is the id of the team, user or app; empty for everyone, or for "each of them on its own".
	Subject string `json:"subject,omitempty"`
	// Model narrows the limit to models that match the pattern (path.Match syntax); empty for all.
	Model     string    `json:"model,omitempty"`
	Dimension Dimension `json:"dimension"`
	Window    Window    `json:"window"`
	Value     int64     `json:"value"`
	// Zone is the IANA time zone of the calendar windows, UTC if empty.
	Zone        string      `json:"zone,omitempty"`
	Enforcement Enforcement `json:"enforcement,omitempty"` // hard if empty
	// Unreachable is closed for cost and local for others if empty. It matters to hard limits of a shared ledger.
	Unreachable Unreachable `json:"unreachable,omitempty"`
	Created     time.Time   `json:"created"`
}

// Subject is whom a call is counted for.
type Subject struct {
	User, Team, App, Model string
}

// Request asks to hold amounts for one exchange.
type Request struct {
	// ID is the exchange's id. No header of a client names it.
	ID      string
	Subject Subject
	Amounts Amounts
	// Limits are those in force now; the ledger picks those that match Subject and pins their windows at At.
	Limits *LimitSet
	// At is the time of admission.
	At time.Time
}

// Standing is one limit as a call met it.
type Standing struct {
	Limit *Limit // shared, must not be changed
	// Used is posted plus pending, the call's own hold included.
	Used int64
	// Posted is what of Used was settled.
	Posted int64
	// Since is when the calendar window began, zero for the sliding minute and for concurrency.
	Since time.Time
	// Reset is when the window ends, or when the sliding minute will next let something go (for a refused call: enough
	// for it); zero for concurrency and for an unused minute.
	Reset time.Time
}

// Reservation is what Reserve and Extend hold.
type Reservation struct {
	ID string
	// Admitted is the time that pins the windows: that of the request, or of the clock that replicas share where the ledger
	// has one. The records must keep it, so that what is booked again from them meets the same windows.
	Admitted time.Time
	Held     Amounts
	// Standings lists each limit that matched, for rate-limit headers and for warnings (soft limits over their value),
	// in the order of the LimitSet. It is shared and must not be changed.
	Standings []Standing
	// Fallback is empty for what the ledger holds. While a shared ledger cannot be asked it says how the call was admitted:
	// local or open. The records must keep it, since what they charge is then booked from them.
	Fallback Unreachable
}

// Progress is what a live reservation has used so far.
type Progress struct {
	ID   string
	Used Amounts
}

// Errors of a Ledger beside *ExhaustedError.
var (
	// ErrUnknown is returned for a reservation that the ledger does not hold and whose resolution it no longer remembers.
	ErrUnknown = errors.New("quota: unknown reservation")
	// ErrResolved is returned by Reserve for the id of a reservation that was settled, voided or expired.
	ErrResolved = errors.New("quota: reservation is already resolved")
	// ErrAmount is returned for amounts below zero or above MaxAmount.
	ErrAmount = errors.New("quota: amount out of range")
)

// ExhaustedError says which hard limit lacked room. Nothing is held.
type ExhaustedError struct {
	Standing Standing // Used is without the refused call
	// Wanted is what the call asked for in the limit's dimension, beyond what it holds.
	Wanted int64
}

// Never reports whether the call is larger than the whole limit and can never fit.
func (e *ExhaustedError) Never() bool { return e.Wanted > e.Standing.Limit.Value }

func (e *ExhaustedError) Error() string {
	return fmt.Sprintf("quota: limit %s lacks room: %d used of %d, %d wanted",
		e.Standing.Limit.ID, e.Standing.Used, e.Standing.Limit.Value, e.Wanted)
}

// Reason gives the reason a caller is told.
func (e *ExhaustedError) Reason() core.Reason {
	switch {
	case e.Never():
		return core.ReasonRequestTooLarge
	case e.Standing.Limit.Dimension == DimensionConcurrency:
		return core.ReasonConcurrencyLimit
	case e.Standing.Limit.Window == WindowMinute:
		return core.ReasonRateLimited
	default:
		return core.ReasonQuotaExhausted
	}
}

// Outlasts reports whether e keeps the call out for longer than o, which may be nil. Ledgers refuse with the limit that
// outlasts the others, so that the caller does not come back too early.
func (e *ExhaustedError) Outlasts(o *ExhaustedError) bool {
	switch {
	case o == nil:
		return true
	case e.Never() != o.Never():
		return e.Never()
	default:
		return e.Standing.Reset.After(o.Standing.Reset)
	}
}

// Ledger counts what is used (posted) and held (pending) under each limit.
//
// Invariants, each the name of a test of the conformance suite:
//
//	I1  a reserve or extend never makes posted + pending exceed the hard limit in force when it runs
//	I1b a settlement above its reservation is booked in full and counted as overrun
//	I2  a reservation is all-or-nothing over all dimensions
//	I3  a reservation resolves at most once (settle, void, expire); a repeat returns the stored result. An expiry is
//	    provisional: the first settle or void after it replaces what it booked, once
//	I4  after traffic stops and leases pass, pending is 0
//	I5  posted is the sum of what was settled
//	I6  nothing is ever negative
//	I7  a denial names a dimension that lacked room
//	I8  there is no denial when all had room
//
// A call that wants nothing more in a limit's dimension always has room under it. Each live reservation counts one under the
// concurrency limits that matched it. In the sliding minute everything counts at the time of admission, so that a call
// that runs for longer has left it, and extends freely under it.
//
// Every method must be safe for concurrent use, must change nothing when it returns an error, and must return ErrAmount
// for amounts out of range.
type Ledger interface {
	// Reserve holds every amount of r, or returns *ExhaustedError naming, of the hard limits that lacked room, the one
	// that outlasts the others, and holds nothing. A second Reserve with the id of a live reservation must change
	// nothing and return the first result; with that of a resolved one it must return ErrResolved.
	Reserve(ctx context.Context, r Request) (Reservation, error)
	// Extend has a live reservation hold at least the amounts, in all, under the limits it was made with and in the windows
	// pinned by Reserve, or returns *ExhaustedError and leaves it as it was. What it holds is never lowered, and a call
	// that is repeated, or arrives late, must hold nothing twice. It renews the lease. On a resolved or unknown
	// reservation it returns ErrUnknown.
	Extend(ctx context.Context, id string, to Amounts) (Reservation, error)
	// Touch renews the leases of live reservations and records what each has used so far. It passes over those that are
	// resolved or unknown.
	Touch(ctx context.Context, progress ...Progress) error
	// Settle posts what was used, in full, in the windows pinned by Reserve, and releases the hold. After Expire it must
	// post used in place of what Expire booked. It returns what is booked: used or, for a repeat, also one with other
	// amounts, which must change nothing, what the first Settle booked, nothing after Void. On an unknown reservation it
	// returns ErrUnknown.
	Settle(ctx context.Context, id string, used Amounts) (Amounts, error)
	// Void releases the hold and posts nothing. After Expire it must take back what that booked. On a reservation that was
	// settled or voided it must change nothing; on an unknown one it returns ErrUnknown.
	Void(ctx context.Context, id string) error
	// Expire resolves reservations whose lease ended before now: each is settled at its last recorded progress (nothing
	// if there is none), and its id is returned.
	Expire(ctx context.Context, now time.Time) ([]string, error)
	// Standings reports every limit that matches s, in the order of limits, without changing anything.
	Standings(ctx context.Context, s Subject, limits *LimitSet, at time.Time) ([]Standing, error)
}
