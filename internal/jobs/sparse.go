package jobs

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// sayAgain is how often one message of the queue is logged: while a database is away, it has one every second.
const sayAgain = time.Minute

// sparse passes warnings and errors on, each message once in a while.
type sparse struct {
	slog.Handler
	said *said
}

type said struct {
	mu   sync.Mutex
	last map[string]time.Time // by message, which are few
}

func newSparse(h slog.Handler) *sparse { return &sparse{h, &said{last: map[string]time.Time{}}} }

// Enabled implements slog.Handler.
func (s *sparse) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && s.Handler.Enabled(ctx, l)
}

// Handle implements slog.Handler.
func (s *sparse) Handle(ctx context.Context, r slog.Record) error {
	if !s.said.due(r.Message, r.Time) {
		return nil
	}
	return s.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (s *sparse) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &sparse{s.Handler.WithAttrs(attrs), s.said}
}

// WithGroup implements slog.Handler.
func (s *sparse) WithGroup(name string) slog.Handler {
	return &sparse{s.Handler.WithGroup(name), s.said}
}

func (s *said) due(message string, at time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, ok := s.last[message]; ok && at.Sub(last) < sayAgain {
		return false
	}
	s.last[message] = at
	return true
}
