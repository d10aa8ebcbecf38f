package guard

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a shared ledger in a few lines, for replicas of a test: it counts every hold and posting by itself and fails
// when it is told to.
type server struct {
	mu     sync.Mutex
	clock  *clock
	epoch  Epoch
	number int
	lost   bool // the server was failed over
	books  map[string]time.Time
	done   map[string]bool
	marks  map[string]int64
	texts  map[string]string
	holds  map[string]*onServer
	posted map[sumKey]int64
	late   []func() // operations that are still on their way
	fault  func(op string) fault
	asked  map[string]int
}

type onServer struct {
	book    string
	limits  []quota.Match
	request quota.Request
	held    quota.Amounts
	used    quota.Amounts // progress, then what was settled
	state   string        // live, expired, resolved
	until   time.Time
}

// fault is what happens to an operation.
type fault int

const (
	none      fault = iota
	refused         // nothing is done, and that is said
	unheard         // it is done, and nothing is heard of it
	postponed       // nothing is heard of it, and it is done later
)

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newServer(c *clock) *server {
	s := &server{clock: c, asked: map[string]int{}, books: map[string]time.Time{}}
	s.flush()
	return s
}

// flush loses everything, as FLUSHALL does.
func (s *server) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epoch = Epoch{}
	s.books = map[string]time.Time{}
	s.begin()
	s.epoch = Epoch{}
}

func (s *server) begin() {
	s.number++
	s.epoch = Epoch{ID: fmt.Sprint("e", s.number), Since: s.clock.Now()}
	s.done, s.marks, s.texts = map[string]bool{}, map[string]int64{}, map[string]string{}
	s.holds, s.posted, s.lost = map[string]*onServer{}, map[sumKey]int64{}, false
}

// arrive lets the operations that are on their way be done.
func (s *server) arrive() {
	s.mu.Lock()
	defer s.mu.Unlock()
	late := s.late
	s.late = nil
	for _, op := range late {
		op()
	}
}

// do runs an operation of an epoch, with the fault that it meets.
func (s *server) do(name, epoch string, op func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[name]++
	within := func() error {
		if epoch != "" && s.epoch.ID != epoch {
			return ErrEpoch
		}
		return op()
	}
	met := none
	if s.fault != nil {
		met = s.fault(name)
	}
	switch met {
	case refused:
		return fmt.Errorf("%w: %s", ErrUnreachable, name)
	case unheard:
		_ = within()
		return fmt.Errorf("%w: %s timed out", ErrUnreachable, name)
	case postponed:
		s.late = append(s.late, func() { _ = within() })
		return fmt.Errorf("%w: %s timed out", ErrUnreachable, name)
	case none:
	}
	return within()
}

// client is one replica's way to the server.
type client struct {
	*server
	book   string
	epoch  Epoch
	joined sync.Mutex
}

var _ Shared = (*client)(nil)

func (c *client) in() string {
	c.joined.Lock()
	defer c.joined.Unlock()
	if c.epoch.ID == "" {
		return "none"
	}
	return c.epoch.ID
}

func (c *client) Adopt(e Epoch) {
	c.joined.Lock()
	defer c.joined.Unlock()
	c.epoch = e
}

func (s *server) used(m quota.Match) (n int64) {
	for _, h := range s.holds {
		if h.state == "live" && slices.ContainsFunc(h.limits, func(o quota.Match) bool { return o.Key == m.Key }) {
			n += m.Limit.Wanted(h.held)
		}
	}
	for k, v := range s.posted {
		if k.key == m.Key {
			n += v
		}
	}
	return n
}

func (s *server) lack(limits []quota.Match, a quota.Amounts) error {
	for _, m := range limits {
		if used := s.used(m); m.Limit.Hard() && m.Limit.Wanted(a) > 0 && used+m.Limit.Wanted(a) > m.Limit.Value {
			return &quota.ExhaustedError{Standing: quota.Standing{Limit: m.Limit, Used: used}, Wanted: m.Limit.Wanted(a)}
		}
	}
	return nil
}

