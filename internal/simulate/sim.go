package simulate

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/plumbline/plumbline/internal/quota"
)

const (
	// deadline is how long a replica waits for an admission before it refuses.
	deadline = 25 * time.Millisecond
	// downtime is how long a replica that crashed stays away.
	downtime = 5 * time.Second
	// tick is how often a replica reports progress and tends what it has leased.
	tick = 2 * time.Second
	// sweep is how often reservations are resolved whose lease has passed.
	sweep = 5 * time.Second
	// patience is how long after the traffic the simulation waits for what is pending.
	patience = 10 * time.Minute
)

// verdict is how an admission ended.
type verdict int

const (
	admitted verdict = iota
	refused
	unanswered // no answer came in time, so the call is refused: the way out is closed
)

// keeper is a way of keeping quota, as replicas use it. What it calls back is dropped when the replica has crashed.
type keeper interface {
	// admit decides about a call. An admitted one has what its ledgers hold, a refused one whether it had room.
	admit(c *call, decide func(verdict))
	// extend asks to hold more for a stream.
	extend(c *call, more quota.Amounts, decide func(bool))
	// end settles a call.
	end(c *call, used quota.Amounts)
	// tick does what a replica does from time to time. It reports whether nothing of the replica's is left to do.
	tick(r *replica, draining bool) bool
	// crash forgets what a replica knew.
	crash(r *replica)
	// admittedAt gives the time, on the clock of the counter's home, that an admission of now counts at under rule i.
	admittedAt(c *call, i int) time.Time
	// expired hears which reservations a shard has resolved because their leases had passed.
	expired(sh *shard, ids []string)
	// stranded gives the largest share of what was charged under a limit although nobody used it.
	stranded() float64
}

// model is a keeper by name.
type model struct {
	name   string
	shards func(Options) int
	lease  time.Duration
	make   func(*sim) keeper
	// exact models promise that no limit is passed.
	exact bool
}

// rule is one limit on its own.
type rule struct {
	limit *quota.Limit
	set   *quota.LimitSet
}

// sim is the run of one model.
type sim struct {
	o      Options
	name   string
	exact  bool
	keeper keeper
	limits *quota.LimitSet
	rules  []rule
	people *people
	load   *load
	chance *rand.Rand // faults and delays
	start  time.Time

	now      time.Duration
	events   events
	shards   []*shard
	replicas []*replica
	truth    *truth
	count    counts
	calls    uint64
	arriving bool
	err      error // a defect of the simulation itself
}

// replica is one process of Plumbline.
type replica struct {
	index int
	life  int // counts its starts
	up    bool
	calls []*call // those it has admitted and not ended
}

// call is one exchange.
type call struct {
	shape
	id       string
	subject  quota.Subject
	replica  *replica
	life     int // of the replica
	index    int // in the replica's calls
	asked    time.Duration
	begun    time.Duration // when its answer began, less what it had to wait for in between
	held     quota.Amounts
	allowed  int64         // output tokens, before it has to ask for more
	known    quota.Amounts // what its ledger holds for it
	reported quota.Amounts // what its ledger was last told that it used
	expired  bool          // its ledger has resolved it by that, its lease having passed
	last     quota.Amounts // what it had used when its replica crashed
	at       time.Time     // of its admission, on the ledger's clock
	wait     time.Duration // spent at ledgers before the decision
	hadRoom  bool          // it was refused although there was room
	marks    []mark        // where it counts in the truth
	takes    []take        // what it holds of its replica's leases
}

func newSim(o Options, m model) *sim {
	s := &sim{
		o: o, name: m.name, exact: m.exact, people: newPeople(o), load: newLoad(o), arriving: true,
		chance: rand.New(rand.NewPCG(o.Seed, 2)), //nolint:gosec // made-up faults must be the same for a seed
	}
	s.start = s.load.start
	s.limits, _ = quota.Compile(o.Limits) // Validate has compiled them
	for i := range s.limits.Limits() {
		set, _ := quota.Compile(o.Limits[i : i+1])
		s.rules = append(s.rules, rule{&set.Limits()[0], set})
	}
	for i := range m.shards(o) {
		s.shards = append(s.shards, newShard(s, i, m.lease))
	}
	for i := range o.Replicas {
		s.replicas = append(s.replicas, &replica{index: i, up: true})
	}
	s.truth = newTruth(s)
	s.keeper = m.make(s)
	return s
}

// run runs until nothing happens any more.
func (s *sim) run(ctx context.Context) (Figures, error) {
	s.after(0, s.nextArrival)
	for _, r := range s.replicas {
		s.after(time.Duration(r.index)*tick/time.Duration(len(s.replicas)), func() { s.tickOf(r, r.life) })
	}
	s.after(sweep, s.sweep)
	s.planCrashes()
	for steps := 0; s.events.len() > 0; steps++ {
		if steps%4096 == 0 && ctx.Err() != nil {
			return Figures{}, ctx.Err()
		}
		e := s.events.pop()
		s.now = e.at
		if e.do(); s.err != nil {
			return Figures{}, s.err
		}
	}
	return s.figures(), nil
}

func (s *sim) after(d time.Duration, do func()) { s.events.push(s.now+d, do) }

// planCrashes draws them from the seed of the load, so that each model meets the same.
func (s *sim) planCrashes() {
	rng := rand.New(rand.NewPCG(s.o.Seed, 3)) //nolint:gosec // made-up crashes must be the same for a seed
	for range s.o.Crashes {
		at, r := time.Duration(rng.Int64N(int64(s.o.Duration))), s.replicas[rng.IntN(len(s.replicas))]
		s.events.push(at, func() { s.crash(r) })
	}
}

