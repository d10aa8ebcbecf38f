package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/plumbline/plumbline/internal/envoyconf"
	"github.com/plumbline/plumbline/internal/envoyproc"
	"github.com/plumbline/plumbline/internal/testkit"
	"github.com/plumbline/plumbline/internal/testkit/load"
)

const (
	// ramp is the time over which the event streams are opened.
	ramp = time.Second
	// messageTimeout is generous: on a machine that is loaded on purpose a pause must not count as a failure.
	messageTimeout = 10 * time.Second
)

//go:embed wrk.lua
var wrkScript []byte

// bench holds what all rows share.
type bench struct {
	o               options
	dir             string
	script          string // files for wrk
	prompts         string
	prompt          []byte // of the open loop
	stream          []byte // of the event streams
	noop, plumbline string // binaries
	provider        *process
	upstream        string
}

func newBench(ctx context.Context, o options, dir string) (*bench, error) {
	b := &bench{o: o, dir: dir, script: filepath.Join(dir, "wrk.lua"), prompts: filepath.Join(dir, "prompts")}
	bodies, err := prompts()
	if err != nil {
		return nil, err
	}
	b.prompt = bodies[0]
	if b.stream, err = streamPrompt(); err != nil {
		return nil, err
	}
	if err := errors.Join(
		os.WriteFile(b.script, wrkScript, 0o600),
		os.WriteFile(b.prompts, append(bytes.Join(bodies, []byte("\n")), '\n'), 0o600),
	); err != nil {
		return nil, err
	}
	if b.noop, err = b.build(ctx, "./internal/bench/noop"); err != nil {
		return nil, err
	}
	if b.plumbline, err = b.build(ctx, "./cmd/plumbline"); err != nil {
		return nil, err
	}
	b.provider, b.upstream, err = startProvider()
	return b, err
}

func (b *bench) close() { _ = b.provider.stop() }

// measure runs the rounds. In each, the closed loops of all rows take turns of a few seconds, so that what changes on the
// machine meanwhile hits all rows alike; what else is measured comes after, row by row.
func (b *bench) measure(ctx context.Context, progress io.Writer) (*report, error) {
	rows, err := b.selected()
	if err != nil {
		return nil, err
	}
	samples := make(map[string][]sample, len(rows))
	for round := range b.o.rounds {
		// Each round begins with another row.
		order := slices.Concat(rows[round%len(rows):], rows[:round%len(rows)])
		measured, err := b.round(ctx, order, filepath.Join(b.dir, strconv.Itoa(round)))
		if err != nil {
			return nil, fmt.Errorf("round %d: %w", round+1, err)
		}
		for _, s := range measured {
			samples[s.row] = append(samples[s.row], s)
			fmt.Fprintf(progress, "round %d/%d  %-18s %7.0f req/s  p50 %5.0f µs  p99 %6.0f µs at %d/s\n",
				round+1, b.o.rounds, s.row, s.RPS, s.P50, s.P99, b.o.rate)
		}
	}
	return newReport(b.o, rows, samples), nil
}

// round measures every row once, each with processes of its own.
func (b *bench) round(ctx context.Context, rows []row, dir string) (measured []sample, err error) {
	var all []*running
	defer func() {
		for i, r := range all {
			took, stopErr := r.stop()
			err = errors.Join(err, stopErr)
			if i < len(measured) {
				measured[i].Stop = took.Seconds()
			}
		}
	}()
	for i, r := range rows {
		one, err := b.start(ctx, r, filepath.Join(dir, strconv.Itoa(i)))
		if err != nil {
			return nil, fmt.Errorf("row %s: %w", r.Name, err)
		}
		all = append(all, one)
	}
	if err := b.closedLoops(ctx, all); err != nil {
		return nil, err
	}
	for _, r := range all {
		if err := b.otherLoads(ctx, r); err != nil {
			return nil, fmt.Errorf("row %s: %w", r.sample.row, err)
		}
		measured = append(measured, r.sample)
	}
	return measured, nil
}

