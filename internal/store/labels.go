package store

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/plumbline/plumbline/internal/core"
)

// Labels holds the queue of prompts that were drawn for calibration, and what people say of them. No text of a prompt is in
// it. Methods must be safe for concurrent use, also by several processes.
type Labels interface {
	// Draw must add samples to the queue; those that it has stay as they are, and those that Lessons has stay out of it. It is
	// no change of control data: it must not be in the feed. It must refuse all where one is not valid (ErrInvalid).
	Draw(ctx context.Context, samples ...core.Sample) error
	// Queue must give the samples that match, in the order of their places, at most q.Size() of them.
	Queue(ctx context.Context, q QueueQuery) ([]core.Sample, error)
	// Expire must take the samples that were drawn before a time out of the queue, what was proposed of them as well, and say
	// how many those were. Their labels stay. Nothing of it is in the feed.
	Expire(ctx context.Context, before time.Time) (int64, error)

	// Propose must keep what a judge proposes in place of what was proposed of the same sample before; ErrNotFound where the
	// sample is not in the queue. It is no change of control data: it must not be in the feed.
	Propose(ctx context.Context, p core.Proposal) error
	// Proposals must give what is proposed of these samples, at most MostListed of them, in the bytewise order of exchanges.
	Proposals(ctx context.Context, exchanges ...string) ([]core.Proposal, error)

	// Put must keep what l.By says of l.Exchange in place of what they said before, and fill in the sample from the queue,
	// or from what is kept of it with another label; ErrNotFound where neither has it, or where Lessons has it. An l.Approved that is not empty must be
	// l.By. It must refuse (ErrTooMany) where l.By has l's LabelsADay labels of the day of l.At, in UTC, on other samples. It must be in the feed with the action LabelAction, the object "sample/<exchange>", unless it changes nothing.
	Put(ctx context.Context, l core.Label) error
	// Approve must note that approver answers for what by said of a sample: onTask; the same, with the action ApproveAction.
	// ErrNotFound where by said nothing, ErrChanged where by says otherwise. A label that somebody answers for already must stay
	// as it is.
	Approve(ctx context.Context, exchange, by string, onTask bool, approver string) error
	// Withdraw must forget what by said of a sample; the same, with the action WithdrawAction.
	Withdraw(ctx context.Context, exchange, by string) error
	// List must give the labels of samples that were drawn since a time, in the bytewise order of exchange and then By, from
	// after on, at most MostListed of them.
	List(ctx context.Context, since time.Time, after LabelKey) ([]core.Label, error)
}

// LabelKey names a label. The zero value comes before all.
type LabelKey struct{ Exchange, By string }

// QueueQuery says which samples to give.
type QueueQuery struct {
	// By is who asks: what they labelled is left out, and so is what somebody answers for. Empty: nothing is left out.
	By string
	// Model is that of the scorer, empty for any.
	Model string
	// After is the place of the last one seen.
	After int64
	// Limit is the most to give: 100 if zero, at most 1,000.
	Limit int
}

// Size is the limit within its bounds.
func (q QueueQuery) Size() int { return Page{Limit: q.Limit}.Size() }

// MostListed is how many labels come at once.
const MostListed = 1000

// MostLabels is how many labels somebody may give in a day who does not answer for them.
const MostLabels = 5

// MostAnswered is the same for who does: enough for a person who does nothing else, and too few for a program to be taken for
// one.
const MostAnswered = 5000

// LabelsADay is how many labels as l one account may give in a day.
func LabelsADay(l core.Label) int {
	if l.Approved != "" {
		return MostAnswered
	}
	return MostLabels
}

// The actions of the feed that concern labels.
const (
	LabelAction    = "label"
	ApproveAction  = "approve"
	WithdrawAction = "withdraw"
	DemoteAction   = "demote"
)

// SampleKind is what the feed calls a sample.
const SampleKind = "sample"

// Bounds of labels and calibrations.
const (
	maxExchange  = 64
	maxVersion   = 128
	maxLabeller  = 256
	maxRationale = 4 << 10 // sealed
	maxTasksMade = 10_000
)

// ValidateSample reports all that is wrong with a sample.
func ValidateSample(s core.Sample) error {
	var p problems
	p.sample(s)
	return p.err(SampleKind, s.Exchange)
}

func (p *problems) sample(s core.Sample) {
	p.word("exchange", s.Exchange, maxExchange)
	p.word("model", s.Model, maxVersion)
	p.word("text", s.Text, maxVersion)
	p.id("task", s.Task)
	p.score("score", s.Score)
	p.drawn(s.Drawn, s.Place)
}

func (p *problems) score(what string, x float64) {
	if !(x >= 0 && x <= 1) { // not in the other sense: NaN
		p.add("%s must be from 0 to 1", what)
	}
}

// word checks a text that must be there, and must be plain.
func (p *problems) word(what, s string, most int) {
	if s == "" {
		p.add("%s is missing", what)
	}
	p.text(what, s, most, "")
}

