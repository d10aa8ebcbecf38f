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

// counterName names what is counted by a digest of 51 bits below a set one, which a double keeps. Admins choose what it is
// made of, and there are as many as limits: of a thousand, two are alike in one of four billion sets.
func counterName(limit string) int64 {
	var room [192]byte
	sum := sha256.Sum256(append(room[:0], limit...))
	return int64(binary.BigEndian.Uint64(sum[:8])>>12 | 1<<51)
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

// How long accounts are kept after their counters end: what began in a calendar window may be settled after it.
const (
	linger = time.Hour
	// keepDays is for how many days concurrency is kept, which has no end: longer than any call.
	keepDays = 36
)

// needed gives until when a counter is needed, in microseconds. It moves by steps, so that most calls need not set a key's
// time to live.
func (ln *line) needed(now time.Time) int64 {
	switch ln.limit.Window {
	case quota.WindowMinute:
		return quota.BucketLeaves(quota.Bucket(now) + quota.Buckets).UnixMicro()
	case quota.WindowNone:
		return now.Truncate(24*time.Hour).AddDate(0, 0, keepDays).UnixMicro()
	default:
		return ln.end.Add(linger).UnixMicro()
	}
}

// pack gives the bill of a reservation as scripts take and keep it (lua/prelude.lua). Used is the progress so far.
func (b *bill) pack(now time.Time, held, used quota.Amounts, member string) []byte {
	names := b.packNames()
	p := make([]byte, 0, 8*(billHead+2*len(b.accounts)+4*len(b.lines))+len(names)+len(member))
	p = packAmounts(packAmounts(p, held, 1), used, 0)
	p = packInts(p, 0, 0, int64(len(b.accounts)), int64(len(b.lines)), int64(len(names)), int64(len(member)))
	next := 0
	for _, count := range b.counts {
		until := int64(0)
		for range count {
			until = max(until, b.lines[next].needed(now))
			next++
		}
		p = packInts(p, int64(count), until)
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
	return append(append(p, names...), member...)
}

// billHead is how many numbers of a bill come before those of its accounts.
const billHead = 18

// packAmounts gives what amounts come to in each dimension. Concurrent is what they count as in the last.
func packAmounts(b []byte, a quota.Amounts, concurrent int64) []byte {
	return packInts(b, a.Requests, a.InputTokens, a.OutputTokens, a.InputTokens+a.OutputTokens, int64(a.Cost), concurrent)
}

// packNames gives what a bill keeps for those who do not know it: the names of the accounts, then of each line its place and
// the length of its limit's id and the id.
func (b *bill) packNames() []byte {
	p := make([]byte, 0, 32*len(b.accounts)+16*len(b.lines))
	for _, a := range b.accounts {
		p = append(p, a...)
	}
	for i := range b.lines {
		p = binary.AppendUvarint(p, uint64(b.lines[i].place))
		p = binary.AppendUvarint(p, uint64(len(b.lines[i].limit.ID)))
		p = append(p, b.lines[i].limit.ID...)
	}
	return p
}

var errBill = errors.New("quota/redis: a reservation's lines cannot be read")

// readBill reads what pack wrote: enough to count and to refuse by.
func readBill(text string) (*bill, error) {
	n := numbers{text: text}
	n.skip(billHead - 4)
	accounts, lines, names, member := n.next(), n.next(), n.next(), n.next()
	left := int64(len(n.text))
	if n.short || accounts < 0 || lines < accounts || lines > left || names < 0 || member < 0 ||
		left != 8*(2*accounts+4*lines)+names+member {
		return nil, errBill
	}
	b := &bill{lines: make([]line, lines), accounts: make([]string, accounts), counts: make([]int, accounts)}
	if !b.read(&n) || !b.readNames(n.text[:names]) {
		return nil, errBill
	}
	return b, nil
}

// read reads the numbers of accounts and lines.
func (b *bill) read(n *numbers) bool {
	sum := 0
	for i := range b.counts {
		count := n.next()
		n.skip(1) // until when it is needed
		if count < 1 || count > int64(len(b.lines)) {
			return false
		}
		b.counts[i] = int(count)
		sum += int(count)
	}
	for i := range b.lines {
		b.lines[i].limit = &quota.Limit{}
		if !b.lines[i].read(n) {
			return false
		}
	}
	for i := range b.lines {
		l := b.lines[i].limit
		if l.Value = n.next(); l.Value < 0 {
			l.Value, l.Enforcement = 0, quota.EnforceObserve
		}
	}
	return sum == len(b.lines) && !n.short
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

// readNames reads what packNames wrote, all of it. Each line must have a place of its own.
func (b *bill) readNames(text string) bool {
	for i := range b.accounts {
		if len(text) < accountNameLength || strings.ContainsFunc(text[:accountNameLength], notBase64) {
			return false
		}
		b.accounts[i], text = text[:accountNameLength], text[accountNameLength:]
	}
	taken := make([]bool, len(b.lines))
	for i := range b.lines {
		place, ok := uvarint(&text)
		length, ok2 := uvarint(&text)
		if !ok || !ok2 || place >= uint64(len(taken)) || taken[place] || length > uint64(len(text)) {
			return false
		}
		taken[place] = true
		b.lines[i].place, b.lines[i].limit.ID = int(place), text[:length]
		text = text[length:]
	}
	return text == ""
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

// accountOf gives which account a line is counted in.
func (b *bill) accountOf(line int) int {
	for i, count := range b.counts {
		if line -= count; line < 0 {
			return i
		}
	}
	return len(b.accounts)
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