// running is a row with its processes, and what was measured of it.
type running struct {
	side   *sidecar
	envoy  *envoyproc.Process
	pids   pids
	url    string
	sample sample
}

func (b *bench) start(ctx context.Context, r row, dir string) (*running, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	config, side, err := b.configure(ctx, r, dir)
	if err != nil {
		return nil, err
	}
	started := &running{side: side, sample: sample{row: r.Name}}
	started.envoy, err = envoyproc.Start(ctx, envoyproc.Options{Binary: b.o.envoy, Config: config, Concurrency: 1})
	if err != nil {
		return nil, errors.Join(err, side.stop())
	}
	started.pids = pids{envoy: started.envoy.Pid(), sidecar: side.Pid, stores: side.stores}
	started.url = "http://" + started.envoy.Address(envoyconf.ListenerName) + "/v1/chat/completions"
	return started, nil
}

// stop ends both, and gives how long the server took to.
func (r *running) stop() (time.Duration, error) {
	err := r.envoy.Stop()
	began := time.Now()
	err = errors.Join(err, r.side.stop())
	return time.Since(began), err
}

// otherLoads measures all but the closed loop.
func (b *bench) otherLoads(ctx context.Context, r *running) error {
	if err := b.openLoop(ctx, r); err != nil {
		return fmt.Errorf("open loop: %w", err)
	}
	if err := b.streams(ctx, r); err != nil {
		return fmt.Errorf("event streams: %w", err)
	}
	if r.side.Pid != 0 {
		peak, err := peakMemory(r.side.Pid)
		if err != nil {
			return err
		}
		r.sample.RSS = float64(peak) / (1 << 20)
	}
	if r.side.Profile == nil {
		return nil
	}
	stages, err := b.profile(ctx, r)
	r.sample.Stages = stages
	return err
}

// profileTime is how long the server is profiled under the closed loop's load, after all that is timed.
const profileTime = 4 * time.Second

// profile shares the CPU time out among the stages. What it is made from stays beside the results, for looking closer.
func (b *bench) profile(ctx context.Context, of *running) (map[string]float64, error) {
	type taken struct {
		data []byte
		err  error
	}
	done := make(chan taken, 1)
	go func() {
		data, err := of.side.Profile(ctx, int(profileTime/time.Second))
		done <- taken{data, err}
	}()
	r, err := b.wrk(ctx, of, profileTime)
	profile := <-done
	if err = errors.Join(err, profile.err); err != nil {
		return nil, err
	}
	file := strings.TrimSuffix(b.o.out, ".json") + "-" + filepath.Base(of.sample.row) + ".pprof"
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, profile.data, 0o644)); err != nil {
		return nil, err
	}
	return stages(profile.data, r.Requests)
}

// configure starts the row's server and gives the configuration of the Envoy before it.
func (b *bench) configure(ctx context.Context, r row, dir string) ([]byte, *sidecar, error) {
	o := envoyconf.Options{
		Listen: "127.0.0.1:0", Upstream: b.upstream, AccessLog: "none", MessageTimeout: messageTimeout,
		Socket: filepath.Join(dir, "s"),
	}
	side := &sidecar{}
	if r.Start != nil {
		var err error
		if side, err = r.Start(ctx, dir); err != nil {
			return nil, nil, err
		}
		o.Socket = side.Socket
	}
	config, err := envoyconf.Standalone(o)
	if err == nil && r.Start == nil {
		config, err = testkit.WithoutFilter(config, "envoy.filters.http.ext_proc")
	}
	if err != nil {
		err = errors.Join(err, side.stop())
	}
	return config, side, err
}

// pids are the measured processes; sidecar is 0 when there is none, and stores nil.
type pids struct {
	envoy, sidecar int
	stores         *stores
}

// cpuTimes are what the measured processes have used.
type cpuTimes struct{ envoy, sidecar, stores time.Duration }

