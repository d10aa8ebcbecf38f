package models_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/embed"
	"github.com/plumbline/plumbline/internal/models"
)

// tables writes some tables and gives their files: those of name with the rows of the shipped one times a number each.
func tables(t *testing.T, names ...string) []string {
	t.Helper()
	shipped, err := embed.Default()
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for n, name := range names {
		rows := shipped.Rows()
		for i := range rows.Values {
			rows.Values[i] *= float32(n + 2)
		}
		data, err := shipped.With(name, rows)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, path)
	}
	return files
}

func unrecorded() error { return nil }

func inUse(t *testing.T, d models.Dir) string {
	t.Helper()
	table, err := d.Table()
	if err != nil {
		t.Fatal(err)
	}
	noted, err := d.InUse()
	if err != nil || noted != table.Version() {
		t.Fatalf("%s is noted and %s is read: %v", noted, table.Version(), err)
	}
	return noted
}

func TestSideBySide(t *testing.T) {
	d := models.Dir(filepath.Join(t.TempDir(), "models"))
	shipped := inUse(t, d)
	if _, _, err := d.Rollback(func(string) error { return nil }); !errors.Is(err, models.ErrNothingBefore) {
		t.Errorf("back where there is no directory: %v", err)
	}
	var versions []string
	for _, file := range tables(t, "first", "second") {
		version, err := d.Install(file)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := d.Install(file); err != nil || again != version {
			t.Errorf("installed twice: %s, %v", again, err)
		}
		versions = append(versions, version)
	}
	if got := inUse(t, d); got != shipped {
		t.Errorf("%s is in use by being installed", got)
	}
	if _, _, err := d.Rollback(func(string) error { return nil }); !errors.Is(err, models.ErrNothingBefore) {
		t.Errorf("back from the start: %v", err)
	}
	for _, version := range versions {
		if changed, err := d.Use(version, unrecorded); err != nil || !changed {
			t.Fatal(changed, err)
		}
		if changed, err := d.Use(version, unrecorded); err != nil || changed {
			t.Errorf("used twice: %v, %v", changed, err)
		}
		if got := inUse(t, d); got != version {
			t.Errorf("%s is in use, want %s", got, version)
		}
	}
	all, err := d.List()
	if err != nil || len(all) != 3 || !all[0].Shipped || all[0].InUse || !all[2].InUse || all[1].Columns != 128 {
		t.Errorf("listed %+v, %v", all, err)
	}
	for _, want := range []string{versions[0], shipped} {
		if _, to, err := d.Rollback(func(string) error { return nil }); err != nil || to != want || inUse(t, d) != want {
			t.Errorf("back to %s, want %s: %v", to, want, err)
		}
	}
	if _, _, err := d.Rollback(func(string) error { return nil }); !errors.Is(err, models.ErrNothingBefore) {
		t.Errorf("back from the first: %v", err)
	}
}

