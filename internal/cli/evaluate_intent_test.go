package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEvalIntent(t *testing.T) {
	file := filepath.Join(t.TempDir(), "prompts.jsonl")
	prompts := `{"set": "own", "label": "translation", "text": "Translate this sentence into French"}` + "\n" + `{"set": "own", "label": "coding", "text": "Write a Python function that merges two lists"}`
	if err := os.WriteFile(file, []byte(prompts), 0o600); err != nil {
		t.Fatal(err)
	}
	out, talk, code := plumbline(t, nil, "eval", "intent", "--prompts", file, "-o", "json")
	var r struct {
		Intent struct {
			Forced struct {
				MacroF1 struct{ Value, SE *float64 } `json:"macro_f1"`
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != exitDone || r.Intent.Forced.MacroF1.Value == nil || r.Intent.Forced.MacroF1.SE == nil {
		t.Fatalf("status %d: %v\n%s%s", code, err, out, talk)
	}
	if out, _, code := plumbline(t, nil, "eval", "intent", "--prompts", file); code != exitDone || !strings.Contains(out, "F1 translation") {
		t.Errorf("as a table: status %d\n%s", code, out)
	}
	if err := os.WriteFile(file, []byte(`{"set": "own", "label": "cooking", "text": "Boil an egg"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		`"cooking", which is no class`: {"--prompts", file},
		"say either --data":            nil,
	} {
		if out, talk, code := plumbline(t, nil, append([]string{"eval", "intent"}, args...)...); code != exitUsage || out != "" || !strings.Contains(talk, want) {
			t.Errorf("status %d, %q, want %q", code, talk, want)
		}
	}
}
