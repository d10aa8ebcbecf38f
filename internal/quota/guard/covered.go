package guard

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/plumbline/plumbline/internal/quota"
)

// covered says which charges of a book are in the counters of which limits. It stands beside the book's mark in the ledger,
// so that another process of the same book goes on where this one ended. The zero value covers nothing.
type covered struct {
	text    string // as it stands in the ledger, empty if it does not
	number  int64  // of the text: no two are the same
	unknown bool   // another may stand there, since an answer did not come
	limits  map[string]cover
}

// coveredText is the form of the text, in JSON.
type coveredText struct {
	Number int64            `json:"n"`
	Limits map[string]cover `json:"limits"`
}

// cover says which charges are in the counters of one limit. Those behind UpTo, or behind the book's mark while it is on, are
// in by themselves if their reservation was made under the limit, in one of its eras; and only those.
type cover struct {
	On   bool  `json:"on,omitempty"`
	UpTo int64 `json:"upto,omitempty"`
	// Eras are spans [from, to) of the ledger's clock, in microseconds; to is 0 for one that lasts. A limit that is on and has
	// none has been on since before any reservation that may still end.
	Eras []era `json:"eras,omitempty"`
}

type era [2]int64

// inPart begins the text between the first and the last of several postings.
const inPart = "part "

// nameOf names what a limit counts, in few bytes and without telling anybody's name.
func nameOf(counts string) string {
	sum := sha256.Sum256([]byte(counts))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// readCovered reads what next gave.
func readCovered(text string) (covered, error) {
	var t coveredText
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		return covered{}, fmt.Errorf("what stands beside the book's mark cannot be read: %w", err)
	}
	return covered{text: text, number: t.Number, limits: t.Limits}, nil
}

// next gives the text that is to follow, with other limits.
func (c *covered) next(limits map[string]cover) (string, error) {
	b, err := json.Marshal(coveredText{c.number + 1, limits})
	return string(b), err
}

// noted says that the text that next gave stands in the ledger.
func (c *covered) noted(text string, limits map[string]cover) {
	*c = covered{text: text, number: c.number + 1, limits: limits}
}

// counts reports whether a limit is on.
func (c *covered) counts(counts string) bool { return c.limits[nameOf(counts)].On }

// carries reports whether a reservation admitted at a time was made under the limit.
func (c cover) carries(admitted time.Time) bool {
	if len(c.Eras) == 0 {
		return c.On
	}
	at := admitted.UnixMicro()
	for _, e := range c.Eras {
		if at >= e[0] && (at < e[1] || e[1] == 0) {
			return true
		}
	}
	return false
}

// LateBefore reads the text beside a book's mark: charges behind the mark that were admitted before the time that it gives may
// be under some of the limits that count them, and not yet under others. It is zero if there are none. While limits begin it
// is the end of time.
func LateBefore(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if strings.HasPrefix(text, inPart) {
		return time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), nil
	}
	c, err := readCovered(text)
	return c.late(), err
}

// late is the time before which a reservation may have been made without a limit that is on; zero if there can be none.
func (c *covered) late() time.Time {
	var last int64
	for _, one := range c.limits {
		if one.On {
			for _, e := range one.Eras {
				last = max(last, e[0], e[1])
			}
		}
	}
	if last == 0 {
		return time.Time{}
	}
	return time.UnixMicro(last).UTC()
}

// changes reports whether other limits are on once a set is in force.
func (c *covered) changes(set *quota.LimitSet) bool {
	on := 0
	for _, one := range c.limits {
		if one.On {
			on++
		}
	}
	for counts := range set.Named() {
		if !c.counts(counts) {
			return true
		}
		on--
	}
	return on != 0
}

// turned gives the limits when those of a set come in force at a time, and only they. What is off and cannot matter to any
// window any more is left out.
func (c *covered) turned(set *quota.LimitSet, at time.Time, mark int64) map[string]cover {
	now, next := at.UnixMicro(), map[string]cover{}
	for counts := range set.Named() {
		one := c.limits[nameOf(counts)]
		if !one.On {
			one = cover{On: true, Eras: append(one.Eras[:len(one.Eras):len(one.Eras)], era{now, 0})}
		}
		next[nameOf(counts)] = one
	}
	for name, one := range c.limits {
		if _, stays := next[name]; stays {
			continue
		}
		if one.On {
			one = cover{UpTo: mark, Eras: ended(one.Eras, now)}
		}
		if n := len(one.Eras); n == 0 || one.Eras[n-1][1] > at.Add(-quota.LongestWindow).UnixMicro() {
			next[name] = one
		}
	}
	return next
}

// ended gives eras of which the last ends at a time.
func ended(eras []era, now int64) []era {
	if len(eras) == 0 {
		return []era{{0, now}}
	}
	last := len(eras) - 1
	return append(eras[:last:last], era{eras[last][0], now})
}
