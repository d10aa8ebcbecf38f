package postgres_test

import (
	"testing"

	pg "github.com/plumbline/plumbline/internal/postgres"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/store/postgres"
	"github.com/plumbline/plumbline/internal/store/storetest"
	"github.com/plumbline/plumbline/internal/testkit/pgproc"
)

// TestConformanceThroughPgBouncer: in transaction mode, where the sessions of two connections are everybody's in turn. The
// schema is made through it too, by many at once.
func TestConformanceThroughPgBouncer(t *testing.T) {
	storetest.RunExamples(t, func(t testing.TB) func() store.Store {
		url := pgproc.Shared(t).Database(t, pgproc.Template{}).Pooled(t, 2)
		migrated := make(chan error, 2)
		for range cap(migrated) {
			go func() {
				st, err := postgres.Open(t.Context(), postgres.Options{Options: pg.Options{URL: url}, Migrate: true})
				if err == nil {
					err = st.Close()
				}
				migrated <- err
			}()
		}
		for range cap(migrated) {
			if err := <-migrated; err != nil {
				t.Fatal(err)
			}
		}
		return func() store.Store { return open(t, url) }
	})
}
