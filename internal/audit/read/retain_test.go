package read_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/audittest"
	"github.com/plumbline/plumbline/internal/audit/chain"
	"github.com/plumbline/plumbline/internal/audit/notary"
	"github.com/plumbline/plumbline/internal/audit/read"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/sqlite"
)

// later is when all of the spring of 2026 is long past.
var later = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// retained is a log that is its own store, with what signs and what verifies.
type retained struct {
	t      testing.TB
	path   string
	log    *audit.Log
	local  read.Local
	signer *chain.Signer
	keys   chain.Keys
	notary *notary.Notary
	// published is the second place.
	published bytes.Buffer
}

func newRetained(t testing.TB) *retained {
	t.Helper()
	private, public, err := chain.NewKey(rand.Reader, "plumbline")
	must(t, err)
	r := &retained{t: t, path: filepath.Join(t.TempDir(), "audit.db")}
	r.signer, err = chain.NewSigner(private)
	must(t, err)
	r.keys, err = chain.ParseKeys(public)
	must(t, err)
	r.open()
	return r
}

func (r *retained) open() {
	r.t.Helper()
	var err error
	r.log, err = audit.Open(r.t.Context(), audit.Options{
		Path: r.path, Durability: audit.CrashSafe, Ballast: 64 << 10, Journal: 1 << 20, Now: func() time.Time { return later },
	})
	must(r.t, err)
	reader, err := audit.OpenReader(r.t.Context(), r.path)
	must(r.t, err)
	r.local = read.Local{Reader: reader}
	log := r.log
	r.t.Cleanup(func() {
		if err := errors.Join(reader.Close(), log.Close(context.Background())); err != nil {
			r.t.Error(err)
		}
	})
	r.notary = notary.New(notary.Options{Log: r.log, Signer: r.signer, Keys: r.keys, Sink: notary.NewStream(&r.published, time.Now)})
}

func (r *retained) Past(ctx context.Context, class string, before time.Time) ([]audit.Month, error) {
	return r.log.Past(ctx, class, before)
}

func (r *retained) Declaration(ctx context.Context, m audit.Month, actor string, now time.Time) (core.Record, error) {
	return r.log.Declaration(ctx, m, actor, now)
}

func (r *retained) Retire(ctx context.Context, m audit.Month, before time.Time) (int64, error) {
	return r.log.Retire(ctx, m, before, r.local.SumDay)
}

func (r *retained) record(all ...core.Record) error {
	for _, rec := range all {
		if err := r.log.Append(context.Background(), rec); err != nil {
			return err
		}
	}
	_, err := r.log.End(context.Background())
	return err
}

func (r *retained) fix() error { return r.notary.Finish(context.Background()) }

func (r *retained) verify() (notary.Report, error) {
	outside, err := chain.Read(bytes.NewReader(r.published.Bytes()), r.keys)
	if err != nil {
		return notary.Report{}, err
	}
	return notary.Verify(context.Background(), r.local, notary.Evidence{Keys: &r.keys, Outside: outside})
}

func TestRetention(t *testing.T) {
	audittest.RunRetention(t, func(t testing.TB) *audittest.Retained {
		r := newRetained(t)
		return &audittest.Retained{
			Retainer: r, Now: later, Reader: r.local, Record: r.record, Fix: r.fix,
			Verify: func() (audittest.Kept, error) {
				report, err := r.verify()
				return audittest.Kept{Records: report.Records, Dropped: report.Dropped, Fixed: int64(report.FixedOutside)}, err
			},
		}
	})
}

func march(day int) time.Time { return time.Date(2026, 3, day, 12, 0, 0, 0, time.UTC) }

var ofMarch = audit.Month{Class: audit.ClassExchange, Begin: march(1)}

