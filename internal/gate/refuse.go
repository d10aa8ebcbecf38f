package gate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/openai"
)

// refusalTimeout bounds the recording of a refusal. Together with AdmitTimeout it stays below the front end's time-out.
const refusalTimeout = 200 * time.Millisecond

// refuse undoes what was held, records the refusal and gives the reply. When it cannot be recorded the caller gets
// governance_unavailable instead: no answer of Plumbline's stands un-audited.
func (x *Exchange) refuse(ctx context.Context, e *core.Error) *openai.Reply {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), refusalTimeout)
	defer cancel()
	x.void(ctx)

	switch {
	case x.hold.recorded == recordedUnknown:
		// An intent may be in the log: Close adds that nothing was forwarded.
	case x.hold.recorded == recordedDeny:
		// It was refused before, and that is recorded.
	case x.session == nil && !x.countRefusal(e):
		x.hold.recorded = recordedDeny
	default:
		if err := x.gate.o.Audit.Append(ctx, x.deny(ctx, e)); err != nil {
			e = core.AsError(fmt.Errorf("recording a refusal: %w", err))
		}
		x.hold.recorded = recordedDeny
	}
	x.judged.refused = e.Reason
	return x.reply(e)
}

// countRefusal counts a refusal that comes before the exchange knows its caller, and reports whether it is to have a record
// of its own. Such refusals can be a flood. Where nobody can be named they are summed; where the credential was good but is
// revoked, expired or of somebody blocked, the first in a while is recorded and the others are summed.
func (x *Exchange) countRefusal(e *core.Error) bool {
	now := x.gate.o.Now()
	x.gate.o.Metrics.RefusedAnonymous(e.Reason)
	if e.Principal.IsZero() {
		x.gate.o.Refusals.Add(e.Reason, "", x.source(), now)
		return false
	}
	return x.gate.o.Refusals.AddNamed(e.Reason, e.Principal, x.source(), now)
}

// RefuseUnread gives the reply in place of Envoy's own to a request that Envoy refused before Plumbline saw it. Nobody is
// known to have made it, so it is counted with the anonymous refusals.
func (g *Gate) RefuseUnread(source netip.Addr, h AnswerHead) *openai.Reply {
	e := openai.ReplaceAnswer(openai.AnswerOptions{Status: h.Status, ContentType: h.ContentType}, h.Local)
	if e == nil {
		e = core.AsError(errors.New("an answer came without a request"))
	}
	now := g.o.Now()
	g.o.Refusals.Add(e.Reason, "", g.o.Addresses.of(source), now)
	g.o.Metrics.RefusedAnonymous(e.Reason)
	rules := g.o.Policy()
	r := openai.ErrorReply(e, openai.ErrorContext{Policy: rules.Version(), NoticeURL: rules.NoticeURL(), Now: now})
	return &r
}

// deny is the record of a refusal: intent and outcome in one.
func (x *Exchange) deny(ctx context.Context, e *core.Error) core.Record {
	rec := x.judgement(core.RecordDeny)
	if x.session == nil {
		rec.Principal = e.Principal
	}
	verdict := x.judged.verdict
	if !verdict.Blocked() {
		verdict = core.Verdict{Action: core.ActionBlock, Decided: core.ActionBlock, Reason: e.Reason, Rule: e.Rule}
	}
	rec.Verdict = &verdict
	rec.Reason = e.Reason
	rec.Status = x.render(e).Status
	rec.StageMicros = x.stageMicros()
	x.sealPrompt(ctx, &rec)
	rec.WorkedMicros = x.clock.total().Microseconds()
	return rec
}

// reply counts a refusal and renders it.
func (x *Exchange) reply(e *core.Error) *openai.Reply {
	if x.session != nil {
		x.gate.o.Metrics.Decided(x.endpoint.Name, core.Verdict{Action: core.ActionBlock, Reason: e.Reason}, x.model())
	}
	if e.Reason == core.ReasonGovernanceDown || e.Reason == core.ReasonOverloaded {
		x.gate.o.Metrics.FailedClosed(string(e.Reason))
		x.gate.o.Log.Error("refused: not able to govern", slog.String("exchange", x.id), slog.Any("error", e.Cause))
	}
	r := x.render(e)
	r.Header = append(r.Header, refusalLimits(e, x.gate.o.Now())...)
	return &r
}

func (x *Exchange) render(e *core.Error) openai.Reply {
	return openai.ErrorReply(e, openai.ErrorContext{
		RequestID: x.id,
		Policy:    x.pinned.policy.Version(),
		NoticeURL: x.pinned.policy.NoticeURL(),
		Now:       x.gate.o.Now(),
	})
}

// Fail refuses an exchange for a reason that only the front end can know (its own bounds, a wrong set-up). It may be
// called between Open and the end of Admit.
func (x *Exchange) Fail(ctx context.Context, e *core.Error) *openai.Reply {
	x.clock.enter()
	defer x.clock.leave()
	return x.refuse(ctx, e)
}

// model is the one that the body or the path names.
func (x *Exchange) model() string {
	if x.request == nil {
		return x.named
	}
	return x.request.Model
}

// uncounted refuses a request while the ledger cannot say what there is room for.
func uncounted(cause error) *core.Error {
	if known := (*core.Error)(nil); errors.As(cause, &known) {
		return known
	}
	return &core.Error{
		Reason: core.ReasonGovernanceDown,
		Public: "What is used of the limits cannot be counted at the moment, and nothing passes uncounted. " +
			"Nothing was sent to the provider. Try again in a moment.",
		Cause: fmt.Errorf("reserving: %w", cause),
	}
}

// named is a kind of objects in words.
func named(kind core.ObjectKind) string { return strings.ReplaceAll(string(kind), "_", " ") }

// notOffered refuses a service tier of which the price is not known for the model.
func notOffered(r *openai.Request) *core.Error {
	return &core.Error{
		Reason: core.ReasonUnsupportedParameter, Param: "service_tier",
		Public: "The model has no price on the service tier " + r.Terms().Tier + ", and nothing is free. Ask for another tier.",
	}
}

func bodyTooLarge(limit int64) *core.Error {
	if limit == 0 {
		return &core.Error{Reason: core.ReasonInvalidBody, Public: "This endpoint takes no request body. Send none."}
	}
	return &core.Error{
		Reason: core.ReasonBodyTooLarge,
		Public: fmt.Sprintf("The request body is larger than the %d bytes that this endpoint takes. Send less.", limit),
	}
}
