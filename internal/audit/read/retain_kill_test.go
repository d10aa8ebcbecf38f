package read_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/chain"
	"github.com/plumbline/plumbline/internal/audit/notary"
	"github.com/plumbline/plumbline/internal/audit/read"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/testkit"
)

// childEnv makes the test binary play a process of its own instead of running the tests.
const childEnv = "PLUMBLINE_READ_TEST_CHILD"

// dropped is how many calls a month of the campaign has.
const dropped = 1500

// process is a log with its notary, whose key and second place lie in files.
type process struct {
	log    *audit.Log
	reader *audit.Reader
	notary *notary.Notary
}

func openProcess(ctx context.Context, dir string) (p process, err error) {
	path := filepath.Join(dir, "audit.db")
	p.log, err = audit.Open(ctx, audit.Options{
		Path: path, Durability: audit.CrashSafe, Ballast: 64 << 10, Journal: 1 << 20, Now: func() time.Time { return later },
	})
	if err != nil {
		return p, err
	}
	key, keys, err := keysIn(dir)
	if err != nil {
		return p, err
	}
	p.notary = notary.New(notary.Options{Log: p.log, Signer: key.Signer, Keys: keys, Sink: notary.NewFile(filepath.Join(dir, "outside.log"), time.Now)})
	p.reader, err = audit.OpenReader(ctx, path)
	return p, err
}

func keysIn(dir string) (notary.Key, chain.Keys, error) {
	key, _, err := notary.ReadOrMakeKey(filepath.Join(dir, "checkpoint.key"))
	if err != nil {
		return key, chain.Keys{}, err
	}
	keys, err := chain.ParseKeys(key.Public)
	return key, keys, err
}

// dropUntilKilled is the child of TestKilledWhileDropping. It drops month after month while somebody appends, and says so
// before and after each step that it can tell of.
func dropUntilKilled(dir string) error {
	ctx := context.Background()
	p, err := openProcess(ctx, dir)
	if err != nil {
		return err
	}
	if _, err := p.log.Recover(ctx); err != nil {
		return err
	}
	end, err := p.log.End(ctx)
	if err != nil {
		return err
	}
	failed := make(chan error)
	go func() {
		for i := int(end) + 1_000_000; ; i++ {
			for _, rec := range call(i, later) {
				if err := p.log.Append(ctx, rec); err != nil {
					failed <- err
					return
				}
			}
			<-time.After(time.Millisecond)
		}
	}()
	go func() { failed <- dropAll(ctx, p) }()
	return <-failed
}

var errNothingLeft = errors.New("nothing is left")

// dropAll drops until nothing is left.
func dropAll(ctx context.Context, p process) error {
	local := read.Local{Reader: p.reader}
	sums := func(ctx context.Context, day time.Time) (map[int64][]byte, error) {
		fmt.Println("a day is summed")
		return local.SumDay(ctx, day)
	}
	for {
		months, err := p.log.Past(ctx, audit.ClassExchange, later)
		if err != nil || len(months) == 0 {
			return cmp.Or(err, errNothingLeft)
		}
		fmt.Println("a month is dropped")
		_, err = p.log.Retire(ctx, months[0], later, sums)
		if errors.Is(err, audit.ErrUndeclared) {
			err = p.notary.Finish(ctx)
			var declaration core.Record
			if err == nil {
				declaration, err = p.log.Declaration(ctx, months[0], "system", later)
			}
			if err == nil {
				err = p.log.Append(ctx, declaration)
			}
			if err == nil {
				_, err = p.log.End(ctx) // it is in the tables, and is signed
			}
			if err == nil || errors.Is(err, audit.ErrDuplicate) {
				err = p.notary.Finish(ctx)
			}
		}
		if err != nil {
			return err
		}
		fmt.Println("gone on")
	}
}

