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

// Decide gives the verdict on the facts. It is pure and total, and allocates nothing where the document has no rules of its own.
//
// Every group of rules is asked; the most severe answer wins, and among equals the one that comes first: endpoint, model,
// secrets, attacks, rules, intent, deviation, unscored, quota. Decided is what all of them say, Action what those say that
// the mode lets hold. Reason and Rule are those behind Action, or behind Decided when Action is allow. Facts in which the
// ledger was not asked yet are decided without it; a caller asks again with its outcome.
func (s *Snapshot) Decide(f Facts) core.Verdict { return s.DecideReporting(f, nil) }

// DecideReporting is Decide, and tells failed of each rule whose condition could not be answered. Such a rule says what its
// on_error does, under the name rules.<name>.on_error.
func (s *Snapshot) DecideReporting(f Facts, failed func(rule string)) core.Verdict {
	t := tally{document: s.doc.Mode, acted: nothing(), decided: nothing()}
	t.add(s.onEndpoint(&f))
	t.add(s.onModel(&f))
	t.add(s.secrets.on(f.Found.Secrets, core.ReasonSecret))
	t.add(s.attacks.on(f.Found.Attacks, core.ReasonAttack))
	if s.rules != nil {
		t = s.rules.into(t, f, failed)
	}
	t.add(s.onIntent(&f.Intent))
	t.add(s.onDeviation(&f.Deviation))
	t.add(s.onUnscored(f.Intent.Unscored, f.Deviation.Unscored))
	t.add(onQuota(&f.Quota))
	return t.verdict()
}

// tally is the most severe of the findings so far: of all, and of those that the mode lets hold.
type tally struct {
	document       Mode
	acted, decided finding
}

func (t *tally) add(x finding) {
	if severity(x.action) > severity(t.decided.action) {
		t.decided = x
	}
	if holds := !x.observed || x.mode(t.document) == ModeEnforce; holds && severity(x.action) > severity(t.acted.action) {
		t.acted = x
	}
}

func (t *tally) verdict() core.Verdict {
	by := &t.acted
	if t.acted.action == core.ActionAllow {
		by = &t.decided
	}
	return core.Verdict{
		Action:       t.acted.action,
		Decided:      t.decided.action,
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
	rule := s.models.refused(&f.Principal, f.Model)
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
	r, listed := s.intents.named[in.Label]
	if !listed {
		r = s.intents.rest
	}
	if r.rule == "" || in.Label != core.LabelUncertain && in.Confidence < s.doc.Intents.MinConfidence {
		return nothing()
	}
	return finding{action: r.action, reason: core.ReasonForbiddenIntent, rule: r.rule, observed: true, own: s.intents.mode}
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
		return finding{action: core.ActionBlock, reason: core.ReasonOffTask, rule: "deviation.block", observed: true, own: s.deviation}
	case block && own && !s.backed(d) && rules.EnforceUncalibrated:
		return finding{
			action: core.ActionBlock, reason: core.ReasonOffTask, rule: "deviation.block", observed: true, own: s.deviation,
			uncalibrated: true,
		}
	case rules.Warn.reachedBy(d.Score):
		return finding{action: core.ActionWarn, reason: core.ReasonOffTask, rule: "deviation.warn", observed: true, own: s.deviation}
	case block && own:
		return finding{action: core.ActionWarn, reason: core.ReasonOffTask, rule: "deviation.block", observed: true, own: s.deviation}
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
			worst = finding{action: a, reason: core.ReasonUnscored, rule: rule, observed: true, own: s.deviation}
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
	case core.ReasonEndpointNotAllowed, core.ReasonModelNotAllowed, core.ReasonSecret, core.ReasonAttack, core.ReasonPolicyRule,
		core.ReasonForbiddenIntent, core.ReasonOffTask, core.ReasonUnscored, core.ReasonRateLimited, core.ReasonConcurrencyLimit, core.ReasonQuotaExhausted, core.ReasonRequestTooLarge:
		return true
	default:
		return false
	}
}
