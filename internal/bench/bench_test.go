package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/testkit"
)

// TestMain lets the test binary be the provider that the bench starts from its own executable.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == providerCommand {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestProcessFigures(t *testing.T) {
	if got, err := parseStat([]byte("12 (a) b (c)) S 1 12 12 0 -1 4194560 5 0 0 0 123 45 6 7 20 0 9 0\n")); err != nil || got != 1680*time.Millisecond {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := parseStatus([]byte("Name:\tx\nVmPeak:\t  9 kB\nVmHWM:\t   24576 kB\nVmRSS:\t 10 kB\n")); err != nil || got != 24<<20 {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "12 (x) S 1", "12 x S"} {
		if _, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q is taken for a stat", bad)
		}
		if _, err := parseStatus([]byte(bad)); err == nil {
			t.Errorf("%q is taken for a status", bad)
		}
	}
	if _, err := cpuTime(os.Getpid()); err != nil {
		t.Error(err)
	}
	if got, err := peakMemory(os.Getpid()); err != nil || got < 1<<20 {
		t.Errorf("%d, %v", got, err)
	}
}

func TestWrkResult(t *testing.T) {
	const good = "Running 1s test\nRequests/sec: 10\n\nRESULT {\"requests\":10,\"duration_us\":1000000,\"p50_us\":3,\"p99_us\":4,\"failed\":0}\n"
	got, err := parseWrk([]byte(good))
	if diff := cmp.Diff(wrkResult{Requests: 10, Duration: 1e6, P50: 3, P99: 4}, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	for name, bad := range map[string]string{
		"nothing": "", "failures": strings.Replace(good, `"failed":0`, `"failed":1`, 1), "no requests": strings.Replace(good, `:10,`, `:0,`, 1),
	} {
		if _, err := parseWrk([]byte(bad)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestReportHoldsMedians(t *testing.T) {
	rows := []row{{Name: "noop"}, {Name: "other"}}
	r := newReport(options{rounds: 3}, rows, map[string][]sample{
		"noop": {{RPS: 100, rates: []float64{100, 200}}, {RPS: 300, rates: []float64{400}}, {RPS: 200}},
		"other": {
			{RPS: 150, rates: []float64{50, 140}, Stages: map[string]float64{"wire": 3}},
			{RPS: 149, rates: []float64{240}, Stages: map[string]float64{"wire": 1}},
		},
	})
	var out bytes.Buffer
	if err := r.print(&out); err != nil || !strings.Contains(out.String(), "wire 2.0") {
		t.Errorf("%v in %s", err, &out)
	}
	file := filepath.Join(t.TempDir(), "out", "bench.json")
	if err := r.write(file); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Rows []map[string]any
	}
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"name", "rps", "p50_us", "p99_us", "cpu_us", "rss_mb"} {
		if _, ok := got.Rows[0][key]; !ok {
			t.Errorf("a row has no %s", key)
		}
	}
	if got.Rows[0]["rps"] != 200.0 || got.Rows[1]["rps"] != 149.5 || got.Rows[1]["of_noop"] != 0.6 || got.Rows[1]["of_noop_se"] != 0.072 {
		t.Errorf("%s", data)
	}
}

func TestPromptsAreEqualEachTime(t *testing.T) {
	first, err := prompts()
	if err != nil {
		t.Fatal(err)
	}
	second, err := prompts()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, second); diff != "" || len(first) != promptCount {
		t.Error(diff)
	}
	for _, p := range first {
		if len(p) < 1800 || len(p) > 2100 || !json.Valid(p) || bytes.ContainsAny(p, "\n") {
			t.Errorf("%d bytes: %s", len(p), p)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	t.Setenv("ENVOY", testkit.EnvoyBinary(t))
	for _, args := range [][]string{{"--rounds", "0"}, {"--closed", "10ms"}, {"--streams", "0"}, {"--nonsense"}} {
		if _, err := parse(args, io.Discard); err == nil {
			t.Errorf("%v are taken", args)
		}
	}
	for _, name := range []string{"missing", "missing@/bin/true"} {
		if _, err := (&bench{o: options{rows: []string{"noop", name}}}).selected(); err == nil {
			t.Errorf("a row %s that does not exist is selected", name)
		}
	}
}

func TestHelpIsNoError(t *testing.T) {
	var shown bytes.Buffer
	if err := run(t.Context(), []string{"-h"}, io.Discard, &shown); err != nil || !strings.Contains(shown.String(), "-rounds") {
		t.Errorf("%v, %s", err, &shown)
	}
}

// TestRowsOfOtherBuilds starts what is named, and cannot.
func TestRowsOfOtherBuilds(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	b := &bench{o: options{rows: []string{"plumbline@" + missing}}, plumbline: "/bin/true"}
	rows, err := b.selected()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rows[0].Start(t.Context(), t.TempDir()); err == nil || !strings.Contains(err.Error(), missing) {
		t.Error(err)
	}
}

// TestARoundMeasures runs one short round of the row that needs nothing but Envoy and wrk.
func TestARoundMeasures(t *testing.T) {
	wrk := testkit.Program(t, "wrk")
	t.Chdir(testkit.Root(t))
	ctx := t.Context()
	b, err := newBench(ctx, options{
		rows: []string{"noop"}, rounds: 1, closed: time.Second, open: time.Second, connections: 4, rate: 50, streams: 5, wrk: wrk, envoy: testkit.EnvoyBinary(t),
	}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	r, err := b.measure(ctx, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range r.Rows {
		if m.RPS <= 0 || m.P50 <= 0 || m.P99 < m.P50 || m.EnvoyCPU <= 0 || m.FirstTokenP50 <= 0 || m.ChunkRate <= 0 {
			t.Errorf("%+v", m)
		}
		if m.RSS <= 0 || m.CPU <= 0 {
			t.Errorf("CPU %v µs, RSS %v MiB", m.CPU, m.RSS)
		}
	}
}
