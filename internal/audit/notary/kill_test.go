package notary_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/chain"
	"github.com/plumbline/plumbline/internal/audit/notary"
	"github.com/plumbline/plumbline/internal/testkit"
)

// childEnv makes the test binary play a process of its own instead of running the tests.
const childEnv = "PLUMBLINE_NOTARY_TEST_CHILD"

// signUntilKilled is the child of TestKillWhileSigning: some callers append, and all there is is signed again and again.
func signUntilKilled(dir string) error {
	ctx := context.Background()
	log, err := audit.Open(ctx, audit.Options{Path: filepath.Join(dir, "audit.db"), Durability: audit.CrashSafe, Ballast: 64 << 10, Journal: 256 << 10})
	if err != nil {
		return err
	}
	key, _, err := notary.ReadOrMakeKey(filepath.Join(dir, "checkpoint.key"))
	if err != nil {
		return err
	}
	keys, err := chain.ParseKeys(key.Public)
	if err != nil {
		return err
	}
	n := notary.New(notary.Options{Log: log, Signer: key.Signer, Keys: keys, Sink: notary.NewFile(filepath.Join(dir, "outside.log"), time.Now)})
	if err := log.Append(ctx, change()); err != nil { // so that there is something to sign
		return err
	}
	failed := make(chan error)
	for range 4 {
		go func() {
			for {
				if err := log.Append(ctx, change()); err != nil {
					failed <- err
					return
				}
			}
		}()
	}
	go func() {
		for {
			if err := n.Finish(ctx); err != nil {
				failed <- err
				return
			}
			fmt.Println("signed")
		}
	}()
	return <-failed
}

// TestKillWhileSigning kills a process that signs, again and again on one log: what is at the second place holds at any moment,
// and the next process signs what the one before it did not. PLUMBLINE_KILLS sets how often.
func TestKillWhileSigning(t *testing.T) {
	kills, _ := testkit.Kills(t, 5)
	w := newWorld(t)
	must(t, w.log.Close(t.Context()))
	self, err := os.Executable()
	must(t, err)
	for range kills {
		signAndKill(t, self, filepath.Dir(w.path), rand.IntN(30))
		if report, err := w.verify(); err != nil || report.FixedOutside > report.Fixed {
			t.Fatalf("after a kill: %+v, %v", report, err)
		}
	}
	w.open()
	must(t, w.notary.Finish(t.Context()))
	report, err := w.verify()
	if err != nil || report.FixedOutside != uint64(report.Records) || report.Writers != int64(kills) {
		t.Errorf("%+v, %v", report, err)
	}
	t.Logf("%d kills, %d records, %d checkpoints", kills, report.Records, report.Outside)
}

// signAndKill kills the child after it has signed so often.
func signAndKill(t *testing.T, self, dir string, after int) {
	t.Helper()
	cmd := exec.Command(self, dir)
	cmd.Env = append(os.Environ(), childEnv+"=sign")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	lines := 0
	for s := bufio.NewScanner(out); s.Scan(); lines++ {
		if lines == after {
			must(t, cmd.Process.Kill())
		}
	}
	if err := cmd.Wait(); err == nil || stderr.Len() > 0 {
		t.Fatalf("the child ended by itself: %v: %s", err, &stderr)
	}
}
