// Command bench measures, side by side and in turns, what Envoy costs by itself, with a do-nothing ext_proc
// server (the ceiling of the protocol), and with Plumbline. Each row of a round gets its own fresh processes and the same
// load: wrk in a closed loop, requests at a fixed rate, and event streams.
//
//	go run ./internal/bench [--rounds 5] [--rows bare,noop] [--closed 8s] [--open 8s] [--out out/bench.json]
//
// The row plumbline-production has a Postgres and a Redis of its own, started afresh for each round.
//
// It prints a table of medians and writes them as JSON, with the last CPU profile of each row beside it. Load generator,
// provider, stores and all that is measured share the machine, so only figures of one run can be compared.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/plumbline/plumbline/internal/envoyproc"
)

// options say how to measure.
type options struct {
	rounds      int
	closed      time.Duration // of the closed loop
	open        time.Duration // of the open loop
	warmUp      time.Duration // before each loop: connections, caches, the garbage collector's pace
	connections int           // of the closed loop
	rate        int           // of the open loop, a second
	streams     int
	rows        []string
	out         string
	envoy       string // binary
	wrk         string // binary
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1) //nolint:gocritic // stop only resets the signals' handling
	}
}

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	if len(args) > 0 && args[0] == providerCommand {
		return serveProvider(ctx, out)
	}
	o, err := parse(args, progress)
	if errors.Is(err, flag.ErrHelp) {
		return nil // it was given
	}
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // what stays is the system's to clean
	b, err := newBench(ctx, o, dir)
	if err != nil {
		return err
	}
	defer b.close()
	report, err := b.measure(ctx, progress)
	if err != nil {
		return err
	}
	if err := report.write(o.out); err != nil {
		return err
	}
	return report.print(out)
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	var rows string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&o.rounds, "rounds", 5, "interleaved rounds")
	flags.DurationVar(&o.closed, "closed", 8*time.Second, "length of the closed loop of each row and round, in turns of two seconds")
	flags.DurationVar(&o.open, "open", 8*time.Second, "length of the open loop of each row and round")
	flags.DurationVar(&o.warmUp, "warm-up", time.Second, "length of the load before each turn and loop")
	flags.IntVar(&o.connections, "connections", 16, "connections of the closed loop")
	flags.IntVar(&o.rate, "rate", 1000, "requests a second of the open loop")
	flags.IntVar(&o.streams, "streams", 300, "concurrent event streams")
	flags.StringVar(&rows, "rows", "", "rows to measure, separated by commas; all when empty; plumbline@FILE is another build")
	flags.StringVar(&o.out, "out", "out/bench.json", "file for the results")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if rows != "" {
		o.rows = strings.Split(rows, ",")
	}
	if o.rounds < 1 || o.closed < time.Second || o.open < time.Second || o.rate < 1 || o.connections < 1 || o.streams < 1 {
		return o, errors.New("rounds, rates and counts are positive, and each loop takes a second or more")
	}
	var err error
	if o.envoy, err = envoyproc.Find(os.Getenv("ENVOY"), ".tools"); err != nil {
		return o, err
	}
	if o.wrk, err = exec.LookPath("wrk"); err != nil {
		return o, errors.New("there is no wrk on PATH; the package of that name has it")
	}
	return o, nil
}
