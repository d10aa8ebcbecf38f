package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/quota/drift"
	"github.com/plumbline/plumbline/internal/store"
)

// QuotaDrift is how the ledger's posted amounts differ from the records.
type QuotaDrift struct {
	Ledger config.LedgerKind `json:"ledger"`
	// Partial says that records of some replicas were not at hand: their charges are among the differences.
	Partial bool   `json:"partial"`
	Books   []Book `json:"books"`
	drift.Report
}

// Book is the records of one replica.
type Book struct {
	Name string `json:"name"`
	Path string `json:"path,omitempty"` // of the audit that was read, empty where it was not
	// Joined says that the shared ledger counts by it: its replica has brought it back since the ledger last lost its memory.
	Joined bool `json:"joined"`
}

// Missing are the books that were not read.
func (d *QuotaDrift) Missing() []Book {
	return slices.DeleteFunc(slices.Clone(d.Books), func(b Book) bool { return b.Path != "" })
}

// QuotaRepair compares the quota ledger with the records, and mends it.
type QuotaRepair struct {
	cfg      config.Config
	limits   *quota.LimitSet
	subjects []quota.Subject
	admin    adminClient
	actor    string
	instance string // of the ledger in memory, as it was compared
	patience time.Duration
}

// NewQuotaRepair prepares it, in the name of somebody.
func NewQuotaRepair(ctx context.Context, st store.Store, c config.Config, actor string) (*QuotaRepair, error) {
	objects, _, err := st.Load(ctx)
	if err != nil {
		return nil, err
	}
	limits, err := quota.Compile(objects.Limits)
	if err != nil {
		return nil, err
	}
	return &QuotaRepair{
		cfg: c, limits: limits, subjects: everySubject(objects), admin: newAdminClient(c.DataDir), actor: actor,
	}, nil
}

// everySubject gives subjects that between them count under each limit for each team, user and app that there is.
func everySubject(o store.Objects) []quota.Subject {
	models := map[string]struct{}{"": {}}
	for i := range o.Limits {
		// A name that the pattern matches, where it is one of stars. Others are met by what was called.
		models[strings.ReplaceAll(o.Limits[i].Model, "*", "")] = struct{}{}
	}
	var all []quota.Subject
	for model := range models {
		all = append(all, quota.Subject{Model: model})
		for _, t := range o.Teams {
			all = append(all, quota.Subject{Team: t.ID, Model: model})
		}
		for _, a := range o.Apps {
			all = append(all, quota.Subject{App: a.ID, Team: a.Team, Model: model})
		}
		for _, u := range o.Users {
			all = append(all, quota.Subject{User: u.ID, Team: u.Team, Model: model})
		}
	}
	return all
}

// ErrNoLedger says that there is no ledger to compare: it is in the memory of a process, and none runs.
var ErrNoLedger = errors.New("no Plumbline runs on this data directory, and the ledger is in the memory of one that does: " +
	"there is nothing to compare. `plumbline serve` fills its ledger from the records when it starts, so that they agree")

// Compare compares, to the last unit, while calls go on. Directories are data directories of other replicas, beside the
// configured one.
func (q *QuotaRepair) Compare(ctx context.Context, directories []string) (*QuotaDrift, error) {
	books, err := openBooks(ctx, append([]string{q.cfg.DataDir}, directories...))
	if err != nil {
		return nil, err
	}
	defer func() { _ = books.Close() }() // only read
	if q.cfg.Quota.Ledger == config.LedgerRedis {
		return q.compareShared(ctx, books)
	}
	if len(directories) > 0 {
		return nil, errors.New("a ledger in memory counts by the records of its own data directory alone: --records is for a ledger that replicas share")
	}
	return q.compareRunning(ctx, books)
}

func (q *QuotaRepair) compare(ctx context.Context, ledger drift.Ledger, books *books) (*QuotaDrift, error) {
	report, err := drift.Compare(ctx, drift.Options{
		Ledger: ledger, Records: books, Limits: q.limits, Subjects: q.subjects, Now: time.Now, Patience: q.patience,
	})
	if err != nil {
		return nil, err
	}
	return &QuotaDrift{Ledger: q.cfg.Quota.Ledger, Report: *report}, nil
}

func (q *QuotaRepair) compareRunning(ctx context.Context, books *books) (*QuotaDrift, error) {
	ledger := runningLedger{q, books.first()}
	if _, err := ledger.Look(ctx); err != nil { // where nothing was ever called, it is asked for nothing else
		if errors.Is(err, errNotRunning) {
			return nil, ErrNoLedger
		}
		return nil, err
	}
	d, err := q.compare(ctx, ledger, books)
	if err != nil {
		return nil, err
	}
	for _, b := range books.list {
		d.Books = append(d.Books, Book{b.name, b.path, true})
	}
	return d, nil
}

func (q *QuotaRepair) compareShared(ctx context.Context, books *books) (*QuotaDrift, error) {
	ledger, err := OpenRedis(q.cfg.Redis, "")
	if err != nil {
		return nil, err
	}
	defer func() { _ = ledger.Close() }() // only read
	state, err := epochState(ctx, ledger)
	if err != nil {
		return nil, err
	}
	books.lowest = state.Marks
	d, err := q.compare(ctx, redisLedger{ledger, q.limits, state.Epoch}, books)
	if err != nil {
		return nil, err
	}
	known := map[string]string{}
	for _, name := range append(slices.Collect(maps.Keys(state.Marks)), state.Books...) {
		known[name] = ""
	}
	for _, b := range books.list {
		known[b.name] = b.path
	}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		_, joined := state.Marks[name]
		d.Books = append(d.Books, Book{name, known[name], joined})
	}
	d.Partial = len(d.Missing()) > 0
	return d, nil
}

// RebuildTime is how long the repair of a shared ledger may keep money closed.
const RebuildTime = 30 * time.Second

// MendRunning has the process that serves take the differences of calendar windows out of its ledger, and gives how many
// counters that were. Those of the sliding minute pass by themselves.
func (q *QuotaRepair) MendRunning(ctx context.Context, d *QuotaDrift) (int, error) {
	var all []correction
	for i := range d.Counters {
		if row := &d.Counters[i]; row.State == drift.StateDrift && !row.Until.IsZero() {
			all = append(all, correction{row.Limit, row.Witness, row.Since, -row.Difference})
		}
	}
	n := 0
	for some := range slices.Chunk(all, maxMended/20) { // a question of maxQuestion bytes
		var a mendAnswer
		if err := q.admin.ask(ctx, mendPath, mendQuestion{q.actor, q.instance, some}, &a); err != nil {
			return n, err
		}
		n += a.Mended
	}
	return n, nil
}

// BeginEpoch has the shared ledger begin anew, with the records that every replica which runs brings back, and gives how many
// those are.
func (q *QuotaRepair) BeginEpoch(ctx context.Context) (int, error) {
	var a mendAnswer
	err := q.admin.ask(ctx, epochPath, epochQuestion{q.actor}, &a)
	if errors.Is(err, errNotRunning) {
		return 0, fmt.Errorf("%w: run the repair where a replica runs", err)
	}
	return a.Mended, err
}