func (s *server) standings(limits []quota.Match) (all []quota.Standing) {
	for _, m := range limits {
		all = append(all, quota.Standing{Limit: m.Limit, Used: s.used(m), Reset: m.End})
	}
	return all
}

func (c *client) Reserve(_ context.Context, r quota.Request) (res quota.Reservation, err error) {
	err = c.do("reserve", c.in(), func() error {
		if h := c.holds[r.ID]; h != nil {
			if h.state != "live" {
				return quota.ErrResolved
			}
			res = quota.Reservation{ID: r.ID, Admitted: h.request.At, Held: h.held, Standings: c.standings(h.limits)}
			return nil
		}
		limits := r.Limits.AppendMatches(nil, r.Subject, r.At)
		if err := c.lack(limits, r.Amounts); err != nil {
			return err
		}
		c.holds[r.ID] = &onServer{c.book, limits, r, r.Amounts, quota.Amounts{}, "live", c.clock.Now().Add(30 * time.Second)}
		res = quota.Reservation{ID: r.ID, Admitted: r.At, Held: r.Amounts, Standings: c.standings(limits)}
		return nil
	})
	return res, err
}

func (c *client) Extend(_ context.Context, id string, to quota.Amounts) (res quota.Reservation, err error) {
	err = c.do("extend", c.in(), func() error {
		h := c.holds[id]
		if h == nil || h.state != "live" {
			return quota.ErrUnknown
		}
		more := to.Above(h.held)
		if err := c.lack(h.limits, more); err != nil {
			return err
		}
		h.held = h.held.Add(more)
		res = quota.Reservation{ID: id, Admitted: h.request.At, Held: h.held, Standings: c.standings(h.limits)}
		return nil
	})
	return res, err
}

func (c *client) Touch(_ context.Context, progress ...quota.Progress) error {
	return c.do("touch", c.in(), func() error {
		for _, p := range progress {
			if h := c.holds[p.ID]; h != nil && h.state == "live" {
				h.used, h.until = p.Used, c.clock.Now().Add(30*time.Second)
			}
		}
		return nil
	})
}

// add adds what was used in the windows of a hold, times sign.
func (s *server) add(h *onServer, used quota.Amounts, sign int64) {
	for _, m := range h.limits {
		s.posted[sumKey{key: m.Key}] += sign * used.In(m.Limit.Dimension)
	}
}

func (c *client) end(op, id string, used quota.Amounts) (settled quota.Amounts, err error) {
	err = c.do(op, c.in(), func() error {
		h := c.holds[id]
		switch {
		case h == nil:
			return quota.ErrUnknown
		case h.state == "resolved":
			settled = h.used
			return nil
		case h.state == "expired":
			c.add(h, h.used, -1)
		}
		c.add(h, used, 1)
		h.used, h.state, settled = used, "resolved", used
		return nil
	})
	return settled, err
}

func (c *client) Settle(_ context.Context, id string, used quota.Amounts) (quota.Amounts, error) {
	return c.end("settle", id, used)
}

func (c *client) Void(_ context.Context, id string) error {
	_, err := c.end("void", id, quota.Amounts{})
	return err
}

func (c *client) Expire(_ context.Context, now time.Time) (ids []string, err error) {
	err = c.do("expire", c.in(), func() error {
		for id, h := range c.holds {
			if h.state == "live" && h.until.Before(now) {
				c.add(h, h.used, 1)
				h.state = "expired"
				ids = append(ids, id)
			}
		}
		return nil
	})
	return ids, err
}

func (c *client) Standings(
	_ context.Context, s quota.Subject, limits *quota.LimitSet, at time.Time,
) (all []quota.Standing, err error) {
	err = c.do("standings", c.in(), func() error {
		all = c.standings(limits.AppendMatches(nil, s, at))
		return nil
	})
	return all, err
}

