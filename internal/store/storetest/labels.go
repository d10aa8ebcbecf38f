package storetest

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/store"
)

// sampled is a sample with every field in use.
func sampled(exchange string, place int64) core.Sample {
	return core.Sample{Exchange: exchange, Drawn: made, Task: "billing", Text: "text-1", Model: "model-1", Score: 0.1 + 0.2, Place: place}
}

func labelled(exchange, by string, onTask bool) core.Label {
	return core.Label{Sample: core.Sample{Exchange: exchange}, By: by, OnTask: onTask, At: made}
}

func calibrationID(c core.Calibration) string { return c.ID }

// queueing: what was drawn is there once, in the order of places, without what somebody has dealt with, and is no change.
func queueing(t *testing.T, open func() store.Store) {
	st, other := open(), open()
	ctx := t.Context()
	before := version(t, st)
	hostileSample := sampled(hostile[:40], 7)
	all := []core.Sample{sampled("x3", 3), sampled("x1", 9), hostileSample, sampled("x2", 5)}
	must(t, st.Labels().Draw(ctx, all...))
	again := sampled("x1", 1)
	again.Score = 1
	must(t, other.Labels().Draw(ctx, again))
	must(t, other.Labels().Draw(ctx))
	if after := version(t, st); after != before {
		t.Errorf("drawing took the version from %d to %d", before, after)
	}
	queue := func(what string, q store.QueueQuery, want ...core.Sample) {
		t.Helper()
		got, err := other.Labels().Queue(ctx, q)
		must(t, err)
		equal(t, what, want, got)
	}
	queue("all", store.QueueQuery{}, all[0], all[3], all[2], all[1])
	queue("a page", store.QueueQuery{Limit: 2, After: 3}, all[3], all[2])
	queue("another model", store.QueueQuery{Model: "model-2"})
	queue("for nobody that can be", store.QueueQuery{By: "\x00"}, all[0], all[3], all[2], all[1])
	must(t, st.Labels().Put(ctx, labelled("x2", "ann", true)))
	queue("for ann", store.QueueQuery{By: "ann", Model: "model-1"}, all[0], all[2], all[1])
	queue("for ben", store.QueueQuery{By: "ben"}, all[0], all[3], all[2], all[1])
	must(t, st.Labels().Approve(ctx, "x2", "ann", true, "eve"))
	queue("for ben, when it is dealt with", store.QueueQuery{By: "ben"}, all[0], all[2], all[1])

	late := sampled("x4", 2)
	late.Drawn = made.Add(time.Hour)
	must(t, st.Labels().Draw(ctx, late))
	n, err := st.Labels().Expire(ctx, made.Add(time.Microsecond))
	must(t, err)
	if n != 4 {
		t.Errorf("%d samples ended, want 4", n)
	}
	queue("when their time was over", store.QueueQuery{}, late)
}

