package takeover_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/ship"
	"github.com/plumbline/plumbline/internal/audit/takeover"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/sqlite"
)

// childEnv makes the test binary play a process that records until it is killed.
const childEnv = "PLUMBLINE_TAKEOVER_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		fmt.Fprintln(os.Stderr, record(os.Args[1]))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// record appends exchanges to the log at path and prints each step that was acknowledged. Every fifth exchange stays open.
func record(path string) error {
	ctx := context.Background()
	log, err := audit.Open(ctx, audit.Options{Path: path, Durability: audit.CrashSafe, Ballast: 64 << 10, Journal: 256 << 10})
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		kinds := []core.RecordKind{core.RecordIntent, core.RecordOutcome}
		if i%5 == 0 {
			kinds = kinds[:1]
		}
		for _, kind := range kinds {
			rec := step(log, kind, i)
			if err := log.Append(ctx, rec); err != nil {
				return err
			}
			fmt.Println(kind, rec.Exchange)
		}
	}
}

// step is a step of an exchange, whose id no other log has.
func step(log *audit.Log, kind core.RecordKind, i int) core.Record {
	name, _ := log.Name(context.Background())
	rec := core.Record{
		Kind: kind, Time: time.Date(2026, 3, 1, 12, 0, i%60, 0, time.UTC), Exchange: fmt.Sprintf("%s-%d", name, i),
		Principal: core.Principal{User: "ada"}, Reason: core.ReasonNone,
	}
	if kind == core.RecordOutcome {
		rec.Finish = core.FinishComplete
	}
	return rec
}

// child is a process that records into a log of its own.
type child struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
}

func startChild(t *testing.T, path string) *child {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o700))
	self, err := os.Executable()
	must(t, err)
	c := &child{cmd: exec.CommandContext(t.Context(), self, path)}
	c.cmd.Env = append(os.Environ(), childEnv+"=1")
	c.cmd.Stderr = os.Stderr
	out, err := c.cmd.StdoutPipe()
	must(t, err)
	must(t, c.cmd.Start())
	c.lines = bufio.NewScanner(out)
	return c
}

// read gives the next n acknowledgements.
func (c *child) read(t *testing.T, n int) (acknowledged []string) {
	t.Helper()
	for range n {
		if !c.lines.Scan() {
			t.Fatal("the child ended by itself")
		}
		acknowledged = append(acknowledged, c.lines.Text())
	}
	return acknowledged
}

// kill kills the process and gives what it had acknowledged beyond what was read.
func (c *child) kill() (acknowledged []string) {
	_ = c.cmd.Process.Kill()
	for c.lines.Scan() {
		acknowledged = append(acknowledged, c.lines.Text())
	}
	_ = c.cmd.Wait()
	return acknowledged
}

// store is a destination in memory.
type store struct {
	mu    sync.Mutex
	steps map[string]int // how often each step was stored, by kind and exchange
	last  map[string]uint64
	gaps  int
	away  error
}

func newStore() *store { return &store{steps: map[string]int{}, last: map[string]uint64{}} }

func (s *store) Prepare(context.Context, time.Time) error { return s.away }

func (s *store) Store(_ context.Context, batch []audit.Shipment) (ship.Stored, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away != nil {
		return ship.Stored{}, s.away
	}
	var stored ship.Stored
	for i := range batch {
		e := &batch[i]
		if e.Seq <= s.last[e.Writer] {
			stored.Known++
			continue
		}
		if e.Seq != s.last[e.Writer]+1 {
			s.gaps++
		}
		s.last[e.Writer] = e.Seq
		s.steps[string(e.Record.Kind)+" "+e.Record.Exchange]++
		stored.New++
	}
	return stored, nil
}

func (s *store) Bury(context.Context, audit.Shipment, string) error {
	return errors.New("not expected")
}
func (s *store) Usable(context.Context) error { return nil }

func (s *store) Missing(context.Context) (int64, error) { return 0, nil }

// has checks that each step is stored once, that exchanges are closed and that no number is missing.
func (s *store) has(t *testing.T, acknowledged []string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range acknowledged {
		if s.steps[a] != 1 {
			t.Errorf("%q is stored %d times", a, s.steps[a])
		}
		_, exchange, _ := strings.Cut(a, " ")
		if n := s.steps["outcome "+exchange]; n != 1 {
			t.Errorf("exchange %s has %d outcomes", exchange, n)
		}
	}
	if s.gaps > 0 {
		t.Errorf("%d gaps", s.gaps)
	}
}

