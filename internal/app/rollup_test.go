package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/quota/memory"
	"github.com/plumbline/plumbline/internal/testkit"
)

// rolling is the part of a Plumbline that fills the ledger from the audit of a directory.
type rolling struct {
	*roller
	ledger *memory.Ledger
	logged *bytes.Buffer
}

// openRolling starts it at a time of the clock.
func openRolling(ctx context.Context, dir string, limits *quota.LimitSet, now func() time.Time) (*rolling, error) {
	var logged bytes.Buffer
	log, err := audit.Open(ctx, audit.Options{
		Path: AuditPath(dir), Durability: audit.CrashSafe, Ballast: 64 << 10, Journal: 256 << 10,
	})
	if err != nil {
		return nil, err
	}
	r := &rolling{
		roller: &roller{audit: log, path: filepath.Join(dir, "quota.sums"), now: now, log: slog.New(slog.NewTextHandler(&logged, nil))},
		ledger: memory.New(memory.Options{Now: now}), logged: &logged,
	}
	if _, err = log.Recover(ctx); err == nil {
		err = r.fill(ctx, r.ledger, limits)
	}
	if err != nil {
		return nil, errors.Join(err, log.Close(ctx))
	}
	return r, nil
}

// append records an exchange that was charged tokens and a micro-dollar.
func (r *rolling) append(ctx context.Context, exchange string, at time.Time, tokens int64) error {
	by := core.Principal{User: "ann", Team: "red"}
	charge := &core.Charge{Admitted: at, Requests: 1, InputTokens: tokens, Cost: 1}
	for _, rec := range []core.Record{
		{Kind: core.RecordIntent, Time: at, Exchange: exchange, Principal: by, Model: "gpt-5", Reserved: charge},
		{Kind: core.RecordOutcome, Time: at, Exchange: exchange, Principal: by, Model: "gpt-5", Finish: core.FinishComplete, Settled: charge},
	} {
		if err := r.audit.Append(ctx, rec); err != nil {
			return err
		}
	}
	return nil
}

// used is what the limits, in their order, have used.
func (r *rolling) used(t *testing.T, limits *quota.LimitSet) string {
	t.Helper()
	standings, err := r.ledger.Standings(t.Context(), quota.Subject{User: "ann", Team: "red", Model: "gpt-5"}, limits, r.now())
	if err != nil {
		t.Fatal(err)
	}
	var used []string
	for _, s := range standings {
		used = append(used, fmt.Sprintf("%s %d", s.Limit.ID, s.Used))
	}
	return strings.Join(used, ", ")
}

func userLimits(t *testing.T, windows ...quota.Window) *quota.LimitSet {
	t.Helper()
	var limits []quota.Limit
	for _, w := range windows {
		limits = append(limits, quota.Limit{
			ID: string(w), Scope: quota.ScopeUser, Dimension: quota.DimensionTokens, Window: w, Value: quota.MaxValue, Zone: "Asia/Kathmandu",
		})
	}
	set, err := quota.Compile(limits)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// A ledger is what the records say, whatever lies where the sums are kept, and under limits that came after them. The log
// says when all records had to be read.
func TestTheLedgerIsFilledWhateverTheFileHolds(t *testing.T) {
	noon := time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)
	before, later := userLimits(t, quota.WindowDay), userLimits(t, quota.WindowMinute, quota.WindowHour, quota.WindowDay, quota.WindowMonth)
	// 3 tokens eight days before, 4 at nine, 5 half a minute before; the last after the file was written.
	const want = "minute 5, hour 5, day 9, month 12"
	for _, c := range []struct {
		name   string
		spoil  func(t *testing.T, dir string) // after the sums were saved
		at     time.Time
		want   string
		logged string
	}{
		{"as it was", func(*testing.T, string) {}, noon, want, ""},
		{"removed", func(t *testing.T, dir string) { must(t, os.Remove(sumsOf(dir))) }, noon, want, ""},
		{"cut", func(t *testing.T, dir string) { must(t, os.Truncate(sumsOf(dir), 60)) }, noon, want, "cannot be used"},
		{"empty", func(t *testing.T, dir string) { must(t, os.Truncate(sumsOf(dir), 0)) }, noon, want, "cannot be used"},
		{"a directory", func(t *testing.T, dir string) {
			must(t, os.Remove(sumsOf(dir)))
			must(t, os.Mkdir(sumsOf(dir), 0o700))
		}, noon, want, "cannot be used"},
		{"of another log", func(t *testing.T, dir string) {
			other := t.TempDir()
			r := mustRoll(t, other, before, noon)
			for i := range 3 {
				must(t, r.append(t.Context(), fmt.Sprint(i), noon, 1000))
			}
			must(t, r.close(t.Context()))
			must(t, r.audit.Close(t.Context()))
			must(t, os.Rename(sumsOf(other), sumsOf(dir)))
		}, noon, want, "another audit log"},
		{"half a new one beside it", func(t *testing.T, dir string) {
			must(t, os.WriteFile(sumsOf(dir)+".new", []byte("plumbline rollup 1\nhalf"), 0o600))
		}, noon, want, ""},
		{"a clock a day ahead", func(*testing.T, string) {}, noon.AddDate(0, 0, 1), "minute 0, hour 0, day 0, month 12", ""},
		// What seems to come from the future counts in the minute until the next call begins it anew.
		{"a clock ten days behind", func(*testing.T, string) {}, noon.AddDate(0, 0, -10), "minute 5, hour 0, day 0, month 12", "do not fit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			r := mustRoll(t, dir, before, noon)
			must(t, r.append(t.Context(), "a", noon.AddDate(0, 0, -8), 3))
			must(t, r.append(t.Context(), "b", noon.Add(-3*time.Hour), 4))
			must(t, r.roll(t.Context(), 1))
			must(t, r.append(t.Context(), "c", noon.Add(-30*time.Second), 5))
			must(t, r.audit.Close(t.Context())) // as after a kill: the file lacks the last
			c.spoil(t, dir)

			r = mustRoll(t, dir, later, c.at)
			if got := r.used(t, later); got != c.want {
				t.Errorf("used %s, want %s", got, c.want)
			}
			if got := r.logged.String(); strings.Contains(got, "WARN") != (c.logged != "") || !strings.Contains(got, c.logged) {
				t.Errorf("logged %q, want %q", got, c.logged)
			}
			must(t, r.audit.Close(t.Context()))
		})
	}
}

