package audit

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/core"
)

// TestOutcomesPassAFullQueue: a disk that does not answer for a while holds intents back until no more are taken, and their
// callers leave. The outcomes of what was admitted are recorded nevertheless.
func TestOutcomesPassAFullQueue(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	log, err := Open(ctx, Options{Path: filepath.Join(t.TempDir(), "audit.db"), Durability: CrashSafe, Ballast: 64 << 10, Journal: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	stalled, answers := make(chan struct{}), make(chan struct{})
	moved := make(chan error, 1)
	go func() {
		moved <- log.do(ctx, func() error { close(stalled); <-answers; return nil })
	}()
	<-stalled
	for n := 0; err == nil || !log.journal.crowded(); n++ {
		p := &pending{done: make(chan error, 1)}
		if p.row, err = encode(core.Record{Kind: core.RecordIntent, Time: time.UnixMicro(1), Exchange: fmt.Sprint("x-", n)}); err != nil {
			t.Fatal(err)
		}
		if err = log.enqueue(p); err != nil && !errors.Is(err, ErrUnavailable) {
			t.Fatal(err)
		}
	}
	if err := log.Append(ctx, core.Record{Kind: core.RecordOutcome, Time: time.UnixMicro(2), Exchange: "x-1"}); err != nil {
		t.Errorf("an outcome: %v", err)
	}
	close(answers)
	if err := errors.Join(<-moved, log.Close(ctx)); err != nil {
		t.Error(err)
	}
}