// TestKilledWhileDropping kills a process that drops months, at any moment: what it leaves verifies, and the next goes on with
// it until all is dropped. PLUMBLINE_KILLS sets how often.
func TestKilledWhileDropping(t *testing.T) {
	kills, _ := testkit.Kills(t, 6)
	self, err := os.Executable()
	must(t, err)
	var dir string
	months, finished := 0, 0
	for n := range kills {
		if months == 0 {
			dir, months = t.TempDir(), 3
			filled(t, dir, months)
		}
		dropAndKill(t, self, dir, rand.IntN(60))
		left, want := verified(t, dir, months)
		if t.Failed() {
			t.Fatalf("after %d kills: %d months are left, %d records", n+1, left, want)
		}
		if left == 0 {
			ended(t, dir, months)
			months = 0
			finished++
		}
	}
	t.Logf("%d kills, %d logs to their end", kills, finished)
}

// ended checks that the next process finds nothing left to do.
func ended(t *testing.T, dir string, months int) {
	t.Helper()
	p, err := openProcess(t.Context(), dir)
	must(t, err)
	if err := dropAll(t.Context(), p); !errors.Is(err, errNothingLeft) {
		t.Error(err)
	}
	kept, err := p.reader.KeptMonths(t.Context())
	must(t, err)
	if len(kept) != months || slices.ContainsFunc(kept, func(k audit.KeptMonth) bool { return !k.Done }) {
		t.Errorf("dropped are %+v", kept)
	}
	must(t, errors.Join(p.reader.Close(), p.log.Close(t.Context())))
}

// filled makes a log with some months of calls.
func filled(t *testing.T, dir string, months int) {
	t.Helper()
	p, err := openProcess(t.Context(), dir)
	must(t, err)
	for month := range months {
		for i := range dropped {
			for _, rec := range call(month*dropped+i, time.Date(2026, time.Month(3+month), 1+i%28, 12, 0, 0, 0, time.UTC)) {
				must(t, p.log.Append(t.Context(), rec))
			}
		}
	}
	must(t, p.notary.Finish(t.Context()))
	must(t, errors.Join(p.reader.Close(), p.log.Close(t.Context())))
}

// verified verifies what a process that was killed has left, and gives how many months of it are not dropped yet.
func verified(t *testing.T, dir string, months int) (left int, records int64) {
	t.Helper()
	r, err := audit.OpenReader(t.Context(), filepath.Join(dir, "audit.db"))
	must(t, err)
	defer r.Close()
	_, keys, err := keysIn(dir)
	must(t, err)
	f, err := os.Open(filepath.Join(dir, "outside.log"))
	must(t, err)
	defer f.Close()
	outside, err := chain.Read(f, keys)
	must(t, err)
	report, err := notary.Verify(t.Context(), r, notary.Evidence{Keys: &keys, Outside: outside})
	if err != nil {
		t.Errorf("%+v, %v", report, err)
	}
	if report.Dropped%(2*dropped) != 0 {
		t.Errorf("%d records are dropped", report.Dropped)
	}
	// The sums are those of all calls, in whatever form they are there.
	rows, err := read.Local{Reader: r}.Sum(t.Context(), read.SumQuery{
		Since: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Until: time.Date(2026, time.Month(3+months), 1, 0, 0, 0, 0, time.UTC),
	})
	if err != nil || len(rows) != 1 || rows[0].Ended != int64(months*dropped) || rows[0].Decided != rows[0].Ended {
		t.Errorf("sums %+v, %v", rows, err)
	}
	return months - int(report.Dropped/(2*dropped)), report.Records
}

// dropAndKill kills the child a moment after it has told of so many steps.
func dropAndKill(t *testing.T, self, dir string, after int) {
	t.Helper()
	cmd := exec.Command(self, dir)
	cmd.Env = append(os.Environ(), childEnv+"=drop")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	lines := bufio.NewScanner(out)
	for range after + 1 {
		if !lines.Scan() {
			break // it has dropped all there was
		}
	}
	<-time.After(rand.N(20 * time.Millisecond))
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if stderr.Len() > 0 && stderr.String() != "nothing is left\n" {
		t.Fatalf("the child ended by itself: %s", &stderr)
	}
}
