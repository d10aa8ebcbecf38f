package e2e

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/testkit"
)

const (
	// noticed is how long a file that is gone or read-only may stay unnoticed, and healed how long calls may be refused after it
	// is as it was.
	noticed, healed = time.Second, 5 * time.Second
)

// TestAuditFileGone takes the audit's files away, or the right to write them, under the real program. A second later no call
// passes, and five seconds after all is back, calls do. Every call that reached the provider has its record.
func TestAuditFileGone(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{policy: allowAll})
	path := app.AuditPath(s.cfg.DataDir)
	rename := func(from, to string) func() { return func() { must(t, os.Rename(from, to)) } }
	chmod := func(name string, mode fs.FileMode) func() { return func() { must(t, os.Chmod(name, mode)) } }
	for _, c := range []struct {
		name       string
		hurt, heal func()
	}{
		{"file moved", rename(path, path+".away"), rename(path+".away", path)},
		{"journal moved", rename(path+".journal-1", path+".away"), rename(path+".away", path+".journal-1")},
		{"lock moved", rename(path+".lock", path+".away"), rename(path+".away", path+".lock")},
		{"directory moved", rename(s.cfg.DataDir, s.cfg.DataDir+".away"), rename(s.cfg.DataDir+".away", s.cfg.DataDir)},
		{"file read-only", chmod(path, 0o400), chmod(path, 0o600)},
		{"journal read-only", chmod(path+".journal-2", 0o400), chmod(path+".journal-2", 0o600)},
	} {
		t.Run(c.name, func(t *testing.T) {
			ask := s.chatCall(chatBody("gpt-4o-mini", onTask, nil))
			if r := s.send(ask); r.Status != http.StatusOK {
				t.Fatalf("status %d before anything is wrong", r.Status)
			}
			c.hurt()
			<-time.After(noticed)
			before := s.provider.Total()
			for range 5 {
				governanceDown.check(t, s.send(ask))
			}
			s.untouched(before)
			c.heal()
			for back := time.Now(); s.send(ask).Status != http.StatusOK; <-time.After(20 * time.Millisecond) {
				if time.Since(back) > healed {
					t.Fatalf("calls are still refused %v later", healed)
				}
			}
		})
	}
	s.recorded()
}

// TestDiskFails has every sync of the program fail from some moment on. The program gives the log up and ends; nothing reaches
// the provider without a record; the next start goes on with all that was acknowledged.
func TestDiskFails(t *testing.T) {
	strace := testkit.Program(t, "strace")
	t.Parallel()
	for _, durability := range []string{"crash-safe", "strict"} {
		t.Run(durability, func(t *testing.T) {
			s := serve(t, setup{policy: allowAll, settings: map[string]string{"audit.durability": durability, "shutdown.grace": "1s"}})
			ask := s.chatCall(chatBody("gpt-4o-mini", onTask, nil))
			for range 20 {
				if r := s.send(ask); r.Status != http.StatusOK {
					t.Fatalf("status %d before anything is wrong", r.Status)
				}
			}
			injector := launch(t, exec.CommandContext(t.Context(), strace, "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync",
				"-e", "inject=fsync,fdatasync:error=EIO", "-p", strconv.Itoa(s.process.cmd.Process.Pid)))
			var ended error
			for failing := true; failing; {
				s.send(ask) // some pass until the first sync fails
				select {
				case ended = <-s.process.ended:
					failing = false
				default:
				}
			}
			if exit := (*exec.ExitError)(nil); !errors.As(ended, &exit) || exit.ExitCode() != 1 || !strings.Contains(s.log.String(), "the disk did not take what was written") {
				t.Errorf("it ended with %v", ended)
			}
			_ = injector.wait()
			began := time.Now()
			s.start()
			eventually(t, "calls pass again", func() bool { return s.send(ask).Status == http.StatusOK })
			if took := time.Since(began); took > healed {
				t.Errorf("calls passed after %v", took)
			}
			s.recorded()
		})
	}
}

// recorded checks that the audit is sound and has an intent and an outcome of every call that the provider saw.
func (s *server) recorded() {
	s.t.Helper()
	s.process.stop()
	s.start() // closes what was left open
	if _, err := s.audit.Verify(s.t.Context()); err != nil {
		s.t.Errorf("the audit does not verify: %v", err)
	}
	intents, outcomes := map[string]int{}, map[string]int{}
	s.everyRecord(func(r core.Record) {
		switch r.Kind {
		case core.RecordIntent:
			intents[r.Exchange]++
		case core.RecordOutcome:
			outcomes[r.Exchange]++
		case core.RecordDeny, core.RecordRefusals, core.RecordAdmin:
		}
	})
	for exchange := range intents {
		if intents[exchange] != 1 || outcomes[exchange] != 1 {
			s.t.Errorf("exchange %s has %d intents and %d outcomes", exchange, intents[exchange], outcomes[exchange])
		}
	}
	if seen := s.provider.Total(); int64(len(intents)) < seen {
		s.t.Errorf("the provider saw %d calls, and %d have a record", seen, len(intents))
	}
}
