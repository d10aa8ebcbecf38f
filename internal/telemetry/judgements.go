package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plumbline/plumbline/internal/core"
)

// judgements measures what prompts are found to be, and the labelling of those that were drawn.
type judgements struct {
	intents      *prometheus.CounterVec
	deviation    prometheus.Histogram
	found        *prometheus.CounterVec
	modelInfo    *prometheus.GaugeVec
	samplesLost  prometheus.Counter
	judgeAsked   *prometheus.CounterVec
	judgeSeconds prometheus.Histogram
}

func newJudgements(b builder) judgements {
	m := judgements{}
	m.intents = b.counterVec("intent_total", "Prompts by intent.", "intent")
	m.deviation = b.histogram("deviation_score", "Deviation of prompts from assigned tasks: 0 on task, 1 nothing in common.",
		[]float64{.1, .2, .3, .4, .5, .6, .7, .8, .9, .95, .99, 1})
	m.found = b.counterVec("found_total", "Prompts in which a kind of secret or a form of attack was found, by what and kind.", "what", "kind")
	m.modelInfo = b.gaugeVec("model_info", "The model that deviations are scored with, as records name it, and its embedding table; always 1.", "model", "table")
	m.samplesLost = b.counter("calibration_samples_lost_total", "Prompts that were drawn for calibration and could not be queued to be labelled.")
	m.judgeAsked = b.counterVec("calibration_judge_asked_total", "Prompts drawn for calibration that the judge was asked about, by result: proposed, unsure, unusable (an answer of another form), refused, limited, failed.", "result")
	m.judgeSeconds = b.histogram("calibration_judge_duration_seconds", "Time one question to the judge took, all attempts and pauses included.", []float64{.1, .25, .5, 1, 2.5, 5, 10, 30, 60})
	return m
}

// Judged counts a prompt's intent and deviation, and what was found in it: kinds that Plumbline's own rules name.
func (m *Metrics) Judged(i core.Intent, d core.Deviation, f core.Found) {
	for _, s := range f.Secrets {
		m.found.WithLabelValues("secret", s.Kind).Inc()
	}
	for _, s := range f.Attacks {
		m.found.WithLabelValues("attack", s.Kind).Inc()
	}
	label := i.Label
	if i.Unscored != "" {
		label = "unscored"
	}
	m.intents.WithLabelValues(label).Inc()
	if d.Unscored == "" {
		m.deviation.Observe(d.Score)
	}
}

// ModelInUse states the model that deviations are scored with, and its table.
func (m *Metrics) ModelInUse(model, table string) {
	m.modelInfo.Reset()
	m.modelInfo.WithLabelValues(model, table).Set(1)
}

// SamplesLost counts prompts drawn for calibration that nobody will be asked about.
func (m *Metrics) SamplesLost(n int) { m.samplesLost.Add(float64(n)) }

// JudgeResults names how a question to the judge can end, so that all are zero from the beginning.
func (m *Metrics) JudgeResults(results ...string) {
	for _, r := range results {
		m.judgeAsked.WithLabelValues(r)
	}
}

// JudgeAsked counts a question to the judge. The result is one that JudgeResults was given.
func (m *Metrics) JudgeAsked(result string, took time.Duration) {
	m.judgeAsked.WithLabelValues(result).Inc()
	m.judgeSeconds.Observe(took.Seconds())
}