func (s *sim) nextArrival() {
	at, more := s.load.arrival()
	if !more {
		s.arriving = false
		return
	}
	shape := s.load.shape()
	s.events.push(at, func() {
		s.arrive(shape)
		s.nextArrival()
	})
}

func (s *sim) arrive(shape shape) {
	s.calls++
	s.count.calls++
	r := s.route(shape.route)
	if r == nil {
		s.count.unanswered++
		return
	}
	c := &call{
		shape: shape, id: strconv.FormatUint(s.calls, 36), subject: s.people.subject(shape.user),
		replica: r, life: r.life, asked: s.now,
	}
	s.keeper.admit(c, func(v verdict) { s.decided(c, v) })
}

// route gives a replica that is up, nil if there is none.
func (s *sim) route(pick uint64) *replica {
	n := uint64(len(s.replicas))
	for i := range n {
		if r := s.replicas[(pick%n+i)%n]; r.up {
			return r
		}
	}
	return nil
}

func (s *sim) decided(c *call, v verdict) {
	switch v {
	case unanswered:
		s.count.unanswered++
		return
	case refused:
		s.count.refused++
		if c.hadRoom {
			s.count.withRoom++
		}
	case admitted:
		s.count.admitted++
		c.index = len(c.replica.calls)
		c.replica.calls = append(c.replica.calls, c)
		c.begun = s.now + firstToken
		s.proceed(c)
	}
	s.count.waits.add(float64(c.wait) / float64(s.o.OpTime))
}

// proceed lets the answer come until it ends or needs more than is held.
func (s *sim) proceed(c *call) {
	until := min(c.output, c.stays)
	ends := c.allowed >= until || !c.stream
	if !ends {
		until = c.allowed
	}
	at := c.begun + time.Duration(until)*time.Second/speed
	s.events.push(max(at, s.now), func() {
		switch {
		case c.gone():
		case ends:
			s.finish(c, c.mostUsed())
		default:
			s.extend(c)
		}
	})
}

// extend holds another slab of output for a stream, or cuts it where there is no room.
func (s *sim) extend(c *call) {
	asked := s.now
	more := amounts(0, min(quota.StreamSlab, c.max-c.allowed))
	more.Requests = 0
	s.keeper.extend(c, more, func(ok bool) {
		if !ok {
			s.count.cut++
			s.finish(c, c.uses(c.allowed))
			return
		}
		c.held, c.allowed = c.held.Add(more), c.allowed+more.OutputTokens
		c.begun += s.now - asked
		s.proceed(c)
	})
}

// finish ends a call that its replica lives to settle.
func (s *sim) finish(c *call, used quota.Amounts) {
	s.leave(c)
	s.count.spent(used)
	s.keeper.end(c, used)
}

// leave takes a call from its replica's list.
func (s *sim) leave(c *call) {
	r := c.replica
	last := len(r.calls) - 1
	r.calls[c.index] = r.calls[last]
	r.calls[c.index].index = c.index
	r.calls[last] = nil
	r.calls = r.calls[:last]
}

// delivered gives what a call has used by now.
func (s *sim) delivered(c *call) quota.Amounts {
	if !c.stream {
		return c.uses(0)
	}
	tokens := int64(max(0, s.now-c.begun) * speed / time.Second)
	return c.uses(min(tokens, c.allowed, c.stays))
}

// gone reports whether the replica that held the call has crashed since.
func (c *call) gone() bool { return c.life != c.replica.life || !c.replica.up }

// crash ends a replica and all its calls, whose callers keep what they got.
func (s *sim) crash(r *replica) {
	if !r.up {
		return
	}
	for _, c := range r.calls {
		c.last = s.delivered(c)
		s.count.spent(c.last)
	}
	s.count.crashed += len(r.calls)
	s.keeper.crash(r)
	r.up, r.calls = false, nil
	s.after(downtime, func() {
		r.up = true
		r.life++
		s.tickOf(r, r.life)
	})
}

// tickOf lets a replica do what it does from time to time, until it has nothing left.
func (s *sim) tickOf(r *replica, life int) {
	if !r.up || r.life != life {
		return
	}
	draining := !s.arriving && len(r.calls) == 0
	if s.keeper.tick(r, draining) && draining {
		return
	}
	s.after(tick, func() { s.tickOf(r, life) })
}

// sweep resolves what nobody renewed, for as long as there is something to wait for.
func (s *sim) sweep() {
	pending := 0
	for _, sh := range s.shards {
		ids, err := sh.ledger.Expire(context.Background(), sh.today())
		s.check(err)
		s.keeper.expired(sh, ids)
		pending += sh.ledger.Pending()
	}
	if s.events.len() > 0 || pending > 0 && s.now < s.o.Duration+patience {
		s.after(sweep, s.sweep)
	}
}

// check notes an error that cannot be: a defect of the simulation, which ends the run.
func (s *sim) check(err error) {
	if err != nil && s.err == nil {
		s.err = fmt.Errorf("simulate: %s at %s: %w", s.name, s.now, err)
	}
}

// says reports whether a ledger granted what it was asked for; it may have no room, or have resolved the reservation.
func (s *sim) says(err error) bool {
	var exhausted *quota.ExhaustedError
	if err != nil && !errors.As(err, &exhausted) && !errors.Is(err, quota.ErrUnknown) && !errors.Is(err, quota.ErrResolved) {
		s.check(err)
	}
	return err == nil
}
