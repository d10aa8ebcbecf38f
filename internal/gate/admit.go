package gate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/identity"
	"github.com/plumbline/plumbline/internal/openai"
	"github.com/plumbline/plumbline/internal/policy"
	"github.com/plumbline/plumbline/internal/seal"
	"github.com/plumbline/plumbline/internal/telemetry"
)

// Admit decides whether the request may pass, and makes that durable before it does. A reply that is not nil refuses it.
// body is the whole body; the exchange does not keep it.
func (x *Exchange) Admit(ctx context.Context, body []byte) (Admission, *openai.Reply) {
	x.clock.enter()
	defer x.clock.leave()
	within, cancel := context.WithTimeout(ctx, x.gate.o.AdmitTimeout)
	defer cancel()
	admission, err := x.admit(within, body)
	switch {
	case err == nil:
		return admission, nil
	case errors.Is(err, context.Canceled):
		// The caller has left: nobody reads this reply, and Close records that nothing was decided.
		reply := x.render(err)
		return Admission{}, &reply
	}
	return Admission{}, x.refuse(ctx, err)
}

func (x *Exchange) admit(ctx context.Context, body []byte) (Admission, *core.Error) {
	if err := x.read(body); err != nil {
		return Admission{}, err
	}
	if err := x.guard(ctx); err != nil {
		return Admission{}, err
	}
	x.judge()
	if err := x.decide(); err != nil {
		return Admission{}, err
	}
	edits, err := x.reserve(ctx)
	if err != nil {
		return Admission{}, err
	}
	if err := x.beginTurn(ctx); err != nil {
		return Admission{}, err
	}
	if err := x.recordIntent(ctx); err != nil {
		return Admission{}, err
	}
	if err := ctx.Err(); err != nil {
		// Envoy has answered in our place, or soon will: the request does not go on, and its record has to say so.
		x.hold.recorded = recordedUnknown
		return Admission{}, core.AsError(fmt.Errorf("the verdict came too late: %w", err))
	}
	x.hold.lease.input = x.hold.reservation.Held.InputTokens
	x.hold.lease.forwarded.Store(true)
	return x.forward(body, edits), nil
}

// read takes the request apart. Plain endpoints have no body, and few owned ones have.
func (x *Exchange) read(body []byte) *core.Error {
	defer x.clock.lap(telemetry.StageWire)
	if limit := x.BodyLimit(); int64(len(body)) > limit {
		return bodyTooLarge(limit)
	}
	switch x.endpoint.Class {
	case openai.ClassOwned:
		return x.readOwned(body)
	case openai.ClassPlain, openai.ClassDenied:
		return nil
	case openai.ClassGoverned:
	}
	request, err := openai.Read(x.endpoint, x.head.ContentType, body, x.gate.allowance(x.pinned.policy, x.principal()))
	if err != nil {
		return err
	}
	x.request = request
	model, priced := x.pinned.prices.Model(request.Model)
	if priced && !model.Offered(request.Terms()) {
		return notOffered(request)
	}
	x.hold.model = model
	return nil
}

// judge gathers the facts of the decision: what the prompt holds that it should not, what is asked, and how far it leans from
// the person's tasks.
func (x *Exchange) judge() {
	f := &x.judged.facts
	f.Principal = x.principal()
	f.Endpoint = x.endpoint.Name
	// Not the time at which the exchange opened: a body may be long in coming, and counts when it is there.
	f.At = x.gate.o.Now().UTC().Truncate(time.Microsecond)
	f.PolicyVersion = x.pinned.policy.Version()
	f.PriceVersion = x.pinned.prices.Version()
	f.Model = x.model()
	_, f.Priced = x.pinned.prices.Model(f.Model)
	if x.request != nil {
		f.Opaque = x.request.Unread()
	}
	if x.objects.upload != "" {
		f.Intent.Unscored, f.Deviation.Unscored = core.UnscoredOpaque, core.UnscoredOpaque
		f.Opaque = []string{openai.KnownMedia(x.objects.upload)}
	}
	if !x.judges() {
		return
	}

	judges := Judges{x.gate.classifier(x.pinned.policy), x.gate.o.Scorer, x.pinned.directory.SystemPrompts(f.Principal.App)}
	view := judges.Judge(f, x.request.Prompt, tasksFor(x.session, x.pinned.directory.Tasks(f.Principal)), x.clock.lap)
	x.calibrate()
	if !f.Found.Any() { // neither a secret nor who attacks is to be learnt from
		x.gate.o.Traffic.Note(f.Principal.Subject(), view)
	}
	x.gate.o.Metrics.Judged(f.Intent, f.Deviation, f.Found)
}

// calibrate says how the deviation stands among prompts that people labelled: by those the policy may block, and by no others.
func (x *Exchange) calibrate() {
	f := &x.judged.facts
	j := x.pinned.directory.Calibration().Judge(&f.Deviation, x.pinned.policy.Enough())
	f.Deviation.P, f.Deviation.N, f.Deviation.Calibrated = j.P, j.N, j.P != nil
	f.Calibration = policy.Calibration{Version: j.Version, Text: j.Text}
}

