package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/audit/read"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/seal"
	"github.com/plumbline/plumbline/internal/store"
)

type auditRevealCmd struct {
	Exchange string `arg:"" help:"The exchange's id, as audit search shows it."`
	Reason   string `help:"Why you look. It is recorded, with your name, before anything is shown." required:"" placeholder:"WORDS"`
}

func (c auditRevealCmd) Run(s *session) error {
	if err := store.CheckReason(c.Reason); err != nil {
		return configError{err}
	}
	masters, err := s.masterKeys()
	if err != nil {
		return err
	}
	var records []core.Record
	err = s.withRecords(func(r read.Reader) (err error) {
		records, err = app.RecordsOf(s.ctx, r, c.Exchange)
		return err
	})
	if err != nil {
		return err
	}
	if len(records) == 0 {
		return fmt.Errorf("there are no records of exchange %s", c.Exchange)
	}
	return s.withStore(func(st store.Store) error {
		revealed, err := app.Reveal(store.WithReason(s.ctx, c.Reason), st, masters, c.Exchange, records)
		if err != nil {
			return err
		}
		if s.flags.Output != outputTable {
			return s.encode(revealed)
		}
		for _, r := range revealed {
			s.reveal(r)
		}
		return nil
	})
}

// reveal prints what one record holds. Texts are those of callers and of a model: nothing of them commands the terminal.
func (s *session) reveal(r app.Revealed) {
	fmt.Fprintf(s.out, "%s of %s, %s\n", r.Kind, r.Who.Name(), when(r.Time))
	if !r.Erased.IsZero() {
		fmt.Fprintf(s.out, "  erased on %s: nothing of it can be read\n", when(r.Erased))
	}
	if r.Withheld != "" {
		fmt.Fprintf(s.out, "  withheld: %s\n", r.Withheld)
	}
	s.revealText("prompt", r.Prompt)
	s.revealText("answer", r.Answer)
	s.revealText("sample", r.Sample)
	if !r.SampleEnded.IsZero() {
		fmt.Fprintf(s.out, "  the sample's time was over on %s\n", when(r.SampleEnded))
	}
	for _, h := range []struct {
		what string
		hash []byte
	}{{"prompt", r.PromptHash}, {"answer", r.AnswerHash}} {
		if len(h.hash) > 0 {
			fmt.Fprintf(s.out, "  keyed hash of the %s: %x\n", h.what, h.hash)
		}
	}
	if len(r.Words) > 0 {
		words := make([]string, len(r.Words))
		for i, w := range r.Words {
			words[i] = fmt.Sprintf("%s %+.3f", printable(w.Word), w.Weight)
		}
		fmt.Fprintf(s.out, "  words that moved the deviation: %s\n", strings.Join(words, ", "))
	}
}

func (s *session) revealText(what string, t *seal.Text) {
	if t == nil {
		return
	}
	for _, p := range t.Parts {
		fmt.Fprintf(s.out, "  %s, %s %s:\n", what, printable(string(p.Role)), p.Kind)
		for line := range strings.Lines(p.Text) {
			fmt.Fprintf(s.out, "    %s\n", printable(strings.TrimRight(line, "\r\n")))
		}
	}
	if t.Masked > 0 {
		fmt.Fprintf(s.out, "  %d secrets or pieces of personal data were masked before it was kept\n", t.Masked)
	}
	if t.Omitted > 0 {
		fmt.Fprintf(s.out, "  %d bytes were left out for their length\n", t.Omitted)
	}
}

// printable is a line as a terminal may be given it.
func printable(line string) string {
	if line == "" {
		return ""
	}
	return cells([]string{line})[0]
}

type auditEraseCmd struct {
	Subject string `help:"The person whose content is erased." xor:"whose" required:"" placeholder:"USER"`
	App     string `help:"The app whose content is erased, of its calls in nobody's name." xor:"whose" required:""`
	Reason  string `help:"Why. It is recorded, with your name." required:"" placeholder:"WORDS"`
}

func (c auditEraseCmd) Run(s *session) error {
	if err := store.CheckReason(c.Reason); err != nil {
		return configError{err}
	}
	p := core.Principal{User: c.Subject, App: c.App}
	return s.withStore(func(st store.Store) error {
		err := app.Erase(store.WithReason(s.ctx, c.Reason), st, p.Subject())
		return s.done(err, "the key of %s is destroyed: what was sealed under it cannot be read again", p.Name())
	})
}

type auditMasterKeyCmd struct {
	Create auditMasterKeyCreateCmd `cmd:"" help:"Make a file with a new master key, for audit.master_key_file."`
	List   auditMasterKeyListCmd   `cmd:"" help:"List the master keys, and how many keys each wraps, without the keys themselves."`
	Rotate auditMasterKeyRotateCmd `cmd:"" help:"Put a new master key into the file. Those before it unwrap until they are pruned."`
	Rewrap auditMasterKeyRewrapCmd `cmd:"" help:"Wrap every key by the current master key."`
	Prune  auditMasterKeyPruneCmd  `cmd:"" help:"Take the master keys that wrap nothing any more out of the file."`
}

