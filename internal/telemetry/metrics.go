// Package telemetry holds Plumbline's metrics and its logger.
//
// Metrics is one struct on a registry it is given. Labels come from closed sets (endpoints, verdicts, reasons, stages,
// models of the price table) and never from users, tasks or prompts. It imports core and the Prometheus client, which
// nothing else imports.
package telemetry

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

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

// LedgerOp is an operation of the quota ledger, as the metric's label names it.
type LedgerOp string

// The operations of the quota ledger.
const (
	LedgerReserve   LedgerOp = "reserve"
	LedgerExtend    LedgerOp = "extend"
	LedgerTouch     LedgerOp = "touch"
	LedgerSettle    LedgerOp = "settle"
	LedgerVoid      LedgerOp = "void"
	LedgerExpire    LedgerOp = "expire"
	LedgerStandings LedgerOp = "standings"
)

// LedgerOps lists every operation of the quota ledger.
func LedgerOps() []LedgerOp {
	return []LedgerOp{LedgerReserve, LedgerExtend, LedgerTouch, LedgerSettle, LedgerVoid, LedgerExpire, LedgerStandings}
}

// otherModel is the label of models without a price: what clients write must not make new series.
const otherModel = "other"

// Metrics holds every metric family.
type Metrics struct {
	known map[string]bool // models that may be a label

	requests          *prometheus.CounterVec
	decisionSeconds   map[Stage]prometheus.Observer
	ledgerSeconds     map[LedgerOp]prometheus.Observer
	addedSeconds      prometheus.Histogram
	responseSeconds   prometheus.Histogram
	firstByteSeconds  prometheus.Histogram
	tokens            *prometheus.CounterVec
	costUSD           *prometheus.CounterVec
	intents           *prometheus.CounterVec
	deviation         prometheus.Histogram
	found             *prometheus.CounterVec
	quotaRejections   *prometheus.CounterVec
	quotaExpired      prometheus.Counter
	quotaThresholds   *prometheus.CounterVec
	quotaUntold       prometheus.Counter
	failClosed        *prometheus.CounterVec
	failOpen          *prometheus.CounterVec
	breaker           *prometheus.GaugeVec
	fellBack          *prometheus.CounterVec
	bookedLate        *prometheus.CounterVec
	refusals          *prometheus.CounterVec
	policyInfo        *prometheus.GaugeVec
	modelInfo         *prometheus.GaugeVec
	conditionFailures *prometheus.CounterVec
	policyReads       *prometheus.CounterVec
	policyStale       *prometheus.GaugeVec
	keysConfirmed     *prometheus.GaugeVec
	jobs              *prometheus.CounterVec
	jobSeconds        *prometheus.HistogramVec
	wrongSums         prometheus.Counter
	samplesLost       prometheus.Counter
	judgeAsked        *prometheus.CounterVec
	judgeSeconds      prometheus.Histogram
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
	m := &Metrics{
		known:           make(map[string]bool, len(models)),
		decisionSeconds: make(map[Stage]prometheus.Observer),
		ledgerSeconds:   make(map[LedgerOp]prometheus.Observer),
	}
	for _, name := range models {
		m.known[name] = true
	}
	b := builder{reg}
	m.requests = b.counterVec("requests_total", "Exchanges by endpoint, verdict, reason and model.", "endpoint", "verdict", "reason", "model")
	stages := b.histogramVec("decision_duration_seconds", "Time one stage of a decision took.", decisionBuckets, "stage")
	for _, s := range Stages() {
		m.decisionSeconds[s] = stages.WithLabelValues(string(s))
	}
	ops := b.histogramVec("ledger_duration_seconds", "Time one operation of the quota ledger took.", decisionBuckets, "op")
	for _, op := range LedgerOps() {
		m.ledgerSeconds[op] = ops.WithLabelValues(string(op))
	}
	m.addedSeconds = b.histogram("added_latency_seconds", "Time Plumbline itself worked on an exchange, over all of its messages.", decisionBuckets)
	m.responseSeconds = b.histogram("response_duration_seconds", "Time from the start of an exchange to the end of its answer.",
		[]float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600})
	m.firstByteSeconds = b.histogram("time_to_first_token_seconds", "Time from forwarding a streamed request to the first piece of its answer.",
		[]float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60})
	m.tokens = b.counterVec("tokens_total", "Tokens charged, by model and type.", "model", "type")
	m.costUSD = b.counterVec("cost_usd_total", "US dollars charged, by model.", "model")
	m.intents = b.counterVec("intent_total", "Prompts by intent.", "intent")
	m.deviation = b.histogram("deviation_score", "Deviation of prompts from assigned tasks: 0 on task, 1 nothing in common.",
		[]float64{.1, .2, .3, .4, .5, .6, .7, .8, .9, .95, .99, 1})
	m.found = b.counterVec("found_total", "Prompts in which a kind of secret or a form of attack was found, by what and kind.", "what", "kind")
	m.quotaRejections = b.counterVec("quota_rejections_total", "Requests refused for quota, by scope and dimension.", "scope", "dimension")
	m.samplesLost = b.counter("calibration_samples_lost_total", "Prompts that were drawn for calibration and could not be queued to be labelled.")
	m.judgeAsked = b.counterVec("calibration_judge_asked_total", "Prompts drawn for calibration that the judge was asked about, by result: proposed, unsure, unusable (an answer of another form), refused, limited, failed.", "result")
	m.judgeSeconds = b.histogram("calibration_judge_duration_seconds", "Time one question to the judge took, all attempts and pauses included.", []float64{.1, .25, .5, 1, 2.5, 5, 10, 30, 60})
	m.quotaExpired = b.counter("quota_expired_total", "Reservations whose lease ended because nobody closed their exchange.")
	m.quotaThresholds = b.counterVec("quota_threshold_total", "Counters of limits whose use passed a threshold for the first time in their window, by threshold in percent.", "threshold", "scope", "dimension")
	m.quotaUntold = b.counter("quota_threshold_dropped_total", "Passed thresholds that a subscriber was not told of, since it was behind or too many counters were near their limits.")
	m.failClosed = b.counterVec("fail_closed_total", "Faults of Plumbline, by cause: requests that were refused because they could not be governed, and steps after a verdict that failed.", "cause")
	m.failOpen = b.counterVec("fail_open_total", "Requests let through uncounted because a limit is open while its ledger is away, by cause.", "cause")
	m.breaker = b.gaugeVec("ledger_breaker_state", "State of the way to the shared quota ledger: 1 for the one it is in.", "state")
	m.fellBack = b.counterVec("ledger_fallback_total", "Decisions without the shared quota ledger, by what the limits said: closed (refused), local, open.", "mode")
	m.bookedLate = b.counterVec("ledger_booked_late_total", "What the shared quota ledger was told late: reservations resolved, and charges booked from the records.", "kind")
	m.refusals = b.counterVec("anonymous_refusals_total", "Requests refused before their caller was let in, by reason: unknown, revoked, expired or blocked.", "reason")
	m.conditionFailures = b.counterVec("policy_condition_failures_total", "Conditions of the policy that could not be answered, by rule; the rule's on_error was applied.", "rule")
	m.policyReads = b.counterVec("policy_reads_total", "Policy documents that were read, by result: good, bad.", "result")
	m.policyStale = b.gaugeVec("policy_stale", "1 while the policy document as it is now cannot be put in force, and the last good one stays.")
	m.policyStale.WithLabelValues().Set(0)
	m.policyInfo = b.gaugeVec("policy_info", "The policy in force; always 1.", "version", "mode")
	m.modelInfo = b.gaugeVec("model_info", "The model that deviations are scored with, as records name it, and its embedding table; always 1.", "model", "table")
	m.keysConfirmed = b.gaugeVec("jwks_last_success_timestamp_seconds", "When the keys of a trusted issuer were last fetched, in seconds since 1970; 0 for never.", "issuer")
	m.jobs = b.counterVec("jobs_total", "Runs of background jobs in this process, by job and result: done, postponed (it goes on later), failed (it is tried again), discarded (it failed for the last time in its period).", "job", "result")
	m.jobSeconds = b.histogramVec("job_duration_seconds", "Time one run of a background job took.", []float64{.001, .01, .1, 1, 10, 60, 300, 600}, "job")
	m.wrongSums = b.counter("audit_rollup_differences_total", "Sums of the audit in Postgres that differ from a recount of their records. Must be 0.")
	info := b.gaugeVec("build_info", "The running build; always 1.", "version", "revision", "go_version")
	info.WithLabelValues(build.Version, build.Revision, build.GoVersion).Set(1)
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
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

