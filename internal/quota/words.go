package quota

import (
	"strconv"
	"strings"
	"time"

	"github.com/plumbline/plumbline/internal/core"
)

// Name is what people call the limit, for example "daily limit on tokens of team billing".
func (l *Limit) Name() string {
	return everyWords[l.Window] + "limit on " + dimensionWords[l.Dimension] + " of " + l.Whose()
}

// Whose says whom the limit counts, and for which models: "each user for gpt-4o*".
func (l *Limit) Whose() string {
	whose := "everyone"
	switch {
	case l.Scope == ScopeEveryone:
	case l.Subject == "":
		whose = "each " + string(l.Scope)
	default:
		whose = string(l.Scope) + " " + l.Subject
	}
	if l.Model != "" {
		whose += " for " + l.Model
	}
	return whose
}

var everyWords = map[Window]string{
	WindowMinute: "per-minute ", WindowHour: "hourly ", WindowDay: "daily ", WindowWeek: "weekly ", WindowMonth: "monthly ",
}

var dimensionWords = map[Dimension]string{
	DimensionRequests: "requests", DimensionInputTokens: "input tokens", DimensionOutputTokens: "output tokens",
	DimensionTokens: "tokens", DimensionCost: "cost", DimensionConcurrency: "concurrent requests",
}

// Amount writes an amount of the dimension with its unit: money in dollars, all else with separators.
func (d Dimension) Amount(v int64) string {
	what := "token"
	switch d {
	case DimensionCost:
		return core.MicroUSD(v).String()
	case DimensionRequests, DimensionConcurrency:
		what = "request"
	default:
	}
	if v != 1 {
		what += "s"
	}
	return Grouped(v) + " " + what
}

// Figure writes an amount of the dimension without its unit, but for money, for columns of figures.
func (d Dimension) Figure(v int64) string {
	if d == DimensionCost {
		return core.MicroUSD(v).String()
	}
	return Grouped(v)
}

// Grouped writes an integer with a comma after each three digits.
func Grouped(v int64) string {
	s := strconv.FormatInt(v, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// ResetWords says when a window resets, in its zone and as RFC 3339, and in how many seconds: all that a person, a log and
// a program read. The seconds are rounded up, so that who comes back then is not too early.
func ResetWords(reset, now time.Time, zone *time.Location) string {
	in := max(int64((reset.Sub(now)+time.Second-1)/time.Second), 0)
	return reset.In(zone).Format(time.RFC3339) + " (" + zoneWords(zone) + "in " + Grouped(in) + " s)"
}

func zoneWords(zone *time.Location) string {
	if zone == time.UTC {
		return ""
	}
	return strings.ReplaceAll(zone.String(), "_", " ") + ", "
}
