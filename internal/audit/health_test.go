package audit_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
)

// TestLostFileIsNoticed: within a second of the file going away, calls are refused; when it is back they are not.
func TestLostFileIsNoticed(t *testing.T) {
	rename := func(from, to string) func(t *testing.T, path string) {
		return func(t *testing.T, path string) { must(t, os.Rename(path+from, path+to)) }
	}
	chmod := func(mode os.FileMode) func(t *testing.T, path string) {
		return func(t *testing.T, path string) { must(t, os.Chmod(path, mode)) }
	}
	for _, c := range []struct {
		name     string
		hurt     func(t *testing.T, path string)
		heal     func(t *testing.T, path string)
		want     string
		outcomes bool // are still taken
	}{
		{"moved", rename("", ".away"), rename(".away", ""), "the audit log is gone", false},
		{"wal moved", rename("-wal", ".away"), rename(".away", "-wal"), "the audit log is gone", false},
		{"read-only", chmod(0o400), chmod(0o600), "was made read-only", true},
		{"replaced", func(t *testing.T, path string) {
			must(t, os.Rename(path, path+".away"))
			must(t, os.WriteFile(path, nil, 0o600))
		}, rename(".away", ""), "another file has taken the place", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "audit.db")
				log := openLog(t, audit.Options{Path: path})
				if err := log.Append(t.Context(), intentRecord(1)); err != nil {
					t.Fatal(err)
				}
				c.hurt(t, path)
				<-time.After(time.Second)
				if err := log.Healthy(); !errors.Is(err, audit.ErrUnavailable) || !strings.Contains(err.Error(), c.want) {
					t.Errorf("Healthy: %v, want it to say %q", err, c.want)
				}
				if err := log.Append(t.Context(), intentRecord(2)); !errors.Is(err, audit.ErrUnavailable) {
					t.Errorf("an intent: %v, want ErrUnavailable", err)
				}
				if err := log.Append(t.Context(), outcomeRecord(1)); (err == nil) != c.outcomes {
					t.Errorf("an outcome: %v, taken should be %v", err, c.outcomes)
				}
				c.heal(t, path)
				<-time.After(time.Second)
				if err := log.Healthy(); err != nil {
					t.Errorf("healed, yet Healthy: %v", err)
				}
				if err := log.Append(t.Context(), intentRecord(3)); err != nil {
					t.Errorf("healed, yet: %v", err)
				}
				must(t, log.Close(context.Background()))
			})
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
