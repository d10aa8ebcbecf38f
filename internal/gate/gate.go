// Package gate is the way of one request, in reading order:
//
//	Open    who calls what                        open.go
//	Admit   read, judge, decide, reserve, record  admit.go
//	Observe the answer while it passes            observe.go, extend.go
//	Close   charge and record, exactly once       close.go
//
// A front end opens an exchange, admits its body, hands it the answer piece by piece, and closes it however it ended.
// A front end that sees no answer (ext_authz) closes right after Admit. A refusal at any step is a finished reply and
// already recorded; the exchange is still to be closed.
//
// The policy, prices and directory are pinned when an exchange opens, limits when it reserves. Observe mode is applied by policy alone, in one
// place. The package knows no front end, no back end and no protocol but OpenAI's; it must not import extproc, store
// or any third-party library but the id generator.
package gate

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/plumbline/plumbline/internal/calibrate"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/identity"
	"github.com/plumbline/plumbline/internal/intent"
	"github.com/plumbline/plumbline/internal/openai"
	"github.com/plumbline/plumbline/internal/policy"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/seal"
	"github.com/plumbline/plumbline/internal/sysprompt"
	"github.com/plumbline/plumbline/internal/telemetry"
)

// Authenticator proves who calls. See identity.Verifier.
type Authenticator interface {
	Authenticate(ctx context.Context, e identity.Evidence) (*identity.Session, *core.Error)
	// Still reports what has ended a session since it was opened: a revocation, a block, its expiry.
	Still(*identity.Session) *core.Error
}

// Directory is one consistent view of people, tasks and limits. It is pinned per exchange and never changes.
type Directory interface {
	Tasks(core.Principal) []*deviation.Task
	Limits() *quota.LimitSet
	// SystemPrompts are those that are registered as an app's own, nil for none.
	SystemPrompts(app string) *sysprompt.Set
	// Calibration is what labelled prompts say of scores, nil for nothing.
	Calibration() *calibrate.InForce
}

// Classifier tells what a prompt asks for. See intent.Classifier.
type Classifier interface {
	Classify(*intent.View) core.Intent
}

// Scorer tells how far a prompt leans from tasks. See deviation.Scorer.
type Scorer interface {
	Score(*intent.View, []*deviation.Task) core.Deviation
}

// Recorder keeps audit records.
type Recorder interface {
	// Append must return nil only when rec is durable. When ctx ends first it may still become durable.
	Append(ctx context.Context, rec core.Record) error
}

// RefusalCounter sums refusals that come before an exchange knows its caller. See audit.Refusals.
type RefusalCounter interface {
	Add(reason core.Reason, issuer string, source netip.Addr, at time.Time)
	// AddNamed must report whether the refusal is to have a record of its own; it is summed otherwise.
	AddNamed(reason core.Reason, p core.Principal, source netip.Addr, at time.Time) bool
}

// Addresses says what is recorded of a network address. Empty: all of it.
type Addresses string

// What is recorded of a network address.
const (
	AddressesNetwork Addresses = "network" // its /24, or /48
	AddressesNone    Addresses = "none"
)

// of gives of an address what may be recorded; it is not valid where that is nothing.
func (a Addresses) of(source netip.Addr) netip.Addr {
	switch v4 := source.Unmap(); {
	case a == AddressesNone, !source.IsValid():
		return netip.Addr{}
	case a == AddressesNetwork && v4.Is4():
		return netip.PrefixFrom(v4, 24).Masked().Addr()
	case a == AddressesNetwork:
		return netip.PrefixFrom(source, 48).Masked().Addr()
	}
	return source
}

// Options are what a gate is made of. Every field is required but Extend, Traffic, Sealer, Addresses, ProviderKey and MaxBody.
type Options struct {
	Identity Authenticator
	// Directory, Policy and Prices give what is in force now.
	Directory  func() (Directory, error) // an error: too old to be trusted
	Policy     func() *policy.Snapshot
	Prices     func() *openai.PriceTable
	Classifier Classifier
	// Extend gives the classifier with the classes that a policy adds. nil: policies add none.
	Extend   func(*policy.Snapshot) Classifier
	Scorer   Scorer
	Traffic  *deviation.Traffic // samples what is asked; nil: nothing
	Owners   Owners
	Ledger   quota.Ledger
	Audit    Recorder
	Refusals RefusalCounter
	Sealer   *seal.Sealer // of what derives from prompts; nil: nothing of it is recorded
	Metrics  *telemetry.Metrics
	Log      *slog.Logger
	Now      func() time.Time

	// Addresses says what is recorded of callers' network addresses.
	Addresses Addresses
	// ProviderKey is sent to the provider in place of the caller's credential. Empty: Envoy injects the key itself.
	ProviderKey func() string
	// MaxBody is the largest request body in bytes where the endpoint does not take less. 0: only the endpoint says.
	MaxBody int64

	// AdmitTimeout bounds Admit and CloseTimeout Close. AdmitTimeout stays below the front end's own time-out, so that
	// the caller gets Plumbline's error and not Envoy's.
	AdmitTimeout, CloseTimeout time.Duration
	// CutGraceTime and CutGraceBytes bound how long a provider may go on after its answer was cut.
	CutGraceTime  time.Duration
	CutGraceBytes int64
}

// Gate opens exchanges. It is safe for concurrent use.
type Gate struct {
	o       Options
	leases  leases
	allowed atomic.Pointer[allowed] // by the policy of the last request
	classes atomic.Pointer[classes] // the same
}

// New checks the options.
func New(o Options) (*Gate, error) {
	switch {
	case o.Identity == nil || o.Directory == nil || o.Policy == nil || o.Prices == nil || o.Classifier == nil ||
		o.Scorer == nil || o.Owners == nil || o.Ledger == nil || o.Audit == nil || o.Refusals == nil || o.Metrics == nil || o.Log == nil || o.Now == nil:
		return nil, errors.New("gate: an option is missing")
	case o.AdmitTimeout <= 0 || o.CloseTimeout <= 0:
		return nil, errors.New("gate: AdmitTimeout and CloseTimeout must be positive")
	}
	return &Gate{o: o, leases: leases{live: map[*Exchange]struct{}{}}}, nil
}

// Head is what a front end knows of a request before its body.
type Head struct {
	Method, Path string
	// Authorization holds every value of every header that carries a credential, as received.
	Authorization []string
	// Workload and Certificate are what the mesh says of the caller. See identity.Evidence.
	Workload, Certificate string

	ContentType     string
	ContentEncoding string
	// ContentLength is -1 when the caller did not say.
	ContentLength int64
	Upgrade       string // the protocol asked for, if any
	Source        netip.Addr
	TraceParent   string
	// BodyFixed is set by front ends that cannot change the body (ext_authz).
	BodyFixed bool
}

// HeaderEdits are changes to a message's headers, names in lower case. Removals come first.
type HeaderEdits struct {
	Remove []string
	Set    [][2]string
}

// Admission lets a request pass to the provider, with these changes.
type Admission struct {
	Headers HeaderEdits
	// Body replaces the request's body; nil leaves it as it is.
	Body []byte
}