// Model gives the label of a model: its name if it has a price, else "other".
func (m *Metrics) Model(name string) string {
	if m.known[name] {
		return name
	}
	return otherModel
}

// Decided counts one decision.
func (m *Metrics) Decided(endpoint string, v core.Verdict, model string) {
	m.requests.WithLabelValues(endpoint, string(v.Action), string(v.Reason), m.Model(model)).Inc()
}

// RefusedAnonymous counts a refusal of a caller that was not let in.
func (m *Metrics) RefusedAnonymous(r core.Reason) { m.refusals.WithLabelValues(string(r)).Inc() }

// StageTook records how long a stage took.
func (m *Metrics) StageTook(s Stage, d time.Duration) { m.decisionSeconds[s].Observe(d.Seconds()) }

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

// QuotaRefused counts a refusal for quota.
func (m *Metrics) QuotaRefused(scope, dimension string) {
	m.quotaRejections.WithLabelValues(scope, dimension).Inc()
}

// QuotaExpired counts reservations that their lease ended.
func (m *Metrics) QuotaExpired(n int) { m.quotaExpired.Add(float64(n)) }

// QuotaThreshold counts a counter whose use passed a threshold, in percent.
func (m *Metrics) QuotaThreshold(percent int, scope, dimension string) {
	m.quotaThresholds.WithLabelValues(strconv.Itoa(percent), scope, dimension).Inc()
}

