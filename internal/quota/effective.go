package quota

import (
	"context"
	"math/bits"
	"time"
)

// Relevance says whether a limit is about a caller.
type Relevance string

// The relevances.
const (
	RelevanceApplies Relevance = "applies"
	// RelevanceDepends: it would apply to some of the caller's calls; the app or model of which is not said.
	RelevanceDepends Relevance = "depends"
	RelevanceOthers  Relevance = "others" // it is about others
)

// Effect is one limit as it concerns a caller.
type Effect struct {
	Limit     Limit     `json:"limit"`
	Relevance Relevance `json:"relevance"`
	// Why says in words why the limit applies, on what it depends, or whom it is about.
	Why string `json:"why"`
	// Use is how much of it is used; nil where the limit does not apply.
	Use *Use `json:"use,omitempty"`
	// First is set on the limit that will refuse before the others do: of the hard ones that apply, the one with the least
	// part of its value left, and of those the one that resets last.
	First bool `json:"first,omitempty"`
}

// Use is how much of a limit is used, in the unit of its dimension.
type Use struct {
	Used   int64 `json:"used"`   // posted and pending
	Posted int64 `json:"posted"` // settled
	// Pending is held by calls in flight; nil where nobody knows, since no Plumbline runs that could say.
	Pending   *int64    `json:"pending,omitempty"`
	Remaining int64     `json:"remaining"` // 0 when more than the value is used
	Since     time.Time `json:"since,omitzero"`
	Reset     time.Time `json:"reset,omitzero"`
	Forecast  Forecast  `json:"forecast"`
}

// UseOf gives the figures of a standing for people.
func UseOf(s *Standing, now time.Time) Use {
	pending := s.Used - s.Posted
	return Use{
		Used: s.Used, Posted: s.Posted, Pending: &pending, Remaining: max(s.Limit.Value-s.Used, 0),
		Since: s.Since, Reset: s.Reset, Forecast: s.Forecast(now),
	}
}

// Effective explains every limit of a set to a caller, in the order of the set: whether it applies, why, how much of it is
// used, and which one will refuse first. Fields of the subject that are empty are not said; a user without a team or an app
// that calls in nobody's name is one whose field stays empty.
func Effective(ctx context.Context, ask Ask, limits *LimitSet, s Subject, at time.Time) ([]Effect, error) {
	answer, err := ask(ctx, s)
	if err != nil {
		return nil, err
	}
	if len(answer) != 1 {
		return nil, ErrChanged
	}
	uses := make(map[string]Use, len(answer[0]))
	for i := range answer[0] {
		uses[answer[0][i].Limit.ID] = UseOf(&answer[0][i], at)
	}
	all := limits.Limits()
	effects := make([]Effect, len(all))
	for i := range all {
		e := &effects[i]
		e.Limit = all[i]
		e.Relevance, e.Why = all[i].Concerns(s)
		if use, ok := uses[all[i].ID]; ok {
			e.Use = &use
		}
	}
	markFirst(effects)
	return effects, nil
}

// Concerns says whether the limit is about a caller, and why.
func (l *Limit) Concerns(s Subject) (Relevance, string) {
	who, why := l.concernsWhom(s)
	if who == RelevanceOthers || l.Model == "" {
		return who, why
	}
	switch {
	case s.Model == "":
		return RelevanceDepends, why + "; only calls of models " + l.Model
	case !matchModel(l.Model, s.Model):
		return RelevanceOthers, "it is about models " + l.Model + ", not " + s.Model
	default:
		return who, why + "; model " + s.Model + " is one of " + l.Model
	}
}

// concernsWhom is Concerns without regard to the model.
func (l *Limit) concernsWhom(s Subject) (Relevance, string) {
	id, ok := l.CountsFor(s)
	switch {
	case l.Scope == ScopeEveryone:
		return RelevanceApplies, "it counts everyone together"
	case ok && l.Subject == "":
		return RelevanceApplies, "it counts each " + string(l.Scope) + " alone, here " + id
	case ok:
		return RelevanceApplies, "it is about " + string(l.Scope) + " " + id
	case l.Scope == ScopeApp && s.App == "" && l.Subject == "":
		return RelevanceDepends, "it counts each app alone"
	case l.Scope == ScopeApp && s.App == "":
		return RelevanceDepends, "only calls through app " + l.Subject
	case l.Subject == "":
		return RelevanceOthers, "it counts each " + string(l.Scope) + " alone, and here is none"
	default:
		return RelevanceOthers, "it is about " + string(l.Scope) + " " + l.Subject
	}
}

func markFirst(effects []Effect) {
	first := -1
	for i := range effects {
		e := &effects[i]
		if e.Relevance == RelevanceApplies && e.Use != nil && e.Limit.Hard() && (first < 0 || e.bindsBefore(&effects[first])) {
			first = i
		}
	}
	if first >= 0 {
		effects[first].First = true
	}
}

// bindsBefore reports whether less of e is left than of o, as parts of their values, or as little for longer.
func (e *Effect) bindsBefore(o *Effect) bool {
	// e.left/e.value < o.left/o.value, without division: of a limit of 0 nothing is left.
	mine, mineLow := bits.Mul64(uint64(e.Use.Remaining), uint64(max(o.Limit.Value, 1)))
	others, othersLow := bits.Mul64(uint64(o.Use.Remaining), uint64(max(e.Limit.Value, 1)))
	if mine != others || mineLow != othersLow {
		return mine < others || mine == others && mineLow < othersLow
	}
	return e.Use.Reset.After(o.Use.Reset)
}
