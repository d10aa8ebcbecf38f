package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/demo/provider"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/testkit/redisproc"
)

// replicaKills is how often one of three is killed: ten times, fifty in the long campaign. Most of the test is the wait for
// leases to pass, which takes as long for one.
func replicaKills() int {
	if os.Getenv("PLUMBLINE_KILLS") != "" {
		return 50
	}
	return 10
}

// countedTogether are limits of everyone: those that only count show all that replicas posted, the hard ones bind.
var countedTogether = limited(
	"id: calls, scope: everyone, dimension: requests, window: month, value: 1000000000, enforcement: observe",
	"id: in, scope: everyone, dimension: input_tokens, window: month, value: 1000000000, enforcement: observe",
	"id: out, scope: everyone, dimension: output_tokens, window: month, value: 1000000000, enforcement: observe",
	"id: paid, scope: everyone, dimension: cost, window: month, value: 1000000000, enforcement: observe",
	"id: flight, scope: everyone, dimension: concurrency, window: none, value: 12",
	"id: hard, scope: user, dimension: tokens, window: month, value: 1000000000",
)

// replicas are three services, each behind an Envoy of its own, that count in one Redis.
type replicas struct {
	t      *testing.T
	each   []*server
	limits *quota.LimitSet
}

func startReplicas(t *testing.T) *replicas {
	t.Helper()
	redis := redisproc.Start(t)
	r := &replicas{t: t}
	upstream := ""
	for range 3 {
		s := serve(t, setup{
			objects: countedTogether, upstream: upstream, provider: provider.Options{ChunkPause: time.Millisecond},
			config: "quota: {ledger: redis}\nredis: {addresses: [\"" + redis.Addr + "\"]}\nshutdown: {grace: 2s}\n",
		})
		upstream = s.upstream
		r.each = append(r.each, s)
	}
	o, err := app.ParseObjects("objects.yaml", []byte(countedTogether))
	must(t, err)
	r.limits, err = quota.Compile(o.Limits)
	must(t, err)
	return r
}

// load has callers ask all replicas until ctx ends, and notes the exchanges whose answers came whole.
func (r *replicas) load(ctx context.Context, whole *sync.Map) *sync.WaitGroup {
	var callers sync.WaitGroup
	var trace atomic.Int64
	for i := range 6 {
		callers.Go(func() {
			s := r.each[i%len(r.each)]
			body := chatBody("gpt-4o-mini", onTask, map[string]any{"stream": i < 3})
			for ctx.Err() == nil {
				if exchange := s.wholeAnswer(ctx, body, trace.Add(1)); exchange != "" {
					whole.Store(exchange, true)
					continue
				}
				pause(ctx, 5*time.Millisecond) // it is for the next start
			}
		})
	}
	return &callers
}

// standings are those of the shared ledger, by limit.
func (r *replicas) standings() map[string]quota.Standing {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	ledger, err := app.OpenRedis(r.each[0].cfg.Redis, "a-reader")
	must(r.t, err)
	defer ledger.Close()
	_, err = ledger.Bind(ctx)
	must(r.t, err)
	subject := quota.Subject{User: "ann", Team: "support", App: "helpdesk", Model: "gpt-4o-mini"}
	all, err := ledger.Standings(ctx, subject, r.limits, time.Time{})
	must(r.t, err)
	byLimit := map[string]quota.Standing{}
	for _, s := range all {
		byLimit[s.Limit.ID] = s
	}
	return byLimit
}

// charged is what the audits of all replicas sum up to, and how many exchanges were closed as crashed.
func (r *replicas) charged() (sum quota.Amounts, crashed int) {
	r.t.Helper()
	for _, s := range r.each {
		s.everyRecord(func(rec core.Record) {
			if rec.Settled != nil {
				sum = sum.Add(quota.ChargeAmounts(*rec.Settled))
			}
			if rec.Finish == core.FinishCrashed {
				crashed++
			}
		})
	}
	return sum, crashed
}

// differs says where the shared ledger is not what the audits say, empty when it is.
func (r *replicas) differs() string {
	r.t.Helper()
	sum, _ := r.charged()
	var wrong []string
	for id, s := range r.standings() {
		want := sum.In(s.Limit.Dimension)
		if s.Posted != want || s.Used != s.Posted {
			wrong = append(wrong, fmt.Sprintf("%s: %d posted, %d pending, the records say %d", id, s.Posted, s.Used-s.Posted, want))
		}
	}
	return strings.Join(wrong, "; ")
}

