package app

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/chain"
	"github.com/plumbline/plumbline/internal/audit/notary"
	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/seal"
	"github.com/plumbline/plumbline/internal/telemetry"
)

// openNotary makes what signs checkpoints of the audit, and gives what does so for another log. store is nil where the log
// itself is the store.
func (a *App) openNotary(store notary.Store) (of func(*audit.Log) *notary.Notary, err error) {
	key, err := a.signingKey()
	if err != nil {
		return nil, err
	}
	keys, err := chain.ParseKeys(key.Public)
	if err != nil {
		return nil, err
	}
	sink := a.checkpointSink()
	of = func(log *audit.Log) *notary.Notary {
		return notary.New(notary.Options{Log: log, Signer: key.Signer, Keys: keys, Store: store, Sink: sink, Now: time.Now, Logger: a.log})
	}
	a.notary = of(a.audit)
	a.log.Info("checkpoints of the audit are signed; keep this key where the records are verified", "key", key.Public, "sink", string(a.cfg.Audit.Checkpoints.Sink))
	return of, nil
}

// signingKey reads the key that signs checkpoints. One that is configured must be there; else one is made.
func (a *App) signingKey() (notary.Key, error) {
	if a.cfg.Audit.Checkpoints.KeyFile != "" {
		return notary.ReadKey(a.cfg.Audit.Checkpoints.KeyFile)
	}
	key, made, err := notary.ReadOrMakeKey(CheckpointKeyPath(a.cfg))
	if made {
		a.log.Info("made a key that signs checkpoints of the audit; whoever has it can rewrite the audit unseen", "file", CheckpointKeyPath(a.cfg))
	}
	return key, err
}

// CheckKeyFiles reports what is wrong with the files of keys that are configured, which a start would refuse.
func CheckKeyFiles(c config.Audit) error {
	var masters, checkpoints error
	if c.MasterKeyFile != "" {
		if _, err := seal.ReadMasterKeys(c.MasterKeyFile); err != nil {
			masters = fmt.Errorf("audit.master_key_file: %w", err)
		}
	}
	if c.Checkpoints.KeyFile != "" {
		if _, err := notary.ReadKey(c.Checkpoints.KeyFile); err != nil {
			checkpoints = fmt.Errorf("audit.checkpoints.key_file: %w", err)
		}
	}
	return errors.Join(masters, checkpoints)
}

// CheckpointKeyPath is where the key that signs checkpoints lies.
func CheckpointKeyPath(c config.Config) string {
	if c.Audit.Checkpoints.KeyFile != "" {
		return c.Audit.Checkpoints.KeyFile
	}
	return filepath.Join(c.DataDir, "checkpoint.key")
}

func (a *App) checkpointSink() notary.Sink {
	if path := a.cfg.Audit.Checkpoints.Sink.File(); path != "" {
		return notary.NewFile(path, time.Now)
	}
	out := a.out
	if out == nil {
		out = io.Discard
	}
	return notary.NewStream(out, time.Now)
}

// checkpointGauges are what metrics tell of checkpoints.
func (a *App) checkpointGauges() telemetry.Checkpoints {
	c := a.notary.Counts()
	g := telemetry.Checkpoints{Last: c.Published, Records: c.Records, Failures: c.Failures}
	if !c.Unfixed.IsZero() {
		g.Waiting = max(0, time.Since(c.Unfixed))
	}
	return g
}
