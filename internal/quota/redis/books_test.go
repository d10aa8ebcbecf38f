package redis_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/quota"
	"github.com/plumbline/plumbline/internal/quota/redis"
)

// beat gives a heartbeat, and the books that have a lease.
func beat(t *testing.T, l *redis.Ledger) (redis.Pulse, []string) {
	t.Helper()
	p, err := l.Heartbeat(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, b := range p.Books {
		names = append(names, b.Name)
	}
	slices.Sort(names)
	return p, names
}

// TestEpochOfHalfIsNone: where the key of the epoch is gone, or what stands beside it, another has to begin.
func TestEpochOfHalfIsNone(t *testing.T) {
	for _, k := range []string{"epoch", "state"} {
		l, server, _ := onClock(t)
		old := l.Epoch().ID
		server.Do(t, "del", "{plumbline}:3:"+k)
		if p, _ := beat(t, l); !p.Lost() || p.Epoch.ID != "" {
			t.Errorf("without %s: %+v", k, p)
		}
		if e, err := l.Bind(ctx); err != nil || e.ID == "" || e.ID == old {
			t.Errorf("without %s: %+v, %v, want another epoch", k, e, err)
		}
		if p, _ := beat(t, l); p.Lost() {
			t.Errorf("after it: %+v", p)
		}
		call(t, l, "a", limitsOn(t, quota.WindowDay), 1)
	}
}

// TestBooksHaveALease that each heartbeat renews. One whose lease has ended is no replica any more.
func TestBooksHaveALease(t *testing.T) {
	one, server, now := onClock(t)
	o := on(server, "two")
	o.Now = func() time.Time { return *now }
	two := open(t, o)
	*now = now.Add(20 * time.Second)
	if _, books := beat(t, two); !cmp.Equal(books, []string{"one", "two"}) {
		t.Errorf("books %v", books)
	}
	*now = now.Add(20 * time.Second) // one has said nothing for 40 s, two for 20
	if _, books := beat(t, two); !cmp.Equal(books, []string{"two"}) {
		t.Errorf("books %v", books)
	}
	if n, _ := server.Do(t, "hlen", "{plumbline}:3:books").(int64); n != 1 {
		t.Errorf("%d books are kept", n)
	}
	if _, books := beat(t, one); !cmp.Equal(books, []string{"one", "two"}) {
		t.Errorf("books %v", books)
	}
	server.Do(t, "hset", "{plumbline}:3:books", "theirs", "theirs")
	_, err := one.Heartbeat(ctx)
	wantAdvice(t, err, "is not of Plumbline: remove it")
}

// TestEpochOpens when all known books are back, or after a time, and stays open for books that come later. What the one before
// held runs out.
func TestEpochOpens(t *testing.T) {
	one, server, now := onClock(t)
	if err := one.BookDone(ctx); err != nil {
		t.Fatal(err)
	}
	if p, _ := beat(t, one); p.Epoch.Rebuilding {
		t.Error("all are back")
	}
	reserve(t, one, "a", limitsOn(t, quota.WindowDay))
	old := live(t, one)
	begin := func(books ...string) {
		t.Helper()
		e, err := one.BeginEpoch(ctx, one.Epoch().ID, books...)
		if err != nil || !e.Rebuilding {
			t.Fatalf("%+v, %v, want one that is rebuilt", e, err)
		}
		one.Adopt(e)
		if err := one.BookDone(ctx); err != nil {
			t.Fatal(err)
		}
	}
	begin("away")
	if ttl, _ := server.Do(t, "pttl", old).(int64); ttl <= 0 {
		t.Errorf("what was held in the epoch before is kept for %d ms", ttl)
	}
	for _, at := range []time.Duration{0, 29*time.Second + 999*time.Millisecond, redis.RebuildTime} {
		*now = noon.Add(at)
		if p, _ := beat(t, one); p.Epoch.Rebuilding != (at < redis.RebuildTime) {
			t.Errorf("after %v: %+v", at, p)
		}
	}
	begin()
	if p, _ := beat(t, one); p.Epoch.Rebuilding {
		t.Errorf("all are back: %+v", p)
	}
	o := on(server, "late")
	o.Now = func() time.Time { return *now }
	late := open(t, o)
	for _, l := range []*redis.Ledger{late, one} {
		if p, _ := beat(t, l); p.Epoch.Rebuilding {
			t.Errorf("a book that comes later closes it: %+v", p)
		}
	}
}

// TestEpochOpensInTime although a book whose replica is there is not back.
func TestEpochOpensInTime(t *testing.T) {
	one, server, now := onClock(t)
	o := on(server, "slow")
	o.Now = func() time.Time { return *now }
	slow := open(t, o)
	e, err := one.BeginEpoch(ctx, one.Epoch().ID)
	if err != nil {
		t.Fatal(err)
	}
	one.Adopt(e)
	if err := one.BookDone(ctx); err != nil {
		t.Fatal(err)
	}
	for _, at := range []time.Duration{0, redis.RebuildTime / 2, redis.RebuildTime - time.Microsecond, redis.RebuildTime} {
		*now = noon.Add(at)
		beat(t, one)
		if p, books := beat(t, slow); p.Epoch.Rebuilding != (at < redis.RebuildTime) || len(books) != 2 {
			t.Errorf("after %v: %+v", at, p)
		}
	}
}

// TestKnownBookKeepsItsLease when an epoch begins that waits for it: its replica may be gone.
func TestKnownBookKeepsItsLease(t *testing.T) {
	one, server, now := onClock(t)
	o := on(server, "two")
	o.Now = func() time.Time { return *now }
	beat(t, open(t, o))
	*now = now.Add(20 * time.Second)
	if _, err := one.BeginEpoch(ctx, one.Epoch().ID, "two", "three"); err != nil {
		t.Fatal(err)
	}
	*now = noon.Add(29 * time.Second)
	if _, books := beat(t, one); !cmp.Equal(books, []string{"one", "three", "two"}) {
		t.Errorf("while it has one: %v", books)
	}
	*now = noon.Add(31 * time.Second)
	if _, books := beat(t, one); !cmp.Equal(books, []string{"one", "three"}) {
		t.Errorf("when its lease has ended: %v", books)
	}
}
