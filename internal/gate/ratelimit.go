package gate

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/quota"
)

// room is how much of one kind of limit is left.
type room struct {
	limit, left int64
	reset       string // as the x-ratelimit-reset-… header says it
	seconds     int64  // until the reset
	window      int64  // in seconds, 0 when it is not known
	ours        bool
}

// tighter reports whether there is less of r than of o, or as much for longer.
func (r room) tighter(o room) bool {
	if r.left != o.left {
		return r.left < o.left
	}
	return r.seconds > o.seconds
}

// rateLimits gives the headers that tell a caller how much is left: OpenAI's six x-ratelimit-{limit,remaining,reset}-
// {requests,tokens}, and RateLimit and RateLimit-Policy as draft-ietf-httpapi-ratelimit-headers-10 has them. Of our limits
// and the provider's, which come as its own headers, the tightest speaks for its kind. Where the provider's is that, its
// headers stay as they are.
//
// Standings count the exchange's own hold as used.
func rateLimits(standings []quota.Standing, provider [][2]string, now time.Time) [][2]string {
	headers := make([][2]string, 0, 8) // all there are
	var room [2][96]byte
	policy, state := room[0][:0], room[1][:0]
	for _, kind := range []string{"requests", "tokens"} {
		tightest, ok := providersRoom(provider, kind)
		for _, s := range standings {
			if r, counts := ourRoom(s, kind, now); counts && (!ok || r.tighter(tightest)) {
				tightest, ok = r, true
			}
		}
		if !ok {
			continue
		}
		if tightest.ours {
			headers = append(headers,
				[2]string{"x-ratelimit-limit-" + kind, strconv.FormatInt(tightest.limit, 10)},
				[2]string{"x-ratelimit-remaining-" + kind, strconv.FormatInt(tightest.left, 10)},
				[2]string{"x-ratelimit-reset-" + kind, tightest.reset})
		}
		if len(policy) > 0 {
			policy, state = append(policy, ", "...), append(state, ", "...)
		}
		policy = appendItem(policy, kind, "q", tightest.limit)
		policy = append(append(append(policy, `;qu="`...), kind...), '"')
		if tightest.window > 0 {
			policy = strconv.AppendInt(append(policy, ";w="...), tightest.window, 10)
		}
		state = appendItem(state, kind, "r", tightest.left)
		state = strconv.AppendInt(append(state, ";t="...), tightest.seconds, 10)
	}
	if len(policy) == 0 {
		return nil
	}
	return append(headers, [2]string{"ratelimit-policy", string(policy)}, [2]string{"ratelimit", string(state)})
}

// refusalLimits gives the same headers for a refusal: of the limit that lacked room, if that was the reason.
func refusalLimits(e *core.Error, now time.Time) [][2]string {
	var q *quota.ExhaustedError
	if !errors.As(e.Cause, &q) {
		return nil
	}
	return rateLimits([]quota.Standing{q.Standing}, nil, now)
}

// appendItem begins an item of a RateLimit header: its name and first parameter.
func appendItem(b []byte, kind, parameter string, value int64) []byte {
	b = append(append(append(b, '"'), kind...), '"', ';')
	return strconv.AppendInt(append(append(b, parameter...), '='), value, 10)
}

// ourRoom is what one of our limits leaves, if it refuses and is of the kind.
func ourRoom(s quota.Standing, kind string, now time.Time) (room, bool) {
	l := s.Limit
	switch l.Dimension {
	case quota.DimensionRequests:
		if kind != "requests" {
			return room{}, false
		}
	case quota.DimensionTokens, quota.DimensionInputTokens, quota.DimensionOutputTokens:
		if kind != "tokens" {
			return room{}, false
		}
	default:
		return room{}, false
	}
	if !l.Hard() {
		return room{}, false
	}
	until := time.Duration(0)
	if !s.Reset.IsZero() {
		until = max(s.Reset.Sub(now), 0)
	}
	return room{
		limit: l.Value, left: max(l.Value-s.Used, 0), reset: resetIn(until), seconds: wholeSeconds(until),
		window: windowSeconds(s), ours: true,
	}, true
}

// windowSeconds is the length of a limit's window.
func windowSeconds(s quota.Standing) int64 {
	if s.Limit.Window == quota.WindowMinute {
		return 60
	}
	return wholeSeconds(s.Reset.Sub(s.Since))
}

// providersRoom reads the provider's headers of one kind. Figures that are none say nothing.
func providersRoom(headers [][2]string, kind string) (room, bool) {
	var r room
	found := 0
	for _, h := range headers {
		name, ok := strings.CutSuffix(strings.TrimPrefix(h[0], "x-ratelimit-"), "-"+kind)
		if !ok {
			continue
		}
		var err error
		switch name {
		case "limit":
			r.limit, err = strconv.ParseInt(h[1], 10, 64)
		case "remaining":
			r.left, err = strconv.ParseInt(h[1], 10, 64)
		case "reset":
			var until time.Duration
			until, err = time.ParseDuration(h[1])
			r.seconds = wholeSeconds(until)
		default:
			continue
		}
		if err != nil {
			return room{}, false
		}
		found++
	}
	return r, found == 3 && r.limit >= 0 && r.left >= 0 && r.seconds >= 0
}

// resetIn writes a time as OpenAI does: "120ms", "1s", "6m0s". It is rounded up: who comes back then is not too early.
func resetIn(d time.Duration) string {
	if d < time.Second {
		return (d + time.Millisecond - 1).Truncate(time.Millisecond).String()
	}
	return (time.Duration(wholeSeconds(d)) * time.Second).String()
}

func wholeSeconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }
