package envoyproc

import (
	"bytes"
	"io"
	"regexp"
	"sync"
)

// bindFailure finds the address that Envoy could not bind.
var bindFailure = regexp.MustCompile(`cannot bind '([^']+)': Address already in use`)

// tailSize is how much of the log's end is kept for error messages.
const tailSize = 8 << 10

// tail passes a log on and keeps its end.
type tail struct {
	mu   sync.Mutex
	to   io.Writer
	kept []byte
}

// Write never fails: Envoy must not be ended because nobody reads its log.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p...)
	if extra := len(t.kept) - tailSize; extra > 0 {
		t.kept = append(t.kept[:0], t.kept[extra:]...)
	}
	if t.to != nil {
		_, _ = t.to.Write(p)
	}
	return len(p), nil
}

func (t *tail) last() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.TrimSpace(bytes.Clone(t.kept))
}
