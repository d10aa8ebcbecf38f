// Package app wires the parts together and runs them. It is the only package that knows every way to run.
//
// New builds everything and starts nothing; Run starts, serves until its context ends, and stops in reverse, each part
// within its grace.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/notary"
	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/extproc"
	"github.com/plumbline/plumbline/internal/identity"
	"github.com/plumbline/plumbline/internal/openai"
	"github.com/plumbline/plumbline/internal/quota/guard"
	"github.com/plumbline/plumbline/internal/quota/redis"
	"github.com/plumbline/plumbline/internal/quota/threshold"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/telemetry"
	"github.com/plumbline/plumbline/internal/wholefile"
)

// Options are the surroundings of an App.
type Options struct {
	Config config.Config
	Build  telemetry.Build
	Log    *slog.Logger
	// Out is the standard output, where audit.checkpoints.sink may have checkpoints go. Nil for nowhere.
	Out io.Writer
}

// App is a Plumbline that is built and, between Run's start and end, serves.
type App struct {
	cfg        config.Config
	log        *slog.Logger
	out        io.Writer
	store      store.Store
	bell       *bell // nil without a Redis
	wake       chan struct{}
	directory  *store.Directory
	audit      *audit.Log
	records    *records // nil without Postgres
	notary     *notary.Notary
	refusals   *audit.Refusals
	trail      *trail
	sealing    *sealing
	issuers    *issuers
	scorer     *deviation.Scorer // of the start
	models     *modelKeeper
	people     *people
	samples    *samples
	learner    *learner
	ledger     ledger
	guard      *guard.Guard  // nil with the ledger in memory
	shared     *redis.Ledger // nil with the ledger in memory
	endings    *endings      // nil with a shared ledger, like the two that follow
	roller     *roller
	adopter    *adopter
	policy     *policyKeeper
	thresholds *threshold.Bus
	keeper     *keeper

	calibration *calibrationCheck

	background *background // nil where jobs are left to others
	extproc    *extproc.Server
	listener   *extproc.Listener
	ops        *ops
	local      *local

	limitsChanged chan struct{} // something was loaded from the control data
}

// admitMargin is what a verdict leaves of Envoy's message_timeout, so that the caller gets Plumbline's error and not
// Envoy's.
const admitMargin = 300 * time.Millisecond

// stopLimit bounds what is done once the last exchange has ended: shipping the rest of the audit and closing what is open.
const stopLimit = 10 * time.Second

// New builds a Plumbline. What it opened is closed again when it fails.
func New(ctx context.Context, o Options) (_ *App, err error) {
	a := &App{cfg: o.Config, log: o.Log, out: o.Out, limitsChanged: make(chan struct{}, 1)}
	defer func() {
		if err != nil {
			a.close(context.WithoutCancel(ctx))
		}
	}()
	prices, err := LoadPrices(a.cfg.Prices)
	if err != nil {
		return nil, err
	}
	scorer, table, err := LoadScorer(a.cfg.Deviation)
	if err != nil {
		return nil, err
	}
	a.scorer = scorer
	registry := prometheus.NewRegistry()
	metrics := telemetry.New(registry, o.Build, prices.Names())
	metrics.ModelInUse(scorer.Version(), table.Version())
	a.models = newModelKeeper(a.cfg.Deviation, table, metrics, a.log)
	if a.policy, err = newPolicyKeeper(a.cfg.Policy.File, metrics, a.log); err != nil {
		return nil, err
	}
	if err := a.openStore(ctx); err != nil {
		return nil, err
	}
	if err := a.policy.started(); err != nil {
		return nil, err
	}
	a.policy.keep(ctx, a.store.Policies())
	if err := a.openAudit(ctx); err != nil {
		return nil, err
	}
	a.samples = newSamples(a.store, a.cfg.Deviation.Tune.Share.Fraction(), metrics, a.log)
	a.calibration = &calibrationCheck{store: a.store, model: a.people.model, promise: func() float64 { return a.policy.inForce().Promise() }, now: time.Now, log: a.log}
	if err := a.sealing.open(ctx, a.cfg.Audit, a.samples.note, metrics); err != nil {
		return nil, err
	}
	if err := a.openLedger(ctx, metrics); err != nil {
		return nil, err
	}
	if err := a.openRecords(ctx); err != nil {
		return nil, err
	}
	if err := a.openIssuers(metrics); err != nil {
		return nil, err
	}
	ledger, recorder := a.paired(timedLedger{a.ledger, metrics})
	a.thresholds = threshold.New(metrics)
	g, err := a.newGate(prices, a.thresholds.Watch(ledger), recorder, metrics)
	if err != nil {
		return nil, err
	}
	a.keeper = &keeper{ledger: ledger, live: g.Live, interval: a.keepInterval(), metrics: metrics, log: a.log}
	if err := a.openJobs(ctx, metrics); err != nil {
		return nil, err
	}
	a.extproc = extproc.New(extproc.Options{Gate: g, Log: a.log, MaxBodyBytesInFlight: int64(a.cfg.ExtProc.MaxBodyInFlight)})
	if err := a.listen(ctx, registry); err != nil {
		return nil, err
	}
	a.local = newLocal(ctx, AdminSocket(a.cfg.DataDir), a.log, a.repairer(ledger).handle, a.policy.handle)
	metrics.Watch(registry, a.gauges())
	return a, nil
}