// tasksFor is the one task that the credential is for, where it is one of those that are assigned; else all of them. A
// credential can only narrow.
func tasksFor(s *identity.Session, assigned []*deviation.Task) []*deviation.Task {
	for i, t := range assigned {
		if t.ID() == s.Task {
			return assigned[i : i+1]
		}
	}
	return assigned
}

// decide asks the policy about the facts as they are.
func (x *Exchange) decide() *core.Error {
	x.judged.verdict = x.pinned.policy.DecideReporting(x.judged.facts, x.gate.o.Metrics.ConditionFailed)
	x.clock.lap(telemetry.StagePolicy)
	if x.judged.verdict.Blocked() {
		return x.explain(x.judged.verdict)
	}
	return nil
}

// recordIntent makes durable what is about to be done.
func (x *Exchange) recordIntent(ctx context.Context) *core.Error {
	rec := x.judgement(core.RecordIntent)
	if x.hold.live {
		charge := x.charge(x.hold.reservation.Held)
		rec.Reserved = &charge
		rec.Fallback = string(x.hold.reservation.Fallback)
	}
	x.sealPrompt(ctx, &rec)
	if err := ctx.Err(); err != nil {
		return core.AsError(fmt.Errorf("no time is left to record the intent to act: %w", err))
	}
	x.hold.recorded = recordedUnknown
	err := x.gate.o.Audit.Append(ctx, rec)
	x.clock.lap(telemetry.StageAudit)
	switch {
	case err == nil:
		x.hold.recorded = recordedIntent
		return nil
	case !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled):
		// The log refused it. An outcome would take of the room that a full disk keeps for those that are owed.
		x.hold.recorded = recordedNothing
	}
	return core.AsError(fmt.Errorf("recording the intent to act: %w", err))
}

// judgement is a record that holds the facts and the verdict.
func (x *Exchange) judgement(kind core.RecordKind) core.Record {
	rec := x.record(kind)
	if x.judged.facts.At.IsZero() { // refused before anything was judged
		rec.PolicyVersion = x.pinned.policy.Version()
		rec.PriceVersion = x.pinned.prices.Version()
		return rec
	}
	x.judged.facts.AddTo(&rec)
	verdict := x.judged.verdict
	rec.Verdict = &verdict
	if verdict.Action != "" {
		rec.Reason = verdict.Reason
	}
	return rec
}

// sealPrompt adds what is kept of the prompt and of what was found in it. It is never there in clear.
func (x *Exchange) sealPrompt(ctx context.Context, rec *core.Record) {
	c := seal.Content{Words: x.judged.facts.Deviation.Words}
	if x.judges() {
		c.Prompt = x.request.Prompt.Parts
	}
	x.gate.o.Sealer.Seal(ctx, rec, c)
}

// forward gives the changes under which the request passes.
func (x *Exchange) forward(body []byte, edits openai.Edits) Admission {
	a := Admission{Headers: HeaderEdits{Remove: removedFromRequests}}
	// Answers must be readable as they pass; a compressed one is still read, at a cost.
	a.Headers.Set = append(a.Headers.Set, [2]string{"accept-encoding", "identity"})
	if key := x.gate.o.ProviderKey; key != nil {
		a.Headers.Set = append(a.Headers.Set, [2]string{"authorization", "Bearer " + key()})
	}
	if x.charged() && !x.head.BodyFixed {
		if rewritten := x.request.Rewrite(body, edits); len(rewritten) != len(body) || &rewritten[0] != &body[0] {
			a.Body = rewritten
		}
	}
	return a
}

// removedFromRequests are headers of callers that must not reach the provider: their credentials, and what looks like
// an identity. The provider key, where Plumbline sets it, is put in place of the first.
var removedFromRequests = []string{
	"authorization", "api-key", "x-api-key", "cookie", "proxy-authorization",
	"openai-organization", "openai-project", "x-forwarded-client-cert",
	"x-user", "x-user-id", "x-plumbline-user", "x-plumbline-team", "x-plumbline-app",
	// What proxies in front of callers say of them, signed assertions among it.
	"forwarded", "x-real-ip", "x-forwarded-host", "x-forwarded-user", "x-forwarded-email", "x-forwarded-groups",
	"x-forwarded-preferred-username", "x-forwarded-access-token", "x-remote-user",
	"x-auth-request-user", "x-auth-request-email", "x-auth-request-groups", "x-auth-request-access-token",
	"x-amzn-oidc-identity", "x-amzn-oidc-data", "x-amzn-oidc-accesstoken",
	"x-goog-iap-jwt-assertion", "x-goog-authenticated-user-email", "x-goog-authenticated-user-id",
	"cf-access-jwt-assertion", "cf-access-authenticated-user-email",
}

// stageMicros is the time of each stage so far, for the record.
func (x *Exchange) stageMicros() map[string]int64 {
	out := make(map[string]int64, len(x.clock.stages))
	for _, s := range x.clock.stages {
		out[string(s.stage)] = s.took.Microseconds()
		x.gate.o.Metrics.StageTook(s.stage, s.took)
	}
	return out
}
