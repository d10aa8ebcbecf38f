package postgres

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/plumbline/plumbline/internal/audit/ship"
	"github.com/plumbline/plumbline/internal/core"
)

// explained are the texts that searches go by, as they are: see explanations. right are ids with the text that a record
// has and they name, as bytes in a row: most records have the same few.
type explained struct {
	table texts
	right map[string]struct{}
	key   []byte
}

// readTexts reads the first of the texts, of which there are few unless somebody added others; those are looked up.
func (w *walk) readTexts(ctx context.Context) error {
	w.texts = explained{table: texts{}, right: map[string]struct{}{}}
	// One that is longer than any is not read whole.
	rows, err := w.tx.Query(ctx, "SELECT id, left(reason, 1025), left(text, 1025) FROM plumbline_audit.explanations ORDER BY id LIMIT $1::bigint", maxKnown)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var (
			id int64
			e  explanation
		)
		if err := rows.Scan(&id, &e.reason, &e.text); err != nil {
			return err
		}
		w.texts.table[id] = e
	}
	return rows.Err()
}

// explains reports whether an id names the text that explains the record that was read last, 0 for none. Which number the
// text has does not matter: schema 4 gave others to the records that were there.
func (w *walk) explains(ctx context.Context, id int64) (bool, error) {
	want, t := w.said.explanation, &w.texts
	if len(want) == 0 {
		return id == 0, nil
	}
	reason := ""
	if r := w.said.record.Reason; r != core.ReasonNone {
		reason = string(r)
	}
	t.key = append(append(binary.BigEndian.AppendUint64(t.key[:0], uint64(id)), reason...), 0)
	t.key = append(t.key, want...)
	if _, ok := t.right[string(t.key)]; ok {
		return true, nil
	}
	have, err := w.text(ctx, id)
	if err != nil || id == 0 || have != (explanation{ship.Column(reason), string(want)}) {
		return false, err
	}
	if len(t.right) >= maxKnown {
		clear(t.right)
	}
	t.right[string(t.key)] = struct{}{}
	return true, nil
}

// text gives the text of an id; an empty one where there is none.
func (w *walk) text(ctx context.Context, id int64) (e explanation, err error) {
	if e, ok := w.texts.table[id]; ok {
		return e, nil
	}
	w.reading.Lock()
	defer w.reading.Unlock()
	err = w.tx.QueryRow(ctx, "SELECT left(reason, 1025), left(text, 1025) FROM plumbline_audit.explanations WHERE id = $1::bigint", id).Scan(&e.reason, &e.text)
	if errors.Is(err, pgx.ErrNoRows) {
		return explanation{}, nil
	}
	return e, err
}
