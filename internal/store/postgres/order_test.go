package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/plumbline/plumbline/internal/core"
	pg "github.com/plumbline/plumbline/internal/postgres"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/store/postgres"
	"github.com/plumbline/plumbline/internal/testkit/pgproc"
)

// lateCommits has each commit come at another moment after the change's last statement.
type lateCommits struct{}

func (lateCommits) TraceQueryStart(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryStartData) context.Context {
	if q.SQL == "commit" {
		<-time.After(time.Duration(rand.IntN(3000)) * time.Microsecond)
	}
	return ctx
}

func (lateCommits) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// openLate opens a store whose commits are late.
func openLate(t *testing.T, url string) *postgres.Store {
	t.Helper()
	st, err := postgres.Open(t.Context(), postgres.Options{Options: pg.Options{URL: url, MaxConns: 3, Tracer: lateCommits{}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}

// withoutTheLock takes the lock from a database: versions come from a sequence, and what the changes lock and write is a view
// of that. It is what the row of feed stands against.
const withoutTheLock = `
DROP TABLE plumbline.feed;
CREATE SEQUENCE plumbline.versions;
CREATE VIEW plumbline.feed AS SELECT nextval('plumbline.versions') AS version;
CREATE RULE feed_is_kept_elsewhere AS ON UPDATE TO plumbline.feed DO INSTEAD NOTHING;`

// follow writes from many goroutines over two pools, some of it refused, and follows the feed meanwhile as replicas do: by
// what is above the highest version that was seen. It gives how many changes were made, and which of them were missed.
func follow(t *testing.T, db *pgproc.Database, writers, each int) (made int, missed []string) {
	t.Helper()
	pools := []*postgres.Store{openLate(t, db.URL), openLate(t, db.URL)}
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			for i := range each {
				id := fmt.Sprintf("w%d-%d", w, i)
				if err := write3(t.Context(), pools[rand.IntN(len(pools))], id); err != nil {
					t.Error(err)
				}
			}
		})
	}
	written := make(chan struct{})
	go func() { writing.Wait(); close(written) }()
	reader, seen, last := open(t, db.URL), map[string]bool{}, uint64(0)
	for final := false; ; {
		changes, err := reader.Changes(t.Context(), last, 10_000)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range changes {
			last, seen[c.Object] = c.Version, true
		}
		if final {
			break
		}
		select {
		case <-written:
			final = true
		default:
		}
	}
	all, err := reader.Changes(t.Context(), 0, 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		if !seen[c.Object] {
			missed = append(missed, c.Object)
		}
	}
	return len(all), missed
}

// write3 makes a change, or two in two transactions, after one that is refused with its transaction half done.
func write3(ctx context.Context, st *postgres.Store, id string) error {
	refused := st.Apply(ctx, store.Objects{Teams: []core.Team{{ID: id}}, Users: []core.User{{ID: id, Team: "no-such-team"}}})
	if !errors.Is(refused, store.ErrConflict) {
		return fmt.Errorf("a user of no team: %w", refused)
	}
	if err := st.Teams().Put(ctx, core.Team{ID: id}); err != nil {
		return err
	}
	if rand.IntN(2) == 0 {
		return nil
	}
	return st.Users().Put(ctx, core.User{ID: id, Team: id})
}

// TestFeedMissesNothing: commits are late and in any order, some changes are rolled back, and whoever follows the feed sees
// each of them, in versions without a gap.
func TestFeedMissesNothing(t *testing.T) {
	db := pgproc.Shared(t).Database(t, control)
	made, missed := follow(t, db, 6, 15)
	if len(missed) > 0 {
		t.Errorf("of %d changes a reader missed %d: %v", made, len(missed), missed)
	}
	if head := pgproc.One[int](t, db, "SELECT version FROM plumbline.feed"); head != made {
		t.Errorf("%d changes, and the version is %d: what was rolled back left a gap", made, head)
	}
}

// TestFeedWithoutTheLock: the same writers and the same reader on a database whose versions are a sequence's. A reader misses
// changes that commit late, so that the test before this one would be red without the lock.
func TestFeedWithoutTheLock(t *testing.T) {
	db := pgproc.Shared(t).Database(t, control)
	db.Exec(t, withoutTheLock)
	for try := range 5 {
		db.Exec(t, "TRUNCATE plumbline.changes, plumbline.users, plumbline.teams CASCADE")
		made, missed := follow(t, db, 6, 15)
		t.Logf("try %d: of %d changes a reader missed %d", try+1, made, len(missed))
		if len(missed) > 0 {
			return
		}
	}
	t.Error("without the lock nothing is missed: the lock is good for nothing, or the test for finding out")
}

// TestFeedUnderAnyIsolation: a database or a user can be set to a stricter isolation. Who waits for the feed is served then
// too, and never refused for the change that it waited for.
func TestFeedUnderAnyIsolation(t *testing.T) {
	for _, level := range []string{"repeatable read", "serializable"} {
		t.Run(level, func(t *testing.T) {
			db := pgproc.Shared(t).Database(t, control)
			db.Exec(t, fmt.Sprintf("ALTER DATABASE %s SET default_transaction_isolation = '%s'", db.Name, level))
			if made, missed := follow(t, db, 4, 10); len(missed) > 0 || made < 40 {
				t.Errorf("of %d changes a reader missed %v", made, missed)
			}
		})
	}
}

// TestFeedOverAStandby: while the server is a standby what is there is read, nothing is changed, and no version is used up.
func TestFeedOverAStandby(t *testing.T) {
	server := pgproc.Start(t, pgproc.Options{Fsync: true})
	db := server.Database(t, control)
	st := open(t, db.URL)
	put := func(id string) error { return st.Teams().Put(t.Context(), core.Team{ID: id}) }
	if err := put("before"); err != nil {
		t.Fatal(err)
	}
	server.Standby(t)
	_ = put("while") // what was in the pool breaks first, in words of the connection
	says(t, put("while"), "read-only standby")
	_, err := st.Claim(t.Context(), "audit", time.Minute, 10)
	says(t, err, "read-only standby")
	if changes, err := st.Changes(t.Context(), 0, 10); err != nil || len(changes) != 1 {
		t.Errorf("a standby tells %v, %v", changes, err)
	}
	server.Promote(t)
	for end := time.Now().Add(20 * time.Second); ; <-time.After(10 * time.Millisecond) {
		if err = put("after"); err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("after the promotion: %v", err)
		}
	}
	changes, err := st.Changes(t.Context(), 0, 10)
	if err != nil || len(changes) != 2 || changes[1].Version != 2 || changes[1].Object != "team/after" {
		t.Errorf("the feed tells %v, %v", changes, err)
	}
}
