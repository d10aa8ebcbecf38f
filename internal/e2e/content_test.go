package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/seal"
	"github.com/plumbline/plumbline/internal/store"
	"github.com/plumbline/plumbline/internal/testkit/pgproc"
)

// mark stands in prompts, markedKey too as a credential, and answerMark in the stand-in's answers.
const (
	mark       = "xylophonequasar"
	markedKey  = "sk-" + mark + "0123456789abcdef"
	answerMark = "hangs straight from the beam"
)

var markedPrompt = onTask + " The " + mark + " uses the key " + markedKey + "."

// disguises are the forms in which a text could stand somewhere: as it is, in a dump of bytes, or in base64.
func disguises(text string) [][]byte {
	forms := []string{text}
	for skip := range 3 { // what stands before it moves the letters of base64
		coded := base64.StdEncoding.EncodeToString([]byte("   "[:skip] + text))
		forms = append(forms, coded[4:len(coded)-4])
	}
	var all [][]byte
	for _, f := range forms {
		all = append(all, []byte(f), []byte(hex.EncodeToString([]byte(f))))
	}
	return all
}

// TestContentModes: with prompts and answers that are marked, no mode has a mark in clear in any file, log, metric or dump.
// Revealed is what the mode keeps and nothing more, and after an erasure nothing.
func TestContentModes(t *testing.T) {
	t.Parallel()
	for _, mode := range []seal.Mode{seal.ModeNone, seal.ModeHash, seal.ModeRedacted, seal.ModeSealed} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			c := newContentWorld(t, mode, nil)
			exchanges := c.traffic()
			c.searchForMarks(nil)
			for _, x := range exchanges {
				c.reveals(mode, x)
			}
			c.erases(exchanges[0])
		})
	}
}

// TestContentInPostgres: the same for what is shipped, with the server's dump.
func TestContentInPostgres(t *testing.T) {
	t.Parallel()
	server := pgproc.Start(t, pgproc.Options{})
	db := server.Database(t, pgproc.Template{})
	path := filepath.Join(t.TempDir(), "url")
	must(t, os.WriteFile(path, []byte(db.URL), 0o600))
	c := newContentWorld(t, seal.ModeSealed, map[string]string{"postgres.url": "file:" + path})
	exchanges := c.traffic()
	eventually(t, "the records are shipped", func() bool {
		return pgproc.One[int](t, db, "SELECT count(*)::int FROM plumbline_audit.records WHERE kind <> 'intent' AND exchange = '"+exchanges[len(exchanges)-1]+"'") == 1
	})
	dump, err := exec.CommandContext(t.Context(), server.Program("pg_dump"), "--dbname", db.URL).Output()
	must(t, err)
	if !bytes.Contains(dump, []byte(hex.EncodeToString([]byte(`"sealed"`)))) {
		t.Error("the dump has no sealed records")
	}
	c.searchForMarks(map[string][]byte{"the dump": dump})
	c.reveals(seal.ModeSealed, exchanges[0])
	c.erases(exchanges[0])
}

// contentWorld is a world with a mode of content.
type contentWorld struct {
	*world
	masters *seal.MasterKeys
}

func newContentWorld(t *testing.T, mode seal.Mode, settings map[string]string) *contentWorld {
	t.Helper()
	masters := seal.NewMasterKeys()
	path := filepath.Join(t.TempDir(), "masters")
	must(t, seal.CreateMasterFile(path, masters))
	all := map[string]string{"audit.content": string(mode), "audit.master_key_file": path, "audit.addresses": "none"}
	for k, v := range settings {
		all[k] = v
	}
	s := setup{policy: strictPolicy, settings: all}
	return &contentWorld{start(t, s), masters}
}

// traffic makes an exchange that is answered, one that is streamed and one that is refused.
func (c *contentWorld) traffic() (exchanges []string) {
	c.t.Helper()
	eventually(c.t, "ann's key is there", func() bool { // the first request may come before it
		return c.records(c.chat(chatBody("gpt-4o", onTask, nil)).Exchange)[0].Sealed.Key != ""
	})
	for _, body := range []string{
		chatBody("gpt-4o", markedPrompt, nil), chatBody("gpt-4o", markedPrompt, streamed), chatBody("gpt-4o", otherTask+" "+mark+" "+markedKey, nil),
	} {
		r := c.chat(body)
		records := c.records(r.Exchange)
		if records[0].Source != "" {
			c.t.Errorf("an address is recorded: %s", records[0].Source)
		}
		exchanges = append(exchanges, r.Exchange)
	}
	return exchanges
}

// searchForMarks looks into all that was written.
func (c *contentWorld) searchForMarks(more map[string][]byte) {
	c.t.Helper()
	places := map[string][]byte{"the metrics": []byte(c.metrics()), "the log": []byte(c.log.String())}
	for name, data := range more {
		places[name] = data
	}
	must(c.t, filepath.WalkDir(c.cfg.DataDir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		places[d.Name()] = data
		return err
	}))
	for place, data := range places {
		for _, m := range []string{mark, markedKey, answerMark} {
			for _, d := range disguises(m) {
				if at := bytes.Index(data, d); at >= 0 {
					c.t.Errorf("%s holds %q as %q: …%.100q…", place, m, d, data[max(0, at-50):])
				}
			}
		}
	}
}

// reveal does what `plumbline audit reveal` does.
func (c *contentWorld) reveal(exchange string) []app.Revealed {
	c.t.Helper()
	ctx := store.WithReason(store.WithActor(c.t.Context(), "cli:eve"), "a test")
	got, err := app.Reveal(ctx, c.app.Store(), c.masters, exchange, c.records(exchange))
	must(c.t, err)
	return got
}

// reveals checks what is kept of an exchange in a mode.
func (c *contentWorld) reveals(mode seal.Mode, exchange string) {
	c.t.Helper()
	all := c.reveal(exchange)
	text := fmt.Sprintf("%+v", all)
	for _, r := range all {
		if r.Prompt != nil {
			text += fmt.Sprintf("%+v", *r.Prompt)
		}
		if r.Answer != nil {
			text += fmt.Sprintf("%+v", *r.Answer)
		}
	}
	answered := len(all) == 2
	if len(all[0].Words) == 0 {
		c.t.Errorf("%s: no words explain the score", exchange)
	}
	if got, want := all[0].PromptHash != nil, mode == seal.ModeHash; got != want {
		c.t.Errorf("%s: hash of the prompt: %v", exchange, got)
	}
	whole := mode == seal.ModeSealed || mode == seal.ModeRedacted
	for _, want := range []struct {
		text string
		kept bool
	}{{markedKey, mode == seal.ModeSealed}, {answerMark, whole && answered}, {"[masked:secret]", mode == seal.ModeRedacted}} {
		if got := strings.Contains(text, want.text); got != want.kept {
			c.t.Errorf("%s: %q revealed: %v, want %v in %s", exchange, want.text, got, want.kept, text)
		}
	}
}

// erases checks that an erasure by another process holds within a second, and that the audit still verifies.
func (c *contentWorld) erases(exchange string) {
	c.t.Helper()
	other, err := app.OpenStore(c.t.Context(), c.cfg) // as a command does
	must(c.t, err)
	defer other.Close()
	before := c.records(exchange)[0].Sealed.Key
	ctx := store.WithReason(store.WithActor(c.t.Context(), "cli:eve"), "art. 17")
	must(c.t, app.Erase(ctx, other, "user/ann"))
	began := time.Now()
	var after string
	eventually(c.t, "the erased key is no longer in use", func() bool {
		r := c.chat(chatBody("gpt-4o", markedPrompt, nil))
		after = c.records(r.Exchange)[0].Sealed.Key
		return after != before && after != ""
	})
	if took := time.Since(began); took > 3*time.Second { // half a second to look, and a machine that is busy
		c.t.Errorf("the erased key was in use for %s", took)
	}
	for _, r := range c.reveal(exchange) {
		if r.Erased.IsZero() || r.Prompt != nil || r.Answer != nil || r.Words != nil {
			c.t.Errorf("after the erasure: %+v", r)
		}
	}
	eventually(c.t, "the audit has the looks and the erasure", func() bool {
		entries, _, err := c.audit.Search(c.t.Context(), audit.Query{Kind: core.RecordAdmin, Limit: 100})
		must(c.t, err)
		looks, erasures := 0, 0
		for _, e := range entries {
			switch a := e.Record.Admin; {
			case a.Action == store.RevealAction && a.Reason == "a test" && a.Actor == "cli:eve":
				looks++
			case a.Action == store.EraseAction && a.Reason == "art. 17" && a.Object == "subject-key/user/ann":
				erasures++
			}
		}
		return looks >= 2 && erasures == 1
	})
	if _, err := c.audit.Verify(c.t.Context()); err != nil {
		c.t.Errorf("after the erasure: %v", err)
	}
}
