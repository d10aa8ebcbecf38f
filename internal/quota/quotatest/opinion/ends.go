package opinion

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
)

func (r *run) settle(t *rapid.T) {
	e, used := r.drawEntry(t), drawAmounts(t, 8)
	if e == nil || rapid.IntRange(0, 9).Draw(t, "unknown") == 0 {
		if _, err := r.ledger.Settle(context.Background(), "nobody", used); !errors.Is(err, quota.ErrUnknown) {
			t.Fatalf("Settle of an unknown call gave %v", err)
		}
		return
	}
	got, err := r.ledger.Settle(context.Background(), e.id, used)
	switch {
	case err != nil:
		t.Fatalf("I3: Settle gave %v", err)
	case !e.resolved && got != used, e.resolved && !e.expired && got != e.settled:
		t.Fatalf("I3: Settle of %+v gave %+v", used, got)
	case e.expired:
		r.follow(t, e, got, used)
	case !e.resolved:
		r.resolve(e, used)
	}
}

// follow takes the ledger's word for what is booked by the first settlement after an expiry: what expiry booked, or what
// the settlement says in its place. It must then stay with it, and count by it.
func (r *run) follow(t *rapid.T, e *entry, got, used quota.Amounts) {
	if got != e.settled && got != used {
		t.Fatalf("I3: Settle of %+v after an expiry that booked %+v gave %+v", used, e.settled, got)
	}
	r.resolve(e, got)
}

// resolve notes how a call ended, and once whether it used more than it held.
func (r *run) resolve(e *entry, used quota.Amounts) {
	over := used.Requests > e.held.Requests || used.InputTokens > e.held.InputTokens || used.OutputTokens > e.held.OutputTokens || used.Cost > e.held.Cost
	if over && !e.overran {
		e.overran = true
		r.overruns++
	}
	e.resolved, e.expired, e.settled = true, false, used
	if e.over.IsZero() {
		e.over = r.now
	}
}

func (r *run) void(t *rapid.T) {
	e := r.drawEntry(t)
	if e == nil {
		if err := r.ledger.Void(context.Background(), "nobody"); !errors.Is(err, quota.ErrUnknown) {
			t.Fatalf("Void of an unknown call gave %v", err)
		}
		return
	}
	if err := r.ledger.Void(context.Background(), e.id); err != nil {
		t.Fatalf("Void: %v", err)
	}
	switch {
	case e.expired:
		got, err := r.ledger.Settle(context.Background(), e.id, quota.Amounts{})
		if err != nil {
			t.Fatalf("I3: Settle gave %v", err)
		}
		r.follow(t, e, got, quota.Amounts{})
	case !e.resolved:
		r.resolve(e, quota.Amounts{})
	}
}

func (r *run) expire(t *rapid.T) {
	var want []string
	for _, e := range r.book.calls {
		if !e.resolved && e.until.Before(r.now) {
			r.resolve(e, e.progress)
			e.expired = true
			want = append(want, e.id)
		}
	}
	slices.Sort(want)
	got, err := r.ledger.Expire(context.Background(), r.now)
	slices.Sort(got)
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("Expire gave %v and %v, want %v", got, err, want)
	}
}

func (r *run) wait(t *rapid.T) {
	r.now = r.now.Add(rapid.SampledFrom([]time.Duration{
		time.Millisecond, time.Second, 4 * time.Second, 5 * time.Second, 13 * time.Second, 30 * time.Second, 31 * time.Second, 61 * time.Second,
		65 * time.Second, 20 * time.Minute, time.Hour, 24 * time.Hour,
	}).Draw(t, "wait"))
}

// outOfRange tries amounts that no call can have: nothing must change.
func (r *run) outOfRange(t *rapid.T) {
	bad := rapid.SampledFrom([]quota.Amounts{
		{Requests: -1}, {InputTokens: -1}, {OutputTokens: quota.MaxAmount + 1}, {Cost: core.MicroUSD(-1 << 63)}, {InputTokens: 1<<63 - 1, OutputTokens: 1},
	}).Draw(t, "amounts")
	id := "nobody"
	if e := r.drawEntry(t); e != nil {
		id = e.id
	}
	req := r.request(t)
	req.ID, req.Amounts = id, bad
	_, reserved := r.ledger.Reserve(context.Background(), req)
	_, extended := r.ledger.Extend(context.Background(), id, bad)
	_, settled := r.ledger.Settle(context.Background(), id, bad)
	touched := r.ledger.Touch(context.Background(), quota.Progress{ID: id, Used: bad})
	for what, err := range map[string]error{"Reserve": reserved, "Extend": extended, "Settle": settled, "Touch": touched} {
		if !errors.Is(err, quota.ErrAmount) {
			t.Fatalf("%s of %+v gave %v", what, bad, err)
		}
	}
}

// standings compares every counter with the book after each step: I2, I5 and I6.
func (r *run) standings(t *rapid.T) {
	subject := drawSubject(t)
	for _, set := range r.sets {
		got, err := r.ledger.Standings(context.Background(), subject, set, r.now)
		if err != nil {
			t.Fatalf("Standings: %v", err)
		}
		r.compare(t, "Standings", got, matching(set, subject), subject, r.now)
	}
	if got := r.ledger.Overruns(); got != r.overruns {
		t.Fatalf("I1b: %d overruns, the book has %d", got, r.overruns)
	}
}

// compare holds standings against the book.
func (r *run) compare(t *rapid.T, what string, got []quota.Standing, limits []quota.Limit, s quota.Subject, at time.Time) {
	type row struct {
		Limit        quota.Limit
		Used, Posted int64
	}
	var said, want []row
	for _, st := range got {
		said = append(said, row{*st.Limit, st.Used, st.Posted})
	}
	for i := range limits {
		who, _ := about(&limits[i], s)
		posted, pending := r.book.used(&limits[i], who, at)
		want = append(want, row{limits[i], posted + pending, posted})
	}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Fatalf("%s at %v (-book +ledger)\n%s", what, at, diff)
	}
}
