package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// work measures the background jobs.
type work struct {
	jobs       *prometheus.CounterVec
	jobSeconds *prometheus.HistogramVec
	wrongSums  prometheus.Counter
}

func newWork(b builder) work {
	m := work{}
	m.jobs = b.counterVec("jobs_total", "Runs of background jobs in this process, by job and result: done, postponed (it goes on later), failed (it is tried again), discarded (it failed for the last time in its period).", "job", "result")
	m.jobSeconds = b.histogramVec("job_duration_seconds", "Time one run of a background job took.", []float64{.001, .01, .1, 1, 10, 60, 300, 600}, "job")
	m.wrongSums = b.counter("audit_rollup_differences_total", "Sums of the audit in Postgres that differ from a recount of their records. Must be 0.")
	return m
}

// Jobs names the background jobs and the results that their runs can have, so that all are zero from the beginning.
func (m *Metrics) Jobs(names, results []string) {
	for _, name := range names {
		m.jobSeconds.WithLabelValues(name)
		for _, result := range results {
			m.jobs.WithLabelValues(name, result)
		}
	}
}

// JobEnded counts a run of a background job. Both labels are of the sets that Jobs was given.
func (m *Metrics) JobEnded(job, result string, took time.Duration) {
	m.jobs.WithLabelValues(job, result).Inc()
	m.jobSeconds.WithLabelValues(job).Observe(took.Seconds())
}

// RollupDiffers counts sums that differ from a recount.
func (m *Metrics) RollupDiffers(sums int64) { m.wrongSums.Add(float64(sums)) }
