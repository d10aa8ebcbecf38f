package audit_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/testkit"
)

// appendUntilKilled is the child of TestKilledWriterLosesNothing. Eight callers append an intent and an outcome at a time
// and say so on standard output after each; arguments are the path, the durability and the first exchange's number.
func appendUntilKilled(args []string) error {
	first, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	ctx := context.Background()
	log, err := audit.Open(ctx, audit.Options{Path: args[0], Durability: audit.Durability(args[1]), Ballast: 64 << 10, Journal: 256 << 10})
	if err != nil {
		return err
	}
	if _, err := log.Recover(ctx); err != nil {
		return err
	}
	failed := make(chan error)
	const callers = 8
	for caller := range callers {
		go func() {
			for i := first + caller; ; i += callers {
				for _, rec := range []core.Record{intentRecord(i), outcomeRecord(i)} {
					if err := log.Append(ctx, rec); err != nil {
						failed <- err
						return
					}
					fmt.Printf("%s %s\n", rec.Kind, rec.Exchange) // one write, whole
				}
			}
		}()
	}
	return <-failed
}

// TestKilledWriterLosesNothing kills a writer again and again on one log. PLUMBLINE_KILLS sets how often per mode.
func TestKilledWriterLosesNothing(t *testing.T) {
	kills, _ := testkit.Kills(t, 10)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, durability := range []audit.Durability{audit.CrashSafe, audit.Strict} {
		t.Run(string(durability), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "audit.db")
			acknowledged := map[string]bool{}
			for run := range kills {
				lines := runAndKill(t, self, path, durability, run*1_000_000, rand.IntN(200))
				if len(lines) == 0 {
					t.Fatal("the child acknowledged nothing")
				}
				for _, line := range lines {
					acknowledged[line] = true
				}
			}
			// A reader comes first: it must get by with what the dead left behind.
			found := steps(t, openReader(t, path))
			for line := range acknowledged {
				if found[line] != 1 {
					t.Fatalf("%q was acknowledged and is in the log %d times", line, found[line])
				}
			}

			log := openLog(t, audit.Options{Path: path})
			if _, err := log.Recover(t.Context()); err != nil {
				t.Fatal(err)
			}
			r := openReader(t, path)
			if _, err := r.Verify(t.Context()); err != nil {
				t.Error(err)
			}
			found = steps(t, r)
			intents := 0
			for line, n := range found {
				kind, exchange, _ := bytes.Cut([]byte(line), []byte(" "))
				if string(kind) != string(core.RecordIntent) {
					continue
				}
				intents++
				if outcomes := found[string(core.RecordOutcome)+" "+string(exchange)]; n != 1 || outcomes != 1 {
					t.Fatalf("exchange %s has %d intents and %d outcomes", exchange, n, outcomes)
				}
			}
			t.Logf("%d kills, %d exchanges, %d steps acknowledged", kills, intents, len(acknowledged))
		})
	}
}

// runAndKill kills the child after some acknowledgements and returns all it gave.
func runAndKill(t *testing.T, self, path string, durability audit.Durability, first, after int) []string {
	t.Helper()
	cmd := exec.Command(self, path, string(durability), strconv.Itoa(first))
	cmd.Env = append(os.Environ(), childEnv+"=append")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for s := bufio.NewScanner(out); s.Scan(); {
		lines = append(lines, s.Text())
		if len(lines) == after+1 {
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || stderr.Len() > 0 {
		t.Fatalf("the child ended by itself: %v: %s", err, &stderr)
	}
	return lines
}

// steps counts the steps in a log.
func steps(t *testing.T, r *audit.Reader) map[string]int {
	t.Helper()
	found := map[string]int{}
	for _, e := range everything(t, r) {
		found[string(e.Record.Kind)+" "+e.Record.Exchange]++
	}
	return found
}
