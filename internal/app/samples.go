package app

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/policy"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/telemetry"
)

const (
	// samplesInFlight is how many samples wait in this process to be queued. What comes on top is not queued, whatever it is:
	// what is lost depends on nothing but the time.
	samplesInFlight = 1024
	// samplesBatch is how many are queued at once, and samplesFlush how long one waits for others.
	samplesBatch = 100
	samplesFlush = time.Second
	// samplesLast bounds the last attempt before the process ends.
	samplesLast = 2 * time.Second
)

// samples queues prompts that were drawn for calibration to be labelled, and sets a share of them aside to learn from. A coin
// says which of the two when a prompt is drawn, whatever it is about: what is left to be labelled is a random part of the traffic
// still. No request waits for it.
type samples struct {
	labels  store.Labels
	lessons store.Lessons
	aside   float64 // the share that is learnt from
	drawn   chan core.Record
	metrics *telemetry.Metrics
	log     *slog.Logger
	away    bool // the store, when it was tried last; run's
}

// drawnSamples are what is to be noted in the store.
type drawnSamples struct {
	queue   []core.Sample
	lessons []core.Lesson
}

func (d drawnSamples) len() int { return len(d.queue) + len(d.lessons) }

func newSamples(st store.Store, aside float64, metrics *telemetry.Metrics, log *slog.Logger) *samples {
	return &samples{
		labels: st.Labels(), lessons: st.Lessons(), aside: aside, drawn: make(chan core.Record, samplesInFlight), metrics: metrics, log: log,
	}
}

// note takes note of a record that holds a sample. It does not block.
func (s *samples) note(rec *core.Record) {
	if rec.Deviation == nil || rec.Deviation.Unscored != "" || rec.Deviation.Task == "" {
		return // there is no score to calibrate
	}
	r := *rec
	r.Sealed = nil // as large as a prompt
	select {
	case s.drawn <- r:
	default:
		s.metrics.SamplesLost(1)
	}
}

// run queues samples until ctx ends.
func (s *samples) run(ctx context.Context) error {
	ticker := time.NewTicker(samplesFlush)
	defer ticker.Stop()
	var waiting drawnSamples
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), samplesLast)
			defer cancel()
			s.queue(last, s.rest(waiting))
			return ctx.Err()
		case rec := <-s.drawn:
			waiting = s.add(waiting, rec)
			if s.away { // it is tried once in a while, and not by each that comes
				waiting = s.bounded(waiting)
				continue
			}
			if waiting.len() < samplesBatch {
				continue
			}
		case <-ticker.C:
		}
		waiting = s.queue(ctx, waiting)
	}
}

// rest adds all that is there already.
func (s *samples) rest(waiting drawnSamples) drawnSamples {
	for {
		select {
		case rec := <-s.drawn:
			waiting = s.add(waiting, rec)
		default:
			return waiting
		}
	}
}

// queue gives what is left to be noted: what could not be is tried again, as far as there is room.
func (s *samples) queue(ctx context.Context, waiting drawnSamples) drawnSamples {
	if waiting.len() == 0 {
		return waiting
	}
	var errs [2]error
	if len(waiting.queue) > 0 {
		if errs[0] = s.labels.Draw(ctx, waiting.queue...); errs[0] == nil {
			waiting.queue = nil
		}
	}
	if len(waiting.lessons) > 0 {
		if errs[1] = s.lessons.SetAside(ctx, waiting.lessons...); errs[1] == nil {
			waiting.lessons = nil
		}
	}
	err := errors.Join(errs[:]...)
	switch {
	case err != nil && !s.away:
		s.log.Warn("samples for calibration could not be queued; they are tried again", "samples", waiting.len(), "error", err)
	case err == nil && s.away:
		s.log.Info("samples for calibration are queued again")
	}
	s.away = err != nil
	return s.bounded(waiting)
}

// bounded leaves as many as may wait: what came first.
func (s *samples) bounded(waiting drawnSamples) drawnSamples {
	waiting.queue = atMost(s, waiting.queue)
	waiting.lessons = atMost(s, waiting.lessons)
	return waiting
}

// atMost leaves as many as may wait of each kind.
func atMost[T any](s *samples, waiting []T) []T {
	if len(waiting) <= samplesInFlight {
		return waiting
	}
	s.metrics.SamplesLost(len(waiting) - samplesInFlight)
	return waiting[:samplesInFlight]
}

// add adds the sample of a record, in a random place of the queue or of what is learnt from.
func (s *samples) add(to drawnSamples, rec core.Record) drawnSamples {
	place := store.FirstPlace + rand.Int64N(store.LastPlace-store.FirstPlace) //nolint:gosec // a place in a queue
	var err error
	if rand.Float64() < s.aside { //nolint:gosec // a coin
		lesson := core.Lesson{Exchange: rec.Exchange, Drawn: rec.Time, Place: place}
		if err = store.ValidateLesson(lesson); err == nil {
			to.lessons = append(to.lessons, lesson)
		}
	} else {
		var sample core.Sample
		if sample, err = sampleOf(rec, place); err == nil {
			to.queue = append(to.queue, sample)
		}
	}
	if err != nil { // one that cannot be kept must not hold up the others
		s.metrics.SamplesLost(1)
		s.log.Warn("a sample for calibration cannot be queued", "exchange", rec.Exchange, "error", err)
	}
	return to
}

// sampleOf gives the sample of a record.
func sampleOf(rec core.Record, place int64) (core.Sample, error) {
	facts, err := policy.FactsOf(rec)
	if err != nil {
		return core.Sample{}, err
	}
	s := core.Sample{
		Exchange: rec.Exchange, Drawn: rec.Time, Task: rec.Deviation.Task, Text: facts.Calibration.Text,
		Model: rec.Deviation.Model, Score: rec.Deviation.Score, Place: place,
	}
	return s, store.ValidateSample(s)
}
