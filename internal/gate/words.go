package gate

import (
	"fmt"
	"strconv"
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
	case core.ReasonForbiddenIntent:
		e.Param = x.request.PromptParam()
		e.Public = fmt.Sprintf("Prompts of the kind %q are not allowed by the policy (%s). Do not retry.", f.Intent.Label, v.Rule)
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

func nearest(d core.Deviation) string {
	if d.Phrase == "" {
		return ""
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
func explainQuota(q *quota.ExhaustedError, v core.Verdict, outputParam string) *core.Error {
	l := q.Standing.Limit
	e := &core.Error{Reason: v.Reason, Rule: l.ID, Dimension: string(l.Dimension), Reset: q.Standing.Reset, Cause: q}
	whose := limitName(l)
	switch {
	case q.Never():
		e.Public = fmt.Sprintf("This request alone may use %s, more than the %s (%s). %s.",
			amount(l.Dimension, q.Wanted), whose, amount(l.Dimension, l.Value), lessOutput(outputParam))
	case l.Dimension == quota.DimensionConcurrency:
		e.Public = fmt.Sprintf("The %s is reached: %d of %d in flight. Wait for one to end.", whose, q.Standing.Used, l.Value)
	default:
		e.Public = fmt.Sprintf("The %s is used up: %s of %s, and this request may need %s.",
			whose, amount(l.Dimension, q.Standing.Used), amount(l.Dimension, l.Value), amount(l.Dimension, q.Wanted))
	}
	if !q.Standing.Reset.IsZero() {
		e.Public += " Resets " + resetWords(l, q.Standing.Reset) + "."
	}
	return e
}

// lessOutput says how to ask for less, given the parameter that limits the output, if there is one.
func lessOutput(param string) string {
	if param == "" {
		return "Ask for less"
	}
	return "Ask for less output (" + param + ") or send a shorter prompt"
}

// limitName is, for example, "daily limit on tokens of team billing".
func limitName(l quota.Limit) string {
	every := map[quota.Window]string{
		quota.WindowMinute: "per-minute ", quota.WindowHour: "hourly ", quota.WindowDay: "daily ",
		quota.WindowWeek: "weekly ", quota.WindowMonth: "monthly ",
	}[l.Window]
	what := map[quota.Dimension]string{
		quota.DimensionRequests: "requests", quota.DimensionInputTokens: "input tokens",
		quota.DimensionOutputTokens: "output tokens", quota.DimensionTokens: "tokens", quota.DimensionCost: "cost",
		quota.DimensionConcurrency: "concurrent requests",
	}[l.Dimension]
	whom := " of everyone"
	if l.Scope != quota.ScopeEveryone {
		whom = strings.TrimRight(" of "+string(l.Scope)+" "+l.Subject, " ")
	}
	model := ""
	if l.Model != "" {
		model = " for " + l.Model
	}
	return every + "limit on " + what + whom + model
}

// amount writes a figure with its unit: money in dollars, all else with separators.
func amount(d quota.Dimension, v int64) string {
	switch d {
	case quota.DimensionCost:
		return core.MicroUSD(v).String()
	case quota.DimensionRequests, quota.DimensionConcurrency:
		return counted(v, "request")
	default:
		return counted(v, "token")
	}
}

func counted(v int64, what string) string {
	if v != 1 {
		what += "s"
	}
	return grouped(v) + " " + what
}

// grouped writes an integer with a comma after each three digits.
func grouped(v int64) string {
	s := strconv.FormatInt(v, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func resetWords(l quota.Limit, at time.Time) string {
	zone, err := time.LoadLocation(l.Zone)
	if err != nil {
		zone = time.UTC
	}
	if l.Window == quota.WindowMinute {
		return at.In(zone).Format("at 15:04:05 MST")
	}
	return at.In(zone).Format("on 2006-01-02 at 15:04 MST")
}
