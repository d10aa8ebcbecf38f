package audit

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"runtime"
	"time"

	"github.com/plumbline/plumbline/internal/core"
)

// ShipmentBytes bounds the canonical bytes of one batch of Unshipped: the entry that reaches it is the last.
const ShipmentBytes = 8 << 20

// yieldEvery is how many entries are read before others get the processor: beside Envoy there may be but one, and who waits
// to have a call admitted must not wait for a whole batch.
const yieldEvery = 16

// Shipment is an entry on its way to another store.
type Shipment struct {
	Entry
	// Opening is the intent of the exchange that an outcome closes; nil for other entries, and where the log has none.
	Opening *core.Record
	// Fault says what is wrong with an entry whose bytes are not as they were written, and is empty for all others.
	// Record is then not to be relied on.
	Fault string
}

// Spool says how much of the log another store does not have.
type Spool struct {
	Records int64
	// Oldest is the time of the oldest of them, zero when there is none.
	Oldest time.Time
	// Bytes is the room that the log takes, and Bound how much it may; both zero without a bound.
	Bytes, Bound int64
}

// Unshipped gives the first entries after a position, or after what Shipped was told last where that is later, in the order
// in which they became durable, at most limit of them. They are in the tables, and so on the disk: what the loss of power may take from the journal is not given.
func (l *Log) Unshipped(ctx context.Context, after Position, limit int) ([]Shipment, error) {
	after = max(after, Position(l.shipped.Load()))
	batch, err := l.unshippedRecent(after, limit), error(nil)
	if batch == nil {
		batch, err = l.unshipped(ctx, after, limit)
	}
	if err == nil {
		err = l.addOpenings(ctx, batch)
	}
	if err != nil {
		return nil, fmt.Errorf("audit: reading what is to be shipped: %w", err)
	}
	return batch, nil
}

// unshippedRecent gives the same from memory, nil where it is not there.
func (l *Log) unshippedRecent(after Position, limit int) []Shipment {
	if l.o.MaxSize <= 0 {
		return nil
	}
	entries, ok := l.recent.between(after, math.MaxInt64-1, limit)
	if !ok {
		return nil
	}
	batch := make([]Shipment, 0, len(entries))
	for size, i := 0, 0; size < ShipmentBytes && i < len(entries); i++ {
		e := &entries[i]
		s := Shipment{Entry: Entry{Position: e.Position, Writer: e.Writer, Seq: e.Seq, Leaf: e.Hash, Canonical: e.canonical}}
		s.decode()
		size += len(e.canonical)
		batch = append(batch, s)
		if len(batch)%yieldEvery == 0 {
			runtime.Gosched()
		}
	}
	return batch
}

func (l *Log) unshipped(ctx context.Context, after Position, limit int) (batch []Shipment, err error) {
	const query = `SELECT e.id, w.name, e.seq, e.leaf, e.record FROM entries AS e JOIN writers AS w ON w.id = e.writer
		WHERE e.id > ? ORDER BY e.id LIMIT ?`
	rows, err := l.side.QueryContext(ctx, query, after, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for size := 0; size < ShipmentBytes && rows.Next(); {
		var (
			s    Shipment
			leaf []byte
		)
		if err := rows.Scan(&s.Position, &s.Writer, &s.Seq, &leaf, &s.Canonical); err != nil {
			return nil, err
		}
		size += len(s.Canonical)
		s.open(leaf)
		batch = append(batch, s)
		if len(batch)%yieldEvery == 0 {
			runtime.Gosched()
		}
	}
	return batch, rows.Err()
}

// open decodes the entry's record and finds what is wrong with it.
func (s *Shipment) open(leaf []byte) {
	copy(s.Leaf[:], leaf)
	if want := LeafHash(s.Canonical, s.Writer, s.Seq); string(want[:]) != string(leaf) {
		s.Fault = "its hash is not that of its record"
		return
	}
	s.decode()
}

func (s *Shipment) decode() {
	var err error
	if s.Record, err = Decode(s.Canonical); err != nil {
		s.Fault = "its record cannot be read"
	}
}

// addOpenings gives outcomes the intents that they close: from the batch itself, else from the log.
func (l *Log) addOpenings(ctx context.Context, batch []Shipment) error {
	known := map[string]*core.Record{}
	var asked []string
	for i := range batch {
		rec := &batch[i].Record
		switch rec.Kind {
		case core.RecordIntent:
			known[rec.Exchange] = rec
		case core.RecordOutcome:
			if known[rec.Exchange] == nil {
				asked = append(asked, rec.Exchange)
			}
		case core.RecordDeny, core.RecordRefusals, core.RecordAdmin:
		}
	}
	if err := l.intents(ctx, asked, known); err != nil {
		return err
	}
	for i := range batch {
		if rec := &batch[i].Record; rec.Kind == core.RecordOutcome {
			batch[i].Opening = known[rec.Exchange]
		}
	}
	return nil
}

// intents adds the intents of exchanges to known.
func (l *Log) intents(ctx context.Context, exchanges []string, known map[string]*core.Record) error {
	if len(exchanges) == 0 {
		return nil
	}
	list, err := json.Marshal(exchanges)
	if err != nil {
		return err
	}
	const query = `WITH asked AS MATERIALIZED (SELECT value AS exchange FROM json_each(@list))
		SELECT e.record FROM asked CROSS JOIN by_exchange AS i ON i.exchange = asked.exchange AND i.kind = 'intent'
			CROSS JOIN entries AS e ON e.id = i.entry
		UNION ALL SELECT e.record FROM entries AS e
			WHERE e.kind = 'intent' AND ` + unindexed + ` AND e.exchange IN (SELECT exchange FROM asked)`
	rows, err := l.side.QueryContext(ctx, query, sql.Named("list", string(list)))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var canonical []byte
		if err := rows.Scan(&canonical); err != nil {
			return err
		}
		if rec, err := Decode(canonical); err == nil { // one that cannot be read has its fault told when it is shipped
			known[rec.Exchange] = &rec
		}
	}
	return rows.Err()
}

// Shipped notes that another store has every entry up to a position, which Unshipped gave.
func (l *Log) Shipped(ctx context.Context, upTo Position) error {
	l.replica.advance(upTo)
	err := l.do(ctx, func() error {
		if _, err := l.conn.ExecContext(context.WithoutCancel(ctx), "UPDATE state SET value = ? WHERE name = 'shipped'", upTo); err != nil {
			return err
		}
		l.shipped.Store(int64(upTo))
		return nil
	})
	if err != nil {
		return fmt.Errorf("audit: noting what was shipped: %w", err)
	}
	return nil
}

// Spool says how much is to be shipped, what is in the journal left out: it is there for half a second at most.
func (l *Log) Spool(ctx context.Context) (Spool, error) {
	var (
		s      = Spool{Bytes: l.size.Load(), Bound: l.o.MaxSize}
		oldest sql.NullInt64
	)
	const query = `SELECT (SELECT coalesce(max(id), @shipped) FROM entries) - @shipped,
		(SELECT time FROM entries WHERE id > @shipped ORDER BY id LIMIT 1)`
	if err := l.side.QueryRowContext(ctx, query, sql.Named("shipped", l.shipped.Load())).Scan(&s.Records, &oldest); err != nil {
		return s, fmt.Errorf("audit: %w", err)
	}
	if oldest.Valid {
		s.Oldest = time.UnixMicro(oldest.Int64).UTC()
	}
	return s, nil
}