// proposing: what a judge proposes stands beside the queue, once for each sample, is no change, and goes with the sample.
func proposing(t *testing.T, open func() store.Store) {
	st, other := open(), open()
	ctx := t.Context()
	p := core.Proposal{Exchange: "x1", Judge: "judge:m", Verdict: core.ProposedOff, Rationale: []byte{0, 1, 0xff}, At: made}
	names(t, st.Labels().Propose(ctx, p), store.ErrNotFound, "x1")
	must(t, st.Labels().Draw(ctx, sampled("x1", 1), sampled("x2", 2), sampled("x3", 3)))
	before := version(t, st)
	first := p
	first.Verdict, first.Judge = core.ProposedOn, "judge:old"
	must(t, st.Labels().Propose(ctx, first))
	must(t, other.Labels().Propose(ctx, p)) // in its place
	nothing := core.Proposal{Exchange: "x2", Judge: "judge:m", At: made}
	must(t, st.Labels().Propose(ctx, nothing))
	proposed := func(what string, exchanges []string, want ...core.Proposal) {
		t.Helper()
		got, err := other.Labels().Proposals(ctx, exchanges...)
		must(t, err)
		equal(t, what, want, got)
	}
	proposed("all", []string{"x3", "x2", "x1", "\x00", "x1"}, p, nothing)
	proposed("one", []string{"x2"}, nothing)
	proposed("of nothing", nil)
	if after := version(t, st); after != before {
		t.Errorf("proposing took the version from %d to %d", before, after)
	}
	for name, spoil := range map[string]func(*core.Proposal){
		"no exchange":        func(p *core.Proposal) { p.Exchange = "" },
		"no judge":           func(p *core.Proposal) { p.Judge = "" },
		"no time":            func(p *core.Proposal) { p.At = time.Time{} },
		"no verdict that is": func(p *core.Proposal) { p.Verdict = "sure" },
		"long":               func(p *core.Proposal) { p.Rationale = make([]byte, 4097) },
	} {
		wrong := p
		spoil(&wrong)
		if err := st.Labels().Propose(ctx, wrong); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	_, err := st.Labels().Expire(ctx, made.Add(time.Microsecond))
	must(t, err)
	proposed("when their time was over", []string{"x1", "x2"})
}

// invalidSamples: what could not be compared or kept is refused, and nothing of it is kept.
func invalidSamples(t *testing.T, open func() store.Store) {
	st := open()
	for name, spoil := range map[string]func(*core.Sample){
		"no exchange":    func(s *core.Sample) { s.Exchange = "" },
		"no task":        func(s *core.Sample) { s.Task = "" },
		"no text":        func(s *core.Sample) { s.Text = "" },
		"no model":       func(s *core.Sample) { s.Model = "" },
		"no time":        func(s *core.Sample) { s.Drawn = time.Time{} },
		"no place":       func(s *core.Sample) { s.Place = 0 },
		"no number":      func(s *core.Sample) { s.Score = math.NaN() },
		"too high":       func(s *core.Sample) { s.Score = math.Inf(1) },
		"below":          func(s *core.Sample) { s.Score = -0.1 },
		"with a newline": func(s *core.Sample) { s.Model = "a\nb" },
	} {
		s := sampled("x2", 2)
		spoil(&s)
		err := st.Labels().Draw(t.Context(), sampled("x1", 1), s)
		if !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	left, err := st.Labels().Queue(t.Context(), store.QueueQuery{})
	must(t, err)
	equal(t, "what is left", []core.Sample(nil), left)
	must(t, st.Labels().Draw(t.Context(), sampled("x1", 1)))
	for _, wrong := range []core.Label{
		{},
		labelled("", "ann", true), labelled("x1", "", true),
		{Sample: sampled("x1", 1), By: "ann"},
		{Sample: sampled("x1", 1), By: "ann", At: made, Approved: "eve"},
		{Sample: sampled("x1", 1), By: "ann", At: made, Proposal: "sure"},
	} {
		names(t, st.Labels().Put(t.Context(), wrong), store.ErrInvalid)
	}
}

// labelling: what people say is kept with the sample, one label each, told in the feed, and stays when the sample goes.
func labelling(t *testing.T, open func() store.Store) {
	st, other := open(), open()
	ctx := store.WithReason(store.WithActor(t.Context(), "cli:ann"), "weekly labels")
	names(t, st.Labels().Put(ctx, labelled("x1", "ann", true)), store.ErrNotFound, "x1")
	s := sampled("x1", 4)
	must(t, st.Labels().Draw(ctx, s))
	before := version(t, st)

	l := core.Label{Sample: core.Sample{Exchange: "x1", Score: 1, Task: "lies"}, By: "ann", OnTask: true, At: made, Proposal: core.ProposedOn, Judge: "judge:m"}
	must(t, st.Labels().Put(ctx, l))
	l.Sample = s
	list(t, other, l)
	must(t, other.Labels().Put(ctx, labelled("x1", "ann", true))) // says the same
	list(t, other, l)

	names(t, other.Labels().Approve(ctx, "x1", "ann", false, "eve"), store.ErrChanged, "x1", "ann says on-task")
	list(t, st, l)
	must(t, other.Labels().Approve(ctx, "x1", "ann", true, "eve"))
	must(t, other.Labels().Approve(ctx, "x1", "ann", true, "eva"))
	l.Approved = "eve"
	list(t, st, l)
	must(t, other.Labels().Put(ctx, labelled("x1", "ann", true))) // who answers for it stays
	list(t, st, l)

	_, err := st.Labels().Expire(ctx, made.Add(time.Hour))
	must(t, err)
	must(t, st.Labels().Put(ctx, labelled("x1", "ann", false)))
	l.OnTask, l.Approved, l.Proposal, l.Judge = false, "", "", ""
	names(t, other.Labels().Approve(ctx, "x1", "ann", true, "eve"), store.ErrChanged, "x1", "ann says off-task")
	list(t, other, l)
	ben := core.Label{Sample: s, By: "ben", OnTask: true, At: made, Approved: "ben"}
	must(t, st.Labels().Put(ctx, core.Label{Sample: core.Sample{Exchange: "x1"}, By: "ben", OnTask: true, At: made, Approved: "ben"}))
	list(t, other, l, ben)
	none, err := st.Labels().List(ctx, made.Add(time.Microsecond), store.LabelKey{})
	must(t, err)
	rest, err := st.Labels().List(ctx, made, store.LabelKey{Exchange: "x1", By: "ann"})
	must(t, err)
	equal(t, "labels of what was drawn later", []core.Label(nil), none)
	equal(t, "the next page", []core.Label{ben}, rest)

	must(t, other.Labels().Withdraw(ctx, "x1", "ann"))
	list(t, st, ben)
	names(t, st.Labels().Withdraw(ctx, "x1", "ann"), store.ErrNotFound)
	names(t, st.Labels().Approve(ctx, "x1", "ann", true, "eve"), store.ErrNotFound)
	names(t, st.Labels().Approve(ctx, "\x00", "ann", true, "eve"), store.ErrNotFound)

	changes, err := st.Changes(ctx, before, 100)
	must(t, err)
	var told []string
	for _, c := range changes {
		if c.Actor != "cli:ann" || c.Reason != "weekly labels" || c.Object != "sample/x1" {
			t.Errorf("the feed has %+v", c)
		}
		told = append(told, c.Action)
	}
	if want := []string{"label", "approve", "label", "label", "withdraw"}; !slices.Equal(told, want) {
		t.Errorf("the feed tells %q, want %q", told, want)
	}
}

// list checks which labels there are.
func list(t *testing.T, st store.Store, want ...core.Label) {
	t.Helper()
	all, err := store.AllLabels(t.Context(), st.Labels(), time.Time{})
	must(t, err)
	equal(t, "labels", want, all)
}

// flooding: who does not answer for labels gives few a day, also through several processes at once; who does, many more.
func flooding(t *testing.T, open func() store.Store) {
	ctx := t.Context()
	const n = 3 * store.MostLabels
	st := open()
	for i := range n {
		must(t, st.Labels().Draw(ctx, sampled(fmt.Sprint("x", i), int64(i+1))))
	}
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		from := st
		if i%2 == 0 {
			from = open()
		}
		wg.Go(func() { errs[i] = from.Labels().Put(ctx, labelled(fmt.Sprint("x", i), "ann", true)) })
	}
	wg.Wait()
	kept, first := 0, ""
	for i, err := range errs {
		switch {
		case err == nil:
			kept++
			first = fmt.Sprint("x", i)
		case !errors.Is(err, store.ErrTooMany):
			t.Error(err)
		}
	}
	if kept != store.MostLabels {
		t.Errorf("%d labels of a day were kept, want %d", kept, store.MostLabels)
	}
	must(t, st.Labels().Put(ctx, labelled(first, "ann", false))) // another word on the same is none more
	tomorrow := labelled("x0", "ann", true)
	tomorrow.At = made.Add(24 * time.Hour)
	must(t, st.Labels().Put(ctx, tomorrow))
	for i := range n {
		l := labelled(fmt.Sprint("x", i), "eve", true)
		l.Approved = "eve"
		must(t, st.Labels().Put(ctx, l))
	}
}

// calibrationVersions: a version is told in the feed as what it is.
func calibrationVersions(t *testing.T, open func() store.Store) {
	st := open()
	ctx := store.WithActor(t.Context(), "cli:eve")
	c := objects().Calibrations[0]
	c.Demoted = time.Time{}
	before := version(t, st)
	must(t, st.Calibrations().Put(ctx, c))
	must(t, st.Calibrations().Put(ctx, c))
	c.Demoted = made
	must(t, st.Calibrations().Put(ctx, c))
	must(t, st.Calibrations().Delete(ctx, c.ID))
	changes, err := st.Changes(ctx, before, 10)
	must(t, err)
	var told []string
	for _, change := range changes {
		told = append(told, change.Action+" "+change.Object)
	}
	if want := []string{"put calibration/" + c.ID, "demote calibration/" + c.ID, "delete calibration/" + c.ID}; !slices.Equal(told, want) {
		t.Errorf("the feed tells %q, want %q", told, want)
	}
	for _, spoil := range []func(*core.Calibration){
		func(c *core.Calibration) { c.Tasks = nil },
		func(c *core.Calibration) { c.Model = "" },
		func(c *core.Calibration) { c.ID = "" },
		func(c *core.Calibration) { c.Tasks[0].Scores = []float64{0.5, 0.4} },
		func(c *core.Calibration) { c.Tasks[0].Scores = nil },
		func(c *core.Calibration) { c.Tasks[0].Scores = []float64{math.NaN()} },
		func(c *core.Calibration) { c.Tasks = append(c.Tasks, c.Tasks[0]) },
		func(c *core.Calibration) { c.Tasks[0].Scores = make([]float64, 20_001) },
	} {
		wrong := objects().Calibrations[0]
		spoil(&wrong)
		names(t, st.Calibrations().Put(ctx, wrong), store.ErrInvalid)
	}
}
