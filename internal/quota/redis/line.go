package redis

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"time"

	"github.com/plumbline/plumbline/internal/quota"
)

// line is the part of a reservation under one limit.
type line struct {
	limit *quota.Limit
	name  int64 // of its counter in the account
	start int64 // of the calendar window, Unix seconds; 0 for others
	end   time.Time
	place int // in the order of the limits
}

// bill is all that a call counts under, those of one account side by side.
type bill struct {
	lines    []line
	accounts []string // their names
	counts   []int    // how many lines each has
}

// billOf puts what a call counts under by account: a user, a team, an app and everyone are at most four.
func billOf(matches []quota.Match) *bill {
	b := &bill{lines: make([]line, 0, len(matches)), accounts: make([]string, 0, 4), counts: make([]int, 0, 4)}
	for first := range matches {
		subject := matches[first].Key.Subject
		if seen(matches[:first], subject) {
			continue
		}
		before := len(b.lines)
		for i := first; i < len(matches); i++ {
			if m := &matches[i]; m.Key.Subject == subject {
				b.lines = append(b.lines, line{
					limit: m.Limit, name: counterName(m.Key.Limit), start: m.Key.Start, end: m.End, place: i,
				})
			}
		}
		b.accounts, b.counts = append(b.accounts, accountName(subject)), append(b.counts, len(b.lines)-before)
	}
	return b
}

func seen(matches []quota.Match, subject string) bool {
	for i := range matches {
		if matches[i].Key.Subject == subject {
			return true
		}
	}
	return false
}

