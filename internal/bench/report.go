package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
)

// sample is what one row measured in one round, and in a report the medians over the rounds, but the worst backlog and stop. Times are in microseconds.
type sample struct {
	row   string
	rates []float64 // requests a second of the closed loop, by turn
	RPS   float64   `json:"rps"` // closed loop
	// P50 and P99 are of the open loop, from when a request was due.
	P50 float64 `json:"p50_us"`
	P99 float64 `json:"p99_us"`
	// CPU is the ext_proc server's CPU time for each request of the closed loop, EnvoyCPU that of Envoy.
	CPU      float64 `json:"cpu_us"`
	EnvoyCPU float64 `json:"envoy_cpu_us"`
	// StoresCPU is that of Postgres and Redis for each request of the closed loop, and Backlog how old the oldest record was
	// at its end that Postgres did not have, in seconds, 0 where records are not shipped.
	StoresCPU float64 `json:"stores_cpu_us,omitempty"`
	Backlog   float64 `json:"backlog_s,omitempty"`
	// Stop is how long the server took to end, with its stores, in seconds: the rest of the records is shipped first.
	Stop float64 `json:"stop_s,omitempty"`
	// RSS is the ext_proc server's largest resident set in MiB, after all loads.
	RSS           float64 `json:"rss_mb"`
	ClosedP50     float64 `json:"closed_p50_us"`
	ClosedP99     float64 `json:"closed_p99_us"`
	FirstTokenP50 float64 `json:"ttft_p50_us"`
	FirstTokenP99 float64 `json:"ttft_p99_us"`
	StreamP99     float64 `json:"stream_p99_us"` // a whole event stream
	ChunkRate     float64 `json:"chunks_per_s"`
	// Overrun counts the requests of the open loop that could not be sent since too many were in flight.
	Overrun float64 `json:"overrun"`
	// Stages is the ext_proc server's CPU time by stage, if it tells.
	Stages map[string]float64 `json:"stages_us,omitempty"`
}

// report is what is written.
type report struct {
	Rounds      int           `json:"rounds"`
	Connections int           `json:"connections"`
	Rate        int           `json:"rate"`
	Streams     int           `json:"streams"`
	Rows        []measuredRow `json:"rows"`
}

type measuredRow struct {
	Name string `json:"name"`
	sample
	// OfNoop is the throughput as a share of the row noop's, in the median of the turns, each compared with noop's of the same
	// time; 0 without that row. OfNoopError is the standard error of that median.
	OfNoop      float64 `json:"of_noop,omitempty"`
	OfNoopError float64 `json:"of_noop_se,omitempty"`
}

func newReport(o options, rows []row, samples map[string][]sample) *report {
	r := &report{Rounds: o.rounds, Connections: o.connections, Rate: o.rate, Streams: o.streams}
	for _, row := range rows {
		m := measuredRow{Name: row.Name, sample: medians(samples[row.Name])}
		shares := ofNoop(samples[row.Name], samples["noop"])
		m.OfNoop, m.OfNoopError = round(median(shares), 1000), round(medianError(shares), 1000)
		r.Rows = append(r.Rows, m)
	}
	return r
}

// ofNoop compares each turn with that of noop.
func ofNoop(of, noop []sample) (shares []float64) {
	for round := range min(len(of), len(noop)) {
		for turn, rate := range of[round].rates {
			shares = append(shares, rate/noop[round].rates[turn])
		}
	}
	return shares
}

// medianError is the standard error of the median of values that scatter as a normal distribution does.
func medianError(values []float64) float64 {
	if len(values) < 2 {
		return 0
	}
	var sum, squares float64
	for _, v := range values {
		sum += v
		squares += v * v
	}
	n := float64(len(values))
	return math.Sqrt(math.Pi / 2 * max(0, squares-sum*sum/n) / (n - 1) / n)
}

