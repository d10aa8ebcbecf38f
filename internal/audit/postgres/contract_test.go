package postgres_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/postgres"
	"github.com/plumbline/plumbline/internal/audit/ship"
	"github.com/plumbline/plumbline/internal/audit/takeover"
	"github.com/plumbline/plumbline/internal/core"
	pg "github.com/plumbline/plumbline/internal/postgres"
	"github.com/plumbline/plumbline/internal/testkit"
	"github.com/plumbline/plumbline/internal/testkit/pgproc"
)

// perLife is how many exchanges one process of a campaign records at most.
const perLife = 2000

// replica is a process of a deployment in small: a log on a volume, what ships it, and what takes over what others left there.
type replica struct {
	log     *audit.Log
	pool    *pg.Pool
	shipper *ship.Shipper
	sweeper *takeover.Sweeper
}

func newReplica(ctx context.Context, path string, durability audit.Durability, url string) (*replica, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	log, err := audit.Open(ctx, audit.Options{Path: path, Durability: durability, Ballast: 64 << 10, Journal: 256 << 10})
	if err != nil {
		return nil, err
	}
	if _, err := log.Recover(ctx); err != nil {
		return nil, err
	}
	pool, err := pg.Open(ctx, pg.Options{URL: url, MaxConns: 2})
	if err != nil {
		return nil, err
	}
	store := postgres.New(pool)
	o := ship.Options{Source: log, Destination: store, Owed: time.Hour}
	if durability == audit.Replicated {
		o.Wake, o.Told = log.Waiting(), log.Shipping
	}
	sweeper := takeover.New(takeover.Options{Own: path, Volume: filepath.Dir(filepath.Dir(path)), Destination: store})
	return &replica{log, pool, ship.New(o), sweeper}, nil
}

// recordUntilKilled is the child of TestContractUnderKill: it records, ships and takes over, and prints each step that was
// acknowledged. Arguments are the log's path, the durability, the store's URL and the number of the first exchange.
func recordUntilKilled(args []string) error {
	ctx := context.Background()
	first, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	r, err := newReplica(ctx, args[0], audit.Durability(args[1]), args[2])
	if err != nil {
		return err
	}
	failed := make(chan error)
	go func() { failed <- r.shipper.Run(ctx) }()
	go func() { failed <- r.sweeper.Run(ctx) }()
	const callers = 8
	for caller := range callers {
		go func() {
			for i := first + caller; i < first+perLife; i += callers {
				if err := recordExchange(ctx, r.log, i); errors.Is(err, audit.ErrUnavailable) {
					<-time.After(10 * time.Millisecond) // a call that is refused, since Postgres did not answer in time
				} else if err != nil {
					failed <- err
					return
				}
			}
		}()
	}
	return <-failed
}

// recordExchange prints each step that is acknowledged.
func recordExchange(ctx context.Context, log *audit.Log, i int) error {
	for _, rec := range []core.Record{intent(i), outcome(i)} {
		if err := log.Append(ctx, rec); err != nil {
			return err
		}
		fmt.Printf("%s %s\n", rec.Kind, rec.Exchange) // one write, whole
	}
	return nil
}

// TestContractUnderKill kills processes that record, ship and take over, at any moment, per durability. At the end the store
// has every step that was acknowledged, once; no number is missing; each exchange has one outcome. With durability replicated
// the disk goes with every other process: what must be there then are the intents. PLUMBLINE_KILLS sets how often.
func TestContractUnderKill(t *testing.T) {
	self, err := os.Executable()
	must(t, err)
	for _, durability := range []audit.Durability{audit.Strict, audit.CrashSafe, audit.Replicated} {
		t.Run(string(durability), func(t *testing.T) {
			db := pgproc.Shared(t).Database(t, records)
			volume := t.TempDir()
			kept, lost := map[string]bool{}, map[string]bool{} // steps acknowledged, by whether their disk is there
			onDisk := map[string][]string{}                    // steps acknowledged, by directory
			for life := range contractKills(t) {
				dir := filepath.Join(volume, strconv.Itoa(rand.IntN(3)))
				steps := killed(t, self, []string{filepath.Join(dir, "audit.db"), string(durability), db.URL, strconv.Itoa(life * perLife)})
				onDisk[dir] = append(onDisk[dir], steps...)
				if durability == audit.Replicated && life%2 == 0 {
					must(t, os.RemoveAll(dir))
					for _, s := range onDisk[dir] {
						lost[s] = true
					}
					onDisk[dir] = nil
				}
			}
			for _, steps := range onDisk {
				for _, s := range steps {
					kept[s] = true
				}
			}
			r, err := newReplica(t.Context(), filepath.Join(volume, "last", "audit.db"), audit.CrashSafe, db.URL)
			must(t, err)
			defer func() { must(t, errors.Join(r.log.Close(context.Background()), r.pool.Close())) }()
			for n := int64(-1); n != r.sweeper.Counts().Taken; { // a log is shipped for some seconds at a time
				n = r.sweeper.Counts().Taken
				r.sweeper.Sweep(t.Context())
			}
			if left := r.sweeper.Counts().Left; left != 0 {
				t.Errorf("%d logs are left", left)
			}
			found, records := stepsIn(t, db)
			for _, all := range []map[string]bool{kept, lost} {
				for s := range all {
					if outcome := strings.HasPrefix(s, "outcome "); found[s] != 1 && (all[s] && kept[s] || !outcome) {
						t.Fatalf("%q was acknowledged and is stored %d times", s, found[s])
					}
				}
			}
			open := 0
			for s, n := range found {
				kind, exchange, _ := strings.Cut(s, " ")
				if n != 1 {
					t.Fatalf("%q is stored %d times", s, n)
				}
				if kind == "intent" && found["outcome "+exchange] == 0 {
					open++
				}
			}
			if open > 0 && len(lost) == 0 {
				t.Errorf("%d exchanges have no outcome", open)
			}
			holds(t, db, records)
			t.Logf("%d kills, %d steps acknowledged on disks that were kept and %d on others, %d stored, %d open on lost disks",
				contractKills(t), len(kept), len(lost), records, open)
		})
	}
}

