package app

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/seal"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/telemetry"
)

// followInterval is when changes are looked for that the directory's load did not announce.
const followInterval = time.Second

// sealing has what derives from prompts sealed, and forgets keys that were erased, here or by anybody else.
type sealing struct {
	store  store.Store
	keys   *seal.Keyring // nil without master keys, like sealer
	sealer *seal.Sealer
	loaded chan struct{} // holds a token when the control data was loaded anew
	after  uint64        // the last change that was looked at
	forget func(subject string)
	log    *slog.Logger
}

func newSealing(st store.Store, log *slog.Logger) *sealing {
	return &sealing{store: st, loaded: make(chan struct{}, 1), log: log}
}

// open makes the sealer, which tells sampled of what it sampled. Without a file of master keys there is none, and nothing is kept that derives from prompts.
func (s *sealing) open(ctx context.Context, c config.Audit, sampled func(*core.Record), metrics *telemetry.Metrics) error {
	if c.MasterKeyFile == "" {
		return nil
	}
	keys, err := seal.NewKeyring(seal.KeyringOptions{
		Store: s.store.SubjectKeys(), Masters: func() (*seal.MasterKeys, error) { return seal.ReadMasterKeys(c.MasterKeyFile) },
		Now: time.Now, Log: s.log,
	})
	if err != nil {
		return fmt.Errorf("audit.master_key_file: %w", err)
	}
	// Before the first key is fetched: an erasure after that is in the feed.
	if s.after, err = s.store.Version(ctx); err != nil {
		return err
	}
	s.keys = keys
	s.sealer = seal.New(seal.Options{
		Keys: keys, Mode: seal.Mode(c.Content), Limit: int(c.ContentLimit), Sample: c.CalibrationSample.Fraction(),
		SampleSubject: store.SampleSubject, Sampled: sampled, Now: time.Now, Withheld: func() { metrics.FailedClosed("seal_key") },
	})
	return nil
}

// announce says that the control data was loaded anew.
func (s *sealing) announce() {
	select {
	case s.loaded <- struct{}{}:
	default:
	}
}

// run works until ctx ends.
func (s *sealing) run(ctx context.Context) error {
	if s.keys == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	var fetching sync.WaitGroup
	defer fetching.Wait()
	fetching.Go(func() { _ = s.keys.Run(ctx) }) // until ctx ends
	tick := time.NewTicker(followInterval)
	defer tick.Stop()
	behind := false
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.loaded:
			behind = true
		case <-tick.C:
		}
		if !behind {
			continue
		}
		if err := s.follow(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("erasures of keys could not be looked for; tried again in a second", "error", err)
			continue
		}
		behind = false
	}
}

// follow forgets the keys that were erased since it was called last.
func (s *sealing) follow(ctx context.Context) error {
	const batch = 1000
	version, err := s.store.Version(ctx)
	if err != nil {
		return err
	}
	if version < s.after { // the server is another one, which lost the last changes
		s.after = 0
	}
	for {
		changes, err := s.store.Changes(ctx, s.after, batch)
		if err != nil {
			return err
		}
		for _, c := range changes {
			if subject, ok := strings.CutPrefix(c.Object, store.SubjectKeyKind+"/"); ok && c.Action == store.EraseAction {
				s.keys.Drop(subject)
				s.forget(subject)
			}
			s.after = c.Version
		}
		if len(changes) < batch {
			return nil
		}
	}
}
