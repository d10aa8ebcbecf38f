package cli

import (
	"log/slog"

	"github.com/plumbline/plumbline/internal/demo"
	"github.com/plumbline/plumbline/internal/telemetry"
)

type demoCmd struct {
	Tour        bool   `help:"End after the tour; the exit status says whether it passed." xor:"tour"`
	NoTour      bool   `help:"Start everything and run no tour." xor:"tour"`
	Upstream    string `help:"A provider in place of the stand-in." placeholder:"URL"`
	UpstreamKey string `help:"File with that provider's key." placeholder:"FILE" type:"existingfile"`
	Policy      string `help:"A policy in place of the demo's." placeholder:"FILE" type:"existingfile"`
	DataDir     string `help:"Keep the data in this directory." placeholder:"DIR"`
	ReadyFile   string `help:"Write addresses and credentials, as JSON, once everything serves." placeholder:"FILE"`
	Listen      string `help:"Address for callers." default:"${listen}"`
	Envoy       string `help:"Envoy's path." placeholder:"FILE"`
	Verbose     bool   `help:"Show Plumbline's log."`
}

func (c demoCmd) Run(s *session) error {
	level := slog.LevelError
	if c.Verbose {
		level = slog.LevelInfo
	}
	return demo.Run(s.ctx, demo.Options{
		Envoy: s.envoyPath(c.Envoy), Listen: c.Listen, Tour: !c.NoTour, Stay: !c.Tour,
		Upstream: c.Upstream, UpstreamKey: c.UpstreamKey, Policy: c.Policy, DataDir: c.DataDir, ReadyFile: c.ReadyFile,
		Out: s.out, Talk: s.talk, Log: telemetry.NewLogger(s.talk, telemetry.LogOptions{Level: level}), Build: version(),
	})
}
