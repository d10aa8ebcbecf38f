package audit_test

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
)

// shipAll takes all that a log has to ship, in batches, and notes it as shipped.
func shipAll(t *testing.T, log *audit.Log, limit int) (all []audit.Shipment) {
	t.Helper()
	if _, err := log.End(t.Context()); err != nil { // everything is in the tables
		t.Fatal(err)
	}
	for {
		batch, err := log.Unshipped(t.Context(), 0, limit)
		must(t, err)
		if len(batch) == 0 {
			return all
		}
		all = append(all, batch...)
		must(t, log.Shipped(t.Context(), batch[len(batch)-1].Position))
	}
}

func TestUnshippedGivesEverythingOnceAndInOrder(t *testing.T) {
	t.Run("from the tables", func(t *testing.T) { testUnshippedGivesEverything(t, 0) })
	t.Run("from memory", func(t *testing.T) { testUnshippedGivesEverything(t, 1<<30) })
}

func testUnshippedGivesEverything(t *testing.T, maxSize int64) {
	const exchanges = 700 // some are indexed, some are not
	path := filepath.Join(t.TempDir(), "audit.db")
	log := openLog(t, audit.Options{Path: path, MaxSize: maxSize})
	for i := range exchanges {
		must(t, log.Append(t.Context(), intentRecord(i)))
	}
	for i := range exchanges {
		must(t, log.Append(t.Context(), outcomeRecord(i)))
	}
	all := shipAll(t, log, 64)
	if len(all) != 2*exchanges {
		t.Fatalf("%d shipped", len(all))
	}
	for i, s := range all {
		if s.Position != audit.Position(i+1) || s.Fault != "" || s.Leaf != audit.LeafHash(s.Canonical, s.Writer, s.Seq) {
			t.Fatalf("entry %d: position %d, fault %q", i, s.Position, s.Fault)
		}
		if want := i >= exchanges; (s.Opening != nil) != want || want && s.Opening.Exchange != s.Record.Exchange {
			t.Fatalf("entry %d of kind %s has the opening %v", i, s.Record.Kind, s.Opening)
		}
	}
	if spool, err := log.Spool(t.Context()); err != nil || spool.Records != 0 || !spool.Oldest.IsZero() {
		t.Errorf("after all was shipped: %+v, %v", spool, err)
	}
	must(t, log.Close(t.Context()))

	log = openLog(t, audit.Options{Path: path, MaxSize: maxSize})
	late := intentRecord(exchanges)
	must(t, log.Append(t.Context(), late))
	if again := shipAll(t, log, 64); len(again) != 1 || again[0].Record.Exchange != late.Exchange {
		t.Errorf("after a restart %d are shipped", len(again))
	}
}

