package cli

import (
	"fmt"
	"log/slog"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/telemetry"
)

type serveCmd struct{}

func (serveCmd) Run(s *session) error {
	cfg, _, err := s.config()
	if err != nil {
		return err
	}
	if _, set := s.variable("GOGC"); !set {
		debug.SetGCPercent(gcPercent)
	}
	if _, set := s.variable("GOMAXPROCS"); !set {
		runtime.GOMAXPROCS(processors(runtime.GOMAXPROCS(0), runtime.NumCPU(), cfg.ExtProc.Listen == ""))
	}
	// Whoever reads the checkpoints on standard output may go away: that is an error there, and not the end of the process.
	signal.Ignore(syscall.SIGPIPE)
	a, err := app.New(s.ctx, app.Options{Config: cfg, Build: version(), Log: s.logger(cfg.Log), Out: s.out})
	if err != nil {
		return err
	}
	return a.Run(s.ctx)
}

// gcPercent lets the heap grow to five times of what is alive before it is collected. What is alive is some tens of MiB,
// and an exchange leaves little behind: memory is cheaper here than the CPU time of the collector.
const gcPercent = 400

// processors is on how many cores Plumbline runs at a time, given what it may use and what there is. An Envoy at the other
// end of a Unix socket shares the machine, and does about as much for an exchange: each gets half. On all cores both
// would only wait for each other and lose their caches. What a container's limit leaves is for Plumbline alone.
func processors(usable, cores int, besideEnvoy bool) int {
	if !besideEnvoy || usable < cores {
		return usable
	}
	return max(1, cores/2)
}

// logger writes to where talk goes.
func (s *session) logger(c config.Log) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		level = slog.LevelInfo // config has checked it
	}
	return telemetry.NewLogger(s.talk, telemetry.LogOptions{Level: level, Format: string(c.Format)})
}

type confCmd struct {
	Show confShowCmd `cmd:"" help:"Show every setting, its value and where it comes from."`
}

type confShowCmd struct {
	Origin bool `help:"Show where each value comes from." negatable:"" default:"true"`
}

type shownSetting struct {
	config.Setting
	Origin string `json:"origin,omitempty"`
}

func (c confShowCmd) Run(s *session) error {
	cfg, origins, err := s.config()
	if err != nil {
		return err
	}
	var shown []shownSetting
	for _, setting := range cfg.Settings() {
		one := shownSetting{Setting: setting}
		if c.Origin {
			one.Origin = originWords(origins[setting.Name])
		}
		shown = append(shown, one)
	}
	return s.print(shown, []string{"SETTING", "VALUE", "ORIGIN"}, func(i int) []string {
		return []string{shown[i].Name, shown[i].Value, shown[i].Origin}
	})
}

func originWords(o config.Origin) string {
	if o.Source == config.SourceDefault {
		return string(o.Source)
	}
	if o.Source == config.SourceFlag {
		return "--set"
	}
	return fmt.Sprintf("%s %s", o.Source, o.Name)
}
