// Package gatetest builds gates for tests: with the real policy, prices, ledger, classifier and scorer, and with fakes
// that write down what the gate does to the audit and the ledger, in order, and fail when they are told to. At the end of a
// test every recorded verdict is replayed.
//
// Contract: a World is safe for concurrent use; its fields are set before the gate is used or between its calls.
// Only tests import it.
package gatetest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plumbline/plumbline/internal/calibrate"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/gate"
	"github.com/plumbline/plumbline/internal/identity"
	"github.com/plumbline/plumbline/internal/intent"
	"github.com/plumbline/plumbline/internal/openai"
	"github.com/plumbline/plumbline/internal/policy"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/quota/memory"
	"github.com/plumbline/plumbline/internal/sysprompt"
	"github.com/plumbline/plumbline/internal/telemetry"
)

// Credential is the one that is good, Revoked one that was, User who sends both and Key the provider key. OtherCredential is
// another user's, and AppCredential that of an app that calls in nobody's name.
const (
	Credential      = "Bearer good"
	Revoked         = "Bearer revoked"
	OtherCredential = "Bearer other"
	AppCredential   = "Bearer app"
	User            = "ann"
	OtherUser       = "ben"
	App             = "helpdesk"
	Key             = "sk-provider"
)

// callers are who sends which credential. All call through one app.
var callers = map[string]core.Principal{
	Credential:      {User: User, Team: "support", Method: core.MethodAppKey},
	OtherCredential: {User: OtherUser, App: App, Team: "support", Method: core.MethodAppKey},
	AppCredential:   {App: App, Team: "support", Method: core.MethodAppKey},
}

// ErrDown is what parts fail with.
var ErrDown = errors.New("gatetest: down")

// World is a gate and what stands behind it.
type World struct {
	Gate   *gate.Gate
	Ledger *memory.Ledger

	metrics *prometheus.Registry

	// Calibration is what is in force, set before the first exchange.
	Calibration *calibrate.InForce

	mu       sync.Mutex
	policy   *policy.Snapshot
	policies map[string]*policy.Snapshot // that are or were in force, by version
	ended    *core.Error
	journal  []string
	records  []core.Record
	steps    map[[2]string]bool // exchange and kind of each record
	posted   quota.Amounts
	held     map[string]quota.Reservation // by exchange, the last that the ledger gave
	above    []string                     // the limits that the ledger let a call exceed
	limits   *quota.LimitSet
	refusals int
	named    map[core.Reason]bool
	objects  map[core.ObjectRef]core.OwnedObject
	// Fail has a step fail: "intent", "outcome", "deny" of the audit, "reserve", "extend", "settle", "void" of the ledger,
	// "own", "owned", "ownedby", "count", "disown" of whose objects are.
	// It may also panic, or wait for ctx to end.
	Fail func(ctx context.Context, step string) error
	// Classify takes the place of the classifier.
	Classify func(*intent.View) core.Intent
	// Admitted is the time of admission of a ledger with a clock of its own, given that of the gate.
	Admitted func(time.Time) time.Time
}

// Options change a World. The zero value is the default policy and no limit.
type Options struct {
	Policy string // a document
	Limits []quota.Limit
	Tasks  []core.Task
	// SystemPrompts are registered as apps' own.
	SystemPrompts []core.SystemPrompt
	// Now is the gate's clock and LedgerNow that of the ledger's leases, time.Now if nil.
	Now, LedgerNow func() time.Time
	Change         func(*gate.Options)
}

