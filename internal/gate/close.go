package gate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/seal"
)

// Close charges and records the exchange, whatever ended it. Only the first call does anything. ctx may be dead: what
// is owed runs within CloseTimeout of its own.
//
// The order is that of the loss contract: what the answer made at the provider gets its owner; the outcome goes to the audit, which carries the settlement, then to the
// ledger, which is a cache of it.
func (x *Exchange) Close(ctx context.Context, finish core.Finish) {
	x.once.Do(func() {
		defer x.gate.leases.remove(x)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), x.gate.o.CloseTimeout)
		defer cancel()
		if x.answer.reader != nil {
			defer x.answer.reader.Close()
		}
		switch x.hold.recorded {
		case recordedUnknown:
			x.appendOutcome(ctx, core.FinishNotForwarded, core.Charge{}, seen{})
			x.void(ctx)
		case recordedIntent:
			x.closeForwarded(ctx, finish)
		case recordedNothing:
			x.closeUndecided(ctx, finish)
		case recordedDeny:
		}
		x.voidDoubtful(ctx)
	})
}

// finish closes an exchange whose answer was seen to its end.
func (x *Exchange) finish(ctx context.Context) { x.Close(ctx, core.FinishComplete) }

// closeUndecided ends an exchange whose caller left before the verdict. Nothing was forwarded; that it was begun is kept.
func (x *Exchange) closeUndecided(ctx context.Context, finish core.Finish) {
	x.void(ctx)
	if x.session == nil {
		return
	}
	rec := x.judgement(core.RecordDeny)
	rec.Verdict = nil
	rec.Reason, rec.Finish = core.ReasonNone, finish
	x.sealPrompt(ctx, &rec)
	if err := x.gate.o.Audit.Append(ctx, rec); err != nil {
		x.gate.o.Metrics.FailedClosed("audit_undecided")
		x.gate.o.Log.Error("an exchange that ended before its verdict could not be recorded", "exchange", x.id, "error", err)
	}
}

func (x *Exchange) closeForwarded(ctx context.Context, finish core.Finish) {
	seen := x.sum()
	switch {
	case x.answer.cut != "":
		finish = core.FinishCut
	case x.answer.failed:
		finish = core.FinishUpstreamError
	case finish == core.FinishComplete && !seen.complete:
		finish = core.FinishUpstreamError // it ended in order and is no answer
	}
	used := x.used(seen.usage)
	charge := x.charge(used)
	x.keepObjects(ctx, seen)
	x.appendOutcome(ctx, finish, charge, seen)
	if x.hold.live {
		x.hold.live = false
		x.settle(ctx, used)
	}
	x.gate.o.Metrics.Settled(x.model(), seen.usage, charge.Cost)
	x.gate.o.Metrics.Decided(x.endpoint.Name, x.judged.verdict, x.model())
	x.gate.o.Metrics.Answered(x.clock.total(), x.gate.o.Now().Sub(x.clock.opened), x.firstByteAfter())
}

// settle tells the ledger what the record says. Where they differ the record is right: the ledger is made from the records
// when Plumbline starts.
func (x *Exchange) settle(ctx context.Context, used quota.Amounts) {
	settled, err := x.gate.o.Ledger.Settle(ctx, x.id, used)
	switch {
	case err != nil:
		x.gate.o.Metrics.FailedClosed("ledger_settle")
		x.gate.o.Log.Error("a settlement failed; the record holds it", "exchange", x.id, "error", err)
	case settled != used:
		x.gate.o.Metrics.FailedClosed("ledger_late")
		x.gate.o.Log.Error("a settlement came after the lease had ended; the record holds it", "exchange", x.id)
	}
}

// seen is what an answer came to.
type seen struct {
	usage        core.Usage
	model        string // as the provider named it
	unattributed int64  // see core.Record
	complete     bool
	object       string // the id of what the answer made at the provider
	context      int64  // see contextOf
}

