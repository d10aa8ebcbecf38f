package app

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/chain"
	"github.com/plumbline/plumbline/internal/audit/notary"
	"github.com/plumbline/plumbline/internal/core"
)

// TestCheckpointsReachTheSecondPlace: what was recorded is signed at the stop at the latest, with a key that was made at the
// start, or with one that was given.
func TestCheckpointsReachTheSecondPlace(t *testing.T) {
	given := filepath.Join(t.TempDir(), "given.key")
	if err := notary.MakeKey(given); err != nil {
		t.Fatal(err)
	}
	for name, settings := range map[string]map[string]string{
		"made":  {},
		"given": {"audit.checkpoints.key_file": given},
	} {
		t.Run(name, func(t *testing.T) {
			outside := filepath.Join(t.TempDir(), "checkpoints.log")
			settings["audit.checkpoints.sink"] = "file:" + outside
			cfg := testConfig(t, settings)
			a, stop := running(t, cfg)
			rec := core.Record{Kind: core.RecordDeny, Time: time.Now().UTC(), Exchange: "first", Reason: core.ReasonOffTask}
			if err := a.audit.Append(t.Context(), rec); err != nil {
				t.Fatal(err)
			}
			stop()

			key, err := notary.ReadKey(CheckpointKeyPath(cfg))
			if err != nil {
				t.Fatal(err)
			}
			keys, err := chain.ParseKeys(key.Public)
			if err != nil {
				t.Fatal(err)
			}
			f, err := os.Open(outside)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			published, err := chain.Read(f, keys)
			if err != nil {
				t.Fatal(err)
			}
			r, err := audit.OpenReader(t.Context(), AuditPath(cfg.DataDir))
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			report, err := notary.Verify(t.Context(), r, notary.Evidence{Keys: &keys, Outside: published})
			if err != nil || report.Records < 1 || report.FixedOutside != uint64(report.Records) {
				t.Errorf("%+v, %v", report, err)
			}
		})
	}
}

// TestAKeyThatEveryoneCanReadIsRefused, and one that is missing is not made where one was named.
func TestABadSigningKeyIsRefused(t *testing.T) {
	dir := t.TempDir()
	open := filepath.Join(dir, "open.key")
	if err := notary.MakeKey(open); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{open: "chmod o=", filepath.Join(dir, "missing"): "no such file"} {
		cfg := testConfig(t, map[string]string{"audit.checkpoints.key_file": path})
		if _, err := New(context.Background(), Options{Config: cfg, Log: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
