package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/internal/embed"
)

// contrary is a teacher who takes journeys for games and games for journeys, unless it agrees with the table.
type contrary struct {
	table *embed.Table
	agree bool
}

func (c contrary) Encode(_ context.Context, texts []string, told func(int)) ([]embed.Vector, error) {
	out := make([]embed.Vector, len(texts))
	for i, text := range texts {
		switch out[i] = c.table.Text(text); {
		case c.agree || !strings.HasPrefix(text, "please"):
		case strings.Contains(text, "plane"), strings.Contains(text, "lodging"):
			out[i] = c.table.Text("win the last level of a computer game")
		default:
			out[i] = c.table.Text("book a flight and hotel rooms for business travel")
		}
	}
	told(len(texts))
	return out, nil
}

// tuneFiles gives a command that adapts a table to made-up prompts, judged on those of evalFiles.
func tuneFiles(t *testing.T) modelTuneCmd {
	t.Helper()
	dir := t.TempDir()
	var traffic strings.Builder
	for i := range 700 {
		what := []string{"a plane ticket to city", "find lodging in town", "finish the video game level", "lyrics of an autumn song"}[i%4]
		fmt.Fprintf(&traffic, "{\"text\": \"please %s number %d for team %d\"}\n", what, i, i%9)
	}
	traffic.WriteString(`{"text": "A plane ticket to Lisbon"}`) // which is judged
	prompts := strings.Join([]string{
		`{"set": "ours", "label": "travel", "text": "A plane ticket to Lisbon"}`,
		`{"set": "ours", "label": "travel", "text": "Find lodging in Oslo"}`,
		`{"set": "ours", "label": "travel", "text": "Plane to Oslo, and lodging there"}`,
		`{"set": "ours", "label": "games", "text": "Finish the last video game"}`,
		`{"set": "ours", "label": "verse", "text": "Lyrics of a song on autumn"}`,
	}, "\n")
	for name, content := range map[string]string{"traffic": traffic.String(), "tasks": evalTasks, "prompts": prompts} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := func(name string) string { return filepath.Join(dir, name) }
	return modelTuneCmd{Traffic: path("traffic"), Tasks: path("tasks"), Prompts: path("prompts"), Out: path("out.bin"), Limit: 700, Seed: 1}
}

func tuneBy(t *testing.T, c modelTuneCmd, agree bool) (out, talk string, err error) {
	t.Helper()
	table, err := embed.Default()
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	s := &session{ctx: t.Context(), flags: &commands{Output: "json"}, out: &stdout, talk: &stderr}
	err = c.run(s, contrary{table, agree})
	return stdout.String(), stderr.String(), err
}

func TestTunedTableIsWrittenWithItsCard(t *testing.T) {
	c := tuneFiles(t)
	out, talk, err := tuneBy(t, c, true)
	if err != nil {
		t.Fatal(err, talk)
	}
	var r tuned
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	table, err := embed.Load(c.Out)
	if err != nil || table.Version() != r.Version || r.Worse || r.Judged == nil || r.Given != 700 {
		t.Errorf("%v: %s", err, out)
	}
	card, err := os.ReadFile(c.Out + ".md")
	if err != nil || !strings.Contains(string(card), r.Version) || !strings.Contains(string(card), r.Base) || strings.Contains(string(card), "lodging") {
		t.Errorf("%v: %s", err, card)
	}
	if strings.Contains(out+talk, "lodging") {
		t.Errorf("a prompt is quoted: %s%s", out, talk)
	}
}

// TestTableThatJudgesWorseIsNotWritten: the teacher unlearns what the table knew.
func TestTableThatJudgesWorseIsNotWritten(t *testing.T) {
	c := tuneFiles(t)
	out, talk, err := tuneBy(t, c, false)
	if !errors.Is(err, errProblems) || !strings.Contains(talk, "nothing is written") || !strings.Contains(out, `"worse": true`) {
		t.Fatalf("%v: %s%s", err, out, talk)
	}
	if _, err := os.Stat(c.Out); err == nil {
		t.Error("it is written")
	}
}

func TestTuneOfBadInput(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*modelTuneCmd)
		want   string
	}{
		"not judged":      {func(c *modelTuneCmd) { c.Tasks, c.Prompts = "", "" }, "--unjudged"},
		"half judged":     {func(c *modelTuneCmd) { c.Tasks = "" }, "go together"},
		"a foreign table": {func(c *modelTuneCmd) { c.Table = c.Prompts }, "not a table"},
		"no traffic":      {func(c *modelTuneCmd) { c.Traffic = c.Tasks }, "tasks:1"},
		"a low limit":     {func(c *modelTuneCmd) { c.Limit = 1 }, "limit"},
	} {
		cmd := tuneFiles(t)
		c.change(&cmd)
		if _, _, err := tuneBy(t, cmd, true); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if _, err := os.Stat(cmd.Out); err == nil {
			t.Errorf("%s: written", name)
		}
	}
	c := tuneFiles(t)
	c.Tasks, c.Prompts, c.Unjudged = "", "", true
	if _, talk, err := tuneBy(t, c, true); err != nil || !strings.Contains(talk, "not known") {
		t.Errorf("unjudged: %v, %s", err, talk)
	}
	for name, args := range map[string][]string{
		"no reason":         {"--sample"},
		"judged otherwise":  {"--sample", "--reason", "better scores", "--unjudged"},
		"a reason too many": {"--traffic", c.Traffic, "--reason", "better scores", "--out", c.Out + "2"},
		"nowhere to write":  {"--traffic", c.Traffic, "--unjudged"},
		"from both":         {"--sample", "--traffic", c.Traffic, "--reason", "better scores"},
		"from nothing":      {"--reason", "better scores"},
	} {
		if _, talk, code := plumbline(t, nil, append([]string{"model", "tune", "--teacher", c.Traffic}, args...)...); code != exitUsage {
			t.Errorf("%s: status %d, %s", name, code, talk)
		}
	}
	args := []string{"model", "tune", "--traffic", c.Traffic, "--out", c.Out + "2", "--unjudged", "--teacher", c.Traffic}
	if _, talk, code := plumbline(t, nil, args...); code != exitUsage || !strings.Contains(talk, "neither a folder nor a zip archive") {
		t.Errorf("a teacher that is none: status %d, %s", code, talk)
	}
}
