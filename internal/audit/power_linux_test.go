package audit_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/testkit"
)

// sector is what a disk writes whole, in bytes.
const sector = 512

// TestPowerLoss records while strace stops the process after each call that syncs a file. At each stop the power could go: of
// every file there is what was synced last, and of what was written since any sectors. Each such disk is opened with the real
// recovery. In mode strict it has all that was acknowledged; in crash-safe all but the latest; in both each record is whole
// and no number is missing. PLUMBLINE_CUTS sets how many stops are looked at.
func TestPowerLoss(t *testing.T) {
	strace := testkit.Program(t, "strace")
	cuts := 12
	if s := os.Getenv("PLUMBLINE_CUTS"); s != "" {
		n, err := strconv.Atoi(s)
		must(t, err)
		cuts = n
	}
	for _, durability := range []audit.Durability{audit.Strict, audit.CrashSafe} {
		t.Run(string(durability), func(t *testing.T) {
			p := startTraced(t, strace, durability)
			defer p.end(t)
			disks := 0
			for n := 0; n < cuts; {
				synced, acknowledged := p.stop(t)
				if len(acknowledged) > 0 {
					n++
					must := acknowledged
					if durability == audit.CrashSafe {
						must = p.settled()
					}
					for _, disk := range synced.cut(p.now) {
						disk.holds(t, must)
						disks++
					}
				}
				p.goOn(t)
			}
			t.Logf("%d moments, %d disks, %d steps acknowledged", cuts, disks, len(p.acknowledged()))
		})
	}
}

// files are the contents of the log's files by name.
type files map[string][]byte

// traced is a process that is stopped at each sync.
type traced struct {
	dir    string
	strace *exec.Cmd
	child  int               // its process id
	trace  chan string       // strace's lines
	calls  map[string]string // files of the sync calls that have not returned, by thread
	synced files             // as they were synced last
	now    files             // as they are

	mu    sync.Mutex
	acks  []string
	atWAL []int // how many acknowledgements there were at each sync of the WAL
	read  chan struct{}
}

func startTraced(t *testing.T, strace string, durability audit.Durability) *traced {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	p := &traced{dir: t.TempDir(), calls: map[string]string{}, synced: files{}, read: make(chan struct{})}
	in, out, err := os.Pipe()
	must(t, err)
	p.strace = exec.Command(strace, "-f", "-y", "-o", "/dev/fd/3", "-e", "trace=fsync,fdatasync",
		"-e", "inject=fsync,fdatasync:signal=SIGSTOP", self, filepath.Join(p.dir, "audit.db"), string(durability), "0")
	p.strace.Env = append(os.Environ(), childEnv+"=append")
	p.strace.ExtraFiles = []*os.File{out}
	acks, err := p.strace.StdoutPipe()
	must(t, err)
	must(t, p.strace.Start())
	must(t, out.Close())
	t.Cleanup(func() { _ = in.Close() })
	p.trace = make(chan string, 1024)
	go func() {
		defer close(p.trace)
		for s := bufio.NewScanner(in); s.Scan(); {
			p.trace <- s.Text()
		}
	}()
	go func() {
		defer close(p.read)
		for s := bufio.NewScanner(acks); s.Scan(); {
			p.mu.Lock()
			p.acks = append(p.acks, s.Text())
			p.mu.Unlock()
		}
	}()
	return p
}

func (p *traced) acknowledged() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.acks)
}

// settled are the steps that were acknowledged some syncs of the WAL ago: a sync may be that of an index, of a checkpoint, or
// of records that were taken from the journal before.
func (p *traced) settled() []string {
	const syncs = 8
	if len(p.atWAL) < syncs {
		return nil
	}
	return p.acknowledged()[:p.atWAL[len(p.atWAL)-syncs]]
}

var (
	syncCall = regexp.MustCompile(`^(\d+) +f(?:data)?sync\(\d+<([^>]*)>`)
	resumed  = regexp.MustCompile(`^(\d+) +<\.\.\. f(?:data)?sync resumed>`)
)

