package redis

import (
	"time"

	"github.com/plumbline/plumbline/internal/quota"
)

// account is the value of one, as scripts keep it (lua/prelude.lua): two numbers, five of each counter, then the rings of
// sliding minutes. The empty one counts nothing.
type account string

const (
	accountHead  = 2
	counterWidth = 5
	bucketWidth  = 2 // numbers of one in a ring
	ringLengths  = 16
)

// counter is what an account has of one.
type counter struct {
	window          int64
	posted, pending int64
	ring            string
}

// counters gives how many there are and where the rings begin; false for what is no account.
func (a account) counters() (n, rings int, ok bool) {
	if a == "" {
		return 0, 0, true
	}
	head := numbers{text: string(a)}
	head.skip(1)
	count := head.next()
	if head.short || count < 0 || count > int64(len(a)) {
		return 0, 0, false
	}
	rings = 8 * (accountHead + counterWidth*int(count))
	return int(count), rings, len(a) >= rings
}

// find gives the counter of a line, an empty one if there is none; false for what is no account.
func (a account) find(ln *line) (counter, bool) {
	n, at, ok := a.counters()
	if !ok {
		return counter{}, false
	}
	end := endCode(ln.limit.Window, ln.end)
	for i := range n {
		read := numbers{text: string(a[8*(accountHead+counterWidth*i):])}
		name, window, ring := read.next(), read.next(), read.next()
		if read.short || ring < 0 {
			return counter{}, false
		}
		length := 8 * bucketWidth * int(ring%ringLengths)
		if len(a) < at+length {
			return counter{}, false
		}
		if name == ln.name && (end == endMinute || window == end) {
			c := counter{window: window, posted: read.next(), pending: read.next(), ring: string(a[at : at+length])}
			return c, !read.short
		}
		at += length
	}
	return counter{}, true
}

// cutAccount splits accounts that stand one behind the other after the first.
func cutAccount(text string) (first, rest string, ok bool) {
	n, end, ok := account(text).counters()
	for i := 0; ok && i < n; i++ {
		read := numbers{text: text[8*(accountHead+counterWidth*i):]}
		read.skip(2)
		ring := read.next()
		end += 8 * bucketWidth * int(max(ring, 0)%ringLengths)
	}
	if !ok || len(text) < end {
		return "", "", false
	}
	return text[:end], text[end:], true
}

// slide counts the buckets that are in the minute at a time, and gives the one with which at least need of them will have
// left, 0 if nothing is used.
func (c *counter) slide(now time.Time, need int64) (leaves int64) {
	older := numbers{text: c.ring}
	b := c.window - int64(older.left()/bucketWidth)
	oldest := max(c.window, quota.Bucket(now)) - quota.Buckets + 1
	posted, pending := c.posted, c.pending // what is left for the newest
	c.posted, c.pending = 0, 0
	for ; b <= c.window; b++ {
		p, q := max(0, posted), max(0, pending)
		if b < c.window {
			p, q = older.next(), older.next()
			posted, pending = posted-p, pending-q
		}
		if b < oldest {
			continue
		}
		if p+q > 0 && c.posted+c.pending < need {
			leaves = b
		}
		c.posted, c.pending = c.posted+p, c.pending+q
	}
	return leaves
}

// standing gives how the limit of a line stands in an account at a time; false for what is no account. For a call that wants
// more than is left, the reset of a minute is when enough of it will have left.
func (a account) standing(ln *line, now time.Time, wanted int64) (quota.Standing, bool) {
	c, ok := a.find(ln)
	s := quota.Standing{Limit: ln.limit, Reset: ln.end}
	if ln.start != 0 {
		s.Since = time.Unix(ln.start, 0).UTC()
	}
	if ln.limit.Window == quota.WindowMinute {
		need := int64(1)
		if wanted > 0 {
			total := c
			total.slide(now, 1)
			need = total.posted + total.pending + wanted - ln.limit.Value
		}
		if leaves := c.slide(now, need); leaves != 0 {
			s.Reset = quota.BucketLeaves(leaves)
		}
	}
	s.Used, s.Posted = min(c.posted+c.pending, most), min(c.posted, most)
	return s, ok
}
