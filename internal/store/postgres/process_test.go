package postgres_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/plumbline/plumbline/internal/core"
	pg "github.com/plumbline/plumbline/internal/postgres"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/store/postgres"
	"github.com/plumbline/plumbline/internal/testkit/pgproc"
	"github.com/plumbline/plumbline/migrations"
)

// childURL names the database in the environment of another process.
const childURL = "PLUMBLINE_TEST_CHILD_URL"

// writesEach is how many changes each process of TestFeedOfManyProcesses makes.
const writesEach = 60

// child makes changes with two pools at once.
func child(url, who string) error {
	failed := make(chan error)
	for pool := range 2 {
		go func() { failed <- write(url, fmt.Sprintf("%s-%d", who, pool)) }()
	}
	for range 2 {
		if err := <-failed; err != nil {
			return err
		}
	}
	return nil
}

func write(url, who string) error {
	st, err := postgres.Open(context.Background(), postgres.Options{Options: pg.Options{URL: url}, Migrate: true})
	if err != nil {
		return err
	}
	defer st.Close()
	for i := range writesEach / 2 {
		id := fmt.Sprintf("%s-%d", who, i)
		// Three changes under one commit, of which the first two may be seen only with the third.
		o := store.Objects{Teams: []core.Team{{ID: id}}, Users: []core.User{{ID: id, Team: id}}, Apps: []core.App{{ID: id, Team: id}}}
		if err := st.Apply(context.Background(), o); err != nil {
			return err
		}
	}
	return nil
}

// TestFeedOfManyProcesses: processes write at once, each with pools of its own, and begin by migrating the empty database
// at once. Who follows the feed misses nothing: no version comes twice, and none below one that was seen. A sequence in
// place of the row of feed breaks this.
func TestFeedOfManyProcesses(t *testing.T) {
	const processes = 3
	db := pgproc.Shared(t).Database(t, pgproc.Template{})
	ended := make(chan error, processes)
	for i := range processes {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), childURL+"="+db.URL, "PLUMBLINE_TEST_CHILD_NAME=p"+fmt.Sprint(i))
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		go func() { ended <- cmd.Wait() }()
	}
	st, err := postgres.Open(t.Context(), postgres.Options{Options: pg.Options{URL: db.URL, MaxConns: 2}, Migrate: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })

	var last uint64
	seen := map[string]bool{}
	for running := processes; ; {
		head, err := st.Version(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		changes, err := st.Changes(t.Context(), last, 100_000)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range changes {
			if c.Version != last+1 || seen[c.Object] {
				t.Fatalf("after %d comes %d, %s", last, c.Version, c.Object)
			}
			last, seen[c.Object] = c.Version, true
		}
		if last < head || last%3 != 0 {
			t.Fatalf("the feed ends at %d, and the version was %d; commits have three changes", last, head)
		}
		if running == 0 {
			break
		}
		select {
		case err := <-ended:
			if err != nil {
				t.Fatal(err)
			}
			running--
		default:
		}
	}
	if want := processes * writesEach * 3; len(seen) != want {
		t.Errorf("the feed told %d of %d changes", len(seen), want)
	}
	if n := pgproc.One[int](t, db, "SELECT count(*) FROM plumbline.schema_version"); n != len(files(t, migrations.PostgresControl)) {
		t.Errorf("%d migrations are noted", n)
	}
}