// QuotaThresholdDropped counts a passed threshold that somebody was not told of.
func (m *Metrics) QuotaThresholdDropped() { m.quotaUntold.Inc() }

// LedgerTook records how long an operation of the ledger took.
func (m *Metrics) LedgerTook(op LedgerOp, d time.Duration) { m.ledgerSeconds[op].Observe(d.Seconds()) }

// FailedClosed counts a request refused because Plumbline could not govern it.
func (m *Metrics) FailedClosed(cause string) { m.failClosed.WithLabelValues(cause).Inc() }

// breakerStates are the states of the way to the shared ledger.
var breakerStates = []string{"closed", "half_open", "open"}

// LedgerBreaker states how the way to the shared ledger is: closed, half_open or open.
func (m *Metrics) LedgerBreaker(state string) {
	for _, s := range breakerStates {
		value := 0.0
		if s == state {
			value = 1
		}
		m.breaker.WithLabelValues(s).Set(value)
	}
}

// LedgerFellBack counts a decision without the shared ledger, by mode: closed, local or open.
func (m *Metrics) LedgerFellBack(mode string) {
	m.fellBack.WithLabelValues(mode).Inc()
	switch mode {
	case "closed":
		m.FailedClosed("ledger_unreachable")
	case "open":
		m.failOpen.WithLabelValues("ledger_unreachable").Inc()
	}
}

// LedgerBookedLate counts what the shared ledger was told late.
func (m *Metrics) LedgerBookedLate(reservations, charges int) {
	m.bookedLate.WithLabelValues("reservation").Add(float64(reservations))
	m.bookedLate.WithLabelValues("charge").Add(float64(charges))
}

// ConditionFailed counts a condition of the policy that could not be answered. Rules are of the document, whose number is bounded.
func (m *Metrics) ConditionFailed(rule string) { m.conditionFailures.WithLabelValues(rule).Inc() }

// PolicyRead counts that a changed policy document was read, and states whether it could be put in force.
func (m *Metrics) PolicyRead(good bool) {
	result, stale := "good", 0.0
	if !good {
		result, stale = "bad", 1
	}
	m.policyReads.WithLabelValues(result).Inc()
	m.policyStale.WithLabelValues().Set(stale)
}

// PolicyInForce states the policy in force.
func (m *Metrics) PolicyInForce(version, mode string) {
	m.policyInfo.Reset()
	m.policyInfo.WithLabelValues(version, mode).Set(1)
}

// ModelInUse states the model that deviations are scored with, and its table.
func (m *Metrics) ModelInUse(model, table string) {
	m.modelInfo.Reset()
	m.modelInfo.WithLabelValues(model, table).Set(1)
}

// KeysConfirmed states when a trusted issuer last gave its keys, zero for never. Issuers are those of the configuration.
func (m *Metrics) KeysConfirmed(issuer string, at time.Time) {
	seconds := 0.0
	if !at.IsZero() {
		seconds = float64(at.UnixMilli()) / 1e3
	}
	m.keysConfirmed.WithLabelValues(issuer).Set(seconds)
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

// RollupDiffers counts sums that differ from a recount.
func (m *Metrics) RollupDiffers(sums int64) { m.wrongSums.Add(float64(sums)) }
