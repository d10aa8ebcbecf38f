package e2e

import (
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/core"
)

// childEnv tells a test that it runs in a mount namespace of its own.
const childEnv = "PLUMBLINE_E2E_CHILD"

// TestFullDisk runs itself in a mount namespace of its own, where it may mount a small disk and leaves nothing behind.
func TestFullDisk(t *testing.T) {
	if os.Getenv(childEnv) == t.Name() {
		fullDisk(t)
		return
	}
	t.Parallel()
	self, err := os.Executable()
	must(t, err)
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestFullDisk$", "-test.v")
	cmd.Env = append(os.Environ(), childEnv+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if uid := os.Getuid(); uid != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	switch {
	case errors.Is(err, syscall.EPERM) || strings.Contains(string(out), "may not mount"):
		if os.Getenv("CI") != "" {
			t.Fatalf("cannot mount a small disk: %v", err)
		}
		t.Skipf("cannot mount a small disk: %v", err)
	case err != nil:
		t.Fatalf("%v\n%s", err, out)
	}
}

// fullDisk fills the disk of the audit: calls are refused before the provider sees them, one that was admitted before
// finds room for its outcome, and all is well again once there is space.
func fullDisk(t *testing.T) {
	disk := t.TempDir()
	// What is mounted here must not show outside.
	if err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		t.Fatalf("may not mount: %v", err)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=100m"); err != nil {
		t.Fatalf("may not mount: %v", err)
	}
	t.Cleanup(func() { must(t, syscall.Unmount(disk, 0)) })
	s := setup{settings: map[string]string{"data_dir": disk}}
	s.provider.ChunkPause = 40 * time.Millisecond
	w := start(t, s)
	ask := w.chatCall(chatBody("gpt-4o", onTask, nil))
	open := w.open(w.chatCall(chatBody("gpt-4o", onTask, streamed)))
	open.until(" line")

	filler := filepath.Join(disk, "filler")
	fill(t, filler)
	var refused response
	var before int64
	eventually(t, "a call is refused", func() bool {
		before = w.provider.Total()
		refused = w.send(ask)
		return refused.Status != http.StatusOK
	})
	governanceDown.check(t, refused)
	for range 3 {
		governanceDown.check(t, w.send(ask))
	}
	// A refusal needs a record too: without one the caller hears that nothing can be governed.
	governanceDown.check(t, w.send(w.chatCall(`{"model":`)))
	w.untouched(before)
	if ready := w.ops("/readyz"); !strings.Contains(ready, "not ready") || !strings.Contains(ready, "full") {
		t.Errorf("/readyz says %q", ready)
	}
	if w.metric("plumbline_audit_healthy") != 0 || w.metric("plumbline_fail_closed_total") < 4 {
		t.Errorf("the metrics say that all is well")
	}
	open.until("[DONE]")
	if _, outcome := w.outcome(open.exchange); outcome.Finish != core.FinishComplete || outcome.Usage.Estimated {
		t.Errorf("the audit has finish %s, usage %+v", outcome.Finish, outcome.Usage)
	}

	must(t, os.Remove(filler))
	eventually(t, "calls pass again", func() bool { return w.send(ask).Status == http.StatusOK })
	if ready := w.ops("/readyz"); !strings.HasPrefix(ready, "ready") {
		t.Errorf("/readyz says %q", ready)
	}
	if _, err := w.audit.Verify(t.Context()); err != nil {
		t.Errorf("the audit does not verify: %v", err)
	}
	if intents, outcomes := len(w.all(auditOf(core.RecordIntent))), len(w.all(auditOf(core.RecordOutcome))); intents != outcomes {
		t.Errorf("the audit has %d intents and %d outcomes", intents, outcomes)
	}
}

// fill writes a file until there is no room.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	must(t, err)
	defer f.Close()
	for block := make([]byte, 1<<20); len(block) >= 512; {
		if _, err := f.Write(block); errors.Is(err, syscall.ENOSPC) {
			block = block[:len(block)/2]
		} else {
			must(t, err)
		}
	}
}
