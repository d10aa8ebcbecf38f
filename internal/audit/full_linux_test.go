package audit_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
)

// TestFullDisk runs itself in a mount namespace of its own, where it may mount a small disk and leaves nothing behind.
func TestFullDisk(t *testing.T) {
	if os.Getenv(childEnv) == "full" {
		fullDisk(t)
		return
	}
	self, err := os.Executable()
	must(t, err)
	cmd := exec.Command(self, "-test.run=^TestFullDisk$", "-test.v")
	cmd.Env = append(os.Environ(), childEnv+"=full")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
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
	t.Logf("%s", out)
}

// diskSize holds the two files of the journal, the ballast, what fills it up, and 4 MiB of records.
const (
	diskSize   = "size=22m"
	fillerSize = 14 << 20
)

func fullDisk(t *testing.T) {
	disk := t.TempDir()
	// What is mounted here must not show outside.
	if err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		t.Fatalf("may not mount: %v", err)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, diskSize); err != nil {
		t.Fatalf("may not mount: %v", err)
	}
	t.Cleanup(func() { must(t, syscall.Unmount(disk, 0)) })

	for _, durability := range []audit.Durability{audit.CrashSafe, audit.Strict} {
		t.Run(string(durability), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { fillAndFree(t, disk, filepath.Join(disk, string(durability)+".db"), durability) })
		})
		empty(t, disk)
	}
	t.Run("found by an outcome", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { fillByOutcomes(t, disk, filepath.Join(disk, "outcomes.db")) })
	})
	empty(t, disk)
}

func empty(t *testing.T, disk string) {
	left, err := filepath.Glob(filepath.Join(disk, "*"))
	must(t, err)
	for _, file := range left {
		must(t, os.Remove(file))
	}
}

// fillByOutcomes: the outcome that finds the disk full is written all the same, in the ballast's room, and so once.
func fillByOutcomes(t *testing.T, disk, path string) {
	log := openLog(t, audit.Options{Path: path, Ballast: 2 << 20})
	must(t, os.WriteFile(filepath.Join(disk, "filler"), make([]byte, fillerSize), 0o600))
	n := 0
	for ; log.Healthy() == nil; n++ {
		if err := log.Append(t.Context(), outcomeRecord(n)); err != nil {
			t.Fatalf("outcome %d: %v", n, err)
		}
	}
	must(t, log.Close(context.Background()))
	if got, err := openReader(t, path).Verify(t.Context()); err != nil || got.Records != int64(n) {
		t.Errorf("Verify: %+v, %v; want %d records", got, err, n)
	}
}

func fillAndFree(t *testing.T, disk, path string, durability audit.Durability) {
	// As usual, the ballast holds what moving the WAL into the file takes, and as much besides.
	const ballast = 2 << 20
	log := openLog(t, audit.Options{Path: path, Durability: durability, Ballast: ballast})
	must(t, log.Healthy())
	filler := filepath.Join(disk, "filler")
	must(t, os.WriteFile(filler, make([]byte, fillerSize), 0o600))

	admitted := 0
	var refused error
	for refused == nil {
		if refused = log.Append(t.Context(), intentRecord(admitted)); refused == nil {
			admitted++
		}
	}
	if !errors.Is(refused, audit.ErrUnavailable) || !strings.Contains(refused.Error(), "the disk is full") {
		t.Errorf("the record that found the disk full: %v", refused)
	}
	if err := log.Healthy(); !errors.Is(err, audit.ErrUnavailable) {
		t.Errorf("Healthy: %v, want ErrUnavailable", err)
	}
	// What was admitted lately finds room for its outcome, while nothing new is let in; also some time later.
	const open = 150
	closeSome := func(from, to int) {
		var wg sync.WaitGroup
		for i := from; i < to; i++ {
			wg.Go(func() {
				if err := log.Append(t.Context(), outcomeRecord(admitted-1-i)); err != nil {
					t.Errorf("an outcome on a full disk: %v", err)
				}
			})
		}
		wg.Wait()
	}
	closeSome(0, open/2)
	<-time.After(3 * time.Second)
	if err := log.Append(t.Context(), intentRecord(admitted+1)); !errors.Is(err, audit.ErrUnavailable) {
		t.Errorf("an intent on a full disk: %v, want ErrUnavailable", err)
	}
	closeSome(open/2, open)
	if err := log.Append(t.Context(), core.Record{Kind: core.RecordAdmin, Time: start}); !errors.Is(err, audit.ErrUnavailable) {
		t.Errorf("a change on a full disk: %v, want ErrUnavailable", err)
	}

	// Room for the ballast alone is not enough: the next record would find the disk full again.
	var st syscall.Statfs_t
	must(t, syscall.Statfs(disk, &st))
	if grow := ballast*3/2 - int64(st.Bavail)*st.Bsize; grow > 0 {
		must(t, os.Truncate(filler, fillerSize-grow))
	}
	<-time.After(time.Second)
	if err := log.Healthy(); !errors.Is(err, audit.ErrUnavailable) {
		t.Errorf("with 3 MiB free: %v, want ErrUnavailable", err)
	}
	must(t, os.Remove(filler))
	<-time.After(time.Second)
	if err := log.Healthy(); err != nil {
		t.Errorf("there is room again, yet Healthy: %v", err)
	}
	if err := log.Append(t.Context(), intentRecord(admitted+2)); err != nil {
		t.Errorf("there is room again, yet: %v", err)
	}
	if info, err := os.Stat(path + ".ballast"); err != nil || info.Size() != ballast {
		t.Errorf("the ballast was not taken again: %v", err)
	}
	if got, err := openReader(t, path).Verify(t.Context()); err != nil || got.Records != int64(admitted+open+1) {
		t.Errorf("Verify: %+v, %v; want %d records", got, err, admitted+open+1)
	}
	t.Logf("%d intents fitted, then %d outcomes", admitted, open)
	must(t, log.Close(context.Background()))
}
