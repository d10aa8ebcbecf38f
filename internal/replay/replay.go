// Package replay says what a policy would have done to the traffic that the audit recorded, and to whom.
//
// Contract: a decision is a pure function of stored facts (policy.Decide), so a replay is exact: under the policy that
// decided a record it gives the record's verdict, and any other is reported as a difference. Scores are those that were
// stored, whatever model made them. What rests on more than the facts is counted as approximate, and what cannot be
// replayed is counted with the cause. Memory does not grow with the number of records.
//
// It imports core and policy. It must not import a back end: a log is read through Source.
package replay

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/policy"
)

// Source is an audit log.
type Source interface {
	// Records must call fn for every record whose time is from since up to, but not including, until, each once, the
	// oldest first, by their times or by when they became durable: for all that were there when it was called, also while more
	// come in. A zero time is no bound. canonical need not outlive the call of fn. Records must end with the first error of fn.
	Records(ctx context.Context, since, until time.Time, fn func(kind core.RecordKind, canonical []byte) error) error
}

// Filter says which decisions to look at. Empty fields match everything; the others must all match exactly.
type Filter struct {
	User, Team, App string
	// Rule is the rule behind the recorded verdict or behind that of the replay.
	Rule string
}

func (f *Filter) matches(p *core.Principal) bool {
	return (f.User == "" || f.User == p.User) && (f.Team == "" || f.Team == p.Team) && (f.App == "" || f.App == p.App)
}

// Options say what to replay. Policy is required.
type Options struct {
	Policy *policy.Snapshot
	// InForce is the policy that governs traffic now, to warn of what a replay cannot see; nil where that is Policy.
	InForce      *policy.Snapshot
	Since, Until time.Time
	Filter       Filter
	// IntentModel and DeviationModel are the versions of the models that score now.
	IntentModel, DeviationModel string
	// Models are those that have a price now.
	Models []string
	// Erased reports whether a person was erased, whose records are then counted without the name; nil: nobody was.
	Erased func(user string) bool
	// MaxPeople bounds how many people are told apart, 100,000 if zero. Those after that are counted together.
	MaxPeople int
}

// Run replays what src holds and says what came of it.
func Run(ctx context.Context, src Source, o Options) (*Report, error) {
	if o.Policy == nil {
		return nil, errors.New("replay: no policy is given")
	}
	r := newReplay(o)
	if err := src.Records(ctx, o.Since, o.Until, r.record); err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	return r.finish(), nil
}

// replay is one run.
type replay struct {
	o       Options
	version string // of the policy
	report  Report
	members members // of the record at hand
	applied transitions
	decided transitions
	people  bounded[caller, Person]
	rules   bounded[ruleKey, Rule]
	causes  bounded[causeKey, int64]
	models  bounded[modelKey, scored]
	under   bounded[string, int64] // by version of policy
	seen    struct{ models, teams, apps names }
}

// caller is a person, or an app that calls in nobody's name.
type caller struct{ user, app string }

type ruleKey struct {
	rule   string
	reason core.Reason
}

type causeKey struct {
	cause  Cause
	reason core.Reason
}

type modelKey struct{ part, version string }

const (
	partIntent    = "intent"
	partDeviation = "deviation"
)

func newReplay(o Options) *replay {
	r := &replay{
		o: o, version: o.Policy.Version(),
		people: newBounded[caller, Person](cmp.Or(o.MaxPeople, maxPeople)),
		rules:  newBounded[ruleKey, Rule](maxKinds),
		causes: newBounded[causeKey, int64](maxKinds),
		models: newBounded[modelKey, scored](maxKinds),
		under:  newBounded[string, int64](maxKinds),
	}
	for _, n := range []*names{&r.seen.models, &r.seen.teams, &r.seen.apps} {
		n.bounded = newBounded[string, struct{}](maxKinds)
	}
	return r
}

// record counts one record, and replays it if it is a decision.
func (r *replay) record(kind core.RecordKind, canonical []byte) error {
	r.report.Records.Read++
	switch kind {
	case core.RecordIntent, core.RecordDeny:
		r.decision(canonical)
	case core.RecordOutcome:
		r.report.Records.Outcomes++
		if bytes.Contains(canonical, crashedMember) {
			r.crashed(canonical)
		}
	case core.RecordRefusals:
		r.refusals(canonical)
	case core.RecordAdmin:
		r.report.Records.Admin++
	}
	return nil
}

// crashedMember is how a record says that Plumbline died before the exchange ended. No string holds an unescaped quote, so
// it stands for nothing else; few records have it, and only those are read.
var crashedMember = []byte(`"finish":"` + string(core.FinishCrashed) + `"`)

func (r *replay) crashed(canonical []byte) {
	if rec, err := r.members.read(canonical); err == nil && rec.Finish == core.FinishCrashed && r.o.Filter.matches(&rec.Principal) {
		r.report.Records.Crashed++
	}
}

// refusals counts callers that were refused before anybody knew what they asked.
func (r *replay) refusals(canonical []byte) {
	r.report.Records.Refusals++
	rec, err := r.members.read(canonical)
	if err != nil || rec.Refusals == nil {
		r.cannot(CauseUnreadable, "", 1)
		return
	}
	if r.o.Filter.matches(&rec.Principal) && r.o.Filter.Rule == "" {
		r.cannot(CauseBeforeFacts, rec.Reason, max(0, rec.Refusals.Count))
	}
}

