package audit_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
)

// read gives what Records gives, decoded.
func read(t *testing.T, r *audit.Reader, since, until time.Time) []core.Record {
	t.Helper()
	var got []core.Record
	err := r.Records(t.Context(), since, until, func(kind core.RecordKind, canonical []byte) error {
		rec, err := audit.Decode(canonical)
		if err == nil && rec.Kind != kind {
			t.Errorf("a record of kind %s is given as %s", rec.Kind, kind)
		}
		got = append(got, rec)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// Records gives what a filter of all of the log gives, of every span of time, from the tables and the journal.
func TestRecordsAgreeWithAFilter(t *testing.T) {
	const records = 2500
	path := filepath.Join(t.TempDir(), "audit.db")
	log := openLog(t, audit.Options{Path: path})
	for i := range records {
		must(t, log.Append(t.Context(), variedRecord(i)))
	}
	r := openReader(t, path)
	all := everything(t, r)
	for _, span := range [][2]time.Time{
		{},
		{start.Add(10 * time.Second)},
		{1: start.Add(50 * time.Second)},
		{start.Add(20 * time.Second), start.Add(40 * time.Second)},
		{start.Add(time.Hour)},
		{1: start},
	} {
		var want []string
		for _, e := range all {
			if q := (audit.Query{Since: span[0], Until: span[1]}); matches(q, e.Record) {
				want = append(want, string(e.Canonical))
			}
		}
		got := read(t, r, span[0], span[1])
		if len(got) != len(want) {
			t.Fatalf("%v: %d records, want %d", span, len(got), len(want))
		}
		for i, rec := range got {
			canonical, err := audit.Canonical(rec)
			if err != nil || string(canonical) != want[i] {
				t.Fatalf("%v: record %d is %s (%v), want %s", span, i, canonical, err, want[i])
			}
		}
	}
	wrong := errors.New("enough")
	if err := r.Records(t.Context(), time.Time{}, time.Time{}, func(core.RecordKind, []byte) error { return wrong }); !errors.Is(err, wrong) {
		t.Errorf("the error of fn is lost: %v", err)
	}
}

// While records come in and are moved, a reader gets every one that was durable before it began, once and in order.
func TestRecordsOfALiveLog(t *testing.T) {
	const records = 6000
	path := filepath.Join(t.TempDir(), "audit.db")
	log := openLog(t, audit.Options{Path: path})
	written := make(chan error, 1)
	half := make(chan struct{})
	go func() {
		for i := range records {
			if i == records/2 {
				close(half)
			}
			if err := log.Append(context.Background(), intentRecord(i)); err != nil {
				written <- err
				return
			}
		}
		written <- nil
	}()
	r := openReader(t, path)
	check := func(atLeast int) {
		t.Helper()
		got := read(t, r, time.Time{}, time.Time{})
		for i, rec := range got {
			if rec.Exchange != exchangeID(i) {
				t.Fatalf("record %d is of exchange %s", i, rec.Exchange)
			}
		}
		if len(got) < atLeast {
			t.Fatalf("%d records, at least %d were durable", len(got), atLeast)
		}
	}
	<-half
	for done := false; !done; {
		select {
		case err := <-written:
			must(t, err)
			done = true
		default:
		}
		check(records / 2)
	}
	check(records)
}

// A copy of the directory holds the same, also when the journal was not yet moved.
func TestRecordsOfACopy(t *testing.T) {
	dir, copied := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	log := openLog(t, audit.Options{Path: filepath.Join(dir, "audit.db")})
	for i := range 3 {
		must(t, log.Append(t.Context(), intentRecord(i)))
	}
	// Just now they still stand in the journal.
	r := openReader(t, filepath.Join(dir, "audit.db"))
	if got := read(t, r, start.Add(time.Millisecond), start.Add(2*time.Millisecond)); len(got) != 1 || got[0].Exchange != exchangeID(1) {
		t.Errorf("of the second millisecond: %+v", got)
	}
	must(t, os.CopyFS(copied, os.DirFS(dir)))
	if got := read(t, openReader(t, filepath.Join(copied, "audit.db")), time.Time{}, time.Time{}); len(got) != 3 {
		t.Errorf("%d records", len(got))
	}
}
