package cli

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/store"
)

type limitEffectiveCmd struct {
	User  string `help:"The person who calls."`
	App   string `help:"The app that calls."`
	Team  string `help:"The team, where the person has none, or alone."`
	Model string `help:"The model that is called."`
	All   bool   `help:"Also list limits that are about others, and say whom."`
}

// effectiveView is what limits mean to a caller. Running says that the process that serves told of it; otherwise it is
// reckoned from the records, and what calls in flight hold is not known.
type effectiveView struct {
	Running bool           `json:"running"`
	At      time.Time      `json:"at"`
	Caller  caller         `json:"caller"`
	Limits  []quota.Effect `json:"limits"`
}

type caller struct {
	User  string `json:"user,omitempty"`
	Team  string `json:"team,omitempty"`
	App   string `json:"app,omitempty"`
	Model string `json:"model,omitempty"`
}

func (c limitEffectiveCmd) Run(s *session) error {
	if c.User == "" && c.App == "" && c.Team == "" {
		return configError{errors.New("say who calls: --user, --app or --team")}
	}
	return s.withQuota(func(v *app.QuotaView) error {
		who, effects, err := v.Effective(s.ctx, quota.Subject{User: c.User, Team: c.Team, App: c.App, Model: c.Model})
		if err != nil {
			return err
		}
		shown := slices.DeleteFunc(slices.Clone(effects), func(e quota.Effect) bool {
			return !c.All && e.Relevance == quota.RelevanceOthers
		})
		if n := len(effects) - len(shown); n > 0 {
			defer fmt.Fprintf(s.talk, "%s about others; --all lists them\n", plural(n, "limit is", "limits are"))
		}
		if len(shown) == 0 {
			fmt.Fprintln(s.talk, "no limit applies")
		}
		header := []string{"LIMIT", "EFFECT", "USED", "IN FLIGHT", "LEFT", "OF", "RESETS", "FORECAST", "WHY"}
		view := effectiveView{v.Running, v.At.UTC(), caller{who.User, who.Team, who.App, who.Model}, shown}
		return s.printOne(view, header, len(shown), func(i int) []string {
			e := &shown[i]
			row := []string{e.Limit.ID, effectWords(e)}
			row = append(row, useCells(&e.Limit, e.Use, v)...)
			return append(row, e.Why)
		})
	})
}

// effectWords says what a limit does to the caller.
func effectWords(e *quota.Effect) string {
	switch {
	case e.Relevance == quota.RelevanceOthers:
		return "none"
	case e.Relevance == quota.RelevanceDepends:
		return "depends"
	case e.First:
		return "refuses first"
	}
	return map[quota.Enforcement]string{quota.EnforceHard: "refuses", quota.EnforceSoft: "warns", quota.EnforceObserve: "counts"}[e.Limit.Enforces()]
}

type limitUsageCmd struct {
	Limit string `help:"Only this limit." placeholder:"ID"`
}

type usageView struct {
	Running  bool               `json:"running"`
	At       time.Time          `json:"at"`
	Counters []quota.CounterUse `json:"counters"`
}

func (c limitUsageCmd) Run(s *session) error {
	return s.withQuota(func(v *app.QuotaView) error {
		if c.Limit != "" && !v.Has(c.Limit) {
			return fmt.Errorf("limit %q does not exist", c.Limit)
		}
		counters, err := v.Usage(s.ctx)
		if err != nil {
			return err
		}
		counters = slices.DeleteFunc(counters, func(u quota.CounterUse) bool { return c.Limit != "" && u.Limit.ID != c.Limit })
		if len(counters) == 0 {
			fmt.Fprintln(s.talk, "none is used")
		}
		header := []string{"LIMIT", "FOR", "USED", "IN FLIGHT", "LEFT", "OF", "RESETS", "FORECAST"}
		return s.printOne(usageView{v.Running, v.At.UTC(), counters}, header, len(counters), func(i int) []string {
			u := &counters[i]
			return append([]string{u.Limit.ID, u.For}, useCells(&u.Limit, &u.Use, v)...)
		})
	})
}

// withQuota opens the control data and the use of limits for one command.
func (s *session) withQuota(use func(*app.QuotaView) error) error {
	cfg, _, err := s.config()
	if err != nil {
		return err
	}
	return s.withStore(func(st store.Store) error {
		v, err := app.ViewQuota(s.ctx, st, cfg)
		if err != nil {
			return err
		}
		if !v.Running {
			fmt.Fprintln(s.talk, "no Plumbline runs on this data directory: use is that of the records, and what is in flight is not known")
		}
		return use(v)
	})
}

// useCells are the figures of a limit's use, dashes where there are none.
func useCells(l *quota.Limit, u *quota.Use, v *app.QuotaView) []string {
	figure := l.Dimension.Figure
	if u == nil {
		return []string{"", "", "", figure(l.Value), "", ""}
	}
	inFlight := "unknown"
	if u.Pending != nil {
		inFlight = figure(*u.Pending)
	}
	return []string{
		figure(u.Used), inFlight, figure(u.Remaining), figure(l.Value), resetWords(u.Reset, v.At, v.Zone(l.ID)), forecastWords(u.Forecast, v.Zone(l.ID)),
	}
}

// resetWords gives a time in the limit's zone, and how far off it is.
func resetWords(reset, now time.Time, zone *time.Location) string {
	if reset.IsZero() {
		return ""
	}
	in := reset.Sub(now)
	switch at := reset.In(zone).Format(time.RFC3339); {
	case in > 48*time.Hour:
		return fmt.Sprintf("%s (in %d d)", at, int(in.Hours()/24))
	case in > time.Hour:
		return fmt.Sprintf("%s (in %d h %d min)", at, int(in.Hours()), int(in.Minutes())%60)
	case in > time.Minute:
		return fmt.Sprintf("%s (in %d min)", at, int(in.Minutes()))
	default:
		return fmt.Sprintf("%s (in %d s)", at, int(max(in, 0).Seconds()))
	}
}

func forecastWords(f quota.Forecast, zone *time.Location) string {
	switch f.Outlook {
	case quota.OutlookEarly:
		return "too early to tell"
	case quota.OutlookLasts:
		return "lasts"
	case quota.OutlookEnds:
		return "runs out " + f.RunsOut.In(zone).Format(time.RFC3339)
	case quota.OutlookOut:
		return "used up"
	default:
		return ""
	}
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
