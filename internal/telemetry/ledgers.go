package telemetry

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

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

// ledgers measures quotas and the ledger that they are counted in.
type ledgers struct {
	ledgerSeconds   map[LedgerOp]prometheus.Observer
	quotaRejections *prometheus.CounterVec
	quotaExpired    prometheus.Counter
	quotaThresholds *prometheus.CounterVec
	quotaUntold     prometheus.Counter
	failOpen        *prometheus.CounterVec
	breaker         *prometheus.GaugeVec
	fellBack        *prometheus.CounterVec
	bookedLate      *prometheus.CounterVec
}

func newLedgers(b builder) ledgers {
	m := ledgers{ledgerSeconds: make(map[LedgerOp]prometheus.Observer)}
	ops := b.histogramVec("ledger_duration_seconds", "Time one operation of the quota ledger took.", decisionBuckets, "op")
	for _, op := range LedgerOps() {
		m.ledgerSeconds[op] = ops.WithLabelValues(string(op))
	}
	m.quotaRejections = b.counterVec("quota_rejections_total", "Requests refused for quota, by scope and dimension.", "scope", "dimension")
	m.quotaExpired = b.counter("quota_expired_total", "Reservations whose lease ended because nobody closed their exchange.")
	m.quotaThresholds = b.counterVec("quota_threshold_total", "Counters of limits whose use passed a threshold for the first time in their window, by threshold in percent.", "threshold", "scope", "dimension")
	m.quotaUntold = b.counter("quota_threshold_dropped_total", "Passed thresholds that a subscriber was not told of, since it was behind or too many counters were near their limits.")
	m.failOpen = b.counterVec("fail_open_total", "Requests let through uncounted because a limit is open while its ledger is away, by cause.", "cause")
	m.breaker = b.gaugeVec("ledger_breaker_state", "State of the way to the shared quota ledger: 1 for the one it is in.", "state")
	m.fellBack = b.counterVec("ledger_fallback_total", "Decisions without the shared quota ledger, by what the limits said: closed (refused), local, open.", "mode")
	m.bookedLate = b.counterVec("ledger_booked_late_total", "What the shared quota ledger was told late: reservations resolved, and charges booked from the records.", "kind")
	return m
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
