package jwks

import "time"

const (
	// perMinute is the most fetches in any minute, whatever asks for them.
	perMinute = 6
	// spacing is the time between two fetches, but for the second one after a quiet minute.
	spacing = 10 * time.Second
)

// budget bounds how often an issuer is asked, so that tokens with made-up kids cannot make Plumbline flood it.
type budget struct{ last [perMinute]time.Time } // the latest first

// wait is how long the next fetch has to wait.
func (b *budget) wait(now time.Time) time.Duration {
	wait := b.last[perMinute-1].Add(time.Minute).Sub(now)
	if quiet := !b.last[1].Add(time.Minute).After(now); !quiet {
		wait = max(wait, b.last[0].Add(spacing).Sub(now))
	}
	return max(wait, 0)
}

// spend notes a fetch.
func (b *budget) spend(now time.Time) {
	copy(b.last[1:], b.last[:])
	b.last[0] = now
}
