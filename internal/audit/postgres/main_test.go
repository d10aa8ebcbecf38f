package postgres_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/postgres"
	"github.com/plumbline/plumbline/internal/audit/ship"
	"github.com/plumbline/plumbline/internal/core"
	pg "github.com/plumbline/plumbline/internal/postgres"
	"github.com/plumbline/plumbline/internal/testkit/pgproc"
)

// childEnv makes the test binary play a process of its own instead of running the tests.
const childEnv = "PLUMBLINE_SHIP_TEST_CHILD"

func TestMain(m *testing.M) {
	var child func([]string) error
	switch os.Getenv(childEnv) {
	case "ship":
		child = shipUntilKilled
	case "record":
		child = recordUntilKilled
	}
	if child != nil {
		if err := child(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// records is a database with every migration.
var records = pgproc.Template{Name: "audit", Make: func(ctx context.Context, url string) error {
	pool, err := pg.Open(ctx, pg.Options{URL: url})
	if err != nil {
		return err
	}
	_, err = postgres.Schema.Migrate(ctx, pool)
	return errors.Join(err, pool.Close())
}}

func openStore(t testing.TB, url string) *postgres.Store {
	t.Helper()
	return postgres.New(openPool(t, url))
}

func openPool(t testing.TB, url string) *pg.Pool {
	t.Helper()
	pool, err := pg.Open(t.Context(), pg.Options{URL: url, MaxConns: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Close() })
	return pool
}

func openLog(t testing.TB, path string) *audit.Log {
	t.Helper()
	if path == "" {
		path = filepath.Join(t.TempDir(), "audit.db")
	}
	log, err := audit.Open(t.Context(), audit.Options{Path: path, Durability: audit.CrashSafe, Ballast: 64 << 10, Journal: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := log.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return log
}

// settled has what was appended so far be in the tables, where it is shipped from.
func settled(t testing.TB, log *audit.Log) {
	t.Helper()
	if _, err := log.End(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newShipper(log ship.Source, d ship.Destination) *ship.Shipper {
	return ship.New(ship.Options{Source: log, Destination: d, Owed: time.Hour})
}

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func exchangeID(i int) string { return fmt.Sprintf("0195%08x-7000-8000-000000000000", i) }

// intent is what is written before exchange i is forwarded, of the usual size.
func intent(i int) core.Record {
	at := start.Add(time.Duration(i) * time.Second)
	return core.Record{
		Kind: core.RecordIntent, Time: at, Exchange: exchangeID(i),
		Principal: core.Principal{User: fmt.Sprintf("user-%d", i%50), Team: fmt.Sprintf("team-%d", i%5), App: "assistant"},
		Source:    "192.0.2.7", Endpoint: "chat", Model: "gpt-4o-mini", PolicyVersion: "p-1f3a",
		Intent:    &core.Intent{Label: []string{"banking", "travel"}[i%2], Confidence: 0.91, Model: "clinc-1"},
		Deviation: &core.Deviation{Score: float64(i%11) / 10, Task: "task-3", Phrase: "monthly statements", Model: "lin-1"},
		Verdict:   &core.Verdict{Action: core.ActionAllow, Decided: core.ActionAllow, Reason: core.ReasonNone},
		Reason:    core.ReasonNone,
		Facts:     json.RawMessage(`{"v":1,"note":"` + strings.Repeat("x", 500) + `"}`),
		Reserved:  &core.Charge{Admitted: at, Requests: 1, InputTokens: 500, OutputTokens: 256, Cost: 228},
	}
}

// outcome is how exchange i ended.
func outcome(i int) core.Record {
	in := intent(i)
	return core.Record{
		Kind: core.RecordOutcome, Time: in.Time.Add(time.Duration(i%9) * 100 * time.Millisecond), Exchange: in.Exchange, Principal: in.Principal,
		Source: in.Source, Endpoint: in.Endpoint, Model: in.Model, Status: 200, Finish: core.FinishComplete, Reason: core.ReasonNone,
		Settled: &core.Charge{Admitted: in.Time, Requests: 1, InputTokens: 480, OutputTokens: 100 + int64(i%7), Cost: 132},
	}
}

// appendExchanges appends the exchanges from up to, but not including, to.
func appendExchanges(t testing.TB, log *audit.Log, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		must(t, log.Append(t.Context(), intent(i)))
		must(t, log.Append(t.Context(), outcome(i)))
	}
	settled(t, log)
}
