package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Leaf is an entry as the tree of its writer knows it.
type Leaf struct {
	Position Position
	Writer   string
	Seq      uint64
	Hash     [32]byte
}

// Checkpoint is a signed checkpoint as the log keeps it. What it says is package chain's.
type Checkpoint struct {
	ID     int64 // the order in which they were signed; given by Fix
	Writer string
	Size   uint64 // how many of the writer's records it fixes
	Note   []byte // the signed text
	// Subtrees is the tree's state, of a writer's last checkpoint alone.
	Subtrees []byte
}

// Marks say how far the log's checkpoints got, each with the ID of the last one: Sent to the store that entries are shipped
// to, Published at the second place.
type Marks struct{ Sent, Published int64 }

// Leaves gives the entries after a position and up to another, at most limit. They are in the tables, and so on the disk: a
// checkpoint must not name what the loss of power may take from the journal.
func (l *Log) Leaves(ctx context.Context, after, upTo Position, limit int) ([]Leaf, error) {
	if entries, ok := l.recent.between(after, upTo, limit); ok {
		leaves := make([]Leaf, len(entries))
		for i := range entries {
			leaves[i] = entries[i].Leaf
		}
		return leaves, nil
	}
	return l.storedLeaves(ctx, after, upTo, limit)
}

func (l *Log) storedLeaves(ctx context.Context, after, upTo Position, limit int) ([]Leaf, error) {
	const query = `SELECT e.id, w.name, e.seq, e.leaf FROM entries AS e JOIN writers AS w ON w.id = e.writer
		WHERE e.id > ? AND e.id <= ? ORDER BY e.id LIMIT ?`
	rows, err := l.side.QueryContext(ctx, query, after, upTo, limit)
	if err != nil {
		return nil, fmt.Errorf("audit: reading leaves: %w", err)
	}
	defer rows.Close()
	var leaves []Leaf
	for rows.Next() {
		var (
			leaf Leaf
			hash sql.RawBytes
		)
		if err := rows.Scan(&leaf.Position, &leaf.Writer, &leaf.Seq, &hash); err != nil {
			return nil, fmt.Errorf("audit: reading leaves: %w", err)
		}
		if copy(leaf.Hash[:], hash) != len(leaf.Hash) || len(hash) != len(leaf.Hash) {
			return nil, fmt.Errorf("audit: entry %d has a leaf hash of %d bytes", leaf.Position, len(hash))
		}
		leaves = append(leaves, leaf)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("audit: reading leaves: %w", err)
	}
	return leaves, nil
}

// ShippedUpTo is the position up to which another store has the entries.
func (l *Log) ShippedUpTo() Position { return Position(l.shipped.Load()) }

// Fixed gives the position up to which checkpoints fix every entry, and how far they got.
func (l *Log) Fixed(ctx context.Context) (upTo Position, m Marks, err error) {
	const query = `SELECT (SELECT value FROM state WHERE name = 'fixed'), (SELECT value FROM state WHERE name = 'sent'),
		(SELECT value FROM state WHERE name = 'published')`
	if err := l.side.QueryRowContext(ctx, query).Scan(&upTo, &m.Sent, &m.Published); err != nil {
		return 0, m, fmt.Errorf("audit: reading the state of checkpoints: %w", err)
	}
	return upTo, m, nil
}

// LastCheckpoint gives the last checkpoint of a writer, with its tree; one of no records if there is none.
func (l *Log) LastCheckpoint(ctx context.Context, writer string) (Checkpoint, error) {
	c := Checkpoint{Writer: writer}
	const query = `SELECT c.id, c.size, c.note, t.subtrees FROM writers AS w JOIN trees AS t ON t.writer = w.id
		JOIN checkpoints AS c ON c.writer = w.id AND c.size = t.size WHERE w.name = ? ORDER BY c.id DESC LIMIT 1`
	err := l.side.QueryRowContext(ctx, query, writer).Scan(&c.ID, &c.Size, &c.Note, &c.Subtrees)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return c, fmt.Errorf("audit: reading the last checkpoint of writer %s: %w", writer, err)
	}
	return c, nil
}

// Begins gives the first number of a writer that is not let go of: 1, unless another store has what came before.
func (l *Log) Begins(ctx context.Context, writer string) (seq uint64, err error) {
	const query = "SELECT released + 1 FROM writers WHERE name = ?"
	if err := l.side.QueryRowContext(ctx, query, writer).Scan(&seq); err != nil {
		return 0, fmt.Errorf("audit: reading writer %s: %w", writer, err)
	}
	return seq, nil
}

