package policy

import "github.com/plumbline/plumbline/internal/core"

// ruleUnpriced is the rule behind the refusal of a model without a price. No document can change it.
const ruleUnpriced = "models.unpriced"

// finding is what one group of rules says.
type finding struct {
	action core.Action
	reason core.Reason
	rule   string
	// observed marks the rules that the mode observe lifts.
	observed     bool
	uncalibrated bool
	// own is the mode of the group of rules, where it has one.
	own Mode
}

// mode is the one that a finding is under, given that of the document.
func (x *finding) mode(document Mode) Mode {
	if x.own != "" {
		return x.own
	}
	return document
}

// Decide gives the verdict on the facts. It is pure, total and allocates nothing.
//
// Every group of rules is asked; the most severe answer wins, and among equals the one that comes first: model, secrets,
// attacks, intent, deviation, unscored, quota. Decided is what all of them say, Action what those say that the mode lets hold.
// Reason and Rule are those behind Action, or behind Decided when Action is allow. Facts in which the ledger was not asked yet
// are decided without it; a caller asks again with its outcome.
func (s *Snapshot) Decide(f Facts) core.Verdict {
	findings := [...]finding{
		s.onModel(&f),
		s.secrets.on(f.Found.Secrets, core.ReasonSecret),
		s.attacks.on(f.Found.Attacks, core.ReasonAttack),
		s.onIntent(&f.Intent),
		s.onDeviation(&f.Deviation),
		s.onUnscored(f.Intent.Unscored, f.Deviation.Unscored),
		onQuota(&f.Quota),
	}
	acted, decided := nothing(), nothing()
	for i := range findings {
		x := &findings[i]
		if severity(x.action) > severity(decided.action) {
			decided = *x
		}
		if holds := !x.observed || x.mode(s.doc.Mode) == ModeEnforce; holds && severity(x.action) > severity(acted.action) {
			acted = *x
		}
	}
	by := &acted
	if acted.action == core.ActionAllow {
		by = &decided
	}
	return core.Verdict{
		Action:       acted.action,
		Decided:      decided.action,
		Reason:       by.reason,
		Rule:         by.rule,
		Uncalibrated: by.uncalibrated,
	}
}

func nothing() finding { return finding{action: core.ActionAllow, reason: core.ReasonNone} }

func severity(a core.Action) int {
	switch a {
	case core.ActionAllow:
		return 0
	case core.ActionWarn:
		return 1
	default:
		return 2
	}
}

// onModel applies the lists of models and asks for a price. A call that names no model (the list of models) needs neither:
// the reader refuses a prompt without one.
func (s *Snapshot) onModel(f *Facts) finding {
	if f.Model == "" {
		return nothing()
	}
	rule := s.modelRefused(&f.Principal, f.Model)
	if rule == "" && !f.Priced {
		rule = ruleUnpriced
	}
	if rule == "" {
		return nothing()
	}
	return finding{action: core.ActionBlock, reason: core.ReasonModelNotAllowed, rule: rule}
}

// on applies the most severe response to any of the kinds that were found.
func (d *detection) on(found []core.Sighting, reason core.Reason) finding {
	worst := nothing()
	for i := range found {
		r, listed := d.kinds[found[i].Kind]
		if !listed {
			r = d.rest
		}
		if severity(r.action) > severity(worst.action) {
			worst = finding{action: r.action, reason: reason, rule: r.rule, observed: true, own: d.mode}
		}
	}
	return worst
}

// onIntent applies the lists of intents. LabelUncertain has no confidence to speak of: whoever lists it means it.
func (s *Snapshot) onIntent(in *core.Intent) finding {
	r, listed := s.intents[in.Label]
	if !listed || in.Label != core.LabelUncertain && in.Confidence < s.doc.Intents.MinConfidence {
		return nothing()
	}
	return finding{action: r.action, reason: core.ReasonForbiddenIntent, rule: r.rule, observed: true}
}