// TestLogsOfTheDeadAreShipped kills processes on one volume and takes over what they left, while others live on.
func TestLogsOfTheDeadAreShipped(t *testing.T) {
	volume := t.TempDir()
	path := func(name string) string { return filepath.Join(volume, name, "audit.db") }
	var acknowledged []string
	for _, name := range []string{"a", "b", "c"} {
		c := startChild(t, path(name))
		acknowledged = append(acknowledged, c.read(t, 300)...)
		acknowledged = append(acknowledged, c.kill()...)
	}
	alive := startChild(t, path("alive"))
	alive.read(t, 10)
	own := openLog(t, path("own"))
	must(t, own.Append(t.Context(), step(own, core.RecordIntent, 1)))

	d := newStore()
	d.away = errors.New("away")
	s := takeover.New(takeover.Options{Own: path("own"), Volume: volume, Destination: d})
	s.Sweep(t.Context())
	if c := s.Counts(); c.Left != 3 || c.Taken != 0 {
		t.Errorf("while the store is away: %+v", c)
	}
	d.away = nil
	s.Sweep(t.Context())
	d.has(t, acknowledged)
	if c := s.Counts(); c.Left != 0 || int(c.Taken) < len(acknowledged) || len(d.last) < 3 {
		t.Errorf("%+v, %d writers", c, len(d.last))
	}
	if n := d.steps["intent "+step(own, core.RecordIntent, 1).Exchange]; n != 0 {
		t.Error("its own log was taken over")
	}
	acknowledged = alive.read(t, 10) // goes on undisturbed
	before := len(d.steps)
	s.Sweep(t.Context())
	if len(d.steps) != before {
		t.Error("a log that is in use was taken over")
	}
	acknowledged = append(acknowledged, alive.kill()...)
	s.Sweep(t.Context())
	d.has(t, acknowledged)
	// Whoever comes back goes on with its log.
	back := startChild(t, path("a"))
	back.read(t, 10)
	back.kill()
}

// TestOneOfManyTakesOver has several sweepers look at the same logs at once: each record is shipped, and no log is opened twice.
func TestOneOfManyTakesOver(t *testing.T) {
	volume := t.TempDir()
	var acknowledged []string
	for i := range 4 {
		c := startChild(t, filepath.Join(volume, fmt.Sprint(i), "audit.db"))
		acknowledged = append(append(acknowledged, c.read(t, 100)...), c.kill()...)
	}
	d := newStore()
	var all sync.WaitGroup
	for i := range 4 {
		s := takeover.New(takeover.Options{Own: filepath.Join(volume, fmt.Sprint("own", i), "audit.db"), Volume: volume, Destination: d})
		all.Go(func() { s.Sweep(t.Context()) })
	}
	all.Wait()
	d.has(t, acknowledged)
}

// TestWhatCannotBeReadStays: a log of a later version, one that is damaged and one that is none hold up no other, are told
// once with what to do, and stay as they are.
func TestWhatCannotBeReadStays(t *testing.T) {
	volume := t.TempDir()
	path := func(name string) string { return filepath.Join(volume, name, "audit.db") }
	good := startChild(t, path("good"))
	acknowledged := append(good.read(t, 50), good.kill()...)

	spoil := func(name string, how func(path string)) {
		c := startChild(t, path(name))
		c.read(t, 3000) // several pages in the tables
		c.kill()
		how(path(name))
	}
	spoil("newer", func(path string) {
		db, err := sqlite.Open(t.Context(), path, sqlite.Options{})
		must(t, err)
		_, err = db.ExecContext(t.Context(), "INSERT INTO schema_version VALUES (999, '0999_later.sql', 0)")
		must(t, errors.Join(err, db.Close()))
	})
	spoil("damaged", func(path string) {
		db, err := sqlite.Open(t.Context(), path, sqlite.Options{}) // its WAL goes into the file
		must(t, err)
		must(t, db.Close())
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		must(t, err)
		_, err = f.WriteAt(bytes.Repeat([]byte{0xa5}, 8<<10), 16<<10)
		must(t, errors.Join(err, f.Close()))
	})
	must(t, os.Mkdir(filepath.Join(volume, "none"), 0o700))
	must(t, os.WriteFile(path("none"), []byte(strings.Repeat("no database ", 1000)), 0o600))
	before := map[string][]byte{}
	for _, name := range []string{"newer", "damaged", "none"} {
		before[name] = read(t, path(name))
	}

	var told bytes.Buffer
	d := newStore()
	s := takeover.New(takeover.Options{
		Own: path("own"), Volume: volume, Destination: d, Log: slog.New(slog.NewTextHandler(&told, nil)),
	})
	s.Sweep(t.Context())
	s.Sweep(t.Context())
	d.has(t, acknowledged)
	if c := s.Counts(); c.Left != 3 {
		t.Errorf("%+v", c)
	}
	for name, remedy := range map[string]string{"newer": "newer", "damaged": ".recover", "none": ".recover"} {
		if !bytes.Equal(before[name], read(t, path(name))) {
			t.Errorf("%s was changed", name)
		}
		lines := 0
		for line := range strings.Lines(told.String()) {
			if strings.Contains(line, "level=ERROR") && strings.Contains(line, "/"+name+"/") {
				lines++
				if !strings.Contains(line, remedy) {
					t.Errorf("of %s it is not said what to do: %s", name, line)
				}
			}
		}
		if lines != 1 {
			t.Errorf("%s is told %d times", name, lines)
		}
	}
}

