package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/read"
	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/quota/memory"
	"github.com/plumbline/plumbline/internal/store"
)

// QuotaView is how limits stand, as a command sees them: told by the process that serves, or else reckoned from the records
// as that process would at its start.
type QuotaView struct {
	// Running says that the serving process told. Otherwise what calls in flight hold is not known.
	Running bool
	At      time.Time

	snapshot *store.Snapshot
	charges  func(context.Context, func(audit.Charged) error) error
	others   func(context.Context) ([]quota.Subject, error) // who called at any replica; nil where this one is alone
	ask      quota.Ask
}

// ViewQuota gives how limits stand now. It changes nothing.
func ViewQuota(ctx context.Context, st store.Store, c config.Config) (*QuotaView, error) {
	directory, err := store.NewDirectory(ctx, store.DirectoryOptions{Store: st})
	if err != nil {
		return nil, err
	}
	v := &QuotaView{At: time.Now(), snapshot: directory.Snapshot(), ask: askRunning(c.DataDir)}
	v.charges = func(ctx context.Context, fn func(audit.Charged) error) error {
		return eachCharge(ctx, AuditPath(c.DataDir), v.At.Add(-quota.LongestWindow), fn)
	}
	if c.Quota.Ledger == config.LedgerRedis && !c.Postgres.URL.IsZero() {
		v.others = func(ctx context.Context) ([]quota.Subject, error) { return callersAnywhere(ctx, c, v.At) }
	}
	_, err = v.ask(ctx)
	switch {
	case err == nil:
		v.Running = true
	case errors.Is(err, errNotRunning):
		err = v.reckon(ctx)
	}
	return v, err
}

// eachCharge reads the charges of a log, which may not be there yet.
func eachCharge(ctx context.Context, path string, since time.Time, fn func(audit.Charged) error) error {
	r, err := audit.OpenReader(ctx, path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer r.Close()
	return r.Charges(ctx, audit.ChargesQuery{Since: since}, fn)
}

// reckon fills a ledger from the records.
func (v *QuotaView) reckon(ctx context.Context) error {
	ledger := memory.New(memory.Options{Now: func() time.Time { return v.At }})
	v.ask = quota.AskLedger(ledger, v.snapshot.Limits(), v.At)
	return v.charges(ctx, func(c audit.Charged) error {
		return ledger.Replay(c.Charge, subjectOf(c), v.snapshot.Limits())
	})
}

// Zone is the time zone of a limit, UTC for one that does not exist.
func (v *QuotaView) Zone(limit string) *time.Location { return v.snapshot.Limits().Zone(limit) }

// Has reports whether a limit exists.
func (v *QuotaView) Has(limit string) bool {
	return slices.ContainsFunc(v.snapshot.Limits().Limits(), func(l quota.Limit) bool { return l.ID == limit })
}

// Effective explains every limit to a caller; see quota.Effective. The team of a person is looked up.
func (v *QuotaView) Effective(ctx context.Context, s quota.Subject) (quota.Subject, []quota.Effect, error) {
	s, err := v.complete(s)
	if err != nil {
		return s, nil, err
	}
	effects, err := quota.Effective(ctx, v.ask, v.snapshot.Limits(), s, v.At)
	for i := range effects {
		if effects[i].Use != nil && !v.Running {
			effects[i].Use.Pending = nil
		}
	}
	return s, effects, err
}

// complete finds the team that a call would have, as authentication does: the user's, else the one that is named, else the
// app's.
func (v *QuotaView) complete(s quota.Subject) (quota.Subject, error) {
	team := ""
	if s.App != "" {
		app, ok := v.snapshot.App(s.App)
		if !ok {
			return s, fmt.Errorf("app %q does not exist", s.App)
		}
		team = app.Team
	}
	if s.Team != "" {
		if _, ok := v.snapshot.Team(s.Team); !ok {
			return s, fmt.Errorf("team %q does not exist", s.Team)
		}
		team = s.Team
	}
	if s.User != "" {
		user, ok := v.snapshot.User(s.User)
		switch {
		case !ok:
			return s, fmt.Errorf("user %q does not exist", s.User)
		case s.Team != "" && user.Team != "" && s.Team != user.Team:
			return s, fmt.Errorf("user %q is of team %q, not %q", s.User, user.Team, s.Team)
		}
		team = cmp.Or(user.Team, team)
	}
	s.Team = team
	return s, nil
}

// maxCallers bounds whom Usage knows from other replicas: those whose calls cost most.
const maxCallers = 10_000

// callersAnywhere gives who called in the longest window at any replica whose records are in Postgres.
func callersAnywhere(ctx context.Context, c config.Config, at time.Time) (subjects []quota.Subject, err error) {
	r, done, err := OpenReader(ctx, c)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, done()) }()
	rows, err := r.Sum(ctx, read.SumQuery{
		Since: at.Add(-quota.LongestWindow), Until: at, Limit: maxCallers,
		By: []read.Dimension{read.ByUser, read.ByTeam, read.ByApp, read.ByModel},
	})
	for _, row := range rows {
		subjects = append(subjects, quota.Subject{User: row.User, Team: row.Team, App: row.App, Model: row.Model})
	}
	return subjects, err
}

// Usage gives the use of every counter that anybody used in its window; see quota.Counters. Whoever has only calls in flight
// and none that ended is not among them. What a shared ledger counts of callers of other replicas is, once Postgres has
// their records.
func (v *QuotaView) Usage(ctx context.Context) ([]quota.CounterUse, error) {
	var subjects []quota.Subject
	seen := map[quota.Subject]bool{}
	err := v.charges(ctx, func(c audit.Charged) error {
		if s := subjectOf(c); !seen[s] {
			seen[s] = true
			subjects = append(subjects, s)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if v.Running && v.others != nil {
		elsewhere, err := v.others(ctx)
		if err != nil {
			return nil, err
		}
		subjects = append(subjects, elsewhere...)
	}
	uses, err := quota.Counters(ctx, v.ask, v.snapshot.Limits(), subjects, v.At)
	for i := range uses {
		if !v.Running {
			uses[i].Pending = nil
		}
	}
	return uses, err
}

// DoubtLimits finds limits that can have no effect beside the others of the store and the price table; see quota.Doubts.
func DoubtLimits(ctx context.Context, st store.Store, c config.Config) ([]quota.Doubt, error) {
	objects, _, err := st.Load(ctx)
	if err != nil {
		return nil, err
	}
	prices, err := LoadPrices(c.Prices)
	if err != nil {
		return nil, err
	}
	return quota.Doubts(objects.Limits, prices.Names()), nil
}