// TestWhatIsNotWholeIsNotUsed: nothing else is used in its place.
func TestWhatIsNotWholeIsNotUsed(t *testing.T) {
	d := models.Dir(t.TempDir())
	files := tables(t, "first", "second")
	first, err := d.Install(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Use(first, unrecorded); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(string(d), first+".bin")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(files[1])
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		content []byte
		want    string
	}{
		"cut off": {whole[:1000], "cut off or changed"},
		"another": {other, "named after what it holds"},
		"none":    {nil, "is not in"},
	} {
		if err := os.Remove(path); err != nil && c.content == nil {
			t.Fatal(err)
		}
		if c.content != nil {
			if err := os.WriteFile(path, c.content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if table, err := d.Table(); err == nil || table != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		all, err := d.List()
		if err != nil || len(all) != 2 || all[1].Problem == "" || !all[1].InUse || all[0].InUse {
			t.Errorf("%s: listed %+v, %v", name, all, err)
		}
		if c.content != nil {
			continue
		}
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNoWayBackToWhatIsGone: who goes back to a model whose file is not whole any more stays at the one that is in use.
func TestNoWayBackToWhatIsGone(t *testing.T) {
	d := models.Dir(t.TempDir())
	var versions []string
	for _, file := range tables(t, "first", "second") {
		version, err := d.Install(file)
		if err == nil {
			_, err = d.Use(version, unrecorded)
		}
		if err != nil {
			t.Fatal(err)
		}
		versions = append(versions, version)
	}
	if err := os.Remove(filepath.Join(string(d), versions[0]+".bin")); err != nil {
		t.Fatal(err)
	}
	if _, to, err := d.Rollback(func(string) error { return nil }); err == nil || to != versions[0] || inUse(t, d) != versions[1] {
		t.Errorf("back to %s: %v", to, err)
	}
}

// TestManyChanges: however often another model is put in use, the note can be read, and leads back.
func TestManyChanges(t *testing.T) {
	d := models.Dir(t.TempDir())
	shipped := inUse(t, d)
	first, err := d.Install(tables(t, "first")[0])
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		for _, version := range []string{first, shipped} {
			if _, err := d.Use(version, unrecorded); err != nil {
				t.Fatal(err)
			}
		}
	}
	if from, to, err := d.Rollback(func(string) error { return nil }); err != nil || from != shipped || to != first {
		t.Errorf("back from %s to %s, %v", from, to, err)
	}
}

// TestInstallingOverABrokenFile: what is there under the name of a model and is not that model is told.
func TestInstallingOverABrokenFile(t *testing.T) {
	d := models.Dir(t.TempDir())
	file := tables(t, "first")[0]
	version, err := d.Install(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(string(d), version+".bin"), []byte("plembed"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Install(file); err == nil {
		t.Error("a broken file passes for the model")
	}
}

func TestNotesThatNobodyWrote(t *testing.T) {
	for name, content := range map[string]string{
		"empty": "", "a path": "../../etc/passwd\n", "a line too many": strings.Repeat("first-1\n", 17),
		"no text": "\x00\x01", "long": string(bytes.Repeat([]byte("x"), 1<<20)),
	} {
		d := models.Dir(t.TempDir())
		if err := os.WriteFile(filepath.Join(string(d), "in-use"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Table(); err == nil || !strings.Contains(err.Error(), "in-use") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := d.List(); err == nil {
			t.Errorf("%s: listed", name)
		}
		if _, _, err := d.Rollback(func(string) error { return nil }); err == nil {
			t.Errorf("%s: gone back", name)
		}
	}
	d := models.Dir(t.TempDir())
	for _, version := range []string{"", "../x", "missing-00000000"} {
		if _, err := d.Use(version, unrecorded); err == nil || strings.HasPrefix(version, "missing") == strings.Contains(err.Error(), "no version") {
			t.Errorf("%q is used, or refused for another reason: %v", version, err)
		}
	}
}

// TestUnrecordedIsNotUsed: a change that could not be recorded is none.
func TestUnrecordedIsNotUsed(t *testing.T) {
	d := models.Dir(t.TempDir())
	version, err := d.Install(tables(t, "first")[0])
	if err != nil {
		t.Fatal(err)
	}
	shipped, away := inUse(t, d), errors.New("away")
	if _, err := d.Use(version, func() error { return away }); !errors.Is(err, away) || inUse(t, d) != shipped {
		t.Errorf("%s is in use, %v", inUse(t, d), err)
	}
	if _, err := d.Use(version, unrecorded); err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.Rollback(func(to string) error { return fmt.Errorf("%s: %w", to, away) }); !errors.Is(err, away) ||
		!strings.Contains(err.Error(), shipped) || inUse(t, d) != version {
		t.Errorf("%s is in use, %v", inUse(t, d), err)
	}
}

// TestCandidates: what was adapted lies beside the one in use with what it is worth, until somebody uses it; what it was adapted
// of is adapted anew.
func TestCandidates(t *testing.T) {
	d := models.Dir(filepath.Join(t.TempDir(), "models"))
	shipped := inUse(t, d)
	var cards []models.Card
	for i, file := range tables(t, "older", "newer") {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		table, err := embed.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		card := models.Card{
			Version: table.Version(), Made: time.Date(2026, 3, 11+i, 0, 0, 0, 0, time.UTC), Base: shipped, Learnt: 900, After: 0.9,
			Judged: &models.Judged{Beside: shipped, Difference: 0.01},
		}
		wrong := card
		wrong.Version = "other-1"
		if err := d.Propose(data, wrong); err == nil {
			t.Error("a card of another table is taken")
		}
		if err := errors.Join(d.Propose(data, card), d.Propose(data, models.Card{Version: card.Version})); err != nil {
			t.Fatal(err)
		}
		cards = append(cards, card)
	}
	if got := inUse(t, d); got != shipped {
		t.Errorf("%s is in use by being there", got)
	}
	candidates := func() (all []string) {
		found, err := d.Candidates()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range found {
			if *m.Card.Judged != *cards[0].Judged || m.Card.After != 0.9 || m.Problem != "" || m.Bytes == 0 {
				t.Errorf("listed %+v", m)
			}
			all = append(all, m.Version)
		}
		return all
	}
	older, newer := cards[0].Version, cards[1].Version
	if got := candidates(); !slices.Equal(got, []string{newer, older}) {
		t.Errorf("candidates %q", got)
	}
	if _, err := d.Use(newer, unrecorded); err != nil {
		t.Fatal(err)
	}
	base, err := d.Base()
	if got := candidates(); !slices.Equal(got, []string{older}) || err != nil || base.Version() != shipped {
		t.Errorf("candidates %q, and %s is adapted next, %v", got, base.Version(), err)
	}
	if _, _, err := d.Rollback(func(string) error { return nil }); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"broken": "{", "another's": `{"version": "` + newer + `"}`, "long": strings.Repeat(" ", 1<<20) + "{}"} {
		if err := os.WriteFile(filepath.Join(string(d), older+".json"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		all, err := d.List()
		if err != nil || len(all) != 3 || all[2].Card != nil || !strings.Contains(all[2].Problem, "no card") {
			t.Errorf("%s: listed %+v, %v", name, all, err)
		}
	}
}

// TestOneChangeAtATime: while a choice is recorded nobody makes another, in either way, and a choice that was refused, or that
// failed, holds up none.
func TestOneChangeAtATime(t *testing.T) {
	d := models.Dir(t.TempDir())
	var versions []string
	for _, file := range tables(t, "first", "second", "third") {
		version, err := d.Install(file)
		if err != nil {
			t.Fatal(err)
		}
		versions = append(versions, version)
	}
	if _, err := d.Use(versions[0], unrecorded); err != nil {
		t.Fatal(err)
	}
	unreached := func() error { t.Error("a second choice is recorded"); return nil }
	meanwhile := func() error {
		if changed, err := d.Use(versions[2], unreached); changed || !errors.Is(err, models.ErrBusy) || !strings.Contains(err.Error(), string(d)) {
			t.Errorf("another is used meanwhile: %t, %v", changed, err)
		}
		if _, _, err := d.Rollback(func(string) error { return unreached() }); !errors.Is(err, models.ErrBusy) {
			t.Errorf("rolled back meanwhile: %v", err)
		}
		return nil
	}
	if changed, err := d.Use(versions[1], meanwhile); err != nil || !changed || inUse(t, d) != versions[1] {
		t.Errorf("%s is in use, %t, %v", inUse(t, d), changed, err)
	}
	away := errors.New("the store is away")
	if _, err := d.Use(versions[2], func() error { return away }); !errors.Is(err, away) {
		t.Error(err)
	}
	if _, to, err := d.Rollback(func(string) error { return meanwhile() }); err != nil || to != versions[0] || inUse(t, d) != versions[0] {
		t.Errorf("back to %s, %v", to, err)
	}
}

// TestOfManyChoicesTheLastRecordedIsInUse: who chooses at the same time is refused or takes their turn, and then what is noted is
// what was recorded last.
func TestOfManyChoicesTheLastRecordedIsInUse(t *testing.T) {
	d := models.Dir(t.TempDir())
	var mu sync.Mutex
	var last string
	var choosing sync.WaitGroup
	for _, file := range tables(t, "first", "second", "third", "fourth") {
		version, err := d.Install(file)
		if err != nil {
			t.Fatal(err)
		}
		choosing.Go(func() {
			for range 4 {
				_, err := d.Use(version, func() error {
					mu.Lock()
					defer mu.Unlock()
					last = version
					return nil
				})
				if err != nil && !errors.Is(err, models.ErrBusy) {
					t.Error(err)
				}
			}
		})
	}
	choosing.Wait()
	if now := inUse(t, d); now != last {
		t.Errorf("%s is in use, and %s was recorded last", now, last)
	}
}
