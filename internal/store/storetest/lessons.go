package storetest

import (
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/store"
)

func lesson(exchange string, place int64) core.Lesson {
	return core.Lesson{Exchange: exchange, Drawn: made, Place: place}
}

// learning: what was set aside to learn from is there once, in the order of places, is no change, and can be labelled by nobody;
// what can be labelled, or was, is not set aside.
func learning(t *testing.T, open func() store.Store) {
	st, other := open(), open()
	ctx := t.Context()
	before := version(t, st)
	hostileLesson := lesson(hostile[:40], 7)
	all := []core.Lesson{lesson("x3", 3), lesson("x1", 9), hostileLesson, lesson("x2", 5)}
	must(t, st.Lessons().SetAside(ctx, all...))
	must(t, other.Lessons().SetAside(ctx, lesson("x1", 1)))
	must(t, other.Lessons().SetAside(ctx))
	lessons := func(what string, after int64, limit int, want ...core.Lesson) {
		t.Helper()
		got, err := other.Lessons().List(ctx, after, limit)
		must(t, err)
		equal(t, what, want, got)
	}
	lessons("all", 0, 0, all[0], all[3], all[2], all[1])
	lessons("a page", 3, 2, all[3], all[2])

	must(t, other.Labels().Draw(ctx, sampled("x1", 1), sampled("q1", 2), sampled("q2", 4)))
	queue, err := st.Labels().Queue(ctx, store.QueueQuery{})
	must(t, err)
	equal(t, "the queue", []core.Sample{sampled("q1", 2), sampled("q2", 4)}, queue)
	names(t, other.Labels().Put(ctx, labelled("x1", "ann", true)), store.ErrNotFound, "x1")
	must(t, st.Lessons().SetAside(ctx, lesson("q1", 1)))
	if after := version(t, st); after != before {
		t.Errorf("setting aside took the version from %d to %d", before, after)
	}
	must(t, st.Labels().Put(ctx, labelled("q2", "ann", true)))
	late := lesson("x4", 2)
	late.Drawn = made.Add(time.Hour)
	must(t, st.Lessons().SetAside(ctx, late))
	_, err = st.Labels().Expire(ctx, made.Add(time.Microsecond)) // the label alone is left of q2
	must(t, err)
	must(t, st.Lessons().SetAside(ctx, lesson("q2", 1)))
	lessons("what nobody may label", 0, 0, late, all[0], all[3], all[2], all[1])

	n, err := st.Lessons().Expire(ctx, made.Add(time.Microsecond))
	must(t, err)
	left, err := other.Lessons().Count(ctx)
	must(t, err)
	if n != 4 || left != 1 {
		t.Errorf("%d lessons ended and %d are left, want 4 and 1", n, left)
	}
	lessons("when their time was over", 0, 0, late)
	names(t, st.Labels().Put(ctx, labelled("x1", "ann", true)), store.ErrNotFound, "x1")
}

// SetAsideAnyway tests the state where two processes drew one prompt at once, one to be labelled and one to be learnt from. It
// must serve as one: nobody labels it who has not, and what is labelled is not learnt from. The methods of a store keep it from
// coming about one after another, and so setAside has to put a lesson past them.
func SetAsideAnyway(t *testing.T, st store.Store, setAside func(exchange string)) {
	ctx := t.Context()
	must(t, st.Labels().Draw(ctx, sampled("queued", 1), sampled("labelled", 2)))
	must(t, st.Labels().Put(ctx, labelled("labelled", "ann", true)))
	setAside("queued")
	setAside("labelled")
	lessons, err := st.Lessons().List(ctx, 0, 0)
	must(t, err)
	if len(lessons) != 1 || lessons[0].Exchange != "queued" {
		t.Errorf("lessons are %+v, want the one that nobody labelled", lessons)
	}
	for _, exchange := range []string{"queued", "labelled"} {
		names(t, st.Labels().Put(ctx, labelled(exchange, "ben", true)), store.ErrNotFound, exchange)
	}
	_, err = st.Labels().Expire(ctx, made.Add(time.Microsecond)) // the label alone is left
	must(t, err)
	names(t, st.Labels().Put(ctx, labelled("labelled", "ben", true)), store.ErrNotFound, "labelled")
	again := labelled("labelled", "ann", false)
	must(t, st.Labels().Put(ctx, again)) // what ann said is hers to change
	all, err := store.AllLabels(ctx, st.Labels(), time.Time{})
	must(t, err)
	if len(all) != 1 || all[0].By != "ann" || all[0].OnTask {
		t.Errorf("labels are %+v, want ann's alone, as she changed it", all)
	}
}

// invalidLessons: what is not valid is refused, and nothing beside it is kept.
func invalidLessons(t *testing.T, open func() store.Store) {
	st := open()
	for name, spoil := range map[string]func(*core.Lesson){
		"no exchange":    func(l *core.Lesson) { l.Exchange = "" },
		"with a newline": func(l *core.Lesson) { l.Exchange = "a\nb" },
		"no time":        func(l *core.Lesson) { l.Drawn = time.Time{} },
		"no place":       func(l *core.Lesson) { l.Place = 0 },
	} {
		wrong := lesson("x2", 2)
		spoil(&wrong)
		names(t, st.Lessons().SetAside(t.Context(), lesson("x1", 1), wrong), store.ErrInvalid)
		if n, err := st.Lessons().Count(t.Context()); n != 0 || err != nil {
			t.Errorf("%s: %d lessons are kept, %v", name, n, err)
		}
	}
}

// choosingModels: who chooses a model, which and why is in the feed.
func choosingModels(t *testing.T, open func() store.Store) {
	st, other := open(), open()
	ctx := store.WithReason(store.WithActor(t.Context(), "cli:eve"), "it judges better")
	before := version(t, st)
	must(t, st.NoteModel(ctx, store.UseAction, "tuned-b10da0de"))
	changes, err := other.Changes(t.Context(), before, 10)
	must(t, err)
	want := core.Change{Actor: "cli:eve", Action: "use", Object: "model/tuned-b10da0de", Reason: "it judges better"}
	if len(changes) != 1 || changes[0].Change != want {
		t.Errorf("the feed has %+v, want %+v", changes, want)
	}
}
