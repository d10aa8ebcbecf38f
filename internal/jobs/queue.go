package jobs

import (
	"context"
	"database/sql"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivertype"

	"github.com/plumbline/plumbline/internal/postgres"
)

// Queue is where jobs wait. Its tables must have been migrated.
type Queue struct {
	client func(*river.Config) (client, error)
}

// client is what is used of a River client, whatever its database.
type client interface {
	Start(ctx context.Context) error
	StopAndCancel(ctx context.Context) error
	JobList(ctx context.Context, params *river.JobListParams) (*river.JobListResult, error)
	JobRetry(ctx context.Context, id int64) (*rivertype.JobRow, error)
}

// schema is the one that the control data has in Postgres.
const schema = "plumbline"

// InPostgres is the queue in the control data in Postgres. The pool must Describe, since River gives JSON as bytes, and two
// connections are enough. Nothing is kept in a session: the queue is polled, as a pooler takes no LISTEN.
func InPostgres(pool *postgres.Pool) Queue {
	return Queue{func(c *river.Config) (client, error) {
		c.Schema, c.PollOnly = schema, true
		return open(riverpgxv5.New(pool.Pool), c)
	}}
}

// InSQLite is the queue in plumbline.db, opened for writing with one connection: River's own parts would else find the
// file locked by each other. It is polled as well: the notifications that River keeps in a table are looked for every 50 ms.
func InSQLite(db *sql.DB) Queue {
	return Queue{func(c *river.Config) (client, error) {
		c.PollOnly = true
		return open(riversqlite.New(db), c)
	}}
}

func open[T any](driver riverdriver.Driver[T], c *river.Config) (client, error) {
	return river.NewClient(driver, c)
}
