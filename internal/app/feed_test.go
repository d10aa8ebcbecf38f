package app

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/calibrate"
	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/gate"
	"github.com/plumbline/plumbline/internal/identity"
	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/testkit/pgproc"
	"github.com/plumbline/plumbline/internal/testkit/redisproc"
	"github.com/plumbline/plumbline/internal/wait"
)

// twoReplicas are two Plumblines that share a Postgres and a Redis: changes are made at the first, and have to hold at the
// second.
type twoReplicas struct {
	t      *testing.T
	redis  *redisproc.Server
	db     *pgproc.Database
	a, b   *App
	verify gate.Authenticator // of b
}

// startTwo starts both, until the end of the test.
func startTwo(t *testing.T, server *pgproc.Server) *twoReplicas {
	t.Helper()
	r := &twoReplicas{t: t, redis: redisproc.StartTCP(t)}
	var cfg config.Config
	cfg, r.db = onPostgres(t, server, nil)
	cfg.Quota.Ledger, cfg.Redis.Addresses = config.LedgerRedis, []string{r.redis.Addr}
	for _, app := range []**App{&r.a, &r.b} {
		own := testConfig(t, nil)
		own.Postgres, own.Quota, own.Redis = cfg.Postgres, cfg.Quota, cfg.Redis
		own.Feed.MaxStaleness = 3 * time.Second
		var stop func()
		*app, stop = running(t, own)
		t.Cleanup(stop)
	}
	var err error
	if r.verify, err = r.b.newAuthenticator(); err != nil {
		t.Fatal(err)
	}
	r.must(r.a.store.Apply(t.Context(), store.Objects{Apps: []core.App{{ID: "ide"}}}))
	return r
}

func (r *twoReplicas) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// passes reports whether the second replica lets a credential in.
func (r *twoReplicas) passes(credential string) bool {
	_, denied := r.verify.Authenticate(r.t.Context(), identity.Evidence{Authorization: []string{"Bearer " + credential}})
	return denied == nil
}

// until waits for the second replica, and gives for how long.
func (r *twoReplicas) until(what string, holds func() bool) time.Duration {
	r.t.Helper()
	began := time.Now()
	for ; !holds(); <-time.After(200 * time.Microsecond) {
		if time.Since(began) > 20*time.Second {
			r.t.Fatalf("%s does not reach the other replica", what)
		}
	}
	return time.Since(began)
}

// steps is how many times the machine can hold up what another replica does about a change, or a process that stops: to be
// woken, to look, to read, to put in force, to ask.
const steps = 5

// heldUp measures, until the end of the test, how long the machine holds up a step that takes next to no time, and gives the
// worst so far. A promise about time is only as good as the machine: who checks one allows for steps as long as this.
func heldUp(t *testing.T, step func()) (worst func() time.Duration) {
	t.Helper()
	const pause = 10 * time.Millisecond
	var most atomic.Int64
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for began := time.Now(); wait.For(ctx, pause) == nil; began = time.Now() {
			step()
			most.Store(max(most.Load(), int64(time.Since(began)-pause)))
		}
	}()
	t.Cleanup(func() {
		stop()
		<-done
	})
	return func() time.Duration { return time.Duration(most.Load()) }
}

// looksHeldUp is how the machine holds up looks at the store.
func looksHeldUp(t *testing.T, st store.Store) (worst func() time.Duration) {
	t.Helper()
	return heldUp(t, func() { _, _ = st.Version(context.WithoutCancel(t.Context())) })
}

func (r *twoReplicas) user(id string) {
	r.t.Helper()
	r.must(r.a.store.Users().Put(r.t.Context(), core.User{ID: id}))
}

// key gives a key of the user's, once it is good at the second replica.
func (r *twoReplicas) key(user string) (plain, id string) {
	r.t.Helper()
	plain, key, err := CreateKey(r.t.Context(), r.a.store, "ide", user, time.Hour)
	r.must(err)
	r.until("a key", func() bool { return r.passes(plain) })
	return plain, key.ID
}

// token gives a token of the user's, once it is good at the second replica.
func (r *twoReplicas) token(user, session string) (plain, id string) {
	r.t.Helper()
	plain, kept, err := IssueToken(r.t.Context(), r.a.store, r.a.cfg.Identity, identity.IssueRequest{User: user, Session: session, Lifetime: time.Hour})
	r.must(err)
	r.until("a token", func() bool { return r.passes(plain) })
	return plain, kept.ID
}

