package replay

import (
	"fmt"
	"strings"

	"github.com/plumbline/plumbline/internal/core"
)

// Counts are calls by what was done: blocked, warned, or let pass although a rule said otherwise, which the mode observe
// does. One that was warned and would have been blocked is both warned and observed.
type Counts struct {
	Blocked  int64 `json:"blocked"`
	Warned   int64 `json:"warned"`
	Observed int64 `json:"observed"`
}

func (c *Counts) add(v core.Verdict) {
	switch grade(v.Action) {
	case warned:
		c.Warned++
	case blocked:
		c.Blocked++
	}
	if grade(v.Decided) > grade(v.Action) {
		c.Observed++
	}
}

func (c *Counts) sum(d Counts) {
	c.Blocked, c.Warned, c.Observed = c.Blocked+d.Blocked, c.Warned+d.Warned, c.Observed+d.Observed
}

// Less gives the difference to d.
func (c Counts) Less(d Counts) Counts {
	return Counts{c.Blocked - d.Blocked, c.Warned - d.Warned, c.Observed - d.Observed}
}

// String lists what is not zero.
func (c Counts) String() string { return c.words("%d") }

// Signed is String for a difference.
func (c Counts) Signed() string { return c.words("%+d") }

func (c Counts) words(format string) string {
	var parts []string
	for _, p := range [...]struct {
		n    int64
		what string
	}{{c.Blocked, "blocked"}, {c.Warned, "warned"}, {c.Observed, "observed"}} {
		if p.n != 0 {
			parts = append(parts, fmt.Sprintf(format+" %s", p.n, p.what))
		}
	}
	return strings.Join(parts, ", ")
}

// Tally is what was and what would have been done to some calls.
type Tally struct {
	Calls int64  `json:"calls"` // that were replayed
	Was   Counts `json:"was"`
	Would Counts `json:"would"`
	// Changed are calls that another action would have met, or of which the rules would have said another one.
	Changed         int64 `json:"changed"`
	NewlyBlocked    int64 `json:"newly_blocked"`
	NoLongerBlocked int64 `json:"no_longer_blocked"`
}

func (t *Tally) add(was, would core.Verdict) {
	t.Calls++
	t.Was.add(was)
	t.Would.add(would)
	if was.Action != would.Action || was.Decided != would.Decided {
		t.Changed++
	}
	switch before, after := grade(was.Action) == blocked, grade(would.Action) == blocked; {
	case after && !before:
		t.NewlyBlocked++
	case before && !after:
		t.NoLongerBlocked++
	}
}

func (t *Tally) sum(u Tally) {
	t.Calls += u.Calls
	t.Was.sum(u.Was)
	t.Would.sum(u.Would)
	t.Changed += u.Changed
	t.NewlyBlocked += u.NewlyBlocked
	t.NoLongerBlocked += u.NoLongerBlocked
}

// The actions from mild to severe.
const (
	allowed = iota
	warned
	blocked
	grades
)

var actions = [grades]core.Action{core.ActionAllow, core.ActionWarn, core.ActionBlock}

// grade places an action. One that is not known counts as the most severe, as it does where it is decided.
func grade(a core.Action) int {
	switch a {
	case core.ActionAllow:
		return allowed
	case core.ActionWarn:
		return warned
	default:
		return blocked
	}
}

// transitions counts calls by the action that was and the one that would have been.
type transitions [grades][grades]int64

func (t *transitions) add(was, would core.Action) { t[grade(was)][grade(would)]++ }

// list gives those that occurred.
func (t *transitions) list() []Transition {
	list := []Transition{}
	for was := range t {
		for would, n := range t[was] {
			if n > 0 {
				list = append(list, Transition{actions[was], actions[would], n})
			}
		}
	}
	return list
}
