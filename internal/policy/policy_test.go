package policy_test

import (
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	strict "github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/policy"
	"github.com/plumbline/plumbline/internal/testkit"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// baseline is a call that no rule objects to; the facts of a case are what differs from it.
const baseline = `{
	"at": "2026-03-02T09:30:00.25Z",
	"policy_version": "",
	"price_version": "2026-03-01",
	"principal": {"user": "ada", "team": "billing", "app": "crm", "method": "token"},
	"endpoint": "chat.completions",
	"model": "gpt-4o-mini",
	"priced": true,
	"tasks": ["t1"],
	"intent": {"label": "coding", "confidence": 0.9, "model": "i1"},
	"deviation": {"score": 0.1, "n": 0, "calibrated": false, "task": "t1", "model": "d1"},
	"quota": {"outcome": "granted"}
}`

func baselineFacts(t testing.TB) policy.Facts {
	var f policy.Facts
	if err := strict.Unmarshal([]byte(baseline), &f, strict.RejectUnknownMembers(true)); err != nil {
		t.Fatal(err)
	}
	return f
}

// TestVerdicts runs each golden case: a policy, and facts with the verdict they must get.
func TestVerdicts(t *testing.T) {
	eachCase(t, "testdata/verdicts/*.txtar", func(t *testing.T, a *txtar.Archive) {
		s, err := policy.Parse("policy.yaml", a.Files[0].Data)
		if err != nil {
			t.Fatal(err)
		}
		for i := 1; i+1 < len(a.Files); i += 2 {
			facts := baselineFacts(t)
			if err := strict.Unmarshal(a.Files[i].Data, &facts, strict.RejectUnknownMembers(true)); err != nil {
				t.Fatalf("%s: %v", a.Files[i].Name, err)
			}
			got, err := json.MarshalIndent(s.Decide(facts), "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, a, i+1, string(got)+"\n")
		}
	})
}

// TestProblems runs each golden case: a policy that is wrong, and all that must be said about it.
func TestProblems(t *testing.T) {
	eachCase(t, "testdata/problems/*.txtar", func(t *testing.T, a *txtar.Archive) {
		_, err := policy.Parse("policy.yaml", a.Files[0].Data, policy.WithLabels("coding", "job_search", "jailbreak"),
			policy.WithKinds([]string{"jwt", "private_key"}, []string{"hidden_text"}),
			policy.WithEndpoints("chat.completions", "embeddings", "files.list"), policy.WithoutPrompt("files.list"))
		if err == nil {
			t.Fatal("the policy is accepted")
		}
		golden(t, a, 1, err.Error()+"\n")
	})
}

func eachCase(t *testing.T, pattern string, run func(*testing.T, *txtar.Archive)) {
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			run(t, a)
			if *update {
				if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func golden(t *testing.T, a *txtar.Archive, i int, got string) {
	t.Helper()
	if *update {
		a.Files[i].Data = []byte(got)
	}
	if diff := cmp.Diff(string(a.Files[i].Data), got); diff != "" {
		t.Errorf("%s: %s", a.Files[i-1].Name, diff)
	}
}

// firstVersion is that of the default policy since there is one.
const firstVersion = "2fd1dd9aa2cb"

func TestVersionIsTheContents(t *testing.T) {
	version := func(doc string) string {
		t.Helper()
		s, err := policy.Parse("policy.yaml", []byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		return s.Version()
	}
	if got, want := version("version: 1"), policy.Default().Version(); got != want || len(got) != 12 {
		t.Errorf("a document without settings is %s, the default %s", got, want)
	}
	if version("version: 1") != version("# remarks\nmode: observe\nversion: 1\nmodels: {allow: ['*']}") {
		t.Error("the same policy in other words has another version")
	}
	// Documents that say nothing new keep the version under which their verdicts were recorded.
	if got := version("version: 1"); got != firstVersion {
		t.Errorf("the default is %s, and was %s", got, firstVersion)
	}
	if got := version("version: 1\ncases: [{prompt: x, verdict: allow}]\ntimezone: UTC\nintents: {mode: as_policy}\nendpoints: {allow: ['*']}"); got != firstVersion {
		t.Errorf("what decides nothing makes another version: %s", got)
	}
	seen := map[string]string{}
	for _, doc := range []string{
		"intents: {allowed: []}", "intents: {allowed: [a]}", "intents: {mode: enforce}", "deviation: {mode: observe}", "timezone: Europe/Berlin",
		"endpoints: {allow: []}", "endpoints: {teams: {a: ['*']}}", "requests: {teams: {a: {inline: []}}}", "requests: {teams: {a: {}}}",
		"requests: {apps: {a: {inline: []}}}", "rules: [{name: a, when: 'priced', then: warn}]", "rules: [{name: a, when: 'priced', then: block}]",
		"rules: [{name: a, when: '!priced', then: warn}]", "rules: [{name: a, when: priced, then: warn, on_error: warn}]",
		"rules: [{name: a, when: priced, then: warn, mode: enforce}]", "rules: [{name: a, when: priced, then: warn, message: m}]",
		"", "mode: enforce", "notice_url: https://a.example/", "models: {allow: []}",
		"models: {teams: {a: ['*']}}", "models: {apps: {a: ['*']}}", "deviation: {warn: 0.7}", "deviation: {warn: never}",
		"deviation: {block: 0.9}", "deviation: {enforce_uncalibrated: true}", "deviation: {on_unscored: {opaque: block}}",
		"intents: {forbidden: [a]}", "intents: {warn: [a]}", "intents: {min_confidence: 0.6}",
		"secrets: {mode: enforce}", "secrets: {default: block}", "secrets: {kinds: {jwt: block}}", "attacks: {kinds: {jwt: block}}",
	} {
		v := version("version: 1\n" + doc)
		if other, ok := seen[v]; ok {
			t.Errorf("%q and %q have one version", doc, other)
		}
		seen[v] = doc
	}
}

func TestModels(t *testing.T) {
	s, err := policy.Parse("policy.yaml", []byte(`
version: 1
models:
  allow: [gpt-4o*, o3]
  teams:
    billing: [gpt-*]
    closed: []
  apps:
    crm: ["*-mini", gpt-4o]
    "": ["none"]
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		p       core.Principal
		allowed []string
		refused []string
		words   []string
	}{
		{
			core.Principal{User: "u"},
			[]string{"gpt-4o", "gpt-4o-mini", "o3"},
			[]string{"gpt-4", "o3-mini", "", "GPT-4O"},
			[]string{"gpt-4o*", "o3"},
		},
		{core.Principal{User: "u", Team: "other"}, []string{"o3"}, []string{"gpt-4"}, []string{"gpt-4o*", "o3"}},
		{core.Principal{User: "u", Team: "billing"}, []string{"gpt-4", "gpt-"}, []string{"o3"}, []string{"gpt-*"}},
		{core.Principal{User: "u", Team: "closed"}, nil, []string{"gpt-4", "*", ""}, nil},
		{
			core.Principal{User: "u", Team: "billing", App: "crm"},
			[]string{"gpt-4o", "gpt-5-mini"},
			[]string{"gpt-4", "x-mini"},
			[]string{"gpt-4o"},
		},
		{core.Principal{App: "crm"}, []string{"gpt-4o", "gpt-4o-mini"}, []string{"o3", "o3-mini"}, []string{"gpt-4o"}},
	} {
		for _, model := range c.allowed {
			if !s.ModelAllowed(c.p, model) {
				t.Errorf("%+v may not call %q", c.p, model)
			}
		}
		for _, model := range c.refused {
			if s.ModelAllowed(c.p, model) {
				t.Errorf("%+v may call %q", c.p, model)
			}
		}
		if diff := cmp.Diff(c.words, s.AllowedModels(c.p)); diff != "" && len(c.words)+len(s.AllowedModels(c.p)) > 0 {
			t.Errorf("%+v: %s", c.p, diff)
		}
	}
}

func TestSnapshotIsNotSharedWithCallers(t *testing.T) {
	s := policy.Default()
	s.AllowedModels(core.Principal{})[0] = "none"
	if !s.ModelAllowed(core.Principal{User: "u"}, "gpt-4o") {
		t.Error("a caller changed the policy")
	}
}

func TestLabelsAreFreeUnlessKnown(t *testing.T) {
	const doc = "version: 1\nintents: {forbidden: [anything], warn: [uncertain]}"
	if _, err := policy.Parse("policy.yaml", []byte(doc)); err != nil {
		t.Error(err)
	}
	if _, err := policy.Parse("policy.yaml", []byte(doc), policy.WithLabels("anything")); err != nil {
		t.Error(err)
	}
	if _, err := policy.Parse("policy.yaml", []byte(doc), policy.WithLabels("coding")); err == nil {
		t.Error("an unknown intent is accepted")
	}
}

func TestReference(t *testing.T) {
	const page = "../../docs/reference/policy.md"
	testkit.Golden(t, page, policy.Reference(), *update, "run with -update")
	if _, err := policy.Parse("example", []byte(policy.Example), policy.WithLabels("jailbreak", "job_search"),
		policy.WithKinds([]string{"private_key", "iban"}, []string{"hidden_text"})); err != nil {
		t.Error(err)
	}
}

func TestSchemaReference(t *testing.T) {
	b, err := policy.Schema()
	if err != nil {
		t.Fatal(err)
	}
	testkit.Golden(t, "../../docs/reference/policy.schema.json", append(b, '\n'), *update, "run with -update")
}

func TestSchemaNamesEveryField(t *testing.T) {
	b, err := policy.Schema()
	if err != nil {
		t.Fatal(err)
	}
	var s struct {
		Properties struct {
			Mode struct {
				Enum    []string
				Default string
			}
			Deviation struct {
				Properties           map[string]json.RawMessage
				AdditionalProperties *bool
			}
		}
	}
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	if m := s.Properties.Mode; len(m.Enum) != 2 || m.Default != "observe" {
		t.Errorf("mode: %+v", m)
	}
	d := s.Properties.Deviation
	fields := []string{"block", "enforce_uncalibrated", "mode", "on_unscored", "promise", "warn"}
	if got := slices.Sorted(maps.Keys(d.Properties)); !slices.Equal(got, fields) || d.AdditionalProperties == nil || *d.AdditionalProperties {
		t.Errorf("deviation: %v", got)
	}
}
