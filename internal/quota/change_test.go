package quota_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/plumbline/plumbline/internal/quota"
)

func mustCompile(t *testing.T, limits ...quota.Limit) *quota.LimitSet {
	t.Helper()
	set, err := quota.Compile(limits)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// On the way to a set, what is counted holds at its new value, what is new waits, and what changed keeps its old form.
func TestInterim(t *testing.T) {
	form := func(id string, d quota.Dimension, value int64) quota.Limit {
		return quota.Limit{ID: id, Scope: quota.ScopeUser, Dimension: d, Window: quota.WindowDay, Value: value}
	}
	from := mustCompile(t, form("lowered", quota.DimensionTokens, 9), form("changed", quota.DimensionTokens, 8), form("deleted", quota.DimensionTokens, 7))
	to := mustCompile(t, form("fresh", quota.DimensionTokens, 6), form("changed", quota.DimensionCost, 5), form("lowered", quota.DimensionTokens, 4))
	names := map[string]bool{}
	for counts := range from.Named() {
		names[counts] = true
	}
	counted := func(counts string) bool { return names[counts] }
	got := quota.Interim(from, to, counted).Limits()
	if want := []quota.Limit{form("changed", quota.DimensionTokens, 8), form("lowered", quota.DimensionTokens, 4)}; !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if quota.Interim(to, from, counted) != from {
		t.Error("a set of which all is counted is not its own interim")
	}
	if got := quota.Interim(nil, to, counted).Limits(); len(got) != 1 || got[0].ID != "lowered" {
		t.Errorf("from nothing: %+v", got)
	}
}

// A change waits for whoever admits, and one that fails changes nothing.
func TestInForce(t *testing.T) {
	one, two := mustCompile(t), mustCompile(t)
	var f quota.InForce
	f.Put(one)
	begun, end, changed := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		_ = f.Admit(func(set *quota.LimitSet) error {
			close(begun)
			<-end
			if set != one || f.Limits() != one {
				t.Error("the limits changed under somebody who admits")
			}
			return nil
		})
	}()
	<-begun
	go func() {
		f.Put(two)
		close(changed)
	}()
	close(end)
	<-changed
	if err := f.Await(t.Context(), func() *quota.LimitSet { return two }); err != nil {
		t.Error(err)
	}
	broken := errors.New("broken")
	if err := f.Change(func() (*quota.LimitSet, error) { return one, broken }); !errors.Is(err, broken) || f.Limits() != two {
		t.Errorf("%v, and other limits are in force", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := f.Await(ctx, func() *quota.LimitSet { return one }); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting for limits that do not come: %v", err)
	}
}
