package rollup

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
)

// The form of a file: the magic line, then, as varints, position, since, and for each subject its four names (length and
// bytes), the number of its rows and the rows; a row is its start less the one before it and its length, in grains, and its
// amounts. The leaf follows the magic line as it is; the SHA-256 of all before it ends the file.
const magic = "plumbline rollup 1\n"

// ErrForm is wrapped by the errors of Decode.
var ErrForm = errors.New("rollup: not a file of sums")

// maxSpan is longer than any span: the whole of what is kept.
const maxSpan = kept + 2*day

// Encode gives the Rollup's bytes. leaf is the hash of the record at its position: it tells one log from another, and from
// one that was put back from a copy.
func (r *Rollup) Encode(leaf [32]byte) []byte {
	b := append([]byte(magic), leaf[:]...)
	b = binary.AppendUvarint(b, uint64(r.position))
	b = binary.AppendVarint(b, r.since)
	for s, rows := range r.rows {
		for _, name := range [...]string{s.User, s.Team, s.App, s.Model} {
			b = binary.AppendUvarint(b, uint64(len(name)))
			b = append(b, name...)
		}
		b = binary.AppendUvarint(b, uint64(len(rows)))
		before := int64(0)
		for i := range rows {
			b = rows[i].append(b, before)
			before = rows[i].start
		}
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

func (r *row) append(b []byte, before int64) []byte {
	b = binary.AppendVarint(b, (r.start-before)/grain)
	b = binary.AppendUvarint(b, uint64((r.end-r.start)/grain))
	for _, v := range [...]int64{r.amounts.Requests, r.amounts.InputTokens, r.amounts.OutputTokens, int64(r.amounts.Cost)} {
		b = binary.AppendUvarint(b, uint64(v))
	}
	return b
}

// Decode reads what Encode gave. The Rollup sums as is right for now. Whatever the bytes are, it takes no more memory than a
// few times their length. Its errors wrap ErrForm.
func Decode(b []byte, now time.Time) (_ *Rollup, leaf [32]byte, err error) {
	body, leaf, err := open(b)
	if err != nil {
		return nil, leaf, err
	}
	d := &decoder{rest: body}
	r := New(now)
	r.position = d.count()
	r.since = max(r.since, d.number())
	for !d.failed && len(d.rest) > 0 {
		s := quota.Subject{User: d.text(), Team: d.text(), App: d.text(), Model: d.text()}
		rows := d.rows()
		if _, twice := r.rows[s]; twice {
			d.failed = true
		}
		r.rows[s] = rows
	}
	if d.failed || r.position == 0 {
		return nil, leaf, fmt.Errorf("%w: its sums cannot be read", ErrForm)
	}
	r.Compact(now)
	return r, leaf, nil
}

// open checks the frame of a file.
func open(b []byte) (body []byte, leaf [32]byte, err error) {
	body, ok := bytes.CutPrefix(b, []byte(magic))
	switch {
	case !ok && bytes.HasPrefix(b, []byte(magic[:len(magic)-2])):
		return nil, leaf, fmt.Errorf("%w of this version", ErrForm)
	case !ok:
		return nil, leaf, ErrForm
	case len(body) < len(leaf)+sha256.Size:
		return nil, leaf, fmt.Errorf("%w: it is cut short", ErrForm)
	}
	end := len(b) - sha256.Size
	if sum := sha256.Sum256(b[:end]); !bytes.Equal(sum[:], b[end:]) {
		return nil, leaf, fmt.Errorf("%w: it is damaged", ErrForm)
	}
	copy(leaf[:], body)
	return body[len(leaf) : len(body)-sha256.Size], leaf, nil
}

// decoder reads values until one cannot be read; from then on all are zero.
type decoder struct {
	rest   []byte
	failed bool
}

func (d *decoder) took(n int) {
	if n <= 0 {
		d.failed, d.rest = true, nil
		return
	}
	d.rest = d.rest[n:]
}

func (d *decoder) number() int64 {
	v, n := binary.Varint(d.rest)
	d.took(n)
	return v
}

// count is a number that is not negative.
func (d *decoder) count() int64 {
	v, n := binary.Uvarint(d.rest)
	d.took(n)
	if int64(v) < 0 {
		d.failed = true
		return 0
	}
	return int64(v)
}

func (d *decoder) text() string {
	n := d.count()
	if n > int64(len(d.rest)) {
		d.failed = true
		return ""
	}
	s := string(d.rest[:n])
	d.rest = d.rest[n:]
	return s
}

// leastRow is the fewest bytes that a row takes.
const leastRow = 6

func (d *decoder) rows() []row {
	n := d.count()
	if n == 0 || n > int64(len(d.rest))/leastRow {
		d.failed = true
		return nil
	}
	rows := make([]row, 0, n)
	start := int64(0)
	for range n {
		ahead, length := d.number(), d.count()
		if ahead < 0 && len(rows) > 0 || ahead < -farthest || ahead > farthest-start/grain || length == 0 || length > maxSpan/grain {
			d.failed = true
			return nil
		}
		start += ahead * grain
		rows = append(rows, row{span{start, start + length*grain}, d.amounts()})
	}
	return rows
}

// farthest bounds a start, in grains: far beyond any date, and far from an overflow.
const farthest = 1 << 40

func (d *decoder) amounts() quota.Amounts {
	a := quota.Amounts{Requests: d.count(), InputTokens: d.count(), OutputTokens: d.count(), Cost: core.MicroUSD(d.count())}
	d.failed = d.failed || a.Validate() != nil
	return a
}
