package simulate

import (
	"context"
	"errors"
	"time"

	"github.com/plumbline/plumbline/internal/quota"
)

const (
	// leaseTime is how long ledgers give.
	leaseTime = 30 * time.Second
	// forever is what ledgers give that know no leases.
	forever = 1000 * time.Hour
)

// central keeps every limit in one ledger. Its fields make it the exact one, or one of those of other gateways.
type central struct {
	s      *sim
	shard  func(*call) *shard
	limits *quota.LimitSet // those kept here
	mine   func(rule int) bool

	// hold gives what a call reserves, and the output that it may then put out.
	hold func(*call) (held quota.Amounts, allowed int64)
	// used refuses by what is used already, whatever the call may use.
	used bool
	// leaks forgets what is held for a caller who left or a replica that crashed.
	leaks bool

	open map[string]*call // what ledgers hold, by id
}

// slabs holds the input and what quota.OutputReservation says of the output.
func slabs(c *call) (quota.Amounts, int64) {
	w := c.wants()
	return w, w.OutputTokens
}

// worstCase holds the most that the call can use.
func worstCase(c *call) (quota.Amounts, int64) { return amounts(c.input+framing, c.max), c.max }

// nothing holds one under limits of concurrency, and lets the answer run.
func nothing(c *call) (quota.Amounts, int64) { return quota.Amounts{}, c.max }

func newCentral(s *sim) *central {
	return &central{
		s: s, shard: func(*call) *shard { return s.shards[0] }, limits: s.limits, mine: always,
		hold: slabs, open: map[string]*call{},
	}
}

func always(int) bool { return true }

func (k *central) admit(c *call, decide func(verdict)) {
	s, sh := k.s, k.shard(c)
	c.held, c.allowed = k.hold(c)
	decided := false
	once := func(v verdict) {
		if !decided {
			decided = true
			decide(v)
		}
	}
	ask(s, c.replica, sh, 0, func() bool { return k.reserve(sh, c) }, func(a answer[bool]) {
		c.wait += a.wait
		switch {
		case decided: // too late, and voided
		case a.value:
			once(admitted)
		default:
			once(refused)
		}
	})
	s.events.push(max(s.now, c.asked+deadline), func() {
		if !decided && !c.gone() {
			once(unanswered)
			k.void(c)
		}
	})
}

func (k *central) reserve(sh *shard, c *call) bool {
	at := sh.clock()
	if k.used && k.exhausted(sh, c, at) {
		c.hadRoom = k.s.truth.room(c)
		return false
	}
	res, err := sh.ledger.Reserve(context.Background(), quota.Request{
		ID: c.id, Subject: c.subject, Amounts: c.held, Limits: k.limits, At: at,
	})
	if !k.s.says(err) {
		c.hadRoom = k.s.truth.room(c)
		return false
	}
	if _, repeated := k.open[c.id]; !repeated {
		k.open[c.id], c.known, c.at = c, c.held, res.Admitted
		k.s.truth.begin(c, k.mine)
	}
	return true
}

// exhausted reports whether a hard limit is used up.
func (k *central) exhausted(sh *shard, c *call, at time.Time) bool {
	standings, err := sh.ledger.Standings(context.Background(), c.subject, k.limits, at)
	k.s.check(err)
	for _, st := range standings {
		if st.Limit.Hard() && !st.HasRoom(1) {
			return true
		}
	}
	return false
}

func (k *central) extend(c *call, more quota.Amounts, decide func(bool)) {
	sh := k.shard(c)
	// It names the total that it aims at: one that is served twice holds once, and the truth counts it once.
	target := c.held.Add(more)
	persist(k.s, c.replica, sh, 0, func() bool {
		if c.known.OutputTokens >= target.OutputTokens {
			return true
		}
		_, err := sh.ledger.Extend(context.Background(), c.id, target)
		if !k.s.says(err) {
			return false
		}
		c.known = target
		k.s.truth.extend(c, more, k.mine)
		return true
	}, func(a answer[bool]) { decide(a.value) })
}

