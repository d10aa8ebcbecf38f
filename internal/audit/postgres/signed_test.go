package postgres_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/chain"
	"github.com/plumbline/plumbline/internal/audit/notary"
	"github.com/plumbline/plumbline/internal/audit/postgres"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/testkit/pgproc"
)

// signed is a store with what ships to it, signs for it and holds it against what was published.
type signed struct {
	t         testing.TB
	db        *pgproc.Database
	store     *postgres.Store
	signer    *chain.Signer
	keys      chain.Keys
	published bytes.Buffer // the second place
}

func newSigned(t testing.TB) *signed {
	t.Helper()
	private, public, err := chain.NewKey(rand.Reader, "plumbline")
	must(t, err)
	signer, err := chain.NewSigner(private)
	must(t, err)
	keys, err := chain.ParseKeys(public)
	must(t, err)
	db := pgproc.Shared(t).Database(t, records)
	s := &signed{t: t, db: db, store: openStore(t, db.URL), signer: signer, keys: keys}
	must(t, s.store.Prepare(t.Context(), start))
	return s
}

func (s *signed) notary(log *audit.Log) *notary.Notary {
	sink := notary.NewStream(&s.published, time.Now)
	return notary.New(notary.Options{Log: log, Signer: s.signer, Keys: s.keys, Store: s.store, Sink: sink})
}

// write appends records, ships them and, with n, signs them.
func (s *signed) write(log *audit.Log, n *notary.Notary, recs ...core.Record) {
	s.t.Helper()
	for _, rec := range recs {
		must(s.t, log.Append(s.t.Context(), rec))
	}
	settled(s.t, log)
	must(s.t, newShipper(log, s.store).Drain(s.t.Context()))
	if n != nil {
		must(s.t, n.Finish(s.t.Context()))
	}
}

// evidence is what was published, and the key.
func (s *signed) evidence() notary.Evidence {
	s.t.Helper()
	outside, err := chain.Read(bytes.NewReader(s.published.Bytes()), s.keys)
	must(s.t, err)
	return notary.Evidence{Keys: &s.keys, Outside: outside}
}

func (s *signed) verify() (report notary.Report, err error) {
	s.t.Helper()
	err = s.store.InSnapshot(context.Background(), func(at *postgres.Snapshot) (err error) {
		report, err = notary.Verify(context.Background(), at, s.evidence())
		return err
	})
	return report, err
}

// TestOnlyWhatWasShippedIsSigned: a checkpoint must not name what the store lacks, or verifying would call it missing.
func TestOnlyWhatWasShippedIsSigned(t *testing.T) {
	s := newSigned(t)
	log := openLog(t, "")
	n := s.notary(log)
	appendExchanges(t, log, 0, 5)
	must(t, n.Finish(t.Context()))
	if s.published.Len() > 0 || n.Hold() != 0 {
		t.Fatalf("signed before it was shipped: %s", s.published.String())
	}
	s.write(log, n)
	report, err := s.verify()
	if err != nil || report.Records != 10 || report.Fixed != 10 || report.FixedOutside != 10 || n.Hold() != 10 {
		t.Errorf("%+v, %v, holds at %d", report, err, n.Hold())
	}
}

// TestCheckpointsWaitForTheStore: the second place gets nothing that the store lacks.
func TestCheckpointsWaitForTheStore(t *testing.T) {
	s := newSigned(t)
	log := openLog(t, "")
	n := s.notary(log)
	appendExchanges(t, log, 0, 3)
	must(t, newShipper(log, s.store).Drain(t.Context()))
	s.db.Exec(t, "ALTER TABLE plumbline_audit.checkpoints RENAME TO away")
	if err := n.Finish(t.Context()); err == nil || s.published.Len() > 0 {
		t.Fatalf("%v, published %q", err, s.published.String())
	}
	s.db.Exec(t, "ALTER TABLE plumbline_audit.away RENAME TO checkpoints")
	must(t, n.Finish(t.Context()))
	if report, err := s.verify(); err != nil || report.FixedOutside != 6 || report.Outside != 1 {
		t.Errorf("%+v, %v", report, err)
	}
}

// TestTheWriterOnlyAddsCheckpoints holds the role to its rights.
func TestTheWriterOnlyAddsCheckpoints(t *testing.T) {
	s := newSigned(t)
	writer := openStore(t, s.db.Role(t, "GRANT plumbline_writer TO %s"))
	one := []audit.Checkpoint{{Writer: "w", Size: 1, Note: []byte("a note")}}
	for range 2 {
		if conflicts, err := writer.PutCheckpoints(t.Context(), one); err != nil || len(conflicts) > 0 {
			t.Fatalf("%v, %v", conflicts, err)
		}
	}
	other := []audit.Checkpoint{{Writer: "w", Size: 1, Note: []byte("another")}, {Writer: "w", Size: 2, Note: []byte("more")}}
	if conflicts, err := writer.PutCheckpoints(t.Context(), other); err != nil || len(conflicts) != 1 || string(conflicts[0].Note) != "another" {
		t.Errorf("two under one name: %v, %v", conflicts, err)
	}
	for _, right := range []string{"UPDATE", "DELETE", "TRUNCATE"} {
		query := "SELECT has_table_privilege('plumbline_writer', 'plumbline_audit.checkpoints', '" + right + "')"
		if pgproc.One[bool](t, s.db, query) {
			t.Errorf("the writer may %s", right)
		}
	}
	if !pgproc.One[bool](t, s.db, "SELECT has_table_privilege('plumbline_reader', 'plumbline_audit.checkpoints', 'SELECT')") {
		t.Error("the reader may not read")
	}
}