// kindsOfChange are those of which the promise is that they hold within a second. Each sets something up in the name of a
// user who is new, and gives the change and how it is seen that it holds.
var kindsOfChange = map[string]func(r *twoReplicas, user string) (change func() error, holds func() bool){
	"a user is blocked": func(r *twoReplicas, user string) (func() error, func() bool) {
		key, _ := r.key(user)
		return func() error { return BlockUser(r.t.Context(), r.a.store, user, true) }, func() bool { return !r.passes(key) }
	},
	"a user is let in again": func(r *twoReplicas, user string) (func() error, func() bool) {
		key, _ := r.key(user)
		r.must(BlockUser(r.t.Context(), r.a.store, user, true))
		r.until("a block", func() bool { return !r.passes(key) })
		return func() error { return BlockUser(r.t.Context(), r.a.store, user, false) }, func() bool { return r.passes(key) }
	},
	"a user is deleted": func(r *twoReplicas, user string) (func() error, func() bool) {
		token, _ := r.token(user, "")
		return func() error { return r.a.store.Users().Delete(r.t.Context(), user) }, func() bool { return !r.passes(token) }
	},
	"a key is revoked": func(r *twoReplicas, user string) (func() error, func() bool) {
		key, id := r.key(user)
		return func() error { return RevokeKey(r.t.Context(), r.a.store, id) }, func() bool { return !r.passes(key) }
	},
	"a token is revoked": func(r *twoReplicas, user string) (func() error, func() bool) {
		token, id := r.token(user, "")
		return r.revoke(core.Revocation{TokenID: id}), func() bool { return !r.passes(token) }
	},
	"a session is ended": func(r *twoReplicas, user string) (func() error, func() bool) {
		token, _ := r.token(user, "session of "+user)
		return r.revoke(core.Revocation{Session: "session of " + user}), func() bool { return !r.passes(token) }
	},
	"all tokens of a user are revoked": func(r *twoReplicas, user string) (func() error, func() bool) {
		token, _ := r.token(user, "")
		return r.revoke(core.Revocation{Subject: user}), func() bool { return !r.passes(token) }
	},
	"a signing key is new": func(r *twoReplicas, user string) (func() error, func() bool) {
		var token string
		return func() error {
			_, err := RotateSigningKey(r.t.Context(), r.a.store, r.a.cfg.Identity, identity.AlgEdDSA)
			if err == nil {
				token, _, err = IssueToken(r.t.Context(), r.a.store, r.a.cfg.Identity, identity.IssueRequest{User: user, Lifetime: time.Hour})
			}
			return err
		}, func() bool { return r.passes(token) }
	},
	"a task is assigned": func(r *twoReplicas, user string) (func() error, func() bool) {
		task := core.Task{ID: "task-of-" + user, Title: "Refunds", Users: []string{user}}
		return func() error { return r.a.store.Tasks().Put(r.t.Context(), task) }, func() bool { return r.tasks(user) == 1 }
	},
	"a task is taken away": func(r *twoReplicas, user string) (func() error, func() bool) {
		task := core.Task{ID: "task-of-" + user, Title: "Refunds", Users: []string{user}}
		r.must(r.a.store.Tasks().Put(r.t.Context(), task))
		r.until("a task", func() bool { return r.tasks(user) == 1 })
		task.Users = nil
		return func() error { return r.a.store.Tasks().Put(r.t.Context(), task) }, func() bool { return r.tasks(user) == 0 }
	},
	"a policy is applied": func(r *twoReplicas, user string) (func() error, func() bool) {
		var kept core.PolicyVersion
		return func() error {
			kept = apply(r.t, r.a.cfg, r.a.store, aPolicy(user))
			return nil
		}, func() bool { return r.b.policy.inForce().Version() == kept.Version }
	},
	"a calibration is made": func(r *twoReplicas, user string) (func() error, func() bool) {
		task := r.labelled(user)
		var made core.Calibration
		return func() (err error) {
			made, err = MakeCalibration(r.t.Context(), r.a.store, r.a.scorer.Version(), half, time.Now())
			return err
		}, func() bool { j := r.judged(task); return j.P != nil && j.Version == made.ID }
	},
	"a calibration is demoted": func(r *twoReplicas, user string) (func() error, func() bool) {
		task := r.labelled(user)
		made, err := MakeCalibration(r.t.Context(), r.a.store, r.a.scorer.Version(), half, time.Now())
		r.must(err)
		r.until("a calibration", func() bool { return r.judged(task).Version == made.ID })
		made.Demoted = time.Now().UTC().Truncate(time.Microsecond)
		return func() error { return r.a.store.Calibrations().Put(r.t.Context(), made) }, func() bool { j := r.judged(task); return j.P == nil && j.N > 0 }
	},
	"a limit is set": func(r *twoReplicas, user string) (func() error, func() bool) {
		limit := quota.Limit{
			ID: "limit-of-" + user, Scope: quota.ScopeUser, Subject: user, Dimension: quota.DimensionRequests, Window: quota.WindowDay, Value: 1,
		}
		return func() error { return r.a.store.Limits().Put(r.t.Context(), limit) }, func() bool {
			of := quota.Subject{User: user, App: "ide", Model: "m"}
			return len(r.b.wantedLimits().AppendMatches(nil, of, time.Now())) == 1
		}
	},
}

