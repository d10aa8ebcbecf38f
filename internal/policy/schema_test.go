package policy_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/goccy/go-yaml"
	"golang.org/x/tools/txtar"

	"github.com/plumbline/plumbline/internal/policy"
)

// schema is the part of JSON Schema that the generated one uses.
type schema struct {
	Type                 string             `json:"type"`
	Enum                 []string           `json:"enum"`
	Properties           map[string]*schema `json:"properties"`
	AdditionalProperties json.RawMessage    `json:"additionalProperties"`
	Items                *schema            `json:"items"`
	OneOf                []*schema          `json:"oneOf"`
}

func readSchema(t *testing.T) *schema {
	t.Helper()
	b, err := policy.Schema()
	if err != nil {
		t.Fatal(err)
	}
	var s schema
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	return &s
}

// problems says what of a value the schema does not take.
func (s *schema) problems(path string, value any) []string {
	wrong := func(want string) []string { return []string{path + ": not " + want} }
	if len(s.OneOf) > 0 {
		for _, one := range s.OneOf {
			if len(one.problems(path, value)) == 0 {
				return nil
			}
		}
		return wrong("one of the forms")
	}
	switch v := value.(type) {
	case map[string]any:
		if s.Type != "object" {
			return wrong(s.Type)
		}
		return s.members(path, v)
	case []any:
		if s.Type != "array" {
			return wrong(s.Type)
		}
		var all []string
		for i, item := range v {
			all = append(all, s.Items.problems(fmt.Sprintf("%s[%d]", path, i), item)...)
		}
		return all
	case string:
		if s.Type != "string" || len(s.Enum) > 0 && !slices.Contains(s.Enum, v) {
			return wrong(fmt.Sprint(s.Type, s.Enum))
		}
	case bool:
		if s.Type != "boolean" {
			return wrong(s.Type)
		}
	case float64:
		if s.Type != "number" && s.Type != "integer" {
			return wrong(s.Type)
		}
	}
	return nil
}

func (s *schema) members(path string, v map[string]any) []string {
	var all []string
	for key, value := range v {
		at := path + "." + key
		if p, ok := s.Properties[key]; ok {
			all = append(all, p.problems(at, value)...)
			continue
		}
		var rest schema
		switch {
		case string(s.AdditionalProperties) == "false", len(s.AdditionalProperties) == 0:
			all = append(all, at+": unknown")
		case json.Unmarshal(s.AdditionalProperties, &rest) == nil:
			all = append(all, rest.problems(at, value)...)
		}
	}
	return all
}

func asJSON(t *testing.T, document []byte) any {
	t.Helper()
	b, err := yaml.YAMLToJSON(document)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// eachDocument adds the first file of each case.
func eachDocument(t *testing.T, pattern string, into map[string][]byte) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	for _, file := range files {
		a, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		into[file] = a.Files[0].Data
	}
}
