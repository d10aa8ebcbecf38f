package jobs_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/jobs"
	"github.com/plumbline/plumbline/internal/testkit/pgproc"
)

// TestPostgresAway: jobs go on by themselves when Postgres is back, after an outage at the start and one later.
func TestPostgresAway(t *testing.T) {
	server := pgproc.Start(t, pgproc.Options{})
	w := inPostgres(t, server)
	var beats atomic.Int64
	all := []jobs.Job{{Name: "beat", Every: time.Second, Timeout: time.Minute, Run: func(context.Context) error { beats.Add(1); return nil }}}
	server.Stop()
	stop := start(t, w.queue, jobs.Options{Jobs: all})
	server.Start(t)
	await(t, "it runs", func() bool { return beats.Load() > 0 })
	for name, fault := range map[string]struct{ begin, end func() }{
		"stopped": {server.Stop, func() { server.Start(t) }},
		"killed":  {server.Kill, func() { server.Start(t) }},
		"hangs":   {server.Pause, server.Resume},
	} {
		fault.begin()
		<-time.After(2 * time.Second)
		fault.end()
		seen := beats.Load()
		await(t, name+": it runs again", func() bool { return beats.Load() > seen+1 })
	}
	stop()
}
