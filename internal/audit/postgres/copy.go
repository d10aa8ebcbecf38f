package postgres

import (
	"context"
	"encoding/binary"
	"io"

	"github.com/jackc/pgx/v5"
)

// copyStatement takes rows as columns.appendRow writes them.
const copyStatement = `COPY plumbline_audit.records (class, recorded_at, writer, seq, leaf, kind, exchange, "user", team, app, action, reason,
	model, record, task, intent, explanation) FROM STDIN (FORMAT binary)`

// copyColumns is how many columns those are.
const copyColumns = 17

// copyIn adds records of which none is there yet: if one is, the transaction fails with a unique violation. The server writes
// a page of rows at a time and looks nothing up, which insert does for each.
func copyIn(ctx context.Context, tx pgx.Tx, c *columns) (map[key]struct{}, error) {
	if _, err := tx.Conn().PgConn().CopyFrom(ctx, &rows{c: c}, copyStatement); err != nil {
		return nil, err
	}
	fresh := make(map[key]struct{}, len(c.seq))
	for i := range c.seq {
		fresh[key{id{c.writer[i], c.seq[i]}, c.at[i], c.class[i]}] = struct{}{}
	}
	return fresh, nil
}

// rows reads as the binary format of COPY, row by row, so that no batch is in memory once more. It reads to its end once.
// Source of the format: https://www.postgresql.org/docs/15/sql-copy.html#id-1.9.3.55.9.4
type rows struct {
	c    *columns
	next int    // the row that comes next; one beyond the last after the end was written
	row  []byte // room for one
	left []byte // what of it was not read yet
}

func (r *rows) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if len(r.left) == 0 && !r.write() {
			return n, io.EOF
		}
		read := copy(p[n:], r.left)
		n, r.left = n+read, r.left[read:]
	}
	return n, nil
}

// write writes the next row, with the header before the first and the trailer after the last, and reports whether there was
// anything to write.
func (r *rows) write() bool {
	last := len(r.c.seq)
	if r.next > last {
		return false
	}
	b := r.row[:0]
	if r.next == 0 {
		const flags, extension = "\x00\x00\x00\x00", "\x00\x00\x00\x00"
		b = append(b, "PGCOPY\n\xff\r\n\x00"+flags+extension...)
	}
	if r.next < last {
		b = r.c.appendRow(b, r.next)
	} else {
		b = append(b, 0xff, 0xff) // no number of columns: the end
	}
	r.next++
	r.row, r.left = b, b
	return true
}

// appendRow appends a row in the binary format of COPY, its columns in the order of copyStatement.
func (c *columns) appendRow(b []byte, i int) []byte {
	b = binary.BigEndian.AppendUint16(b, copyColumns)
	b = appendBytes(b, c.class[i])
	b = appendNumber(b, c.at[i])
	b = appendBytes(b, c.writer[i])
	b = appendNumber(b, c.seq[i])
	b = appendBytes(b, c.leaf[i])
	for _, text := range [...]string{c.kind[i], c.exchange[i], c.user[i], c.team[i], c.app[i], c.action[i], c.reason[i], c.model[i]} {
		b = appendBytes(b, text)
	}
	b = appendBytes(b, c.record[i])
	b = appendBytes(b, c.task[i])
	b = appendBytes(b, c.intent[i])
	return appendNumber(b, c.explanation[i])
}

// appendBytes appends a text or bytea.
func appendBytes[T string | []byte](b []byte, v T) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...)
}

// appendNumber appends a bigint.
func appendNumber(b []byte, v int64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(b, 8), uint64(v))
}