func (c *client) Heartbeat(context.Context) (p Pulse, err error) {
	err = c.do("heartbeat", "", func() error {
		now := c.clock.Now()
		c.clock.add(2 * time.Microsecond) // no call that is made once this is answered is of the same moment
		p.Time = now
		c.books[c.book] = now.Add(30 * time.Second)
		for b, until := range c.books {
			if until.After(now) {
				p.Books = append(p.Books, b)
			}
		}
		p.Epoch, p.Lost = c.server.epoch, c.server.epoch.ID == "" || c.lost
		waits := slices.ContainsFunc(slices.Collect(maps.Keys(c.done)), func(b string) bool { return !c.done[b] })
		p.Epoch.Rebuilding = waits && now.Sub(c.server.epoch.Since) < 30*time.Second
		return nil
	})
	return p, err
}

func (c *client) BeginEpoch(_ context.Context, old string, books ...string) error {
	return c.do("begin", "", func() error {
		if c.server.epoch.ID != old {
			return nil
		}
		c.begin()
		for _, b := range append(slices.Collect(maps.Keys(c.books)), books...) {
			c.done[b] = false
		}
		c.done[c.book] = false
		return nil
	})
}

func (c *client) Reassert(_ context.Context, live ...quota.Live) error {
	return c.do("reassert", c.in(), func() error {
		for _, l := range live {
			if c.holds[l.Request.ID] == nil {
				limits := l.Request.Limits.AppendMatches(nil, l.Request.Subject, l.Request.At)
				c.holds[l.Request.ID] = &onServer{c.book, limits, l.Request, l.Held, l.Used, "live", c.clock.Now().Add(30 * time.Second)}
			}
		}
		return nil
	})
}

func (c *client) Owned(context.Context) (ids []string, err error) {
	err = c.do("owned", c.in(), func() error {
		for id, h := range c.holds {
			if h.book == c.book && h.state != "resolved" {
				ids = append(ids, id)
			}
		}
		slices.Sort(ids)
		return nil
	})
	return ids, err
}

func (c *client) Mark(context.Context) (mark int64, known bool, err error) {
	err = c.do("mark", c.in(), func() error {
		mark, known = c.marks[c.book]
		return nil
	})
	return mark, known, err
}

func (c *client) Post(_ context.Context, from, to int64, postings ...quota.Posting) error {
	return c.do("post", c.in(), func() error {
		if c.marks[c.book] != from {
			return ErrMark
		}
		c.marks[c.book] = to
		for _, p := range postings {
			c.posted[sumKey{key: p.Key}] += p.Amount
		}
		return nil
	})
}

func (c *client) Coverage(context.Context) (text string, known bool, err error) {
	err = c.do("coverage", c.in(), func() error {
		text, known = c.texts[c.book]
		return nil
	})
	return text, known, err
}

func (c *client) PostCovering(_ context.Context, from, to string, postings ...quota.Posting) error {
	return c.do("cover", c.in(), func() error {
		if c.texts[c.book] != from {
			return ErrMark
		}
		c.texts[c.book] = to
		for _, p := range postings {
			c.posted[sumKey{key: p.Key}] += p.Amount
		}
		return nil
	})
}

func (c *client) BookDone(context.Context) error {
	return c.do("done", c.in(), func() error {
		c.done[c.book] = true
		return nil
	})
}

// book is the records of one replica.
type book struct {
	mu      sync.Mutex
	charges []Charged
	fellOn  map[int64]bool // positions of what was admitted without the ledger
	open    map[string]quota.Reservation
	ended   map[string]Ending
	last    int64
	fail    error
}

func newBook() *book {
	return &book{fellOn: map[int64]bool{}, open: map[string]quota.Reservation{}, ended: map[string]Ending{}}
}

func (b *book) intent(r quota.Reservation) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last++
	b.open[r.ID] = r
	b.ended[r.ID] = Ending{Open: true, Fallback: r.Fallback != ""}
}