// New builds a World.
func New(t testing.TB, o Options) *World {
	t.Helper()
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.LedgerNow == nil {
		o.LedgerNow = time.Now
	}
	classifier, err := intent.Default()
	if err != nil {
		t.Fatal(err)
	}
	scorer, err := deviation.Default()
	if err != nil {
		t.Fatal(err)
	}
	w := &World{
		metrics: prometheus.NewRegistry(), Ledger: memory.New(memory.Options{Now: o.LedgerNow}), policies: map[string]*policy.Snapshot{}, steps: map[[2]string]bool{},
		named: map[core.Reason]bool{}, objects: map[core.ObjectRef]core.OwnedObject{}, held: map[string]quota.Reservation{},
		Admitted: func(at time.Time) time.Time { return at },
	}
	w.inForce(policy.Default())
	t.Cleanup(func() { w.replays(t) })
	w.Classify = classifier.Classify
	w.SetLimits(t, o.Limits...)
	if o.Policy != "" {
		w.SetPolicy(t, o.Policy)
	}
	tasks, prompts := make([]*deviation.Task, len(o.Tasks)), sysprompt.Sets(o.SystemPrompts)
	for i, task := range o.Tasks {
		tasks[i] = scorer.Compile(task)
	}
	options := gate.Options{
		Identity:  authenticator{w},
		Directory: func() (gate.Directory, error) { return &directory{tasks, w.Limits(), w.Calibration, prompts}, nil },
		Policy: func() *policy.Snapshot {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.policy
		},
		Prices: openai.DefaultPrices, Classifier: classifierFunc(func(v *intent.View) core.Intent { return w.Classify(v) }),
		Scorer: scorer, Owners: owners{w}, Ledger: ledger{w.Ledger, w}, Audit: audit{w}, Refusals: refusals{w},
		Metrics: telemetry.New(w.metrics, telemetry.Build{}, openai.DefaultPrices().Names()),
		Log:     slog.New(slog.DiscardHandler), Now: o.Now,
		ProviderKey: func() string { return Key },
		// Long enough for a slow machine; tests of it have a clock of their own.
		AdmitTimeout: 30 * time.Second, CloseTimeout: 30 * time.Second,
		CutGraceTime: 10 * time.Second, CutGraceBytes: 1 << 20,
	}
	if o.Change != nil {
		o.Change(&options)
	}
	if w.Gate, err = gate.New(options); err != nil {
		t.Fatal(err)
	}
	return w
}

// SetPolicy puts another document in force.
func (w *World) SetPolicy(t testing.TB, document string) {
	t.Helper()
	s, err := policy.Parse("policy.yaml", []byte(document))
	if err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.inForce(s)
}

// SetLimits puts other limits in force.
func (w *World) SetLimits(t testing.TB, limits ...quota.Limit) {
	t.Helper()
	set, err := quota.Compile(limits)
	if err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.limits = set
}

// Limits are those in force.
func (w *World) Limits() *quota.LimitSet {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.limits
}

// Held is what the ledger held last for an exchange.
func (w *World) Held(exchange string) quota.Amounts {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.held[exchange].Held
}

// Above are the hard limits that a call was let exceed; there must be none.
func (w *World) Above() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.above...)
}

// End ends every session.
func (w *World) End(reason core.Reason) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = &core.Error{Reason: reason, Public: "It is over."}
}

// Journal is every step that the audit and the ledger were asked for, in order; a step that failed ends in "!".
func (w *World) Journal() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.journal...)
}

// Records are those that the audit took.
func (w *World) Records() []core.Record {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]core.Record(nil), w.records...)
}

// Record gives the only record of a kind.
func (w *World) Record(t testing.TB, kind core.RecordKind) core.Record {
	t.Helper()
	var found []core.Record
	for _, r := range w.Records() {
		if r.Kind == kind {
			found = append(found, r)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d records of kind %s, want 1; journal %q", len(found), kind, w.Journal())
	}
	return found[0]
}

// Posted is the sum of what the ledger settled.
func (w *World) Posted() quota.Amounts {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.posted
}

// Refusals is how many refusals of unknown callers were counted.
func (w *World) Refusals() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.refusals
}

// step writes a step down, after it was done or failed.
func (w *World) step(ctx context.Context, step, detail string, do func() error) error {
	err := error(nil)
	if w.Fail != nil {
		err = w.Fail(ctx, step)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		err = do()
	}
	if detail != "" {
		step += ":" + detail
	}
	if err != nil {
		step += "!"
	}
	w.journal = append(w.journal, step)
	return err
}

type audit struct{ w *World }

// Append refuses what the log refuses: a step of an exchange that is there already.
func (a audit) Append(ctx context.Context, rec core.Record) error {
	return a.w.step(ctx, string(rec.Kind), string(rec.Finish), func() error {
		step := [2]string{rec.Exchange, string(rec.Kind)}
		if a.w.steps[step] {
			return fmt.Errorf("%s of %s is there already", rec.Kind, rec.Exchange)
		}
		a.w.steps[step] = true
		a.w.records = append(a.w.records, rec)
		return nil
	})
}

type ledger struct {
	*memory.Ledger
	w *World
}