// TestVolumeThatCannotBeRead is not taken for one on which nothing was left.
func TestVolumeThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	volume := filepath.Join(dir, "volume")
	var log bytes.Buffer
	s := takeover.New(takeover.Options{
		Own: filepath.Join(dir, "own", "audit.db"), Volume: volume, Destination: newStore(), Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	for outage := range 2 {
		s.Sweep(t.Context())
		s.Sweep(t.Context())
		if n, told := s.Counts().Left, strings.Count(log.String(), volume+": no such"); n != 1 || told != outage+1 {
			t.Errorf("outage %d: %d left, told %d times: %s", outage, n, told, log.String())
		}
		must(t, os.Mkdir(volume, 0o700))
		s.Sweep(t.Context())
		if n := s.Counts().Left; n != 0 {
			t.Errorf("%d left on a volume that is empty", n)
		}
		must(t, os.Remove(volume))
	}
}

// TestCutWALLosesNothingElse cuts the tables' WAL in the middle: what is whole is shipped, the rest of the journal is kept.
func TestCutWALLosesNothingElse(t *testing.T) {
	volume := t.TempDir()
	path := filepath.Join(volume, "cut", "audit.db")
	c := startChild(t, path)
	acknowledged := c.read(t, 3000)
	c.kill()
	wal, err := os.Stat(path + "-wal")
	must(t, err)
	must(t, os.Truncate(path+"-wal", wal.Size()/2))
	d := newStore()
	s := takeover.New(takeover.Options{Own: filepath.Join(volume, "own", "audit.db"), Volume: volume, Destination: d})
	s.Sweep(t.Context())
	if c := s.Counts(); c.Left != 0 || c.Taken == 0 || d.gaps > 0 {
		t.Errorf("%+v, %d gaps", c, d.gaps)
	}
	kept, err := filepath.Glob(path + ".journal-*.*")
	must(t, err)
	cut := 0 // none, where all of the WAL was in the tables' file already
	for _, a := range acknowledged {
		if d.steps[a] == 0 {
			cut++
		}
	}
	if cut > 0 && len(kept) == 0 {
		t.Errorf("%d records were cut off, and the journal is not kept", cut)
	}
}

// TestMovedAsideIsShipped: a log whose disk failed is moved aside before the next start, which ships it and begins a new one.
func TestMovedAsideIsShipped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.db")
	c := startChild(t, path)
	acknowledged := append(c.read(t, 200), c.kill()...)
	if dir, err := audit.SetAside(path); dir != "" || err != nil {
		t.Fatalf("%s, %v: there was no reason", dir, err)
	}
	must(t, os.WriteFile(path+".unsynced", nil, 0o600))
	dir, err := audit.SetAside(path)
	if must(t, err); dir == "" {
		t.Fatal("it was not moved aside")
	}
	log := openLog(t, path)
	must(t, log.Append(t.Context(), step(log, core.RecordIntent, 1)))
	d := newStore()
	s := takeover.New(takeover.Options{Own: path, Destination: d})
	s.Sweep(t.Context())
	d.has(t, acknowledged)
	if c := s.Counts(); c.Left != 0 {
		t.Errorf("%+v", c)
	}
}

func openLog(t *testing.T, path string) *audit.Log {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o700))
	log, err := audit.Open(t.Context(), audit.Options{Path: path, Durability: audit.CrashSafe, Ballast: 64 << 10, Journal: 64 << 10})
	must(t, err)
	t.Cleanup(func() { must(t, log.Close(context.Background())) })
	return log
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	return data
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
