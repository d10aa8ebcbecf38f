package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/config"
	"github.com/plumbline/plumbline/internal/embed/embedtest"
	"github.com/plumbline/plumbline/internal/models"
	"github.com/plumbline/plumbline/internal/store"
)

// turnedTable writes the table of embedtest.Turned to a file.
func turnedTable(t *testing.T) (path, version string) {
	t.Helper()
	data, table := embedtest.Turned(t)
	path = filepath.Join(t.TempDir(), "turned.bin")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, table.Version()
}

// TestModelsSideBySide: what is in use is what scores are made with and named after, until one goes back.
func TestModelsSideBySide(t *testing.T) {
	dir := "data_dir=" + t.TempDir()
	run := func(want int, args ...string) (out, talk string) {
		t.Helper()
		out, talk, code := plumbline(t, nil, append([]string{"--set", dir}, args...)...)
		if code != want {
			t.Fatalf("%v: status %d, want %d\n%s%s", args, code, want, out, talk)
		}
		return out, talk
	}
	status := func() (s modelStatus) {
		t.Helper()
		out, _ := run(exitDone, "model", "status", "-o", "json")
		if err := json.Unmarshal([]byte(out), &s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	shipped := status()
	if !shipped.Shipped {
		t.Errorf("%+v", shipped)
	}
	path, version := turnedTable(t)
	if out, _ := run(exitDone, "model", "install", path); strings.TrimSpace(out) != version {
		t.Errorf("installed %q, want %s", out, version)
	}
	if got := status(); !reflect.DeepEqual(got, shipped) {
		t.Errorf("in use by being installed: %+v", got)
	}
	if _, talk := run(exitDone, "model", "use", version, "--reason", "it judges better"); !strings.Contains(talk, "within seconds") {
		t.Errorf("%q", talk)
	}
	turned := status()
	if turned.Table != version || turned.Model == shipped.Model || turned.Shipped {
		t.Errorf("%+v", turned)
	}
	var listed []models.Model
	out, _ := run(exitDone, "model", "list", "-o", "json")
	if err := json.Unmarshal([]byte(out), &listed); err != nil || len(listed) != 2 || listed[0].InUse || !listed[1].InUse {
		t.Errorf("%v: %s", err, out)
	}
	run(exitDone, "task", "put", "trips", "--title", "Business travel")
	if out, _ := run(exitDone, "classify", "--task", "trips", "book a flight", "-o", "json"); !strings.Contains(out, turned.Model) {
		t.Errorf("scored by another model than %s: %s", turned.Model, out)
	}
	run(exitDone, "model", "rollback", "--reason", "it does not")
	if got := status(); !reflect.DeepEqual(got, shipped) {
		t.Errorf("back at %+v", got)
	}
	if _, talk := run(exitProblems, "model", "rollback", "--reason", "again"); !strings.Contains(talk, "no other model") {
		t.Errorf("%q", talk)
	}
	for _, args := range [][]string{{"model", "use", version}, {"model", "use", version, "--reason", " "}, {"model", "rollback"}} {
		if _, talk := run(exitUsage, args...); !strings.Contains(talk, "reason") {
			t.Errorf("%v: %q", args, talk)
		}
	}
	chosen(t, dir, "use model/"+version+": it judges better", "restore model/"+shipped.Table+": it does not")
}

// chosen checks what the feed, which the audit takes over, has of models.
func chosen(t *testing.T, set string, want ...string) {
	t.Helper()
	cfg := config.Default()
	cfg.DataDir = strings.TrimPrefix(set, "data_dir=")
	st, err := app.OpenStore(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	changes, err := st.Changes(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range changes {
		if strings.HasPrefix(c.Object, store.ModelKind+"/") {
			if c.Actor != actor() {
				t.Errorf("%s by %s", c.Action, c.Actor)
			}
			got = append(got, c.Action+" "+c.Object+": "+c.Reason)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the feed has %q, want %q", got, want)
	}
}

// TestCandidatesAreShown: what was adapted is listed with what it is worth, and is used when somebody says so.
func TestCandidatesAreShown(t *testing.T) {
	data := t.TempDir()
	set := []string{"--set", "data_dir=" + data}
	path, version := turnedTable(t)
	file, err := os.ReadFile(path)
	if err == nil {
		err = models.Dir(filepath.Join(data, "models")).Propose(file, models.Card{
			Version: version, Judged: &models.Judged{Beside: "minilm-1", AUROCBefore: 0.9, AUROCAfter: 0.95, Difference: 0.05, SE: 0.01},
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	shown := func(want bool, args ...string) {
		t.Helper()
		out, talk, code := plumbline(t, nil, append(set, args...)...)
		if code != exitDone || strings.Contains(out+talk, "AUROC 0.9500, that of minilm-1 0.9000: +0.0500 ± 0.0100") != want {
			t.Errorf("%v: status %d, %s%s", args, code, out, talk)
		}
	}
	shown(true, "model", "list")
	shown(true, "model", "status")
	if out, _, _ := plumbline(t, nil, append(set, "model", "list")...); !strings.Contains(out, "candidate") {
		t.Errorf("listed as %s", out)
	}
	shown(false, "model", "use", version, "--reason", "it judges better")
	shown(false, "model", "status") // it is no candidate any more
}

// TestBrokenModelEndsTheStart: nobody is judged by another model than the one that was chosen.
func TestBrokenModelEndsTheStart(t *testing.T) {
	dir := t.TempDir()
	set := []string{"--set", "data_dir=" + dir}
	path, version := turnedTable(t)
	for _, args := range [][]string{{"model", "install", path}, {"model", "use", version, "--reason", "a test"}} {
		if _, talk, code := plumbline(t, nil, append(set, args...)...); code != exitDone {
			t.Fatal(talk)
		}
	}
	if err := os.Truncate(filepath.Join(dir, "models", version+".bin"), 5000); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"serve"}, {"model", "status"}, {"classify", "--task", "x", "hello"}, {"calibration", "status"}} {
		_, talk, code := plumbline(t, nil, append(set, args...)...)
		if code == exitDone || !strings.Contains(talk, "deviation.models: ") || !strings.Contains(talk, "cut off or changed") {
			t.Errorf("%v: status %d, %q", args, code, talk)
		}
	}
	out, _, code := plumbline(t, nil, append(set, "model", "list")...)
	if code != exitProblems || !strings.Contains(out, "cut off or changed") {
		t.Errorf("listed with status %d: %s", code, out)
	}
	if _, talk, code := plumbline(t, nil, append(set, "model", "rollback", "--reason", "it is broken")...); code != exitDone {
		t.Errorf("no way back: %s", talk)
	}
	if _, talk, code := plumbline(t, nil, append(set, "model", "install", filepath.Join(dir, "models", "in-use"))...); code == exitDone || !strings.Contains(talk, "not a table") {
		t.Errorf("a foreign file is installed with status %d: %s", code, talk)
	}
}
