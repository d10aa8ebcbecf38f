// Package calibrate turns labelled prompts into a promise: of the prompts that are on somebody's task, at most a share alpha
// is stopped, with 95 % confidence over which prompts happened to be drawn for calibration (split conformal prediction).
//
// Scores are those of package deviation: the higher, the farther from every task. Calibration scores are those of prompts
// that were drawn at random before any verdict and that people labelled on-task. The p value of a prompt is its rank among
// them, and Stops says whether a prompt of that rank may be stopped. What is promised, what is not, and where the
// statements come from: docs/explanation/promise.md and docs/decisions/0076-promise.md.
//
// Everything here is pure. The package imports core alone, and must not import the store, the gate or policy.
package calibrate
