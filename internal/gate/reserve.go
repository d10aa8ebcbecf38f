package gate

import (
	"cmp"
	"context"
	"errors"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/openai"
	"github.com/plumbline/plumbline/internal/policy"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/telemetry"
)

// reserve holds what the call may use at most, under every limit at once. First with the cheap bound on its input; when
// that does not fit, with the counted input; when that does not fit either, with as much output as is left, which is
// then written into the request. Turns that are kept at the provider count with the input. Of an owned endpoint whose body is
// read one request is held, of all others nothing.
func (x *Exchange) reserve(ctx context.Context) (openai.Edits, *core.Error) {
	if x.request == nil {
		return openai.Edits{}, nil
	}
	defer x.clock.lap(telemetry.StageLedger)
	limits, err := x.limits()
	if err != nil {
		return openai.Edits{}, core.AsError(err)
	}
	x.hold.limits = limits
	x.gate.leases.add(x) // first, so that there is no moment at which something is held and nobody keeps it
	if !x.charged() {
		return openai.Edits{}, x.reserved(x.take(ctx, 0, 0))
	}

	edits := openai.Edits{IncludeUsage: x.request.LacksUsage() && !x.head.BodyFixed}
	output := x.output()
	want, _ := quota.OutputReservation(output)
	err = x.take(ctx, x.inputBound(), want)
	if needsLess(err) {
		err = x.take(ctx, x.countInput(), want)
	}
	if needsLess(err) && x.request.OutputParam() != "" && !x.head.BodyFixed {
		edits.MaxOutputTokens, err = x.reserveLess(ctx, output)
	}
	return edits, x.reserved(err)
}

// reserved says what the ledger's answer means for the request.
func (x *Exchange) reserved(err error) *core.Error {
	var exhausted *quota.ExhaustedError
	switch {
	case errors.As(err, &exhausted):
		return x.exhausted(exhausted)
	case err != nil:
		return uncounted(err)
	}
	x.warnOfSoftLimits()
	return nil
}

// output is what is known of the length of the answer before it is there. A text of which the table says no end can fill
// the model's context.
func (x *Exchange) output() quota.Output {
	most := x.request.OutputBound(x.hold.model)
	if most == 0 && x.request.OutputParam() != "" {
		most = cmp.Or(x.hold.model.ContextWindow, unknownContext)
	}
	return quota.Output{
		ModelMax: most, ClientMax: x.request.MaxOutputTokens, Choices: x.request.Choices,
		Reasoning: x.hold.model.Reasoning, Stream: x.request.InSlabs() && !x.head.BodyFixed,
	}
}

// inputBound is the most input tokens that the call can have, without a tokenizer.
func (x *Exchange) inputBound() int64 {
	return max(x.withEarlier(x.request.InputBound()), x.contexts())
}

// countInput is the same with a tokenizer, which takes its time. It is never more.
func (x *Exchange) countInput() int64 {
	return max(x.withEarlier(x.request.CountInput()), x.contexts())
}

// contexts is how much the input can be at most where the request itself does not bound it.
func (x *Exchange) contexts() int64 {
	n, window := x.request.Contexts(), x.contextWindow()
	if n > quota.MaxAmount/window {
		return quota.MaxAmount
	}
	return n * window
}

// needsLess reports whether a refusal might be none with fewer tokens.
func needsLess(err error) bool {
	var exhausted *quota.ExhaustedError
	if !errors.As(err, &exhausted) {
		return false
	}
	d := exhausted.Standing.Limit.Dimension
	return d != quota.DimensionRequests && d != quota.DimensionConcurrency
}

// limits are those in force now, which need not be those of the pinned directory: a caller that opens many exchanges and is
// slow to send their bodies must not go on under limits that were lowered since.
func (x *Exchange) limits() (*quota.LimitSet, error) {
	directory, err := x.gate.o.Directory()
	if err != nil {
		return nil, err
	}
	return directory.Limits(), nil
}

// take asks the ledger once. What is too much to be counted asks for the most that can be.
func (x *Exchange) take(ctx context.Context, input, output int64) error {
	input, output = min(input, quota.MaxAmount), min(output, quota.MaxAmount)
	reservation, err := x.gate.o.Ledger.Reserve(ctx, quota.Request{
		ID: x.id, Subject: x.subject(), Limits: x.hold.limits, At: x.judged.facts.At,
		Amounts: quota.Amounts{
			Requests: 1, InputTokens: input, OutputTokens: output, Cost: min(x.cost(input, output), quota.MaxAmount),
		},
	})
	var exhausted *quota.ExhaustedError
	switch {
	case err == nil:
		x.hold.reservation, x.hold.live = reservation, true
	case !errors.As(err, &exhausted):
		x.hold.doubtful = true
	}
	return err
}

// reserveLess holds as much output as is left and gives the maximum, per choice, to write into the request. When nothing
// useful is left it asks for the least that is, so that the refusal names a limit without room for that, and its figures.
func (x *Exchange) reserveLess(ctx context.Context, output quota.Output) (int64, error) {
	input := x.countInput()
	standings, err := x.gate.o.Ledger.Standings(ctx, x.subject(), x.hold.limits, x.judged.facts.At)
	if err != nil {
		return 0, err
	}
	most, bounded := output.Max()
	if !bounded {
		most = quota.MaxAmount
	}
	fitting, ok := quota.LargestFitting(standings, quota.Amounts{Requests: 1, InputTokens: input}, most, output.Choices,
		func(out int64) core.MicroUSD { return x.cost(input, out) })
	if !ok {
		fitting = min(quota.MinOutput, most)
	}
	return fitting, x.take(ctx, input, fitting*max(output.Choices, 1))
}

func (x *Exchange) subject() quota.Subject {
	p := x.principal()
	return quota.Subject{User: p.User, Team: p.Team, App: p.App, Model: x.request.Model}
}

// exhausted puts the ledger's refusal among the facts and lets the policy say what it means.
func (x *Exchange) exhausted(e *quota.ExhaustedError) *core.Error {
	l := e.Standing.Limit
	x.judged.facts.Quota = policy.Quota{
		Outcome: policy.QuotaExhausted, Limit: l.ID, Dimension: string(l.Dimension), Window: string(l.Window), Never: e.Never(),
	}
	x.judged.verdict = x.pinned.policy.Decide(x.judged.facts)
	x.gate.o.Metrics.QuotaRefused(string(l.Scope), string(l.Dimension))
	return x.explainQuota(e, x.judged.verdict.Reason)
}

// warnOfSoftLimits decides again when a soft limit is over its value.
func (x *Exchange) warnOfSoftLimits() {
	q := &x.judged.facts.Quota
	q.Outcome = policy.QuotaGranted
	for _, s := range x.hold.reservation.Standings {
		if s.Limit.Enforcement == quota.EnforceSoft && s.Used > s.Limit.Value {
			*q = policy.Quota{Outcome: policy.QuotaSoft, Limit: s.Limit.ID, Dimension: string(s.Limit.Dimension), Window: string(s.Limit.Window)}
			break
		}
	}
	x.judged.verdict = x.pinned.policy.Decide(x.judged.facts)
}
