package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/google/pprof/profile"
)

// stageOf says which stage a package's CPU time belongs to. What a package calls belongs to it too, unless that is in the
// table itself: the innermost one counts.
var stageOf = map[string]string{
	"openai": "wire", "detect": "detect", "identity": "identity", "intent": "intent+deviation", "deviation": "intent+deviation",
	"policy": "policy", "quota": "ledger", "audit": "audit", "sqlite": "audit", "telemetry": "metrics",
	"gate": "gate", "extproc": "extproc", "store": "directory",
}

const modulePrefix = "github.com/plumbline/plumbline/internal/"

// stages shares out the CPU time of a profile, in microseconds for each of n requests.
func stages(data []byte, n int64) (map[string]float64, error) {
	p, err := profile.ParseData(data)
	if err != nil {
		return nil, fmt.Errorf("reading the CPU profile: %w", err)
	}
	if n == 0 || len(p.SampleType) == 0 {
		return nil, errors.New("the CPU profile covers no request")
	}
	cpu := len(p.SampleType) - 1 // the last value is nanoseconds
	shares := map[string]float64{}
	for _, s := range p.Sample {
		shares[stage(s)] += float64(s.Value[cpu]) / 1e3 / float64(n)
	}
	return shares, nil
}

// stage is that of the innermost function of a stack that has one.
func stage(s *profile.Sample) string {
	collecting := false
	for _, location := range s.Location {
		for _, line := range location.Line {
			name := line.Function.Name
			if rest, ok := strings.CutPrefix(name, modulePrefix); ok {
				first, _, _ := strings.Cut(rest, ".")
				first, _, _ = strings.Cut(first, "/")
				if stage, ok := stageOf[first]; ok {
					return stage
				}
			}
			collecting = collecting || strings.HasPrefix(name, "runtime.gcBgMarkWorker") || strings.HasPrefix(name, "runtime.bgsweep")
			if strings.HasPrefix(name, "google.golang.org/grpc") {
				return "grpc"
			}
		}
	}
	if collecting {
		return "garbage collection"
	}
	return "scheduler and other"
}

// opsURL reads from Plumbline's log where its ops listener is: the kernel chose the port.
func opsURL(log []byte) (string, error) {
	for line := range bytes.Lines(log) {
		var entry struct{ Ops string }
		if json.Unmarshal(line, &entry) == nil && entry.Ops != "" {
			return entry.Ops, nil
		}
	}
	return "", errors.New("the log does not name the ops listener")
}
