package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/extproc"
	"github.com/plumbline/plumbline/internal/gate"
	"github.com/plumbline/plumbline/internal/identity"
	"github.com/plumbline/plumbline/internal/intent"
	"github.com/plumbline/plumbline/internal/openai"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/quota/memory"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/telemetry"
	"github.com/plumbline/plumbline/internal/wait"
)

// closeTimeout bounds what is owed when an exchange ends: its record and its settlement.
const closeTimeout = 10 * time.Second

// takenLimit is how long a start waits for its log, which another replica may be shipping, and takenRetry how often it looks.
const takenLimit, takenRetry = 10 * time.Second, 100 * time.Millisecond

func (a *App) openAudit(ctx context.Context) error {
	o := audit.Options{
		Path: AuditPath(a.cfg.DataDir), Durability: audit.Durability(a.cfg.Audit.Durability),
		Journal: int64(a.cfg.Audit.JournalSize), Now: time.Now, Logger: a.log,
	}
	if !a.cfg.Postgres.URL.IsZero() {
		o.MaxSize = int64(a.cfg.Audit.SpoolSize)
		if err := a.setAside(); err != nil {
			return err
		}
	}
	log, err := openLog(ctx, o)
	if err != nil {
		return err
	}
	a.audit = log
	closed, err := log.Recover(ctx)
	if err != nil {
		return fmt.Errorf("closing what an earlier Plumbline left open: %w", err)
	}
	if closed > 0 {
		a.log.Warn("closed exchanges that an earlier Plumbline left open; they are charged what they had reserved", "exchanges", closed)
	}
	a.refusals = audit.NewRefusals(log, audit.RefusalOptions{Now: time.Now, Logger: a.log})
	if a.trail, err = newTrail(ctx, a.store, log, a.log); err != nil {
		return err
	}
	return a.trail.catchUp(ctx)
}

// setAside begins a new log where the disk has failed under the one before. Its records are shipped from where it was moved to.
func (a *App) setAside() error {
	dir, err := audit.SetAside(AuditPath(a.cfg.DataDir))
	if dir != "" {
		a.log.Warn("the disk had failed under the audit log; a new one is begun, and what the old one holds is shipped to Postgres", "moved_to", dir)
	}
	return err
}

// openLog opens the log. Another replica may hold it that ships what a process before left in it: that one lets go of it soon.
func openLog(ctx context.Context, o audit.Options) (*audit.Log, error) {
	for end := time.Now().Add(takenLimit); ; {
		log, err := audit.Open(ctx, o)
		if !errors.Is(err, audit.ErrInUse) || o.MaxSize == 0 || time.Now().After(end) {
			return log, err
		}
		if err := wait.For(ctx, takenRetry); err != nil {
			return nil, err
		}
	}
}

// openLedger makes the ledger that the configuration asks for.
func (a *App) openLedger(ctx context.Context, metrics *telemetry.Metrics) error {
	if a.cfg.Quota.Ledger == config.LedgerRedis {
		return a.openShared(ctx, metrics)
	}
	return a.fillLedger(ctx)
}

// fillLedger books what the audit says was charged in windows that may still count.
func (a *App) fillLedger(ctx context.Context) error {
	ledger, limits := memory.New(memory.Options{Now: time.Now, Lease: lease}), a.wantedLimits()
	a.roller = &roller{audit: a.audit, path: filepath.Join(a.cfg.DataDir, "quota.sums"), now: time.Now, log: a.log}
	if err := a.roller.fill(ctx, ledger, limits); err != nil {
		return fmt.Errorf("filling the quota ledger from the audit: %w", err)
	}
	a.adopter = newAdopter(ledger, limits, a.roller, a.wantedLimits, a.limitsChanged)
	a.ledger = a.adopter
	return nil
}

// paired gives the ledger and the audit as the gate uses them. Of a ledger in memory it is noted what is on its way to it.
func (a *App) paired(ledger quota.Ledger) (quota.Ledger, gate.Recorder) {
	if a.adopter == nil {
		return ledger, a.audit
	}
	a.endings = newEndings(a.audit, ledger)
	return a.endings, a.endings
}

// repairer answers on the admin socket.
func (a *App) repairer(ledger quota.Ledger) repairer {
	return repairer{
		asker:   asker{a.Refresh, a.limits, ledger},
		endings: a.endings, adopter: a.adopter, shared: a.shared, record: a.audit.Append, now: time.Now,
	}
}

