// Package redis keeps the quota ledger that many replicas share, in Redis or Redis Cluster.
//
// One deployment is one hash tag and so one slot: each operation is one script that runs as a whole, with all of its keys
// named. Time is the server's. go-redis stays in this package; it must not import anything of Plumbline but quota and
// core.
package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"time"

	"github.com/plumbline/plumbline/internal/quota"
)

// ErrUnreachable is what every error is (errors.Is) that comes from a server which did not answer in time or would not do
// what was asked: away, slow, loading, read-only, full, another password. The operation may have been done or not; a
// repeat is safe.
var ErrUnreachable = errors.New("quota/redis: Redis cannot be used")

const (
	// MaxPostings bounds one call of Post.
	MaxPostings = 500
	// RebuildTime is how long an epoch waits for books to come back.
	RebuildTime = 30 * time.Second
)

// Options of a Ledger.
type Options struct {
	// Addrs are host:port of the server, or of some nodes of a cluster; or one path of a Unix socket.
	Addrs    []string
	Cluster  bool
	Username string
	Password string
	TLS      *tls.Config
	// Namespace is the hash tag of all keys, "plumbline" if empty. Deployments that share a server have one each.
	Namespace string
	// Book names this replica's records. It has no slash.
	Book string
	// Lease is how long a reservation lives without Extend or Touch, and a book without Heartbeat; 30 s if zero.
	Lease time.Duration
	// Remember is how long the result of a settled or voided reservation is given to repeats, 10 min if zero.
	Remember time.Duration
	// Now takes the place of the server's clock if it is not nil. For tests, which set it.
	Now func() time.Time
}

// Ledger implements quota.Ledger for many replicas. Times are kept to the microsecond.
type Ledger struct{}

var _ quota.Ledger = (*Ledger)(nil)

// New makes a ledger that works in no epoch yet. It does not connect.
func New(o Options) (*Ledger, error) { return nil, errStub }

// Close gives the connections back.
func (l *Ledger) Close() error { return errStub }

// Check looks at the server and returns, as a *core.Error that says what to do, what makes it unfit: too old, unreachable,
// read-only, or set up to throw counters away.
func (l *Ledger) Check(ctx context.Context) error { return errStub }

// Now estimates the server's clock from its last answer.
func (l *Ledger) Now() time.Time { return time.Time{} }

// Reserve implements quota.Ledger. The time of admission is the server's; that of the request is not read.
func (l *Ledger) Reserve(ctx context.Context, r quota.Request) (quota.Reservation, error) {
	return quota.Reservation{}, errStub
}

// Extend implements quota.Ledger.
func (l *Ledger) Extend(ctx context.Context, id string, more quota.Amounts) (quota.Reservation, error) {
	return quota.Reservation{}, errStub
}

// Touch implements quota.Ledger.
func (l *Ledger) Touch(ctx context.Context, progress ...quota.Progress) error { return errStub }

// Settle implements quota.Ledger.
func (l *Ledger) Settle(ctx context.Context, id string, used quota.Amounts) (quota.Amounts, error) {
	return quota.Amounts{}, errStub
}

// Void implements quota.Ledger.
func (l *Ledger) Void(ctx context.Context, id string) error { return errStub }

// Expire implements quota.Ledger. A time after the server's is taken as the server's.
func (l *Ledger) Expire(ctx context.Context, now time.Time) ([]string, error) { return nil, errStub }

// Standings implements quota.Ledger. A zero time is the server's.
func (l *Ledger) Standings(
	ctx context.Context, s quota.Subject, limits *quota.LimitSet, at time.Time,
) ([]quota.Standing, error) {
	return nil, errStub
}

// Pending gives how many reservations are live, of all replicas.
func (l *Ledger) Pending(ctx context.Context) (int, error) { return 0, errStub }

// Overruns gives how many reservations this replica settled above what they held.
func (l *Ledger) Overruns() uint64 { return 0 }
