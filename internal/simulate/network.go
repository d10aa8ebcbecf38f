package simulate

import (
	"time"

	"github.com/plumbline/plumbline/internal/quota/memory"
)

const (
	// A message takes distance and, on average, jitter more.
	distance, jitter = 150 * time.Microsecond, 50 * time.Microsecond
	// A second copy of a message comes up to straggle late.
	straggle = time.Second
	// A request without an answer is sent again after resendFirst, and then after twice as long each time, up to resendMost.
	resendFirst, resendMost = 250 * time.Millisecond, 4 * time.Second
	// batch is how many entries of one message take a ledger as long as one operation.
	batch = 64
	// skew bounds how far the clocks of shards are from the true time.
	skew = 500 * time.Millisecond
)

// shard is one ledger: a queue before a single server, as Redis is, and the shipped arithmetic behind it.
type shard struct {
	s      *sim
	ledger *memory.Ledger
	offset time.Duration // of its clock
	free   time.Duration // when it will have served what has arrived
	busy   time.Duration
	asOf   time.Duration // when what it serves now is served
}

func newShard(s *sim, index int, lease time.Duration) *shard {
	sh := &shard{s: s}
	if index > 0 {
		sh.offset = time.Duration(s.chance.Int64N(int64(2*skew))) - skew
	}
	sh.ledger = memory.New(memory.Options{Now: sh.clock, Lease: lease, Remember: 2 * time.Minute})
	return sh
}

// clock gives the shard's time while it serves an operation.
func (sh *shard) clock() time.Time { return sh.s.start.Add(max(sh.asOf, sh.s.now) + sh.offset) }

// today gives the shard's time now.
func (sh *shard) today() time.Time { return sh.s.start.Add(sh.s.now + sh.offset) }

// serve runs an operation when those that came before it are done. It gives when it is done.
func (sh *shard) serve(entries int, op func()) (done time.Duration) {
	cost := sh.s.o.OpTime * time.Duration(batch+entries) / batch
	sh.free = max(sh.free, sh.s.now) + cost
	sh.busy += cost
	sh.asOf = sh.free
	op()
	return sh.free
}

// answer is what came back from a shard.
type answer[T any] struct {
	value T
	wait  time.Duration // spent at the shard
	stamp time.Time     // the shard's clock when it served the request
	sent  time.Duration
}

// ask sends a request once. The request may be lost, or served twice; so may its answer be lost. Answers reach a replica
// only in the life in which it asked; the first is the only one that counts.
func ask[T any](s *sim, r *replica, to *shard, entries int, op func() T, reply func(answer[T])) {
	s.count.messages++
	sent, life, answered := s.now, r.life, false
	arrive := func() {
		a, arrived := answer[T]{sent: sent}, s.now
		done := to.serve(entries, func() { a.value, a.stamp = op(), to.clock() })
		a.wait = done - arrived
		if s.lost() {
			return
		}
		s.events.push(done+s.delay(), func() {
			if r.up && r.life == life && !answered {
				answered = true
				reply(a)
			}
		})
	}
	if !s.lost() {
		s.after(s.delay(), arrive)
	}
	if s.lost() { // the same share arrives twice
		s.after(s.delay()+time.Duration(s.chance.Int64N(int64(straggle))), arrive)
	}
}

// persist asks until there is an answer. The operation must be one that can be repeated.
func persist[T any](s *sim, r *replica, to *shard, entries int, op func() T, reply func(answer[T])) {
	life, answered := r.life, false
	var try func(wait time.Duration)
	try = func(wait time.Duration) {
		if answered || !r.up || r.life != life {
			return
		}
		ask(s, r, to, entries, op, func(a answer[T]) {
			if !answered {
				answered = true
				reply(a)
			}
		})
		s.after(wait, func() { try(min(2*wait, resendMost)) })
	}
	try(resendFirst)
}

func (s *sim) lost() bool { return s.o.Loss > 0 && s.chance.Float64() < s.o.Loss }

func (s *sim) delay() time.Duration {
	return distance + time.Duration(s.chance.ExpFloat64()*float64(jitter))
}
