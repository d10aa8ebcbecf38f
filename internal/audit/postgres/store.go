package postgres

import (
	"bytes"
	"context"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/ship"
	"github.com/plumbline/plumbline/internal/postgres"
)

// Store keeps a batch. See ship.Destination.
//
// Nearly all batches are new, and are copied in. One of which a record is there already, as when the answer to a commit was
// lost, is refused as a whole and then inserted. So are those that follow it at once, until one is all new: they may come from
// a copy of a log.
func (s *Store) Store(ctx context.Context, batch []audit.Shipment) (stored ship.Stored, err error) {
	add := copyIn
	if s.again.Load() {
		add = insert
	}
	stored, err = s.store(ctx, batch, add)
	if postgres.IsUnique(err) {
		stored, err = s.store(ctx, batch, insert)
	}
	if err != nil {
		return ship.Stored{}, refused(err)
	}
	s.again.Store(stored.New < len(batch))
	return stored, nil
}

// adder adds records, and says which of them were not there.
type adder func(ctx context.Context, tx pgx.Tx, c *columns) (map[key]struct{}, error)

// store keeps a batch in one transaction, the records by add.
func (s *Store) store(ctx context.Context, batch []audit.Shipment, add adder) (stored ship.Stored, err error) {
	c := columnsOf(batch)
	texts := s.known.news(batch, c.explanation)
	err = s.pool.Write(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if err := texts.insert(ctx, tx); err != nil {
			return err
		}
		stored, err = storeAll(ctx, tx, batch, c, add)
		return err
	})
	if err == nil {
		s.known.add(texts)
	}
	return stored, err
}

// storeAll runs the transaction: records, what was there already, sums of the new ones, counts of their writers.
func storeAll(ctx context.Context, tx pgx.Tx, batch []audit.Shipment, c *columns, add adder) (stored ship.Stored, err error) {
	if err := keep(ctx, tx); err != nil {
		return stored, err
	}
	fresh, err := add(ctx, tx, c)
	if err != nil {
		return stored, err
	}
	stored.New = len(fresh)
	sums, tallies := ship.Rollup{}, map[string]tally{}
	var old []audit.Shipment
	for i := range batch {
		e := &batch[i]
		key := keyOf(e)
		if _, ok := fresh[key]; !ok {
			old = append(old, *e)
			continue
		}
		delete(fresh, key) // one in the same batch with the same key was not stored
		sums.Add(e)
		t := tallies[e.Writer]
		t.records, t.last = t.records+1, max(t.last, int64(e.Seq))
		tallies[e.Writer] = t
	}
	if stored.Known, stored.Conflicts, err = compare(ctx, tx, old); err != nil {
		return stored, err
	}
	for table, sums := range tables(sums) {
		if err := addSums(ctx, tx, table, sums); err != nil {
			return stored, err
		}
	}
	return stored, count(ctx, tx, tallies)
}

// keep has the commit wait until it is on the server's disk, where the server is set not to: the spool lets go of what was
// committed, and a crash would take it from both.
func keep(ctx context.Context, tx pgx.Tx) error {
	const statement = "SELECT pg_catalog.set_config('synchronous_commit', 'on', true) WHERE pg_catalog.current_setting('synchronous_commit') = 'off'"
	_, err := tx.Exec(ctx, statement)
	return err
}

// compare counts the entries that are stored as they are. Of the others another record is stored: they go to the dead
// letters, and count for nothing else, since their numbers are not missing.
func compare(ctx context.Context, tx pgx.Tx, old []audit.Shipment) (known, conflicts int, err error) {
	found, err := leaves(ctx, tx, old)
	if err != nil {
		return 0, 0, err
	}
	for i := range old {
		if bytes.Equal(found[keyOf(&old[i])], old[i].Leaf[:]) {
			known++
			continue
		}
		conflicts++
		if _, err := bury(ctx, tx, &old[i], "another record is stored under its writer and number"); err != nil {
			return 0, 0, err
		}
	}
	return known, conflicts, nil
}

type id struct {
	writer string
	seq    int64
}

// key is what no two stored records share.
type key struct {
	id
	at    int64
	class string
}

func keyOf(e *audit.Shipment) key {
	return key{id{e.Writer, int64(e.Seq)}, e.Record.Time.UnixMicro(), classOf(e.Record.Kind)}
}

// columns are the values of a batch, column by column: one statement inserts them all.
type columns struct {
	class, writer, kind, exchange, user, team, app, action, reason, model, task, intent []string
	at, seq, explanation                                                                []int64
	leaf, record                                                                        [][]byte
}