// decision replays one record.
func (r *replay) decision(canonical []byte) {
	rec, err := r.members.read(canonical)
	if err != nil {
		r.cannot(CauseUnreadable, "", 1)
		return
	}
	r.meet(rec)
	if !r.o.Filter.matches(&rec.Principal) {
		return
	}
	f, cause := facts(rec)
	if cause != "" {
		if rule := r.o.Filter.Rule; rule == "" || rec.Verdict != nil && rec.Verdict.Rule == rule {
			r.report.Decisions++
			r.span(rec.Time)
			r.cannot(cause, rec.Reason, 1)
		}
		return
	}
	r.compare(rec, &f)
}

// facts are what the record's verdict was decided on, or the cause for which it cannot be decided again.
func facts(rec *core.Record) (policy.Facts, Cause) {
	switch {
	case rec.Verdict == nil:
		return policy.Facts{}, CauseUndecided
	case len(rec.Facts) == 0 && rec.Kind == core.RecordDeny:
		return policy.Facts{}, CauseBeforeFacts
	case len(rec.Facts) == 0:
		return policy.Facts{}, CauseNoFacts
	}
	f, err := policy.FactsOf(*rec)
	if err != nil {
		return f, CauseOtherFacts
	}
	return f, ""
}

// compare decides on the facts of a record and counts what differs from what was recorded.
func (r *replay) compare(rec *core.Record, f *policy.Facts) {
	was := *rec.Verdict
	would, kept := again(r.o.Policy, rec, f)
	if rule := r.o.Filter.Rule; rule != "" && was.Rule != rule && would.Rule != rule {
		return
	}
	r.report.Decisions++
	r.report.Replayed++
	r.span(rec.Time)
	*r.under.at(f.PolicyVersion, f.PolicyVersion)++
	r.scored(f)
	if kept {
		r.report.Kept++
	}
	if f.PolicyVersion == r.version {
		r.report.Same.Records++
		if was != would {
			r.differs(rec, would)
		}
	}
	r.approximate(f, was, would)
	r.applied.add(was.Action, would.Action)
	r.decided.add(was.Decided, would.Decided)
	r.report.Total.add(was, would)
	p := r.people.at(callerOf(&rec.Principal), rec.Principal.User, rec.Principal.App)
	p.add(was, would)
	if !long(rec.Principal.Team) {
		p.Team = rec.Principal.Team
	}
	r.acted(was, func(rule *Rule) { rule.Was.add(was) })
	r.acted(would, func(rule *Rule) { rule.Would.add(would) })
}

// again gives the verdict of a policy on the facts of a record. A refusal that was not the policy's (the ledger could not be
// asked, the intent to act could not be recorded) stays: kept says so. The policy comes first where it refuses as well.
func again(p *policy.Snapshot, rec *core.Record, f *policy.Facts) (would core.Verdict, kept bool) {
	would = p.Decide(*f)
	kept = rec.Kind == core.RecordDeny && rec.Verdict.Blocked() && !policy.Gives(rec.Verdict.Reason) && !would.Blocked()
	if kept {
		would = *rec.Verdict
	}
	return would, kept
}

// approximate counts what another policy would have had the ledger decide otherwise, which no record tells.
func (r *replay) approximate(f *policy.Facts, was, would core.Verdict) {
	switch {
	case was.Blocked() && !would.Blocked() && f.Quota.Outcome == policy.QuotaUnasked:
		r.report.Approximate.Unasked++
	case would.Blocked() && f.Quota.Outcome == policy.QuotaExhausted && would.Rule == f.Quota.Limit:
		r.report.Approximate.limited++
	}
}

// differs keeps a record whose verdict is not what its own policy makes of its facts.
func (r *replay) differs(rec *core.Record, would core.Verdict) {
	r.report.Same.Differences++
	if len(r.report.Same.Examples) < maxExamples && !long(rec.Exchange) {
		r.report.Same.Examples = append(r.report.Same.Examples, Difference{rec.Time, rec.Exchange, *rec.Verdict, would})
	}
}

// acted has the rule behind a verdict count it, where a rule objected.
func (r *replay) acted(v core.Verdict, count func(*Rule)) {
	if grade(v.Decided) > allowed || grade(v.Action) > allowed {
		count(r.rules.at(ruleKey{v.Rule, v.Reason}, v.Rule, string(v.Reason)))
	}
}

func callerOf(p *core.Principal) caller {
	if p.User != "" {
		return caller{user: p.User}
	}
	return caller{app: p.App}
}

// meet keeps which models, teams and apps there are.
func (r *replay) meet(rec *core.Record) {
	r.seen.models.add(rec.Model)
	r.seen.teams.add(rec.Principal.Team)
	r.seen.apps.add(rec.Principal.App)
}

func (r *replay) scored(f *policy.Facts) {
	if v := f.Intent.Model; v != "" {
		r.models.at(modelKey{partIntent, v}, v).calls++
	}
	// Each sample of traffic has a version: those of one scorer are counted together.
	if v, beside := f.Deviation.Scorer(); v != "" {
		m := r.models.at(modelKey{partDeviation, v}, v)
		m.calls++
		if beside {
			m.beside++
		}
	}
}

// scored is how many calls a model scored, and how many of them beside traffic.
type scored struct{ calls, beside int64 }

func (r *replay) span(at time.Time) {
	if first := r.report.First; first.IsZero() || at.Before(first) {
		r.report.First = at
	}
	if at.After(r.report.Last) {
		r.report.Last = at
	}
}

func (r *replay) cannot(cause Cause, reason core.Reason, calls int64) {
	*r.causes.at(causeKey{cause, reason}, string(reason)) += calls
}
