package audit

import (
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/plumbline/plumbline/internal/core"
)

// maxRecord bounds a record's canonical bytes. Records hold no prompts: one of this size is a mistake.
const maxRecord = 4 << 20

// Position is a record's place in the order in which records became durable.
type Position int64

// Entry is a record as the log keeps it.
type Entry struct {
	Position  Position
	Writer    string   // names one start of one process
	Seq       uint64   // 1, 2, 3, … per writer, without gaps
	Leaf      [32]byte // see LeafHash
	Canonical []byte   // see Canonical
	Record    core.Record
}

// LeafHash is the hash of a record as a leaf of a Merkle tree (RFC 6962 section 2.1): SHA-256 of a zero byte and the
// leaf's data, here the writer's name, the number in decimal and the canonical bytes, parted by line feeds. A name holds
// no line feed, so no two entries have the same data.
func LeafHash(canonical []byte, writer string, seq uint64) [32]byte {
	h := sha256.New()
	head := make([]byte, 0, 64)
	head = append(head, 0)
	head = append(head, writer...)
	head = append(head, '\n')
	head = strconv.AppendUint(head, seq, 10)
	head = append(head, '\n')
	h.Write(head)
	h.Write(canonical)
	return [32]byte(h.Sum(nil))
}

// row is a record with the columns that stand beside it.
type row struct {
	columns
	canonical []byte
}

// columns are what is searched and summed. They are comparable.
type columns struct {
	time     int64 // microseconds since 1970
	kind     core.RecordKind
	exchange string
	user     string
	team     string
	app      string
	action   string
	reason   string
	model    string
	settled  [5]sql.NullInt64 // admitted, requests, input and output tokens, cost: of outcomes
}

// encode prepares a record for the log. It runs in the caller's goroutine, so that the writer only writes.
func encode(r core.Record) (row, error) {
	switch r.Kind {
	case core.RecordIntent, core.RecordOutcome, core.RecordDeny:
		if r.Exchange == "" {
			return row{}, fmt.Errorf("audit: a record of kind %s names no exchange", r.Kind)
		}
	case core.RecordRefusals, core.RecordAdmin:
	default:
		return row{}, errors.New("audit: a record of no known kind")
	}
	canonical, err := Canonical(r)
	if err != nil {
		return row{}, err
	}
	if len(canonical) > maxRecord {
		return row{}, fmt.Errorf("audit: a record of %d bytes is larger than %d", len(canonical), maxRecord)
	}
	return row{columnsOf(r), canonical}, nil
}

func columnsOf(r core.Record) columns {
	out := columns{
		time:     r.Time.UnixMicro(),
		kind:     r.Kind,
		exchange: text(r.Exchange),
		user:     text(r.Principal.User),
		team:     text(r.Principal.Team),
		app:      text(r.Principal.App),
		reason:   text(string(r.Reason)),
		model:    text(r.Model),
	}
	if r.Verdict != nil {
		out.action = text(string(r.Verdict.Action))
	}
	if c := r.Settled; c != nil && r.Kind == core.RecordOutcome {
		for i, v := range [...]int64{c.Admitted.UnixMicro(), c.Requests, c.InputTokens, c.OutputTokens, int64(c.Cost)} {
			out.settled[i] = sql.NullInt64{Int64: v, Valid: true}
		}
	}
	return out
}

// text is s as JSON keeps it, so that a column equals the record's field.
func text(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string([]rune(s))
}

// appendArgs appends the values of one row of the insert statement, in its order.
func (r *row) appendArgs(args []any, position Position, writer int64, seq uint64, leaf []byte) []any {
	args = append(args, int64(position), writer, int64(seq), leaf, r.time, string(r.kind), r.exchange, r.user, r.team, r.app,
		r.action, r.reason, r.model)
	for _, v := range r.settled {
		if v.Valid {
			args = append(args, v.Int64)
		} else {
			args = append(args, nil)
		}
	}
	return append(args, r.canonical)
}

// insert is the statement that writes some entries. See row.appendArgs.
func insert(rows int) string {
	const values = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
	return `INSERT INTO entries (id, writer, seq, leaf, time, kind, exchange, user, team, app, action, reason, model,
		admitted, requests, input_tokens, output_tokens, cost, record) VALUES ` + strings.Repeat(values+", ", rows-1) + values
}
