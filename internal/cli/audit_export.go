package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/audit/export"
	"github.com/plumbline/plumbline/internal/audit/notary"
	"github.com/plumbline/plumbline/internal/audit/read"
)

type auditExportCmd struct {
	auditFilter `embed:""`
	Format      string `help:"csv or ndjson." enum:"csv,ndjson" default:"ndjson"`
	To          string `help:"The file to write, which must not exist; its manifest goes beside it as FILE.manifest. Default: standard output, without a manifest." placeholder:"FILE" type:"path"`
}

// manifestSuffix makes the name of a manifest of that of its file.
const manifestSuffix = ".manifest"

func (c auditExportCmd) Run(s *session) error {
	q, err := c.query()
	if err != nil {
		return err
	}
	if time.Time(c.Since).IsZero() {
		return configError{errors.New("--since is needed: an export without a beginning is of everything; say --since 1970-01-01T00:00:00Z for that")}
	}
	return s.withRecords(func(r read.Reader) error {
		o := export.Options{Format: export.Format(c.Format), Query: q, To: s.out}
		if c.To == "" {
			m, _, err := export.Write(s.ctx, r, o)
			if err == nil {
				fmt.Fprintf(s.talk, "%d records of %d writers, %d bytes, SHA-256 %x\n", m.Records, len(m.Writers), m.Bytes, m.SHA256)
			}
			return err
		}
		return c.toFile(s, r, o)
	})
}

// signed has the manifest signed by the key that signs checkpoints, where one was made.
func (s *session) signed(o *export.Options) error {
	cfg, _, err := s.config()
	if err != nil {
		return err
	}
	key, err := notary.ReadKey(app.CheckpointKeyPath(cfg))
	if errors.Is(err, fs.ErrNotExist) && cfg.Audit.Checkpoints.KeyFile == "" {
		return nil
	}
	if err != nil {
		return err
	}
	o.Signer = key.Signer.Note()
	return nil
}

// toFile writes the file and its manifest. What was begun and failed is removed: a part looks like the whole.
func (c auditExportCmd) toFile(s *session, r read.Reader, o export.Options) (err error) {
	file, err := os.OpenFile(c.To, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("--to: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(c.To))
		}
	}()
	if err := s.signed(&o); err != nil {
		return errors.Join(err, file.Close())
	}
	o.To = file
	o.Progress = func(n int64) { fmt.Fprintf(s.talk, "\r%d records", n) }
	m, manifest, err := export.Write(s.ctx, r, o)
	if m.Records >= 10_000 {
		fmt.Fprint(s.talk, "\r")
	}
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.WriteFile(c.To+manifestSuffix, manifest, 0o600); err != nil {
		return err
	}
	if !export.IsSigned(manifest) {
		fmt.Fprintln(s.talk, "the manifest is not signed: it finds a file that was damaged, not one that was replaced together with it")
	}
	return s.say(summaryOf(&m), "%d records of %d writers, %d bytes", m.Records, len(m.Writers), m.Bytes)
}

// exportSummary is what a program is told of an export.
type exportSummary struct {
	Records int64  `json:"records"`
	Writers int    `json:"writers"`
	Bytes   int64  `json:"bytes"`
	SHA256  string `json:"sha256"`
}

func summaryOf(m *export.Manifest) exportSummary {
	return exportSummary{m.Records, len(m.Writers), m.Bytes, fmt.Sprintf("%x", m.SHA256)}
}

type auditCheckExportCmd struct {
	File     string `arg:"" help:"The file." type:"existingfile"`
	Manifest string `help:"Its manifest. Default: FILE.manifest." placeholder:"FILE"`
	Key      string `help:"The public key that the manifest must be signed with, or file: and the path of one. Without it, no signature is looked at." placeholder:"KEY"`
}

func (c auditCheckExportCmd) Run(s *session) error {
	if c.Manifest == "" {
		c.Manifest = c.File + manifestSuffix
	}
	key, err := keyOrFile(c.Key)
	if err != nil {
		return err
	}
	manifest, err := readBounded(c.Manifest)
	if err != nil {
		return err
	}
	file, err := os.Open(filepath.Clean(c.File))
	if err != nil {
		return err
	}
	defer file.Close()
	m, err := export.Check(manifest, file, key)
	switch {
	case errors.Is(err, export.ErrKey):
		return configError{err}
	case errors.Is(err, export.ErrChanged), errors.Is(err, export.ErrSignature), errors.Is(err, export.ErrManifest):
		return s.problems(err)
	case err != nil:
		return err
	}
	if c.Key == "" {
		fmt.Fprintln(s.talk, "no --key was given: nobody looked whether the manifest is signed")
	}
	return s.say(summaryOf(&m), "%d records of %d writers, %d bytes: as they were written on %s", m.Records, len(m.Writers), m.Bytes, m.Made.Format(time.RFC3339))
}

// readBounded reads a manifest, of which ParseManifest says when it is too large.
func readBounded(path string) ([]byte, error) {
	file, err := os.Open(filepath.Clean(path))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, export.MaxManifest+1))
}
