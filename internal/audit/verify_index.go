package audit

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"strconv"
)

// Indexes are held against the entries without looking one up in the other, which took longer than all else together: a
// sum of hashes is taken over what the entries say that an index must hold, while they are read in their order, and one
// over what it holds, read in its own. Where the two differ it is looked up, to name the first entry that is wrong.

// indexSums are of the indexes of exchanges, persons and charges, in the order of derived.
type indexSums [3]indexSum

// indexSum is of lines in any order. It differs for other lines but once in 2^64 times, whatever the lines are: the seed
// is made anew for each look.
type indexSum struct {
	lines int64
	sum   uint64
}

func (s *indexSum) add(seed maphash.Seed, line []byte) {
	s.lines++
	s.sum += maphash.Bytes(seed, line)
}

func (s *indexSums) join(other *indexSums) {
	for i := range s {
		s[i].lines += other[i].lines
		s[i].sum += other[i].sum
	}
}

// Fields of a line, and lines, are parted by what no text that was read without decoding holds. See Summarize.
const (
	fieldEnd = '\x1f'
	lineEnd  = '\x1e'
)

// indexCheck is one look at the indexes, as far as they went when it began: what is indexed later is looked up.
type indexCheck struct {
	r                 *Reader
	seed              maphash.Seed
	indexed, released Position
	entries           indexSums
	differ            bool // as the entries showed already
	cancel            context.CancelFunc
	read              chan indexRead
}

// indexRead is what the indexes hold.
type indexRead struct {
	sums indexSums
	// unclear: there are texts in them that no entry was found with. later: they hold entries that were indexed since.
	unclear, later bool
	err            error
}

// checkIndexes begins to read the indexes, beside the entries. stop must be called.
func (r *Reader) checkIndexes(ctx context.Context) (*indexCheck, error) {
	c := &indexCheck{r: r, seed: maphash.MakeSeed(), read: make(chan indexRead, 1)}
	const query = "SELECT (SELECT value FROM state WHERE name = 'indexed'), (SELECT value FROM state WHERE name = 'released')"
	if err := r.db.QueryRowContext(ctx, query).Scan(&c.indexed, &c.released); err != nil {
		return nil, fmt.Errorf("audit: verifying: %w", err)
	}
	ctx, c.cancel = context.WithCancel(ctx)
	go func() {
		defer close(c.read)
		var read indexRead
		for i := range derived {
			if read.err == nil && !read.unclear {
				read.err = c.readIndex(ctx, &derived[i], &read, &read.sums[i])
			}
		}
		c.read <- read
	}()
	return c, nil
}

// stop ends the reading.
func (c *indexCheck) stop() {
	c.cancel()
	for range c.read { // until it is closed
	}
}

// end compares the indexes with the entries, of which the last is given, and returns the first that is wrong in one of them as
// a *BadEntryError.
func (c *indexCheck) end(ctx context.Context, last Position) error {
	read := <-c.read
	if read.err != nil {
		return fmt.Errorf("audit: verifying: %w", read.err)
	}
	if c.differ || read.unclear || read.sums != c.entries {
		return c.lookUp(ctx, math.MinInt64, last, true)
	}
	if c.released > 0 { // what was kept of the entries that were let go of; the indexes keep more of those
		if err := c.lookUp(ctx, math.MinInt64, c.released, false); err != nil {
			return err
		}
	}
	return c.lookUp(ctx, c.indexed, last, read.later)
}

// lookUp looks the entries of a range up in the indexes and, with back, what they hold after its start among the entries.
func (c *indexCheck) lookUp(ctx context.Context, from, to Position, back bool) error {
	for start := from; ; {
		first, _, err := c.r.nextEntries(ctx, start)
		if err != nil {
			return fmt.Errorf("audit: verifying: %w", err)
		}
		if first == 0 || first > to {
			break
		}
		end := min(first-1+maxLimit, to)
		if err := c.r.find(ctx, indexGaps, sql.Named("from", first-1), sql.Named("to", end)); err != nil {
			return err
		}
		start = end
	}
	if !back {
		return nil
	}
	return c.r.find(ctx, indexSurplus, sql.Named("from", from))
}

// find returns the first entry with one of the problems as a *BadEntryError.
func (r *Reader) find(ctx context.Context, problems []indexProblem, args ...any) error {
	for _, p := range problems {
		var first sql.NullInt64
		if err := r.db.QueryRowContext(ctx, p.statement, args...).Scan(&first); err != nil {
			return fmt.Errorf("audit: verifying: %w", err)
		}
		if !first.Valid {
			continue
		}
		bad := &BadEntryError{Position: Position(first.Int64), Problem: p.problem}
		err := r.db.QueryRowContext(ctx, "SELECT w.name, e.seq FROM entries AS e JOIN writers AS w ON w.id = e.writer WHERE e.id = ?",
			first.Int64).Scan(&bad.Writer, &bad.Seq)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("audit: verifying: %w", err)
		}
		return bad
	}
	return nil
}

