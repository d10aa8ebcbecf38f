package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"
)

// policies measures the policy in force and its documents.
type policies struct {
	policyInfo        *prometheus.GaugeVec
	policyReads       *prometheus.CounterVec
	policyStale       *prometheus.GaugeVec
	conditionFailures *prometheus.CounterVec
}

func newPolicies(b builder) policies {
	m := policies{}
	m.policyInfo = b.gaugeVec("policy_info", "The policy in force; always 1.", "version", "mode")
	m.policyReads = b.counterVec("policy_reads_total", "Policy documents that were read, by result: good, bad.", "result")
	m.policyStale = b.gaugeVec("policy_stale", "1 while the policy document as it is now cannot be put in force, and the last good one stays.")
	m.conditionFailures = b.counterVec("policy_condition_failures_total", "Conditions of the policy that could not be answered, by rule; the rule's on_error was applied.", "rule")
	m.policyStale.WithLabelValues().Set(0)
	return m
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
