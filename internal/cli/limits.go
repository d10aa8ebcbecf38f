package cli

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/alecthomas/kong"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/store"
)

var limits = listing[quota.Limit]{
	"limit",
	store.Store.Limits,
	[]string{"LIMIT", "SCOPE", "SUBJECT", "MODEL", "DIMENSION", "WINDOW", "ZONE", "VALUE", "ENFORCEMENT", "UNREACHABLE"},
	func(l quota.Limit) []string {
		subject, zone := l.Subject, cmp.Or(l.Zone, "UTC")
		if subject == "" && l.Scope != quota.ScopeEveryone {
			subject = "each"
		}
		if l.Window == quota.WindowMinute || l.Window == quota.WindowNone {
			zone = ""
		}
		return []string{
			l.ID, string(l.Scope), subject, cmp.Or(l.Model, "all"), string(l.Dimension), string(l.Window), zone, l.Dimension.Figure(l.Value),
			string(l.Enforces()), string(l.WhenUnreachable()),
		}
	},
}

// limitCmd is like objectCmds, but that a limit is set, and that it has a use.
type limitCmd struct {
	List      listCmd           `cmd:"" help:"List every limit."`
	Show      showCmd           `cmd:"" help:"Show one limit."`
	Set       limitSetCmd       `cmd:"" help:"Create or replace one limit."`
	Delete    deleteCmd         `cmd:"" help:"Delete one limit."`
	Effective limitEffectiveCmd `cmd:"" help:"Show which limits apply to a caller and why, what is left of each, and which one refuses first."`
	Usage     limitUsageCmd     `cmd:"" help:"Show how much of each limit each team, user or app has used, the most first."`
}

func (limitCmd) AfterApply(ctx *kong.Context) error { return bind(ctx, limits) }

type limitSetCmd struct {
	ID          string `arg:"" help:"The id: a-z, 0-9, '.', '_', '@' and '-'."`
	Scope       string `help:"everyone, team, user or app." enum:"everyone,team,user,app" required:""`
	Subject     string `help:"Id of the team, user or app; without it, each of them on its own."`
	Model       string `help:"Only models that match this pattern."`
	Dimension   string `help:"requests, input_tokens, output_tokens, tokens, cost or concurrency." enum:"requests,input_tokens,output_tokens,tokens,cost,concurrency" required:""`
	Window      string `help:"minute, hour, day, week or month; none for concurrency." enum:"none,minute,hour,day,week,month" default:"none"`
	Value       string `help:"The most that is allowed: 200000, 200k or 1.5M; of cost $5 or 0.25USD." required:""`
	Zone        string `help:"Time zone of the window, e.g. Europe/Berlin. Default: UTC."`
	Enforcement string `help:"hard refuses, soft warns, observe only counts." enum:"hard,soft,observe" default:"hard"`
	Unreachable string `help:"closed, local or open: what it does while a shared ledger cannot be reached. Without it, closed for cost and local for others." enum:",closed,local,open" default:""`
}

func (c limitSetCmd) Run(s *session) error {
	value, err := quota.ParseValue(quota.Dimension(c.Dimension), c.Value)
	if err != nil {
		return configError{fmt.Errorf("--value: %w", err)}
	}
	l := quota.Limit{
		ID: c.ID, Scope: quota.ScopeKind(c.Scope), Subject: c.Subject, Model: c.Model,
		Dimension: quota.Dimension(c.Dimension), Window: quota.Window(c.Window), Value: value, Zone: c.Zone,
		Enforcement: quota.Enforcement(c.Enforcement), Unreachable: quota.Unreachable(c.Unreachable), Created: time.Now(),
	}
	switch atOnce := l.Dimension == quota.DimensionConcurrency; {
	case !atOnce && l.Window == quota.WindowNone:
		return configError{fmt.Errorf("--window is needed for %s: minute, hour, day, week or month", l.Dimension)}
	case atOnce && l.Window != quota.WindowNone:
		return configError{errors.New("--window does not go with --dimension concurrency, which counts what is in flight at once")}
	}
	return s.withStore(func(st store.Store) error {
		if err := st.Limits().Put(s.ctx, l); err != nil {
			return err
		}
		fmt.Fprintf(s.talk, "limit %s is stored: %s, %s\n", l.ID, l.Name(), l.Dimension.Amount(l.Value))
		return s.warnOfLimits(st, l)
	})
}

// warnOfLimits tells of limits that can have no effect, as far as the given ones have a part in it.
func (s *session) warnOfLimits(st store.Store, about ...quota.Limit) error {
	if len(about) == 0 {
		return nil
	}
	cfg, _, err := s.config()
	if err != nil {
		return err
	}
	doubts, err := app.DoubtLimits(s.ctx, st, cfg)
	if err != nil {
		return err
	}
	for _, d := range doubts {
		if slices.ContainsFunc(about, func(l quota.Limit) bool { return l.ID == d.Limit || l.ID == d.By }) {
			fmt.Fprintf(s.talk, "warning: limit %s: %s\n", d.Limit, d.Why)
		}
	}
	return nil
}

type checkLimitsCmd struct{}

func (checkLimitsCmd) Run(s *session) error {
	cfg, _, err := s.config()
	if err != nil {
		return err
	}
	return s.withStore(func(st store.Store) error {
		doubts, err := app.DoubtLimits(s.ctx, st, cfg)
		switch {
		case err != nil:
			return err
		case len(doubts) == 0:
			return s.say([]string{}, "every limit can have an effect")
		}
		err = s.print(doubts, []string{"LIMIT", "PROBLEM"}, func(i int) []string { return []string{doubts[i].Limit, doubts[i].Why} })
		if err != nil {
			return err
		}
		return errProblems
	})
}
