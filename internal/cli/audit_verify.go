package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/chain"
	"github.com/plumbline/plumbline/internal/audit/notary"
	auditpg "github.com/plumbline/plumbline/internal/audit/postgres"
)

type auditVerifyCmd struct {
	Checkpoints []string `help:"File with what the second place has, or - for standard input. May be given several times." placeholder:"FILE"`
	Key         []string `help:"Public key whose signatures are believed, or file: and the path of one; default: that of this configuration. May be given several times." placeholder:"KEY"`
}

func (c auditVerifyCmd) Run(s *session) error {
	evidence, err := c.evidence(s)
	if err != nil {
		return err
	}
	var report notary.Report
	err = s.withAllRecords(func(r notary.Records) (err error) {
		report, err = notary.Verify(s.ctx, r, evidence)
		return err
	})
	var (
		bad      *audit.BadEntryError
		mismatch *chain.MismatchError
		badSum   *audit.BadSumError
	)
	if errors.As(err, &bad) || errors.As(err, &mismatch) || errors.As(err, &badSum) || errors.Is(err, notary.ErrDropped) {
		return s.problems(err)
	}
	if err != nil {
		return err
	}
	return s.say(report, "%s", strings.Join(verdictOf(&report, &evidence), "\n"))
}

// evidence reads the keys and the checkpoints that records are held against.
func (c auditVerifyCmd) evidence(s *session) (e notary.Evidence, err error) {
	public, err := c.publicKeys(s)
	if err != nil {
		return e, err
	}
	if len(public) == 0 {
		if len(c.Checkpoints) > 0 {
			return e, configError{errors.New("--checkpoints needs a key to believe them by: give --key, the public key that was logged at the start")}
		}
		return e, nil
	}
	keys, err := chain.ParseKeys(public...)
	if err != nil {
		return e, configError{fmt.Errorf("--key: %w", err)}
	}
	e.Keys = &keys
	for _, path := range c.Checkpoints {
		some, err := readCheckpoints(s, path, keys)
		if err != nil {
			return e, configError{fmt.Errorf("--checkpoints: %s: %w", path, err)}
		}
		e.Outside = append(e.Outside, some...)
	}
	return e, nil
}

// keyOrFile gives a key, or what is in the file that stands for it.
func keyOrFile(given string) (string, error) {
	path, isFile := strings.CutPrefix(given, "file:")
	if !isFile {
		return given, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", configError{fmt.Errorf("--key: %w", err)}
	}
	return strings.TrimSpace(string(text)), nil
}

// publicKeys gives those of the flags, else that of the configuration, which there may not be yet.
func (c auditVerifyCmd) publicKeys(s *session) (all []string, err error) {
	for _, given := range c.Key {
		key, err := keyOrFile(given)
		if err != nil {
			return nil, err
		}
		all = append(all, key)
	}
	if len(all) > 0 {
		return all, nil
	}
	cfg, _, err := s.config()
	if err != nil {
		return nil, err
	}
	key, err := notary.ReadKey(app.CheckpointKeyPath(cfg))
	if errors.Is(err, fs.ErrNotExist) && cfg.Audit.Checkpoints.KeyFile == "" {
		return nil, nil
	}
	if err != nil {
		return nil, configError{err}
	}
	return []string{key.Public}, nil
}

// readCheckpoints reads the checkpoints in a log.
func readCheckpoints(s *session, path string, keys chain.Keys) ([]chain.Checkpoint, error) {
	in := s.in
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	return chain.Read(in, keys)
}

// verdictOf says up to where the records are proven, and what is not.
func verdictOf(r *notary.Report, e *notary.Evidence) []string {
	out := []string{fmt.Sprintf("%d records of %d writers: none is missing or changed", r.Records, r.Writers)}
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if r.Sums > 0 {
		say("%d sums are those of a recount", r.Sums)
	}
	if r.DeadLetters > 0 {
		say("%d records are with the dead letters, as they were written", r.DeadLetters)
	}
	if r.Dropped > 0 {
		say("%d records are there as hashes alone, since their months were dropped", r.Dropped)
	}
	if r.Released > 0 {
		say("%d records were let go of here after they had been shipped to Postgres; their writers are verified there, with postgres.url", r.Released)
	}
	if e.Keys == nil {
		say("not proven: no checkpoint was checked, since there is no key (--key); a record that was rewritten with its hash, and an end that was cut off, are not found")
		return out
	}
	say("proven: %d records are fixed by %d signed checkpoints", r.Fixed, r.Checkpoints)
	if e.Outside != nil {
		say("proven: %d of them by %d checkpoints of the second place, the last of %s; the store has all of these", r.FixedOutside, r.Outside, r.LastOutside.UTC().Format(time.RFC3339))
	} else {
		say("not proven: that no end was cut off together with its checkpoints; --checkpoints takes what the second place has")
	}
	if rest := uint64(r.Records+r.DeadLetters+r.Dropped) - r.Fixed; rest > 0 && r.Released == 0 {
		say("not proven: %d records that no checkpoint fixes, since they are new or from before checkpoints were signed", rest)
	}
	if r.Unknown > 0 {
		say("not proven: that all writers are yours; %d have no checkpoint, which one has that recorded for ten seconds", r.Unknown)
	}
	return out
}

// withAllRecords opens the records in Postgres as they are now when postgres.url is set, else the log of the data directory.
func (s *session) withAllRecords(use func(notary.Records) error) error {
	cfg, _, err := s.config()
	if err != nil {
		return err
	}
	if cfg.Postgres.URL.IsZero() {
		r, err := audit.OpenReader(s.ctx, app.AuditPath(cfg.DataDir))
		if err != nil {
			return err
		}
		defer r.Close()
		return use(r)
	}
	store, pool, err := app.OpenRecords(s.ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { _ = pool.Close() }()
	return store.InSnapshot(s.ctx, func(at *auditpg.Snapshot) error { return use(at) })
}

type auditCheckpointKeyCmd struct {
	Show   auditCheckpointKeyShowCmd   `cmd:"" help:"Print the public key that verifies checkpoints."`
	Create auditCheckpointKeyCreateCmd `cmd:"" help:"Make a key that signs checkpoints, and print its public key."`
}

type auditCheckpointKeyShowCmd struct{}

func (auditCheckpointKeyShowCmd) Run(s *session) error {
	cfg, _, err := s.config()
	if err != nil {
		return err
	}
	key, err := notary.ReadKey(app.CheckpointKeyPath(cfg))
	if errors.Is(err, fs.ErrNotExist) && cfg.Audit.Checkpoints.KeyFile == "" {
		return fmt.Errorf("there is no key yet; `plumbline serve` makes it: %w", err)
	}
	if err != nil {
		return err
	}
	return s.say(publicKey{key.Public}, "%s", key.Public)
}

// publicKey is the output of the commands that print one.
type publicKey struct {
	Key string `json:"key"`
}

type auditCheckpointKeyCreateCmd struct {
	File string `arg:"" help:"Where to write the private key. It must not exist; it is readable by its owner only."`
}

func (c auditCheckpointKeyCreateCmd) Run(s *session) error {
	if err := notary.MakeKey(c.File); err != nil {
		return err
	}
	key, err := notary.ReadKey(c.File)
	if err != nil {
		return err
	}
	return s.say(publicKey{key.Public}, "%s", key.Public)
}