type auditMasterKeyCreateCmd struct {
	File string `arg:"" help:"The file to make. Keep it, and its copies, apart from the database and its copies." type:"path"`
}

func (c auditMasterKeyCreateCmd) Run(s *session) error {
	masters := seal.NewMasterKeys()
	return s.done(seal.CreateMasterFile(c.File, masters), "master key %s is in %s", masters.Current(), c.File)
}

type auditMasterKeyListCmd struct{}

// listedMaster is a master key as it is shown.
type listedMaster struct {
	ID      string `json:"id"`
	Current bool   `json:"current"`
	InFile  bool   `json:"in_file"`
	Wraps   int    `json:"wraps"`
}

func (auditMasterKeyListCmd) Run(s *session) error {
	masters, err := s.masterKeys()
	if err != nil {
		return err
	}
	return s.withStore(func(st store.Store) error {
		wraps, err := app.WrappedBy(s.ctx, st)
		if err != nil {
			return err
		}
		var all []listedMaster
		for _, id := range masters.IDs() {
			all = append(all, listedMaster{id, id == masters.Current(), true, wraps[id]})
			delete(wraps, id)
		}
		for id, n := range wraps {
			all = append(all, listedMaster{ID: id, Wraps: n})
		}
		return s.print(all, []string{"MASTER KEY", "CURRENT", "IN FILE", "WRAPS"}, func(i int) []string {
			k := all[i]
			return []string{k.ID, fmt.Sprint(k.Current), fmt.Sprint(k.InFile), fmt.Sprint(k.Wraps)}
		})
	})
}

type auditMasterKeyRotateCmd struct{}

func (auditMasterKeyRotateCmd) Run(s *session) error {
	return s.changeMasters("master key %s wraps new keys once a process reads the file; then: plumbline audit master-key rewrap",
		func(m *seal.MasterKeys, _ map[string]int) (*seal.MasterKeys, error) { return m.Rotated() })
}

type auditMasterKeyRewrapCmd struct{}

func (auditMasterKeyRewrapCmd) Run(s *session) error {
	masters, err := s.masterKeys()
	if err != nil {
		return err
	}
	return s.withStore(func(st store.Store) error {
		n, err := app.Rewrap(s.ctx, st, masters)
		return s.done(err, "%d keys are wrapped anew, by %s", n, masters.Current())
	})
}

type auditMasterKeyPruneCmd struct{}

func (auditMasterKeyPruneCmd) Run(s *session) error {
	return s.changeMasters("master key %s alone is left", func(m *seal.MasterKeys, wraps map[string]int) (*seal.MasterKeys, error) {
		for _, id := range m.IDs() {
			if id != m.Current() && wraps[id] > 0 {
				return nil, fmt.Errorf("master key %s still wraps %d keys: plumbline audit master-key rewrap", id, wraps[id])
			}
		}
		return m.Only(), nil
	})
}

// changeMasters replaces the file of master keys.
func (s *session) changeMasters(done string, change func(*seal.MasterKeys, map[string]int) (*seal.MasterKeys, error)) error {
	cfg, _, err := s.config()
	if err != nil {
		return err
	}
	masters, err := s.masterKeys()
	if err != nil {
		return err
	}
	return s.withStore(func(st store.Store) error {
		wraps, err := app.WrappedBy(s.ctx, st)
		if err != nil {
			return err
		}
		if masters, err = change(masters, wraps); err != nil {
			return err
		}
		return s.done(seal.ReplaceMasterFile(cfg.Audit.MasterKeyFile, masters), done, masters.Current())
	})
}

// errNoMasters is what commands say that need master keys.
var errNoMasters = errors.New("audit.master_key_file is not set: plumbline audit master-key create makes one")

// masterKeys reads the master keys. Whoever may read their file may read what is sealed.
func (s *session) masterKeys() (*seal.MasterKeys, error) {
	cfg, _, err := s.config()
	switch {
	case err != nil:
		return nil, err
	case cfg.Audit.MasterKeyFile == "":
		return nil, configError{errNoMasters}
	}
	masters, err := seal.ReadMasterKeys(cfg.Audit.MasterKeyFile)
	if err != nil {
		return nil, configError{fmt.Errorf("audit.master_key_file: %w", err)}
	}
	return masters, nil
}

// erasedPeople reports who was erased.
func (s *session) erasedPeople() (func(user string) bool, error) {
	var erased map[string]bool
	err := s.withStore(func(st store.Store) (err error) {
		erased, err = app.ErasedPeople(s.ctx, st)
		return err
	})
	return func(user string) bool { return erased[user] }, err
}