// Run serves until ctx ends.
func (a *App) Run(ctx context.Context) error {
	defer func() {
		a.close(context.WithoutCancel(ctx))
		a.log.Info("stopped")
	}()
	told := context.AfterFunc(ctx, func() { a.log.Info("stopping; calls in flight may end", "grace", a.cfg.Shutdown.Grace) })
	defer told()
	group, ctx := errgroup.WithContext(ctx)
	// What requests rely on outlives the listeners: it ends when they are done.
	background, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBackground()

	group.Go(func() error { return ignoreCancel(a.directory.Run(background)) })
	group.Go(func() error { openai.WarmTokenizer(); return nil }) // a request that comes sooner waits for it
	group.Go(func() error { return ignoreCancel(a.people.warm(background)) })
	group.Go(func() error { return ignoreCancel(a.policy.run(background, a.store.Policies())) })
	group.Go(func() error { return ignoreCancel(a.bell.listen(background, a.wake)) })
	group.Go(func() error { return ignoreCancel(a.trail.run(background)) })
	group.Go(func() error { return ignoreCancel(a.sealing.run(background)) })
	group.Go(func() error { return ignoreCancel(a.samples.run(background)) })
	group.Go(func() error { return ignoreCancel(a.calibration.run(background)) })
	group.Go(func() error { return ignoreCancel(a.records.run(background)) })
	group.Go(func() error { return a.watchAudit(background) })
	group.Go(func() error { return ignoreCancel(a.notary.Run(background)) })
	group.Go(func() error { return ignoreCancel(a.keeper.run(background)) })
	group.Go(func() error { return ignoreCancel(a.runLedger(background)) })
	group.Go(func() error { return ignoreCancel(a.background.run(background)) })
	group.Go(func() error { return ignoreCancel(a.learner.run(background)) })
	group.Go(func() error { return ignoreCancel(a.models.run(background, a.people, a.learner.traffic)) })
	group.Go(func() error { return ignoreCancel(a.thresholds.Log(background, a.log)) })
	group.Go(func() error { return a.ops.serve(background) })
	group.Go(func() error { return a.local.serve(background) })
	group.Go(func() error { return ignoreCancel(a.issuers.run(background)) })
	a.issuers.await(ctx)
	a.awaitShared(ctx)
	group.Go(func() error {
		defer stopBackground()
		return a.listener.Serve(ctx, a.cfg.Shutdown.Grace)
	})
	a.listener.SetServing(true)
	a.log.Info("serving", "socket", a.Socket(), "ops", a.OpsURL(), "data_dir", a.cfg.DataDir, "model", a.scorer.Version())
	return group.Wait()
}

// Socket is the Unix socket (or TCP address) that Envoy's filter calls.
func (a *App) Socket() string { return a.listener.Address() }

// OpsURL is the base URL of metrics and health.
func (a *App) OpsURL() string { return "http://" + a.ops.address() }

// Store is the control data, for programs that seed it in the same process.
func (a *App) Store() store.Store { return a.store }

// Refresh brings what was written to the store into force now instead of within a second.
func (a *App) Refresh(ctx context.Context) error {
	if err := a.directory.Refresh(ctx); err != nil {
		return err
	}
	return a.awaitLimits(ctx)
}

// FlushRefusals records the sums of anonymous refusals now instead of at the end of their interval.
func (a *App) FlushRefusals(ctx context.Context) error { return a.refusals.Flush(ctx) }

// close releases what New opened, in reverse.
func (a *App) close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	if a.listener != nil {
		a.listener.Close()
	}
	if a.ops != nil {
		a.ops.close()
	}
	a.local.close()
	var errs []error
	if a.refusals != nil {
		errs = append(errs, a.refusals.Close(ctx))
	}
	if a.shared != nil {
		errs = append(errs, a.shared.Close())
	}
	if a.roller != nil {
		errs = append(errs, a.roller.close(ctx))
	}
	if a.audit != nil {
		errs = append(errs, a.records.close(ctx, a.audit, a.notary), a.audit.Close(ctx))
	}
	errs = append(errs, a.background.close())
	if a.store != nil {
		errs = append(errs, a.store.Close())
	}
	if err := errors.Join(errs...); err != nil {
		a.log.Error("stopping", "error", err)
	}
}

// maxPrices bounds a price table, in bytes: a model takes a few hundred.
const maxPrices = 4 << 20

// LoadPrices reads the price table, or gives the built-in one for no path, with what unknown models cost.
func LoadPrices(c config.Prices) (*openai.PriceTable, error) {
	table := openai.DefaultPrices()
	if c.File != "" {
		data, err := wholefile.Read(c.File, maxPrices)
		if err != nil {
			return nil, fmt.Errorf("prices.file: %w", err)
		}
		if table, err = openai.ParsePrices(data); err != nil {
			return nil, fmt.Errorf("prices.file: %s: %w", c.File, err)
		}
	}
	if c.UnknownInput > 0 {
		table = table.WithUnknown(core.MicroUSD(c.UnknownInput), core.MicroUSD(c.UnknownOutput))
	}
	return table, nil
}

// LoadMesh reads which identities of the mesh are believed, and for whom they stand. All problems are reported at once.
func LoadMesh(c config.Mesh) (identity.Mesh, error) {
	m := identity.Mesh{DummyKey: c.DummyKey}
	var errs []error
	for i, text := range c.IDs {
		rule, err := identity.ParseMeshRule(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("identity.mesh.ids[%d]: %w", i, err))
			continue
		}
		m.Rules = append(m.Rules, rule)
	}
	return m, errors.Join(errs...)
}

// AuditPath and StorePath are the two files of the embedded mode.
func AuditPath(dataDir string) string { return filepath.Join(dataDir, "audit.db") }

// StorePath is the file of the control data. See AuditPath.
func StorePath(dataDir string) string { return filepath.Join(dataDir, "plumbline.db") }

func ignoreCancel(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