// nothingHeld waits until nothing is held in the shared ledger any more: a lease, and the interval at which others look.
func (r *replicas) nothingHeld() {
	r.t.Helper()
	wait, cancel := context.WithTimeout(r.t.Context(), 45*time.Second)
	defer cancel()
	for held := int64(1); held != 0; pause(wait, 500*time.Millisecond) {
		held = 0
		for _, s := range r.standings() {
			held += s.Used - s.Posted
		}
		if wait.Err() != nil {
			r.t.Fatalf("after the leases have passed something is held: %v", r.standings())
		}
	}
}

// lostAndDoubled gives how many answers that callers got whole have no outcome of their own in the audits, and how many
// exchanges have more than one.
func (r *replicas) lostAndDoubled(whole *sync.Map) (answers, lost, doubled int) {
	r.t.Helper()
	outcomes, crashed := map[string]int{}, map[string]bool{}
	for _, s := range r.each {
		s.everyRecord(func(rec core.Record) {
			if rec.Kind == core.RecordOutcome {
				outcomes[rec.Exchange]++
				crashed[rec.Exchange] = rec.Finish == core.FinishCrashed
			}
		})
	}
	for _, n := range outcomes {
		if n > 1 {
			doubled++
		}
	}
	for id := range whole.Range {
		answers++
		if id := id.(string); outcomes[id] == 0 || crashed[id] {
			lost++
		}
	}
	return answers, lost, doubled
}

// tellOfStreams opens streams that the shared ledger holds, and waits until it was told how far they are. Where a busy machine
// had Redis answer too late meanwhile, so that the replica left it, that was not so: other streams are opened then.
func (s *server) tellOfStreams(ctx context.Context, n int) (closeAll func()) {
	s.t.Helper()
	left := func() int { return strings.Count(s.log.String(), "the quota ledger cannot be asked") }
	for range 10 {
		before := left()
		streams := make([]*stream, n)
		for i := range streams {
			streams[i] = s.open(s.chatCall(chatBody(provider.ModelLong, onTask, streamed)))
			streams[i].until(`"content":`)
		}
		closeAll = func() {
			for _, one := range streams {
				one.close()
			}
		}
		pause(ctx, 3*time.Second) // progress is told every two
		if left() == before {
			return closeAll
		}
		closeAll()
	}
	s.t.Fatal("Redis answered too late again and again: the machine is too busy for this test")
	return nil
}

// TestKillAReplicaUnderLoad kills one of three replicas again and again while callers use all of them. When the leases have
// passed nothing is held, also where one never comes back; what it had open is charged as far as it had told by then. Once it
// does come back, what is posted is what the audits say, no answer is without its charge, and none is charged twice.
func TestKillAReplicaUnderLoad(t *testing.T) {
	t.Parallel()
	r := startReplicas(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var whole sync.Map
	callers := r.load(ctx, &whole)
	for range replicaKills() - 1 {
		pause(ctx, time.Duration(300+rand.IntN(700))*time.Millisecond)
		s := r.each[rand.IntN(len(r.each))]
		s.process.kill()
		s.start()
	}
	// The last one has streams open for long enough to have told how far they are, and stays away: another ends what it held.
	last := r.each[rand.IntN(len(r.each))]
	defer last.tellOfStreams(ctx, 3)()
	last.process.kill()
	pause(ctx, 300*time.Millisecond) // the others go on
	stop()
	callers.Wait()

	r.nothingHeld()
	sum, _ := r.charged()
	told := r.standings()["out"].Posted - sum.OutputTokens
	if told < 300 || told > 3*4000 { // three streams of a word in a little more than a millisecond each
		t.Errorf("what was open was charged %d tokens by others", told)
	}
	last.start()
	eventually(t, "the shared ledger is what the audits say", func() bool { return r.differs() == "" })
	sum, crashed := r.charged()
	answers, lost, doubled := r.lostAndDoubled(&whole)
	if crashed < 3 || answers < 20 {
		t.Errorf("%d whole answers, %d exchanges closed as crashed: too few to prove anything", answers, crashed)
	}
	if lost != 0 || doubled != 0 {
		t.Errorf("of %d whole answers %d have no charge, and %d exchanges have two", answers, lost, doubled)
	}
	t.Logf("%d kills: %d whole answers, %d closed as crashed, %d tokens charged by others meanwhile, %+v charged in all; 0 pending, %d lost, %d doubled",
		replicaKills(), answers, crashed, told, sum, lost, doubled)
}
