package redis

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/plumbline/plumbline/internal/quota"
)

// MaxPostings bounds one call of Post.
const MaxPostings = 500

// Epoch is one life of the counters. Every key of counters and reservations carries its id, so that a new epoch starts
// from nothing, and what an old one left runs out.
type Epoch struct {
	ID    string // empty: none
	Since time.Time
	// ReplID is the master_replid of the server that the epoch was begun on. When the server has another one now, it was
	// restarted or another took over, and writes may be lost: a new epoch has to begin.
	ReplID string
	// Rebuilding reports that a known book is not back in the counters yet. It ends RebuildTime after Since at the latest.
	Rebuilding bool
}

// Pulse is what a heartbeat finds.
type Pulse struct {
	Time   time.Time // the server's clock
	Epoch  Epoch     // the one in force, zero if there is none
	ReplID string    // the server's master_replid now
	Books  []Book    // those whose lease has not ended, this one's included
}

// Lost reports whether the counters may have lost writes, so that a new epoch has to begin.
func (p Pulse) Lost() bool { return p.Epoch.ID == "" || p.Epoch.ReplID != p.ReplID }

// Book is the state of one replica's records in the counters.
type Book struct {
	Name string
	Done bool // it is back in the epoch in force
}

// Bind adopts the epoch in force, and begins one if there is none or if the counters may have lost writes.
func (l *Ledger) Bind(ctx context.Context) (Epoch, error) {
	p, err := l.Heartbeat(ctx)
	if err != nil {
		return Epoch{}, err
	}
	e := p.Epoch
	if p.Lost() {
		if e, err = l.BeginEpoch(ctx, e.ID); err != nil {
			return Epoch{}, err
		}
	}
	l.Adopt(e)
	return e, nil
}

// Heartbeat renews the lease of this replica's book and tells how the ledger stands.
func (l *Ledger) Heartbeat(ctx context.Context) (Pulse, error) { return l.pulse(ctx, "") }

// BookDone says that this replica's book is back in the epoch.
func (l *Ledger) BookDone(ctx context.Context) error {
	id := l.Epoch().ID
	if id == "" {
		return ErrEpoch
	}
	_, err := l.pulse(ctx, id)
	return err
}

func (l *Ledger) pulse(ctx context.Context, done string) (Pulse, error) {
	a, err := l.run(ctx, &l.scripts.heartbeat, []string{l.epochKey(), l.booksKey(), l.stateKey()},
		done, l.clock.argument(), l.lease.Microseconds(), RebuildTime.Microseconds(), l.book)
	if err != nil {
		return Pulse{}, err
	}
	p := Pulse{Time: l.clock.now(), Epoch: a.epoch(), ReplID: a.text()}
	for len(a.values) > 0 && !a.short {
		p.Books = append(p.Books, Book{Name: a.text(), Done: a.int() == 1})
	}
	return p, a.err()
}

// epoch reads one; without an id it is none.
func (a *answer) epoch() Epoch {
	id, since, replID, open := a.text(), a.text(), a.text(), a.int()
	if id == "" {
		return Epoch{}
	}
	var micros int64
	if _, err := fmt.Sscan(since, &micros); err != nil {
		a.short = true
	}
	return Epoch{ID: id, Since: time.UnixMicro(micros).UTC(), ReplID: replID, Rebuilding: open == 0}
}

// BeginEpoch begins a new epoch if the one in force is still old (empty for none), and gives the one in force after that,
// whoever began it. The books named are waited for like those that have a lease. It does not adopt.
func (l *Ledger) BeginEpoch(ctx context.Context, old string, books ...string) (Epoch, error) {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	n := l.names(Epoch{ID: old})
	args := []any{old, l.clock.argument(), base64.RawURLEncoding.EncodeToString(id[:]), l.lease.Microseconds()}
	for _, b := range books {
		args = append(args, b)
	}
	a, err := l.run(ctx, &l.scripts.begin, []string{l.epochKey(), l.booksKey(), l.stateKey(), n.live, n.expired}, args...)
	if err != nil {
		return Epoch{}, err
	}
	return a.epoch(), a.err()
}

