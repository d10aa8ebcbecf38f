// Package load makes load on an HTTP server and measures what callers feel: requests at a fixed rate, whether the server
// keeps up or not, and many event streams at once.
//
// Contract: latency counts from when a request was due, not from when it could be sent, so that a server that stalls
// cannot hide it (no coordinated omission). Requests in flight are bounded; what the bound refuses is counted, never
// dropped silently.
//
// It imports nothing of Plumbline.
package load

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Target is what is asked for.
type Target struct {
	// Client sends the requests. Its transport must allow as many connections as there are requests in flight.
	Client *http.Client
	URL    string
	Header http.Header
	Body   []byte
}

// NewClient gives a client that keeps up to connections connections to a server.
func NewClient(connections int) *http.Client {
	return &http.Client{Transport: &http.Transport{
		MaxIdleConns: connections, MaxIdleConnsPerHost: connections, DisableCompression: true,
		IdleConnTimeout: time.Minute,
	}}
}

func (t Target) request(ctx context.Context) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.URL, bytes.NewReader(t.Body))
	if err != nil {
		return nil, err
	}
	r.Header = t.Header.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	if r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r, nil
}

// Durations are latencies. Their methods sort them.
type Durations []time.Duration

// Quantile is the smallest latency that a share q in (0, 1] of all does not exceed, 0 when there is none.
func (d Durations) Quantile(q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	rank := int(math.Ceil(q * float64(len(d))))
	return d[min(max(rank, 1), len(d))-1]
}

// Result is what a run measured.
type Result struct {
	// Sent counts the requests that were sent, OK those that were answered 2xx to the end.
	Sent, OK int
	// Failed counts the others, Overrun the requests that were due while too many were in flight.
	Failed, Overrun int
	// Latency is of the requests that were OK, from when they were due to the end of the answer.
	Latency Durations
	// Elapsed is from the first request's due time to the last answer.
	Elapsed time.Duration
	// Err is one of the failures' causes.
	Err error
}

// Rate is the requests that were OK, a second.
func (r *Result) Rate() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.OK) / r.Elapsed.Seconds()
}

// OpenOptions say how to load at a fixed rate.
type OpenOptions struct {
	// Rate is requests a second.
	Rate int
	// Duration is how long requests become due.
	Duration time.Duration
	// InFlight bounds the requests that are open at once, 4,096 when 0.
	InFlight int
}

// Open sends requests at a fixed rate, each when it is due, and waits for their answers. When ctx ends no more are sent
// and the open ones are given up.
func Open(ctx context.Context, t Target, o OpenOptions) *Result {
	if o.InFlight <= 0 {
		o.InFlight = 4096
	}
	var (
		result   Result
		mu       sync.Mutex
		wg       sync.WaitGroup
		free     = make(chan struct{}, o.InFlight)
		interval = time.Second / time.Duration(max(o.Rate, 1))
		start    = time.Now()
		timer    = time.NewTimer(0)
	)
	defer timer.Stop()
	for i := range int(o.Duration / interval) {
		due := start.Add(time.Duration(i) * interval)
		// Several can be due at once after a pause of the scheduler; then there is nothing to wait for.
		if wait := time.Until(due); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil {
			break
		}
		select {
		case free <- struct{}{}:
		default:
			result.Overrun++
			continue
		}
		result.Sent++
		wg.Go(func() {
			err := once(ctx, t)
			took := time.Since(due)
			<-free
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				result.Failed++
				result.Err = err
				return
			}
			result.OK++
			result.Latency = append(result.Latency, took)
		})
	}
	wg.Wait()
	result.Elapsed = time.Since(start)
	return &result
}

func once(ctx context.Context, t Target) error {
	r, err := t.request(ctx)
	if err != nil {
		return err
	}
	resp, err := t.Client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	return statusError(resp)
}

func statusError(resp *http.Response) error {
	if resp.StatusCode/100 != 2 {
		return errors.New(resp.Status)
	}
	return nil
}

// StreamResult is what a run of event streams measured.
type StreamResult struct {
	// OK counts the streams that ended with [DONE], Failed the others.
	OK, Failed int
	// Chunks counts all events.
	Chunks int
	// FirstToken is the time from the request to the first event, Total to the last.
	FirstToken, Total Durations
	Elapsed           time.Duration
	// Err is one of the failures' causes.
	Err error
}

// ChunkRate is events a second over all streams.
func (r *StreamResult) ChunkRate() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Chunks) / r.Elapsed.Seconds()
}

// StreamOptions say how many event streams to open.
type StreamOptions struct {
	Count int
	// Ramp is the time over which they are opened, evenly; 0 opens all at once.
	Ramp time.Duration
}

// Streams opens event streams and reads each to its end. When ctx ends it gives up those that are open or still to come.
func Streams(ctx context.Context, t Target, o StreamOptions) *StreamResult {
	var (
		result StreamResult
		mu     sync.Mutex
		wg     sync.WaitGroup
		start  = time.Now()
	)
	for i := range o.Count {
		wg.Go(func() {
			timer := time.NewTimer(o.Ramp * time.Duration(i) / time.Duration(o.Count))
			defer timer.Stop()
			var s streamTimes
			select {
			case <-timer.C:
				s = readStream(ctx, t)
			case <-ctx.Done():
				s.err = ctx.Err()
			}
			mu.Lock()
			defer mu.Unlock()
			result.Chunks += s.chunks
			if s.err != nil {
				result.Failed++
				result.Err = s.err
				return
			}
			result.OK++
			result.FirstToken = append(result.FirstToken, s.first)
			result.Total = append(result.Total, s.total)
		})
	}
	wg.Wait()
	result.Elapsed = time.Since(start)
	return &result
}

type streamTimes struct {
	first, total time.Duration
	chunks       int
	err          error
}

var (
	dataPrefix = []byte("data: ")
	doneLine   = []byte("data: [DONE]")
)

// readStream reads one event stream.
func readStream(ctx context.Context, t Target) (s streamTimes) {
	r, err := t.request(ctx)
	if err != nil {
		return streamTimes{err: err}
	}
	start := time.Now()
	resp, err := t.Client.Do(r)
	if err != nil {
		return streamTimes{err: err}
	}
	defer resp.Body.Close()
	if err := statusError(resp); err != nil {
		return streamTimes{err: err}
	}
	s.err = errors.New("the stream ended without [DONE]")
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		line := lines.Bytes()
		if !bytes.HasPrefix(line, dataPrefix) {
			continue
		}
		if s.chunks == 0 {
			s.first = time.Since(start)
		}
		s.chunks++
		if bytes.Equal(line, doneLine) {
			s.total = time.Since(start)
			s.err = nil
		}
	}
	if err := lines.Err(); err != nil {
		s.err = err
	}
	return s
}
