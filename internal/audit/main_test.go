package audit_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/plumbline/plumbline/internal/audit"
)

// childEnv makes the test binary play a process of its own instead of running the tests.
const childEnv = "PLUMBLINE_AUDIT_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) == "append" {
		if err := appendUntilKilled(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// openLog opens a log that is closed at the end of the test.
func openLog(t *testing.T, o audit.Options) *audit.Log {
	t.Helper()
	if o.Path == "" {
		o.Path = filepath.Join(t.TempDir(), "audit.db")
	}
	if o.Durability == "" {
		o.Durability = audit.CrashSafe
	}
	if o.Ballast == 0 {
		o.Ballast = 64 << 10
	}
	if o.Journal == 0 {
		o.Journal = 1 << 20
	}
	log, err := audit.Open(t.Context(), o)
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

func openReader(t *testing.T, path string) *audit.Reader {
	t.Helper()
	r, err := audit.OpenReader(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// everything reads a whole log, oldest first.
func everything(t *testing.T, r *audit.Reader) []audit.Entry {
	t.Helper()
	end, err := r.End(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var all []audit.Entry
	if end == 0 {
		return nil
	}
	err = r.Tail(t.Context(), 0, func(e audit.Entry) error {
		all = append(all, e)
		if e.Position == end {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		t.Fatal(err)
	}
	return all
}

var errEnough = errors.New("enough")
