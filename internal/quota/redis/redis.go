// Package redis keeps the quota ledger that many replicas share, in Redis or Redis Cluster.
//
// One deployment is one hash tag and so one slot: each operation is one function (lua/) that runs as a whole, with all of
// its keys named. Time is the server's. What is stored, and what a failover may lose, is in docs/explanation/redis.md.
// go-redis stays in this package; it must not import anything of Plumbline but quota.
package redis

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/plumbline/plumbline/internal/quota"
)

const (
	defaultLease     = 30 * time.Second
	defaultRemember  = 10 * time.Minute
	defaultNamespace = "plumbline"
	// RebuildTime is how long an epoch waits for books to come back.
	RebuildTime = 30 * time.Second
	// retries bounds what the client sends again on a connection that broke. All operations can be repeated.
	retries = 2
	// connections bounds those to one node.
	connections = 64
	// layout numbers how values are kept. Replicas of another layout neither read nor write them: each layout has its epochs.
	layout = "3"
	// ioTimeout bounds what has no deadline of its own.
	ioTimeout = 5 * time.Second
)

// Options of a Ledger.
type Options struct {
	// Addrs are host:port of the server, or of some nodes of a cluster; or the path of one Unix socket.
	Addrs    []string
	Cluster  bool
	Username string
	Password string
	TLS      *tls.Config
	// Namespace is the hash tag of all keys, "plumbline" if empty. Deployments that share a server have one each.
	Namespace string
	// Book names this replica's records.
	Book string
	// Lease is how long a reservation lives without Extend or Touch, and a book without Heartbeat; 30 s if zero.
	Lease time.Duration
	// Remember is how long the result of a settled or voided reservation is given to repeats, 10 min if zero.
	Remember time.Duration
	// Now takes the place of the server's clock if it is not nil. For tests, which set it.
	Now func() time.Time
}

// Ledger implements quota.Ledger for many replicas. Times are kept to the microsecond. It works in the epoch that it was
// last told to Adopt, and before that in none: every operation returns ErrEpoch.
//
// An operation whose answer was lost may be repeated: Reserve gives the first result, Extend holds what it named once, Settle
// and Void give what was booked.
type Ledger struct {
	client   redis.UniversalClient
	together *together
	scripts  *scripts
	clock    clock
	prefix   string // of all keys
	book     string
	lease    time.Duration
	remember time.Duration
	within   atomic.Pointer[namespace]
	holds    holds
	overruns atomic.Uint64
}

var _ quota.Ledger = (*Ledger)(nil)

// New makes a ledger that works in no epoch yet. It does not connect.
func New(o Options) (*Ledger, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	s, err := loadScripts()
	if err != nil {
		return nil, err
	}
	client := connect(o)
	l := &Ledger{
		client: client, scripts: s, clock: clock{given: o.Now}, prefix: o.prefix(), book: o.Book,
		together: &together{send: func(ctx context.Context, commands []*redis.SliceCmd) { inOneWrite(ctx, client, commands) }},
		lease:    cmp.Or(o.Lease, defaultLease), remember: cmp.Or(o.Remember, defaultRemember),
		holds: holds{byID: map[string]*hold{}},
	}
	l.Adopt(Epoch{})
	return l, nil
}

func (o Options) check() error {
	var errs []error
	if len(o.Addrs) == 0 {
		errs = append(errs, errors.New("no address"))
	}
	if strings.ContainsAny(o.Namespace, "{}") {
		errs = append(errs, fmt.Errorf("namespace %q has a brace", o.Namespace))
	}
	if strings.Contains(o.Book, "/") {
		errs = append(errs, fmt.Errorf("book %q has a slash", o.Book))
	}
	if len(errs) > 0 {
		return fmt.Errorf("quota/redis: %w", errors.Join(errs...))
	}
	return nil
}

// prefix is what the names of all keys and channels begin with.
func (o Options) prefix() string {
	return "{" + cmp.Or(o.Namespace, defaultNamespace) + "}:" + layout + ":"
}

// connect makes the client, which connects when it is first used.
func connect(o Options) redis.UniversalClient { return redis.NewUniversalClient(o.client()) }

func (o Options) client() *redis.UniversalOptions {
	return &redis.UniversalOptions{
		Addrs: o.Addrs, IsClusterMode: o.Cluster, Username: o.Username, Password: o.Password, TLSConfig: o.TLS,
		Protocol: 2, DisableIdentity: true,
		MaxRetries: retries, MinRetryBackoff: time.Millisecond, MaxRetryBackoff: 4 * time.Millisecond,
		DialTimeout: ioTimeout, ReadTimeout: ioTimeout, WriteTimeout: ioTimeout, PoolTimeout: ioTimeout,
		DialerRetries: 1, ContextTimeoutEnabled: true, PoolSize: connections,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

// Close gives the connections back.
func (l *Ledger) Close() error { return l.client.Close() }

// Now estimates the server's clock from its last answer.
func (l *Ledger) Now() time.Time { return l.clock.now() }

// Overruns gives how many reservations this replica ended above what they held.
func (l *Ledger) Overruns() uint64 { return l.overruns.Load() }

// namespace is the keys of one epoch.
type namespace struct {
	epoch                  Epoch
	live, expired, marks   string
	reservations, accounts string
}

// Epoch gives the one this ledger works in, zero before Adopt.
func (l *Ledger) Epoch() Epoch { return l.within.Load().epoch }

// Adopt makes the ledger work in an epoch from now on. It asks nobody.
func (l *Ledger) Adopt(e Epoch) { l.within.Store(l.names(e)) }

func (l *Ledger) names(e Epoch) *namespace {
	prefix := l.prefix + e.ID + ":"
	return &namespace{
		epoch: e, live: prefix + "live", expired: prefix + "expired", marks: prefix + "marks",
		reservations: prefix + "r:", accounts: prefix + "a:",
	}
}

func (l *Ledger) epochKey() string { return l.prefix + "epoch" }
func (l *Ledger) stateKey() string { return l.prefix + "state" }
func (l *Ledger) booksKey() string { return l.prefix + "books" }

// keys gives the keys of an operation: the epoch's, others, and those of the accounts of a bill, which may be nil.
func (l *Ledger) keys(n *namespace, b *bill, others ...string) []string {
	var accounts []string
	if b != nil {
		accounts = b.accounts
	}
	all := make([]string, 0, 1+len(others)+len(accounts))
	all = append(append(all, l.epochKey()), others...)
	for _, a := range accounts {
		all = append(all, n.accounts+a)
	}
	return all
}
