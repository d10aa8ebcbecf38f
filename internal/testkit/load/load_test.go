package load_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/plumbline/plumbline/internal/testkit/load"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server answers requests without a network, so that its time is the test's.
type server func(*http.Request) (*http.Response, error)

func (s server) RoundTrip(r *http.Request) (*http.Response, error) { return s(r) }

func target(s server) load.Target {
	return load.Target{Client: &http.Client{Transport: s}, URL: "http://provider/v1/chat/completions", Body: []byte("{}")}
}

func answer(status int, body io.Reader) *http.Response {
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Body: io.NopCloser(body)}
}

// pause is what a server does for d.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestOpenCountsFromWhenARequestWasDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// One request at a time, and the first takes a second: the others wait for it.
		turn := make(chan struct{}, 1)
		var served atomic.Int64
		result := load.Open(t.Context(), target(func(r *http.Request) (*http.Response, error) {
			turn <- struct{}{}
			defer func() { <-turn }()
			if served.Add(1) == 1 {
				if err := pause(r.Context(), time.Second); err != nil {
					return nil, err
				}
			}
			return answer(200, strings.NewReader("{}")), nil
		}), load.OpenOptions{Rate: 10, Duration: time.Second})
		if result.Sent != 10 || result.OK != 10 || result.Failed != 0 {
			t.Fatalf("%+v", result)
		}
		got := []time.Duration{result.Latency.Quantile(0.1), result.Latency.Quantile(0.5), result.Latency.Quantile(1)}
		want := []time.Duration{100 * time.Millisecond, 500 * time.Millisecond, time.Second}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("latency at 0.1, 0.5 and 1:\n%s", diff)
		}
	})
}

func TestOpenIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var open, most atomic.Int64
		result := load.Open(t.Context(), target(func(r *http.Request) (*http.Response, error) {
			most.Store(max(most.Load(), open.Add(1)))
			defer open.Add(-1)
			if err := pause(r.Context(), time.Minute); err != nil {
				return nil, err
			}
			return answer(200, strings.NewReader("{}")), nil
		}), load.OpenOptions{Rate: 100, Duration: time.Second, InFlight: 7})
		if most.Load() != 7 || result.Sent != 7 || result.Overrun != 93 || result.OK != 7 {
			t.Errorf("%d at once, %+v", most.Load(), result)
		}
	})
}

func TestOpenEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 450*time.Millisecond)
		defer cancel()
		result := load.Open(ctx, target(func(r *http.Request) (*http.Response, error) {
			return nil, pause(r.Context(), time.Hour)
		}), load.OpenOptions{Rate: 10, Duration: time.Hour})
		if result.Sent != 5 || result.Failed != 5 || !errors.Is(result.Err, context.DeadlineExceeded) {
			t.Errorf("%+v", result)
		}
	})
}

func TestFailuresAreNotLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		result := load.Open(t.Context(), target(func(*http.Request) (*http.Response, error) {
			return answer(503, strings.NewReader("{}")), nil
		}), load.OpenOptions{Rate: 10, Duration: time.Second})
		if result.Failed != 10 || len(result.Latency) != 0 || result.Err == nil || result.Rate() != 0 {
			t.Errorf("%+v", result)
		}
	})
}

// slowStream gives one event each 10 ms.
type slowStream struct {
	ctx    context.Context
	events []string
}

func (s *slowStream) Read(p []byte) (int, error) {
	if len(s.events) == 0 {
		return 0, io.EOF
	}
	if err := pause(s.ctx, 10*time.Millisecond); err != nil {
		return 0, err
	}
	n := copy(p, s.events[0])
	s.events = s.events[1:]
	return n, nil
}

func TestStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		result := load.Streams(t.Context(), target(func(r *http.Request) (*http.Response, error) {
			events := []string{"data: 1\n\n", "data: 2\n\n: ping\n\n", "data: [DONE]\n\n"}
			switch n.Add(1) {
			case 1:
				return answer(429, strings.NewReader("")), nil
			case 2:
				events = events[:2]
			}
			return answer(200, &slowStream{r.Context(), events}), nil
		}), load.StreamOptions{Count: 5})
		if result.OK != 3 || result.Failed != 2 || result.Chunks != 3*3+2 || result.Err == nil {
			t.Errorf("%+v", result)
		}
		if first, total := result.FirstToken.Quantile(0.5), result.Total.Quantile(0.99); first != 10*time.Millisecond || total != 30*time.Millisecond {
			t.Errorf("first token %v, total %v", first, total)
		}
	})
}

func TestStreamsAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		result := load.Streams(t.Context(), target(func(r *http.Request) (*http.Response, error) {
			return answer(200, &slowStream{r.Context(), []string{"data: [DONE]\n\n"}}), nil
		}), load.StreamOptions{Count: 11, Ramp: time.Second})
		if result.OK != 11 || result.FirstToken.Quantile(1) != 10*time.Millisecond || result.Elapsed != 10*time.Second/11+10*time.Millisecond {
			t.Errorf("%+v", result)
		}
	})
}

func TestQuantile(t *testing.T) {
	d := load.Durations{4, 1, 3, 2}
	for q, want := range map[float64]time.Duration{0.01: 1, 0.25: 1, 0.5: 2, 0.75: 3, 0.76: 4, 0.99: 4, 1: 4} {
		if got := d.Quantile(q); got != want {
			t.Errorf("quantile %v: %v, want %v", q, got, want)
		}
	}
	if got := load.Durations(nil).Quantile(0.5); got != 0 {
		t.Error(got)
	}
}
