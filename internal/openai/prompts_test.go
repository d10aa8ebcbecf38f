package openai

import (
	"slices"
	"testing"
)

// TestHasPrompt: what is read of a body as a prompt is of an endpoint that says that it has one, and of each of those something is.
func TestHasPrompt(t *testing.T) {
	bodies := []string{
		`{"items": [{"type": "message", "role": "user", "content": "hello"}]}`, `{"query": "hello"}`, `{"metadata": {"a": "hello"}}`,
		`{"name": "hello"}`, `{"description": "hello"}`, `{"attributes": {"a": "hello"}}`, `{"file_id": "file-1"}`, `{"file_ids": ["file-1"]}`, `{}`,
	}
	for _, f := range slices.Concat(families, ownedFamilies, storeFamilies) {
		switch f.class {
		case ClassGoverned:
			if !HasPrompt(f.name) {
				t.Errorf("%s is governed and has no prompt", f.name)
			}
			continue
		case ClassDenied, ClassPlain:
			if HasPrompt(f.name) {
				t.Errorf("%s is %s and has a prompt", f.name, f.class)
			}
			continue
		case ClassOwned:
		}
		says := false
		if f.bodyLimit > 0 && !f.form {
			for _, body := range bodies {
				e := Endpoint{Name: f.name, Class: f.class}
				if r, err := Read(e, "application/json", []byte(body), Allowance{}); err == nil {
					says = says || r.Says()
				}
			}
		}
		if says != HasPrompt(f.name) {
			t.Errorf("%s: prompts are read: %t, and said to be: %t", f.name, says, HasPrompt(f.name))
		}
	}
	without := EndpointsWithoutPrompt()
	if !slices.Contains(without, "files.list") || !slices.Contains(without, "models.list") || slices.Contains(without, "chat.completions") || slices.Contains(without, "batches") {
		t.Errorf("without a prompt: %q", without)
	}
}
