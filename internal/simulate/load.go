package simulate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
)

const (
	// Prices of one token, in micro-dollars.
	inputPrice, outputPrice = 1, 4
	// speed is how fast answers come, in tokens a second; firstToken how long the first takes.
	speed      = 80
	firstToken = 300 * time.Millisecond
	// modelMax is the most that a model puts out. An answer of that length ends within the sliding minute.
	modelMax = 4096
	// framing is what a request reserves beyond the tokens of its prompt.
	framing = 16
	// In the first burstLength of each minute burst times as many calls come as in the rest.
	burst       = 3.0
	burstLength = time.Second
	// hangUps is the share of callers who leave before the answer has ended.
	hangUps = 0.05
)

// change is when all calendar windows change: midnight on the Monday that a month begins with.
var change = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

// shape is what a caller asks for and what the provider would answer. It does not depend on the model of the simulation.
type shape struct {
	user          int
	route         uint64 // picks the replica
	input, output int64  // tokens; output is what the answer has if nobody ends it
	max           int64  // what the caller allows, at most
	stays         int64  // output tokens after which the caller leaves, output if never
	stream        bool
	reasoning     bool
}

// load draws calls. Two loads of one seed draw the same.
type load struct {
	rng      *rand.Rand
	users    *rand.Zipf
	base     float64 // calls a second outside bursts
	start    time.Time
	next     time.Duration
	duration time.Duration
}

func newLoad(o Options) *load {
	rng := rand.New(rand.NewPCG(o.Seed, 1)) //nolint:gosec // made-up traffic must be the same for a seed
	return &load{
		rng: rng, users: rand.NewZipf(rng, 1.05, 50, uint64(o.Users-1)),
		base:  o.Rate / (1 + (burst-1)*burstLength.Minutes()),
		start: change.Add(-o.Duration / 4), duration: o.Duration,
	}
}

// arrival gives the time of the next call; false if the traffic is over.
func (l *load) arrival() (time.Duration, bool) {
	rate := l.base
	if at := l.start.Add(l.next); at.Sub(at.Truncate(time.Minute)) < burstLength {
		rate *= burst
	}
	l.next += time.Duration(l.rng.ExpFloat64() / rate * float64(time.Second))
	return l.next, l.next < l.duration
}

func (l *load) shape() shape {
	c := shape{user: int(l.users.Uint64()), route: l.rng.Uint64()}
	c.input = 1 + int64(l.lognormal(400, 1))
	kind := l.rng.Float64()
	c.stream, c.reasoning = kind < 0.7, kind >= 0.9
	c.max = []int64{512, 1024, 2048, modelMax}[l.rng.IntN(4)]
	c.output = min(c.max, 1+int64(l.lognormal(300, 1)))
	c.stays = c.output
	if l.rng.Float64() < hangUps {
		c.stays = l.rng.Int64N(c.output + 1)
	}
	return c
}

// lognormal draws a length with a median, at most 30 times it.
func (l *load) lognormal(median, sigma float64) float64 {
	return median * min(30, math.Exp(sigma*l.rng.NormFloat64()))
}

// wants gives what a call reserves before it is forwarded.
func (c *shape) wants() quota.Amounts {
	output, _ := quota.OutputReservation(quota.Output{
		ModelMax: modelMax, ClientMax: c.max, Reasoning: c.reasoning, Stream: c.stream,
	})
	return amounts(c.input+framing, output)
}

// uses gives what a call has used when output tokens of its answer were delivered.
func (c *shape) uses(output int64) quota.Amounts { return amounts(c.input, output) }

// mostUsed gives what the call uses if nobody but its caller ends it. A caller of a call that does not stream, who leaves
// early, gets nothing of the answer.
func (c *shape) mostUsed() quota.Amounts {
	if !c.stream && c.stays < c.output {
		return c.uses(0)
	}
	return c.uses(c.stays)
}

func amounts(input, output int64) quota.Amounts {
	return quota.Amounts{
		Requests: 1, InputTokens: input, OutputTokens: output,
		Cost: core.MicroUSD(input*inputPrice + output*outputPrice),
	}
}

// people are the names of users, teams and apps.
type people struct{ users, teams []string }

func newPeople(o Options) *people {
	p := &people{users: make([]string, o.Users), teams: make([]string, o.Teams)}
	for i := range p.users {
		p.users[i] = fmt.Sprintf("user-%d", i)
	}
	for i := range p.teams {
		p.teams[i] = fmt.Sprintf("team-%d", i)
	}
	return p
}

// subject gives whom a call of a user counts for. Every team has its share of the busiest.
func (p *people) subject(user int) quota.Subject {
	return quota.Subject{User: p.users[user], Team: p.teams[user%len(p.teams)], App: "app", Model: "model"}
}

// DefaultLimits gives limits that bind under the load of the options: a budget for everyone, budgets and rates of teams,
// and what one user may use in a minute and have in flight.
func DefaultLimits(o Options) []quota.Limit {
	const sample = 20_000
	var tokens, cost float64
	for l, i := newLoad(o), 0; i < sample; i++ {
		s := l.shape()
		used := s.mostUsed()
		tokens += float64(used.InputTokens+used.OutputTokens) / sample
		cost += float64(used.Cost) / sample
	}
	calls := o.Rate * o.Duration.Seconds() * 3 / 4 // after the change of windows
	each := calls / float64(o.Teams)
	value := func(v float64) int64 { return max(1, min(int64(v), quota.MaxValue)) }
	return []quota.Limit{
		{ID: "everyone-cost", Scope: quota.ScopeEveryone, Dimension: quota.DimensionCost, Window: quota.WindowDay, Value: value(0.6 * calls * cost)},
		{ID: "team-tokens", Scope: quota.ScopeTeam, Dimension: quota.DimensionTokens, Window: quota.WindowHour, Value: value(0.7 * each * tokens)},
		{ID: "team-requests", Scope: quota.ScopeTeam, Dimension: quota.DimensionRequests, Window: quota.WindowMinute, Value: value(0.9 * o.Rate / float64(o.Teams) * min(o.Duration, time.Minute).Seconds())},
		{ID: "user-tokens", Scope: quota.ScopeUser, Dimension: quota.DimensionTokens, Window: quota.WindowMinute, Value: value(400 * tokens)},
		{ID: "user-concurrency", Scope: quota.ScopeUser, Dimension: quota.DimensionConcurrency, Window: quota.WindowNone, Value: 128},
	}
}