// ValidateLabel reports all that is wrong with a label that is to be put. What it says of its sample does not count, but for
// which it is.
func ValidateLabel(l core.Label) error {
	var p problems
	p.word("exchange", l.Exchange, maxExchange)
	p.word("by", l.By, maxLabeller)
	p.proposed(l.Proposal)
	p.text("judge", l.Judge, maxLabeller, "")
	p.time("at", l.At)
	if l.At.IsZero() {
		p.add("at is missing")
	}
	if l.Approved != "" && l.Approved != l.By {
		p.add("only %q can approve it as it is put", l.By)
	}
	return p.err(SampleKind, l.Exchange)
}

func (p *problems) proposed(v core.Proposed) {
	if v != "" && v != core.ProposedOn && v != core.ProposedOff {
		p.add("a proposal is %s, %s or nothing", core.ProposedOn, core.ProposedOff)
	}
}

// ValidateProposal reports all that is wrong with a proposal.
func ValidateProposal(o core.Proposal) error {
	var p problems
	p.word("exchange", o.Exchange, maxExchange)
	p.word("judge", o.Judge, maxLabeller)
	p.proposed(o.Verdict)
	if len(o.Rationale) > maxRationale {
		p.add("the rationale must have at most %d bytes", maxRationale)
	}
	p.time("at", o.At)
	if o.At.IsZero() {
		p.add("at is missing")
	}
	return p.err(SampleKind, o.Exchange)
}

// ValidateCalibration reports all that is wrong with a calibration itself.
func ValidateCalibration(c core.Calibration) error {
	var p problems
	p.id("id", c.ID)
	p.word("model", c.Model, maxVersion)
	p.time("created", c.Created)
	p.time("demoted", c.Demoted)
	n := 0
	for i, t := range c.Tasks {
		p.id("task", t.Task)
		p.word("text", t.Text, maxVersion)
		for _, s := range t.Scores {
			p.score("each score", s)
		}
		if !slices.IsSorted(t.Scores) || len(t.Scores) == 0 {
			p.add("the scores of task %q must be there, in rising order", t.Task)
		}
		if i > 0 && strings.Compare(c.Tasks[i-1].Task, t.Task) >= 0 {
			p.add("tasks must be in the order of their ids, each once")
		}
		n += len(t.Scores)
		if len(p) > maxProblems {
			break
		}
	}
	if n == 0 || n > core.MostScores || len(c.Tasks) > maxTasksMade {
		p.add("it must have from 1 to %d scores of at most %d tasks", core.MostScores, maxTasksMade)
	}
	return p.err("calibration", c.ID)
}

// NoSample says that nothing is known of a sample.
func NoSample(exchange string) error {
	return &ObjectError{Kind: SampleKind, ID: exchange, Detail: "it was not drawn, or its time is over", Err: ErrNotFound}
}

// NoLabel says that somebody has said nothing of a sample.
func NoLabel(exchange, by string) error {
	return &ObjectError{Kind: SampleKind, ID: exchange, Detail: by + " has not labelled it", Err: ErrNotFound}
}

// LabelChanged says that l is not what it was when somebody looked at it.
func LabelChanged(l core.Label) error {
	says := "off"
	if l.OnTask {
		says = "on"
	}
	return &ObjectError{Kind: SampleKind, ID: l.Exchange, Err: ErrChanged, Detail: l.By + " says " + says + "-task by now: look at it again"}
}

// TooManyLabels says that whoever gave l has labelled enough for a day.
func TooManyLabels(l core.Label) error {
	detail := fmt.Sprintf("one account gives at most %d labels a day: go on tomorrow", LabelsADay(l))
	if l.Approved == "" {
		detail += ", or have yourself put into calibration.admins"
	}
	return &ObjectError{Kind: SampleKind, ID: l.Exchange, Err: ErrTooMany, Detail: detail}
}

// LabelDay gives the day of a label: from the first microsecond up to, but not including, the second.
func LabelDay(at time.Time) (from, to int64) {
	day := at.UTC().Truncate(24 * time.Hour)
	return Micros(day), Micros(day.Add(24 * time.Hour))
}

// LatestCalibration is the one that was made last for a model, nil for none: scores of one model say nothing of those of another.
// Of equals the last by id counts.
func LatestCalibration(all []core.Calibration, model string) *core.Calibration {
	var latest *core.Calibration
	for i := range all {
		if all[i].Model == model && (latest == nil || !all[i].Created.Before(latest.Created)) {
			latest = &all[i]
		}
	}
	return latest
}

// FirstPlace and LastPlace bound the places of a queue.
const (
	FirstPlace int64 = 1
	LastPlace  int64 = math.MaxInt64
)

// AllLabels gives the labels of all samples that were drawn since a time.
func AllLabels(ctx context.Context, from Labels, since time.Time) (all []core.Label, err error) {
	for after := (LabelKey{}); ; {
		page, err := from.List(ctx, since, after)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if len(page) < MostListed {
			return all, nil
		}
		last := page[len(page)-1]
		after = LabelKey{last.Exchange, last.By}
	}
}

// Relabel is what is kept where somebody said old, nil for nothing, and says l now. changed is false where that is what they
// said before: who answers for it stays.
func Relabel(old *core.Label, l core.Label) (kept core.Label, changed bool) {
	if old == nil {
		return l, true
	}
	l.Sample = old.Sample
	if old.OnTask == l.OnTask && (l.Approved == "" || l.Approved == old.Approved) {
		return *old, false
	}
	return l, true
}
