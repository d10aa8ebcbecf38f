package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/quota/guard"
	"github.com/plumbline/plumbline/internal/quota/redis"
	"github.com/plumbline/plumbline/internal/telemetry"
)

// sharedWait bounds how long a start waits for the shared ledger. Without it requests are served as each limit says.
const sharedWait = 3 * time.Second

// sharedKeepInterval keeps leases that other replicas would end, and the progress that they would charge.
const sharedKeepInterval = 2 * time.Second

// openShared makes the ledger that this replica shares with others, and the guard in front of it. It connects to nothing.
func (a *App) openShared(ctx context.Context, metrics *telemetry.Metrics) error {
	book, err := a.audit.Name(ctx)
	if err != nil {
		return err
	}
	if a.shared, err = OpenRedis(a.cfg.Redis, book); err != nil {
		return err
	}
	a.guard = guard.New(guard.Options{
		Shared: sharedLedger{a.shared}, Records: bookOf{a.audit},
		Limits: a.wantedLimits, Changed: a.limitsChanged,
		Metrics:  guardMetrics{metrics},
		Deadline: a.cfg.Redis.Deadline, Lease: lease, Now: time.Now, Log: a.log,
	})
	a.ledger = a.guard
	return nil
}

// OpenRedis makes the ledger of one book in the configured Redis. It does not connect.
func OpenRedis(c config.Redis, book string) (*redis.Ledger, error) {
	o, err := redisOptions(c)
	if err != nil {
		return nil, err
	}
	o.Book, o.Lease = book, lease
	return redis.New(o)
}

// redisOptions say how the configured Redis is reached.
func redisOptions(c config.Redis) (redis.Options, error) {
	o := redis.Options{
		Addrs: c.Addresses, Cluster: c.Cluster, Username: c.Username, Password: c.Password.Reveal(), Namespace: c.Namespace,
	}
	if !c.TLS {
		return o, nil
	}
	o.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile == "" {
		return o, nil
	}
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return o, fmt.Errorf("redis.ca_file: %w", err)
	}
	o.TLS.RootCAs = x509.NewCertPool()
	if !o.TLS.RootCAs.AppendCertsFromPEM(pem) {
		return o, errors.New("redis.ca_file: holds no certificate in PEM")
	}
	return o, nil
}

// awaitShared gives the shared ledger a moment to be found before requests come.
func (a *App) awaitShared(ctx context.Context) {
	if a.guard == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, sharedWait)
	defer cancel()
	if err := a.guard.Await(ctx); err != nil {
		a.log.Warn("serving before the shared quota ledger was found: each limit does what it is set to do without it")
	}
}

// runLedger does what the ledger needs beside the path of requests.
func (a *App) runLedger(ctx context.Context) error {
	if a.guard != nil {
		return a.guard.Run(ctx)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return a.roller.run(ctx) })
	group.Go(func() error { return a.adopter.run(ctx) })
	return group.Wait()
}

func (a *App) keepInterval() time.Duration {
	if a.guard != nil {
		return sharedKeepInterval
	}
	return keepInterval
}

// sharedLedger gives the ledger in Redis the guard's words.
type sharedLedger struct{ *redis.Ledger }

var _ guard.Shared = sharedLedger{}

// worded gives an error of Redis as the guard knows it.
func worded(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, redis.ErrEpoch):
		return fmt.Errorf("%w: %w", guard.ErrEpoch, err)
	case errors.Is(err, redis.ErrMark):
		return fmt.Errorf("%w: %w", guard.ErrMark, err)
	case errors.Is(err, redis.ErrUnreachable):
		return fmt.Errorf("%w: %w", guard.ErrUnreachable, err)
	default:
		return err
	}
}

func (s sharedLedger) Reserve(ctx context.Context, r quota.Request) (quota.Reservation, error) {
	reservation, err := s.Ledger.Reserve(ctx, r)
	return reservation, worded(err)
}

func (s sharedLedger) Extend(ctx context.Context, id string, to quota.Amounts) (quota.Reservation, error) {
	reservation, err := s.Ledger.Extend(ctx, id, to)
	return reservation, worded(err)
}

func (s sharedLedger) Touch(ctx context.Context, progress ...quota.Progress) error {
	return worded(s.Ledger.Touch(ctx, progress...))
}

func (s sharedLedger) Settle(ctx context.Context, id string, used quota.Amounts) (quota.Amounts, error) {
	settled, err := s.Ledger.Settle(ctx, id, used)
	return settled, worded(err)
}

func (s sharedLedger) Void(ctx context.Context, id string) error {
	return worded(s.Ledger.Void(ctx, id))
}

