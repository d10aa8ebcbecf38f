package yamldoc_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/plumbline/plumbline/internal/yamldoc"
)

var update = flag.Bool("update", false, "rewrite the golden files")

type colour string

func (colour) Values() []string { return []string{"red", "green"} }

type sample struct {
	Name   string              `json:"name"`
	Count  int64               `json:"count"`
	Ratio  *float64            `json:"ratio,omitempty"`
	On     bool                `json:"on"`
	Wait   time.Duration       `json:"wait"`
	Since  time.Time           `json:"since"`
	Colour colour              `json:"colour"`
	Nested nested              `json:"nested"`
	Teams  map[string][]string `json:"teams"`
	People []person            `json:"people"`
	Hidden string              `json:"-"`
}

type nested struct {
	List []string `json:"list"`
	Deep struct {
		Value float64 `json:"value"`
	} `json:"deep"`
}

type person struct {
	ID      string `json:"id"`
	Blocked bool   `json:"blocked,omitempty"`
}

func TestDecodeReadsEveryKind(t *testing.T) {
	const doc = `
name: "a: b"
count: -12
ratio: 0.5
on: true
wait: 1m30s
since: 2026-01-02T03:04:05Z
colour: green
nested: {list: [x, "1"], deep: {value: 2}}
teams:
  "a.b": [c]
  none: []
people:
  - id: ada
    blocked: true
  - id: |-
      bo
`
	half := 0.5
	want := sample{
		Name: "a: b", Count: -12, Ratio: &half, On: true, Wait: 90 * time.Second,
		Since:  time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Colour: "green", Teams: map[string][]string{"a.b": {"c"}, "none": {}},
		People: []person{{ID: "ada", Blocked: true}, {ID: "bo"}},
	}
	want.Nested.List = []string{"x", "1"}
	want.Nested.Deep.Value = 2
	var got sample
	d := yamldoc.Decode("doc.yaml", []byte(doc), &got)
	if err := d.Err(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if line, column, ok := d.Position("people[1].id"); line != 16 || column != 9 || !ok {
		t.Errorf("Position = %d, %d, %v", line, column, ok)
	}
}

func TestDecodeKeepsWhatIsNotNamed(t *testing.T) {
	for _, doc := range []string{"", "# nothing\n", "---\n", "nested:\n", "teams:\n", "nested:\n  deep:\n    value: 7\n"} {
		got := sample{Name: "kept", Nested: nested{List: []string{"kept"}}}
		got.Nested.Deep.Value = 7
		want := got
		if err := yamldoc.Decode("doc.yaml", []byte(doc), &got).Err(); err != nil {
			t.Errorf("%q: %v", doc, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", doc, diff)
		}
	}
}

// TestProblems holds one document and the problems it must give in each file.
func TestProblems(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var into sample
			got := "none\n"
			if err := yamldoc.Decode("doc.yaml", a.Files[0].Data, &into).Err(); err != nil {
				got = err.Error() + "\n"
			}
			if *update {
				a.Files = append(a.Files[:1], txtar.File{Name: "problems", Data: []byte(got)})
				if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(a.Files[1].Data), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestProblemsOfMeaningAreLocated(t *testing.T) {
	var into sample
	d := yamldoc.Decode("doc.yaml", []byte("nested:\n  list:\n    - a\nname: b\n"), &into)
	d.Problem("name", "is short")
	d.Problem("nested.list[0]", "is bad")
	d.Problem("nested.deep.value", "is missing")
	d.Problem(`teams."a.b"[3]`, "is elsewhere")
	want := `doc.yaml:1:1: teams."a.b"[3]: is elsewhere
doc.yaml:2:3: nested.deep.value: is missing
doc.yaml:3:7: nested.list[0]: is bad
doc.yaml:4:7: name: is short`
	if got := d.Err().Error(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestHostileShapesEndQuickly(t *testing.T) {
	const n = 1 << 17
	for _, part := range []string{"[", "{a: ", "- ", "? ", "!!str ", "&a ", "a: ", "\n- ", "'", "{", "]"} {
		start := time.Now()
		var into sample
		doc := strings.Repeat(part, n/len(part))
		if err := yamldoc.Decode("doc.yaml", []byte(doc), &into).Err(); err == nil {
			t.Errorf("%q repeated is accepted", part)
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%q repeated took %v", part, took)
		}
	}
	var into sample
	if err := yamldoc.Decode("doc.yaml", make([]byte, yamldoc.MaxSize+1), &into).Err(); err == nil {
		t.Error("an oversized document is accepted")
	}
}

// TestManyProblemsAreCounted: the first of them are told, and how many more there are.
func TestManyProblemsAreCounted(t *testing.T) {
	for n, more := range map[int]string{100: "", 101: "1 more problems", 5000: "4900 more problems"} {
		var into struct {
			List []struct {
				Name string `json:"name"`
			} `json:"list"`
		}
		err := yamldoc.Decode("f", []byte("list:\n"+strings.Repeat("- {nope: 1}\n", n)), &into).Err()
		var all *yamldoc.Error
		if !errors.As(err, &all) || len(all.Problems) != min(n, 100)+min(len(more), 1) || more != "" && all.Problems[100].Message != more {
			t.Errorf("%d problems are told as %.100v", n, err)
		}
	}
}

// TestLongKeysAreRefused: the place of all that stands below a key is called after it, so that a long one would be kept for
// each of many items.
func TestLongKeysAreRefused(t *testing.T) {
	for n, good := range map[int]bool{256: true, 257: false, 100_000: false} {
		var into struct {
			Map map[string][]string `json:"map"`
		}
		key := strings.Repeat("k", n)
		for _, document := range []string{
			"map: {" + key + ": [" + strings.Repeat("a,", 1000) + "]}", "map:\n  " + key + ":\n" + strings.Repeat("  - a\n", 1000),
			"map:\n  \"" + key + "\":\n" + strings.Repeat("  - a\n", 1000), "map:\n  ? " + key + "\n  : [" + strings.Repeat("a,", 1000) + "]\n",
		} {
			err := yamldoc.Decode("f", []byte(document), &into).Err()
			if told := err != nil && strings.Contains(err.Error(), "a key of more than 256 bytes"); told == good {
				t.Errorf("a key of %d bytes in %.20q: %.100v", n, document, err)
			}
		}
	}
}

// TestCharacters: what YAML forbids is refused, with its place, also in a remark, and everything else is taken.
func TestCharacters(t *testing.T) {
	for document, want := range map[string]string{
		"name: a # \x1b[2J\n":               "doc.yaml:1:11: the character U+001B, which YAML does not allow",
		"name: a\n# \x00\n":                 "doc.yaml:2:3: the character U+0000, which YAML does not allow",
		"name: a\n\n#ü \u009b\n":            "doc.yaml:3:4: the character U+009B, which YAML does not allow",
		"\uffff":                            "doc.yaml:1:1: the character U+FFFF, which YAML does not allow",
		"name: \xff\n":                      "doc.yaml:1:7: not text in UTF-8",
		"name: a # \u0085 \ufffd 漢 😀\t\r\n": "",
	} {
		var into sample
		got := ""
		if err := yamldoc.Decode("doc.yaml", []byte(document), &into).Err(); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %q, want %q", document, got, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.txtar")
	for _, file := range files {
		if a, err := txtar.ParseFile(file); err == nil {
			f.Add(a.Files[0].Data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var into sample
		err := yamldoc.Decode("doc.yaml", data, &into).Err()
		var problems *yamldoc.Error
		if err != nil && (!errors.As(err, &problems) || len(problems.Problems) == 0) {
			t.Fatalf("%v is not an *Error with problems", err)
		}
	})
}

func TestDidYouMean(t *testing.T) {
	known := []string{"block", "warn", "enforce_uncalibrated", "on_unscored", strings.Repeat("a", 65)}
	for word, want := range map[string]string{
		"blokc":                 "block",
		"Block":                 "block",
		"wrn":                   "warn",
		"enforce_uncalibrate":   "enforce_uncalibrated",
		"on-unscored":           "on_unscored",
		"x":                     "",
		"":                      "",
		"nothing like them":     "",
		strings.Repeat("a", 64): "",
		strings.Repeat("b", 64): "",
		// From 192 letters on a third of them is more than the longest word that can be meant has.
		strings.Repeat("b", 300): "",
	} {
		if want != "" {
			want = `; did you mean "` + want + `"?`
		}
		if got := yamldoc.DidYouMean(word, known); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
}

func TestFieldsAreInOrder(t *testing.T) {
	var got []string
	for _, f := range yamldoc.Fields(new(sample)) {
		got = append(got, f.Path)
	}
	want := []string{"name", "count", "ratio", "on", "wait", "since", "colour", "nested.list", "nested.deep.value", "teams", "people"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestKeysOfOneMapAreBounded(t *testing.T) {
	write := func(n int, indent string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "%sk%d: 1\n", indent, i)
		}
		return b.String()
	}
	item := "- a:\n" + write(3000, "    ")
	var into struct {
		All []map[string]map[string]int `json:"all"`
	}
	if err := yamldoc.Decode("d", []byte("all:\n"+item+item+item), &into).Err(); err != nil || len(into.All) != 3 || len(into.All[2]["a"]) != 3000 {
		t.Errorf("many maps that fit: %v", err)
	}
	err := yamldoc.Decode("d", []byte("all:\n- a:\n"+write(5000, "    ")), &into).Err()
	if err == nil || !strings.Contains(err.Error(), "more than 4096 keys in one map") {
		t.Errorf("one map that does not: %v", err)
	}
}
