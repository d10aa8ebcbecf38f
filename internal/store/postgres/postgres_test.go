package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	pg "github.com/plumbline/plumbline/internal/postgres"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/store/postgres"
	"github.com/plumbline/plumbline/internal/store/storetest"
	"github.com/plumbline/plumbline/internal/testkit/pgproc"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(childURL); url != "" {
		if err := child(url, os.Getenv("PLUMBLINE_TEST_CHILD_NAME")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// control is a database with every migration.
var control = pgproc.Template{Name: "control", Make: func(ctx context.Context, url string) error {
	pool, err := pg.Open(ctx, pg.Options{URL: url})
	if err != nil {
		return err
	}
	_, err = postgres.Schema.Migrate(ctx, pool)
	return errors.Join(err, pool.Close())
}}

func open(t testing.TB, url string) *postgres.Store {
	t.Helper()
	st, err := postgres.Open(t.Context(), postgres.Options{Options: pg.Options{URL: url, MaxConns: 3}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t testing.TB) func() store.Store {
		db := pgproc.Shared(t).Database(t, control)
		return func() store.Store { return open(t, db.URL) }
	})
}

func TestSetAsideAnyway(t *testing.T) {
	db := pgproc.Shared(t).Database(t, control)
	storetest.SetAsideAnyway(t, open(t, db.URL), func(exchange string) {
		db.Exec(t, fmt.Sprintf("INSERT INTO plumbline.lessons (exchange, drawn, place) VALUES ('%s', 1, 7)", exchange))
	})
}
