package gate

import (
	"fmt"
	"strings"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/policy"
	"github.com/plumbline/plumbline/internal/quota"
)

// explain gives the public words of a verdict that blocks. They say what happened and what to do, and quote the task's
// own text but never the prompt's.
func (x *Exchange) explain(v core.Verdict) *core.Error {
	e := &core.Error{Reason: v.Reason, Rule: v.Rule}
	f := x.judged.facts
	switch v.Reason {
	case core.ReasonOffTask:
		e.Param = x.request.PromptParam()
		e.Public = "This prompt is too far from the work assigned to " + f.Principal.Name() + nearest(f.Deviation) +
			". Rephrase it in terms of that work, or ask for a task to be assigned that covers it."
	case core.ReasonUnscored:
		e.Param = x.request.PromptParam()
		e.Public = "This prompt could not be compared with the work assigned to " + f.Principal.Name() + " (" +
			unscoredWords(f) + "), and the policy does not let such prompts pass."
	case core.ReasonSecret:
		e.Param = x.request.PromptParam()
		e.Public = "The prompt holds what must not leave: " + sightings(f.Found.Secrets) + ". Take it out and ask again, and change " +
			"a credential that is real (" + v.Rule + ")."
	case core.ReasonAttack:
		e.Param = x.request.PromptParam()
		e.Public = "The prompt has the form of an attack on the model: " + sightings(f.Found.Attacks) + ". Take that part out; " +
			"it may have come with a document or a page (" + v.Rule + ")."
	case core.ReasonForbiddenIntent:
		e.Param = x.request.PromptParam()
		e.Public = fmt.Sprintf("Prompts of the kind %q are not allowed by the policy (%s). Do not retry.", f.Intent.Label, v.Rule)
	case core.ReasonPolicyRule:
		e.Public = "A rule of the policy does not allow this request (" + v.Rule + ")."
		if m := x.pinned.policy.Message(v.Rule); m != "" {
			e.Public = m + " (" + v.Rule + ")"
		}
	case core.ReasonEndpointNotAllowed:
		e.Public = "The endpoint is not available to " + f.Principal.Name() + " (" + v.Rule + "). Allowed: " +
			strings.Join(x.pinned.policy.AllowedEndpoints(f.Principal), ", ") + "."
	case core.ReasonModelNotAllowed:
		e.Param = "model"
		e.Public = "The model is not available to " + f.Principal.Name() + ". Allowed: " +
			strings.Join(x.pinned.policy.AllowedModels(f.Principal), ", ") + "."
		if x.pinned.policy.ModelAllowed(f.Principal, f.Model) {
			e.Public = "The model has no price, and nothing is free. Use one with a price, or have it added to the price table."
		}
	default:
		e.Public = "The policy does not allow this request (" + v.Rule + ")."
	}
	return e
}

// maxSightings is how many kinds are named to a caller.
const maxSightings = 4

// sightings says of which kinds something was found, and where.
func sightings(found []core.Sighting) string {
	var b strings.Builder
	for i, s := range found {
		switch {
		case i == maxSightings:
			fmt.Fprintf(&b, " and %d more", len(found)-i)
			return b.String()
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(s.Kind)
		if s.Turn >= 0 {
			fmt.Fprintf(&b, " in message %d (%s)", s.Turn, s.Role)
		}
	}
	return b.String()
}

// nearest says what a prompt is nearest to, in the task's own words. Of an example, which may be what somebody else once asked,
// it says no more than which it is.
func nearest(d core.Deviation) string {
	switch {
	case d.Phrase == "":
		return ""
	case d.OutOfScope != 0:
		return fmt.Sprintf(" (nearest: task %s, %q, but nearer to what is out of its scope: example %d)", d.Task, d.Phrase, d.OutOfScope)
	}
	return fmt.Sprintf(" (nearest: task %s, %q)", d.Task, d.Phrase)
}

func unscoredWords(f policy.Facts) string {
	cause := f.Deviation.Unscored
	if cause == "" {
		cause = f.Intent.Unscored
	}
	switch cause {
	case core.UnscoredLanguage:
		return "its language is not one the models know"
	case core.UnscoredOpaque:
		return "it holds only images, audio or files"
	case core.UnscoredEncoded:
		return "its text is encoded"
	case core.UnscoredTooShort:
		return "it is too short"
	case core.UnscoredNoTask:
		return "no task is assigned"
	}
	return "no cause given"
}

// explainQuota names the limit, the numbers and the time of its reset. outputParam is the parameter that limits the output.
func explainQuota(q *quota.ExhaustedError, reason core.Reason, outputParam string, zone *time.Location, now time.Time) *core.Error {
	l := q.Standing.Limit
	e := &core.Error{
		Reason: reason, Rule: l.ID, Dimension: string(l.Dimension), Cause: q,
		Shortage: &core.Shortage{
			Limit: l.ID, Dimension: string(l.Dimension), Window: string(l.Window),
			Value: l.Value, Used: q.Standing.Used, Wanted: q.Wanted,
		},
	}
	name, amount := l.Name(), l.Dimension.Amount
	switch {
	case q.Never() && l.Value == 0:
		e.Public = "The " + name + " is 0: nothing of it is allowed."
	case q.Never():
		e.Public = fmt.Sprintf("This request alone may use %s, more than the %s (%s). %s.",
			amount(q.Wanted), name, amount(l.Value), lessOutput(outputParam))
	case l.Dimension == quota.DimensionConcurrency:
		e.Public = fmt.Sprintf("The %s is reached: %d of %d in flight. Wait for one to end.", name, q.Standing.Used, l.Value)
	default:
		e.Public = fmt.Sprintf("The %s is used up: %s of %s, and this request may need %s.",
			name, amount(q.Standing.Used), amount(l.Value), amount(q.Wanted))
	}
	if !q.Never() && !q.Standing.Reset.IsZero() { // what can never fit does not fit after the reset either
		e.Reset = q.Standing.Reset
		e.Public += " Resets at " + quota.ResetWords(q.Standing.Reset, now, zone) + "."
	}
	return e
}

// explainQuota gives the words for a limit that lacks room, at the start of the exchange or in the midst of it.
func (x *Exchange) explainQuota(q *quota.ExhaustedError, reason core.Reason) *core.Error {
	zone := x.hold.limits.Zone(q.Standing.Limit.ID)
	return explainQuota(q, reason, x.request.OutputParam(), zone, x.gate.o.Now())
}

// explainCut is the same for an answer that is ended for want of room: the next one can go on after the reset.
func (x *Exchange) explainCut(q *quota.ExhaustedError) *core.Error {
	e := x.explainQuota(q, core.ReasonQuotaExhausted)
	e.Reset = q.Standing.Reset
	return e
}

// lessOutput says how to ask for less, given the parameter that limits the output, if there is one.
func lessOutput(param string) string {
	if param == "" {
		return "Ask for less"
	}
	return "Ask for less output (" + param + ") or send a shorter prompt"
}
