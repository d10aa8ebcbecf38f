package postgres_test

import (
	"testing"

	"github.com/plumbline/plumbline/internal/testkit/pgproc"
)

// TestShipsThroughPgBouncer: two processes ship at once through a PgBouncer in transaction mode, over sessions that both use.
func TestShipsThroughPgBouncer(t *testing.T) {
	db := pgproc.Shared(t).Database(t, records)
	url := db.Pooled(t, 2)
	const exchanges = 1200
	drained := make(chan error, 2)
	for range cap(drained) {
		log := openLog(t, "")
		appendExchanges(t, log, 0, exchanges)
		settled(t, log)
		s := newShipper(log, openStore(t, url))
		go func() { drained <- s.Drain(t.Context()) }()
	}
	for range cap(drained) {
		must(t, <-drained)
	}
	if n := pgproc.One[int](t, db, "SELECT count(*) FROM plumbline_audit.records"); n != 2*2*exchanges {
		t.Errorf("%d records, want two of each exchange of both", n)
	}
	seen, err := openStore(t, url).Verify(t.Context())
	if err != nil || seen.Writers != 2 || seen.Records != 2*2*exchanges {
		t.Errorf("verified %+v, %v", seen, err)
	}
}