// call are the records of a call, of which the person's name can be looked for.
func call(i int, at time.Time) []core.Record {
	id, by := fmt.Sprintf("0195%08x-7000-8000-000000000000", i), core.Principal{User: fmt.Sprintf("nosuchname-%d", i)}
	return []core.Record{
		{Kind: core.RecordIntent, Time: at, Exchange: id, Principal: by, Model: "gpt-4o", Reason: core.ReasonNone, Reserved: &core.Charge{Admitted: at, Requests: 1}},
		{Kind: core.RecordOutcome, Time: at, Exchange: id, Principal: by, Model: "gpt-4o", Reason: core.ReasonNone, Settled: &core.Charge{Admitted: at, Requests: 1}},
	}
}

// declare records and fixes that a month goes.
func (r *retained) declare(m audit.Month) {
	r.t.Helper()
	must(r.t, r.fix())
	declaration, err := r.log.Declaration(context.Background(), m, "system", later)
	must(r.t, err)
	must(r.t, r.record(declaration))
	must(r.t, r.fix())
}

// drop declares and drops a month.
func (r *retained) drop(m audit.Month) int64 {
	r.t.Helper()
	r.declare(m)
	_, end := m.Span()
	n, err := r.Retire(context.Background(), m, end)
	must(r.t, err)
	return n
}

// TestWhatIsNeededStays: a month with a call that has not ended, or of which limits still count something, is not declared.
func TestWhatIsNeededStays(t *testing.T) {
	for name, c := range map[string]struct {
		records func() []core.Record
		then    []core.Record // after which it goes
		gone    int64
	}{
		"an open call": {
			records: func() []core.Record { return call(1, march(5))[:1] }, then: call(1, march(6))[1:], gone: 2,
		},
		"an outcome whose intent stays": {
			records: func() []core.Record { return append(call(1, march(5).AddDate(0, 1, 0))[:1], call(1, march(5))[1]) },
		},
		"a charge that counts": {
			records: func() []core.Record {
				two := call(1, march(5))
				two[1].Settled.Admitted = later.AddDate(0, 0, -34)
				return two
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRetained(t)
			must(t, r.record(c.records()...))
			must(t, r.fix())
			if _, err := r.log.Declaration(t.Context(), ofMarch, "system", later); !errors.Is(err, audit.ErrHeld) {
				t.Fatalf("declared: %v", err)
			}
			if c.then == nil {
				return
			}
			must(t, r.record(c.then...))
			must(t, r.fix())
			if n := r.drop(ofMarch); n != c.gone {
				t.Errorf("%d records were dropped, want %d", n, c.gone)
			}
		})
	}
}

// TestLimitsCountOn: what is left of the charges is what was admitted since.
func TestLimitsCountOn(t *testing.T) {
	r := newRetained(t)
	recent := later.AddDate(0, 0, -20)
	for i := range 50 {
		must(t, r.record(append(call(i, march(1+i%31)), call(100+i, recent)...)...))
	}
	charges := func(q audit.ChargesQuery) (n int) {
		must(t, r.log.Charges(t.Context(), q, func(audit.Charged) error { n++; return nil }))
		return n
	}
	if n := charges(audit.ChargesQuery{}); n != 100 {
		t.Fatalf("%d charges", n)
	}
	r.drop(ofMarch)
	if all, counted := charges(audit.ChargesQuery{}), charges(audit.ChargesQuery{Since: later.AddDate(0, 0, -33)}); all != 50 || counted != 50 {
		t.Errorf("%d charges, of which limits count %d", all, counted)
	}
}

// TestNothingIsLeftInTheFile of the records that were dropped, and their room is used again.
func TestNothingIsLeftInTheFile(t *testing.T) {
	r := newRetained(t)
	fill := func(month time.Month) {
		for i := range 1000 {
			must(t, r.record(call(int(month)*10_000+i, time.Date(2026, month, 1+i%28, 0, 0, 0, 0, time.UTC))...))
		}
	}
	fill(time.March)
	if n := r.drop(ofMarch); n != 2000 {
		t.Fatalf("%d records were dropped", n)
	}
	must(t, errors.Join(r.local.Close(), r.log.Close(t.Context()))) // what is in the WAL goes to the file
	file, err := os.ReadFile(r.path)
	must(t, err)
	if n := bytes.Count(file, []byte(`"kind":"intent"`)); n != 0 {
		t.Errorf("%d of the records that were dropped are left in the file", n)
	}
	r.open()
	fill(time.April)
	must(t, errors.Join(r.local.Close(), r.log.Close(t.Context())))
	info, err := os.Stat(r.path)
	must(t, err)
	if grown := info.Size() - int64(len(file)); grown > int64(len(file))/4 {
		t.Errorf("the file grew by %d bytes to %d, although as much was dropped", grown, info.Size())
	}
	r.open()
}