// sum says what the answer came to. A fault in reading it must not lose the ending: the exchange is then charged what it
// held, which is the most that it can have used.
func (x *Exchange) sum() (s seen) {
	defer func() {
		if cause := recover(); cause != nil {
			held := x.hold.reservation.Held
			s = seen{}
			if x.charged() {
				s.usage = x.request.Units()
			}
			s.usage.InputTokens, s.usage.OutputTokens, s.usage.Estimated = held.InputTokens, held.OutputTokens, true
			x.gate.o.Metrics.FailedClosed("answer_sum")
			x.gate.o.Log.Error("an answer could not be summed up and is charged in full", "exchange", x.id, "type", fmt.Sprintf("%T", cause))
		}
	}()
	s.usage, s.complete = x.usage(), x.answerComplete()
	if r := x.answer.reader; r != nil {
		s.model = r.ServedModel()
		s.object, s.context = r.ObjectID(), x.contextOf()
		if reported, ok := r.Usage(); ok && x.answer.cut != "" {
			s.unattributed = max(0, reported.OutputTokens-s.usage.OutputTokens)
		}
	}
	return s
}

// answerComplete reports whether the answer says of itself that it is whole. Answers without a reader have no body.
func (x *Exchange) answerComplete() bool { return x.answer.reader == nil || x.answer.reader.Complete() }

func (x *Exchange) firstByteAfter() time.Duration {
	if x.answer.firstByte.IsZero() || x.request == nil || !x.request.Stream {
		return 0
	}
	return x.answer.firstByte.Sub(x.clock.opened)
}

// usage is what the provider reported, else what was delivered; nothing when it refused the work.
func (x *Exchange) usage() core.Usage {
	if !x.charged() || x.answer.failed {
		return core.Usage{}
	}
	if x.answer.reader != nil && x.answer.cut == "" {
		if reported, ok := x.answer.reader.Usage(); ok && x.believable(reported) {
			return reported
		}
	}
	estimated := core.Usage{InputTokens: x.request.CountInput(), Estimated: true}
	if x.answer.reader != nil {
		estimated = x.answer.reader.Counted()
	}
	if !x.answer.ended || !x.answerComplete() {
		// What is paid by the piece is paid whether or not it was waited for.
		estimated.Images, estimated.Characters = x.request.Units().Images, x.request.Units().Characters
	}
	held := x.hold.reservation.Held
	estimated.InputTokens = min(x.withEarlier(estimated.InputTokens), held.InputTokens)
	estimated.OutputTokens = min(estimated.OutputTokens, held.OutputTokens)
	estimated.AudioOutputTokens = min(estimated.AudioOutputTokens, estimated.OutputTokens)
	estimated.ImageOutputTokens = min(estimated.ImageOutputTokens, estimated.OutputTokens)
	return estimated
}

// believable reports whether a usage can be that of the exchange. One above what was held can, and is booked in full. One
// that no model could have (no prompt, no tokens in an answer with text, more than fits into the model's context) is a
// provider's fault, of which a limit must be neither evaded nor used up for good.
func (x *Exchange) believable(u core.Usage) bool {
	held := x.hold.reservation.Held
	most := max(cmp.Or(x.hold.model.ContextWindow, unknownContext), x.hold.model.MaxOutput, held.InputTokens, held.OutputTokens)
	switch {
	case u.AudioMillis > 0 && u.TotalTokens() == 0: // audio that is paid by the minute
		return u.AudioMillis <= mostAudio.Milliseconds() && x.used(u).Validate() == nil
	case u.InputTokens <= 0 || u.InputTokens > most:
		return false
	case u.OutputTokens <= 0:
		return u.OutputTokens == 0 && x.answer.reader.CountDelivered() == 0
	}
	return u.OutputTokens/max(x.request.Choices, 1) <= most && x.used(u).Validate() == nil
}

const (
	// unknownContext stands for the context of a model of which it is not known, in tokens.
	unknownContext = 1 << 20
	// mostAudio is more than any file lasts that a provider takes.
	mostAudio = 24 * time.Hour
)

