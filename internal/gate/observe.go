package gate

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/openai"
	"github.com/plumbline/plumbline/internal/telemetry"
)

// ErrCutOver says that a provider went on for longer than is granted after its answer was cut. The front end resets
// the exchange.
var ErrCutOver = errors.New("gate: the provider went on for too long after the answer was cut")

// AnswerHead is what a front end knows of an answer before its body.
type AnswerHead struct {
	Status          int
	ContentType     string
	ContentEncoding string
	// RateLimits are the provider's own x-ratelimit-… headers, name and value.
	RateLimits [][2]string
	// Local says that Envoy itself answered in the provider's place, and why (response.code_details).
	Local string
}

// Piece is what to do with one piece of an answer's body.
type Piece struct {
	// Replace says that Body goes to the caller instead, which may be nothing.
	Replace bool
	Body    []byte
}

// ObserveHead reads the head of the answer. end says that no body follows. A reply that is not nil replaces the whole
// answer: errors of Envoy's and a provider that refuses Plumbline's own key do not reach the caller as they are.
func (x *Exchange) ObserveHead(ctx context.Context, h AnswerHead, end bool) (HeaderEdits, *openai.Reply) {
	x.clock.enter()
	defer x.clock.leave()
	if x.hold.recorded != recordedIntent {
		return HeaderEdits{}, x.refuseEarly(ctx, h)
	}
	x.answer.status = h.Status
	x.answer.failed = h.Status >= 400
	options := x.answerOptions(h)
	if e := openai.ReplaceAnswer(options, h.Local); e != nil {
		x.answer.failed = true
		reply := x.render(e)
		x.answer.status = reply.Status
		x.answer.ended = true
		x.finish(ctx)
		return HeaderEdits{}, &reply
	}
	x.answer.reader = openai.NewAnswer(options)
	edits := HeaderEdits{Remove: removedFromAnswers, Set: [][2]string{{"x-plumbline-request-id", x.id}}}
	if x.answer.reader.Decodes() {
		edits.Remove = append([]string{"content-length", "content-encoding"}, edits.Remove...)
	} else if options.Filter != nil {
		edits.Remove = append([]string{"content-length"}, edits.Remove...)
	}
	edits.Set = append(edits.Set, rateLimits(x.hold.reservation.Standings, h.RateLimits, x.gate.o.Now())...)
	if v := x.judged.verdict; v.Action == core.ActionWarn {
		edits.Set = append(edits.Set, [2]string{"x-plumbline-notice", x.id + "; code=" + string(v.Reason)})
	}
	if end {
		x.answer.ended = true
		x.finish(ctx)
	}
	return edits, nil
}

// refuseEarly handles an answer that came before the verdict: only Envoy itself can have made it (a body that is too
// large). An answer of anybody else's is not let through.
func (x *Exchange) refuseEarly(ctx context.Context, h AnswerHead) *openai.Reply {
	e := openai.ReplaceAnswer(x.answerOptions(h), h.Local)
	if e == nil {
		e = core.AsError(errors.New("an answer came before the verdict"))
	}
	return x.refuse(ctx, e)
}

// removedFromAnswers are headers that tell callers about the provider account they share, and those that only Plumbline
// may set.
var removedFromAnswers = []string{"set-cookie", "openai-organization", "openai-project", "x-plumbline-notice"}

func (x *Exchange) answerOptions(h AnswerHead) openai.AnswerOptions {
	o := openai.AnswerOptions{
		Request: x.request, Status: h.Status, ContentType: h.ContentType, ContentEncoding: h.ContentEncoding,
	}
	if x.request != nil {
		o.Keep = x.gate.o.Sealer.KeepsAnswers()
		o.StripUsage = x.request.LacksUsage()
		o.Terms = x.request.Terms()
	}
	switch {
	case x.endpoint.Class == openai.ClassPlain:
		p := x.principal()
		o.Filter = func(model string) bool { return x.pinned.policy.ModelAllowed(p, model) }
	case x.endpoint.Access == openai.AccessList:
		o.Filter = func(id string) bool { return x.objects.listed[id] }
	case x.endpoint.Access == openai.AccessUse, x.endpoint.Access == openai.AccessDelete:
		o.Unread = true
	}
	return o
}

// ObserveBody reads one piece of the answer and says what reaches the caller. With end the exchange is charged and
// recorded before the last piece is let go: a caller that holds the whole answer has its record, and its room back.
func (x *Exchange) ObserveBody(ctx context.Context, chunk []byte, end bool) (Piece, error) {
	x.clock.enter()
	defer x.clock.leave()
	if x.answer.firstByte.IsZero() && len(chunk) > 0 {
		x.answer.firstByte = x.clock.last
	}
	if x.answer.cut != "" {
		return x.drop(ctx, chunk, end)
	}
	forward, changed := x.answer.reader.Write(chunk, end)
	if reason := x.mustCut(ctx); reason != "" && !end && !x.answerComplete() {
		return x.cut(reason), nil
	}
	x.hold.lease.delivered.Store(min(x.answer.reader.DeliveredBound(), x.hold.reservation.Held.OutputTokens))
	if end {
		x.answer.ended = true
		x.finish(ctx)
	}
	return Piece{Replace: changed, Body: forward}, nil
}

// ObserveEnd says that the answer ended without a last piece (trailers).
func (x *Exchange) ObserveEnd(ctx context.Context) {
	x.clock.enter()
	defer x.clock.leave()
	x.answer.ended = true
	x.finish(ctx)
}

// mustCut reports why the answer may not go on: its caller's credential ended, or what it was granted is used up and
// there is no more.
func (x *Exchange) mustCut(ctx context.Context) core.Reason {
	if x.request == nil || !x.request.Stream || x.answer.failed {
		return ""
	}
	if ended := x.gate.o.Identity.Still(x.session); ended != nil {
		return ended.Reason
	}
	held := x.hold.reservation.Held
	if x.answer.reader.DeliveredBound() <= held.OutputTokens {
		return ""
	}
	missing := x.answer.reader.CountDelivered() - held.OutputTokens
	x.clock.lap(telemetry.StageWire)
	if missing <= 0 {
		return ""
	}
	defer x.clock.lap(telemetry.StageLedger)
	return x.extend(ctx, missing)
}

// cut ends the answer politely in place of the piece at hand.
func (x *Exchange) cut(reason core.Reason) Piece {
	x.answer.cut = reason
	x.answer.cutAt = x.gate.o.Now()
	return Piece{Replace: true, Body: x.answer.reader.CutFor(cmp.Or(x.answer.lack, &core.Error{Reason: reason}), x.answer.cutAt)}
}

// drop withholds what the provider still says after the cut, for a while.
func (x *Exchange) drop(ctx context.Context, chunk []byte, end bool) (Piece, error) {
	x.answer.dropped += int64(len(chunk))
	x.answer.reader.Write(chunk, end) // for the usage that it may end with; nothing of it goes on
	if end {
		x.answer.ended = true
		x.finish(ctx)
		return Piece{Replace: true}, nil
	}
	if x.answer.dropped > x.gate.o.CutGraceBytes || x.gate.o.Now().Sub(x.answer.cutAt) > x.gate.o.CutGraceTime {
		return Piece{}, fmt.Errorf("%w: %d bytes", ErrCutOver, x.answer.dropped)
	}
	return Piece{Replace: true}, nil
}