// aPolicy is a document that no other user has put in force.
func aPolicy(user string) string { return "version: 1\nnotice_url: https://example.com/" + user + "\n" }

func (r *twoReplicas) revoke(what core.Revocation) func() error {
	return func() error {
		return RevokeToken(store.WithActor(r.t.Context(), "test"), r.a.store, r.a.cfg.Identity, what)
	}
}

// half is a promise for which five labels are enough.
const half = 0.5

// labelled gives a task that is new, with as many labels as half needs.
func (r *twoReplicas) labelled(user string) (task string) {
	r.t.Helper()
	ctx := r.t.Context()
	t := core.Task{ID: "task-of-" + user, Title: "Refunds", Users: []string{user}}
	r.must(r.a.store.Tasks().Put(ctx, t))
	for i := range calibrate.Enough(half) {
		s := core.Sample{
			Exchange: fmt.Sprint(user, i), Drawn: time.Now().UTC(), Task: t.ID, Text: calibrate.TextVersion(t), Model: r.model(), Score: 0.5, Place: 1,
		}
		r.must(r.a.store.Labels().Draw(ctx, s))
		r.must(r.a.store.Labels().Put(ctx, core.Label{Sample: s, By: "eve", Approved: "eve", OnTask: true, At: s.Drawn}))
	}
	return t.ID
}

func (r *twoReplicas) model() string {
	scorer, err := deviation.Default()
	r.must(err)
	return scorer.Version()
}

// judged is what the second replica says of a prompt on a task.
func (r *twoReplicas) judged(task string) calibrate.Judged {
	v, err := r.b.people.inForce()
	r.must(err)
	return v.Calibration().Judge(&core.Deviation{Task: task, Score: 0.9, Model: r.model()}, calibrate.Enough(half))
}

// tasks is how many tasks of a user are in force at the second replica.
func (r *twoReplicas) tasks(user string) int {
	v, err := r.b.people.inForce()
	r.must(err)
	return len(v.Tasks(core.Principal{User: user}))
}

// TestEveryChangeHoldsWithinASecond: at the replica where it was not made, with Redis, which only makes it sooner, and
// without.
func TestEveryChangeHoldsWithinASecond(t *testing.T) {
	r := startTwo(t, pgproc.Shared(t))
	worst := looksHeldUp(t, r.a.store)
	every := func(redis string) {
		for name, kind := range kindsOfChange {
			user := strings.ToLower(strings.ReplaceAll(name+" "+redis, " ", "-"))
			r.user(user)
			change, holds := kind(r, user)
			r.must(change())
			took := r.until(name, holds)
			if took > time.Second+steps*worst() {
				t.Errorf("%s, %s: it holds after %s; the machine held up a look for %s", name, redis, took, worst())
			}
			t.Logf("%s, %s: %s", name, redis, took.Round(100*time.Microsecond))
		}
	}
	r.awaitBell()
	every("with Redis")
	r.redis.Pause()
	every("Redis hangs")
	r.redis.Kill()
	every("without Redis")
	r.redis.Restart(t)
	r.awaitBell() // by themselves
}

// awaitBell waits until the second replica listens.
func (r *twoReplicas) awaitBell() {
	r.t.Helper()
	await(r.t, "the second replica listens", func() bool {
		return fmt.Sprint(r.redis.Do(r.t, "PUBSUB", "NUMSUB", "{plumbline}:3:changed")) == "[{plumbline}:3:changed 2]"
	})
}