func (l ledger) Reserve(ctx context.Context, r quota.Request) (held quota.Reservation, err error) {
	err = l.w.step(ctx, "reserve", "", func() error {
		held, err = l.Ledger.Reserve(ctx, r)
		l.w.notice(held, func(limit *quota.Limit) int64 { return limit.Wanted(r.Amounts) })
		if err == nil {
			held.Admitted = l.w.Admitted(held.Admitted)
			l.w.held[r.ID] = held
		}
		return err
	})
	return held, err
}

// notice keeps the hard limits that are exceeded by a hold that wanted something under them. The sliding minute may be: what
// has left it extends freely.
func (w *World) notice(held quota.Reservation, wanted func(*quota.Limit) int64) {
	for i := range held.Standings {
		s := &held.Standings[i]
		if s.Limit.Hard() && s.Limit.Window != quota.WindowMinute && wanted(s.Limit) > 0 && s.Used > s.Limit.Value {
			w.above = append(w.above, fmt.Sprintf("%s: %d of %d", s.Limit.ID, s.Used, s.Limit.Value))
		}
	}
}

func (l ledger) Extend(ctx context.Context, id string, to quota.Amounts) (held quota.Reservation, err error) {
	err = l.w.step(ctx, "extend", "", func() error {
		more := to.Above(l.w.held[id].Held)
		held, err = l.Ledger.Extend(ctx, id, to)
		l.w.notice(held, func(limit *quota.Limit) int64 { return more.In(limit.Dimension) })
		if err == nil {
			held.Admitted = l.w.held[id].Admitted
			l.w.held[id] = held
		}
		return err
	})
	return held, err
}

func (l ledger) Settle(ctx context.Context, id string, used quota.Amounts) (settled quota.Amounts, err error) {
	err = l.w.step(ctx, "settle", "", func() error {
		if settled, err = l.Ledger.Settle(ctx, id, used); err == nil {
			l.w.posted = l.w.posted.Add(settled)
		}
		return err
	})
	return settled, err
}

func (l ledger) Void(ctx context.Context, id string) error {
	return l.w.step(ctx, "void", "", func() error { return l.Ledger.Void(ctx, id) })
}

type directory struct {
	tasks       []*deviation.Task
	limits      *quota.LimitSet
	calibration *calibrate.InForce
	prompts     map[string]*sysprompt.Set
}

func (d *directory) SystemPrompts(app string) *sysprompt.Set { return d.prompts[app] }

func (d *directory) Calibration() *calibrate.InForce { return d.calibration }

func (d *directory) Tasks(core.Principal) []*deviation.Task { return d.tasks }
func (d *directory) Limits() *quota.LimitSet                { return d.limits }

type authenticator struct{ w *World }

func (authenticator) Authenticate(_ context.Context, e identity.Evidence) (*identity.Session, *core.Error) {
	if len(e.Authorization) == 1 {
		if p, ok := callers[e.Authorization[0]]; ok {
			return &identity.Session{Principal: p}, nil
		}
		if e.Authorization[0] == Revoked {
			return nil, &core.Error{Reason: core.ReasonRevokedCredential, Public: "It was revoked.", Principal: callers[Credential]}
		}
	}
	return nil, &core.Error{Reason: core.ReasonInvalidCredential, Public: "Not one of ours."}
}

func (a authenticator) Still(*identity.Session) *core.Error {
	a.w.mu.Lock()
	defer a.w.mu.Unlock()
	return a.w.ended
}

type refusals struct{ w *World }

func (r refusals) Add(core.Reason, string, netip.Addr, time.Time) {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	r.w.refusals++
}

// AddNamed has the first of a reason recorded and sums the others, as audit.Refusals does within its span.
func (r refusals) AddNamed(reason core.Reason, _ core.Principal, _ netip.Addr, _ time.Time) bool {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	if !r.w.named[reason] {
		r.w.named[reason] = true
		return true
	}
	r.w.refusals++
	return false
}

type classifierFunc func(*intent.View) core.Intent

func (f classifierFunc) Classify(v *intent.View) core.Intent { return f(v) }

// Failures is how many faults of Plumbline's own were counted.
func (w *World) Failures(t testing.TB) (n float64) {
	t.Helper()
	families, err := w.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "plumbline_fail_closed_total" {
			for _, m := range f.GetMetric() {
				n += m.GetCounter().GetValue()
			}
		}
	}
	return n
}
