// Package export writes recorded facts to a file for others: CSV or NDJSON, record by record, and a manifest that says what
// the file holds and can be signed.
//
// Contract: memory does not grow with the number of records. Only the members that are listed here leave: what is sealed
// never does, nor does a member that is added to records until somebody lists it. Nothing in a CSV is a formula.
//
// The package imports core and audit only.
package export

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/plumbline/plumbline/internal/audit"
)

// Format is the form of a file.
type Format string

// The formats: CSV is RFC 4180 with a header, NDJSON an object on each line.
const (
	CSV    Format = "csv"
	NDJSON Format = "ndjson"
)

// Source is where records are read. See read.Reader, whose method it is.
type Source interface {
	Walk(ctx context.Context, q audit.Query, fn func(audit.Raw) error) error
}

// Options say what to export. Format and To are required.
type Options struct {
	Format Format
	// Query chooses the records; its Limit and After do not count.
	Query audit.Query
	To    io.Writer
	// Signer signs the manifest; nil leaves it unsigned.
	Signer note.Signer
	// Progress, if set, is called now and then with how many records were written.
	Progress func(records int64)
	Now      func() time.Time // time.Now if nil
}

// ErrNotAsWritten is returned for a record whose hash is not its own: nothing is signed for it.
var ErrNotAsWritten = errors.New("its hash is not that of its record, so that it was changed: plumbline audit verify says more")

// progressEvery is how many records pass between two calls of Progress.
const progressEvery = 10_000

// Write exports the records that match, oldest first, and gives the manifest of what it wrote, as it is kept beside the file.
func Write(ctx context.Context, from Source, o Options) (m Manifest, text []byte, err error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	query, err := describe(&o.Query)
	if err != nil {
		return Manifest{}, nil, err
	}
	m = Manifest{Format: o.Format, Made: o.Now().UTC().Truncate(time.Second), Query: query, writers: map[string]*Numbers{}}
	sum := &summed{hash: sha256.New()}
	buffered := bufio.NewWriterSize(io.MultiWriter(o.To, sum), 64<<10)
	encode, err := encoder(o.Format, buffered)
	if err != nil {
		return Manifest{}, nil, err
	}
	err = from.Walk(ctx, o.Query, func(raw audit.Raw) error {
		if audit.LeafHash(raw.Canonical, raw.Writer, raw.Seq) != raw.Leaf {
			return fmt.Errorf("number %d of writer %s: %w", raw.Seq, raw.Writer, ErrNotAsWritten)
		}
		rec, err := audit.Decode(raw.Canonical)
		if err != nil {
			return fmt.Errorf("number %d of writer %s: %w", raw.Seq, raw.Writer, err)
		}
		m.count(raw.Writer, raw.Seq)
		if o.Progress != nil && m.Records%progressEvery == 0 {
			o.Progress(m.Records)
		}
		return encode(&raw, &rec)
	})
	if err == nil {
		err = buffered.Flush()
	}
	if err != nil {
		return Manifest{}, nil, fmt.Errorf("export: %w", err)
	}
	m.Bytes, m.SHA256 = sum.bytes, [sha256.Size]byte(sum.hash.Sum(nil))
	text, err = m.sign(o.Signer)
	return m, text, err
}

// encoder gives what writes one record.
func encoder(f Format, to io.Writer) (func(*audit.Raw, *record) error, error) {
	switch f {
	case CSV:
		return newCSV(to)
	case NDJSON:
		return newNDJSON(to), nil
	}
	return nil, fmt.Errorf("export: there is no format %q: there are csv and ndjson", string(f))
}

// summed sums what is written to it.
type summed struct {
	hash  hash.Hash
	bytes int64
}

func (s *summed) Write(p []byte) (int, error) {
	s.bytes += int64(len(p))
	return s.hash.Write(p)
}

// describe is a query as the manifest shows it: one line.
func describe(q *audit.Query) (string, error) {
	if err := q.Check(); err != nil {
		return "", err
	}
	text, err := json.Marshal(struct {
		Exchange string    `json:"exchange,omitempty"`
		User     string    `json:"user,omitempty"`
		Team     string    `json:"team,omitempty"`
		App      string    `json:"app,omitempty"`
		Model    string    `json:"model,omitempty"`
		Task     string    `json:"task,omitempty"`
		Intent   string    `json:"intent,omitempty"`
		Kind     string    `json:"kind,omitempty"`
		Action   string    `json:"action,omitempty"`
		Reason   string    `json:"reason,omitempty"`
		Text     string    `json:"text,omitempty"`
		Since    time.Time `json:"since,omitzero"`
		Until    time.Time `json:"until,omitzero"`
	}{
		q.Exchange, q.User, q.Team, q.App, q.Model, q.Task, q.Intent, string(q.Kind), string(q.Action), string(q.Reason), q.Text,
		q.Since.UTC(), q.Until.UTC(),
	})
	if err != nil {
		return "", errors.Join(errors.New("export: the query cannot be written down"), err)
	}
	return string(text), nil
}
