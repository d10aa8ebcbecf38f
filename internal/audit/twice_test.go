package audit_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
)

// adminRecord is a change, which is tried again under the same id after a start if it may not have been recorded.
func adminRecord(i int) core.Record {
	return core.Record{
		Kind: core.RecordAdmin, Time: start, Exchange: exchangeID(1<<20 + i),
		Admin: &core.Change{Actor: "root", Action: "put", Object: "user/ada"},
	}
}

// TestAStepIsRecordedOnce tries steps again: at once, when many others have come between, and after a start.
func TestAStepIsRecordedOnce(t *testing.T) {
	const run = 1024 // entries are indexed in runs of so many
	path := filepath.Join(t.TempDir(), "audit.db")
	log := openLog(t, audit.Options{Path: path})
	refused := func(when string, records ...core.Record) {
		t.Helper()
		for _, rec := range records {
			if err := log.Append(t.Context(), rec); !errors.Is(err, audit.ErrDuplicate) {
				t.Errorf("%s, %s again: %v, want ErrDuplicate", when, rec.Kind, err)
			}
		}
	}
	appended := func(records ...core.Record) {
		t.Helper()
		for _, rec := range records {
			if err := log.Append(t.Context(), rec); err != nil {
				t.Fatal(err)
			}
		}
	}
	appended(intentRecord(0), outcomeRecord(0), adminRecord(0), intentRecord(1))
	refused("at once", intentRecord(0), outcomeRecord(0), adminRecord(0))
	for i := 2; i < 2+run; i++ {
		appended(intentRecord(i))
	}
	refused("once it is indexed", outcomeRecord(0), adminRecord(0))
	appended(outcomeRecord(1), adminRecord(1))
	must(t, log.Close(t.Context()))

	log = openLog(t, audit.Options{Path: path})
	refused("after a start", outcomeRecord(0), outcomeRecord(1), adminRecord(0), adminRecord(1))
	appended(outcomeRecord(2))
	if got, err := openReader(t, path).Verify(t.Context()); err != nil || got.Records != 4+run+3 {
		t.Errorf("Verify: %+v, %v; want %d records", got, err, 4+run+3)
	}
}

// TestAnIntentOfAnOldExchangeIsFound: ids of exchanges are new, so that nobody looks for their intents among the indexed
// entries. One that comes again is found by Verify, and does not stop the log.
func TestAnIntentOfAnOldExchangeIsFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.db")
	log := openLog(t, audit.Options{Path: path})
	for i := range 1024 {
		must(t, log.Append(t.Context(), intentRecord(i)))
	}
	// Charges has all that was recorded put into the tables, and so indexed.
	must(t, log.Charges(t.Context(), audit.ChargesQuery{}, func(audit.Charged) error { return nil }))
	must(t, log.Append(t.Context(), intentRecord(0)))
	for i := range 1024 {
		must(t, log.Append(t.Context(), outcomeRecord(i)))
	}
	must(t, log.Healthy())
	must(t, log.Close(t.Context()))
	var bad *audit.BadEntryError
	_, err := openReader(t, path).Verify(t.Context())
	if !errors.As(err, &bad) || bad.Position != 1025 || !strings.Contains(bad.Problem, "recorded twice") {
		t.Errorf("got %v, want entry 1025 recorded twice", err)
	}
}
