// Package postgres connects to Postgres and brings its schemas up to date. It knows the driver's settings and which error
// means what.
//
// Whatever uses its pools keeps no state in a session, so that a pooler such as PgBouncer in transaction mode may stand
// between: no search_path, no statement that stays prepared, no lock but a transaction's. Statements name the schema.
//
// The package imports nothing of Plumbline but the order of migrations.
package postgres

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgxpool"
)

// connectTimeout bounds one attempt to connect, TLS and authentication included.
const connectTimeout = 5 * time.Second

// describedStatements bounds the descriptions that a connection keeps.
const describedStatements = 128

// readAtOnce is how much of an answer is read from the server in one call. The driver's own 8 kB are seven records.
const readAtOnce = 64 << 10

// closeTimeout bounds the end of a pool. The driver alone would wait 15 s for a server that does not answer.
const closeTimeout = time.Second

// Options say how Postgres is reached.
type Options struct {
	// URL is a connection string, postgres:// or key=value. It may hold a password: no error quotes it.
	URL string
	// MaxConns is how many connections the pool has at most, 4 if zero.
	MaxConns int
	// Timeout bounds each call, the wait for a connection included, 10 s if zero.
	Timeout time.Duration
	// Describe asks the server for the types of a statement's values once in a connection, for a library that leaves them
	// to it. Each round trip is whole in itself still, and nothing stays prepared.
	Describe bool
	// Tracer, if set, sees each query.
	Tracer pgx.QueryTracer
	// Warn, if set, is told in words what the server warns of.
	Warn func(message string)
}

// Pool is a few connections to one database.
type Pool struct {
	*pgxpool.Pool
	timeout time.Duration
}

func parse(url string) (*pgxpool.Config, error) {
	c, err := pgxpool.ParseConfig(url)
	if err != nil {
		// The driver's words may quote a part of what holds the password.
		return nil, errors.New("it must be a connection string such as postgres://plumbline:password@db.example.com/plumbline?sslmode=verify-full")
	}
	return c, nil
}

// Open makes a pool. It connects when it is first used.
func Open(ctx context.Context, o Options) (*Pool, error) {
	c, err := parse(o.URL)
	if err != nil {
		return nil, fmt.Errorf("postgres: the URL cannot be read: %w", err)
	}
	if o.MaxConns == 0 {
		o.MaxConns = 4
	}
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	c.MaxConns, c.MinConns, c.MinIdleConns = int32(o.MaxConns), 0, 0
	c.MaxConnIdleTime, c.HealthCheckPeriod = 5*time.Minute, 30*time.Second
	c.ConnConfig.ConnectTimeout = connectTimeout
	c.ConnConfig.Tracer = o.Tracer
	c.ConnConfig.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		return pgproto3.NewFrontend(bufio.NewReaderSize(r, readAtOnce), w)
	}
	if o.Warn != nil {
		c.ConnConfig.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
			if n.SeverityUnlocalized == "WARNING" {
				o.Warn(n.Message)
			}
		}
	}
	// One round trip for parse, bind and execute, of an unnamed statement: any connection of a pooler will do for each.
	c.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
	c.ConnConfig.StatementCacheCapacity, c.ConnConfig.DescriptionCacheCapacity = 0, 0
	if o.Describe {
		c.ConnConfig.DefaultQueryExecMode, c.ConnConfig.DescriptionCacheCapacity = pgx.QueryExecModeCacheDescribe, describedStatements
	}
	if c.ConnConfig.RuntimeParams["application_name"] == "" {
		c.ConnConfig.RuntimeParams["application_name"] = "plumbline"
	}
	pool, err := pgxpool.NewWithConfig(ctx, c)
	if err != nil {
		return nil, Explain(err)
	}
	return &Pool{pool, o.Timeout}, nil
}

// Close closes the connections, once those in use are given back. It waits for that, and for a server that is still to hear
// that a statement was broken off, for closeTimeout at the most; the rest closes by itself.
func (p *Pool) Close() error {
	closed := make(chan struct{})
	go func() { p.Pool.Close(); close(closed) }()
	timer := time.NewTimer(closeTimeout)
	defer timer.Stop()
	select {
	case <-closed:
	case <-timer.C:
	}
	return nil
}

// Limit bounds a call by the pool's timeout.
func (p *Pool) Limit(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, p.timeout, errTimeout)
}

// Write runs do in a transaction. The server gives it up too when it takes longer than the timeout, waits that long for a
// lock, or is left by its client. Each of its statements sees what was committed before it, whatever the database or the
// user is set to: under a stricter isolation, who waited for a lock would be refused in place of served. Errors are
// explained.
func (p *Pool) Write(ctx context.Context, do func(ctx context.Context, tx pgx.Tx) error) error {
	ms := p.timeout.Milliseconds()
	return p.transact(ctx, fmt.Sprintf(
		"BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = %d; SET LOCAL lock_timeout = %d; SET LOCAL idle_in_transaction_session_timeout = %d", ms, ms, ms), do)
}

// Read runs do in a transaction that sees one moment. Errors are explained.
func (p *Pool) Read(ctx context.Context, do func(ctx context.Context, tx pgx.Tx) error) error {
	return p.transact(ctx, fmt.Sprintf("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = %d",
		p.timeout.Milliseconds()), do)
}

func (p *Pool) transact(ctx context.Context, begin string, do func(ctx context.Context, tx pgx.Tx) error) error {
	ctx, cancel := p.Limit(ctx)
	defer cancel()
	err := pgx.BeginTxFunc(ctx, p.Pool, pgx.TxOptions{BeginQuery: begin}, func(tx pgx.Tx) error { return do(ctx, tx) })
	return p.Explain(ctx, err)
}

// Explain is the package's Explain for an error of a call under Limit's context, which tells a timeout of the call from
// one of the caller.
func (p *Pool) Explain(ctx context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), errTimeout) {
		return fmt.Errorf("postgres: no answer within %s: look at the server and the network, or raise postgres.timeout: %w", p.timeout, err)
	}
	return Explain(err)
}

// errTimeout marks the end of a call's time.
var errTimeout = fmt.Errorf("the call's time is over: %w", context.DeadlineExceeded)

// oldestVersion is that of the oldest server that Plumbline is tested with, as server_version_num tells it.
const oldestVersion = 15_00_00

// Usable returns an error when the server is a standby, which cannot write, or too old.
func (p *Pool) Usable(ctx context.Context) error {
	ctx, cancel := p.Limit(ctx)
	defer cancel()
	var standby bool
	var version int
	err := p.QueryRow(ctx, "SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('server_version_num')::int").Scan(&standby, &version)
	switch {
	case err != nil:
		return p.Explain(ctx, err)
	case standby:
		return Explain(&pgconn.PgError{Code: codeReadOnly, Severity: "ERROR", Message: "the server is in recovery"})
	}
	return checkVersion(version)
}

func checkVersion(version int) error {
	if version < oldestVersion {
		return fmt.Errorf("postgres: the server is of version %d, and Plumbline needs %d or later: upgrade it, or name another in postgres.url",
			version/10_000, oldestVersion/10_000)
	}
	return nil
}
