package audit_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
)

// TestWaitingRecordsShareOneCommit holds the writer in a commit until a crowd waits.
func TestWaitingRecordsShareOneCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		held, release := make(chan struct{}), make(chan struct{})
		var sizes []int
		log := openLog(t, audit.Options{Committed: func(n int, _ time.Duration) {
			if sizes = append(sizes, n); len(sizes) == 1 {
				close(held)
				<-release
			}
		}})
		var wg sync.WaitGroup
		appendOne := func(i int) {
			wg.Go(func() {
				if err := log.Append(t.Context(), intentRecord(i)); err != nil {
					t.Error(err)
				}
			})
		}
		appendOne(0)
		<-held
		for i := range 500 {
			appendOne(1 + i)
		}
		synctest.Wait()
		close(release)
		wg.Wait()
		must(t, log.Close(context.Background()))
		if !slices.Equal(sizes, []int{1, 500}) {
			t.Errorf("commits of %v records, want one of 1 and one of 500", sizes)
		}
	})
}

func TestConcurrentAppends(t *testing.T) {
	for _, durability := range []audit.Durability{audit.CrashSafe, audit.Strict} {
		t.Run(string(durability), func(t *testing.T) {
			const writers, each = 64, 25
			path := filepath.Join(t.TempDir(), "audit.db")
			var records atomic.Int64
			log := openLog(t, audit.Options{Path: path, Durability: durability, Committed: func(n int, _ time.Duration) {
				records.Add(int64(n))
			}})
			var wg sync.WaitGroup
			for w := range writers {
				wg.Go(func() {
					for i := range each {
						if err := log.Append(t.Context(), intentRecord(w*each+i)); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			if got := records.Load(); got != writers*each {
				t.Errorf("%d records were committed, want %d", got, writers*each)
			}

			r := openReader(t, path)
			seen := map[string]bool{}
			for i, e := range everything(t, r) {
				if e.Seq != uint64(i+1) {
					t.Fatalf("entry %d has number %d", i+1, e.Seq)
				}
				if e.Leaf != audit.LeafHash(e.Canonical, e.Writer, e.Seq) {
					t.Fatalf("entry %d has another hash", i+1)
				}
				seen[e.Record.Exchange] = true
			}
			if len(seen) != writers*each {
				t.Errorf("%d exchanges are in the log, want %d", len(seen), writers*each)
			}
			if got, err := r.Verify(t.Context()); err != nil || got != (audit.Verified{Writers: 1, Records: writers * each}) {
				t.Errorf("Verify: %+v, %v", got, err)
			}
		})
	}
}

// TestBadRecordsFailAlone mixes records that cannot or must not be stored into a crowd of good ones.
func TestBadRecordsFailAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.db")
	log := openLog(t, audit.Options{Path: path})
	if err := log.Append(t.Context(), intentRecord(0)); err != nil {
		t.Fatal(err)
	}
	noExchange := intentRecord(1)
	noExchange.Exchange = ""
	huge := intentRecord(1)
	huge.Source = strings.Repeat("x", 5<<20)
	badFacts := intentRecord(1)
	badFacts.Facts = json.RawMessage(`{"a":`)
	bad := []core.Record{intentRecord(0), noExchange, huge, badFacts, {Kind: "other", Time: start}}

	odd := func(i int) core.Record {
		rec := intentRecord(i)
		rec.Principal.User = "nul\x00 and \xff\xfe"
		rec.Model = strings.Repeat("m", 100_000)
		rec.Intent.Confidence = math.NaN()
		rec.Deviation.Score = math.Inf(-1)
		return rec
	}
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			switch i % 10 {
			case 3:
				if err := log.Append(t.Context(), bad[i/10%len(bad)]); err == nil {
					t.Errorf("bad record %d was taken", i/10%len(bad))
				}
			case 7:
				if err := log.Append(t.Context(), odd(1000+i)); err != nil {
					t.Errorf("an odd record was refused: %v", err)
				}
			default:
				if err := log.Append(t.Context(), intentRecord(1000+i)); err != nil {
					t.Errorf("a good record failed with its neighbour: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if err := log.Append(t.Context(), intentRecord(0)); !errors.Is(err, audit.ErrDuplicate) {
		t.Errorf("the same step again: %v, want ErrDuplicate", err)
	}
	if err := log.Healthy(); err != nil {
		t.Errorf("bad records made the log ill: %v", err)
	}
	r := openReader(t, path)
	if got, err := r.Verify(t.Context()); err != nil || got.Records != 181 {
		t.Errorf("Verify: %+v, %v; want 181 records", got, err)
	}
	found, _, err := r.Search(t.Context(), audit.Query{User: "nul\x00 and \uFFFD\uFFFD"})
	if err != nil || len(found) != 20 {
		t.Fatalf("searching for odd bytes found %d, %v; want 20", len(found), err)
	}
	if got := found[0].Record.Intent.Confidence; got != -1 {
		t.Errorf("a score that is no number is kept as %v, want -1", got)
	}
}

func TestAppendAfterContextEnded(t *testing.T) {
	log := openLog(t, audit.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := log.Append(ctx, intentRecord(1)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if err := log.Append(t.Context(), intentRecord(1)); err != nil {
		t.Errorf("the log did not go on: %v", err)
	}
}

func TestCloseKeepsWhatWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.db")
	log := openLog(t, audit.Options{Path: path})
	var wg sync.WaitGroup
	var kept atomic.Int64
	for i := range 100 {
		wg.Go(func() {
			switch err := log.Append(t.Context(), intentRecord(i)); {
			case err == nil:
				kept.Add(1)
			case !errors.Is(err, audit.ErrClosed):
				t.Error(err)
			}
		})
	}
	if err := log.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if err := log.Append(t.Context(), intentRecord(1000)); !errors.Is(err, audit.ErrClosed) {
		t.Errorf("after Close: %v, want ErrClosed", err)
	}
	if got, err := openReader(t, path).Verify(t.Context()); err != nil || got.Records != kept.Load() {
		t.Errorf("Verify: %+v, %v; want the %d records that were acknowledged", got, err, kept.Load())
	}
}

func TestSecondWriterIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.db")
	first := openLog(t, audit.Options{Path: path})
	_, err := audit.Open(t.Context(), audit.Options{Path: path, Durability: audit.CrashSafe})
	if err == nil || !strings.Contains(err.Error(), "another Plumbline writes to this audit log") {
		t.Fatalf("a second writer: %v", err)
	}
	if err := first.Append(t.Context(), intentRecord(1)); err != nil {
		t.Errorf("the first writer was hurt: %v", err)
	}
	if err := first.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := openLog(t, audit.Options{Path: path})
	if err := second.Append(t.Context(), outcomeRecord(1)); err != nil {
		t.Fatal(err)
	}
	all := everything(t, openReader(t, path))
	if len(all) != 2 || all[0].Writer == all[1].Writer || all[0].Seq != 1 || all[1].Seq != 1 {
		t.Errorf("want two writers with one record each, got %+v", all)
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name string
		o    audit.Options
		want string
	}{
		{"durability", audit.Options{Path: filepath.Join(dir, "a.db"), Durability: "fast"}, `durability "fast"`},
		{"directory", audit.Options{Path: filepath.Join(dir, "none", "a.db"), Durability: audit.Strict}, "no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := audit.Open(t.Context(), c.o); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want it to say %q", err, c.want)
			}
		})
	}
	_, err := audit.OpenReader(t.Context(), filepath.Join(dir, "none.db"))
	if err == nil || !strings.Contains(err.Error(), "there is no log yet") {
		t.Errorf("reading what is not there: %v", err)
	}
}

func TestRecover(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.db")
	first := openLog(t, audit.Options{Path: path})
	bare := intentRecord(4)
	bare.Reserved = nil
	for _, rec := range []core.Record{
		intentRecord(1), outcomeRecord(1), intentRecord(2), intentRecord(3), outcomeRecord(3), bare,
		{Kind: core.RecordDeny, Time: start, Exchange: exchangeID(5)},
	} {
		if err := first.Append(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := first.Recover(t.Context()); n != 0 || err != nil {
		t.Errorf("closed %d exchanges of its own, %v", n, err)
	}
	if err := first.Close(t.Context()); err != nil {
		t.Fatal(err)
	}

	now := start.Add(time.Hour)
	second := openLog(t, audit.Options{Path: path, Now: func() time.Time { return now }})
	if err := second.Append(t.Context(), intentRecord(6)); err != nil { // of this process: not to be closed
		t.Fatal(err)
	}
	if n, err := second.Recover(t.Context()); n != 2 || err != nil {
		t.Fatalf("closed %d exchanges, %v; want 2", n, err)
	}
	if n, err := second.Recover(t.Context()); n != 0 || err != nil {
		t.Errorf("a second time closed %d, %v; want none", n, err)
	}
	found, _, err := openReader(t, path).Search(t.Context(), audit.Query{Kind: core.RecordOutcome, Since: now})
	if err != nil || len(found) != 2 {
		t.Fatalf("found %d, %v", len(found), err)
	}
	want := map[string]core.Record{}
	for _, intent := range []core.Record{intentRecord(2), bare} {
		rec := core.Record{
			Kind: core.RecordOutcome, Time: now, Exchange: intent.Exchange, Trace: intent.Trace,
			Principal: intent.Principal, Source: intent.Source, Endpoint: intent.Endpoint, Model: intent.Model,
			PolicyVersion: intent.PolicyVersion, PriceVersion: intent.PriceVersion,
			Finish: core.FinishCrashed, Reason: core.ReasonNone,
		}
		if intent.Reserved != nil {
			rec.Settled = intent.Reserved
			rec.Usage = &core.Usage{InputTokens: 500, OutputTokens: 256, Estimated: true}
		}
		want[rec.Exchange] = rec
	}
	got := map[string]core.Record{}
	for _, e := range found {
		got[e.Record.Exchange] = e.Record
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("outcomes of crashed exchanges (-want +got):\n%s", diff)
	}
}

func TestCharges(t *testing.T) {
	log := openLog(t, audit.Options{})
	var all []audit.Charged
	const exchanges = 700 // most are indexed, the rest is not
	for i := range exchanges {
		// Admitted out of order: 0, 17, 34, …
		n := i * 17 % exchanges
		must(t, log.Append(t.Context(), intentRecord(n)))
		rec := outcomeRecord(n)
		must(t, log.Append(t.Context(), rec))
		all = append(all, audit.Charged{
			Position: int64(2 * (i + 1)), Exchange: rec.Exchange,
			By:    core.Principal{User: rec.Principal.User, Team: rec.Principal.Team, App: rec.Principal.App},
			Model: rec.Model, Charge: *rec.Settled,
		})
	}
	unsettled := outcomeRecord(exchanges)
	unsettled.Settled = nil
	must(t, log.Append(t.Context(), unsettled))

	for _, q := range []audit.ChargesQuery{
		{},
		{Since: intentRecord(10).Time},
		{Since: intentRecord(exchanges).Time},
		{After: 99},
		{After: 100},
		{After: 1300, Since: intentRecord(300).Time},
		{After: 2 * exchanges},
	} {
		want := slices.DeleteFunc(slices.Clone(all), func(c audit.Charged) bool {
			return c.Position <= q.After || c.Charge.Admitted.Before(q.Since)
		})
		got := charges(t, log, q)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", q, diff)
		}
	}
	stop := errors.New("stop")
	if err := log.Charges(t.Context(), audit.ChargesQuery{}, func(audit.Charged) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("an error of fn: got %v", err)
	}
}

func charges(t *testing.T, log *audit.Log, q audit.ChargesQuery) (got []audit.Charged) {
	t.Helper()
	must(t, log.Charges(t.Context(), q, func(c audit.Charged) error {
		got = append(got, c)
		return nil
	}))
	return got
}
