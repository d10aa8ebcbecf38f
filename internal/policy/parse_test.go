package policy_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/policy"
	"github.com/plumbline/plumbline/internal/yamldoc"
)

// TestHostileDocumentsAreRefusedSoon holds documents that are huge, deep, or made to grow.
func TestHostileDocumentsAreRefusedSoon(t *testing.T) {
	costly := "rules:\n"
	for i := range 60 {
		costly += fmt.Sprintf("  - {name: r%d, when: 'tasks.exists(t, secrets.exists(s, s == t))', then: warn}\n", i)
	}
	many := "rules:\n"
	for i := range 5000 {
		many += fmt.Sprintf("  - {name: r%d, when: priced, then: warn}\n", i)
	}
	for name, document := range map[string]string{
		"a text of 1 MiB":   "notice_url: \"" + strings.Repeat("x", yamldoc.MaxSize-100) + "\"",
		"more than 1 MiB":   "notice_url: \"" + strings.Repeat("x", yamldoc.MaxSize) + "\"",
		"a long condition":  "rules: [{name: a, then: warn, when: '" + strings.Repeat("priced || ", 60_000) + "priced'}]",
		"a deep condition":  "rules: [{name: a, then: warn, when: '" + strings.Repeat("(", 2000) + "priced" + strings.Repeat(")", 2000) + "'}]",
		"deep lists":        "models: {allow: " + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + "}",
		"costly together":   costly,
		"many rules":        many,
		"many problems":     "rules:\n" + strings.Repeat("  - {name: '', when: nope, then: nope}\n", 200),
		"aliases that grow": "models: &a {allow: &b [x, x]}\nintents: &c {warn: [*b, *b]}\nsecrets: [*c, *c]",
		"many cases":        "cases:\n" + strings.Repeat("  - {prompt: x, verdict: allow}\n", 2000),
		"unknown keys":      strings.Repeat("nope: 1\n", 20_000),
		"a long key":        "models: {teams: {" + strings.Repeat("k", 100_000) + ": [" + strings.Repeat("a,", 10_000) + "]}}",
		"a long word":       "mode: " + strings.Repeat("x", 500_000),
		"long ids":          "case_tasks:\n" + strings.Repeat("  - {id: "+strings.Repeat("x", 1000)+", title: t}\n", 99),
		"long rule names":   "rules:\n" + strings.Repeat("  - {name: "+strings.Repeat("x", 5000)+", when: "+strings.Repeat("y", 4000)+", then: warn}\n", 99),
		"long patterns":     "endpoints: {allow: [" + strings.Repeat(strings.Repeat("z", 5000)+"?, ", 150) + "]}",
		"cases of no tasks": "cases:\n" + strings.Repeat("  - {prompt: x, verdict: allow, tasks: [a, b, c]}\n", 900),
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			_, err := policy.Parse("policy.yaml", []byte("version: 1\n"+document))
			if err == nil {
				t.Fatal("is accepted")
			}
			if n := len(err.Error()); n > 64<<10 {
				t.Errorf("the error has %d bytes", n)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}

// TestCostsAddUp: rules of which each may cost what it does are refused where they cost too much together.
func TestCostsAddUp(t *testing.T) {
	document := "version: 1\nrules:\n"
	for i := range 200 {
		rule := fmt.Sprintf("  - {name: r%d, when: 'tasks.exists(t, t == user)', then: warn}\n", i)
		document += rule
		if i > 0 {
			continue
		}
		if _, err := policy.Parse("policy.yaml", []byte(document)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := policy.Parse("policy.yaml", []byte(document)); err == nil || !strings.Contains(err.Error(), "together; at most") {
		t.Errorf("%.200v", err)
	}
}

// TestManyRulesThatFit holds the largest document that is taken: what is pinned to a request stays small.
func TestManyRulesThatFit(t *testing.T) {
	document := "version: 1\nrules:\n"
	for i := range 200 {
		document += fmt.Sprintf("  - {name: r%d, when: 'user == \"u%d\" && deviation.score > 0.9', then: warn}\n", i, i)
	}
	if _, err := policy.Parse("policy.yaml", []byte(document)); err != nil {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(policy.Example))
	f.Add([]byte("version: 1\nrules:\n  - name: a\n    when: |\n      tasks.exists(t, t == \"x\") &&\n      time.hour > 3\n    then: warn\n"))
	f.Add([]byte("version: 1\nrules: [{name: a, when: \"model.matches('^o[0-9]$')\", then: block, on_error: warn, mode: enforce, message: no}]"))
	f.Add([]byte("version: 1\nrequests: {teams: {a: {inline: [], max_effort: low}}, apps: {b: {max_choices: 1}}}"))
	facts := baselineFacts(f)
	f.Fuzz(func(t *testing.T, document []byte) {
		s, err := policy.Parse("policy.yaml", document)
		if err != nil {
			return
		}
		again, err := policy.Parse("policy.yaml", document)
		if err != nil || again.Version() != s.Version() {
			t.Fatal("one document, two policies")
		}
		if s.Decide(facts) != again.Decide(facts) {
			t.Fatal("one document, two verdicts")
		}
		s.Matches(facts)
		s.RequestsOf(facts.Principal)
	})
}

// rulesOf is a document with so many rules, of the sorts that people write.
func rulesOf(n int) string {
	conditions := []string{
		`model == "o3" && (time.hour < 7 || time.hour >= 20)`,
		`deviation.score > 0.9 && intent.confidence < 0.5`,
		`team in ["design", "research"] && opaque.exists(m, m.startsWith("image/"))`,
		`size(secrets) > 0 && app != "vault"`,
		`!("t1" in tasks) && deviation.calibrated`,
	}
	document := "version: 1\nmode: enforce\n"
	if n > 0 {
		document += "rules:\n"
	}
	for i := range n {
		document += fmt.Sprintf("  - name: r%d\n    when: '%s'\n    then: warn\n", i, conditions[i%len(conditions)])
	}
	return document
}

func BenchmarkDecideWithRules(b *testing.B) {
	facts := baselineFacts(b)
	for _, n := range []int{0, 1, 20} {
		s, err := policy.Parse("policy.yaml", []byte(rulesOf(n)))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if s.Decide(facts).Blocked() {
					b.Fatal("blocked")
				}
			}
		})
	}
}

func TestDecideAllocatesNothingWithoutRules(t *testing.T) {
	facts := baselineFacts(t)
	s := policy.Default()
	if n := testing.AllocsPerRun(100, func() { s.Decide(facts) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestEveryFactOfConditionsIsRecorded has conditions over each of them decide alike before and after they were recorded.
func TestEveryFactOfConditionsIsRecorded(t *testing.T) {
	env := policy.ConditionFacts()
	if len(env) < 20 {
		t.Fatalf("%d facts", len(env))
	}
	facts := baselineFacts(t)
	facts.Opaque = []string{"image/png"}
	facts.Found = core.Found{Secrets: []core.Sighting{{Kind: "jwt", Count: 1}}, Attacks: []core.Sighting{{Kind: "hidden_text", Count: 1}}, Rules: "1"}
	back, err := replayed(recorded(t, facts))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range env {
		for _, when := range []string{name + ` == ` + name, `string(` + name + `) != ""`, name + `.exists(x, x != "")`, name} {
			s, err := policy.Parse("policy.yaml", []byte("version: 1\nrules: [{name: a, when: '"+when+"', then: warn}]"))
			if err != nil {
				continue // of another type
			}
			if got, want := s.Decide(back), s.Decide(facts); got != want {
				t.Errorf("%s: %+v, then %+v", when, want, got)
			}
		}
	}
}

func TestRequestsByTeamAndApp(t *testing.T) {
	s, err := policy.Parse("policy.yaml", []byte(`
version: 1
requests:
  inline: [image]
  hosted_tools: [web_search]
  max_choices: 4
  max_effort: high
  teams:
    design: {inline: [image, file], remote_urls: true, max_effort: max}
    closed: {inline: [], max_choices: 1}
  apps:
    crm: {inline: [file, audio], hosted_tools: [mcp], max_effort: low, remote_urls: true}
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		p    core.Principal
		want string
	}{
		{core.Principal{User: "u"}, "[image] [web_search] 4 high false"},
		{core.Principal{User: "u", Team: "other", App: "other"}, "[image] [web_search] 4 high false"},
		{core.Principal{User: "u", Team: "design"}, "[image file] [web_search] 4 max true"},
		{core.Principal{User: "u", Team: "closed"}, "[] [web_search] 1 high false"},
		{core.Principal{User: "u", App: "crm"}, "[] [] 4 low false"},
		{core.Principal{User: "u", Team: "design", App: "crm"}, "[file] [] 4 low true"},
	} {
		r := s.RequestsOf(c.p)
		if got := fmt.Sprintf("%v %v %d %s %v", r.Inline, r.HostedTools, r.MaxChoices, r.MaxEffort, r.RemoteURLs); got != c.want {
			t.Errorf("%+v: %s, want %s", c.p, got, c.want)
		}
		if s.RequestsOf(c.p) != r {
			t.Errorf("%+v: another value each time", c.p)
		}
	}
}

// TestSchemaTakesWhatParseTakes validates the documents that there are against the schema for editors.
func TestSchemaTakesWhatParseTakes(t *testing.T) {
	schema := readSchema(t)
	demo, err := os.ReadFile("../demo/seed/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	documents := map[string][]byte{"example": []byte(policy.Example), "demo": demo}
	eachDocument(t, "testdata/verdicts/*.txtar", documents)
	for name, document := range documents {
		if problems := schema.problems("", asJSON(t, document)); len(problems) > 0 {
			t.Errorf("%s: %v", name, problems)
		}
	}
	for _, document := range []string{
		"mode: on", "modes: observe", "rules: [{name: a, wen: x}]", "rules: {}", "models: {teams: {a: b}}", "requests: {apps: {a: {inline: [x]}}}",
		"cases: [{verdict: deny}]", "deviation: {on_unscored: {opaque: maybe}}",
	} {
		if len(schema.problems("", asJSON(t, []byte(document)))) == 0 {
			t.Errorf("the schema takes %q", document)
		}
	}
}
