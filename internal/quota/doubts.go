package quota

import (
	"cmp"
	"slices"
)

// Doubt is a limit that is valid and yet does nothing.
type Doubt struct {
	Limit string `json:"limit"`
	Why   string `json:"why"`
	By    string `json:"by,omitempty"` // the limit that keeps it from being reached, if one does
}

// Doubts finds limits that can have no effect: one that another, hard one never lets be reached, one for models that
// nobody knows, a zone on a window that has none. models are the names that are known, none for no check of them. They
// are warnings: the other limit may be meant to be lifted soon. Limits must be valid.
func Doubts(limits []Limit, models []string) []Doubt {
	var doubts []Doubt
	add := func(l *Limit, why, by string) { doubts = append(doubts, Doubt{l.ID, why, by}) }
	for i := range limits {
		l := &limits[i]
		if by := shadowing(limits, i); by >= 0 {
			add(l, l.shadowWords(&limits[by]), limits[by].ID)
		}
		if l.Model != "" && len(models) > 0 && !slices.ContainsFunc(models, func(m string) bool { return matchModel(l.Model, m) }) {
			add(l, "model pattern "+l.Model+" matches no model of the price table", "")
		}
		if l.Zone != "" && (l.Window == WindowMinute || l.Window == WindowNone) {
			add(l, "zone "+l.Zone+" has no effect on window "+string(l.Window), "")
		}
	}
	return doubts
}

// shadowing gives the first other limit that keeps limit i from ever being reached, -1 if there is none. Of two that are
// the same in all but their names, only the later one is shadowed.
func shadowing(limits []Limit, i int) int {
	for j := range limits {
		if i != j && limits[j].shadows(&limits[i]) && (j < i || !limits[i].shadows(&limits[j])) {
			return j
		}
	}
	return -1
}

// shadows reports whether l, being hard, keeps o from ever being reached: all that o counts in one of its windows, l counts
// in one of its own, and lets be no more.
func (l *Limit) shadows(o *Limit) bool {
	return l.Hard() && o.Enforcement != EnforceObserve && // which is there to count
		l.Value <= o.Value && l.countsAllOf(o) && l.windowHolds(o) &&
		(l.Dimension == o.Dimension || l.Dimension == DimensionTokens && (o.Dimension == DimensionInputTokens || o.Dimension == DimensionOutputTokens))
}

// countsAllOf reports whether every call that one counter of o counts is counted by one counter of l.
func (l *Limit) countsAllOf(o *Limit) bool {
	if l.Model != "" && l.Model != o.Model {
		return false
	}
	return l.Scope == ScopeEveryone || l.Scope == o.Scope && (l.Subject == "" || l.Subject == o.Subject)
}

// windowHolds reports whether each window of o lies within one of l. The minute slides over the bounds of calendar windows:
// only the moments after a reset keep it from lying within.
func (l *Limit) windowHolds(o *Limit) bool {
	switch {
	case o.Window == WindowMinute || l.Window == WindowNone || o.Window == WindowNone:
		return l.Window == o.Window || o.Window == WindowMinute && l.Window != WindowNone
	case cmp.Or(l.Zone, "UTC") != cmp.Or(o.Zone, "UTC"):
		return false
	default:
		return slices.Contains(within[o.Window], l.Window)
	}
}

// within lists the calendar windows in which each lies whole. A week can lie in two months.
var within = map[Window][]Window{
	WindowHour:  {WindowHour, WindowDay, WindowWeek, WindowMonth},
	WindowDay:   {WindowDay, WindowWeek, WindowMonth},
	WindowWeek:  {WindowWeek},
	WindowMonth: {WindowMonth},
}

func (l *Limit) shadowWords(by *Limit) string {
	does := "never refuses"
	if !l.Hard() {
		does = "never warns"
	}
	if l.Window == WindowMinute && by.Window != WindowMinute {
		does += " but in the moments after a reset"
	}
	return "it " + does + ", since limit " + by.ID + " (" + by.Name() + ") allows no more: " +
		by.Dimension.Amount(by.Value) + " against " + l.Dimension.Amount(l.Value)
}