// contractKills is how often processes are killed per durability: PLUMBLINE_KILLS, else 100 times in CI and some times elsewhere.
func contractKills(t *testing.T) int {
	t.Helper()
	usual := usualKills
	if os.Getenv("CI") != "" {
		usual = 100
	}
	n, _ := testkit.Kills(t, usual)
	return n
}

// killed runs a child until it has acknowledged some steps, or for a random while before, kills it and gives all of them.
func killed(t *testing.T, self string, args []string) (steps []string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), childEnv+"=record")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	after := rand.IntN(300)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if steps = append(steps, lines.Text()); len(steps) == after+1 {
			must(t, cmd.Process.Kill())
		}
	}
	if _ = cmd.Wait(); stderr.Len() > 0 || len(steps) <= after {
		t.Fatalf("the child ended by itself: %s", &stderr)
	}
	return steps
}

// stepsIn counts the steps that are stored.
func stepsIn(t *testing.T, db *pgproc.Database) (found map[string]int, records int) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), db.URL)
	must(t, err)
	defer func() { _ = c.Close(context.Background()) }()
	rows, err := c.Query(t.Context(), "SELECT kind || ' ' || exchange FROM plumbline_audit.records")
	must(t, err)
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(t, err)
	found = make(map[string]int, len(all))
	for _, s := range all {
		found[s]++
	}
	return found, len(all)
}

// TestReplicatedWaitsForPostgres: while the server is away no intent is acknowledged, outcomes are, and within five seconds of
// its return intents pass again. What was acknowledged is in Postgres at that moment.
func TestReplicatedWaitsForPostgres(t *testing.T) {
	server := pgproc.Start(t, pgproc.Options{Fsync: true})
	db := server.Database(t, records)
	r, err := newReplica(t.Context(), filepath.Join(t.TempDir(), "log", "audit.db"), audit.Replicated, db.URL)
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := r.shipper.Run(ctx); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	defer func() {
		stop()
		running.Wait()
		must(t, errors.Join(r.log.Close(context.Background()), r.pool.Close()))
	}()
	must(t, r.log.Append(t.Context(), intent(0)))
	if n := pgproc.One[int](t, db, "SELECT count(*) FROM plumbline_audit.records WHERE kind = 'intent'"); n != 1 {
		t.Errorf("Postgres has %d intents when one was acknowledged", n)
	}

	server.Kill()
	for i := 1; i < 50; i++ {
		began := time.Now()
		err := r.log.Append(t.Context(), intent(i))
		if !errors.Is(err, audit.ErrUnavailable) {
			t.Fatalf("an intent without Postgres: %v", err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("refused after %v", took)
		}
	}
	must(t, r.log.Append(t.Context(), outcome(0)))
	if r.log.Healthy() == nil {
		t.Error("it calls itself healthy without Postgres")
	}
	server.Start(t)
	for back := time.Now(); r.log.Append(t.Context(), intent(50)) != nil; <-time.After(20 * time.Millisecond) {
		if time.Since(back) > 5*time.Second {
			t.Fatalf("Postgres is back, and calls are still refused: %v", r.log.Healthy())
		}
	}
	must(t, r.log.Healthy())

	// One that hangs is waited for as long as the caller waits, and no longer.
	server.Pause()
	defer server.Resume()
	limited, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := r.log.Append(limited, intent(51)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("an intent with a server that hangs: %v", err)
	}
}
