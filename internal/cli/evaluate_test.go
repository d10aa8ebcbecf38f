package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const evalTasks = `[{"id": "trips", "title": "Business travel", "topics": ["book a flight", "hotel rooms"], "set": "ours", "labels": ["travel"]}]`

var evalPrompts = strings.Join([]string{
	`{"set": "ours", "label": "travel", "text": "Book a flight to Lisbon"}`,
	`{"set": "ours", "label": "travel", "text": "Reserve a hotel room in Oslo"}`,
	`{"set": "ours", "label": "travel", "text": "Which flights leave on Monday?"}`,
	`{"set": "ours", "label": "games", "text": "Beat the final boss of this video game"}`,
	`{"set": "ours", "label": "verse", "text": "Compose a poem about autumn rain"}`,
}, "\n")

func evalFiles(t *testing.T, tasks, prompts string) []string {
	t.Helper()
	dir := t.TempDir()
	args := []string{"eval", "deviation"}
	for name, content := range map[string]string{"tasks": tasks, "prompts": prompts} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--"+name, path)
	}
	return args
}

func TestEvalDeviation(t *testing.T) {
	args := evalFiles(t, evalTasks, evalPrompts)
	out, talk, code := plumbline(t, nil, append(args, "--examples", "1", "--seeds", "3", "-o", "json")...)
	var r struct {
		Model    string
		Examples int
		Seeds    int
		Tasks    []map[string]any
		Macro    map[string]float64
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != exitDone {
		t.Fatalf("status %d: %v\n%s%s", code, err, out, talk)
	}
	if r.Model == "" || r.Examples != 1 || r.Seeds != 3 || len(r.Tasks) != 1 || r.Tasks[0]["id"] != "trips" {
		t.Errorf("%s", out)
	}
	for _, figure := range []string{"auroc", "auroc_se", "fpr95", "caught_at_1pct"} {
		if _, ok := r.Tasks[0][figure].(float64); !ok {
			t.Errorf("the task has no %s", figure)
		}
		if _, ok := r.Macro[figure]; !ok {
			t.Errorf("macro has no %s", figure)
		}
	}
	if out, _, code := plumbline(t, nil, args...); code != exitDone || !strings.Contains(out, "trips") || !strings.Contains(out, "macro") {
		t.Errorf("as a table: status %d\n%s", code, out)
	}
}

func TestEvalDeviationOfBadInput(t *testing.T) {
	for _, c := range []struct {
		tasks, prompts string
		more           []string
		want           string
	}{
		{"[\n{}]", evalPrompts, nil, "tasks:2: "},
		{evalTasks, evalPrompts + "\n{", nil, "prompts:6: "},
		{evalTasks, evalPrompts, []string{"--examples", "2"}, "too few for 2 examples"},
		{evalTasks, evalPrompts, []string{"--examples", "1", "--seeds", "0"}, "at least 1"},
	} {
		out, talk, code := plumbline(t, nil, append(evalFiles(t, c.tasks, c.prompts), c.more...)...)
		if code != exitUsage || out != "" || !strings.Contains(talk, c.want) {
			t.Errorf("status %d, %q, want %q", code, talk, c.want)
		}
	}
}