func TestReleaseKeepsWhatIsNeeded(t *testing.T) {
	const exchanges = 1500
	path := filepath.Join(t.TempDir(), "audit.db")
	log := openLog(t, audit.Options{Path: path})
	change := core.Record{Kind: core.RecordAdmin, Time: start, Exchange: "change-1", Admin: &core.Change{Actor: "root", Action: "put", Object: "user/ada"}}
	must(t, log.Append(t.Context(), change))
	must(t, log.Append(t.Context(), intentRecord(exchanges))) // stays open
	owed := outcomeRecord(exchanges + 1)
	owed.Fallback = "local"
	must(t, log.Append(t.Context(), intentRecord(exchanges+1)))
	must(t, log.Append(t.Context(), owed))
	for i := range exchanges {
		must(t, log.Append(t.Context(), intentRecord(i)))
		must(t, log.Append(t.Context(), outcomeRecord(i)))
	}
	before := charges(t, log, audit.ChargesQuery{})

	if n, err := log.Release(t.Context(), 10_000, start); err != nil || n != 0 {
		t.Fatalf("%d released before they were shipped, %v", n, err)
	}
	all := shipAll(t, log, 512)
	released, err := log.Release(t.Context(), all[len(all)-1].Position, start)
	must(t, err)
	if released < 2*1024-4 || released > 2*exchanges {
		t.Fatalf("%d of %d were released", released, len(all))
	}
	if diff := cmp.Diff(before, charges(t, log, audit.ChargesQuery{})); diff != "" {
		t.Errorf("charges that are owed (-before +after):\n%s", diff)
	}
	if err := log.Append(t.Context(), change); err == nil {
		t.Error("a change is recorded a second time")
	}
	if _, err := log.FallbackCharges(t.Context(), 0, func(c audit.Charged) error {
		if c.Exchange != owed.Exchange {
			t.Errorf("%s is owed", c.Exchange)
		}
		owed.Exchange = "seen"
		return nil
	}); err != nil || owed.Exchange != "seen" {
		t.Errorf("what a ledger was not asked for is gone: %v", err)
	}
	if _, err := openReader(t, path).Verify(t.Context()); err != nil {
		t.Errorf("verify: %v", err)
	}
	must(t, log.Close(t.Context()))

	log = openLog(t, audit.Options{Path: path})
	if n, err := log.Recover(t.Context()); err != nil || n != 1 {
		t.Errorf("%d open exchanges, %v: want the one whose intent was shipped", n, err)
	}
	if again := shipAll(t, log, 512); len(again) != 1 || again[0].Opening == nil {
		t.Errorf("%d shipped after the restart", len(again))
	}
	// Much later nothing is owed any more, and the closed intent goes with its outcome.
	for i := range 1100 {
		must(t, log.Append(t.Context(), intentRecord(exchanges+10+i)))
		must(t, log.Append(t.Context(), outcomeRecord(exchanges+10+i)))
	}
	all = shipAll(t, log, 512)
	_, err = log.Release(t.Context(), all[len(all)-1].Position, start.Add(time.Hour))
	must(t, err)
	left := everything(t, openReader(t, path))
	for _, e := range left {
		if e.Record.Exchange == exchangeID(exchanges) && e.Record.Kind == core.RecordIntent || e.Record.Exchange == exchangeID(exchanges+1) {
			t.Errorf("entry %d, a %s, is still here", e.Position, e.Record.Kind)
		}
	}
	if _, err := openReader(t, path).Verify(t.Context()); err != nil {
		t.Errorf("verify: %v", err)
	}
}

// TestBoundedSpool refuses new calls at the bound, takes outcomes of those that were admitted, and is back once what was
// shipped is let go of.
func TestBoundedSpool(t *testing.T) {
	const bound = 48 << 20 // beside which outcomes, that go beyond it, and the WAL of a busy machine are small
	wide := func(i int) core.Record {
		rec := intentRecord(i)
		rec.Facts = json.RawMessage(`"` + strings.Repeat("x", 64<<10) + `"`)
		return rec
	}
	log := openLog(t, audit.Options{MaxSize: bound})
	admitted := 0
	for {
		err := log.Append(t.Context(), wide(admitted))
		if errors.Is(err, audit.ErrUnavailable) {
			break
		}
		must(t, err)
		if admitted++; admitted%16 == 0 {
			_, err := log.End(t.Context()) // the tables are measured when records are moved
			must(t, err)
		}
		if admitted > 10_000 {
			t.Fatal("the bound does not hold")
		}
	}
	if log.Healthy() == nil {
		t.Error("it calls itself healthy at the bound")
	}
	for i := range admitted {
		must(t, log.Append(t.Context(), outcomeRecord(i)))
	}
	all := shipAll(t, log, 512)
	if spool, err := log.Spool(t.Context()); err != nil || len(all) != 2*admitted || spool.Bytes < bound/100*95 || spool.Bytes > bound/100*110 || spool.Bound != bound {
		t.Errorf("%d of %d were shipped; %+v, %v", len(all), 2*admitted, spool, err)
	}
	released, err := log.Release(t.Context(), all[len(all)-1].Position, start.AddDate(1, 0, 0))
	if err != nil || released == 0 {
		t.Fatalf("%d of %d released, %v", released, len(all), err)
	}
	for end := time.Now().Add(10 * time.Second); log.Healthy() != nil; <-time.After(10 * time.Millisecond) {
		if time.Now().After(end) {
			spool, err := log.Spool(t.Context())
			t.Fatalf("after %d of %d were released: %+v, %v, %v", released, len(all), spool, err, log.Healthy())
		}
	}
	must(t, log.Append(t.Context(), intentRecord(admitted)))
}
