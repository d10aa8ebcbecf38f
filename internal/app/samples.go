package app

import (
	"context"
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

// samples queues prompts that were drawn for calibration to be labelled. No request waits for it.
type samples struct {
	labels  store.Labels
	drawn   chan core.Record
	metrics *telemetry.Metrics
	log     *slog.Logger
	away    bool // the store, when it was tried last; run's
}

func newSamples(labels store.Labels, metrics *telemetry.Metrics, log *slog.Logger) *samples {
	return &samples{labels: labels, drawn: make(chan core.Record, samplesInFlight), metrics: metrics, log: log}
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
	var waiting []core.Sample
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
			if len(waiting) < samplesBatch {
				continue
			}
		case <-ticker.C:
		}
		waiting = s.queue(ctx, waiting)
	}
}

// rest adds all that is there already.
func (s *samples) rest(waiting []core.Sample) []core.Sample {
	for {
		select {
		case rec := <-s.drawn:
			waiting = s.add(waiting, rec)
		default:
			return waiting
		}
	}
}

// queue gives what is left to be queued: what could not be is tried again, as far as there is room.
func (s *samples) queue(ctx context.Context, waiting []core.Sample) []core.Sample {
	if len(waiting) == 0 {
		return nil
	}
	err := s.labels.Draw(ctx, waiting...)
	switch {
	case err != nil && !s.away:
		s.log.Warn("samples for calibration could not be queued; they are tried again", "samples", len(waiting), "error", err)
	case err == nil && s.away:
		s.log.Info("samples for calibration are queued again", "samples", len(waiting))
	}
	if s.away = err != nil; s.away {
		return s.bounded(waiting)
	}
	return nil
}

// bounded leaves as many as may wait: what came first.
func (s *samples) bounded(waiting []core.Sample) []core.Sample {
	if most := samplesInFlight; len(waiting) > most {
		s.metrics.SamplesLost(len(waiting) - most)
		waiting = waiting[:most]
	}
	return waiting
}

// add adds the sample of a record, in a random place of the queue.
func (s *samples) add(to []core.Sample, rec core.Record) []core.Sample {
	facts, err := policy.FactsOf(rec)
	sample := core.Sample{
		Exchange: rec.Exchange, Drawn: rec.Time, Task: rec.Deviation.Task, Text: facts.Calibration.Text,
		Model: rec.Deviation.Model, Score: rec.Deviation.Score,
		Place: store.FirstPlace + rand.Int64N(store.LastPlace-store.FirstPlace), //nolint:gosec // a place in a queue
	}
	if err == nil {
		err = store.ValidateSample(sample)
	}
	if err != nil { // one that cannot be kept must not hold up the others
		s.metrics.SamplesLost(1)
		s.log.Warn("a sample for calibration cannot be queued", "exchange", rec.Exchange, "error", err)
		return to
	}
	return append(to, sample)
}