// blocks is how many are measured each way.
const blocks = 40

// TestBlocksReachTheOtherReplica measures how long a block takes from its commit at one replica to the other.
func TestBlocksReachTheOtherReplica(t *testing.T) {
	r := startTwo(t, pgproc.Shared(t))
	worst := looksHeldUp(t, r.a.store)
	r.awaitBell()
	r.user("ann")
	measure := func(name string) []time.Duration {
		var all []time.Duration
		for i := range blocks {
			blocked := i%2 == 0
			r.must(BlockUser(t.Context(), r.a.store, "ann", blocked))
			all = append(all, r.until("a block", func() bool { u, _ := r.b.directory.Snapshot().User("ann"); return u.Blocked == blocked }))
			<-time.After(time.Duration(i*7%50) * time.Millisecond) // at another moment between two polls each time
		}
		slices.Sort(all)
		t.Logf("%s: p50 %s, p99 %s of %d", name, all[blocks/2].Round(100*time.Microsecond), all[blocks*99/100].Round(100*time.Microsecond), blocks)
		if latest := all[blocks-1]; latest > time.Second+steps*worst() {
			t.Errorf("%s: a block holds after %s; the machine held up a look for %s", name, latest, worst())
		}
		return all
	}
	woken := measure("with Redis")
	if median := woken[blocks/2]; median > 100*time.Millisecond+steps*worst() {
		t.Errorf("with Redis half of the blocks take longer than %s: nobody is woken; the machine held up a look for %s", median, worst())
	}
	r.redis.Kill()
	measure("without Redis")
	r.redis.Restart(t)
	r.awaitBell()
}

// TestForgedWakes: whoever may publish can have replicas look at the version, fifty times in a second and no more often.
func TestForgedWakes(t *testing.T) {
	server := pgproc.Start(t, pgproc.Options{Settings: []string{"log_statement = all"}})
	r := startTwo(t, server)
	r.awaitBell()
	log := func() int { return strings.Count(server.Log(), "SELECT version FROM plumbline.feed") }
	client := r.redis.Client()
	defer client.Close()
	before, began := log(), time.Now()
	looks, sent := 0, 0
	for ; looks < 10 || time.Since(began) < 2*time.Second; sent++ {
		if time.Since(began) > time.Minute {
			t.Fatalf("%d forged wakes: %d looks", sent, looks)
		}
		if err := client.Publish(context.Background(), "{plumbline}:3:changed", strings.Repeat("block nobody", 100)).Err(); err != nil {
			t.Fatal(err)
		}
		if sent%100 == 0 { // the whole log is read
			looks = log() - before
		}
	}
	looks = log() - before
	perReplica := float64(looks) / 2 / time.Since(began).Seconds()
	most := float64(time.Second/store.WakePause) + 3
	if perReplica > most {
		t.Errorf("%d forged wakes: %.0f looks in a second, want %.0f at most", sent, perReplica, most)
	}
	t.Logf("%d forged wakes: %.0f looks in a second of each replica", sent, perReplica)
}

// TestFeedTooOld: a replica that has not seen the feed for too long refuses, and goes on by itself; what was blocked
// meanwhile holds from its first answer on. Redis is no way around that.
func TestFeedTooOld(t *testing.T) {
	server := pgproc.Start(t, pgproc.Options{Fsync: true})
	r := startTwo(t, server)
	r.awaitBell()
	r.user("ann")
	r.until("ann", func() bool { _, known := r.b.directory.Snapshot().User("ann"); return known })
	server.Pause()
	client := r.redis.Client()
	defer client.Close()
	await(t, "what is known becomes too old", func() bool {
		if err := client.Publish(context.Background(), "{plumbline}:3:changed", "").Err(); err != nil {
			t.Fatal(err)
		}
		_, err := r.b.people.inForce()
		return err != nil
	})
	if status, body := get(t, r.b.OpsURL()+"/readyz"); status != 503 || !strings.Contains(body, "could not be refreshed") {
		t.Errorf("ready says %d %s", status, body)
	}
	server.Resume()
	r.must(BlockUser(t.Context(), r.a.store, "ann", true))
	await(t, "the replica goes on", func() bool { _, err := r.b.people.inForce(); return err == nil })
	r.until("the block", func() bool { u, _ := r.b.directory.Snapshot().User("ann"); return u.Blocked })
}
