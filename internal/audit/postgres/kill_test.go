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
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/postgres"
	"github.com/plumbline/plumbline/internal/audit/ship"
	pg "github.com/plumbline/plumbline/internal/postgres"
	"github.com/plumbline/plumbline/internal/testkit/pgproc"
)

// kills is how often a campaign kills: PLUMBLINE_KILLS, or a few times.
func kills(t *testing.T) int {
	t.Helper()
	text := os.Getenv("PLUMBLINE_KILLS")
	if text == "" {
		return 10
	}
	n, err := strconv.Atoi(text)
	must(t, err)
	return n
}

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

func (h hasty) Unshipped(ctx context.Context, limit int) ([]audit.Shipment, error) {
	return h.Log.Unshipped(ctx, min(limit, 40))
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
			if err := s.Drain(ctx); err != nil {
				failed <- err
			}
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
	for range kills(t) {
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
	t.Logf("%d records over %d kills", end, kills(t))
}

// TestKilledPostgres kills the server, or restarts it in order, while a process records and ships. Recording goes on, and
// what was shipped while the server went is there once.
func TestKilledPostgres(t *testing.T) {
	server := pgproc.Start(t, pgproc.Options{Fsync: true})
	db := server.Database(t, records)
	store, log := openStore(t, db.URL), openLog(t, "")
	s := ship.New(ship.Options{Source: hasty{log}, Destination: store, Owed: time.Hour})

	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		if err := s.Run(ctx); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	appended := make(chan int, 1)
	group.Go(func() {
		i := 0
		for ; ctx.Err() == nil; i++ {
			if err := errors.Join(log.Append(t.Context(), intent(i)), log.Append(t.Context(), outcome(i))); err != nil {
				t.Errorf("recording while the server is away: %v", err)
				break
			}
			<-time.After(time.Millisecond) // a load that the server keeps up with
		}
		appended <- i
	})
	for n := range kills(t) {
		before := s.Counts().Shipped
		for s.Counts().Shipped == before && !t.Failed() {
			<-time.After(time.Millisecond)
		}
		if n%2 == 0 {
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
	n := <-appended
	holds(t, db, 2*n)
	t.Logf("%d records over %d restarts", 2*n, kills(t))
}
