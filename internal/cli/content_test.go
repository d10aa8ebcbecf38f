package cli

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/seal"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/store/sqlite"
)

// vault is a data directory that content can be sealed in. It is closed before commands have it.
type vault struct {
	dir, masterFile string
	store           store.Store
	log             *audit.Log
	keys            *seal.Keyring
}

func newVault(t *testing.T) vault {
	t.Helper()
	dir := t.TempDir()
	masterFile := filepath.Join(dir, "masters")
	if _, talk, code := plumbline(t, nil, "audit", "master-key", "create", masterFile); code != 0 {
		t.Fatal(talk)
	}
	masters, err := seal.ReadMasterKeys(masterFile)
	if err != nil {
		t.Fatal(err)
	}
	st, err := sqlite.Open(t.Context(), app.StorePath(dir))
	if err != nil {
		t.Fatal(err)
	}
	log, err := audit.Open(t.Context(), audit.Options{Path: app.AuditPath(dir), Durability: audit.CrashSafe})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := seal.NewKeyring(seal.KeyringOptions{
		Store: st.SubjectKeys(), Masters: func() (*seal.MasterKeys, error) { return masters, nil }, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = keys.Run(t.Context()) }()
	return vault{dir, masterFile, st, log, keys}
}

// close lets commands have the directory.
func (v vault) close(t *testing.T) {
	t.Helper()
	if err := errors.Join(v.log.Close(t.Context()), v.store.Close()); err != nil {
		t.Error(err)
	}
}

// sealedDir is a data directory with one exchange of ann's and one of ben's, sealed, and a file of master keys.
func sealedDir(t *testing.T) (dir, masterFile string) {
	t.Helper()
	v := newVault(t)
	defer v.close(t)
	sealer := seal.New(seal.Options{Keys: v.keys, Mode: seal.ModeRedacted, Limit: 1000, Now: time.Now})
	for _, user := range []string{"ann", "ben"} {
		r := core.Record{Kind: core.RecordDeny, Time: time.Now(), Exchange: "exchange-of-" + user, Principal: core.Principal{User: user}, Reason: core.ReasonOffTask}
		sealer.Seal(t.Context(), &r, seal.Content{
			Words:  []core.WordWeight{{Word: "weather", Weight: 0.25}},
			Prompt: []core.Part{{Role: core.RoleUser, Kind: core.KindText, Text: "The weather\n\x1b[2Jfor ann@example.com"}},
		})
		if err := v.log.Append(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	return v.dir, v.masterFile
}

func TestRevealAndErase(t *testing.T) {
	dir, masterFile := sealedDir(t)
	run := func(want int, args ...string) (out, talk string) {
		t.Helper()
		out, talk, code := plumbline(t, nil, append(args, "--set", "data_dir="+dir, "--set", "audit.master_key_file="+masterFile)...)
		if code != want {
			t.Errorf("%v: exit status %d, want %d: %s%s", args, code, want, out, talk)
		}
		return out, talk
	}
	const why = "a complaint, ticket 17"
	run(exitUsage, "audit", "reveal", "exchange-of-ann")
	run(exitUsage, "audit", "reveal", "exchange-of-ann", "--reason", " ")
	run(exitFailed, "audit", "reveal", "exchange-of-nobody", "--reason", why)
	if n := len(looks(t, dir)); n != 0 {
		t.Errorf("%d looks are recorded, and nothing was shown", n)
	}

	out, _ := run(exitDone, "audit", "reveal", "exchange-of-ann", "--reason", why)
	for _, want := range []string{"deny of ann", "The weather", "[masked:email]", `\x1b[2J`, "weather +0.250", "1 secrets"} {
		if !strings.Contains(out, want) {
			t.Errorf("reveal does not say %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "\x1b") || strings.Contains(out, "ann@example.com") {
		t.Errorf("reveal shows what it must not: %q", out)
	}

	run(exitUsage, "audit", "erase", "--subject", "ann")
	_, talk := run(exitDone, "audit", "erase", "--subject", "ann", "--reason", why)
	if !strings.Contains(talk, "the key of ann is destroyed") {
		t.Error(talk)
	}
	run(exitFailed, "audit", "erase", "--subject", "ann", "--reason", why)
	out, _ = run(exitDone, "audit", "reveal", "exchange-of-ann", "--reason", why)
	if !strings.Contains(out, "erased on") || strings.Contains(out, "weather") {
		t.Errorf("after the erasure:\n%s", out)
	}
	out, _ = run(exitDone, "audit", "reveal", "exchange-of-ben", "--reason", why)
	if !strings.Contains(out, "The weather") {
		t.Errorf("of somebody else:\n%s", out)
	}
	if out, _ := run(exitDone, "audit", "verify"); !strings.Contains(out, "none is missing or changed") {
		t.Error(out)
	}
	if out, _ := run(exitDone, "policy", "replay"); strings.Contains(out, "ann") {
		t.Errorf("a replay names who was erased:\n%s", out)
	}

	var said []string
	for _, c := range looks(t, dir) {
		if c.Reason != why || !strings.HasPrefix(c.Actor, "cli:") {
			t.Errorf("recorded %+v", c)
		}
		said = append(said, c.Action+" "+c.Object)
	}
	if want := "reveal exchange/exchange-of-ann, erase subject-key/user/ann, reveal exchange/exchange-of-ann, reveal exchange/exchange-of-ben"; strings.Join(said, ", ") != want {
		t.Errorf("the feed has %q", said)
	}
}

// looks gives the changes that concern content.
func looks(t *testing.T, dir string) []store.Change {
	t.Helper()
	st, err := sqlite.Open(t.Context(), app.StorePath(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	changes, err := st.Changes(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	return changes
}

func TestMasterKeyRotation(t *testing.T) {
	dir, masterFile := sealedDir(t)
	run := func(want int, args ...string) string {
		t.Helper()
		out, talk, code := plumbline(t, nil, append(args, "--set", "data_dir="+dir, "--set", "audit.master_key_file="+masterFile)...)
		if code != want {
			t.Errorf("%v: exit status %d, want %d: %s%s", args, code, want, out, talk)
		}
		return out + talk
	}
	run(exitFailed, "audit", "master-key", "create", masterFile)
	run(exitDone, "audit", "erase", "--subject", "ben", "--reason", "asked")
	run(exitDone, "audit", "master-key", "rotate")
	if said := run(exitFailed, "audit", "master-key", "prune"); !strings.Contains(said, "still wraps 1 keys") {
		t.Error(said)
	}
	if said := run(exitDone, "audit", "master-key", "rewrap"); !strings.Contains(said, "1 keys are wrapped anew") {
		t.Error(said)
	}
	if said := run(exitDone, "audit", "master-key", "rewrap"); !strings.Contains(said, "0 keys are wrapped anew") {
		t.Error(said)
	}
	run(exitDone, "audit", "master-key", "prune")
	if said := run(exitDone, "audit", "master-key", "list"); strings.Count(said, "mk-") != 1 || !strings.Contains(said, "true     true     1") {
		t.Error(said)
	}
	if out := run(exitDone, "audit", "reveal", "exchange-of-ann", "--reason", "a check"); !strings.Contains(out, "The weather") {
		t.Errorf("after the rotation:\n%s", out)
	}
	if err := os.Chmod(masterFile, 0o644); err != nil {
		t.Fatal(err)
	}
	if said := run(exitUsage, "audit", "reveal", "exchange-of-ann", "--reason", "a check"); !strings.Contains(said, "chmod o=") {
		t.Error(said)
	}
}
