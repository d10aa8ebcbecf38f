// Package simulate tries ways of keeping quota on made-up traffic, in virtual time: one exact ledger, escrow over several
// shards, and what other gateways do.
//
// It answers how often each admits, by how much it passes a limit, and what it costs in messages. The shards are the
// shipped arithmetic: each holds a memory ledger, driven by a clock of its own. Everything is drawn from one seed, so that
// a run gives the same report wherever it runs; memory is bounded by the people and by the calls that are in flight.
// It must not import a front end, a back end or a clock.
package simulate

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/plumbline/plumbline/internal/quota"
)

// Options of a simulation. Rates are of virtual time.
type Options struct {
	Seed     uint64        `json:"seed"`
	Users    int           `json:"users"`
	Teams    int           `json:"teams"`
	Rate     float64       `json:"rate"`     // calls a second, on average
	Duration time.Duration `json:"duration"` // of the traffic; a quarter of it lies before a change of all calendar windows
	Replicas int           `json:"replicas"`
	Shards   int           `json:"shards"` // of escrow; the other models have one ledger
	// Slab is the budget that a replica first leases of a shared counter, in calls like the one that asks. It then
	// follows demand.
	Slab    int           `json:"slab"`
	OpTime  time.Duration `json:"op_time"` // what one operation occupies a ledger for
	Crashes int           `json:"crashes"` // of replicas
	Loss    float64       `json:"loss"`    // the share of messages that are lost, and the share that arrive twice
	// Limits are those that apply, DefaultLimits if there are none.
	Limits []quota.Limit `json:"limits"`
}

// Defaults gives the options of the load that the design names: 10⁵ users and 10⁴ calls a second.
func Defaults() Options {
	return Options{
		Seed: 1, Users: 100_000, Teams: 100, Rate: 10_000, Duration: 30 * time.Second, Replicas: 12, Shards: 4, Slab: 16,
		OpTime: 25 * time.Microsecond, Crashes: 3, Loss: 1e-4,
	}
}

// Bounds of options. They keep a run within memory and within minutes.
const (
	maxUsers    = 1_000_000
	maxCalls    = 50_000_000
	maxReplicas = 1000
	maxLoss     = 0.5
)

// Validate returns all that is wrong with the options, joined, or nil.
func (o Options) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(o.Users >= 1 && o.Users <= maxUsers, "users must be between 1 and %d", maxUsers)
	check(o.Teams >= 1 && o.Teams <= maxUsers, "teams must be between 1 and %d", maxUsers)
	check(o.Rate > 0 && o.Duration > 0 && o.Duration <= time.Hour && o.Rate*o.Duration.Seconds() <= maxCalls,
		"rate and duration must be above 0, the duration at most 1h, and both together at most %d calls", maxCalls)
	check(o.Replicas >= 1 && o.Replicas <= maxReplicas, "replicas must be between 1 and %d", maxReplicas)
	check(o.Shards >= 1 && o.Shards <= maxReplicas, "shards must be between 1 and %d", maxReplicas)
	check(o.Slab >= 1 && o.Slab <= 1<<20, "the slab must be between 1 and %d calls", 1<<20)
	check(o.OpTime > 0 && o.OpTime <= time.Second, "the time of an operation must be above 0 and at most 1s")
	check(o.Crashes >= 0 && o.Crashes <= 1000, "crashes must be between 0 and 1000")
	check(o.Loss >= 0 && o.Loss <= maxLoss, "the loss must be between 0 and %v", maxLoss)
	if _, err := quota.Compile(o.Limits); err != nil {
		errs = append(errs, err)
	}
	for _, l := range o.Limits {
		check(l.Dimension != quota.DimensionConcurrency || l.Scope == quota.ScopeUser,
			"limit %q: only users' limits of concurrency can be simulated: those that users share are not escrowed", l.ID)
	}
	return errors.Join(errs...)
}

// Run simulates every model on the same traffic. It returns what Validate finds, or the context's error.
func Run(ctx context.Context, o Options) (Report, error) {
	if err := o.Validate(); err != nil {
		return Report{}, err
	}
	return run(ctx, withLimits(o), models())
}

// withLimits gives options that have limits.
func withLimits(o Options) Options {
	if len(o.Limits) == 0 {
		o.Limits = DefaultLimits(o)
	}
	return o
}

// run simulates models, as many at once as the machine has processors.
func run(ctx context.Context, o Options, models []model) (Report, error) {
	figures := make([]Figures, len(models))
	errs := make([]error, len(models))
	var all sync.WaitGroup
	turns := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i, m := range models {
		all.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			figures[i], errs[i] = newSim(o, m).run(ctx)
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return Report{}, err
	}
	return newReport(o, figures), nil
}
