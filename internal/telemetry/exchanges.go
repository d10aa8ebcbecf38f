package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plumbline/plumbline/internal/core"
)

// Stage is a step of a decision, as the metric's label and the record's key name it.
type Stage string

// The stages of a decision.
const (
	StageIdentity  Stage = "identity"
	StageWire      Stage = "wire"
	StageOwner     Stage = "owner"
	StageDetect    Stage = "detect"
	StageIntent    Stage = "intent"
	StageDeviation Stage = "deviation"
	StagePolicy    Stage = "policy"
	StageLedger    Stage = "ledger"
	StageAudit     Stage = "audit"
)

// Stages lists every stage in the order of the request's way.
func Stages() []Stage {
	return []Stage{StageIdentity, StageWire, StageOwner, StageDetect, StageIntent, StageDeviation, StagePolicy, StageLedger, StageAudit}
}

// exchanges measures the way of requests and their answers, and who was let in.
type exchanges struct {
	requests         *prometheus.CounterVec
	refusals         *prometheus.CounterVec
	decisionSeconds  map[Stage]prometheus.Observer
	addedSeconds     prometheus.Histogram
	responseSeconds  prometheus.Histogram
	firstByteSeconds prometheus.Histogram
	tokens           *prometheus.CounterVec
	costUSD          *prometheus.CounterVec
	failClosed       *prometheus.CounterVec
	keysConfirmed    *prometheus.GaugeVec
}

func newExchanges(b builder) exchanges {
	m := exchanges{decisionSeconds: make(map[Stage]prometheus.Observer)}
	m.requests = b.counterVec("requests_total", "Exchanges by endpoint, verdict, reason and model.", "endpoint", "verdict", "reason", "model")
	m.refusals = b.counterVec("anonymous_refusals_total", "Requests refused before their caller was let in, by reason: unknown, revoked, expired or blocked.", "reason")
	stages := b.histogramVec("decision_duration_seconds", "Time one stage of a decision took.", decisionBuckets, "stage")
	for _, s := range Stages() {
		m.decisionSeconds[s] = stages.WithLabelValues(string(s))
	}
	m.addedSeconds = b.histogram("added_latency_seconds", "Time Plumbline itself worked on an exchange, over all of its messages.", decisionBuckets)
	m.responseSeconds = b.histogram("response_duration_seconds", "Time from the start of an exchange to the end of its answer.",
		[]float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600})
	m.firstByteSeconds = b.histogram("time_to_first_token_seconds", "Time from forwarding a streamed request to the first piece of its answer.",
		[]float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60})
	m.tokens = b.counterVec("tokens_total", "Tokens charged, by model and type.", "model", "type")
	m.costUSD = b.counterVec("cost_usd_total", "US dollars charged, by model.", "model")
	m.failClosed = b.counterVec("fail_closed_total", "Faults of Plumbline, by cause: requests that were refused because they could not be governed, and steps after a verdict that failed.", "cause")
	m.keysConfirmed = b.gaugeVec("jwks_last_success_timestamp_seconds", "When the keys of a trusted issuer were last fetched, in seconds since 1970; 0 for never.", "issuer")
	return m
}

// Decided counts one decision.
func (m *Metrics) Decided(endpoint string, v core.Verdict, model string) {
	m.requests.WithLabelValues(endpoint, string(v.Action), string(v.Reason), m.Model(model)).Inc()
}

// RefusedAnonymous counts a refusal of a caller that was not let in.
func (m *Metrics) RefusedAnonymous(r core.Reason) { m.refusals.WithLabelValues(string(r)).Inc() }

// StageTook records how long a stage took.
func (m *Metrics) StageTook(s Stage, d time.Duration) { m.decisionSeconds[s].Observe(d.Seconds()) }

// Settled counts what an exchange was charged.
func (m *Metrics) Settled(model string, u core.Usage, cost core.MicroUSD) {
	label := m.Model(model)
	m.tokens.WithLabelValues(label, "input").Add(float64(u.InputTokens))
	m.tokens.WithLabelValues(label, "output").Add(float64(u.OutputTokens))
	m.costUSD.WithLabelValues(label).Add(float64(cost) / 1e6)
}

// Answered records how an answer went: Plumbline's own work, the whole exchange, and the time to its first piece (zero
// when nothing was streamed).
func (m *Metrics) Answered(added, total, firstByte time.Duration) {
	m.addedSeconds.Observe(added.Seconds())
	m.responseSeconds.Observe(total.Seconds())
	if firstByte > 0 {
		m.firstByteSeconds.Observe(firstByte.Seconds())
	}
}

// FailedClosed counts a request refused because Plumbline could not govern it.
func (m *Metrics) FailedClosed(cause string) { m.failClosed.WithLabelValues(cause).Inc() }

// KeysConfirmed states when a trusted issuer last gave its keys, zero for never. Issuers are those of the configuration.
func (m *Metrics) KeysConfirmed(issuer string, at time.Time) {
	seconds := 0.0
	if !at.IsZero() {
		seconds = float64(at.UnixMilli()) / 1e3
	}
	m.keysConfirmed.WithLabelValues(issuer).Set(seconds)
}