// stop waits until the process has stopped, and gives what is synced and what was acknowledged by then.
func (p *traced) stop(t *testing.T) (files, []string) {
	t.Helper()
	var done []string
	for stopped := false; !stopped; {
		line, ok := <-p.trace
		if !ok {
			t.Fatal("the process ended by itself")
		}
		done = append(done, p.returned(line)...)
		stopped = strings.Contains(line, "stopped by SIGSTOP")
	}
	p.awaitStopped(t)
	for more := true; more; { // each thread says that it has stopped
		select {
		case line := <-p.trace:
			done = append(done, p.returned(line)...)
		default:
			more = false
		}
	}
	p.now = files{}
	for _, name := range []string{"audit.db", "audit.db-wal", "audit.db.journal-1", "audit.db.journal-2"} {
		if data, err := os.ReadFile(filepath.Join(p.dir, name)); err == nil {
			p.now[name] = data
		}
	}
	acknowledged := p.acknowledged()
	for _, name := range done {
		if data, ok := p.now[name]; ok {
			p.synced[name] = data
		}
		if name == "audit.db-wal" {
			p.atWAL = append(p.atWAL, len(acknowledged))
		}
	}
	return p.synced, acknowledged
}

// returned gives the file that a line of strace says was synced.
func (p *traced) returned(line string) []string {
	thread, _, _ := strings.Cut(line, " ")
	call := syncCall.FindStringSubmatch(line)
	if call != nil {
		p.calls[thread] = filepath.Base(call[2])
	}
	if (call != nil || resumed.MatchString(line)) && strings.Contains(line, "= 0") {
		return []string{p.calls[thread]}
	}
	return nil
}

// awaitStopped waits until no thread of the process runs.
func (p *traced) awaitStopped(t *testing.T) {
	t.Helper()
	if p.child == 0 {
		children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", p.strace.Process.Pid))
		must(t, err)
		p.child, err = strconv.Atoi(strings.Fields(string(children))[0])
		must(t, err)
	}
	for calm := 0; calm < 3; <-time.After(time.Millisecond) {
		calm++
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.child))
		must(t, err)
		for _, thread := range threads {
			stat, err := os.ReadFile(thread)
			if err != nil {
				continue // it has ended
			}
			_, state, _ := bytes.Cut(stat, []byte(") "))
			if len(state) == 0 || state[0] != 't' && state[0] != 'T' {
				calm = 0
			}
		}
	}
}

func (p *traced) goOn(t *testing.T) {
	t.Helper()
	must(t, syscall.Kill(p.child, syscall.SIGCONT))
}

func (p *traced) end(t *testing.T) {
	t.Helper()
	must(t, syscall.Kill(p.child, syscall.SIGKILL))
	for range p.trace {
	}
	<-p.read
	_ = p.strace.Wait()
}

// cut gives disks as the loss of power may leave them: with nothing, with all, and with some of what was written since each
// file was synced.
func (f files) cut(now files) []files {
	out := []files{maps.Clone(f), maps.Clone(now)}
	for _, share := range []float64{0.1, 0.5, 0.9} {
		disk := files{}
		for name, written := range now {
			disk[name] = tear(f[name], written, share)
		}
		out = append(out, disk)
	}
	return out
}

// tear gives synced with so many of the sectors in which written differs.
func tear(synced, written []byte, share float64) []byte {
	out := bytes.Clone(synced)
	if grown := len(written) - len(synced); grown > 0 && rand.Float64() < share {
		out = append(out, make([]byte, grown)...)
	}
	for at := 0; at < min(len(written), len(out)); at += sector {
		if end := min(at+sector, len(written), len(out)); rand.Float64() < share {
			copy(out[at:end], written[at:end])
		}
	}
	return out
}

// holds opens a log on the disk, and checks that it is sound and has the steps.
func (f files) holds(t *testing.T, steps []string) {
	t.Helper()
	dir := t.TempDir()
	for name, data := range f {
		must(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	path := filepath.Join(dir, "audit.db")
	log, err := audit.Open(t.Context(), audit.Options{Path: path, Durability: audit.CrashSafe, Ballast: 4 << 10, Journal: 64 << 10})
	must(t, err)
	if _, err := log.Recover(t.Context()); err != nil {
		t.Errorf("recovering: %v", err)
	}
	must(t, log.Close(context.Background()))
	r, err := audit.OpenReader(t.Context(), path)
	must(t, err)
	defer func() { must(t, r.Close()) }()
	if _, err := r.Verify(t.Context()); err != nil {
		t.Errorf("verifying: %v", err)
	}
	found := map[string]int{}
	for _, e := range everything(t, r) {
		found[string(e.Record.Kind)+" "+e.Record.Exchange]++
	}
	for _, s := range steps {
		if found[s] != 1 {
			t.Fatalf("%q was acknowledged and is there %d times, of %d steps", s, found[s], len(steps))
		}
	}
	must(t, os.RemoveAll(dir))
}
