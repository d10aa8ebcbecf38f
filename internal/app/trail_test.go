package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/testkit"
	"github.com/plumbline/plumbline/internal/testkit/pgproc"
)

// trailChild makes the test binary take changes over into an audit of its own until it is killed: its arguments are a
// directory, a database and for how long its claims are left to it.
const trailChild = "PLUMBLINE_APP_TEST_TRAIL"

func trailUntilKilled(dir, url, life string) error {
	ctx := context.Background()
	log, err := openTrailAudit(ctx, dir)
	if err != nil {
		return err
	}
	st, err := OpenStore(ctx, trailConfig(dir, url))
	if err != nil {
		return err
	}
	t, err := newTrail(ctx, dawdling{st}, log, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	if t.life, err = time.ParseDuration(life); err != nil {
		return err
	}
	for {
		if err := t.catchUp(ctx); err != nil {
			return err
		}
		<-time.After(time.Millisecond)
	}
}

func openTrailAudit(ctx context.Context, dir string) (*audit.Log, error) {
	log, err := audit.Open(ctx, audit.Options{Path: AuditPath(dir), Durability: audit.CrashSafe, Journal: 4 << 20, Ballast: 1 << 20})
	if err != nil {
		return nil, err
	}
	_, err = log.Recover(ctx)
	return log, err
}

func trailConfig(dir, url string) config.Config {
	c := config.Default()
	c.DataDir, c.Postgres.URL = dir, config.NewSecret(url)
	return c
}

// dawdling is a store whose changes take a while to be claimed and to be noted, so that kills hit in between.
type dawdling struct{ store.Store }

func dawdle() { <-time.After(time.Duration(rand.IntN(8)) * time.Millisecond) }

func (d dawdling) Claim(ctx context.Context, writer string, life time.Duration, _ int) ([]store.Change, error) {
	defer dawdle()
	return d.Store.Claim(ctx, writer, life, 3)
}

func (d dawdling) Recorded(ctx context.Context, versions ...uint64) error {
	if len(versions) > 0 {
		dawdle()
	}
	return d.Store.Recorded(ctx, versions...)
}

// trails are replicas that only take changes over, as processes to kill.
type trails struct {
	t    *testing.T
	db   *pgproc.Database
	st   store.Store
	life time.Duration
	dirs []string
	cmds []*exec.Cmd
}

func startTrails(t *testing.T, n int, life time.Duration) *trails {
	t.Helper()
	cfg, db := onPostgres(t, pgproc.Shared(t), nil)
	st, err := OpenStore(t.Context(), cfg)
	must(t, err)
	t.Cleanup(func() { st.Close() })
	r := &trails{t: t, db: db, st: st, life: life, cmds: make([]*exec.Cmd, n)}
	for i := range n {
		r.dirs = append(r.dirs, filepath.Join(t.TempDir(), "data"))
		must(t, os.Mkdir(r.dirs[i], 0o700))
		r.start(i)
	}
	t.Cleanup(func() {
		for i := range r.cmds {
			r.kill(i)
		}
	})
	return r
}

func (r *trails) start(i int) {
	self, err := os.Executable()
	must(r.t, err)
	r.cmds[i] = exec.Command(self, r.dirs[i], r.db.URL, r.life.String())
	r.cmds[i].Env = append(os.Environ(), trailChild+"=1")
	r.cmds[i].Stderr = os.Stderr
	must(r.t, r.cmds[i].Start())
}

func (r *trails) kill(i int) {
	if r.cmds[i] != nil {
		_ = r.cmds[i].Process.Kill()
		_ = r.cmds[i].Wait()
		r.cmds[i] = nil
	}
}

// change makes a change every few milliseconds until the function that it gives is called, which gives how many there are.
func (r *trails) change() (stop func() int) {
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan int)
	go func() {
		n := 0
		for ; ctx.Err() == nil; n++ {
			if err := r.st.Teams().Put(context.WithoutCancel(ctx), core.Team{ID: fmt.Sprint("team-", n)}); err != nil {
				r.t.Error(err)
				break
			}
			<-time.After(time.Duration(rand.IntN(10)) * time.Millisecond)
		}
		done <- n
	}()
	return func() int { cancel(); return <-done }
}

// finish waits until every change is recorded, ends all replicas, and gives how often each change is in an audit.
func (r *trails) finish() map[string]int {
	r.t.Helper()
	await(r.t, "every change is recorded", func() bool {
		return pgproc.One[int](r.t, r.db, "SELECT count(*) FROM plumbline.changes WHERE NOT recorded") == 0
	})
	times := map[string]int{}
	for i, dir := range r.dirs {
		r.kill(i)
		for exchange, n := range changesIn(r.t, dir) {
			times[exchange] += n
		}
	}
	return times
}

// changesIn gives how often each change is in the audit of a directory.
func changesIn(t *testing.T, dir string) map[string]int {
	t.Helper()
	log, err := openTrailAudit(t.Context(), dir)
	must(t, err)
	must(t, log.Close(t.Context()))
	reader, err := audit.OpenReader(t.Context(), AuditPath(dir))
	must(t, err)
	defer reader.Close()
	times, q := map[string]int{}, audit.Query{Kind: core.RecordAdmin, Limit: 1000}
	for {
		page, next, err := reader.Search(t.Context(), q)
		must(t, err)
		for _, e := range page {
			times[e.Record.Exchange]++
		}
		if next == "" {
			return times
		}
		q.After = next
	}
}