// accountName names an account by a digest of whom it is for, so that names are short and tell nobody who used what. 128
// bits keep those apart who choose their own ids. A team and a user of one id share an account, and no counter in it.
func accountName(subject string) string {
	var room [64]byte
	sum := sha256.Sum256(append(room[:0], subject...))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// accountNameLength is how long such a name is: 16 bytes in base64.
var accountNameLength = base64.RawURLEncoding.EncodedLen(16)

// counterName names what is counted by a digest of 52 bits, which a double keeps. Admins choose what it is made of, and
// there are as many as limits: of a thousand, two are alike once in ten billion sets.
func counterName(limit string) int64 {
	var room [192]byte
	sum := sha256.Sum256(append(room[:0], limit...))
	return int64(binary.BigEndian.Uint64(sum[:8]) >> 12) //nolint:gosec // 52 bits
}

// The codes of dimensions and of ends in lua/.
func dimensionCode(d quota.Dimension) int64 {
	for i, known := range dimensions {
		if d == known {
			return int64(i) + 1
		}
	}
	return 0
}

var dimensions = [...]quota.Dimension{
	quota.DimensionRequests, quota.DimensionInputTokens, quota.DimensionOutputTokens, quota.DimensionTokens,
	quota.DimensionCost, quota.DimensionConcurrency,
}

const (
	endNone   = 0
	endMinute = 1
)

func endCode(w quota.Window, end time.Time) int64 {
	switch w {
	case quota.WindowMinute:
		return endMinute
	case quota.WindowNone:
		return endNone
	default:
		return end.UnixMicro()
	}
}

// pack gives the lines as scripts take them (lua/prelude.lua).
func (b *bill) pack() []byte {
	p := make([]byte, 0, 8*(len(b.counts)+4*len(b.lines)))
	for _, n := range b.counts {
		p = packInt(p, int64(n))
	}
	for i := range b.lines {
		ln := &b.lines[i]
		p = packInts(p, dimensionCode(ln.limit.Dimension), endCode(ln.limit.Window, ln.end), ln.name)
	}
	for i := range b.lines {
		value := int64(-1)
		if l := b.lines[i].limit; l.Hard() {
			value = l.Value
		}
		p = packInt(p, value)
	}
	return p
}

// packNames gives what the record of a reservation keeps of a bill for those who do not know it, beside the lines: the names
// of the accounts, then of each line its place and the length of its limit's id and the id.
func (b *bill) packNames() []byte {
	p := make([]byte, 0, 32*len(b.accounts)+16*len(b.lines))
	for _, a := range b.accounts {
		p = append(p, a...)
	}
	for i := range b.lines {
		p = binary.AppendUvarint(p, uint64(b.lines[i].place)) //nolint:gosec // below maxLines
		p = binary.AppendUvarint(p, uint64(len(b.lines[i].limit.ID)))
		p = append(p, b.lines[i].limit.ID...)
	}
	return p
}

var errNames = errors.New("quota/redis: a reservation's lines cannot be read")

// readBill reads what packNames and pack wrote: enough to count and to refuse by. All of the names must be used.
func readBill(names, lines string) (*bill, error) {
	b, n := &bill{}, numbers{text: lines}
	for sum := 0; n.left() != 4*sum; {
		count := n.next()
		if n.short || count < 1 || count > int64(n.left()) || len(names) < accountNameLength ||
			strings.ContainsFunc(names[:accountNameLength], notBase64) {
			return nil, errNames
		}
		b.accounts, names = append(b.accounts, names[:accountNameLength]), names[accountNameLength:]
		b.counts, sum = append(b.counts, int(count)), sum+int(count)
	}
	b.lines = make([]line, n.left()/4)
	for i := range b.lines {
		b.lines[i].limit = &quota.Limit{}
		if !b.lines[i].read(&n) || !b.lines[i].readName(&names, len(b.lines)) {
			return nil, errNames
		}
	}
	for i := range b.lines {
		l := b.lines[i].limit
		if l.Value = n.next(); l.Value < 0 {
			l.Value, l.Enforcement = 0, quota.EnforceObserve
		}
	}
	if n.short || names != "" {
		return nil, errNames
	}
	return b, nil
}

// read reads the dimension, the end and the name of the counter.
func (ln *line) read(n *numbers) bool {
	d, end := n.next(), n.next()
	ln.name = n.next()
	if n.short || d < 1 || d > int64(len(dimensions)) {
		return false
	}
	ln.limit.Dimension = dimensions[d-1]
	switch end {
	case endMinute:
		ln.limit.Window = quota.WindowMinute
	case endNone:
		ln.limit.Window = quota.WindowNone
	default:
		ln.end = time.UnixMicro(end).UTC()
	}
	return true
}

// readName reads the place, of which there are n, and the limit's id.
func (ln *line) readName(names *string, n int) bool {
	place, ok := uvarint(names)
	length, ok2 := uvarint(names)
	if !ok || !ok2 || place >= uint64(n) || length > uint64(len(*names)) { //nolint:gosec // n is a length
		return false
	}
	ln.place, ln.limit.ID = int(place), (*names)[:length] //nolint:gosec // below n
	*names = (*names)[length:]
	return true
}

func uvarint(s *string) (uint64, bool) {
	v, read := binary.Uvarint([]byte((*s)[:min(len(*s), binary.MaxVarintLen64)]))
	if read <= 0 {
		return 0, false
	}
	*s = (*s)[read:]
	return v, true
}

func notBase64(r rune) bool {
	return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
}

// know puts the limits of another bill in place of those that were read, where both count the same.
func (b *bill) know(other *bill) {
	type key struct {
		account string
		name    int64
		end     int64
	}
	known := map[key]*line{}
	other.each(func(account string, ln *line) { known[key{account, ln.name, ln.end.UnixMicro()}] = ln })
	b.each(func(account string, ln *line) {
		if own := known[key{account, ln.name, ln.end.UnixMicro()}]; own != nil {
			ln.limit, ln.start, ln.end = own.limit, own.start, own.end
		}
	})
}

// each calls do for each line with the name of its account.
func (b *bill) each(do func(account string, ln *line)) {
	next := 0
	for i, account := range b.accounts {
		for range b.counts[i] {
			do(account, &b.lines[next])
			next++
		}
	}
}

// standing gives the limit as a script found it. Leaves is the bucket of the sliding minute whose end is the reset, 0 if
// nothing is used.
func (ln *line) standing(used, posted, leaves int64) quota.Standing {
	s := quota.Standing{Limit: ln.limit, Used: used, Posted: posted, Reset: ln.end}
	if ln.start != 0 {
		s.Since = time.Unix(ln.start, 0).UTC()
	}
	if ln.limit.Window == quota.WindowMinute && leaves != 0 {
		s.Reset = quota.BucketLeaves(leaves)
	}
	return s
}

// within gives the times, in microseconds, for which all windows are those of the lines.
func (b *bill) within() (from, to int64) {
	to = math.MaxInt64 >> 10 // a double keeps it
	for i := range b.lines {
		if ln := &b.lines[i]; !ln.end.IsZero() {
			from, to = max(from, ln.start*1e6), min(to, ln.end.UnixMicro())
		}
	}
	return from, to
}