func (a *App) newGate(
	prices *openai.PriceTable, ledger quota.Ledger, recorder gate.Recorder, metrics *telemetry.Metrics,
) (*gate.Gate, error) {
	classifier, err := intent.Default()
	if err != nil {
		return nil, err
	}
	a.learner = newLearner(a.cfg.Deviation, a.scorer, a.people, a.log)
	a.sealing.forget = a.learner.forget
	authenticator, err := a.newAuthenticator()
	if err != nil {
		return nil, err
	}
	o := gate.Options{
		Identity:   authenticator,
		Directory:  a.people.inForce,
		Policy:     a.policy.inForce,
		Prices:     func() *openai.PriceTable { return prices },
		Classifier: classifier, Extend: extends(classifier), Scorer: a.people, Traffic: a.learner.traffic,
		Owners: a.owners(), Ledger: ledger, Audit: recorder, Refusals: a.refusals,
		Sealer: a.sealing.sealer, Addresses: recordedAddresses(a.cfg.Audit.Addresses),
		Metrics: metrics, Log: a.log, Now: time.Now,
		MaxBody:      int64(a.cfg.ExtProc.MaxBody),
		AdmitTimeout: a.cfg.ExtProc.MessageTimeout - admitMargin, CloseTimeout: closeTimeout,
		CutGraceTime: a.cfg.ExtProc.CutGrace, CutGraceBytes: int64(a.cfg.ExtProc.CutGraceBytes),
	}
	if a.cfg.Provider.InjectKey {
		o.ProviderKey = a.cfg.Provider.Key.Reveal
	}
	return gate.New(o)
}

// owners are whose the objects at the provider are. Those in Postgres are remembered; a look into the file is as cheap.
func (a *App) owners() store.Ownership {
	if a.cfg.Postgres.URL.IsZero() {
		return a.store.Ownership()
	}
	return store.Remember(a.store.Ownership(), a.directory.Snapshot, store.RememberedObjects)
}

func recordedAddresses(a config.Addresses) gate.Addresses {
	switch a {
	case config.AddressesNetwork:
		return gate.AddressesNetwork
	case config.AddressesFull:
		return ""
	case config.AddressesNone:
	}
	return gate.AddressesNone
}

func (a *App) newAuthenticator() (gate.Authenticator, error) {
	if a.cfg.Identity.Authn == config.AuthnNone {
		a.log.Warn("authentication is OFF (identity.authn: none): everybody is let in, as app anonymous")
		return anyone{}, nil
	}
	mesh, err := LoadMesh(a.cfg.Identity.Mesh)
	if err != nil {
		return nil, err
	}
	return identity.NewVerifier(identity.Options{
		Issuer: a.cfg.Identity.Issuer, Audience: a.cfg.Identity.Audience,
		Issuers: a.issuers.trusted, Mesh: mesh,
		Credentials: func() identity.Credentials { return a.directory.Snapshot() },
		Now:         time.Now, MaxLifetime: a.cfg.Identity.MaxLifetime, Leeway: a.cfg.Identity.Leeway,
	})
}

// anyone lets everybody in under one name, for authn: none.
type anyone struct{}

func (anyone) Authenticate(context.Context, identity.Evidence) (*identity.Session, *core.Error) {
	return &identity.Session{Principal: core.Principal{App: "anonymous"}}, nil
}

func (anyone) Still(*identity.Session) *core.Error { return nil }

func (a *App) listen(ctx context.Context, registry *prometheus.Registry) (err error) {
	c := a.cfg.ExtProc
	a.listener, err = a.extproc.Listen(ctx, extproc.ListenOptions{
		Socket: c.Socket, Mode: fs.FileMode(c.SocketMode), Address: c.Listen, MaxBody: int64(c.MaxBody),
	})
	if err != nil {
		return err
	}
	a.ops, err = newOps(ctx, a.cfg.Ops, opsParts{registry: registry, ready: a.ready, keys: a.publicKeys, log: a.log})
	return err
}

// publicKeys are the keys with which others verify Plumbline's own tokens.
func (a *App) publicKeys() ([]byte, error) {
	return identity.PublicKeySet(a.directory.Snapshot().SigningKeys(), time.Now(), TokenLife(a.cfg.Identity))
}

// ready reports what keeps Plumbline from governing.
func (a *App) ready() error {
	if err := a.audit.Healthy(); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return a.directory.Fresh()
}

// watchAudit ends with an error when the disk has failed under the audit log: no call passes any more, and the next start goes
// on with what can be relied on.
func (a *App) watchAudit(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-a.audit.GaveUp():
		return fmt.Errorf("stopping, so that a new start can go on: %w", a.audit.Healthy())
	}
}

func (a *App) gauges() telemetry.Gauges {
	return telemetry.Gauges{
		QuotaReservedTokens: func() float64 { return float64(a.ledger.ReservedTokens()) },
		QuotaOverruns:       func() float64 { return float64(a.ledger.Overruns()) },
		StreamsOpen:         func() float64 { return float64(a.extproc.OpenStreams()) },
		BodyBytesInFlight:   func() float64 { return float64(a.extproc.BodyBytesInFlight()) },
		AuditHealthy:        func() bool { return a.audit.Healthy() == nil },
		Spool:               a.records.spoolGauges(),
		Checkpoints:         a.checkpointGauges,
		Calibration:         func() telemetry.Calibration { return a.calibration.gauges(a.people.current.Load()) },
		DirectoryVersion:    func() float64 { return float64(a.directory.Snapshot().Generation()) },
		DirectoryAge:        func() float64 { return a.directory.Age().Seconds() },
		DirectoryFailures:   func() float64 { return float64(a.directory.Failures()) },
	}
}