// onDeviation applies the thresholds. What blocks keeps the promise: a score that no calibration backs warns at most, unless
// the document says otherwise.
func (s *Snapshot) onDeviation(d *core.Deviation) finding {
	if d.Unscored != "" {
		return nothing()
	}
	rules := &s.doc.Deviation
	block, own := rules.Block.reachedBy(d.Score), rules.Block != Promised
	switch {
	case block && s.promised(d):
		return finding{action: core.ActionBlock, reason: core.ReasonOffTask, rule: "deviation.block", observed: true}
	case block && own && !s.backed(d) && rules.EnforceUncalibrated:
		return finding{
			action: core.ActionBlock, reason: core.ReasonOffTask, rule: "deviation.block", observed: true, uncalibrated: true,
		}
	case rules.Warn.reachedBy(d.Score):
		return finding{action: core.ActionWarn, reason: core.ReasonOffTask, rule: "deviation.warn", observed: true}
	case block && own:
		return finding{action: core.ActionWarn, reason: core.ReasonOffTask, rule: "deviation.block", observed: true}
	default:
		return nothing()
	}
}

// onUnscored applies the more severe of the responses to what kept the intent and the deviation from being scored.
func (s *Snapshot) onUnscored(causes ...core.Unscored) finding {
	worst := nothing()
	for _, cause := range causes {
		response, rule := s.unscored(cause)
		if a := core.Action(response); severity(a) > severity(worst.action) {
			worst = finding{action: a, reason: core.ReasonUnscored, rule: rule, observed: true}
		}
	}
	return worst
}

func (s *Snapshot) unscored(cause core.Unscored) (response Response, rule string) {
	r := &s.doc.Deviation.OnUnscored
	switch cause {
	case "":
		return "allow", ""
	case core.UnscoredLanguage:
		return r.Language, "deviation.on_unscored.language"
	case core.UnscoredOpaque:
		return r.Opaque, "deviation.on_unscored.opaque"
	case core.UnscoredEncoded:
		return r.Encoded, "deviation.on_unscored.encoded"
	case core.UnscoredTooShort:
		return r.TooShort, "deviation.on_unscored.too_short"
	case core.UnscoredNoTask:
		return r.NoTask, "deviation.on_unscored.no_task"
	default: // of another version: what is not understood does not pass unseen
		return "warn", "deviation.on_unscored"
	}
}

// onQuota turns the ledger's answer into a finding; the rule is the limit's id. Limits have an observe of their own, so
// the document's mode does not touch them.
func onQuota(q *Quota) finding {
	switch q.Outcome {
	case QuotaUnasked, QuotaGranted:
		return nothing()
	case QuotaSoft:
		return finding{action: core.ActionWarn, reason: quotaReason(q), rule: q.Limit}
	case QuotaExhausted:
		return finding{action: core.ActionBlock, reason: quotaReason(q), rule: q.Limit}
	default: // of another version: fail closed
		return finding{action: core.ActionBlock, reason: core.ReasonGovernanceDown}
	}
}

func quotaReason(q *Quota) core.Reason {
	switch {
	case q.Never:
		return core.ReasonRequestTooLarge
	case q.Dimension == "concurrency":
		return core.ReasonConcurrencyLimit
	case q.Window == "minute":
		return core.ReasonRateLimited
	default:
		return core.ReasonQuotaExhausted
	}
}

// Gives reports whether Decide can block for a reason. A refusal for another one was not the policy's: the ledger could not
// be asked, or the intent to act not be recorded.
func Gives(r core.Reason) bool {
	switch r {
	case core.ReasonModelNotAllowed, core.ReasonSecret, core.ReasonAttack, core.ReasonForbiddenIntent, core.ReasonOffTask, core.ReasonUnscored, core.ReasonRateLimited,
		core.ReasonConcurrencyLimit, core.ReasonQuotaExhausted, core.ReasonRequestTooLarge:
		return true
	default:
		return false
	}
}