// indexer sums up what a page's entries say that the indexes must hold.
type indexer struct {
	check  *indexCheck
	sums   indexSums
	spans  []span // those that may hold the entries to come
	differ bool
	line   []byte
}

// add takes an entry, which must be after the ones before it.
func (x *indexer) add(position Position, s *Summary) {
	if position > x.check.indexed {
		return
	}
	if !s.plain() { // its lines could be those of several others
		x.differ = true
		return
	}
	charged := s.settles()
	x.checkTime(position, s, charged)
	if len(s.User) > 0 {
		x.sum(&x.sums[1], position, s.User)
	}
	if position <= x.check.released { // only persons are let go of with their entries
		return
	}
	if len(s.Exchange) > 0 {
		x.sum(&x.sums[0], position, s.Kind, s.Exchange)
	}
	if !charged {
		return
	}
	x.line = x.line[:0]
	for _, n := range s.settled {
		x.line = append(strconv.AppendInt(x.line, n, 10), fieldEnd)
	}
	x.sumAfter(&x.sums[2], position, s.Exchange, s.User, s.Team, s.App, s.Model)
}

func (x *indexer) sum(sum *indexSum, position Position, texts ...[]byte) {
	x.line = x.line[:0]
	x.sumAfter(sum, position, texts...)
}

// sumAfter adds the line that was begun, with texts and a position after it.
func (x *indexer) sumAfter(sum *indexSum, position Position, texts ...[]byte) {
	for _, text := range texts {
		x.line = append(append(x.line, text...), fieldEnd)
	}
	x.line = strconv.AppendInt(x.line, int64(position), 10)
	sum.add(x.check.seed, x.line)
}

// span is a row of the index of times.
type span struct {
	last, first      Position
	earliest, latest int64
	admitted         sql.NullInt64
}

func (x *indexer) checkTime(position Position, s *Summary, charged bool) {
	for len(x.spans) > 0 && x.spans[0].last < position {
		x.spans = x.spans[1:]
	}
	if len(x.spans) == 0 {
		x.differ = true
		return
	}
	v := &x.spans[0]
	held := v.first <= position && v.earliest <= s.Time && v.latest >= s.Time
	if !held || charged && (!v.admitted.Valid || v.admitted.Int64 < s.settled[0]) {
		x.differ = true
	}
}

// readSpans gives the rows of the index of times for the entries after a position and up to another.
func readSpans(ctx context.Context, tx *sql.Tx, from, to Position) ([]span, error) {
	const query = `SELECT last, first, earliest, latest, admitted FROM spans
		WHERE last > @from AND last <= coalesce((SELECT min(last) FROM spans WHERE last >= @to), @to) ORDER BY last`
	rows, err := tx.QueryContext(ctx, query, sql.Named("from", from), sql.Named("to", to))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var spans []span
	for rows.Next() {
		var v span
		if err := rows.Scan(&v.last, &v.first, &v.earliest, &v.latest, &v.admitted); err != nil {
			return nil, err
		}
		spans = append(spans, v)
	}
	return spans, rows.Err()
}

// derivedIndex is how an index is read: as lines, the number of the entry at their end.
type derivedIndex struct {
	fields int
	// columns, table, order and marks are those of its statement; order is its key, and first the least one.
	columns, table, order, marks string
	first                        []any
	key                          []int // which fields of a line are its key
	keepsReleased                bool  // it keeps what belongs to entries that were let go of
}

var derived = [...]derivedIndex{
	{
		fields: 3, columns: "kind, exchange, entry", table: "by_exchange", order: "exchange, kind", marks: "?, ?",
		first: []any{"", ""}, key: []int{1, 0}, keepsReleased: true,
	},
	{
		fields: 2, columns: "user, entry", table: "by_user", order: "user, entry", marks: "?, ?",
		first: []any{"", int64(math.MinInt64)}, key: []int{0, 1},
	},
	{
		fields: 11, columns: "admitted, requests, input_tokens, output_tokens, cost, exchange, user, team, app, model, entry",
		table: "charges", order: "entry", marks: "?",
		first: []any{int64(math.MinInt64)}, key: []int{10}, keepsReleased: true,
	},
}

// linesAtOnce is how many lines are read with one row: a row of its own for each takes the driver longer than the rest.
const linesAtOnce = 512

// statement reads the lines from a key on, or after it.
func (d *derivedIndex) statement(after string) string {
	return fmt.Sprintf(`SELECT count(*), group_concat(line, char(30)) FROM (SELECT concat_ws(char(31), %s) AS line
		FROM %s WHERE (%s) %s (%s) ORDER BY %s LIMIT %d)`, d.columns, d.table, d.order, after, d.marks, d.order, linesAtOnce)
}

