package judge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var update = flag.Bool("update", false, "rewrite testdata")

// indented is JSON as a person reads it.
func indented(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, data, "", "  "); err != nil {
		t.Fatal(err)
	}
	b.WriteByte('\n')
	return b.Bytes()
}

// TestPace: however many ask, no two requests begin within the gap, and who cannot have a turn in time takes none.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pace{gap: 6 * time.Second}
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var wg sync.WaitGroup
		var mu sync.Mutex
		turns, late := map[time.Duration]int{}, 0
		for range 50 {
			wg.Go(func() {
				err := p.wait(ctx)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					turns[time.Since(begin)]++
				case errors.Is(err, context.DeadlineExceeded):
					late++
				}
			})
		}
		wg.Wait()
		for at, n := range turns {
			if n != 1 || at%p.gap != 0 {
				t.Errorf("%d turns at %s", n, at)
			}
		}
		if len(turns)+late != 50 || len(turns) > 11 || len(turns) < 10 {
			t.Errorf("%d turns in a minute, %d without", len(turns), late)
		}
		<-time.After(time.Hour)
		again := time.Now()
		if err := p.wait(t.Context()); err != nil || time.Since(again) != 0 {
			t.Errorf("a turn after a long rest: %v after %s", err, time.Since(again))
		}
		if err := p.wait(t.Context()); err != nil || time.Since(again) != p.gap {
			t.Errorf("the next one: %v after %s: rest is not saved up", err, time.Since(again))
		}
	})
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 3, 11, 9, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "0": 0, "7": 7 * time.Second, "-1": 0, "soon": 0, "999999": mostAfter, "99999999999999": 0,
		"Wed, 11 Mar 2026 09:00:30 GMT": 30 * time.Second, "Wed, 11 Mar 2026 08:00:00 GMT": 0, "Fri, 11 Mar 2050 09:00:00 GMT": mostAfter,
	} {
		if got := retryAfter(http.Header{"Retry-After": {text}}, now); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// TestPauses: from attempt to attempt it is waited longer, up to a bound, and never the same time twice in a row for everybody.
func TestPauses(t *testing.T) {
	for attempt, want := range map[int]time.Duration{1: firstPause, 2: 4 * firstPause, 3: mostPause, 60: mostPause} {
		for range 100 {
			if p := pauseAfter(attempt); p < want/2 || p > want {
				t.Errorf("after %d attempts: %s, want up to %s", attempt, p, want)
			}
		}
	}
}
