package redis_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/quota/redis"
	"github.com/plumbline/plumbline/internal/testkit/redisproc"
)

const (
	callers = 4 // at once, each with a replica of its own
	steps   = 8 // of each
	shared  = 6 // reservations that all of them work on
	room    = 100
)

// operation is one call of a history, and what came of it.
type operation struct {
	kind   string
	id     int
	amount int64

	result  string // of one that was answered: "ok", "lacks", "resolved", "unknown"; "?" if nobody knows
	used    int64  // under the limit, as the call was told
	settled int64
}

// state is the plain ledger that a history is compared with: one limit, in one window.
type state [shared]struct {
	status          byte // 0 none, 'l' live, 'e' expired, 'f' final
	held, done, was int64
}

func (s *state) used() (sum int64) {
	for _, r := range s {
		switch r.status {
		case 'l':
			sum += r.held
		case 'e', 'f':
			sum += r.done
		}
	}
	return sum
}

// step gives whether the ledger may answer so, and how it stands after it.
func step(s state, op operation) (bool, state) {
	unknown := op.result == "?"
	if op.kind == "look" {
		return unknown || op.used == s.used(), s
	}
	r := &s[op.id]
	switch op.kind {
	case "reserve":
		switch {
		case r.status == 'l':
			return unknown || op.result == "ok" && op.used == r.was, s
		case r.status != 0:
			return unknown || op.result == "resolved", s
		case s.used()+op.amount > room:
			return unknown || op.result == "lacks" && op.used == s.used(), s
		}
		r.status, r.held = 'l', op.amount
		r.was = s.used()
		return unknown || op.result == "ok" && op.used == r.was, s
	case "extend":
		switch {
		case r.status != 'l':
			return unknown || op.result == "unknown", s
		case op.amount > r.held && s.used()+op.amount-r.held > room:
			return unknown || op.result == "lacks" && op.used == s.used(), s
		}
		r.held = max(r.held, op.amount)
		return unknown || op.result == "ok", s // what it says of what is used is a look
	case "settle":
		switch r.status {
		case 0:
			return unknown || op.result == "unknown", s
		case 'f':
			return unknown || op.result == "ok" && op.settled == r.done, s
		}
		r.status, r.done = 'f', op.amount
		return unknown || op.result == "ok" && op.settled == op.amount, s
	case "void":
		switch r.status {
		case 0:
			return unknown || op.result == "unknown", s
		case 'f':
			return unknown || op.result == "ok", s
		}
		r.status, r.done = 'f', 0
		return unknown || op.result == "ok", s
	case "expire": // that one id was reported as expired, or perhaps was
		if r.status != 'l' {
			return unknown, s
		}
		r.status, r.done = 'e', 0
		return true, s
	}
	return false, s
}

var plain = porcupine.Model{
	Init: func() any { return state{} },
	Step: func(s, input, output any) (bool, any) {
		op, _ := output.(operation)
		before, _ := s.(state)
		return step(before, op)
	},
	DescribeOperation: func(_, output any) string { return fmt.Sprintf("%+v", output) },
}

