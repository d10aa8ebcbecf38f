package quota

import (
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// maxValueText bounds what ParseValue reads.
const maxValueText = 64

// ErrValue is what ParseValue returns, wrapped, for a text that is no value of a limit.
var ErrValue = errors.New("not the value of a limit")

// ParseValue reads the value of a limit as people write it: 200000, 200k, 1.5M or 200_000 of requests and tokens; $5, $0.25,
// 5USD or $2k of cost, to the millionth of a dollar. It is exact: what would have to be rounded is an error. So is a plain
// number of cost, other than 0, since it could be meant in dollars as well as in the millionths that the API counts in.
func ParseValue(d Dimension, text string) (int64, error) {
	bad := func(why string) (int64, error) { return 0, fmt.Errorf("%w: %q %s", ErrValue, text, why) }
	if len(text) > maxValueText {
		return 0, fmt.Errorf("%w: it is longer than %d characters", ErrValue, maxValueText)
	}
	number, money := cutMoney(strings.TrimSpace(text))
	unit := int64(1)
	switch {
	case d == DimensionCost && !money && number != "0":
		return bad("does not say its unit: write dollars, like $5 or 0.25USD")
	case d != DimensionCost && money:
		return bad("is money, which only dimension cost counts")
	case d == DimensionCost:
		unit = 1_000_000
	}
	number, thousands := cutThousands(number)
	exact, ok := decimal(number)
	if !ok {
		return bad("is not a number like 200000, 10k, 1.5M or $5")
	}
	exact.Mul(exact, new(big.Rat).SetInt64(thousands)).Mul(exact, new(big.Rat).SetInt64(unit))
	switch {
	case !exact.IsInt() && money:
		return bad("is not a whole number of millionths of a dollar")
	case !exact.IsInt():
		return bad("is not a whole number")
	case exact.Num().Cmp(big.NewInt(MaxValue)) > 0:
		return bad("is above the largest value, " + d.Amount(MaxValue))
	}
	return exact.Num().Int64(), nil
}

// cutMoney takes the sign of dollars off.
func cutMoney(text string) (string, bool) {
	if rest, ok := strings.CutPrefix(text, "$"); ok {
		return rest, true
	}
	if rest, ok := strings.CutSuffix(text, "USD"); ok {
		return strings.TrimSpace(rest), true
	}
	return text, false
}

// cutThousands takes a k, M or G off, and gives how many ones it stands for. A small m is none: it could be milli.
func cutThousands(text string) (string, int64) {
	for suffix, ones := range map[string]int64{"k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9} {
		if rest, ok := strings.CutSuffix(text, suffix); ok {
			return rest, ones
		}
	}
	return text, 1
}

// decimal reads digits, which _ may group, with at most one point between digits. Nothing else: no sign, no exponent.
func decimal(text string) (*big.Rat, bool) {
	whole, fraction, point := strings.Cut(text, ".")
	if !digits(whole, true) || point && !digits(fraction, false) {
		return nil, false
	}
	return new(big.Rat).SetString(strings.ReplaceAll(text, "_", ""))
}

func digits(text string, grouped bool) bool {
	for i, c := range []byte(text) {
		between := i > 0 && i < len(text)-1 && text[i-1] != '_'
		digit := c >= '0' && c <= '9'
		group := grouped && c == '_' && between
		if !digit && !group {
			return false
		}
	}
	return text != ""
}