// used is what the exchange is charged: the request itself always, tokens and cost as used, on the terms on which it was
// served.
func (x *Exchange) used(u core.Usage) quota.Amounts {
	switch {
	case x.request == nil:
		return quota.Amounts{}
	case !x.charged():
		return quota.Amounts{Requests: 1}
	}
	terms := x.request.Terms()
	if x.answer.reader != nil {
		terms = x.answer.reader.ServedTerms()
	}
	model := x.hold.model.On(terms)
	return quota.Amounts{Requests: 1, InputTokens: u.InputTokens, OutputTokens: u.OutputTokens, Cost: model.Cost(u)}
}

func (x *Exchange) appendOutcome(ctx context.Context, finish core.Finish, charge core.Charge, s seen) {
	rec := x.record(core.RecordOutcome)
	rec.Finish = finish
	rec.Status = x.answer.status
	rec.Reason = core.ReasonNone
	if x.answer.cut != "" {
		rec.Reason = x.answer.cut
	}
	if x.request != nil {
		rec.Settled, rec.Usage = &charge, &s.usage
		rec.Fallback = string(x.hold.reservation.Fallback)
	}
	rec.ServedModel, rec.UnattributedTokens = s.model, s.unattributed
	rec.PriceVersion = x.pinned.prices.Version()
	if x.answer.reader != nil {
		var c seal.Content
		c.Answer, c.Omitted = x.answer.reader.Kept()
		x.gate.o.Sealer.Seal(ctx, &rec, c)
	}
	rec.StageMicros = x.stageMicros()
	rec.WorkedMicros = x.clock.total().Microseconds()
	if err := x.gate.o.Audit.Append(ctx, rec); err != nil {
		// The intent stays open and is closed as crashed, at its reservation, when Plumbline starts again.
		x.gate.o.Metrics.FailedClosed("audit_outcome")
		x.gate.o.Log.Error("an outcome could not be recorded", "exchange", x.id, "error", err)
	}
}

// void lets go of what was held, with nothing charged.
func (x *Exchange) void(ctx context.Context) {
	if !x.hold.live {
		return
	}
	x.hold.live = false
	if err := x.gate.o.Ledger.Void(ctx, x.id); err != nil {
		x.gate.o.Log.Error("a reservation could not be voided; its lease ends it", "exchange", x.id, "error", err)
	}
}

// voidDoubtful lets go of what a ledger may hold although it failed. It is done last: the ledger is likely to fail again, and
// the caller does not wait for it. Where that is so the lease ends it, with nothing charged.
func (x *Exchange) voidDoubtful(ctx context.Context) {
	if !x.hold.doubtful || x.hold.reservation.ID != "" {
		return
	}
	if err := x.gate.o.Ledger.Void(ctx, x.id); err != nil && !errors.Is(err, quota.ErrUnknown) {
		x.gate.o.Log.Warn("a reservation that may be held could not be voided; its lease ends it", "exchange", x.id, "error", err)
	}
}

// charge is the record's form of amounts. It keeps the time that the ledger pinned their windows by, which need not be this
// process's: what is booked again from the record counts where it counted first.
func (x *Exchange) charge(a quota.Amounts) core.Charge {
	admitted := x.judged.facts.At
	if at := x.hold.reservation.Admitted; !at.IsZero() {
		admitted = at.UTC()
	}
	return a.Charge(admitted)
}

// cost is the most that the exchange can cost with so many tokens.
func (x *Exchange) cost(input, output int64) core.MicroUSD {
	if !x.charged() {
		return 0
	}
	model := x.hold.model.On(x.request.BoundTerms())
	u := x.request.Most(input, output)
	most := model.Cost(u)
	u.AudioOutputTokens, u.ImageOutputTokens = 0, 0 // an answer may be in text nevertheless, which need not be cheaper
	return max(most, model.Cost(u))
}
