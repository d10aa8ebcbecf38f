package main

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/intent"
)

// sample is one labelled prompt of CLINC150. Domain is empty for a prompt that is out of scope.
type sample struct {
	text   string
	domain string
	view   *intent.View
}

// corpus is what is trained on and measured with.
type corpus struct {
	domains          []string
	train, val, test []sample
	// elsewhere are sentences of sources that are not conversation with an assistant: what no domain covers.
	elsewhere []string
}

// readCorpus reads CLINC150 (clinc/oos-eval) and sentences of other sources below data.
func readCorpus(data string) (*corpus, error) {
	c := &corpus{}
	clinc := filepath.Join(data, "intent", "clinc150")
	var intents map[string][]string
	if err := readJSON(filepath.Join(clinc, "domains.json"), &intents); err != nil {
		return nil, err
	}
	var splits map[string][][2]string
	if err := readJSON(filepath.Join(clinc, "data_full.json"), &splits); err != nil {
		return nil, err
	}
	c.domains = sortedKeys(intents)
	domainOf := map[string]string{"oos": ""}
	for domain, names := range intents {
		for _, name := range names {
			domainOf[name] = domain
		}
	}
	for _, split := range []struct {
		names []string
		into  *[]sample
	}{
		{[]string{"train", "oos_train"}, &c.train},
		{[]string{"val", "oos_val"}, &c.val},
		{[]string{"test", "oos_test"}, &c.test},
	} {
		for _, name := range split.names {
			for _, row := range splits[name] {
				domain, ok := domainOf[row[1]]
				if !ok {
					return nil, fmt.Errorf("clinc150: intent %q has no domain", row[1])
				}
				*split.into = append(*split.into, sample{text: row[0], domain: domain, view: view(row[0])})
			}
		}
	}
	for _, name := range []string{"tldr", "digitalgov"} {
		lines, err := readLines(filepath.Join(data, "sentences", name+".txt.gz"))
		if err != nil {
			return nil, err
		}
		for i := 0; i < len(lines); i += 16 {
			c.elsewhere = append(c.elsewhere, lines[i])
		}
	}
	return c, nil
}

// view prepares text as the request path would.
func view(text string) *intent.View {
	return intent.NewView(core.Prompt{Parts: []core.Part{{Role: core.RoleUser, Kind: core.KindText, Text: text}}})
}

func readJSON(name string, into any) error {
	raw, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func readLines(name string) ([]string, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	raw, err := io.ReadAll(z)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var lines []string
	for s := bufio.NewScanner(strings.NewReader(string(raw))); s.Scan(); {
		lines = append(lines, s.Text())
	}
	return lines, nil
}
