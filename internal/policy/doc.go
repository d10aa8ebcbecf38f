// Package policy turns the policy document into an immutable Snapshot, and facts into a verdict.
//
// Contract: Decide is pure. It sees the document and the Facts and nothing else, so that a stored decision can be
// replayed under another document. The mode observe is applied at one exit of Decide: it lifts what the rules on intent
// and deviation say, and nothing else; models and limits always hold.
//
// It imports core, condition, detect and yamldoc. It must not import another logic package, a front end, a back end, or read a clock.
package policy