// TestHistories checks that what callers at several replicas saw, while connections were killed and cut and the server
// paused, slept and restarted, could have come from a plain ledger that does one thing at a time.
func TestHistories(t *testing.T) {
	n := 30
	if text := os.Getenv("PLUMBLINE_HISTORIES"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	server := redisproc.Start(t)
	replicas := make([]*redis.Ledger, callers)
	for i := range replicas {
		o := on(server, fmt.Sprint("replica-", i))
		o.Lease = 2 * time.Millisecond
		replicas[i] = open(t, o)
	}
	limits := tokensADay(t, room)
	answered, unanswered, undecided := 0, 0, 0
	for seed := range n {
		p := awaitServer(t, server, replicas[0])
		e, err := replicas[0].BeginEpoch(ctx, p.Epoch.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range replicas {
			l.Adopt(e)
		}
		h := &history{t: t, server: server, limits: limits, began: time.Now(), seed: seed}
		h.run(replicas, uint64(seed))
		for _, op := range h.all {
			if o, _ := op.Output.(operation); o.result == "?" {
				unanswered++
			} else {
				answered++
			}
		}
		result, info := porcupine.CheckOperationsVerbose(plain, told(h.all), time.Minute)
		if result == porcupine.Unknown { // too many calls without an answer: there is no end of the orders to try
			undecided++
			t.Logf("history %d was not decided within a minute", seed)
			continue
		}
		if result != porcupine.Ok {
			path := fmt.Sprintf("%s/history-%d.html", os.TempDir(), seed)
			_ = porcupine.VisualizePath(plain, info, path)
			slices.SortFunc(h.all, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
			for _, op := range h.all {
				t.Logf("%d: %8d to %8d µs: %+v", op.ClientId, op.Call/1000, min(op.Return/1000, 1e6), op.Output)
			}
			t.Fatalf("history %d is %s; see %s", seed, result, path)
		}
	}
	if undecided > n/100 {
		t.Errorf("%d of %d histories were not decided", undecided, n)
	}
	t.Logf("%d histories (%d undecided), %d operations answered, %d not", n, undecided, answered, unanswered)
}

// told leaves out what says nothing, so that fewer orders have to be tried. A look without an answer changes and tells
// nothing. An id is ended by at most one void and one expiry; of those without an answer the first called may be done
// at any moment at which a later one may be.
func told(all []porcupine.Operation) []porcupine.Operation {
	type ending struct {
		kind string
		id   int
	}
	first := map[ending]int{}
	var out []porcupine.Operation
	for _, o := range all {
		op, _ := o.Output.(operation)
		if op.result != "?" || op.kind != "look" && op.kind != "void" && op.kind != "expire" {
			out = append(out, o)
			continue
		}
		if op.kind == "look" {
			continue
		}
		e := ending{op.kind, op.id}
		at, known := first[e]
		switch {
		case !known:
			first[e] = len(out)
			out = append(out, o)
		case o.Call < out[at].Call:
			out[at] = o
		}
	}
	return out
}

// awaitServer returns once the server takes commands, and the replica's client no longer answers from the last refusal
// that it saw, as go-redis does for up to a second after a restart.
func awaitServer(t *testing.T, server *redisproc.Server, replica *redis.Ledger) redis.Pulse {
	t.Helper()
	server.Resume()
	var err error
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		var p redis.Pulse
		if p, err = replica.Heartbeat(ctx); err == nil {
			return p
		}
	}
	t.Fatal("the server is away: ", err)
	return redis.Pulse{}
}

// history gathers the operations of callers that run at once.
type history struct {
	t      *testing.T
	server *redisproc.Server
	limits *quota.LimitSet
	began  time.Time
	seed   int
	count  atomic.Int64

	mu  sync.Mutex
	all []porcupine.Operation
}

func (h *history) run(replicas []*redis.Ledger, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 1))
	faults := map[int64]func(){}
	for range 1 + random.IntN(3) {
		faults[1+random.Int64N(callers*steps-4)] = h.fault(random, seed)
	}
	var done sync.WaitGroup
	for i, l := range replicas {
		done.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(2+i)))
			for range steps {
				if fault := faults[h.count.Add(1)]; fault != nil {
					fault()
				}
				h.do(l, i, random)
			}
		})
	}
	done.Wait()
	h.server.Resume()
}

// fault gives one of the things that happen to servers.
func (h *history) fault(random *rand.Rand, seed uint64) func() {
	admin := func(args ...any) func() {
		return func() {
			client := h.server.Client()
			defer func() { _ = client.Close() }()
			_ = client.Do(ctx, args...).Err() // a server that is paused or starts does not answer
		}
	}
	switch kind := random.IntN(20); {
	case kind < 8:
		return admin("client", "kill", "type", "normal", "skipme", "yes")
	case kind < 12:
		return admin("debug", "sleep", "0.03")
	case kind < 14:
		return admin("function", "flush")
	case kind == 14 && seed%2 == 0:
		return func() { h.server.Restart(h.t) }
	default:
		return func() {
			h.server.Pause()
			time.AfterFunc(30*time.Millisecond, h.server.Resume)
		}
	}
}

