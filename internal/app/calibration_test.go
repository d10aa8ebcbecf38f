package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/read"
	"github.com/plumbline/plumbline/internal/calibrate"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/deviation"
	"github.com/plumbline/plumbline/internal/policy"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/store/sqlite"
	"github.com/plumbline/plumbline/internal/telemetry"
)

var billing = core.Task{ID: "billing", Title: "Billing", Topics: []string{"invoices"}}

// labelledStore is a store with a task, and labels of eve that count.
type labelledStore struct {
	store.Store
	t     *testing.T
	model string
	n     int
}

func newLabelledStore(t *testing.T) *labelledStore {
	t.Helper()
	st, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "plumbline.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	if err := st.Tasks().Put(t.Context(), billing); err != nil {
		t.Fatal(err)
	}
	scorer, err := deviation.Default()
	if err != nil {
		t.Fatal(err)
	}
	return &labelledStore{st, t, scorer.Version(), 0}
}

// label draws samples with these scores at a time, and labels them.
func (s *labelledStore) label(drawn time.Time, onTask bool, scores ...float64) {
	s.t.Helper()
	samples := make([]core.Sample, len(scores))
	for i, score := range scores {
		s.n++
		samples[i] = core.Sample{
			Exchange: fmt.Sprint("x", s.n), Drawn: drawn, Task: billing.ID, Text: calibrate.TextVersion(billing), Model: s.model, Score: score, Place: int64(s.n),
		}
	}
	if err := s.Labels().Draw(s.t.Context(), samples...); err != nil {
		s.t.Fatal(err)
	}
	for _, sample := range samples {
		l := core.Label{Sample: sample, By: "eve", Approved: "eve", OnTask: onTask, At: drawn}
		if err := s.Labels().Put(s.t.Context(), l); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *labelledStore) latest() *core.Calibration {
	s.t.Helper()
	objects, _, err := s.Load(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return store.LatestCalibration(objects.Calibrations, s.model)
}

func repeated(score float64, n int) []float64 {
	all := make([]float64, n)
	for i := range all {
		all[i] = score
	}
	return all
}

const onePercent = 0.01

// TestPromiseFromLabelsToDemotion: nothing is promised below 299 labels; then it is, until later labels say that it does not
// hold, or a task is another one.
func TestPromiseFromLabelsToDemotion(t *testing.T) {
	s := newLabelledStore(t)
	ctx := store.WithReason(store.WithActor(t.Context(), "cli:eve"), "first version")
	at := time.Date(2026, 3, 11, 9, 0, 0, 0, time.UTC)
	made := at.Add(time.Hour)

	s.label(at, true, repeated(0.5, 298)...)
	s.label(at, false, 0.9)
	if _, err := MakeCalibration(ctx, s, s.model, onePercent, made); !errors.Is(err, ErrTooFewLabels) || !strings.Contains(err.Error(), "298 of 299") {
		t.Fatalf("with 298 labels: %v", err)
	}
	s.label(at, true, 0.6)
	c, err := MakeCalibration(ctx, s, s.model, onePercent, made)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := MakeCalibration(ctx, s, s.model, onePercent, made.Add(time.Hour)); err != nil || !again.Created.Equal(c.Created) {
		t.Errorf("the same labels make another version: %+v, %v", again, err)
	}
	status := s.status()
	if !status.Enforced || status.N != 299 || status.Version != c.ID || status.Labels.OffTask != 1 || !status.Tasks[0].Own {
		t.Errorf("status %+v", status)
	}

	// Later ones: 60 near, one far, and one that is off task and is to be stopped.
	s.label(made.Add(time.Minute), true, repeated(0.5, 60)...)
	s.label(made.Add(time.Minute), true, 0.7)
	s.label(made.Add(time.Minute), false, 0.95)
	s.label(at, true, repeated(0.99, 5)...) // drawn before: they do not test it
	check := &calibrationCheck{store: s, model: func() string { return s.model }, promise: func() float64 { return onePercent }, now: func() time.Time { return made }, log: slog.New(slog.DiscardHandler)}
	if err := check.demote(t.Context()); err != nil || !s.latest().Demoted.IsZero() {
		t.Errorf("one of 61 demotes: %+v, %v", s.latest().Demoted, err)
	}
	if got, want := s.status().Realised, (calibrate.Realised{Wrong: 1, OnTask: 61, Right: 1, OffTask: 1}); got != want {
		t.Errorf("realised %+v, want %+v", got, want)
	}
	s.label(made.Add(time.Minute), true, 0.8)
	if err := check.demote(t.Context()); err != nil || s.latest().Demoted.IsZero() {
		t.Fatalf("two of 62 do not demote: %+v, %v", s.latest().Demoted, err)
	}
	changes, err := s.Changes(ctx, 0, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	if last := changes[len(changes)-1]; last.Action != store.DemoteAction || last.Actor != store.System || !strings.Contains(last.Reason, "2 of 62") {
		t.Errorf("the feed ends with %+v", last)
	}
	if status := s.status(); status.Enforced || status.Realised.Wrong != 2 {
		t.Errorf("after the demotion: %+v", status)
	}
	if err := check.demote(t.Context()); err != nil {
		t.Error(err)
	}
	if again, err := s.Changes(ctx, 0, 10_000); err != nil || len(again) != len(changes) {
		t.Errorf("it is demoted again: %v", err)
	}
}

func (s *labelledStore) status() CalibrationStatus {
	s.t.Helper()
	status, err := StatusOfCalibration(s.t.Context(), s, s.model, onePercent)
	if err != nil {
		s.t.Fatal(err)
	}
	return status
}

// TestAnotherTextEndsThePromise: labels of a task with another text count for nothing, and few versions are kept.
func TestAnotherTextEndsThePromise(t *testing.T) {
	s := newLabelledStore(t)
	ctx := t.Context()
	at := time.Date(2026, 3, 11, 9, 0, 0, 0, time.UTC)
	for i := range 5 {
		s.label(at, true, repeated(0.5, 299)...)
		if _, err := MakeCalibration(ctx, s, s.model, onePercent, at.Add(time.Duration(i)*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	if all, err := s.Calibrations().List(ctx, store.Page{}); err != nil || len(all) != keptCalibrations {
		t.Errorf("%d versions are kept, %v", len(all), err)
	}
	other := billing
	other.Topics = append(other.Topics, "dunning")
	if err := s.Tasks().Put(ctx, other); err != nil {
		t.Fatal(err)
	}
	if status := s.status(); status.Enforced || status.N != 0 || status.Labels.OnTask != 0 || status.Labels.Stale != 5*299 {
		t.Errorf("with another text: %+v", status)
	}
}

// TestClocksThatDisagree: what was drawn by a clock that is ahead is either what a version is made of or what tests it, and a
// version that would not be the last one is refused instead of said to be in force.
func TestClocksThatDisagree(t *testing.T) {
	s := newLabelledStore(t)
	at := time.Date(2026, 3, 11, 9, 0, 0, 0, time.UTC)
	s.label(at.Add(-2*time.Hour), true, repeated(0.5, 298)...)
	s.label(at.Add(time.Second), true, 0.9)
	if _, err := MakeCalibration(t.Context(), s, s.model, onePercent, at); !errors.Is(err, ErrTooFewLabels) {
		t.Errorf("with one of 299 drawn later: %v", err)
	}
	s.label(at, true, 0.5)
	first, err := MakeCalibration(t.Context(), s, s.model, onePercent, at)
	if err != nil || first.N() != 299 {
		t.Fatalf("%d prompts, %v", first.N(), err)
	}
	if got := s.status().Realised; got.OnTask != 1 || got.Wrong != 1 {
		t.Errorf("realised %+v, want the later one", got)
	}
	for _, back := range []time.Duration{0, time.Hour} {
		s.label(at.Add(-2*time.Hour), true, 0.4)
		if _, err := MakeCalibration(t.Context(), s, s.model, onePercent, at.Add(-back)); !errors.Is(err, ErrClock) || s.latest().ID != first.ID {
			t.Errorf("made %s before the one in force: %v", back, err)
		}
	}
	if next, err := MakeCalibration(t.Context(), s, s.model, onePercent, at.Add(time.Second)); err != nil || s.latest().ID != next.ID || next.N() != 302 {
		t.Errorf("made later: %d prompts, %v", next.N(), err)
	}
}

// TestADemotedVersionIsNotMadeAgain: the labels of a version that broke its promise make no other one, and nobody is told so.
func TestADemotedVersionIsNotMadeAgain(t *testing.T) {
	s := newLabelledStore(t)
	at := time.Date(2026, 3, 11, 9, 0, 0, 0, time.UTC)
	s.label(at, true, repeated(0.5, 299)...)
	c, err := MakeCalibration(t.Context(), s, s.model, onePercent, at)
	if err != nil {
		t.Fatal(err)
	}
	c.Demoted = at.Add(time.Hour)
	if err := s.Calibrations().Put(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if _, err := MakeCalibration(t.Context(), s, s.model, onePercent, at.Add(2*time.Hour)); !errors.Is(err, ErrDemoted) || s.latest().Demoted.IsZero() {
		t.Errorf("%v, demoted %s", err, s.latest().Demoted)
	}
	s.label(at.Add(time.Hour), true, 0.9)
	if next, err := MakeCalibration(t.Context(), s, s.model, onePercent, at.Add(2*time.Hour)); err != nil || !s.latest().Demoted.IsZero() || s.latest().ID != next.ID {
		t.Errorf("with another label: %v", err)
	}
}

// TestBlockedSince: what is counted are calls that were blocked for their deviation, since a time.
func TestBlockedSince(t *testing.T) {
	d := newDrawn(t)
	at := time.Now()
	for i, r := range []core.Record{
		{Kind: core.RecordDeny, Reason: core.ReasonOffTask, Time: at.Add(-time.Hour)},
		{Kind: core.RecordDeny, Reason: core.ReasonOffTask, Time: at},
		{Kind: core.RecordDeny, Reason: core.ReasonOffTask, Time: at.Add(time.Minute)},
		{Kind: core.RecordDeny, Reason: core.ReasonModelNotAllowed, Time: at.Add(time.Minute)},
	} {
		r.Exchange, r.Principal = fmt.Sprint("d", i), core.Principal{User: "ann"}
		if err := d.log.Append(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	r, err := audit.OpenReader(t.Context(), AuditPath(d.dir))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if n, err := BlockedSince(t.Context(), read.Local{Reader: r}, at); n != 2 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

// TestGoingBackToAModelFindsItsCalibration: a calibration counts for its own model alone, and outlives several of another.
func TestGoingBackToAModelFindsItsCalibration(t *testing.T) {
	s := newLabelledStore(t)
	at := time.Date(2026, 3, 11, 9, 0, 0, 0, time.UTC)
	make299 := func(hour int) core.Calibration {
		t.Helper()
		s.label(at, true, repeated(0.5, 299)...)
		c, err := MakeCalibration(t.Context(), s, s.model, onePercent, at.Add(time.Duration(hour)*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	first := s.model
	before := make299(0)
	s.model = "aligned-2-tuned"
	if status := s.status(); status.Enforced || status.Version != "" || status.N != 0 || status.Labels.Stale != 299 {
		t.Errorf("with another model: %+v", status)
	}
	for hour := range keptCalibrations + 1 {
		make299(1 + hour)
	}
	if status := s.status(); !status.Enforced || status.Model != s.model {
		t.Errorf("calibrated with the other model: %+v", status)
	}
	s.model = first
	if status := s.status(); !status.Enforced || status.Version != before.ID || status.N != 299 {
		t.Errorf("back at the first: %+v, want %s", status, before.ID)
	}
}

// runningSamples takes samples into queue until end, which waits for that, is called.
func runningSamples(t *testing.T, queue *fakeQueue) (s *samples, log *bytes.Buffer, end func()) {
	t.Helper()
	log = new(bytes.Buffer)
	s = newSamples(queue, 0, telemetry.New(prometheus.NewRegistry(), telemetry.Build{}, nil), slog.New(slog.NewTextHandler(log, nil)))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = s.run(ctx) }()
	return s, log, func() {
		cancel()
		<-done
	}
}

// TestSamplesAreQueued: what was drawn is queued while nobody waits, also when the store was away, and what the process still
// has when it ends.
func TestSamplesAreQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := &fakeQueue{err: errors.New("away")}
		s, _, end := runningSamples(t, queue)
		s.note(sampledRecord("x1", "billing", ""))
		s.note(sampledRecord("x2", "", ""))                           // no task
		s.note(sampledRecord("x3", "billing", core.UnscoredTooShort)) // no score
		broken := sampledRecord("x4", "billing", "")
		broken.Facts = []byte("{")
		s.note(broken)
		<-time.After(2*samplesFlush + time.Millisecond)
		queue.err = nil
		<-time.After(samplesFlush)
		if got := fmt.Sprint(queue.exchanges); got != "[x1]" {
			t.Errorf("queued %s, want x1 alone", got)
		}
		s.note(sampledRecord("x5", "billing", ""))
		end()
		if got := fmt.Sprint(queue.exchanges); got != "[x1 x5]" {
			t.Errorf("queued %s at the end", got)
		}
	})
}

// TestStoreAwayIsTriedOnceInAWhile: while samples cannot be queued, no more of them wait than may, and neither the store nor the
// log is flooded.
func TestStoreAwayIsTriedOnceInAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := &fakeQueue{err: errors.New("away")}
		s, log, end := runningSamples(t, queue)
		for i := range 2 * samplesInFlight {
			s.note(sampledRecord(fmt.Sprint("x", i), "billing", ""))
			synctest.Wait()
		}
		<-time.After(5*samplesFlush + samplesFlush/2)
		if n := strings.Count(log.String(), "WARN"); n != 1 || queue.tries > 7 {
			t.Errorf("%d warnings, %d tries", n, queue.tries)
		}
		queue.err = nil
		<-time.After(samplesFlush)
		if n := len(queue.exchanges); n != samplesInFlight || queue.exchanges[0] != "x0" || !strings.Contains(log.String(), "queued again") {
			t.Errorf("%d are queued when it is back, the log has\n%s", n, log.String())
		}
		end()
	})
}

// TestShareIsSetAside: each prompt that is drawn is queued or set aside, never both and never neither, by the share; what could
// not be noted keeps its kind when it is tried again.
func TestShareIsSetAside(t *testing.T) {
	queue := &fakeQueue{}
	s := newSamples(queue, 0.25, telemetry.New(prometheus.NewRegistry(), telemetry.Build{}, nil), slog.New(slog.DiscardHandler))
	var waiting drawnSamples
	const n = 4000
	for i := range n {
		waiting = s.add(waiting, *sampledRecord(fmt.Sprint("x", i), "billing", ""))
		if waiting.len() == samplesBatch {
			queue.err = errors.New("away")
			was := waiting
			if waiting = s.queue(t.Context(), waiting); !slices.Equal(waiting.lessons, was.lessons) || !slices.Equal(waiting.queue, was.queue) {
				t.Fatal("what could not be noted changed")
			}
			queue.err = nil
			waiting = s.queue(t.Context(), waiting)
		}
	}
	all := map[string]int{}
	for _, x := range slices.Concat(queue.exchanges, queue.aside) {
		all[x]++
	}
	if len(all) != n || len(queue.exchanges)+len(queue.aside) != n {
		t.Errorf("%d are queued and %d set aside of %d", len(queue.exchanges), len(queue.aside), n)
	}
	if share := float64(len(queue.aside)) / n; share < 0.21 || share > 0.29 { // five standard errors and more
		t.Errorf("%.3f are set aside, want 0.25", share)
	}
}

// TestSamplesAreBounded: while nothing is taken, noting neither blocks nor keeps more than it may.
func TestSamplesAreBounded(t *testing.T) {
	s := newSamples(&fakeQueue{}, 0, telemetry.New(prometheus.NewRegistry(), telemetry.Build{}, nil), slog.New(slog.DiscardHandler))
	for range samplesInFlight + 5 {
		s.note(sampledRecord("x", "billing", ""))
	}
	if n := s.rest(drawnSamples{}).len(); n != samplesInFlight {
		t.Errorf("%d wait, want %d", n, samplesInFlight)
	}
}

// fakeQueue is a store that queues samples and sets lessons aside.
type fakeQueue struct {
	store.Store
	err       error
	tries     int
	exchanges []string
	aside     []string
}

func (q *fakeQueue) Labels() store.Labels   { return drawing{q: q} }
func (q *fakeQueue) Lessons() store.Lessons { return setting{q: q} }

type drawing struct {
	store.Labels
	q *fakeQueue
}

type setting struct {
	store.Lessons
	q *fakeQueue
}

func (s setting) SetAside(_ context.Context, lessons ...core.Lesson) error {
	if s.q.err != nil {
		return s.q.err
	}
	for _, l := range lessons {
		s.q.aside = append(s.q.aside, l.Exchange)
	}
	return nil
}

func (d drawing) Draw(_ context.Context, samples ...core.Sample) error {
	d.q.tries++
	if d.q.err != nil {
		return d.q.err
	}
	for _, s := range samples {
		d.q.exchanges = append(d.q.exchanges, s.Exchange)
	}
	return nil
}

func sampledRecord(exchange, task string, unscored core.Unscored) *core.Record {
	f := policy.Facts{
		At: time.Date(2026, 3, 11, 9, 0, 0, 0, time.UTC), Calibration: policy.Calibration{Text: "0a1b"},
		Deviation: core.Deviation{Score: 0.5, Task: task, Model: "m", Unscored: unscored},
	}
	rec := core.Record{Kind: core.RecordIntent, Exchange: exchange, Time: f.At, Sealed: &core.Sealed{Sample: []byte("sealed")}}
	f.AddTo(&rec)
	return &rec
}