func (s sharedLedger) Expire(ctx context.Context, now time.Time) ([]string, error) {
	ids, err := s.Ledger.Expire(ctx, now)
	return ids, worded(err)
}

// Standings are those of the server's clock.
func (s sharedLedger) Standings(
	ctx context.Context, subject quota.Subject, limits *quota.LimitSet, _ time.Time,
) ([]quota.Standing, error) {
	all, err := s.Ledger.Standings(ctx, subject, limits, time.Time{})
	return all, worded(err)
}

func (s sharedLedger) Heartbeat(ctx context.Context) (guard.Pulse, error) {
	p, err := s.Ledger.Heartbeat(ctx)
	if err != nil {
		return guard.Pulse{}, worded(err)
	}
	out := guard.Pulse{Time: p.Time, Epoch: guard.Epoch{ID: p.Epoch.ID, Since: p.Epoch.Since, Rebuilding: p.Epoch.Rebuilding}, Lost: p.Lost()}
	for _, b := range p.Books {
		out.Books = append(out.Books, b.Name)
	}
	return out, nil
}

func (s sharedLedger) BeginEpoch(ctx context.Context, old string, books ...string) error {
	_, err := s.Ledger.BeginEpoch(ctx, old, books...)
	return worded(err)
}

func (s sharedLedger) Adopt(e guard.Epoch) { s.Ledger.Adopt(redis.Epoch{ID: e.ID, Since: e.Since}) }

func (s sharedLedger) Reassert(ctx context.Context, live ...quota.Live) error {
	return worded(s.Ledger.Reassert(ctx, live...))
}

func (s sharedLedger) Owned(ctx context.Context) ([]string, error) {
	ids, err := s.Ledger.Owned(ctx)
	return ids, worded(err)
}

func (s sharedLedger) Mark(ctx context.Context) (int64, bool, error) {
	mark, known, err := s.Ledger.Mark(ctx)
	return mark, known, worded(err)
}

func (s sharedLedger) Post(ctx context.Context, from, to int64, postings ...quota.Posting) error {
	return worded(s.Ledger.Post(ctx, from, to, postings...))
}

func (s sharedLedger) Coverage(ctx context.Context) (string, bool, error) {
	text, known, err := s.Ledger.Coverage(ctx)
	return text, known, worded(err)
}

func (s sharedLedger) PostCovering(ctx context.Context, from, to string, postings ...quota.Posting) error {
	return worded(s.Ledger.PostCovering(ctx, from, to, postings...))
}

func (s sharedLedger) BookDone(ctx context.Context) error { return worded(s.Ledger.BookDone(ctx)) }

// bookOf gives the audit as the guard's book.
type bookOf struct{ log *audit.Log }

var _ guard.Records = bookOf{}

func (b bookOf) End(ctx context.Context) (int64, error) { return b.log.End(ctx) }

func (b bookOf) Charges(ctx context.Context, since time.Time, after int64, fn func(guard.Charged) error) (int64, error) {
	end, err := b.log.End(ctx) // first: what comes in while they are read may be given too, and is then left out
	if err != nil {
		return 0, err
	}
	return end, b.log.Charges(ctx, audit.ChargesQuery{Since: since, After: after}, func(c audit.Charged) error {
		if c.Position > end {
			return nil
		}
		return fn(charged(c))
	})
}

func (b bookOf) FallbackCharges(ctx context.Context, after int64, fn func(guard.Charged) error) (int64, error) {
	return b.log.FallbackCharges(ctx, after, func(c audit.Charged) error { return fn(charged(c)) })
}

func (b bookOf) Endings(ctx context.Context, exchanges []string) (map[string]guard.Ending, error) {
	endings, err := b.log.Endings(ctx, exchanges)
	out := make(map[string]guard.Ending, len(endings))
	for id, e := range endings {
		out[id] = guard.Ending(e)
	}
	return out, err
}

func charged(c audit.Charged) guard.Charged {
	return guard.Charged{Position: c.Position, Exchange: c.Exchange, Subject: subjectOf(c), Charge: c.Charge}
}

// guardMetrics counts what the guard does.
type guardMetrics struct{ m *telemetry.Metrics }

func (g guardMetrics) LedgerBreaker(b guard.Breaker)      { g.m.LedgerBreaker(string(b)) }
func (g guardMetrics) LedgerFellBack(u quota.Unreachable) { g.m.LedgerFellBack(string(u)) }
func (g guardMetrics) LedgerBooked(resolved, charges int) { g.m.LedgerBookedLate(resolved, charges) }