// Reassert puts reservations of this replica into the epoch without asking for room. It passes over ids that the epoch
// knows, live or resolved, so that a repeat changes nothing.
func (l *Ledger) Reassert(ctx context.Context, live ...quota.Live) error {
	for len(live) > 0 {
		some := live[:min(len(live), maxBatch)]
		live = live[len(some):]
		if err := l.reassert(ctx, some); err != nil {
			return err
		}
	}
	return nil
}

func (l *Ledger) reassert(ctx context.Context, live []quota.Live) error {
	n := l.within.Load()
	commands := make([]*redis.SliceCmd, len(live))
	for i, r := range live {
		b := billOf(r.Request.Limits.AppendMatches(nil, r.Request.Subject, r.Request.At))
		request := packInts(nil, l.lease.Microseconds(), 0, 0, r.Request.At.UnixMicro())
		keys, args := l.reserveCall(n, &r.Request, b, request, r.Held, r.Used)
		commands[i] = l.scripts.reserve.command(ctx, keys, args...)
	}
	inOneWrite(ctx, l.client, commands)
	for _, cmd := range commands {
		a, err := l.answerOf(ctx, cmd)
		switch {
		case err != nil:
			return err
		case a.status == statusAmount:
			return quota.ErrAmount
		}
	}
	return nil
}

// Mark gives how far this replica's book is in the counters of the epoch; false if nothing of it is.
func (l *Ledger) Mark(ctx context.Context) (int64, bool, error) {
	text, known, err := l.markOf(ctx, l.book)
	if err != nil || !known {
		return 0, false, err
	}
	var mark int64
	if _, err := fmt.Sscan(text, &mark); err != nil {
		return 0, false, errAnswer
	}
	return mark, true, nil
}

// Post adds postings, at most MaxPostings, and moves the book's mark from one position to another: both or neither. It
// returns ErrMark if the mark is another one; a book without a mark is at 0. What is over is passed over.
func (l *Ledger) Post(ctx context.Context, from, to int64, postings ...quota.Posting) error {
	return l.post(ctx, l.book, from, to, postings)
}

// post does it with a mark of any name.
func (l *Ledger) post(ctx context.Context, name string, from, to any, postings []quota.Posting) error {
	if len(postings) > MaxPostings {
		return fmt.Errorf("quota/redis: %d postings at once, more than %d", len(postings), MaxPostings)
	}
	n := l.within.Load()
	keys, accounts := l.keys(n, nil, n.marks), map[string]int{}
	var until []int64 // of each account
	packed := make([]byte, 0, 40*len(postings))
	now := l.clock.now()
	for _, p := range postings {
		account := accountName(p.Key.Subject)
		i, known := accounts[account]
		if !known {
			i = len(accounts)
			accounts[account] = i
			keys, until = append(keys, n.accounts+account), append(until, 0)
		}
		ln := line{limit: &quota.Limit{Window: p.Window}, end: p.End}
		until[i] = max(until[i], ln.needed(now))
		packed = packInts(packed, int64(i)+1, endCode(p.Window, p.End), counterName(p.Key.Limit), p.Bucket, p.Amount)
	}
	a, err := l.run(ctx, &l.scripts.post, keys, n.epoch.ID, l.clock.argument(), name, from, to, packInts(nil, until...), packed)
	switch {
	case err != nil:
		return err
	case a.status == statusWrongTime:
		return ErrMark
	}
	return nil
}

// Owned gives the ids of this replica's book that are live in the epoch, or that ended with their lease and were not
// settled since. One that ends meanwhile may be missing or come twice.
func (l *Ledger) Owned(ctx context.Context) ([]string, error) {
	n := l.within.Load()
	pattern := strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(l.book) + "/*"
	var ids []string
	for _, key := range []string{n.live, n.expired} {
		for cursor := "0"; ; {
			a, err := l.run(ctx, &l.scripts.owned, l.keys(n, nil, key), n.epoch.ID, l.clock.argument(), cursor, pattern)
			if err != nil {
				return nil, err
			}
			cursor = a.text()
			for _, member := range a.texts() {
				_, id, _ := strings.Cut(member, "/")
				ids = append(ids, id)
			}
			if err := a.err(); err != nil {
				return nil, err
			}
			if cursor == "0" {
				break
			}
		}
	}
	return ids, nil
}