// TestTwoProcessesOfOneName: a data directory that was copied, and gone on with in two places.
func TestTwoProcessesOfOneName(t *testing.T) {
	s := newSigned(t)
	log := openLog(t, "")
	s.write(log, s.notary(log), intent(0))
	var name string
	var tree chain.Tree
	for _, c := range s.evidence().Outside {
		name = c.Writer
	}
	tree.Append([32]byte{1})
	fork, err := s.signer.Sign(name, &tree, start)
	must(t, err)
	must(t, notary.NewStream(&s.published, time.Now).Put(t.Context(), []audit.Checkpoint{{Writer: name, Size: 1, Note: fork.Note}}))
	var bad *chain.MismatchError
	if _, err := s.verify(); !errors.As(err, &bad) || bad.Writer != name || !bytes.Contains([]byte(bad.Problem), []byte("two processes wrote under its name")) {
		t.Errorf("%v", err)
	}
}

// TestRecordsOfAClockThatWentBack are visited in the order of their numbers, whatever their times say.
func TestRecordsOfAClockThatWentBack(t *testing.T) {
	s := newSigned(t)
	log := openLog(t, "")
	n := s.notary(log)
	for i := range 6 {
		rec := intent(i)
		rec.Time = start.Add(-time.Duration(i%3) * time.Hour)
		s.write(log, n, rec)
	}
	if report, err := s.verify(); err != nil || report.Fixed != 6 {
		t.Errorf("%+v, %v", report, err)
	}
}

// at is a time in a month of 2026.
func at(month time.Month, rec core.Record) core.Record {
	rec.Time = time.Date(2026, month, 5, 12, 0, rec.Time.Second(), 0, time.UTC)
	return rec
}

// TestAMonthIsDroppedAsDeclared and goes on being verified; what was not declared is tampering.
func TestAMonthIsDroppedAsDeclared(t *testing.T) {
	s := newSigned(t)
	log := openLog(t, "")
	n := s.notary(log)
	admin := core.Record{Kind: core.RecordAdmin, Exchange: "change-1", Admin: &core.Change{Actor: "root", Action: "put", Object: "user/ada"}}
	s.write(log, n, at(time.March, intent(0)), at(time.March, admin), at(time.March, intent(1)), at(time.April, intent(2)), at(time.March, intent(3)))
	drop := func(class, month string, declared time.Month) error {
		begin, err := time.Parse("2006_01", month)
		must(t, err)
		m := audit.Month{Class: class, Begin: begin}
		retire := func() error {
			_, err := s.store.Retire(t.Context(), m, begin.AddDate(0, 1, 0))
			return err
		}
		if err := retire(); !errors.Is(err, audit.ErrUndeclared) {
			t.Fatalf("undeclared: %v", err)
		}
		rec, err := s.store.Declaration(t.Context(), m, "retention", start)
		must(t, err)
		s.write(log, nil, at(declared, rec))
		if err := retire(); !errors.Is(err, audit.ErrUndeclared) {
			t.Fatalf("not fixed by a checkpoint: %v", err)
		}
		s.write(log, n)
		return retire()
	}
	must(t, drop("exchange", "2026_03", time.April))
	if report, err := s.verify(); err != nil || report.Dropped != 3 || report.Fixed != 6 {
		t.Fatalf("%+v, %v", report, err)
	}
	must(t, drop("admin", "2026_03", time.April))
	must(t, drop("admin", "2026_04", time.May)) // with the declarations of both
	report, err := s.verify()
	if err != nil || report.Dropped != 6 || report.Fixed != 8 {
		t.Fatalf("%+v, %v", report, err)
	}
	for name, statement := range map[string]string{
		"another month is taken, and its hashes kept": "SELECT plumbline_audit.drop_partition('exchange', '2026_04')",
		"a record is taken as if of a dropped month": `WITH gone AS (DELETE FROM plumbline_audit.records_exchange RETURNING *)
			INSERT INTO plumbline_audit.dropped SELECT 'exchange', '2026_03', writer, 7, 1, int8send(seq) || leaf FROM gone`,
		"a record is taken into a dropped part": `WITH gone AS (DELETE FROM plumbline_audit.records_exchange RETURNING *)
			UPDATE plumbline_audit.dropped AS d SET records = 4, leaves = (SELECT substr(d.leaves, 1, 80) || int8send(gone.seq) || gone.leaf || substr(d.leaves, 81)
			FROM gone) WHERE class = 'exchange'`,
		"kept hashes are taken out":       "DELETE FROM plumbline_audit.dropped WHERE class = 'exchange'",
		"a kept hash is changed":          `UPDATE plumbline_audit.dropped SET leaves = set_byte(leaves, 20, get_byte(leaves, 20) # 1) WHERE month = '2026_03'`,
		"a kept number is changed":        `UPDATE plumbline_audit.dropped SET leaves = set_byte(leaves, 7, 9) WHERE class = 'exchange'`,
		"kept declarations are taken out": "DELETE FROM plumbline_audit.drop_entries",
		"a kept declaration is changed":   `UPDATE plumbline_audit.drop_entries SET record = replace(encode(record, 'escape'), 'retention', 'mallory')::bytea`,
	} {
		t.Run(name, func(t *testing.T) {
			s.tampered(t, func(tx tamperer) { tx.exec(statement) }, "")
		})
	}
	if report, err := s.verify(); err != nil || report.Dropped != 6 {
		t.Errorf("afterwards: %+v, %v", report, err)
	}
}