func sumsOf(dir string) string { return filepath.Join(dir, "quota.sums") }

func mustRoll(t *testing.T, dir string, limits *quota.LimitSet, at time.Time) *rolling {
	t.Helper()
	r, err := openRolling(t.Context(), dir, limits, func() time.Time { return at })
	must(t, err)
	return r
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// rollingChild makes the test binary append exchanges and save sums, both all the time, until it is killed.
const rollingChild = "PLUMBLINE_APP_TEST_ROLLING"

func rollUntilKilled(dir string) error {
	ctx := context.Background()
	r, err := openRolling(ctx, dir, nil, time.Now)
	if err != nil {
		return err
	}
	failed := make(chan error)
	run := time.Now().UnixNano()
	for caller := range 4 {
		go func() {
			for i := 0; ; i++ {
				ago := time.Duration(rand.Int64N(int64(20 * 24 * time.Hour)))
				if err := r.append(ctx, fmt.Sprintf("%d-%d-%d", run, caller, i), time.Now().Add(-ago), rand.Int64N(100)); err != nil {
					failed <- err
					return
				}
			}
		}()
	}
	go func() {
		for {
			if err := r.roll(ctx, 1); err != nil {
				failed <- err
				return
			}
			fmt.Println("saved")
		}
	}()
	return <-failed
}

// TestKilledWhileSumming kills a process that saves sums all the time, again and again on one directory: what the next one
// fills its ledger with is what the records say. PLUMBLINE_KILLS sets how often.
func TestKilledWhileSumming(t *testing.T) {
	kills, _ := testkit.Kills(t, 10)
	self, err := os.Executable()
	must(t, err)
	dir := t.TempDir()
	limits := userLimits(t, quota.WindowMinute, quota.WindowHour, quota.WindowDay, quota.WindowWeek, quota.WindowMonth)
	from := 0
	for range kills {
		killAfterSaves(t, self, dir, 1+rand.IntN(4), time.Duration(rand.Int64N(int64(20*time.Millisecond))))

		now := time.Now()
		r := mustRoll(t, dir, limits, now)
		if r.sums.Position() > 0 && !strings.Contains(r.logged.String(), "WARN") {
			from++
		}
		records := memory.New(memory.Options{Now: func() time.Time { return now }})
		must(t, r.audit.Charges(t.Context(), audit.ChargesQuery{}, func(c audit.Charged) error {
			return records.Replay(c.Charge, subjectOf(c), limits)
		}))
		got := r.used(t, limits)
		r.ledger = records
		if want := r.used(t, limits); got != want {
			t.Fatalf("the ledger has %s, the records say %s", got, want)
		}
		must(t, r.audit.Close(t.Context()))
	}
	if from < kills {
		t.Errorf("the sums served %d of %d starts", from, kills)
	}
	t.Logf("%d kills", kills)
}

// killAfterSaves kills the child a while after it has saved so often.
func killAfterSaves(t *testing.T, self, dir string, saves int, while time.Duration) {
	t.Helper()
	cmd := exec.Command(self, dir)
	cmd.Env = append(os.Environ(), rollingChild+"=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	line := make([]byte, len("saved\n"))
	for range saves {
		if _, err := out.Read(line); err != nil {
			break
		}
	}
	timer := time.NewTimer(while)
	<-timer.C
	must(t, cmd.Process.Kill())
	if err := cmd.Wait(); err == nil || stderr.Len() > 0 {
		t.Fatalf("the child ended by itself: %v: %s", err, &stderr)
	}
}