// Fix keeps checkpoints, in the order in which they were signed, and notes that they and those before fix every entry up to
// a position. It is synced when Fix returns.
//
// With trim, checkpoints that both other places have are let go of, but for the last of each writer.
func (l *Log) Fix(ctx context.Context, signed []Checkpoint, upTo Position, m Marks, trim bool) error {
	err := l.do(ctx, func() error { return l.fix(context.WithoutCancel(ctx), signed, upTo, m, trim) })
	if err != nil {
		return fmt.Errorf("audit: keeping checkpoints: %w", err)
	}
	return nil
}

// fix runs the transaction. The mover runs it.
func (l *Log) fix(ctx context.Context, signed []Checkpoint, upTo Position, m Marks, trim bool) error {
	if _, err := l.begin.ExecContext(ctx); err != nil {
		return l.rollback(ctx, err)
	}
	for i := range signed {
		c := &signed[i]
		for _, statement := range []string{
			"INSERT INTO checkpoints (writer, size, note) SELECT id, @size, @note FROM writers WHERE name = @writer",
			`INSERT INTO trees SELECT id, @size, @subtrees FROM writers WHERE name = @writer
				ON CONFLICT DO UPDATE SET size = excluded.size, subtrees = excluded.subtrees`,
		} {
			_, err := l.conn.ExecContext(ctx, statement, sql.Named("writer", c.Writer), sql.Named("size", int64(c.Size)),
				sql.Named("note", c.Note), sql.Named("subtrees", c.Subtrees))
			if err != nil {
				return l.rollback(ctx, err)
			}
		}
	}
	statements := []string{
		`UPDATE state SET value = CASE name WHEN 'fixed' THEN @fixed WHEN 'sent' THEN @sent ELSE @published END
			WHERE name IN ('fixed', 'sent', 'published')`,
	}
	if trim {
		statements = append(statements, `DELETE FROM checkpoints WHERE id IN (SELECT c.id FROM checkpoints AS c JOIN trees AS t ON t.writer = c.writer
			WHERE c.id <= min(@sent, @published) AND c.size < t.size ORDER BY c.id LIMIT 1000)`)
	}
	for _, statement := range statements {
		_, err := l.conn.ExecContext(ctx, statement, sql.Named("fixed", upTo), sql.Named("sent", m.Sent), sql.Named("published", m.Published))
		if err != nil {
			return l.rollback(ctx, err)
		}
	}
	if _, err := l.commit.ExecContext(ctx); err != nil {
		return l.rollback(ctx, err)
	}
	l.dirty.Store(true)
	return nil
}

// Checkpoints gives the checkpoints after an ID and up to another, at most limit, without their trees.
func (l *Log) Checkpoints(ctx context.Context, after, upTo int64, limit int) ([]Checkpoint, error) {
	return checkpoints(ctx, l.side, after, upTo, limit)
}

// Checkpoints calls fn for each checkpoint of the log, in the order in which they were signed.
func (r *Reader) Checkpoints(ctx context.Context, fn func(Checkpoint) error) error {
	for after := int64(0); ; {
		page, err := checkpoints(ctx, r.db, after, 1<<62, maxLimit)
		if err != nil {
			return err
		}
		for _, c := range page {
			if err := fn(c); err != nil {
				return err
			}
			after = c.ID
		}
		if len(page) < maxLimit {
			return nil
		}
	}
}

func checkpoints(ctx context.Context, db *sql.DB, after, upTo int64, limit int) ([]Checkpoint, error) {
	const query = `SELECT c.id, coalesce(w.name, ''), c.size, c.note FROM checkpoints AS c LEFT JOIN writers AS w ON w.id = c.writer
		WHERE c.id > ? AND c.id <= ? ORDER BY c.id LIMIT ?`
	rows, err := db.QueryContext(ctx, query, after, upTo, limit)
	if err != nil {
		return nil, fmt.Errorf("audit: reading checkpoints: %w", err)
	}
	defer rows.Close()
	var page []Checkpoint
	for rows.Next() {
		var c Checkpoint
		if err := rows.Scan(&c.ID, &c.Writer, &c.Size, &c.Note); err != nil {
			return nil, fmt.Errorf("audit: reading checkpoints: %w", err)
		}
		page = append(page, c)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("audit: reading checkpoints: %w", err)
	}
	return page, nil
}
