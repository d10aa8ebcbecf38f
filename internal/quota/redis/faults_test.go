package redis_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/quota/redis"
	"github.com/plumbline/plumbline/internal/testkit/redisproc"
)

var (
	ctx  = context.Background()
	ann  = quota.Subject{User: "ann", Team: "red", Model: "gpt-5"}
	some = quota.Amounts{Requests: 1, InputTokens: 10, OutputTokens: 100, Cost: 1000}
)

// open makes a ledger that works in the epoch in force.
func open(t testing.TB, o redis.Options) *redis.Ledger {
	t.Helper()
	l, err := redis.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	if _, err := l.Bind(ctx); err != nil {
		t.Fatal(err)
	}
	return l
}

func on(s *redisproc.Server, book string) redis.Options {
	return redis.Options{Addrs: []string{s.Addr}, Book: book}
}

// tokensADay is one hard limit on each user.
func tokensADay(t testing.TB, value int64) *quota.LimitSet {
	t.Helper()
	set, err := quota.Compile([]quota.Limit{{
		ID: "day", Scope: quota.ScopeUser, Dimension: quota.DimensionTokens, Window: quota.WindowDay, Value: value,
	}})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func request(id string, limits *quota.LimitSet) quota.Request {
	return quota.Request{ID: id, Subject: ann, Amounts: some, Limits: limits}
}

func reserve(t testing.TB, l *redis.Ledger, id string, limits *quota.LimitSet) quota.Reservation {
	t.Helper()
	r, err := l.Reserve(ctx, request(id, limits))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// wantUsed checks what is used and posted under each limit that matches ann.
func wantUsed(t testing.TB, l *redis.Ledger, limits *quota.LimitSet, used, posted int64) {
	t.Helper()
	standings, err := l.Standings(ctx, ann, limits, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range standings {
		if s.Used != used || s.Posted != posted {
			t.Errorf("%s: used %d, posted %d, want %d and %d", s.Limit.ID, s.Used, s.Posted, used, posted)
		}
	}
}

// wantAdvice checks that an operation failed because of the server, and says what to do.
func wantAdvice(t testing.TB, err error, words string) {
	t.Helper()
	if !errors.Is(err, redis.ErrUnreachable) || !strings.Contains(err.Error(), words) {
		t.Errorf("got %v, want ErrUnreachable that says %q", err, words)
	}
}

// key gives the one key that matches a pattern.
func key(t testing.TB, s *redisproc.Server, pattern string) string {
	t.Helper()
	keys, ok := s.Do(t, "keys", pattern).([]any)
	if !ok || len(keys) != 1 {
		t.Fatalf("%d keys match %s, want 1", len(keys), pattern)
	}
	return fmt.Sprint(keys[0])
}

func TestForeignKeysAreLeftAlone(t *testing.T) {
	server := redisproc.Start(t)
	for _, tt := range []struct{ name, pattern string }{
		{"account", "*:a:*"}, {"live reservations", "*:live"}, {"reservation", "*:r:b"},
	} {
		for _, kind := range []string{"list", "text"} {
			if kind == "text" && tt.name == "live reservations" {
				continue // no more than the list
			}
			t.Run(tt.name+"/"+kind, func(t *testing.T) {
				server.Do(t, "flushall")
				l, limits := open(t, on(server, "one")), tokensADay(t, 1000)
				reserve(t, l, "b", limits)
				k := key(t, server, tt.pattern)
				server.Do(t, "del", k)
				if kind == "list" {
					server.Do(t, "rpush", k, "theirs")
				} else {
					server.Do(t, "set", k, "theirs")
				}
				before := dump(t, server)
				for _, err := range notOurs(l, limits, tt.name+"/"+kind) {
					wantAdvice(t, err, "is not of Plumbline: remove it")
				}
				if diff := cmp.Diff(before, dump(t, server)); diff != "" {
					t.Errorf("a refused call changed keys (-before +after):\n%s", diff)
				}
			})
		}
	}
	t.Run("reservation to come", func(t *testing.T) {
		server.Do(t, "flushall")
		l, limits := open(t, on(server, "one")), tokensADay(t, 1000)
		reserve(t, l, "b", limits)
		server.Do(t, "rpush", strings.TrimSuffix(key(t, server, "*:r:b"), "b")+"c", "theirs")
		before := dump(t, server)
		_, err := l.Reserve(ctx, request("c", limits))
		wantAdvice(t, err, "is not of Plumbline: remove it")
		if diff := cmp.Diff(before, dump(t, server)); diff != "" {
			t.Errorf("a refused call changed keys (-before +after):\n%s", diff)
		}
	})
	for _, k := range []string{"epoch", "books", "state"} {
		t.Run(k, func(t *testing.T) {
			server.Do(t, "flushall")
			server.Do(t, "rpush", "{plumbline}:3:"+k, "theirs")
			l, err := redis.New(on(server, "one"))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = l.Close() }()
			_, err = l.Bind(ctx)
			wantAdvice(t, err, "is not of Plumbline: remove it")
		})
	}
}

// notOurs gives the errors of calls that meet a stranger's key.
func notOurs(l *redis.Ledger, limits *quota.LimitSet, name string) (errs []error) {
	if strings.HasPrefix(name, "reservation") {
		_, err := l.Reserve(ctx, request("b", limits))
		return []error{err}
	}
	_, reserve := l.Reserve(ctx, request("c", limits))
	_, extend := l.Extend(ctx, "b", quota.Amounts{OutputTokens: 105})
	_, settle := l.Settle(ctx, "b", some)
	errs = []error{reserve, extend, settle}
	if strings.HasPrefix(name, "account") {
		errs = append(errs, l.Post(ctx, 0, 1, posting(limits, l.Now(), 0, 5)))
	}
	if name == "account/list" { // of a text the replica sees that it is no account
		_, look := l.Standings(ctx, ann, limits, time.Time{})
		errs = append(errs, look)
	}
	return errs
}

// dump gives the value of every key.
func dump(t testing.TB, s *redisproc.Server) map[string]string {
	t.Helper()
	all := map[string]string{}
	keys, _ := s.Do(t, "keys", "*").([]any)
	for _, k := range keys {
		all[fmt.Sprint(k)] = fmt.Sprint(s.Do(t, "dump", k))
	}
	return all
}

func TestOutOfMemory(t *testing.T) {
	server := redisproc.Start(t)
	l, limits := open(t, on(server, "one")), tokensADay(t, 1000)
	reserve(t, l, "a", limits)
	server.Do(t, "config", "set", "maxmemory", "1")
	before := dump(t, server)
	_, err := l.Reserve(ctx, request("b", limits))
	wantAdvice(t, err, "raise its maxmemory")
	if diff := cmp.Diff(before, dump(t, server)); diff != "" {
		t.Errorf("changed (-before +after):\n%s", diff)
	}
	if _, err := l.Settle(ctx, "a", some); err != nil {
		t.Errorf("what is held must be settled all the same: %v", err)
	}
	wantUsed(t, l, limits, 110, 110)
}

func TestReadOnlyReplica(t *testing.T) {
	server := redisproc.Start(t)
	l, limits := open(t, on(server, "one")), tokensADay(t, 1000)
	server.Do(t, "replicaof", "127.0.0.1", "1")
	_, err := l.Reserve(ctx, request("a", limits))
	wantAdvice(t, err, "read-only replica")
	if err := l.Check(ctx); err == nil || !strings.Contains(err.Error(), "name its primary") {
		t.Errorf("Check = %v", err)
	}
}

func TestWrongPassword(t *testing.T) {
	server := redisproc.Start(t, "--requirepass", "right")
	for password, words := range map[string]string{"": "set one", "wrong": "set them right"} {
		o := on(server, "one")
		o.Password = password
		l, err := redis.New(o)
		if err != nil {
			t.Fatal(err)
		}
		_, err = l.Bind(ctx)
		wantAdvice(t, err, words)
		if password != "" && strings.Contains(err.Error(), password) && !strings.Contains(err.Error(), "WRONGPASS") {
			t.Errorf("the error shows the password: %v", err)
		}
		_ = l.Close()
	}
	o := on(server, "one")
	o.Password = "right"
	open(t, o)
}

func TestScriptsComeBack(t *testing.T) {
	server := redisproc.Start(t)
	l, limits := open(t, on(server, "one")), tokensADay(t, 1000)
	for _, step := range []func(){
		func() { reserve(t, l, "a", limits) },
		func() { _, _ = l.Extend(ctx, "a", quota.Amounts{OutputTokens: 5}) },
		func() { _, _ = l.Settle(ctx, "a", some) },
	} {
		server.Do(t, "function", "flush")
		step()
	}
	wantUsed(t, l, limits, 110, 110)
}

// A server that does not answer costs the caller its deadline; what it did meanwhile is not done twice.
func TestSlowServer(t *testing.T) {
	server := redisproc.Start(t)
	l, limits := open(t, on(server, "one")), tokensADay(t, 1000)
	reserve(t, l, "warm", limits)
	server.Pause()
	short, cancel := context.WithTimeout(ctx, 25*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := l.Reserve(short, request("a", limits))
	wantAdvice(t, err, "no answer in time")
	if d := time.Since(began); d > 2*time.Second {
		t.Errorf("the caller waited for %v on a deadline of 25 ms", d)
	}
	server.Resume()
	reserve(t, l, "a", limits)
	wantUsed(t, l, limits, 220, 0)
	if n, err := l.Pending(ctx); err != nil || n != 2 {
		t.Errorf("%d pending, %v, want 2", n, err)
	}
}

func TestEvictionIsRefused(t *testing.T) {
	for policy, fit := range map[string]bool{"noeviction": true, "allkeys-lru": false, "volatile-ttl": false} {
		server := redisproc.Start(t, "--maxmemory-policy", policy)
		l := open(t, on(server, "one"))
		if err := l.Check(ctx); (err == nil) != fit || !fit && !strings.Contains(err.Error(), "Set it to noeviction") {
			t.Errorf("%s: Check = %v", policy, err)
		}
	}
}

// Whoever did not make a reservation finds its counters and limits with the server.
func TestOtherReplicas(t *testing.T) {
	server := redisproc.Start(t)
	one, two, limits := open(t, on(server, "one")), open(t, on(server, "two")), tokensADay(t, 150)
	first := reserve(t, one, "a", limits)
	if diff := cmp.Diff(first, reserve(t, two, "a", limits)); diff != "" {
		t.Errorf("a repeat elsewhere (-first +second):\n%s", diff)
	}
	three := open(t, on(server, "three"))
	_, err := three.Extend(ctx, "a", quota.Amounts{OutputTokens: 141})
	var e *quota.ExhaustedError
	if !errors.As(err, &e) || e.Standing.Limit.ID != "day" || e.Standing.Used != 110 || e.Never() {
		t.Errorf("Extend = %v, want a refusal", err)
	}
	if r, err := three.Extend(ctx, "a", quota.Amounts{OutputTokens: 140}); err != nil || r.Held.OutputTokens != 140 {
		t.Errorf("Extend = %+v, %v", r, err)
	}
	if _, err := three.Settle(ctx, "a", some); err != nil {
		t.Error(err)
	}
	wantUsed(t, one, limits, 110, 110)
	if used, err := one.Settle(ctx, "a", quota.Amounts{}); err != nil || used != some {
		t.Errorf("second Settle = %+v, %v", used, err)
	}
}

func TestOneSweepResolves(t *testing.T) {
	const n = 300 // more than one batch
	server := redisproc.Start(t)
	now := time.Now()
	o := on(server, "one")
	o.Now = func() time.Time { return now }
	limits := tokensADay(t, 1e6)
	l := open(t, o)
	for i := range n {
		reserve(t, l, fmt.Sprint(i), limits)
	}
	now = now.Add(time.Minute)
	var mu sync.Mutex
	var all []string
	var done sync.WaitGroup
	for i := range 4 {
		o.Book = fmt.Sprint(i)
		sweeper := open(t, o)
		done.Go(func() {
			ids, err := sweeper.Expire(ctx, time.Time{})
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			all = append(all, ids...)
			mu.Unlock()
		})
	}
	done.Wait()
	slices.Sort(all)
	if len(all) != n || len(slices.Compact(all)) != n {
		t.Errorf("%d reservations were reported as resolved, want each of %d once", len(all), n)
	}
	wantUsed(t, l, limits, 0, 0)
}

// Leases end by the server's clock, whatever a replica believes.
func TestClockOfTheReplicaDoesNotEndLeases(t *testing.T) {
	server := redisproc.Start(t)
	l, limits := open(t, on(server, "one")), tokensADay(t, 1000)
	reserve(t, l, "a", limits)
	if ids, err := l.Expire(ctx, time.Now().AddDate(0, 0, 1)); err != nil || len(ids) != 0 {
		t.Errorf("Expire = %v, %v, want nothing", ids, err)
	}
}

func TestEpochs(t *testing.T) {
	server := redisproc.Start(t)
	limits := tokensADay(t, 1000)
	one, two := open(t, on(server, "one")), open(t, on(server, "two"))
	old := one.Epoch()
	if old.ID == "" || two.Epoch().ID != old.ID {
		t.Fatalf("epochs %+v and %+v", old, two.Epoch())
	}
	r := reserve(t, one, "a", limits)
	reserve(t, one, "b", limits)
	server.Do(t, "flushall")

	before := dump(t, server)
	for name, err := range everything(one, limits) {
		if !errors.Is(err, redis.ErrEpoch) {
			t.Errorf("%s in an epoch that is gone: %v, want ErrEpoch", name, err)
		}
	}
	if diff := cmp.Diff(before, dump(t, server)); diff != "" {
		t.Errorf("changed (-before +after):\n%s", diff)
	}
	p, err := one.Heartbeat(ctx)
	if err != nil || !p.Lost() || len(p.Books) != 1 {
		t.Fatalf("Heartbeat = %+v, %v", p, err)
	}
	e, err := one.BeginEpoch(ctx, p.Epoch.ID, "one", "two")
	again, err2 := two.BeginEpoch(ctx, p.Epoch.ID, "one")
	if err != nil || err2 != nil || e.ID == old.ID || again.ID != e.ID || !e.Rebuilding {
		t.Fatalf("BeginEpoch = %+v, %v; then %+v, %v, want one that is new", e, err, again, err2)
	}
	one.Adopt(e)
	wantUsed(t, one, limits, 0, 0)
	live := quota.Live{Request: request("a", limits), Held: some, Used: quota.Amounts{OutputTokens: 7}}
	live.Request.At = r.Admitted
	for range 2 {
		if err := one.Reassert(ctx, live); err != nil {
			t.Fatal(err)
		}
	}
	wantUsed(t, one, limits, 110, 0)
	if ids, err := one.Owned(ctx); err != nil || !cmp.Equal(ids, []string{"a"}) {
		t.Errorf("Owned = %v, %v", ids, err)
	}
	for book, rebuilding := range map[*redis.Ledger]bool{one: true} {
		if err := book.BookDone(ctx); err != nil {
			t.Fatal(err)
		}
		if p, err := book.Heartbeat(ctx); err != nil || p.Epoch.Rebuilding != rebuilding {
			t.Errorf("with one book of two back: %+v, %v", p, err)
		}
	}
	two.Adopt(e)
	if err := two.BookDone(ctx); err != nil {
		t.Fatal(err)
	}
	if p, err := one.Heartbeat(ctx); err != nil || p.Epoch.Rebuilding || p.Lost() {
		t.Errorf("with both books back: %+v, %v", p, err)
	}
	if _, err := one.Settle(ctx, "a", some); err != nil {
		t.Error(err)
	}
	wantUsed(t, two, limits, 110, 110)
}

// everything gives the error of each operation.
func everything(l *redis.Ledger, limits *quota.LimitSet) map[string]error {
	errs := map[string]error{}
	_, errs["Reserve"] = l.Reserve(ctx, request("x", limits))
	_, errs["Extend"] = l.Extend(ctx, "a", some)
	errs["Touch"] = l.Touch(ctx, quota.Progress{ID: "a"})
	_, errs["Settle"] = l.Settle(ctx, "a", some)
	errs["Void"] = l.Void(ctx, "b")
	_, errs["Expire"] = l.Expire(ctx, time.Time{})
	_, errs["Standings"] = l.Standings(ctx, ann, limits, time.Time{})
	errs["Reassert"] = l.Reassert(ctx, quota.Live{Request: request("a", limits)})
	errs["Post"] = l.Post(ctx, 0, 1)
	_, _, errs["Mark"] = l.Mark(ctx)
	errs["BookDone"] = l.BookDone(ctx)
	_, errs["Owned"] = l.Owned(ctx)
	return errs
}

// A server that restarts, or another that takes over, may have lost writes: its master_replid says so.
func TestRestartBeginsAnEpoch(t *testing.T) {
	server := redisproc.Start(t)
	l := open(t, on(server, "one"))
	old := l.Epoch()
	server.Do(t, "debug", "change-repl-id")
	p, err := l.Heartbeat(ctx)
	if err != nil || !p.Lost() || p.Epoch.ID != old.ID {
		t.Fatalf("after a change of master_replid: %+v, %v", p, err)
	}
	if e, err := l.Bind(ctx); err != nil || e.ID == old.ID {
		t.Errorf("Bind = %+v, %v, want a new epoch", e, err)
	}
	if p, err := l.Heartbeat(ctx); err != nil || p.Lost() {
		t.Errorf("in the new one: %+v, %v", p, err)
	}
}

func TestPostingsAreBookedOnce(t *testing.T) {
	server := redisproc.Start(t)
	l := open(t, on(server, "one"))
	limits, err := quota.Compile([]quota.Limit{
		{ID: "day", Scope: quota.ScopeUser, Dimension: quota.DimensionTokens, Window: quota.WindowDay, Value: 1000},
		{ID: "minute", Scope: quota.ScopeUser, Dimension: quota.DimensionTokens, Window: quota.WindowMinute, Value: 1000},
	})
	if err != nil {
		t.Fatal(err)
	}
	var postings []quota.Posting
	for _, m := range limits.AppendMatches(nil, ann, l.Now()) {
		p := quota.Posting{Key: m.Key, Window: m.Limit.Window, End: m.End, Amount: 40}
		if m.Limit.Window == quota.WindowMinute {
			p.Bucket = quota.Bucket(l.Now())
		}
		postings = append(postings, p, p)
	}
	if at, ok, err := l.Mark(ctx); err != nil || ok || at != 0 {
		t.Errorf("Mark = %d, %v, %v, want none", at, ok, err)
	}
	if err := l.Post(ctx, 0, 7, postings...); err != nil {
		t.Fatal(err)
	}
	wantUsed(t, l, limits, 80, 80)
	if err := l.Post(ctx, 0, 7, postings...); !errors.Is(err, redis.ErrMark) {
		t.Errorf("a repeat: %v, want ErrMark", err)
	}
	wantUsed(t, l, limits, 80, 80)
	if at, ok, err := l.Mark(ctx); err != nil || !ok || at != 7 {
		t.Errorf("Mark = %d, %v, %v, want 7", at, ok, err)
	}
	postings[0].Amount, postings[2].Amount = -30, -30
	if err := l.Post(ctx, 7, 8, postings[0], postings[2]); err != nil {
		t.Fatal(err)
	}
	wantUsed(t, l, limits, 50, 50)
}

// What a call would hold twice when it is sent twice, it holds once: the client repeats what broke on its way.
func TestConnectionsThatBreak(t *testing.T) {
	server := redisproc.Start(t)
	l, limits := open(t, on(server, "one")), tokensADay(t, quota.MaxValue)
	stop := make(chan struct{})
	var killer sync.WaitGroup
	killer.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				server.Do(t, "client", "kill", "type", "normal", "skipme", "yes")
			}
		}
	})
	var want int64
	for i := range 200 {
		id := fmt.Sprint(i)
		for _, step := range []func() error{
			func() error { _, err := l.Reserve(ctx, request(id, limits)); return err },
			func() error { _, err := l.Settle(ctx, id, some); return err },
		} {
			for err := step(); err != nil; err = step() {
				if !errors.Is(err, redis.ErrUnreachable) {
					t.Fatalf("%s: %v", id, err)
				}
			}
		}
		want += 110
	}
	close(stop)
	killer.Wait()
	wantUsed(t, l, limits, want, want)
	if n, err := l.Pending(ctx); err != nil || n != 0 {
		t.Errorf("%d pending, %v", n, err)
	}
}
