package read_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/audittest"
	"github.com/plumbline/plumbline/internal/audit/read"
	"github.com/plumbline/plumbline/internal/core"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		if err := dropUntilKilled(os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

func TestConformance(t *testing.T) {
	audittest.Run(t, func(t testing.TB) (func(int, ...core.Record) error, read.Reader) {
		path := filepath.Join(t.TempDir(), "audit.db")
		log, err := audit.Open(t.Context(), audit.Options{Path: path, Durability: audit.CrashSafe, Ballast: 64 << 10, Journal: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		r, err := audit.OpenReader(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := errors.Join(r.Close(), log.Close(context.Background())); err != nil {
				t.Error(err)
			}
		})
		record := func(_ int, all ...core.Record) error { // one process is one writer
			for _, rec := range all {
				if err := log.Append(context.Background(), rec); err != nil {
					return err
				}
			}
			return nil
		}
		return record, read.Local{Reader: r}
	})
}
