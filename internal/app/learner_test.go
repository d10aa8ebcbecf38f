package app

import (
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/intent"
)

// TestTasksAreTrainedBesideTraffic notes what people ask, and sees tasks trained beside it, new ones too, and trained anew when
// somebody is erased.
func TestTasksAreTrainedBesideTraffic(t *testing.T) {
	scorer, err := deviation.Default()
	if err != nil {
		t.Fatal(err)
	}
	task := core.Task{ID: "trips", Title: "Business travel", Topics: []string{"book a flight"}}
	p := &people{fresh: func() error { return nil }}
	p.current.Store(&view{
		scorer: scorer, sources: map[string]core.Task{"trips": task}, compiled: compiledTasks(scorer.Compile(task)),
	})
	synctest.Test(t, func(t *testing.T) {
		l := newLearner(config.Deviation{Traffic: 1000, TrainEvery: 24 * time.Hour}, scorer, p, slog.New(slog.DiscardHandler))
		ask := func(people int) {
			for i := range 30 {
				for person := range people {
					l.traffic.Note(fmt.Sprintf("user/%d", person), intent.NewView(core.Prompt{Parts: []core.Part{{
						Role: core.RoleUser, Kind: core.KindText, Text: fmt.Sprintf("Draft report %d of team %d", i, person),
					}}}))
				}
			}
		}
		beside := func() string { return p.current.Load().compiled["trips"]().Beside() }
		ask(10)
		l.look(t.Context())
		if beside() != "" {
			t.Error("trained beside too little traffic")
		}
		ask(20)
		l.look(t.Context())
		first := beside()
		if first == "" {
			t.Fatal("not trained beside traffic")
		}
		ask(20)
		l.look(t.Context())
		if beside() != first {
			t.Error("trained anew before its time")
		}
		l.forget("user/1")
		select {
		case <-l.forgot:
			l.beside = nil
		default:
			t.Fatal("an erasure is not told of")
		}
		l.look(t.Context())
		second := beside()
		if second == first {
			t.Error("not trained anew after an erasure")
		}
		<-time.After(24 * time.Hour)
		ask(20)
		l.look(t.Context())
		if beside() == second {
			t.Error("not trained anew when it was time")
		}
	})
}

func TestATaskThatChangedIsNotReplaced(t *testing.T) {
	scorer, err := deviation.Default()
	if err != nil {
		t.Fatal(err)
	}
	old, changed := core.Task{ID: "trips", Title: "Business travel"}, core.Task{ID: "trips", Title: "Holidays"}
	p := &people{}
	now := scorer.Compile(changed)
	p.current.Store(&view{scorer: scorer, sources: map[string]core.Task{"trips": changed}, compiled: compiledTasks(now)})
	p.replace(old, scorer.Compile(old))
	if p.current.Load().compiled["trips"]() != now {
		t.Error("a task is in force as it was before a change")
	}
	other := otherScorer(t)
	p.replace(changed, other.Compile(changed))
	if p.current.Load().compiled["trips"]() != now {
		t.Error("a task of another scorer is in force")
	}
}

func compiledTasks(tasks ...*deviation.Task) map[string]func() *deviation.Task {
	all := map[string]func() *deviation.Task{}
	for _, t := range tasks {
		all[t.ID()] = func() *deviation.Task { return t }
	}
	return all
}