// do makes one random call.
func (h *history) do(l *redis.Ledger, caller int, random *rand.Rand) {
	op := operation{id: random.IntN(shared), amount: 1 + random.Int64N(40)}
	id := fmt.Sprintf("%d-%d", h.seed, op.id)
	ctx, cancel := context.WithTimeout(ctx, 25*time.Millisecond)
	defer cancel()
	call := time.Since(h.began).Nanoseconds()
	var err error
	var r quota.Reservation
	switch n := random.IntN(20); {
	case n < 7:
		op.kind = "reserve"
		r, err = l.Reserve(ctx, quota.Request{ID: id, Subject: ann, Limits: h.limits, Amounts: quota.Amounts{OutputTokens: op.amount}})
	case n < 10:
		op.kind, op.amount = "extend", 1+random.Int64N(60)
		r, err = l.Extend(ctx, id, quota.Amounts{OutputTokens: op.amount})
	case n < 14:
		op.kind = "settle"
		var a quota.Amounts
		a, err = l.Settle(ctx, id, quota.Amounts{OutputTokens: op.amount})
		op.settled = a.OutputTokens
	case n < 16:
		op.kind, op.amount = "void", 0
		err = l.Void(ctx, id)
	case n < 18:
		h.expire(ctx, l, caller, call)
		return
	default:
		op.kind = "look"
		var standings []quota.Standing
		standings, err = l.Standings(ctx, ann, h.limits, time.Time{})
		if err == nil {
			r.Standings = standings
		}
	}
	if len(r.Standings) > 0 {
		op.used = r.Standings[0].Used
	}
	h.note(op, err, caller, call)
}

// expire notes each reservation that was reported as expired, and of a sweep without an answer each that may be.
func (h *history) expire(ctx context.Context, l *redis.Ledger, caller int, call int64) {
	ids, err := l.Expire(ctx, time.Time{})
	for _, text := range ids {
		_, number, _ := strings.Cut(text, "-")
		id, _ := strconv.Atoi(number)
		h.note(operation{kind: "expire", id: id}, nil, caller, call)
	}
	if err != nil && !errors.Is(err, redis.ErrEpoch) {
		for id := range shared {
			h.note(operation{kind: "expire", id: id}, err, caller, call)
		}
	}
}

func (h *history) note(op operation, err error, caller int, call int64) {
	end := time.Since(h.began).Nanoseconds()
	var e *quota.ExhaustedError
	switch {
	case err == nil:
		op.result = "ok"
	case errors.As(err, &e):
		op.result, op.used = "lacks", e.Standing.Used
	case errors.Is(err, quota.ErrResolved):
		op.result = "resolved"
	case errors.Is(err, quota.ErrUnknown):
		op.result = "unknown"
	case errors.Is(err, redis.ErrEpoch):
		return // changed nothing
	case errors.Is(err, redis.ErrUnreachable):
		op.result = "?"
		end = 1 << 60 // it may still be done, after everything else that is known
	default:
		h.t.Errorf("%s: %v", op.kind, err)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, porcupine.Operation{ClientId: caller, Input: op.kind, Call: call, Output: op, Return: end})
	if op.kind == "extend" && op.result == "ok" {
		// Where the first answer was lost the second says how things stand then: what it did and what it saw are two moments.
		seen := operation{kind: "look", id: op.id, result: "ok", used: op.used}
		h.all = append(h.all, porcupine.Operation{ClientId: caller, Input: seen.kind, Call: call, Output: seen, Return: end})
	}
	if op.result == "resolved" || op.kind == "extend" && op.result == "unknown" {
		// The client sent it twice, perhaps: the first did something, others ended that, and the second was told so.
		op.result = "?"
		h.all = append(h.all, porcupine.Operation{ClientId: caller, Input: op.kind, Call: call, Output: op, Return: 1 << 60})
	}
}