func columnsOf(batch []audit.Shipment) *columns {
	c := new(columns)
	for i := range batch {
		e := &batch[i]
		r := &e.Record
		c.class, c.kind = append(c.class, classOf(r.Kind)), append(c.kind, string(r.Kind))
		c.writer, c.seq, c.at = append(c.writer, e.Writer), append(c.seq, int64(e.Seq)), append(c.at, r.Time.UnixMicro())
		c.exchange = append(c.exchange, ship.Column(r.Exchange))
		c.user, c.team = append(c.user, ship.Column(r.Principal.User)), append(c.team, ship.Column(r.Principal.Team))
		c.app, c.model = append(c.app, ship.Column(r.Principal.App)), append(c.model, ship.Column(r.Model))
		action := ""
		if r.Verdict != nil {
			action = ship.Column(string(r.Verdict.Action))
		}
		c.action, c.reason = append(c.action, action), append(c.reason, ship.Column(string(r.Reason)))
		task, intent := judgementOf(r)
		c.task, c.intent = append(c.task, task), append(c.intent, intent)
		c.explanation = append(c.explanation, audit.ExplanationID(audit.Explanation(r)))
		c.leaf, c.record = append(c.leaf, e.Leaf[:]), append(c.record, e.Canonical)
	}
	return c
}

// described has the server say the types of a statement first, so that values are sent as they are and not as text: a
// record's bytes would be twice as many. It is one round trip more, for an unnamed statement within one transaction, which
// poolers allow.
const described = pgx.QueryExecModeDescribeExec

// insert adds the records that are not there, and says which those are.
func insert(ctx context.Context, tx pgx.Tx, c *columns) (map[key]struct{}, error) {
	const statement = `INSERT INTO plumbline_audit.records
			(class, recorded_at, writer, seq, leaf, kind, exchange, "user", team, app, action, reason, model, record, task, intent, explanation)
		SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::bytea[], $6::text[], $7::text[], $8::text[],
			$9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::bytea[], $15::text[], $16::text[], $17::bigint[])
		ON CONFLICT DO NOTHING RETURNING writer, seq, recorded_at, class`
	rows, err := tx.Query(ctx, statement, described, c.class, c.at, c.writer, c.seq, c.leaf, c.kind, c.exchange, c.user, c.team, c.app,
		c.action, c.reason, c.model, c.record, c.task, c.intent, c.explanation)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	fresh := make(map[key]struct{}, len(c.seq))
	for rows.Next() {
		var k key
		if err := rows.Scan(&k.writer, &k.seq, &k.at, &k.class); err != nil {
			return nil, err
		}
		fresh[k] = struct{}{}
	}
	return fresh, rows.Err()
}

// leaves gives the hashes of the records that are stored under the keys of entries.
func leaves(ctx context.Context, tx pgx.Tx, entries []audit.Shipment) (map[key][]byte, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	c := columnsOf(entries)
	const query = `SELECT r.writer, r.seq, r.recorded_at, r.class, r.leaf FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[]) AS e (at, writer, seq, class)
		JOIN plumbline_audit.records AS r ON (r.recorded_at, r.writer, r.seq, r.class) = (e.at, e.writer, e.seq, e.class)`
	rows, err := tx.Query(ctx, query, described, c.at, c.writer, c.seq, c.class)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := make(map[key][]byte, len(entries))
	for rows.Next() {
		var (
			k    key
			leaf []byte
		)
		if err := rows.Scan(&k.writer, &k.seq, &k.at, &k.class, &leaf); err != nil {
			return nil, err
		}
		found[k] = leaf
	}
	return found, rows.Err()
}

// count adds to the counts of writers, in the order of their names.
func count(ctx context.Context, tx pgx.Tx, tallies map[string]tally) error {
	const statement = `INSERT INTO plumbline_audit.writers AS w (name, records, dead, last) VALUES ($1, $2::bigint, $3::bigint, $4::bigint)
		ON CONFLICT (name) DO UPDATE SET records = w.records + excluded.records, dead = w.dead + excluded.dead,
			last = greatest(w.last, excluded.last)`
	for _, name := range slices.Sorted(maps.Keys(tallies)) {
		t := tallies[name]
		if _, err := tx.Exec(ctx, statement, name, t.records, t.dead, t.last); err != nil {
			return err
		}
	}
	return nil
}