// TestKillBetweenAChangeAndItsRecord kills replicas at any moment, the one between the change and the record included. They
// come back on their volumes: each change is in one audit, once.
func TestKillBetweenAChangeAndItsRecord(t *testing.T) {
	r := startTrails(t, 3, time.Minute)
	stop := r.change()
	kills, _ := testkit.Kills(t, 25)
	for range kills {
		<-time.After(time.Duration(20+rand.IntN(60)) * time.Millisecond)
		i := rand.IntN(len(r.dirs))
		r.kill(i)
		r.start(i)
	}
	changes := stop()
	times := r.finish()
	lost, doubled := 0, 0
	for v := 1; v <= changes; v++ {
		switch n := times[fmt.Sprint("change-", v)]; {
		case n == 0:
			lost++
		case n > 1:
			doubled++
		}
	}
	if lost > 0 || doubled > 0 || len(times) != changes {
		t.Errorf("of %d changes %d are in no audit and %d in two", changes, lost, doubled)
	}
	t.Logf("%d kills, %d changes: %d lost, %d doubled", kills, changes, lost, doubled)
}

// TestReplicaThatNeverComesBack: what it had claimed and not recorded is taken over by another. Nothing is lost; doubled is
// at most what was on its way at the kill.
func TestReplicaThatNeverComesBack(t *testing.T) {
	r := startTrails(t, 2, 5*time.Second) // longer than the machine holds up one that lives
	stop := r.change()
	<-time.After(300 * time.Millisecond)
	r.kill(0)
	changes := stop()
	times := r.finish()
	doubled := 0
	for v := 1; v <= changes; v++ {
		n := times[fmt.Sprint("change-", v)]
		if n == 0 {
			t.Errorf("change %d is in no audit", v)
		}
		doubled += max(0, n-1)
	}
	if doubled > 3 {
		t.Errorf("%d changes are in two audits", doubled)
	}
	t.Logf("%d changes, %d doubled", changes, doubled)
}

// unwell is a store that fails to note what was recorded, as often as it says.
type unwell struct {
	store.Store
	fail int
}

func (u *unwell) Recorded(ctx context.Context, versions ...uint64) error {
	if u.fail > 0 && len(versions) > 0 {
		u.fail--
		return errors.New("Postgres is away")
	}
	return u.Store.Recorded(ctx, versions...)
}

// TestChangesOfReplicasAreRecordedOnce: two replicas share the control data. Also when what was recorded could not be noted.
func TestChangesOfReplicasAreRecordedOnce(t *testing.T) {
	cfg, _ := onPostgres(t, pgproc.Shared(t), nil)
	st, err := OpenStore(t.Context(), cfg)
	must(t, err)
	t.Cleanup(func() { st.Close() })
	var all []*trail
	var dirs []string
	for i := range 2 {
		dir := t.TempDir()
		log, err := openTrailAudit(t.Context(), dir)
		must(t, err)
		t.Cleanup(func() { _ = log.Close(context.WithoutCancel(t.Context())) })
		tr, err := newTrail(t.Context(), &unwell{st, i}, log, slog.New(slog.DiscardHandler))
		must(t, err)
		all, dirs = append(all, tr), append(dirs, dir)
	}
	const changes = 2*trailBatch + 50
	for i := range changes {
		must(t, st.Teams().Put(t.Context(), core.Team{ID: fmt.Sprint("team-", i)}))
	}
	if err := all[1].catchUp(t.Context()); err == nil {
		t.Error("that it could not be noted is not told")
	}
	for _, tr := range []*trail{all[0], all[1]} {
		must(t, tr.catchUp(t.Context()))
	}
	times := map[string]int{}
	for i, dir := range dirs {
		must(t, all[i].audit.Close(t.Context()))
		for exchange, n := range changesIn(t, dir) {
			times[exchange] += n
		}
	}
	for exchange, n := range times {
		if n != 1 {
			t.Errorf("%s is recorded %d times", exchange, n)
		}
	}
	if len(times) != changes {
		t.Errorf("%d of %d changes are recorded", len(times), changes)
	}
}

// TestChangesOfAStoreThatWasPutBack: from a backup, or by a failover that lost the last changes, the store gives versions again
// that the audit has. What is changed, looked at or erased then is recorded as anything else is, and once.
func TestChangesOfAStoreThatWasPutBack(t *testing.T) {
	dir := t.TempDir()
	log, err := openTrailAudit(t.Context(), dir)
	must(t, err)
	t.Cleanup(func() { _ = log.Close(context.WithoutCancel(t.Context())) })
	for _, team := range []string{"before", "after"} {
		st, err := OpenStore(t.Context(), trailConfig(t.TempDir(), ""))
		must(t, err)
		must(t, st.Teams().Put(t.Context(), core.Team{ID: team}))
		tr, err := newTrail(t.Context(), &unwell{st, 2}, log, slog.New(slog.DiscardHandler))
		must(t, err)
		for i := range 3 { // what could not be noted is taken again
			if err := tr.catchUp(t.Context()); (err != nil) != (i < 2) {
				t.Fatal(err)
			}
		}
		must(t, st.Close())
	}
	must(t, log.Close(t.Context()))
	times := changesIn(t, dir)
	if len(times) != 2 || times["change-1"] != 1 {
		t.Errorf("recorded: %v", times)
	}
}
