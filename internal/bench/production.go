package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/testkit/pgproc"
	"github.com/plumbline/plumbline/internal/testkit/redisproc"
)

// redisDeadline is generous for the reason that messageTimeout is.
const redisDeadline = time.Second

// stores are the servers of a production row: private ones, on Unix sockets.
type stores struct {
	postgres *pgproc.Server
	redis    *redisproc.Server
}

// startStores starts both. Postgres syncs what it commits, as in production; Redis keeps nothing on disk.
func startStores() (*stores, error) {
	pg, err := pgproc.Run(pgproc.Options{Fsync: true, Settings: []string{"shared_buffers = 256MB"}})
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	r, err := redisproc.Run()
	if err != nil {
		return nil, errors.Join(err, pg.Close())
	}
	return &stores{pg, r}, nil
}

func (s *stores) close() error { return errors.Join(s.redis.Close(), s.postgres.Close()) }

// cpu is the CPU time that both have used.
func (s *stores) cpu() (time.Duration, error) {
	used, err := cpuTime(s.redis.PID())
	return used + s.postgres.CPU(), err
}

// startProduction starts the row of the way to run in production: records in Postgres, counters in Redis.
func (b *bench) startProduction(ctx context.Context, dir string) (*sidecar, error) {
	st, err := startStores()
	if err != nil {
		return nil, err
	}
	side, err := b.startBeside(ctx, dir, st)
	if err != nil {
		return nil, errors.Join(err, st.close())
	}
	stop := side.Stop
	side.stores, side.Stop = st, func() error { return errors.Join(stop(), st.close()) }
	return side, nil
}

func (b *bench) startBeside(ctx context.Context, dir string, st *stores) (*sidecar, error) {
	url, err := st.postgres.Create("plumbline")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "postgres-url")
	if err := os.WriteFile(file, []byte(url), 0o600); err != nil {
		return nil, err
	}
	return b.startWith(ctx, dir, config.DurabilityCrashSafe,
		fmt.Sprintf("postgres: {url: \"file:%s\"}\nquota: {ledger: redis}\nredis: {addresses: [%s], deadline: %s}\n",
			file, st.redis.Addr, redisDeadline))
}

// backlog notes how far Postgres is behind, if records are shipped there and it was never further.
func (s *sidecar) backlog(ctx context.Context, to *sample) error {
	if s.stores == nil {
		return nil
	}
	metrics, err := get(ctx, s.ops+"/metrics")
	if err != nil {
		return err
	}
	behind, err := metric(metrics, "plumbline_spool_oldest_seconds")
	to.Backlog = max(to.Backlog, behind)
	return err
}

// metric reads the value of a metric without labels from its text form.
func metric(text []byte, name string) (float64, error) {
	for line := range bytes.Lines(text) {
		if value, ok := bytes.CutPrefix(line, []byte(name+" ")); ok {
			return strconv.ParseFloat(string(bytes.TrimSpace(value)), 64)
		}
	}
	return 0, fmt.Errorf("there is no metric %s", name)
}