func (b *book) outcome(s quota.Subject, r quota.Reservation, used quota.Amounts) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last++
	delete(b.open, r.ID)
	charge := used.Charge(r.Admitted)
	b.charges = append(b.charges, Charged{b.last, r.ID, s, charge})
	b.fellOn[b.last] = r.Fallback != ""
	b.ended[r.ID] = Ending{Charge: charge, Fallback: r.Fallback != ""}
}

// recover closes what a process left open, at what it held.
func (b *book) recover(subject map[string]quota.Subject) {
	for _, r := range maps.Clone(b.open) {
		b.outcome(subject[r.ID], r, r.Held)
	}
}

func (b *book) End(context.Context) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last, b.fail
}

func (b *book) read(which func(Charged) bool, fn func(Charged) error) (int64, error) {
	b.mu.Lock()
	charges, end, err := slices.Clone(b.charges), b.last, b.fail
	b.mu.Unlock()
	for _, c := range charges {
		if err == nil && which(c) {
			err = fn(c)
		}
	}
	return end, err
}

func (b *book) Charges(_ context.Context, since time.Time, after int64, fn func(Charged) error) (int64, error) {
	return b.read(func(c Charged) bool { return c.Position > after && !c.Charge.Admitted.Before(since) }, fn)
}

func (b *book) FallbackCharges(_ context.Context, after int64, fn func(Charged) error) (int64, error) {
	return b.read(func(c Charged) bool { return c.Position > after && b.fellOn[c.Position] }, fn)
}

func (b *book) Endings(_ context.Context, ids []string) (map[string]Ending, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := map[string]Ending{}
	for _, id := range ids {
		if e, ok := b.ended[id]; ok {
			out[id] = e
		}
	}
	return out, b.fail
}

// counts is Metrics that a test reads.
type counts struct {
	mu       sync.Mutex
	breaker  []Breaker
	fellBack map[quota.Unreachable]int
	resolved int
	charges  int
}

func (c *counts) LedgerBreaker(b Breaker) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.breaker); n == 0 || c.breaker[n-1] != b {
		c.breaker = append(c.breaker, b)
	}
}

func (c *counts) LedgerFellBack(u quota.Unreachable) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fellBack[u]++
}

func (c *counts) LedgerBooked(resolved, charges int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.resolved, c.charges = c.resolved+resolved, c.charges+charges
}

// replica is a guard with its records and its way to the server.
type replica struct {
	*Guard
	book   *book
	client *client
	counts *counts
}

func newReplica(s *server, b *book, name string, limits *quota.LimitSet) *replica {
	return newReplicaUnder(s, b, name, func() *quota.LimitSet { return limits })
}

func newReplicaUnder(s *server, b *book, name string, limits func() *quota.LimitSet) *replica {
	r := &replica{book: b, client: &client{server: s, book: name}, counts: &counts{fellBack: map[quota.Unreachable]int{}}}
	r.Guard = New(Options{
		Shared: r.client, Records: b, Limits: limits, Metrics: r.counts, Now: s.clock.Now,
		Lease: 24 * time.Hour,
	})
	return r
}

func mustCompile(t testing.TB, limits ...quota.Limit) *quota.LimitSet {
	t.Helper()
	set, err := quota.Compile(limits)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func limit(id string, d quota.Dimension, value int64) quota.Limit {
	l := quota.Limit{ID: id, Scope: quota.ScopeEveryone, Dimension: d, Window: quota.WindowMonth, Value: value}
	if d == quota.DimensionConcurrency {
		l.Window = quota.WindowNone
	}
	return l
}

func request(id string, limits *quota.LimitSet, at time.Time, tokens int64, cost core.MicroUSD) quota.Request {
	return quota.Request{
		ID: id, Subject: quota.Subject{User: "ann"}, Limits: limits, At: at,
		Amounts: quota.Amounts{Requests: 1, OutputTokens: tokens, Cost: cost},
	}
}

var start = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// errBroken is what records fail with.
var errBroken = errors.New("broken")
