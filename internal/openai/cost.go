package openai

import (
	"math"
	"math/bits"

	"github.com/plumbline/plumbline/internal/core"
)

// Terms are what a price depends on besides the model and what was used.
type Terms struct {
	// Tier is the service tier by the provider's name, e.g. "flex" or "priority"; empty or unknown: the standard one.
	Tier string
	// Image is the size and quality of pictures, e.g. "1024x1024/hd"; empty or unknown: the dearest.
	Image string
}

// On gives the model at the prices of some terms. A tier that has no prices of its own costs as the standard one.
func (m Model) On(t Terms) Model {
	switch {
	case t.Tier == "flex" && m.Flex != nil:
		m.Rates = *m.Flex
	case t.Tier == "priority" && m.Priority != nil:
		m.Rates = *m.Priority
	}
	if price, ok := m.Images[t.Image]; ok {
		m.image = price
	}
	return m
}

// Cost is the price of what was used, rounded up once. It does not overflow: what would is the largest amount there is.
//
// It is never negative, and never falls as more is used.
func (m Model) Cost(u core.Usage) core.MicroUSD {
	if m.Free || u.IsZero() {
		return 0
	}
	u.InputTokens, u.OutputTokens = max(u.InputTokens, 0), max(u.OutputTokens, 0)
	if m.Minute == 0 {
		u.InputTokens = max(u.InputTokens, u.AudioMillis/millisPerToken)
	}
	r := m.rates(u.InputTokens)
	audioIn := clamp(u.AudioInputTokens, u.InputTokens)
	imageIn := clamp(u.ImageInputTokens, u.InputTokens-audioIn)
	cached := clamp(u.CachedInputTokens, u.InputTokens-audioIn-imageIn)
	audioOut := clamp(u.AudioOutputTokens, u.OutputTokens)
	imageOut := clamp(u.ImageOutputTokens, u.OutputTokens-audioOut)
	var sum wide
	sum.add(u.InputTokens-audioIn-imageIn-cached, r.Input, perMillion)
	sum.add(cached, priceOr(r.CachedInput, r.Input), perMillion)
	sum.add(audioIn, priceOr(r.AudioInput, r.Input), perMillion)
	sum.add(imageIn, priceOr(r.ImageInput, r.Input), perMillion)
	sum.add(u.OutputTokens-audioOut-imageOut, r.Output, perMillion)
	sum.add(audioOut, priceOr(r.AudioOutput, r.Output), perMillion)
	sum.add(imageOut, priceOr(r.ImageOutput, r.Output), perMillion)
	sum.add(u.Characters, m.Characters, perMillion)
	sum.add(u.AudioMillis, m.Minute, perMinute)
	sum.add(u.Images, m.picture(), perPiece)
	sum.add(1, m.Request, perPiece)
	return sum.total()
}

// millisPerToken is the least that a token of speech stands for. By it audio is reckoned as input where a model has no
// price for minutes.
const millisPerToken = 50

// rates are those of a call with so much input: above a threshold, some models cost more for all of it.
func (m Model) rates(input int64) Rates {
	if m.Long == nil || input <= m.Long.Above {
		return m.Rates
	}
	r, long := m.Rates, m.Long.Rates
	return Rates{
		Input:       max(r.Input, long.Input),
		CachedInput: max(priceOr(r.CachedInput, r.Input), priceOr(long.CachedInput, long.Input)),
		Output:      max(r.Output, long.Output),
		AudioInput:  max(priceOr(r.AudioInput, r.Input), priceOr(long.AudioInput, long.Input)),
		AudioOutput: max(priceOr(r.AudioOutput, r.Output), priceOr(long.AudioOutput, long.Output)),
		ImageInput:  max(priceOr(r.ImageInput, r.Input), priceOr(long.ImageInput, long.Input)),
		ImageOutput: max(priceOr(r.ImageOutput, r.Output), priceOr(long.ImageOutput, long.Output)),
	}
}

// picture is what one picture costs: as asked for, else the dearest.
func (m Model) picture() core.MicroUSD {
	if m.image > 0 {
		return m.image
	}
	dearest := core.MicroUSD(0)
	for _, price := range m.Images {
		dearest = max(dearest, price)
	}
	return dearest
}

// clamp is part, at least 0 and at most whole.
func clamp(part, whole int64) int64 { return max(min(part, whole), 0) }

func priceOr(p, other core.MicroUSD) core.MicroUSD {
	if p == 0 {
		return other
	}
	return p
}

// What prices are for, as shares of a whole: all of them go into unit without a rest.
const (
	unit = 3_000_000

	perMillion = unit / 1_000_000 // tokens, characters
	perMinute  = unit / 60_000    // milliseconds
	perPiece   = unit
)

// wide is a sum of products in 128 bits, in shares of a micro-dollar. Eleven products of 63, 34 and 22 bits fit.
type wide struct{ hi, lo uint64 }

func (w *wide) add(n int64, price core.MicroUSD, share uint64) {
	if n <= 0 {
		return
	}
	hi, lo := bits.Mul64(uint64(n), uint64(price))
	up, lo := bits.Mul64(lo, share)
	hi = hi*share + up
	var carry uint64
	w.lo, carry = bits.Add64(w.lo, lo, 0)
	w.hi, _ = bits.Add64(w.hi, hi, carry)
}

// total is the sum in micro-dollars, rounded up.
func (w wide) total() core.MicroUSD {
	lo, carry := bits.Add64(w.lo, unit-1, 0)
	hi := w.hi + carry
	if hi >= unit {
		return math.MaxInt64
	}
	q, _ := bits.Div64(hi, lo, unit)
	return core.MicroUSD(min(q, math.MaxInt64))
}
