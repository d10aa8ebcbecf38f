package telemetry

import (
	"io"
	"log/slog"
)

// LogOptions say how to log.
type LogOptions struct {
	Level  slog.Level
	Format string // "text" or "json"
}

// NewLogger gives a logger that writes to w. Secrets never reach it: they are of a type that does not print.
func NewLogger(w io.Writer, o LogOptions) *slog.Logger {
	opts := &slog.HandlerOptions{Level: o.Level}
	if o.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}
