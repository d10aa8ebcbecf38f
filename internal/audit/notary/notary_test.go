package notary_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/chain"
	"github.com/plumbline/plumbline/internal/audit/notary"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/sqlite"
	"github.com/plumbline/plumbline/internal/testkit"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		if err := signUntilKilled(os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// world is a log with a notary that publishes into a file.
type world struct {
	t                  testing.TB
	path, key, outside string
	log                *audit.Log
	notary             *notary.Notary
	logged             testkit.Buffer
}

func newWorld(t testing.TB) *world {
	dir := t.TempDir()
	w := &world{t: t, path: filepath.Join(dir, "audit.db"), key: filepath.Join(dir, "checkpoint.key"), outside: filepath.Join(dir, "outside.log")}
	w.open()
	return w
}

func (w *world) open() {
	w.t.Helper()
	log, err := audit.Open(w.t.Context(), audit.Options{Path: w.path, Durability: audit.CrashSafe, Ballast: 64 << 10, Journal: 1 << 20})
	must(w.t, err)
	w.log = log
	w.t.Cleanup(func() { _ = log.Close(context.Background()) })
	key, _, err := notary.ReadOrMakeKey(w.key)
	must(w.t, err)
	keys, err := chain.ParseKeys(key.Public)
	must(w.t, err)
	w.notary = notary.New(notary.Options{
		Log: log, Signer: key.Signer, Keys: keys, Sink: notary.NewFile(w.outside, time.Now), Logger: slog.New(slog.NewTextHandler(&w.logged, nil)),
	})
}

func change() core.Record {
	return core.Record{Kind: core.RecordAdmin, Time: start, Admin: &core.Change{Actor: "root", Action: "put", Object: "user/ada"}}
}

// record appends n records, which are in the tables then.
func (w *world) record(n int) {
	w.t.Helper()
	for range n {
		must(w.t, w.log.Append(w.t.Context(), change()))
	}
	_, err := w.log.End(w.t.Context())
	must(w.t, err)
}

// await waits until the counts are as they should be.
func (w *world) await(what string, ok func(notary.Counts) bool) {
	w.t.Helper()
	for !ok(w.notary.Counts()) {
		select {
		case <-w.t.Context().Done():
			w.t.Fatalf("%s: %+v", what, w.notary.Counts())
		case <-time.After(time.Millisecond):
		}
	}
}

func (w *world) evidence() notary.Evidence {
	w.t.Helper()
	key, err := notary.ReadKey(w.key)
	must(w.t, err)
	keys, err := chain.ParseKeys(key.Public)
	must(w.t, err)
	f, err := os.Open(w.outside)
	if errors.Is(err, os.ErrNotExist) { // nothing was published yet
		return notary.Evidence{Keys: &keys}
	}
	must(w.t, err)
	defer f.Close()
	outside, err := chain.Read(f, keys)
	must(w.t, err)
	return notary.Evidence{Keys: &keys, Outside: outside}
}

func (w *world) verify() (notary.Report, error) {
	w.t.Helper()
	r, err := audit.OpenReader(w.t.Context(), w.path)
	must(w.t, err)
	defer r.Close()
	return notary.Verify(w.t.Context(), r, w.evidence())
}

func (w *world) exec(statement string) {
	w.t.Helper()
	db, err := sqlite.Open(w.t.Context(), w.path, sqlite.Options{})
	must(w.t, err)
	_, err = db.ExecContext(w.t.Context(), statement)
	must(w.t, errors.Join(err, db.Close()))
}

// TestTreesGoOnAfterAStop and after a death: what an earlier process left unsigned is signed by the next, from the tree of
// the last checkpoint, and each start is a writer of its own.
func TestTreesGoOn(t *testing.T) {
	w := newWorld(t)
	w.record(3)
	must(t, w.notary.Finish(t.Context()))
	w.record(4) // and the process dies before they are signed
	for range 3 {
		must(t, w.log.Close(t.Context()))
		w.open()
		w.record(2)
		must(t, w.notary.Finish(t.Context()))
	}
	report, err := w.verify()
	if err != nil || report.Records != 13 || report.Fixed != 13 || report.FixedOutside != 13 || report.Writers != 4 || report.Outside != 5 {
		t.Errorf("%+v, %v", report, err)
	}
	if strings.Contains(w.logged.String(), "level=ERROR") {
		t.Errorf("logged: %s", w.logged.String())
	}
}

// TestThousandRecordsAreSigned at once, and the rest after its time.
func TestThousandRecordsAreSigned(t *testing.T) {
	w := newWorld(t)
	w.record(2500)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- w.notary.Run(ctx) }()
	w.await("two are signed", func(c notary.Counts) bool { return c.Records == 2000 })
	stop()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	var sizes []uint64
	for _, c := range w.evidence().Outside {
		sizes = append(sizes, c.Size)
	}
	if len(sizes) != 2 || sizes[0] != 1000 || sizes[1] != 2000 {
		t.Errorf("signed %v", sizes)
	}
	must(t, w.notary.Finish(t.Context()))
	if report, err := w.verify(); err != nil || report.Fixed != 2500 {
		t.Errorf("%+v, %v", report, err)
	}
}

