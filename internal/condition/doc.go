// Package condition compiles and evaluates conditions over declared values: true or false, in the Common Expression
// Language (CEL, https://cel.dev), of which it takes what needs neither clock, nor I/O, nor unbounded time.
//
// Contract: a condition is checked whole when it is compiled: syntax, types, names, and the most that it can cost. A
// compiled condition is safe for concurrent use, never changes, and gives the same answer for the same values at any time.
// One that cannot be answered (an index out of range, a division by zero, a cost above its limit) gives an error, never
// true or false.
//
// It is the only package that knows the CEL library, and imports yamldoc of Plumbline for its "did you mean" alone.
package condition

// Limits of one condition.
const (
	// MaxLength bounds its text, in characters.
	MaxLength = 4096
	// MaxCost bounds what it can cost at most, as reckoned from its text, and what it may cost when it is evaluated. The unit
	// is CEL's: about one step, or the comparison of ten characters.
	MaxCost = 5000
	// maxDepth bounds how deep its parts stand within one another, and maxLoops how deep exists, all, filter and map do.
	maxDepth = 64
	maxLoops = 2
	// maxPattern bounds a regular expression, in bytes.
	maxPattern = 512
)

// Problem is one thing that is wrong with a condition.
type Problem struct {
	Line, Column int // from 1, in characters
	Message      string
}
