package storetest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/store"
)

func policyVersion(version, text string) core.PolicyVersion {
	return core.PolicyVersion{Version: version, Text: text, Created: made}
}

// versionsOfPolicies: each that comes into force is kept with who, why and when, once, and told in the feed.
func versionsOfPolicies(t *testing.T, open func() store.Store) {
	st, other := open(), open()
	ctx := store.WithReason(store.WithActor(t.Context(), "cli:eve"), "first "+hostile)
	const a, b = "0123456789ab", "ffffffffffff"
	before := version(t, st)
	first, err := st.Policies().Put(ctx, policyVersion(a, "version: 1 # "+hostile+"\n"), 0)
	must(t, err)
	want := core.PolicyVersion{
		Number: 1, Version: a, Text: "version: 1 # " + hostile + "\n", Author: "cli:eve", Reason: store.Reason(ctx), Created: made,
	}
	equal(t, "the first", want, first)

	ctx = store.WithReason(store.WithActor(t.Context(), "file"), "changed")
	for _, from := range []store.Store{st, other} { // again changes nothing
		same, err := from.Policies().Put(ctx, policyVersion(a, first.Text), 1)
		must(t, err)
		equal(t, "the same again", first, same)
	}
	second, err := other.Policies().Put(ctx, policyVersion(b, "version: 1\nmode: enforce\n"), 1)
	must(t, err)
	back := policyVersion(a, first.Text)
	back.Restores = first.Number
	third, err := st.Policies().Put(ctx, back, 2)
	must(t, err)
	if second.Number != 2 || third.Number != 3 || third.Restores != 1 {
		t.Errorf("the next are %+v and %+v", second, third)
	}
	late, err := other.Policies().Put(ctx, policyVersion(b, second.Text), 1) // one that has not seen the second
	must(t, err)
	equal(t, "what another kept already", second, late)

	got, err := other.Policies().Get(ctx, 1)
	must(t, err)
	equal(t, "the first", first, got)
	list, err := other.Policies().List(ctx)
	must(t, err)
	first.Text, second.Text, third.Text = "", "", ""
	equal(t, "the list", []core.PolicyVersion{third, second, first}, list)
	o, _, err := other.Load(ctx)
	must(t, err)
	third.Text = got.Text
	equal(t, "what is loaded", store.Objects{Policy: &third}, o)
	must(t, st.Apply(ctx, store.Objects{Policy: &second}))
	_, err = st.Policies().Get(ctx, 4)
	names(t, err, store.ErrNotFound, "4")

	equal(t, "what the feed tells", []string{
		"apply policy/" + a + " by cli:eve: " + got.Reason, "apply policy/" + b + " by file: changed", "restore policy/" + a + " by file: changed",
	}, told(t, st, before))
}

// told is what the feed tells since a version.
func told(t *testing.T, st store.Store, since uint64) (all []string) {
	t.Helper()
	changes, err := st.Changes(t.Context(), since, 1000)
	must(t, err)
	for _, c := range changes {
		all = append(all, c.Action+" "+c.Object+" by "+c.Actor+": "+c.Reason)
	}
	return all
}

// policyOnce: of many that keep the same document at once one does.
func policyOnce(t *testing.T, open func() store.Store) {
	st := open()
	_, err := st.Policies().Put(t.Context(), policyVersion("00000000000a", "a"), 0)
	must(t, err)
	before := version(t, st)
	var wg sync.WaitGroup
	numbers := make([]int64, 12)
	for i := range numbers {
		from := st
		if i%2 == 0 {
			from = open()
		}
		wg.Go(func() {
			kept, err := from.Policies().Put(t.Context(), policyVersion("00000000000b", "b"), 1)
			if err != nil {
				t.Error(err)
			}
			numbers[i] = kept.Number
		})
	}
	wg.Wait()
	if slices.ContainsFunc(numbers, func(n int64) bool { return n != 2 }) || len(told(t, st, before)) != 1 {
		t.Errorf("numbers %v, and the feed tells %q", numbers, told(t, st, before))
	}
}

// fewPolicies: the last are kept, and numbers go on.
func fewPolicies(t *testing.T, open func() store.Store) {
	st := open()
	n := store.MostPolicies + 3
	ctx := store.WithActor(t.Context(), "cli:eve")
	var before uint64
	for i := range n {
		before = version(t, st)
		_, err := st.Policies().Put(ctx, policyVersion(fmt.Sprintf("%012x", i), "x"), int64(i))
		must(t, err)
	}
	list, err := st.Policies().List(ctx)
	must(t, err)
	if len(list) != store.MostPolicies || list[0].Number != int64(n) || list[len(list)-1].Number != 4 {
		t.Errorf("%d are kept, from %d to %d", len(list), list[len(list)-1].Number, list[0].Number)
	}
	equal(t, "what the feed tells of the last", []string{
		fmt.Sprintf("apply policy/%012x by cli:eve: ", n-1), "expire policy/000000000002 by system: ",
	}, told(t, st, before))
}

func invalidPolicies(t *testing.T, open func() store.Store) {
	st := open()
	for name, spoil := range map[string]func(*core.PolicyVersion){
		"no version":       func(p *core.PolicyVersion) { p.Version = "" },
		"another version":  func(p *core.PolicyVersion) { p.Version = "0123456789AB" },
		"no text":          func(p *core.PolicyVersion) { p.Text = "" },
		"a text too long":  func(p *core.PolicyVersion) { p.Text = strings.Repeat("#", store.MaxPolicy+1) },
		"a text of bytes":  func(p *core.PolicyVersion) { p.Text = "\xff" },
		"a zero character": func(p *core.PolicyVersion) { p.Text = "a\x00" },
		"no time":          func(p *core.PolicyVersion) { p.Created = time.Time{} },
		"restoring":        func(p *core.PolicyVersion) { p.Restores = -1 },
	} {
		p := policyVersion("0123456789ab", "version: 1\n")
		spoil(&p)
		if _, err := st.Policies().Put(t.Context(), p, 0); err == nil {
			t.Error(name, "is taken")
		} else {
			names(t, err, store.ErrInvalid)
		}
	}
	isEmpty(t, st)
	long := policyVersion("0123456789ab", strings.Repeat("#", store.MaxPolicy))
	_, err := st.Policies().Put(t.Context(), long, 0)
	must(t, err)
}