// medians gives the median of each figure over the rounds.
func medians(all []sample) sample {
	pick := func(figure func(sample) float64) float64 {
		values := make([]float64, len(all))
		for i, s := range all {
			values[i] = figure(s)
		}
		return round(median(values), 10)
	}
	m := sample{
		RPS:           pick(func(s sample) float64 { return s.RPS }),
		P50:           pick(func(s sample) float64 { return s.P50 }),
		P99:           pick(func(s sample) float64 { return s.P99 }),
		CPU:           pick(func(s sample) float64 { return s.CPU }),
		EnvoyCPU:      pick(func(s sample) float64 { return s.EnvoyCPU }),
		StoresCPU:     pick(func(s sample) float64 { return s.StoresCPU }),
		Backlog:       worst(all, func(s sample) float64 { return s.Backlog }),
		Stop:          worst(all, func(s sample) float64 { return s.Stop }),
		RSS:           pick(func(s sample) float64 { return s.RSS }),
		ClosedP50:     pick(func(s sample) float64 { return s.ClosedP50 }),
		ClosedP99:     pick(func(s sample) float64 { return s.ClosedP99 }),
		FirstTokenP50: pick(func(s sample) float64 { return s.FirstTokenP50 }),
		FirstTokenP99: pick(func(s sample) float64 { return s.FirstTokenP99 }),
		StreamP99:     pick(func(s sample) float64 { return s.StreamP99 }),
		ChunkRate:     pick(func(s sample) float64 { return s.ChunkRate }),
		Overrun:       pick(func(s sample) float64 { return s.Overrun }),
	}
	for _, s := range all {
		for stage := range s.Stages {
			if m.Stages == nil {
				m.Stages = map[string]float64{}
			}
			m.Stages[stage] = pick(func(s sample) float64 { return s.Stages[stage] })
		}
	}
	return m
}

// worst is the largest value of a figure that must never be large, to 1/1000.
func worst(all []sample, figure func(sample) float64) (most float64) {
	for _, s := range all {
		most = max(most, figure(s))
	}
	return round(most, 1000)
}

// median is the middle value, the mean of both when there are two, 0 when there is none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.SortFunc(values, cmp.Compare[float64])
	middle := len(values) / 2
	if len(values)%2 == 1 {
		return values[middle]
	}
	return (values[middle-1] + values[middle]) / 2
}

// round keeps 1/unit.
func round(v, unit float64) float64 { return math.Round(v*unit) / unit }

func (r *report) write(path string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

func (r *report) print(out io.Writer) error {
	fmt.Fprintf(out, "medians of %d rounds; closed loop of %d connections, open loop at %d/s, %d event streams\n\n",
		r.Rounds, r.Connections, r.Rate, r.Streams)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "row\treq/s\tof noop\tp50 µs\tp99 µs\tCPU µs\tEnvoy CPU µs\tRSS MiB\tTTFT p50 µs\tTTFT p99 µs\tchunks/s\t")
	for _, m := range r.Rows {
		share := "–"
		if m.OfNoop > 0 {
			share = fmt.Sprintf("%.1f ± %.1f %%", 100*m.OfNoop, 100*m.OfNoopError)
		}
		fmt.Fprintf(w, "%s\t%.0f\t%s\t%.0f\t%.0f\t%.0f\t%.0f\t%.1f\t%.0f\t%.0f\t%.0f\t\n",
			m.Name, m.RPS, share, m.P50, m.P99, m.CPU, m.EnvoyCPU, m.RSS, m.FirstTokenP50, m.FirstTokenP99, m.ChunkRate)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, m := range r.Rows {
		if m.StoresCPU > 0 {
			fmt.Fprintf(out, "\n%s: Postgres and Redis took %.0f µs of CPU time for each request; Postgres was at most %.2f s behind at the end of a closed loop; a stop took at most %.1f s\n",
				m.Name, m.StoresCPU, m.Backlog, m.Stop)
		}
		if len(m.Stages) == 0 {
			continue
		}
		var parts []string
		for _, stage := range slices.Sorted(maps.Keys(m.Stages)) {
			parts = append(parts, fmt.Sprintf("%s %.1f", stage, m.Stages[stage]))
		}
		fmt.Fprintf(out, "\n%s, µs by stage: %s\n", m.Name, strings.Join(parts, ", "))
	}
	return nil
}
