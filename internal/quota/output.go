package quota

import (
	"sort"

	"github.com/plumbline/plumbline/internal/core"
)

const (
	// StreamSlab is how many output tokens a stream reserves at a time.
	StreamSlab = 1024
	// MinOutput is the smallest maximum of output tokens, per choice, that is worth sending a request with.
	MinOutput = 256
)

// Output is what bounds the output of a call, in tokens per choice.
type Output struct {
	ModelMax  int64 // the most the model puts out, 0 if unknown
	ClientMax int64 // the maximum the client asked for, 0 for none
	Choices   int64 // how many answers it asked for (n), 0 as 1
	Reasoning bool  // the model spends tokens that a stream does not show
	Stream    bool
}

// Max gives the most output tokens per choice; false if nothing bounds them.
func (o Output) Max() (int64, bool) {
	switch {
	case o.ClientMax > 0 && o.ModelMax > 0:
		return min(o.ClientMax, o.ModelMax), true
	case o.ClientMax > 0:
		return o.ClientMax, true
	default:
		return o.ModelMax, o.ModelMax > 0
	}
}

// OutputReservation gives the output tokens to reserve for a call before it is forwarded, over all choices: the maximum,
// or a first slab where the rest can be asked for as the output arrives, which is in streams of models that do not
// reason. It is at most MaxAmount, and false if nothing bounds the output of a call that must reserve its maximum.
func OutputReservation(o Output) (int64, bool) {
	perChoice, bounded := o.Max()
	if o.Stream && !o.Reasoning {
		if !bounded {
			return StreamSlab, true
		}
		return min(StreamSlab, overChoices(perChoice, o.Choices)), true
	}
	return overChoices(perChoice, o.Choices), bounded
}

// LargestFitting gives the largest maximum of output tokens per choice, between MinOutput and most, with which a call has
// room under every hard limit, to be written into the request; false if there is none. Standings are those of the call's
// subject without the call; want is what it asked for, of which Requests and InputTokens count as they are. Cost gives
// the cost of the whole call for an amount of output over all choices and must not fall as that rises.
func LargestFitting(
	standings []Standing, want Amounts, most, choices int64, cost func(output int64) core.MicroUSD,
) (int64, bool) {
	fits := func(perChoice int64) bool {
		a := want
		a.OutputTokens = overChoices(perChoice, choices)
		a.Cost = cost(a.OutputTokens)
		for i := range standings {
			if l := standings[i].Limit; l.Hard() && !standings[i].HasRoom(l.Wanted(a)) {
				return false
			}
		}
		return true
	}
	if most < MinOutput || !fits(MinOutput) {
		return 0, false
	}
	// The first value above MinOutput that does not fit, less one.
	above := sort.Search(int(min(most, MaxAmount)-MinOutput), func(i int) bool { return !fits(MinOutput + 1 + int64(i)) })
	return MinOutput + int64(above), true
}

// overChoices multiplies, between 0 and MaxAmount.
func overChoices(perChoice, choices int64) int64 {
	perChoice, choices = max(perChoice, 0), max(choices, 1)
	if perChoice > MaxAmount/choices {
		return MaxAmount
	}
	return perChoice * choices
}
