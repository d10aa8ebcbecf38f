package app

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/calibrate"
	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/embed"
	"github.com/plumbline/plumbline/internal/embed/embedtest"
	"github.com/plumbline/plumbline/internal/intent"
	"github.com/plumbline/plumbline/internal/models"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/telemetry"
)

// otherScorer is one by another table than the shipped one.
func otherScorer(t *testing.T) *deviation.Scorer {
	t.Helper()
	_, table := embedtest.Turned(t)
	s, err := deviation.New(table)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// turnedIn puts such a table into a directory of models and gives its version.
func turnedIn(t *testing.T, dir models.Dir) string {
	t.Helper()
	file, table := embedtest.Turned(t)
	if err := dir.Propose(file, models.Card{Version: table.Version()}); err != nil {
		t.Fatal(err)
	}
	return table.Version()
}

func use(t *testing.T, dir models.Dir, version string) {
	t.Helper()
	if _, err := dir.Use(version, func() error { return nil }); err != nil {
		t.Fatal(err)
	}
}

func viewOf(text string) *intent.View {
	return intent.NewView(core.Prompt{Parts: []core.Part{{Role: core.RoleUser, Kind: core.KindText, Text: text}}})
}

// TestReplicasFollowTheModel: all replicas of a directory use the model that is chosen, and the one before when somebody goes
// back, without a restart. What has begun is judged by what it pinned, and a calibration counts for its own model alone.
func TestReplicasFollowTheModel(t *testing.T) {
	dir := models.Dir(filepath.Join(t.TempDir(), "shared"))
	var replicas []*App
	for range 2 {
		a, stop := running(t, testConfig(t, map[string]string{"deviation.models": string(dir)}))
		defer stop()
		seedPeople(t, a)
		replicas = append(replicas, a)
	}
	a := replicas[0]
	shipped := a.people.model()
	c := calibrate.New(shipped, []core.Sample{{Task: "a-own", Text: calibrate.TextVersions(a.directory.Snapshot().Tasks())["a-own"], Score: 0.5}})
	c.Created = time.Now().UTC().Truncate(time.Microsecond)
	if err := errors.Join(a.store.Calibrations().Put(t.Context(), c), a.Refresh(t.Context())); err != nil {
		t.Fatal(err)
	}
	begun := a.people.current.Load()
	if n, _ := begun.inForce.N("a-own"); n != 1 {
		t.Fatalf("calibrated by %d", n)
	}
	follow := func(model string) {
		t.Helper()
		for _, a := range replicas {
			await(t, "a replica uses "+model, func() bool { return a.people.model() == model })
		}
	}
	version := turnedIn(t, dir)
	use(t, dir, version)
	other := otherScorer(t).Version()
	follow(other)

	now, ann := a.people.current.Load(), core.Principal{User: "ann", Team: "support"}
	if n, _ := now.inForce.N("a-own"); n != 0 || now.inForce.Version() != "" {
		t.Errorf("a calibration of another model is in force, of %d", n)
	}
	view := viewOf("how do I book a flight to Lisbon next week")
	was, is := a.people.Score(view, begun.Tasks(ann)), a.people.Score(view, now.Tasks(ann))
	if was.Model != shipped || is.Model != other || was.Score == is.Score {
		t.Errorf("what has begun is scored as %s, and what begins as %s: %v and %v", was.Model, is.Model, was.Score, is.Score)
	}
	if none := a.people.Score(view, nil); none.Model != other || none.Unscored != core.UnscoredNoTask {
		t.Errorf("without a task: %+v", none)
	}
	res, err := http.Get(a.OpsURL() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil || !strings.Contains(string(metrics), `table="`+version+`"`) || strings.Contains(string(metrics), `model="`+shipped+`"`) {
		t.Errorf("the metrics do not say which model is in use: %v", err)
	}

	task, err := a.store.Tasks().Get(t.Context(), "c-both")
	if err != nil {
		t.Fatal(err)
	}
	task.Title = "Other work"
	if err := errors.Join(a.store.Tasks().Put(t.Context(), task), a.Refresh(t.Context())); err != nil {
		t.Fatal(err)
	}
	for _, task := range a.people.current.Load().Tasks(ann) {
		if task.Scorer().Version() != other {
			t.Errorf("task %s is compiled by %s", task.ID(), task.Scorer().Version())
		}
	}
	if _, _, err := dir.Rollback(func(string) error { return nil }); err != nil {
		t.Fatal(err)
	}
	follow(shipped)
	if a.people.current.Load().inForce.Version() != c.ID {
		t.Error("going back does not find the calibration")
	}
}

// TestChoiceOfAModelIsAudited: who chose a model, which and why is a record of the audit.
func TestChoiceOfAModelIsAudited(t *testing.T) {
	a, stop := running(t, testConfig(t, nil))
	defer stop()
	ctx := store.WithReason(store.WithActor(t.Context(), "cli:eve"), "it judges better")
	if err := errors.Join(a.store.NoteModel(ctx, store.UseAction, "tuned-b10da0de"), a.trail.catchUp(t.Context())); err != nil {
		t.Fatal(err)
	}
	r, err := audit.OpenReader(t.Context(), AuditPath(a.cfg.DataDir))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	entries, _, err := r.Search(t.Context(), audit.Query{Kind: core.RecordAdmin, Limit: 10})
	want := core.Change{Actor: "cli:eve", Action: "use", Object: "model/tuned-b10da0de", Reason: "it judges better"}
	if err != nil || len(entries) != 1 || *entries[0].Record.Admin != want {
		t.Errorf("the audit has %+v, %v", entries, err)
	}
}

// TestBrokenModelChangesNothing: a model that is gone or broken is not used, and neither is another; that is said once, and it is
// used as soon as it is whole.
func TestBrokenModelChangesNothing(t *testing.T) {
	dir := models.Dir(t.TempDir())
	version := turnedIn(t, dir)
	path := filepath.Join(string(dir), version+".bin")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	shipped, err := embed.Default()
	if err != nil {
		t.Fatal(err)
	}
	scorer, err := deviation.Default()
	if err != nil {
		t.Fatal(err)
	}
	p := newPeople(scorer)
	a, stop := running(t, testConfig(t, nil))
	p.load(a.directory.Snapshot())
	stop()
	use(t, dir, version)
	if err := os.WriteFile(path, whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		k := newModelKeeper(config.Deviation{Models: string(dir)}, shipped, telemetry.New(prometheus.NewRegistry(), telemetry.Build{}, nil), slog.New(slog.NewTextHandler(&log, nil)))
		traffic := deviation.NewTraffic(deviation.TrafficOptions{Scorer: scorer, Size: 500, Life: time.Hour, Now: time.Now})
		for range 3 {
			k.look(t.Context(), p, traffic)
		}
		if p.inUse() != scorer || strings.Count(log.String(), "stays") != 1 || !strings.Contains(log.String(), version) {
			t.Errorf("%s is in use; the log: %s", p.model(), log.String())
		}
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		k.look(t.Context(), p, traffic)
		if p.inUse() != scorer {
			t.Error("a model that was refused is read each time")
		}
		<-time.After(modelAgain)
		k.look(t.Context(), p, traffic)
		if p.model() != otherScorer(t).Version() {
			t.Errorf("%s is in use when it is whole again; the log: %s", p.model(), log.String())
		}
		if err := os.WriteFile(filepath.Join(string(dir), "in-use"), []byte("../x\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		log.Reset()
		for range 3 {
			k.look(t.Context(), p, traffic)
		}
		if strings.Count(log.String(), "stays") != 1 || p.inUse() == scorer {
			t.Errorf("%s is in use by a note that nobody wrote; the log: %s", p.model(), log.String())
		}
	})
}

// TestScoringWhileTheModelChanges: each score is by one model as a whole, also while another comes into use.
func TestScoringWhileTheModelChanges(t *testing.T) {
	scorer, err := deviation.Default()
	if err != nil {
		t.Fatal(err)
	}
	other := otherScorer(t)
	p := newPeople(scorer)
	a, stop := running(t, testConfig(t, nil))
	seedPeople(t, a)
	p.load(a.directory.Snapshot())
	snapshot := a.directory.Snapshot()
	stop()
	view, ann := viewOf("how do I book a flight to Lisbon next week"), core.Principal{User: "ann", Team: "support"}
	want := map[string]float64{}
	for _, s := range []*deviation.Scorer{scorer, other} {
		if err := p.use(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		d := p.Score(view, p.current.Load().Tasks(ann))
		want[d.Model] = d.Score
	}
	var scoring sync.WaitGroup
	done := make(chan struct{})
	for range 2 {
		scoring.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if d := p.Score(view, p.current.Load().Tasks(ann)); want[d.Model] != d.Score || len(want) != 2 {
					t.Errorf("scored %v by %s, want %v", d.Score, d.Model, want)
					return
				}
			}
		})
	}
	for i := range 20 {
		if i%2 == 0 {
			p.load(snapshot)
		}
		if err := p.use(t.Context(), []*deviation.Scorer{scorer, other}[i%2]); err != nil {
			t.Fatal(err)
		}
	}
	close(done)
	scoring.Wait()
}
