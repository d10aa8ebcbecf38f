package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Gauges are values that other parts hold and that are read when metrics are scraped.
type Gauges struct {
	QuotaReservedTokens func() float64
	QuotaOverruns       func() float64 // a counter
	StreamsOpen         func() float64
	BodyBytesInFlight   func() float64
	AuditHealthy        func() bool
	DirectoryVersion    func() float64
	DirectoryAge        func() float64 // seconds
	DirectoryFailures   func() float64 // a counter
	Spool               func() Spool   // nil where records are not shipped
	Checkpoints         func() Checkpoints
	Calibration         func() Calibration
}

// Calibration is what is behind the promise about wrongly blocked prompts, and what became of it.
type Calibration struct {
	N        int     // labelled prompts on task behind what is in force
	Later    int     // prompts on task that were drawn and labelled later
	Realised float64 // the share of those that is blocked
	Demoted  bool
}

// Checkpoints is how the signing of audit records goes.
type Checkpoints struct {
	Last     time.Time // when one reached the second place, zero for never
	Records  int64     // that it fixes
	Failures int64
	Waiting  time.Duration // since the oldest record has waited for one
}

// Spool is how the shipping of audit records goes.
type Spool struct {
	Records, Bytes, Bound, Shipped, DeadLetters, Conflicts, Missing int64
	// Watermark is the highest of 0, 80 and 95 hundredths of Bound that Bytes have reached.
	Watermark int64
	// Left are logs of dead processes with records that are not shipped, and Taken the records that were.
	Left, Taken int64
	Oldest      time.Duration // how long the first record waits
}

// Watch registers gauges. It is called once, when the parts they read exist.
func (m *Metrics) Watch(reg prometheus.Registerer, g Gauges) {
	gauge := func(name, help string, f func() float64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "plumbline", Name: name, Help: help}, f))
	}
	gauge("quota_reserved_tokens", "Tokens held by exchanges in flight.", g.QuotaReservedTokens)
	gauge("streams_open", "ext_proc streams open now.", g.StreamsOpen)
	gauge("body_bytes_in_flight", "Request body bytes admitted into memory now.", g.BodyBytesInFlight)
	gauge("directory_version", "Version of the people, tasks, limits and keys in force.", g.DirectoryVersion)
	gauge("directory_age_seconds", "Time since the people, tasks, limits and keys in force were last compared with the store. Beyond feed.max_staleness calls are refused.", g.DirectoryAge)
	reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Namespace: "plumbline", Name: "directory_failures_total",
		Help: "Looks at the store that failed: people, tasks, limits and keys stayed as they were.",
	}, g.DirectoryFailures))
	gauge("audit_healthy", "1 while audit records can be written.", func() float64 {
		if g.AuditHealthy() {
			return 1
		}
		return 0
	})
	reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Namespace: "plumbline", Name: "quota_overrun_total",
		Help: "Settlements above their reservation.",
	}, g.QuotaOverruns))
	watchSpool(reg, g.Spool)
	watchCheckpoints(reg, g.Checkpoints)
	watchCalibration(reg, g.Calibration)
}

// watchCalibration registers the metrics of the promise.
func watchCalibration(reg prometheus.Registerer, of func() Calibration) {
	gauge := func(name, help string, f func(Calibration) float64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "plumbline", Name: name, Help: help},
			func() float64 { return f(of()) }))
	}
	gauge("calibration_prompts", "Labelled prompts on task behind the calibration in force; 0 without one.", func(c Calibration) float64 { return float64(c.N) })
	gauge("calibration_realised_false_block_ratio", "Of the prompts on task that were drawn and labelled since the calibration was made, the share that it blocks. Above twice deviation.promise it is demoted.",
		func(c Calibration) float64 { return c.Realised })
	gauge("calibration_realised_prompts", "How many prompts that is a share of.", func(c Calibration) float64 { return float64(c.Later) })
	gauge("calibration_demoted", "1 while the calibration in force blocks nothing, since it was found to block more than was promised.", func(c Calibration) float64 {
		if c.Demoted {
			return 1
		}
		return 0
	})
}

// watchCheckpoints registers the metrics of signing.
func watchCheckpoints(reg prometheus.Registerer, of func() Checkpoints) {
	gauge := func(name, help string, f func() float64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "plumbline", Name: name, Help: help}, f))
	}
	gauge("audit_checkpoint_last_timestamp_seconds", "When the last signed checkpoint of the audit reached the second place, in seconds since 1970; 0 for not since the start.", func() float64 {
		if last := of().Last; !last.IsZero() {
			return float64(last.UnixMilli()) / 1e3
		}
		return 0
	})
	gauge("audit_checkpoint_records", "Records that it fixes, of its writer.", func() float64 { return float64(of().Records) })
	gauge("audit_unfixed_seconds", "How long the oldest audit record waits for a signed checkpoint at the second place. Above a minute: it cannot be signed or written; traffic goes on.",
		func() float64 { return of().Waiting.Seconds() })
	reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Namespace: "plumbline", Name: "audit_checkpoint_failures_total",
		Help: "Attempts to sign, keep or write checkpoints that failed, and writers of which none can be signed.",
	}, func() float64 { return float64(of().Failures) }))
}

// watchSpool registers the metrics of the spool. Where nothing is shipped they are zero, as dashboards and alerts name them.
func watchSpool(reg prometheus.Registerer, spool func() Spool) {
	if spool == nil {
		spool = func() Spool { return Spool{} }
	}
	gauge := func(name, help string, of func(Spool) float64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "plumbline", Name: name, Help: help},
			func() float64 { return of(spool()) }))
	}
	counter := func(name, help string, of func(Spool) int64) {
		reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: "plumbline", Name: name, Help: help},
			func() float64 { return float64(of(spool())) }))
	}
	gauge("spool_records", "Audit records that Postgres does not have yet.", func(s Spool) float64 { return float64(s.Records) })
	gauge("spool_oldest_seconds", "How long the oldest of them waits.", func(s Spool) float64 { return s.Oldest.Seconds() })
	gauge("spool_bytes", "Room that audit.db takes as a spool, its WAL included.", func(s Spool) float64 { return float64(s.Bytes) })
	gauge("spool_bound_bytes", "Room that audit.db may take as a spool, audit.spool_size.", func(s Spool) float64 { return float64(s.Bound) })
	gauge("spool_watermark_percent", "Highest watermark that the spool has reached: 0, 80 or 95 percent of its bound. At 95 new calls are refused.",
		func(s Spool) float64 { return float64(s.Watermark) })
	gauge("spools_left", "Audit logs that dead processes left on the volume and that are not shipped, since Postgres is away or they cannot be read.",
		func(s Spool) float64 { return float64(s.Left) })
	counter("spool_taken_over_total", "Audit records that Postgres has from logs that dead processes left on the volume.",
		func(s Spool) int64 { return s.Taken })
	gauge("audit_missing_records", "Audit records of all processes that Postgres lacks although it has later ones. Must be 0.",
		func(s Spool) float64 { return float64(s.Missing) })
	counter("audit_shipped_total", "Audit records that Postgres has, from this process.", func(s Spool) int64 { return s.Shipped })
	counter("audit_deadletter_total", "Audit records that Postgres refused, kept as dead letters.", func(s Spool) int64 { return s.DeadLetters })
	counter("audit_conflict_total", "Audit records in whose place Postgres has another: changed there, or a log that was copied.",
		func(s Spool) int64 { return s.Conflicts })
}