func (k *central) end(c *call, used quota.Amounts) {
	if k.leaks && c.stays < c.output {
		k.s.truth.end(c, used, k.mine)
		return
	}
	sh := k.shard(c)
	persist(k.s, c.replica, sh, 0, func() bool {
		if _, open := k.open[c.id]; !open { // a repeat, or its lease has passed
			return true
		}
		_, err := sh.ledger.Settle(context.Background(), c.id, used)
		k.s.check(err)
		k.resolved(c, used)
		return true
	}, func(answer[bool]) {
		if c.expired {
			k.s.count.unbooked += tokens(used) - tokens(c.reported)
		}
	})
}

// resolved tells the truth what a ledger booked, when it booked it.
func (k *central) resolved(c *call, booked quota.Amounts) {
	k.s.truth.end(c, booked, k.mine)
	delete(k.open, c.id)
}

func (k *central) void(c *call) {
	sh := k.shard(c)
	persist(k.s, c.replica, sh, 0, func() bool {
		err := sh.ledger.Void(context.Background(), c.id)
		if !errors.Is(err, quota.ErrUnknown) {
			k.s.check(err)
		}
		k.resolved(c, quota.Amounts{})
		return true
	}, func(answer[bool]) {})
}

func (k *central) tick(r *replica, _ bool) bool {
	if !k.leaks {
		k.report(r, k.progress(r))
	}
	return true
}

// progress gives what each call of a replica has used, by shard.
func (k *central) progress(r *replica) map[*shard][]quota.Progress {
	progress := make(map[*shard][]quota.Progress, len(k.s.shards))
	for _, c := range r.calls {
		sh := k.shard(c)
		progress[sh] = append(progress[sh], quota.Progress{ID: c.id, Used: k.s.delivered(c)})
	}
	return progress
}

// report renews what it names.
func (k *central) report(r *replica, progress map[*shard][]quota.Progress) {
	for _, sh := range k.s.shards { // in their order, not in the map's
		if of := progress[sh]; len(of) > 0 {
			ask(k.s, r, sh, len(of), func() bool {
				k.s.check(sh.ledger.Touch(context.Background(), of...))
				for _, p := range of {
					if c, open := k.open[p.ID]; open {
						c.reported = p.Used
					}
				}
				return true
			}, func(answer[bool]) {})
		}
	}
}

func (k *central) crash(r *replica) {
	for _, c := range r.calls {
		if k.leaks {
			k.s.truth.end(c, c.last, k.mine)
		}
	}
}

// expired tells the truth what ledgers booked for those whose lease has passed.
func (k *central) expired(_ *shard, ids []string) {
	for _, id := range ids {
		c, ok := k.open[id]
		if !ok {
			continue
		}
		c.expired = true
		k.resolved(c, c.reported)
		if c.gone() {
			k.s.count.unbooked += tokens(c.last) - tokens(c.reported)
		}
	}
}

func (k *central) admittedAt(c *call, _ int) time.Time {
	if c.at.IsZero() {
		return k.shard(c).today()
	}
	return c.at
}

func (k *central) stranded() float64 { return 0 }

func tokens(a quota.Amounts) int64 { return a.InputTokens + a.OutputTokens }

// oracle knows what each call will use, and everything else, at once.
type oracle struct{ s *sim }

func (k *oracle) admit(c *call, decide func(verdict)) {
	sh := k.s.shards[0]
	c.held, c.allowed, c.at = c.mostUsed(), c.max, sh.today()
	_, err := sh.ledger.Reserve(context.Background(), quota.Request{
		ID: c.id, Subject: c.subject, Amounts: c.held, Limits: k.s.limits, At: c.at,
	})
	if k.s.says(err) {
		k.s.truth.begin(c, always)
		decide(admitted)
	} else {
		decide(refused)
	}
}

func (k *oracle) end(c *call, used quota.Amounts) {
	_, err := k.s.shards[0].ledger.Settle(context.Background(), c.id, used)
	k.s.check(err)
	k.s.truth.end(c, used, always)
}

func (k *oracle) crash(r *replica) {
	for _, c := range r.calls {
		k.end(c, c.last)
	}
}

func (k *oracle) extend(_ *call, _ quota.Amounts, decide func(bool)) { decide(true) }
func (k *oracle) tick(*replica, bool) bool                           { return true }
func (k *oracle) expired(*shard, []string)                           {}
func (k *oracle) admittedAt(c *call, _ int) time.Time                { return c.at }
func (k *oracle) stranded() float64                                  { return 0 }