// readIndex sums up an index.
func (c *indexCheck) readIndex(ctx context.Context, d *derivedIndex, into *indexRead, sum *indexSum) error {
	key, statement := d.first, d.statement(">=")
	for {
		var (
			count int
			lines []byte
		)
		if err := c.r.db.QueryRowContext(ctx, statement, key...).Scan(&count, &lines); err != nil {
			return err
		}
		if count == 0 {
			return nil
		}
		last, ok := c.sumLines(d, lines, count, into, sum)
		if !ok {
			into.unclear = true
			return nil
		}
		if count < linesAtOnce {
			return nil
		}
		key, statement = d.keyOf(last), d.statement(">")
	}
}

// sumLines adds a page of lines, and gives the last of them. ok is false if they are not one for each of the index' rows.
func (c *indexCheck) sumLines(d *derivedIndex, lines []byte, count int, into *indexRead, sum *indexSum) (last []byte, ok bool) {
	for ; count > 0; count-- {
		var more bool
		last, lines, more = bytes.Cut(lines, []byte{lineEnd})
		if more != (count > 1) {
			return nil, false
		}
		entry, err := strconv.ParseInt(string(last[bytes.LastIndexByte(last, fieldEnd)+1:]), 10, 64)
		switch position := Position(entry); {
		case err != nil || bytes.Count(last, []byte{fieldEnd}) != d.fields-1:
			return nil, false
		case position > c.indexed:
			into.later = true
		case !d.keepsReleased || position > c.released:
			sum.add(c.seed, last)
		}
	}
	return last, true
}

// keyOf gives a line's key.
func (d *derivedIndex) keyOf(line []byte) (key []any) {
	fields := bytes.Split(line, []byte{fieldEnd})
	for _, i := range d.key {
		if i == len(fields)-1 {
			entry, _ := strconv.ParseInt(string(fields[i]), 10, 64) // it was read as one
			key = append(key, entry)
			continue
		}
		key = append(key, string(fields[i]))
	}
	return key
}

// indexProblem is something that can be wrong with an index, and the statement that finds the first entry concerned.
type indexProblem struct{ problem, statement string }

// indexGaps find entries, of a range of ids, that an index does not hold as they are.
var indexGaps = []indexProblem{
	{"its step is recorded twice, or the index of exchanges does not hold it", `SELECT min(e.id) FROM entries AS e
		WHERE e.id > @from AND e.id <= @to AND NOT (` + unindexed + `) AND e.exchange <> ''
		AND NOT EXISTS (SELECT 1 FROM by_exchange AS x WHERE x.exchange = e.exchange AND x.kind = e.kind AND x.entry = e.id)`},
	{"the index of persons does not hold it", `SELECT min(e.id) FROM entries AS e
		WHERE e.id > @from AND e.id <= @to AND NOT (` + unindexed + `) AND e.user <> ''
		AND NOT EXISTS (SELECT 1 FROM by_user AS u WHERE u.user = e.user AND u.entry = e.id)`},
	{"the index of times does not hold it", `SELECT min(e.id) FROM entries AS e
		WHERE e.id > @from AND e.id <= @to AND NOT (` + unindexed + `)
		AND NOT EXISTS (SELECT 1 FROM spans AS s WHERE s.last = (SELECT min(last) FROM spans WHERE last >= e.id)
			AND s.first <= e.id AND s.earliest <= e.time AND s.latest >= e.time
			AND (e.admitted IS NULL OR s.admitted >= e.admitted))`},
	{"the index of charges does not hold it", `SELECT min(e.id) FROM entries AS e
		WHERE e.id > @from AND e.id <= @to AND NOT (` + unindexed + `) AND e.admitted IS NOT NULL
		AND NOT EXISTS (SELECT 1 FROM charges AS c WHERE c.entry = e.id AND c.admitted = e.admitted AND c.exchange = e.exchange
			AND (c.user, c.team, c.app, c.model) = (e.user, e.team, e.app, e.model)
			AND (c.requests, c.input_tokens, c.output_tokens, c.cost) = (e.requests, e.input_tokens, e.output_tokens, e.cost))`},
}

// indexSurplus finds what an index holds after an id and no entry does. Changes and charges stay when their entries are let go of.
var indexSurplus = []indexProblem{
	{"the index of exchanges holds it under another one", `SELECT min(x.entry) FROM by_exchange AS x
		WHERE x.entry > @from AND x.entry > (SELECT value FROM state WHERE name = 'released')
			AND NOT EXISTS (SELECT 1 FROM entries AS e WHERE e.id = x.entry AND e.exchange = x.exchange AND e.kind = x.kind
			AND NOT (` + unindexed + `))`},
	{"the index of persons holds it under another one", `SELECT min(u.entry) FROM by_user AS u
		WHERE u.entry > @from AND NOT EXISTS (SELECT 1 FROM entries AS e WHERE e.id = u.entry AND e.user = u.user AND NOT (` + unindexed + `))`},
	{"the index of charges holds another charge", `SELECT min(c.entry) FROM charges AS c
		WHERE c.entry > @from AND c.entry > (SELECT value FROM state WHERE name = 'released')
			AND NOT EXISTS (SELECT 1 FROM entries AS e WHERE e.id = c.entry AND e.admitted = c.admitted AND NOT (` + unindexed + `))`},
}
