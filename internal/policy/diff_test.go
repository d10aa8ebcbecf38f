package policy

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/yamldoc"
)

func parsed(t *testing.T, document string) *Snapshot {
	t.Helper()
	s, err := Parse("policy.yaml", []byte(document))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func lines(changes []Change) []string {
	var all []string
	for _, c := range changes {
		all = append(all, strings.TrimSpace(fmt.Sprintf("%s %s %v -> %v", c.Path, c.Kind, c.Old, c.New)))
	}
	return all
}

// TestDiffNamesPlaces: each kind of change has the path and the values that a person would look for.
func TestDiffNamesPlaces(t *testing.T) {
	before := parsed(t, `
version: 1
models:
  allow: [gpt-4o, o3, o4]
  teams: {research: [o3], old: ["*"]}
  apps: {crm: [a, b, a]}
intents: {forbidden: [job_search], warn: [personal, entertainment]}
deviation: {warn: 0.6, on_unscored: {no_task: allow}}
secrets: {kinds: {iban: allow}}
requests: {teams: {design: {max_choices: 3}}}
rules:
  - {name: night, when: time.hour < 6, then: block}
  - {name: weekend, when: 'time.weekday == "sunday"', then: warn}
cases:
  - {name: one, prompt: Hello., verdict: allow}
  - {prompt: Hello there., verdict: allow}
  - {prompt: Hello again., verdict: allow}
`)
	after := parsed(t, `
version: 1
mode: enforce
models:
  allow: [o4, gpt-4o, gpt-5]
  teams: {research: [o3, o4], new: []}
  apps: {crm: [a, b]}
intents:
  forbidden: [job_search, jailbreak]
  warn: [entertainment, personal]
  allowed: []
  classes: [{label: crypto, description: Trade}]
deviation: {warn: 0.6, block: 0.9}
secrets: {kinds: {iban: block}}
requests: {teams: {design: {inline: [file]}}}
rules:
  - {name: weekend, when: 'time.weekday == "sunday"', then: block, message: Rest.}
  - {name: night, when: time.hour < 7, then: block}
cases:
  - {prompt: Hello again., verdict: allow}
  - {name: one, prompt: Hello!, verdict: allow}
  - {prompt: Good bye., verdict: allow}
`)
	want := []string{
		"mode changed observe -> enforce",
		"models.allow removed o3 -> <nil>",
		"models.allow added <nil> -> gpt-5",
		"models.allow reordered [gpt-4o o4] -> [o4 gpt-4o]",
		"models.teams.new added <nil> -> []",
		"models.teams.old removed [*] -> <nil>",
		"models.teams.research added <nil> -> o4",
		"models.apps.crm removed a -> <nil>",
		"deviation.block changed 2 -> 0.9",
		"intents.forbidden added <nil> -> jailbreak",
		"intents.warn reordered [personal entertainment] -> [entertainment personal]",
		"intents.allowed added <nil> -> []",
		"intents.classes.crypto added <nil> -> {crypto Trade []}",
		"secrets.kinds.iban changed allow -> block",
		"requests.teams.design.inline added <nil> -> [file]",
		"requests.teams.design.max_choices removed",
		"rules.night.when changed time.hour < 6 -> time.hour < 7",
		"rules.weekend.then changed warn -> block",
		"rules.weekend.message changed  -> Rest.",
		"rules reordered [night weekend] -> [weekend night]",
		"cases.one.prompt changed Hello. -> Hello!",
		"cases[1] removed",
		"cases[2] added",
	}
	got := lines(Diff(before, after))
	for i := range got { // of whole entries, and of what is behind a pointer, only where it is
		if place, _, _ := strings.Cut(got[i], " "); strings.HasSuffix(place, "]") || strings.HasSuffix(place, "max_choices") {
			got[i] = strings.Join(strings.Fields(got[i])[:2], " ")
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestDiffIgnoresNotation: what is written otherwise and says the same is no difference, and has one version.
func TestDiffIgnoresNotation(t *testing.T) {
	plain := parsed(t, "version: 1")
	for _, document := range []string{
		"# remark\nversion: 1\nmode: observe", "version: 1\ntimezone: ''", "version: 1\nintents: {mode: as_policy}",
		"version: 1\nendpoints: {allow: ['*'], teams: {}}", "version: 1\nrules: []", "version: 1\ndeviation: {promise: 1%}",
		"version: 1\ncases: []",
	} {
		s := parsed(t, document)
		if changes := append(Diff(plain, s), Diff(s, plain)...); len(changes) > 0 || s.Version() != plain.Version() {
			t.Errorf("%s: %v", document, lines(changes))
		}
	}
}

// change makes a value of the document another one.
func change(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int:
		v.SetInt(v.Int() + 1)
	case reflect.Float64:
		v.SetFloat(v.Float()/4 + 0.0625) // stays below what means never
	case reflect.Slice:
		item := reflect.New(v.Type().Elem()).Elem()
		if item.Kind() == reflect.String {
			item.SetString(fmt.Sprint("x", v.Len()))
		}
		v.Set(reflect.Append(v, item))
	case reflect.Map:
		m := reflect.MakeMap(v.Type())
		for _, k := range v.MapKeys() {
			m.SetMapIndex(k, v.MapIndex(k))
		}
		m.SetMapIndex(reflect.ValueOf(fmt.Sprint("x", v.Len())), reflect.New(v.Type().Elem()).Elem())
		v.Set(m)
	default:
		panic("a kind of field that the test does not change: " + v.Kind().String())
	}
}

func compiled(t *rapid.T, doc Document) *Snapshot {
	s, err := compile(doc)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestDiffIsTheVersion: two documents with any of their fields changed differ exactly when their versions do, in the fields
// that were changed, and the other way round by the same.
func TestDiffIsTheVersion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, after := defaults(), defaults()
		touched := map[string]bool{}
		for _, doc := range []*Document{&before, &after} {
			fields := yamldoc.Fields(doc)
			for range rapid.IntRange(0, 4).Draw(t, "changes") {
				f := fields[rapid.IntRange(0, len(fields)-1).Draw(t, "field")]
				if !strings.HasPrefix(f.Path, "case") {
					change(f.Value)
					touched[f.Path] = true
				}
			}
		}
		a, b := compiled(t, before), compiled(t, after)
		there, back := Diff(a, b), Diff(b, a)
		if (len(there) == 0) != (a.Version() == b.Version()) {
			t.Fatalf("versions %s and %s: %v", a.Version(), b.Version(), lines(there))
		}
		for _, c := range there {
			within := func(path string) bool { return c.Path == path || strings.HasPrefix(c.Path, path) }
			if !slices.ContainsFunc(keysOf(touched), within) {
				t.Fatalf("%s was not touched: %v", c.Path, lines(there))
			}
		}
		for i := range back {
			back[i].Old, back[i].New = back[i].New, back[i].Old
			back[i].Kind = map[ChangeKind]ChangeKind{Added: Removed, Removed: Added, Changed: Changed, Reordered: Reordered}[back[i].Kind]
		}
		sorted := func(l []string) []string { slices.Sort(l); return l }
		if diff := cmp.Diff(sorted(lines(there)), sorted(lines(back))); diff != "" {
			t.Fatalf("there and back:\n%s", diff)
		}
	})
}

func keysOf(m map[string]bool) (keys []string) {
	for k := range m {
		keys = append(keys, k)
	}
	return keys
}

// FuzzDiff: of whatever parses, a document does not differ from itself, and two without cases differ exactly when their
// versions do.
func FuzzDiff(f *testing.F) {
	f.Add([]byte(Example), []byte("version: 1"))
	f.Add([]byte("version: 1\nmodels: {allow: [a, a, b], teams: {}}"), []byte("version: 1\nmodels: {allow: [b, a], teams: {x: []}}"))
	f.Add([]byte("version: 1\nintents: {allowed: []}\nrules: [{name: a, when: 'true', then: warn}, {name: b, when: 'true', then: warn}]"),
		[]byte("version: 1\nintents: {forbidden: []}\nrules: [{name: b, when: 'true', then: warn}, {name: a, when: 'true', then: block}]"))
	f.Add([]byte("version: 1\ncases: [{prompt: a, verdict: allow}, {prompt: a, verdict: allow}]"), []byte("version: 1\ncases: [{name: x, prompt: a, verdict: warn}]"))
	f.Fuzz(func(t *testing.T, one, other []byte) {
		a, err := Parse("a", one)
		if err != nil {
			return
		}
		b, err := Parse("b", other)
		if err != nil {
			return
		}
		if own := Diff(a, a); len(own) > 0 {
			t.Fatalf("differs from itself: %v", lines(own))
		}
		changes := Diff(a, b)
		decides := slices.DeleteFunc(slices.Clone(changes), func(c Change) bool { return strings.HasPrefix(c.Path, "case") })
		if (len(decides) == 0) != (a.Version() == b.Version()) {
			t.Fatalf("versions %s and %s: %v", a.Version(), b.Version(), lines(changes))
		}
	})
}