// TestVerifyWhileItIsDropped: at any moment the records are there in one form or the other.
func TestVerifyWhileItIsDropped(t *testing.T) {
	r := newRetained(t)
	for i := range 2000 {
		must(t, r.record(call(i, march(1+i%31))...))
	}
	r.declare(ofMarch)
	looks := 0
	look := func(when string) {
		if report, err := r.verify(); err != nil || report.Records+report.Dropped != 4001 {
			t.Errorf("%s: %+v, %v", when, report, err)
		}
		rows, err := r.local.Sum(t.Context(), read.SumQuery{Since: march(0), Until: march(32)})
		if err != nil && !strings.Contains(err.Error(), "are being dropped") || err == nil && (len(rows) != 1 || rows[0].Ended != 2000) {
			t.Errorf("%s: sums %+v, %v", when, rows, err)
		}
		looks++
	}
	_, end := ofMarch.Span()
	// Half of it, then as a process that was stopped finds it.
	ctx, cancel := context.WithCancel(t.Context())
	_, err := r.log.Retire(ctx, ofMarch, end, func(ctx context.Context, day time.Time) (map[int64][]byte, error) {
		if day.Day() == 20 {
			look("sums are kept beside the records")
			cancel()
		}
		return r.local.SumDay(ctx, day)
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	look("before it is entered as dropped")
	done := make(chan error, 1)
	go func() {
		n, err := r.Retire(t.Context(), ofMarch, end)
		if n != 4000 {
			err = errors.Join(err, fmt.Errorf("%d records were dropped", n))
		}
		done <- err
	}()
	for {
		select {
		case err := <-done:
			must(t, err)
			look("when it is gone")
			t.Logf("verified %d times", looks)
			return
		default:
			look("while it is deleted")
		}
	}
}

// TestDroppedAndTamperedWith: whoever owns the file, but not the signing key, is found.
func TestDroppedAndTamperedWith(t *testing.T) {
	const blob = "CAST(substr(leaves, 1, 20) || CASE substr(leaves, 21, 1) WHEN x'00' THEN x'01' ELSE x'00' END || substr(leaves, 22) AS BLOB)"
	for name, c := range map[string]struct{ statement, want string }{
		"another month is taken, and its hashes kept": {
			`INSERT INTO dropped SELECT 'exchange', '2026_04', writer, seq / 4096, 1, CAST(unhex(printf('%016x', seq)) || leaf AS BLOB) FROM entries WHERE exchange = 'april';
			INSERT INTO drops VALUES ('exchange', '2026_04', 99, 1); DELETE FROM entries WHERE exchange = 'april'; DELETE FROM by_exchange WHERE exchange = 'april'`,
			"taken out without a record that declares it",
		},
		"a record is deleted":          {"DELETE FROM entries WHERE exchange = 'april'", "records are missing"},
		"kept hashes are taken out":    {"DELETE FROM dropped WHERE class = 'exchange'", "records are missing"},
		"the drop is taken out":        {"DELETE FROM drops WHERE class = 'exchange'", "records are missing"},
		"a kept hash is changed":       {"UPDATE dropped SET leaves = " + blob + " WHERE class = 'exchange'", "a record was changed"},
		"a kept number is changed":     {"UPDATE dropped SET leaves = CAST(x'0000000000000009' || substr(leaves, 9) AS BLOB) WHERE class = 'exchange'", "is not in order"},
		"how many are kept is changed": {"UPDATE dropped SET records = records + 1 WHERE class = 'exchange'", "is not in order"},
		"hashes are kept under another month": {
			"UPDATE dropped SET month = '2026_02' WHERE class = 'exchange'; UPDATE drops SET month = '2026_02' WHERE class = 'exchange'",
			"taken out without a record that declares it",
		},
		"kept declarations are taken out": {"DELETE FROM drop_entries", "taken out without a record that declares it"},
		"a kept declaration is changed": {
			"UPDATE drop_entries SET record = CAST(replace(CAST(record AS TEXT), 'system', 'mallory') AS BLOB)", "is not the record that its hash was made of",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRetained(t)
			must(t, r.record(append(call(1, march(5)), call(2, march(6))...)...))
			must(t, r.record(core.Record{Kind: core.RecordDeny, Time: march(5).AddDate(0, 1, 0), Exchange: "april", Reason: core.ReasonOffTask}))
			must(t, r.fix())
			declaration, err := r.log.Declaration(t.Context(), ofMarch, "system", march(5).AddDate(0, 1, 0))
			must(t, err)
			must(t, r.record(declaration))
			must(t, r.fix())
			if n, err := r.Retire(t.Context(), ofMarch, later); err != nil || n != 4 {
				t.Fatalf("%d, %v", n, err)
			}
			ofApril := audit.Month{Class: audit.ClassAdmin, Begin: march(1).AddDate(0, 1, 0)}
			if n := r.drop(ofApril); n != 1 { // the declaration
				t.Fatalf("%d changes were dropped", n)
			}
			if report, err := r.verify(); err != nil || report.Dropped != 5 {
				t.Fatalf("before: %+v, %v", report, err)
			}
			db, err := sqlite.Open(t.Context(), r.path, sqlite.Options{})
			must(t, err)
			_, err = db.ExecContext(t.Context(), c.statement)
			must(t, errors.Join(err, db.Close()))
			if _, err := r.verify(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// TestOnlyRecordsOfAMonthGoWithIt: whoever owns the file has no way to have retention drop, under its own good name, what is
// still to be kept.
func TestOnlyRecordsOfAMonthGoWithIt(t *testing.T) {
	for what, tampering := range map[string]string{
		"another month":    "UPDATE entries SET time = %[1]d WHERE exchange = 'april'",
		"its bytes, too":   "UPDATE entries SET time = %[1]d, record = CAST(replace(CAST(record AS TEXT), '2026-04-', '2026-03-') AS BLOB) WHERE exchange = 'april'",
		"another class":    "UPDATE entries SET kind = 'deny' WHERE exchange = 'change'",
		"its kind, too":    "UPDATE entries SET kind = 'deny', record = CAST(replace(CAST(record AS TEXT), '\"kind\":\"admin\"', '\"kind\":\"deny\"') AS BLOB) WHERE exchange = 'change'",
		"no hash that is":  "UPDATE entries SET leaf = x'00' WHERE kind = 'intent'",
		"one that differs": "UPDATE entries SET leaf = zeroblob(32) WHERE kind = 'intent'",
	} {
		t.Run(what, func(t *testing.T) {
			r := newRetained(t)
			must(t, r.record(append(call(1, march(5)),
				core.Record{Kind: core.RecordAdmin, Time: march(6), Exchange: "change", Admin: &core.Change{Actor: "root", Action: "put", Object: "user/ada"}},
				core.Record{Kind: core.RecordDeny, Time: march(5).AddDate(0, 1, 0), Exchange: "april", Reason: core.ReasonOffTask})...))
			must(t, r.fix())
			_, err := r.log.Declaration(t.Context(), ofMarch, "system", later)
			must(t, err)
			db, err := sqlite.Open(t.Context(), r.path, sqlite.Options{})
			must(t, err)
			_, err = db.ExecContext(t.Context(), fmt.Sprintf(tampering+"; UPDATE spans SET earliest = min(earliest, %[1]d)", march(7).UnixMicro()))
			must(t, errors.Join(err, db.Close()))
			var bad *audit.BadEntryError
			if _, err := r.log.Declaration(t.Context(), ofMarch, "system", later); !errors.As(err, &bad) {
				t.Errorf("declared: %v", err)
			}
		})
	}
}
