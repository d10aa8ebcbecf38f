// Package telemetry holds Plumbline's metrics and its logger.
//
// Metrics is one struct on a registry it is given. Labels come from closed sets (endpoints, verdicts, reasons, stages,
// models of the price table) and never from users, tasks or prompts. It imports core and the Prometheus client, which
// nothing else imports.
package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// otherModel is the label of models without a price: what clients write must not make new series.
const otherModel = "other"

// Metrics holds every metric family but those of Gauges.
type Metrics struct {
	known map[string]bool // models that may be a label

	exchanges
	judgements
	ledgers
	policies
	work
}

// Build describes the running program.
type Build struct {
	Version   string `json:"version"`
	Revision  string `json:"revision,omitempty"`
	GoVersion string `json:"go_version"`
}

// decisionBuckets span a microsecond to two seconds, in seconds.
var decisionBuckets = []float64{1e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, .1, .5, 2}

// New registers every family on reg. models are the names that may appear as a label.
func New(reg prometheus.Registerer, build Build, models []string) *Metrics {
	b := builder{reg}
	m := &Metrics{
		known:     make(map[string]bool, len(models)),
		exchanges: newExchanges(b), judgements: newJudgements(b), ledgers: newLedgers(b), policies: newPolicies(b), work: newWork(b),
	}
	for _, name := range models {
		m.known[name] = true
	}
	info := b.gaugeVec("build_info", "The running build; always 1.", "version", "revision", "go_version")
	info.WithLabelValues(build.Version, build.Revision, build.GoVersion).Set(1)
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Model gives the label of a model: its name if it has a price, else "other".
func (m *Metrics) Model(name string) string {
	if m.known[name] {
		return name
	}
	return otherModel
}

// builder registers families under the common prefix. Registration fails only on two families of one name, which New
// alone decides: MustRegister states that.
type builder struct{ reg prometheus.Registerer }

func (b builder) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "plumbline", Name: name, Help: help})
	b.reg.MustRegister(c)
	return c
}

func (b builder) counterVec(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "plumbline", Name: name, Help: help}, labels)
	b.reg.MustRegister(v)
	return v
}

func (b builder) gaugeVec(name, help string, labels ...string) *prometheus.GaugeVec {
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "plumbline", Name: name, Help: help}, labels)
	b.reg.MustRegister(v)
	return v
}

// histogramVec is classic only: an exchange passes a dozen of these, and native buckets cost three times as much.
func (b builder) histogramVec(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "plumbline", Name: name, Help: help, Buckets: buckets}, labels)
	b.reg.MustRegister(v)
	return v
}

// histogram is classic and native.
func (b builder) histogram(name, help string, buckets []float64) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: "plumbline", Name: name, Help: help, Buckets: buckets,
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
	})
	b.reg.MustRegister(h)
	return h
}
