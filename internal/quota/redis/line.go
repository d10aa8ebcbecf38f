package redis

import (
	"crypto/sha256"
	"encoding/base64"
	"math"
	"strconv"
	"time"

	"github.com/plumbline/plumbline/internal/quota"
)

// line is the part of a reservation under one limit.
type line struct {
	limit   *quota.Limit
	counter string // the name of its counter within the epoch
	start   int64  // of the calendar window, Unix seconds; 0 for others
	end     time.Time
}

// lines gives what a call counts under.
func lines(matches []quota.Match) []line {
	all := make([]line, len(matches))
	for i, m := range matches {
		all[i] = line{limit: m.Limit, counter: nameOf(m.Key), start: m.Key.Start, end: m.End}
	}
	return all
}

// nameOf names a counter in Redis: by a digest, so that names are short and tell nobody who used what. 128 bits keep
// those apart who choose their own names.
func nameOf(k quota.CounterKey) string {
	var room [256]byte
	b := append(room[:0], k.Limit...)
	b = append(append(b, 0), k.Subject...)
	b = strconv.AppendInt(append(b, 0), k.Start, 10)
	sum := sha256.Sum256(b)
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// The codes of dimensions and windows in lua/.
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
	codeCalendar = iota
	codeMinute
	codeNone
)

func windowCode(w quota.Window) int64 {
	switch w {
	case quota.WindowMinute:
		return codeMinute
	case quota.WindowNone:
		return codeNone
	default:
		return codeCalendar
	}
}

// lineFields is how many numbers a script is given of each line.
const lineFields = 4

func packLines(b []byte, all []line) []byte {
	b = packArray(b, lineFields*len(all))
	for i := range all {
		ln := &all[i]
		value, end := int64(-1), int64(0)
		if ln.limit.Hard() {
			value = ln.limit.Value
		}
		if !ln.end.IsZero() {
			end = ln.end.UnixMicro()
		}
		b = packInt(packInt(packInt(packInt(b,
			dimensionCode(ln.limit.Dimension)), windowCode(ln.limit.Window)), value), end)
	}
	return b
}

// linesFrom makes lines of what a record keeps of them: enough to count and to refuse by.
func linesFrom(names []name, fields []int64) ([]line, bool) {
	if len(fields) != lineFields*len(names) {
		return nil, false
	}
	all := make([]line, len(names))
	for i, n := range names {
		f := fields[lineFields*i:]
		ln := line{counter: n.counter, limit: &quota.Limit{ID: n.limit, Value: f[2]}}
		if d := f[0]; d >= 1 && d <= int64(len(dimensions)) {
			ln.limit.Dimension = dimensions[d-1]
		}
		if f[2] < 0 {
			ln.limit.Value, ln.limit.Enforcement = 0, quota.EnforceObserve
		}
		switch f[1] {
		case codeMinute:
			ln.limit.Window = quota.WindowMinute
		case codeNone:
			ln.limit.Window = quota.WindowNone
		default:
			ln.end = time.UnixMicro(f[3]).UTC()
		}
		all[i] = ln
	}
	return all, true
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
func within(all []line) (from, to int64) {
	to = math.MaxInt64 >> 10 // a double keeps it
	for i := range all {
		if all[i].end.IsZero() {
			continue
		}
		from, to = max(from, all[i].start*1e6), min(to, all[i].end.UnixMicro())
	}
	return from, to
}
