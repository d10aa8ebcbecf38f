package gate

import (
	"net/netip"
	"sync"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/identity"
	"github.com/plumbline/plumbline/internal/openai"
	"github.com/plumbline/plumbline/internal/policy"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/telemetry"
)

// Exchange is one request and its answer. Its methods are called by one front end in the order Open, Admit, Observe…,
// Close, from one goroutine at a time.
type Exchange struct {
	gate *Gate
	once sync.Once

	id       string
	head     Head
	pinned   pinned
	session  *identity.Session
	endpoint openai.Endpoint
	named    string          // the model that the path names, if it does
	object   string          // the object at the provider that a list goes on after, if it does
	request  *openai.Request // nil until Admit has read a body
	objects  objects
	judged   judged
	hold     hold
	answer   answer
	clock    clock
}

// pinned is what was in force when the exchange opened and stays so until it closes. Limits are taken when they are needed:
// see hold.
type pinned struct {
	policy    *policy.Snapshot
	prices    *openai.PriceTable
	directory Directory
}

// judged is what the prompt was found to be and what was decided.
type judged struct {
	facts   policy.Facts
	verdict core.Verdict
	refused core.Reason // why the exchange was refused, if it was: not only the policy refuses
}

// recorded says how far the audit of an exchange got.
type recorded int

const (
	recordedNothing recorded = iota
	recordedUnknown          // an intent was handed to the log, which did not confirm it
	recordedIntent           // the intent is durable: an outcome is owed
	recordedDeny             // refused; nothing more to say
)

// hold is what the ledger keeps for the exchange.
type hold struct {
	model       openai.Model
	limits      *quota.LimitSet // in force when it was reserved
	reservation quota.Reservation
	live        bool // held, not yet resolved
	doubtful    bool // the ledger failed, and may hold it nevertheless
	recorded    recorded
	lease       lease
}

// answer is the provider's answer as far as it was seen.
type answer struct {
	reader    *openai.Answer
	status    int
	failed    bool // the provider, or Envoy in its place, answered with an error
	ended     bool // its last byte was seen
	firstByte time.Time
	cut       core.Reason // why Plumbline ended it, if it did
	cutAt     time.Time
	lack      *core.Error // the limit without room that it was ended for, if it was one
	dropped   int64       // bytes of the provider that were withheld after the cut
}

// clock measures an exchange: its stages, and all the time that Plumbline itself worked on it.
type clock struct {
	now    func() time.Time
	opened time.Time
	begun  time.Time // start of the piece of work at hand, zero between pieces
	last   time.Time
	worked time.Duration
	stages []stageTime // those that were passed, of which there are few
}

// usualStages is how many stages a prompt passes.
const usualStages = 8

// stageTime is how long a stage took.
type stageTime struct {
	stage telemetry.Stage
	took  time.Duration
}

// lap charges the time since the last lap to a stage.
func (c *clock) lap(s telemetry.Stage) {
	now := c.now()
	took := now.Sub(c.last)
	c.last = now
	for i := range c.stages {
		if c.stages[i].stage == s {
			c.stages[i].took += took
			return
		}
	}
	c.stages = append(c.stages, stageTime{s, took})
}

// enter starts a piece of work, leave ends it.
func (c *clock) enter() {
	c.begun = c.now()
	c.last = c.begun
}

func (c *clock) leave() { c.worked, c.begun = c.total(), time.Time{} }

// total is all the time that Plumbline worked on the exchange, the piece at hand included.
func (c *clock) total() time.Duration {
	if c.begun.IsZero() {
		return c.worked
	}
	return c.worked + c.now().Sub(c.begun)
}

// charged reports whether what the exchange uses is priced: that of a model which answers it. Other requests that were read
// count as one under the limits on requests, and no more.
func (x *Exchange) charged() bool {
	return x.request != nil && x.endpoint.Class == openai.ClassGoverned
}

// judges reports whether the request holds what a model reads as a prompt, now or later.
func (x *Exchange) judges() bool { return x.charged() || x.request != nil && x.request.Says() }

// ID is the exchange's id, a UUIDv7 that Plumbline made.
func (x *Exchange) ID() string { return x.id }

// Reason is why the exchange was decided as it was, empty before that.
func (x *Exchange) Reason() core.Reason {
	if x.judged.refused != "" {
		return x.judged.refused
	}
	return x.judged.verdict.Reason
}

// BodyLimit is the largest body that this exchange may have, in bytes.
func (x *Exchange) BodyLimit() int64 {
	if most := x.gate.o.MaxBody; most > 0 {
		return min(most, x.endpoint.BodyLimit)
	}
	return x.endpoint.BodyLimit
}

func (x *Exchange) principal() core.Principal {
	if x.session == nil {
		return core.Principal{}
	}
	return x.session.Principal
}

// record starts a record of this exchange.
func (x *Exchange) record(kind core.RecordKind) core.Record {
	rec := core.Record{
		Kind:      kind,
		Time:      x.gate.o.Now().UTC().Truncate(time.Microsecond),
		Exchange:  x.id,
		Trace:     traceID(x.head.TraceParent),
		Principal: x.principal(),
		Endpoint:  x.endpoint.Name,
	}
	if source := x.source(); source.IsValid() {
		rec.Source = source.String()
	}
	rec.Model = x.model()
	rec.Objects = x.objects.refs
	return rec
}

// source is what may be recorded of the caller's network address.
func (x *Exchange) source() netip.Addr { return x.gate.o.Addresses.of(x.head.Source) }

// traceID gives the trace id of a W3C traceparent header ("00-<32 hex>-<16 hex>-<flags>"), empty when it is not one.
func traceID(parent string) string {
	if len(parent) < 55 || parent[2] != '-' || parent[35] != '-' {
		return ""
	}
	id := parent[3:35]
	for _, c := range []byte(id) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return ""
		}
	}
	return id
}
