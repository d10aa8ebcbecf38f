package postgres_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/postgres"
	"github.com/plumbline/plumbline/internal/audit/ship"
	pg "github.com/plumbline/plumbline/internal/postgres"
	"github.com/plumbline/plumbline/internal/testkit"
	"github.com/plumbline/plumbline/internal/testkit/pgproc"
)

// usualKills is how often is killed where no campaign says how often.
const usualKills = 6

// refusedAs runs a statement as whom a URL names and gives its error.
func refusedAs(t *testing.T, url, statement string) error {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	must(t, err)
	defer func() { _ = c.Close(context.Background()) }()
	_, err = c.Exec(t.Context(), statement)
	return err
}

// hasty is a destination that ships small batches, so that more of them are cut.
type hasty struct{ *audit.Log }

func (h hasty) Unshipped(ctx context.Context, after audit.Position, limit int) ([]audit.Shipment, error) {
	return h.Log.Unshipped(ctx, after, min(limit, 40))
}

// shipUntilKilled is the child of TestKilledShipper: it ships while eight callers append, and prints each shipment.
func shipUntilKilled(args []string) error {
	path, url := args[0], args[1]
	ctx := context.Background()
	log, err := audit.Open(ctx, audit.Options{Path: path, Durability: audit.CrashSafe, Ballast: 64 << 10, Journal: 256 << 10})
	if err != nil {
		return err
	}
	pool, err := pg.Open(ctx, pg.Options{URL: url})
	if err != nil {
		return err
	}
	end, err := log.End(ctx)
	if err != nil {
		return err
	}
	failed := make(chan error)
	for caller := range 8 {
		go func() {
			for i := int(end)*10 + caller; i < int(end)*10+500; i += 8 { // enough for the longest life
				if err := errors.Join(log.Append(ctx, intent(i)), log.Append(ctx, outcome(i))); err != nil {
					failed <- err
					return
				}
			}
		}()
	}
	s := ship.New(ship.Options{Source: hasty{log}, Destination: told{postgres.New(pool)}, Owed: time.Hour})
	go func() {
		for {
			_, err := log.End(ctx) // what is recorded is moved to where it is shipped from, and not half a second later
			if err := errors.Join(err, s.Drain(ctx)); err != nil {
				failed <- err
				return
			}
			<-time.After(time.Millisecond)
		}
	}()
	return <-failed
}

// told prints a line before and after each batch is stored.
type told struct{ ship.Destination }

func (d told) Store(ctx context.Context, batch []audit.Shipment) (ship.Stored, error) {
	fmt.Println("sending")
	stored, err := d.Destination.Store(ctx, batch)
	fmt.Println("stored")
	return stored, err
}

// TestKilledShipper kills the process that ships, at any moment, and has the rest shipped from what it left.
func TestKilledShipper(t *testing.T) {
	db := pgproc.Shared(t).Database(t, records)
	path := filepath.Join(t.TempDir(), "audit.db")
	self, err := os.Executable()
	must(t, err)
	n, _ := testkit.Kills(t, usualKills)
	for range n {
		cmd := exec.CommandContext(t.Context(), self, path, db.URL)
		cmd.Env = append(os.Environ(), childEnv+"=ship")
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		lines := bufio.NewScanner(out)
		for range 1 + rand.IntN(10) {
			if !lines.Scan() {
				t.Fatal("the child ended by itself")
			}
		}
		for range rand.IntN(20_000) { // a moment between two lines
			_ = rand.Int()
		}
		must(t, cmd.Process.Kill())
		_ = cmd.Wait()
	}
	log := openLog(t, path)
	end, err := log.End(t.Context())
	must(t, err)
	must(t, newShipper(log, openStore(t, db.URL)).Drain(t.Context()))
	holds(t, db, int(end))
	t.Logf("%d records over %d kills", end, n)
}

// watched is a destination that tells when a batch goes to it, and how many are on their way.
type watched struct {
	ship.Destination
	sending chan struct{}
	flying  atomic.Int64
}

func (d *watched) Store(ctx context.Context, batch []audit.Shipment) (ship.Stored, error) {
	d.flying.Add(1)
	defer d.flying.Add(-1)
	select {
	case d.sending <- struct{}{}:
	default:
	}
	return d.Destination.Store(ctx, batch)
}

// next waits for the next batch to go, and then for a moment in which it is under way, or was, by chance.
func (d *watched) next() {
	select {
	case <-d.sending:
	default:
	}
	<-d.sending
	<-time.After(rand.N(6 * time.Millisecond))
}

// TestKilledPostgres kills the server, or restarts it in order, while batches are under way. Recording goes on, and what was
// shipped while the server went is there once. A campaign's server syncs its files; else the test relies on the kernel to
// outlive the server, which is all that a kill needs.
func TestKilledPostgres(t *testing.T) {
	n, campaign := testkit.Kills(t, usualKills)
	server := pgproc.Start(t, pgproc.Options{Fsync: campaign, Settings: []string{"synchronous_commit = on", "full_page_writes = on"}})
	db := server.Database(t, records)
	log := openLog(t, "")
	store := &watched{Destination: openStore(t, db.URL), sending: make(chan struct{}, 1)}
	s := ship.New(ship.Options{Source: hasty{log}, Destination: store, Owed: time.Hour})

	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		for ctx.Err() == nil {
			_ = s.Drain(ctx) // fails while the server is away
			<-time.After(2 * time.Millisecond)
		}
	})
	appended := 0
	group.Go(func() {
		for ; ctx.Err() == nil; appended++ {
			if err := errors.Join(log.Append(t.Context(), intent(appended)), log.Append(t.Context(), outcome(appended))); err != nil {
				t.Errorf("recording while the server is away: %v", err)
				return
			}
			<-time.After(time.Millisecond) // a load that the server keeps up with
		}
	})
	cut := 0
	for i := range n {
		store.next()
		cut += int(store.flying.Load())
		if i%2 == 0 {
			server.Kill()
		} else {
			server.Stop()
		}
		server.Start(t)
	}
	stop()
	group.Wait()
	settled(t, log)
	for s.Drain(t.Context()) != nil { // connections to the server before
		<-time.After(10 * time.Millisecond)
	}
	holds(t, db, 2*appended)
	t.Logf("%d records over %d restarts, %d of them with a batch under way", 2*appended, n, cut)
}