// TestWhatWasTamperedWithIsNamed, in a log that is its own store.
func TestWhatWasTamperedWithIsNamed(t *testing.T) {
	for _, c := range []struct{ name, statement, want string }{
		{
			"the end cut off", "DELETE FROM entries WHERE id > 4; DELETE FROM checkpoints WHERE size > 4; UPDATE state SET value = 0 WHERE name = 'indexed'; DELETE FROM by_exchange; DELETE FROM spans",
			"records 5 to 8: some are missing",
		},
		{"checkpoints removed", "DELETE FROM checkpoints WHERE size = 4", "checkpoint of 4 records was published, and is missing"},
		{"a checkpoint replaced", "UPDATE checkpoints SET note = (SELECT note FROM checkpoints WHERE size = 4) WHERE size = 8", "in the place of its checkpoint of 8 records stands another"},
		{"a checkpoint changed", "UPDATE checkpoints SET note = CAST(replace(CAST(note AS TEXT), 'time 2', 'time 3') AS BLOB) WHERE size = 8", "cannot be believed"},
		{
			"said to be released", "UPDATE writers SET released = 8; UPDATE state SET value = 8 WHERE name = 'released'; DELETE FROM entries WHERE id < 8; UPDATE state SET value = 0 WHERE name = 'indexed'; DELETE FROM by_exchange; DELETE FROM spans",
			"they are not here: they are said to have been shipped",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.record(4)
			must(t, w.notary.Finish(t.Context()))
			w.record(4)
			must(t, w.notary.Finish(t.Context()))
			must(t, w.log.Close(t.Context()))
			if report, err := w.verify(); err != nil || report.FixedOutside != 8 {
				t.Fatalf("before: %+v, %v", report, err)
			}
			w.exec(c.statement)
			for _, n := range []string{"1", "2"} { // it still holds the last records
				must(t, os.Remove(w.path+".journal-"+n))
			}
			_, err := w.verify()
			var bad *chain.MismatchError
			if !errors.As(err, &bad) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// TestARewrittenRecordIsFound although its hash was made anew.
func TestARewrittenRecordIsFound(t *testing.T) {
	w := newWorld(t)
	w.record(4)
	must(t, w.notary.Finish(t.Context()))
	must(t, w.log.Close(t.Context()))
	r, err := audit.OpenReader(t.Context(), w.path)
	must(t, err)
	found, _, err := r.Search(t.Context(), audit.Query{Limit: 1})
	must(t, errors.Join(err, r.Close()))
	e := found[0]
	e.Record.Admin.Actor = "mallory"
	canonical, err := audit.Canonical(e.Record)
	must(t, err)
	leaf := audit.LeafHash(canonical, e.Writer, e.Seq)
	db, err := sqlite.Open(t.Context(), w.path, sqlite.Options{})
	must(t, err)
	_, err = db.ExecContext(t.Context(), "UPDATE entries SET record = ?, leaf = ? WHERE id = 4", canonical, leaf[:])
	must(t, errors.Join(err, db.Close()))
	var bad *chain.MismatchError
	if _, err := w.verify(); !errors.As(err, &bad) || bad.From != 1 || bad.To != 4 {
		t.Errorf("%v", err)
	}
	key, err := notary.ReadKey(w.key)
	must(t, err)
	r, err = audit.OpenReader(t.Context(), w.path)
	must(t, err)
	defer r.Close()
	if _, err := notary.Verify(t.Context(), r, notary.Evidence{}); err != nil {
		t.Errorf("without the key %s it cannot be found: %v", key.Public, err)
	}
}

// TestAChangedTreeIsNotSigned: the next process does not build on what somebody put into the log.
func TestAChangedTreeIsNotSigned(t *testing.T) {
	for name, statement := range map[string]string{
		"tree":       "UPDATE trees SET subtrees = zeroblob(length(subtrees))",
		"checkpoint": "UPDATE checkpoints SET note = CAST(replace(CAST(note AS TEXT), 'time 2', 'time 3') AS BLOB)",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.record(3)
			must(t, w.notary.Finish(t.Context()))
			w.record(1)
			must(t, w.log.Close(t.Context()))
			w.exec(statement)
			before := len(w.evidence().Outside)
			w.open()
			w.record(2)
			must(t, w.notary.Finish(t.Context()))
			if !strings.Contains(w.logged.String(), "was changed") || w.notary.Counts().Failures != 1 {
				t.Errorf("not told: %s", w.logged.String())
			}
			outside := w.evidence().Outside[before:]
			if len(outside) != 1 || outside[0].Size != 2 {
				t.Errorf("signed %+v: the writer after it is signed, and it is not", outside)
			}
		})
	}
}

// TestWithoutTheSecondPlace: it is told once, counted, and made good.
func TestWithoutTheSecondPlace(t *testing.T) {
	w := newWorld(t)
	must(t, os.Mkdir(w.outside, 0o700))
	w.record(1500)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- w.notary.Run(ctx) }()
	w.await("failures are counted", func(c notary.Counts) bool { return c.Failures >= 2 && !c.Unfixed.IsZero() && c.Published.IsZero() })
	w.record(1) // records go on
	must(t, os.Remove(w.outside))
	w.await("it is made good, and told", func(c notary.Counts) bool {
		return c.Records == 1000 && strings.Contains(w.logged.String(), "are signed and kept again")
	})
	stop()
	<-done
	must(t, w.notary.Finish(t.Context()))
	if report, err := w.verify(); err != nil || report.FixedOutside != 1501 {
		t.Errorf("%+v, %v", report, err)
	}
	if n := strings.Count(w.logged.String(), "cannot be signed or kept now"); n != 1 {
		t.Errorf("told %d times:\n%s", n, w.logged.String())
	}
	if !strings.Contains(w.logged.String(), "are signed and kept again") {
		t.Error("that it works again is not told")
	}
}

func TestKeyFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	made, isNew, err := notary.ReadOrMakeKey(path)
	if err != nil || !isNew {
		t.Fatal(isNew, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if again, isNew, err := notary.ReadOrMakeKey(path); err != nil || isNew || again.Public != made.Public {
		t.Errorf("read again: %v, %v", isNew, err)
	}
	if err := notary.MakeKey(path); !errors.Is(err, os.ErrExist) {
		t.Errorf("over another key: %v", err)
	}
	text, err := os.ReadFile(path)
	must(t, err)
	if left, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	for _, c := range []struct {
		name, want string
		text       []byte
		mode       os.FileMode
	}{
		{"readable by all", "chmod o=", text, 0o644},
		{"empty", "one line that begins with PRIVATE+KEY+", nil, 0o600},
		{"public", "one line that begins with PRIVATE+KEY+", []byte(made.Public), 0o600},
		{"cut", "one line that begins with PRIVATE+KEY+", text[:len(text)-9], 0o600},
		{"a book", "too large", bytes.Repeat([]byte("x"), 5000), 0o600},
	} {
		path := filepath.Join(dir, "other")
		must(t, os.WriteFile(path, c.text, 0o600))
		must(t, os.Chmod(path, c.mode))
		_, err := notary.ReadKey(path)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), string(text[20:40])) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	must(t, os.Chmod(path, 0o440))
	if _, err := notary.ReadKey(path); err != nil {
		t.Errorf("readable by its group: %v", err)
	}
	if _, err := notary.ReadKey(dir); err == nil || !strings.Contains(err.Error(), "is not a regular file") {
		t.Errorf("a directory: %v", err)
	}
}

// TestATornLineIsEnded: a crash in the middle of a write must not spoil the line after it.
func TestATornLineIsEnded(t *testing.T) {
	w := newWorld(t)
	w.record(1)
	must(t, w.notary.Finish(t.Context()))
	f, err := os.OpenFile(w.outside, os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteString(`{"checkpoint":"plumbl`)
	must(t, errors.Join(err, f.Close()))
	w.record(1)
	must(t, w.notary.Finish(t.Context()))
	if report, err := w.verify(); err != nil || report.Outside != 2 {
		t.Errorf("%+v, %v", report, err)
	}
}

// stuck is an output that nobody reads.
type stuck struct{ read chan struct{} }

func (s stuck) Write(b []byte) (int, error) {
	<-s.read
	return len(b), nil
}

func TestAnOutputThatNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := stuck{make(chan struct{})}
		s := notary.NewStream(out, time.Now)
		one := []audit.Checkpoint{{Writer: "w", Size: 1, Note: []byte("n")}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Put(ctx, one); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("stuck: %v", err)
		}
		later, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Put(later, one); err == nil || !strings.Contains(err.Error(), "still waiting") {
			t.Errorf("while another waits: %v", err)
		}
		close(out.read)
		synctest.Wait()
		if err := s.Put(t.Context(), one); err != nil {
			t.Error(err)
		}
	})
}
