package app

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/telemetry"
)

// swept is an ownership that notes what it is asked to keep, and fails the first time.
type swept struct {
	store.Ownership
	keeps []store.Keep
	err   error
}

func (s *swept) Sweep(_ context.Context, k store.Keep) (int64, error) {
	s.keeps = append(s.keeps, k)
	if len(s.keeps) == 1 {
		return 0, s.err
	}
	return 3, nil
}

func TestSweeperGoesOnAfterAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		objects := &swept{err: errors.New("disk on fire")}
		s := &sweeper{
			objects: objects, metrics: telemetry.New(prometheus.NewRegistry(), telemetry.Build{}, nil), log: slog.New(slog.NewTextHandler(&log, nil)),
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.run(ctx) }()
		begun := time.Now()
		<-time.After(sweepInterval + time.Second)
		synctest.Wait()
		<-time.After(sweepInterval)
		synctest.Wait()
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
		if len(objects.keeps) != 2 || objects.keeps[0].PerOwner != mostOwned ||
			!objects.keeps[1].ResponsesSince.Equal(begun.Add(2*sweepInterval-responseLife)) {
			t.Errorf("it kept %+v", objects.keeps)
		}
		if text := log.String(); strings.Count(text, "level=ERROR") != 1 || !strings.Contains(text, "objects=3") {
			t.Errorf("the log: %s", text)
		}
	})
}
