package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/policy"
)

// TestClassesOfADocument: lists name them, they are part of the version, and what is wrong with them is said with its place.
func TestClassesOfADocument(t *testing.T) {
	known := policy.WithLabels("coding", "personal")
	const doc = "version: 1\nmode: enforce\nintents:\n  classes:\n    - {label: crypto_trading, description: Buy and sell coins, examples: [Should I buy bitcoin now?]}\n  forbidden: [crypto_trading]\n"
	s, err := policy.Parse("p.yaml", []byte(doc), known)
	if err != nil {
		t.Fatal(err)
	}
	if c := s.Classes(); len(c) != 1 || c[0].Label != "crypto_trading" || c[0].Examples[0] != "Should I buy bitcoin now?" {
		t.Errorf("%+v", c)
	}
	f := policy.Facts{Model: "m", Priced: true, Intent: core.Intent{Label: "crypto_trading", Confidence: 0.9}}
	if v := s.Decide(f); !v.Blocked() || v.Rule != "intents.forbidden[0]" {
		t.Errorf("%+v", v)
	}
	other, err := policy.Parse("p.yaml", []byte(strings.Replace(doc, "bitcoin", "gold", 1)), known)
	if err != nil || other.Version() == s.Version() {
		t.Errorf("another example, %v, and the same version", err)
	}

	for class, words := range map[string]string{
		"{label: Crypto, description: d}":                       "intents.classes[0].label: must begin",
		"{label: coding, description: d}":                       "is built in",
		"{label: uncertain, description: d}":                    "is built in",
		"{label: a_class}":                                      "neither a description nor examples",
		"{label: a_class, examples: ['']}":                      "1 to 500",
		"{label: a_class, description: " + long(501) + "}":      "more than 500",
		"{label: a_class, examples: [" + list(31) + "]}":        "more than 30",
		"{label: a, description: d}, {label: a, examples: [x]}": "twice",
		strings.Repeat("{label: a, description: d}, ", 17):      "more than 16",
		"{lable: a_class, description: d}":                      "did you mean",
	} {
		_, err := policy.Parse("p.yaml", []byte("version: 1\nintents: {classes: ["+class+"]}\n"), known)
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%.50s: %v, want %q", class, err, words)
		}
	}
}

func long(n int) string { return strings.Repeat("x", n) }

// list is a list of so many texts.
func list(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("example %d", i)
	}
	return strings.Join(all, ", ")
}
