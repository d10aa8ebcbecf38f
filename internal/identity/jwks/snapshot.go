package jwks

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	strict "github.com/go-json-experiment/json"

	"github.com/plumbline/plumbline/internal/durable"
	"github.com/plumbline/plumbline/internal/identity"
	"github.com/plumbline/plumbline/internal/wholefile"
)

// maxSnapshot bounds the file: the document as a text in JSON, with room for what stands around it.
const maxSnapshot = 4 * identity.MaxKeySet

// clockSlack is how far in the future a snapshot may have been made: a clock that was set back must not make keys good for
// longer.
const clockSlack = time.Minute

// snapshot is the file that carries an issuer's keys over a restart.
type snapshot struct {
	Issuer   string    `json:"issuer"`
	URL      string    `json:"url"`
	Fetched  time.Time `json:"fetched"`
	Document string    `json:"document"`
}

// SnapshotPath is the file of an issuer's snapshot in a directory.
func SnapshotPath(dir, issuer string) string {
	sum := sha256.Sum256([]byte(issuer))
	return filepath.Join(dir, "jwks-"+hex.EncodeToString(sum[:8])+".json")
}

// save writes the snapshot, so that it is whole or the old one. Keys in force do not depend on it.
func (s *Source) save(c *state) {
	if s.o.Snapshot == "" {
		return
	}
	data, err := json.Marshal(snapshot{s.o.Issuer, s.o.URL, c.fetched.UTC(), string(c.document)})
	if err == nil {
		err = durable.Replace(s.o.Snapshot, data)
	}
	if err != nil {
		s.o.Log.Warn("the issuer's keys could not be kept for a restart", "error", err)
	}
}

// restore takes over the snapshot, as hostile as any input: it goes through the same checks as what the issuer sends, must
// be of this issuer and address, and is as old as it says.
func (s *Source) restore() {
	if s.o.Snapshot == "" {
		return
	}
	data, err := wholefile.Read(s.o.Snapshot, maxSnapshot)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err == nil {
		err = s.takeSnapshot(data)
	}
	if err != nil {
		s.o.Log.Warn("the issuer's keys of before the restart are not taken over", "error", err)
	}
}

func (s *Source) takeSnapshot(data []byte) error {
	var held snapshot
	if err := strict.Unmarshal(data, &held, strict.RejectUnknownMembers(true)); err != nil {
		return errors.New("the snapshot is not of the expected form")
	}
	age := s.o.Now().Sub(held.Fetched)
	switch {
	case held.Issuer != s.o.Issuer || held.URL != s.o.URL:
		return errors.New("the snapshot is of another issuer or address")
	case age < -clockSlack:
		return errors.New("the snapshot was made in the future")
	case age > maxStale:
		return errors.New("the snapshot is too old")
	}
	c, err := s.take([]byte(held.Document), held.Fetched)
	if err == nil {
		s.o.OnSuccess(c.fetched)
	}
	return err
}