func (p pids) cpu() (t cpuTimes, err error) {
	if t.envoy, err = cpuTime(p.envoy); err != nil || p.sidecar == 0 {
		return t, err
	}
	if t.sidecar, err = cpuTime(p.sidecar); err != nil || p.stores == nil {
		return t, err
	}
	t.stores, err = p.stores.cpu()
	return t, err
}

// wrkResult is what wrk.lua prints.
type wrkResult struct {
	Requests int64 `json:"requests"`
	Duration int64 `json:"duration_us"`
	P50      int64 `json:"p50_us"`
	P99      int64 `json:"p99_us"`
	Failed   int64 `json:"failed"`
}

func (b *bench) wrk(ctx context.Context, r *running, d time.Duration) (wrkResult, error) {
	cmd := exec.CommandContext(ctx, b.o.wrk,
		"--threads", "1", "--connections", strconv.Itoa(b.o.connections),
		"--duration", strconv.Itoa(int(d.Seconds()))+"s", "--timeout", "20s", "--script", b.script, r.url)
	cmd.Env = append(os.Environ(), "BENCH_PROMPTS="+b.prompts, "BENCH_AUTHORIZATION="+r.side.Authorization)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return wrkResult{}, fmt.Errorf("wrk: %w\n%s", err, out)
	}
	return parseWrk(out)
}

func parseWrk(out []byte) (wrkResult, error) {
	var r wrkResult
	_, line, ok := bytes.Cut(out, []byte("\nRESULT "))
	if !ok {
		return r, fmt.Errorf("wrk printed no result:\n%s", out)
	}
	line, _, _ = bytes.Cut(line, []byte("\n"))
	if err := json.Unmarshal(line, &r); err != nil {
		return r, err
	}
	if r.Failed > 0 || r.Requests == 0 || r.Duration <= 0 {
		return r, fmt.Errorf("%d of %d requests failed", r.Failed, r.Requests)
	}
	return r, nil
}

func (b *bench) target(r *running, connections int, body []byte) load.Target {
	header := http.Header{}
	if authorization := r.side.Authorization; authorization != "" {
		header.Set("Authorization", authorization)
	}
	return load.Target{Client: load.NewClient(connections), URL: r.url, Header: header, Body: body}
}

// openLoop sends at a fixed rate and measures latency from when each request was due.
func (b *bench) openLoop(ctx context.Context, to *running) error {
	const inFlight = 1024
	t := b.target(to, inFlight, b.prompt)
	defer t.Client.CloseIdleConnections()
	o := load.OpenOptions{Rate: b.o.rate, Duration: b.o.warmUp, InFlight: inFlight}
	load.Open(ctx, t, o)
	o.Duration = b.o.open
	r := load.Open(ctx, t, o)
	if r.Failed > 0 {
		return fmt.Errorf("%d of %d requests failed: %w", r.Failed, r.Sent, r.Err)
	}
	s := &to.sample
	s.P50, s.P99 = microseconds(r.Latency.Quantile(0.50)), microseconds(r.Latency.Quantile(0.99))
	s.Overrun = float64(r.Overrun)
	return ctx.Err()
}

func (b *bench) streams(ctx context.Context, to *running) error {
	t := b.target(to, b.o.streams, b.stream)
	defer t.Client.CloseIdleConnections()
	r := load.Streams(ctx, t, load.StreamOptions{Count: b.o.streams, Ramp: ramp})
	if r.Failed > 0 {
		return fmt.Errorf("%d of %d failed: %w", r.Failed, b.o.streams, r.Err)
	}
	s := &to.sample
	s.FirstTokenP50, s.FirstTokenP99 = microseconds(r.FirstToken.Quantile(0.50)), microseconds(r.FirstToken.Quantile(0.99))
	s.StreamP99, s.ChunkRate = microseconds(r.Total.Quantile(0.99)), r.ChunkRate()
	return nil
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
