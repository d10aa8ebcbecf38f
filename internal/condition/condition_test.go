package condition_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/condition"
)

type thing struct {
	name  string
	count int
	score float64
	good  bool
	tags  []string
}

func newEnv(t testing.TB) *condition.Env[thing] {
	t.Helper()
	env, err := condition.NewEnv(
		condition.Text("name", 64, "its name", func(x *thing) string { return x.name }),
		condition.Whole("count", "how many", func(x *thing) int { return x.count }),
		condition.Number("score.value", "how good", func(x *thing) float64 { return x.score }),
		condition.Flag("score.good", "whether it is", func(x *thing) bool { return x.good }),
		condition.Texts("tags", 16, "its tags", func(x *thing) []string { return x.tags }),
	)
	if err != nil {
		t.Fatal(err)
	}
	return env
}

func compiled(t testing.TB, env *condition.Env[thing], text string) *condition.Condition[thing] {
	t.Helper()
	c, problems := env.Compile(text)
	if len(problems) > 0 {
		t.Fatalf("%s: %+v", text, problems)
	}
	return c
}

func TestHolds(t *testing.T) {
	env := newEnv(t)
	x := thing{name: "gpt-4o-mini", count: 3, score: 0.75, good: true, tags: []string{"pdf", "png"}}
	for text, want := range map[string]bool{
		`name == "gpt-4o-mini"`:                             true,
		`name.startsWith("gpt-") && count > 2`:              true,
		`name in ["o3", "gpt-4o-mini"]`:                     true,
		`!(name in ["o3"])`:                                 true,
		`score.value > 0.5 && score.good`:                   true,
		`score.value >= 1`:                                  false,
		`tags.exists(t, t.startsWith("pn"))`:                true,
		`tags.all(t, t == "pdf")`:                           false,
		`"pdf" in tags`:                                     true,
		`size(tags) == 2 && tags[1] == "png"`:               true,
		`name.matches("^gpt-[0-9]")`:                        true,
		`tags.filter(t, t != "pdf").map(t, size(t)) == [3]`: true,
		`count < 0 || count % 2 == 1`:                       true,
		`int("7") == count + 4`:                             true,
		`count == 3 || tags[99] == ""`:                      true, // decided before the error
		"name == 'gpt-4o-mini' &&\n  count == 3":            true,
	} {
		values := env.Of(&x)
		got, err := compiled(t, env, text).Holds(values)
		values.Done()
		if err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
}

func TestWhatCannotBeAnsweredIsAnError(t *testing.T) {
	env := newEnv(t)
	for text, x := range map[string]thing{
		`tags[5] == "a"`:                    {},
		`count / (count - 3) == 1`:          {count: 3},
		`count * 9223372036854775807 == 1`:  {count: 3},
		`int(name) == 3`:                    {name: "three"},
		`tags.exists(t, t.contains("zzz"))`: {tags: slices.Repeat([]string{strings.Repeat("a", 300)}, 1000)}, // larger than declared
		`name.matches("(a|b|ab)*c")`:        {name: strings.Repeat("ab", 50_000)},
		`tags.filter(t, t != name) == tags`: {tags: slices.Repeat([]string{"x"}, 10_000)},
	} {
		values := env.Of(&x)
		if got, err := compiled(t, env, text).Holds(values); err == nil {
			t.Errorf("%s: %v without an error", text, got)
		}
		values.Done()
	}
}

func TestProblems(t *testing.T) {
	env := newEnv(t)
	for text, want := range map[string]condition.Problem{
		`nam == "x"`:                   {1, 1, `no fact is called "nam"; did you mean "name"?`},
		`count > 1 && score.valeu > 1`: {1, 14, `no fact is called "score.valeu"; did you mean "score.value"?`},
		`score > 1`:                    {1, 1, `no fact is called "score"; there are score.value, score.good`},
		"count > 1 &&\n  tagz.exists(t, t == 'a')": {2, 3, `no fact is called "tagz"; did you mean "tags"?`},
		`name.startswith("x")`:                     {1, 6, `no function is called "startswith"; did you mean "startsWith"?`},
		`name == 1`:                                {1, 6, "found no matching overload for '_==_' applied to '(string, int)'"},
		`count`:                                    {1, 1, "must be true or false, and is of type int"},
		`name.matches(name)`:                       {1, 14, "the pattern of matches must be written out"},
		`name.matches("(")`:                        {1, 14, "the pattern is not a regular expression (RE2)"},
		`timestamp("2026-01-01T00:00:00Z") == timestamp("2026-01-01T00:00:00Z")`: {1, 1, `no function is called "timestamp"`},
		`dyn(name) == 1`: {1, 1, `no function is called "dyn"`},
		`1/0 == 1`:       {1, 1, "can never be evaluated: division by zero"},
		`tags.map(t, tags.map(u, tags.map(v, v))) == []`:        {1, 33, "comprehension exceeds nesting limit"},
		`tags.exists(t, tags.exists(u, t.contains(u + u + u)))`: {1, 1, "can cost up to 148578; at most 5000 is allowed"},
		`{"a": true}[name]`: {1, 1, "maps and messages cannot be made in a condition"},
		`a.b{c: 1}`:         {1, 4, "maps and messages cannot be made in a condition"},
	} {
		_, problems := env.Compile(text)
		if len(problems) == 0 {
			t.Errorf("%s: is accepted", text)
			continue
		}
		if diff := cmp.Diff(want, problems[0]); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}

// TestHostileConditionsAreRefusedSoon holds conditions that are huge, deep or costly.
func TestHostileConditionsAreRefusedSoon(t *testing.T) {
	env := newEnv(t)
	for name, text := range map[string]string{
		"empty":               "",
		"long":                strings.Repeat("a", condition.MaxLength+1),
		"deep":                strings.Repeat("(", 2000) + "true" + strings.Repeat(")", 2000),
		"deep lists":          strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + " == []",
		"ternaries":           strings.Repeat("score.good?", 300) + "true" + strings.Repeat(":true", 300),
		"selects":             "name" + strings.Repeat(".a", 2000) + " == 1",
		"additions":           strings.Repeat("count+", 600) + "1 == 1",
		"not UTF-8":           "name == \"\xff\"",
		"NUL":                 "name == \x00",
		"comment":             "// nothing",
		"many errors":         strings.Repeat("} ", 2000),
		"growing":             "tags.map(a, name + name + name).map(b, b + b + b + b + b).exists(c, c == c + c + c + c + c + c + c)",
		"counted repetitions": `name.matches("((a{100}){100}){100}")`,
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			_, problems := env.Compile(text)
			if took := time.Since(began); took > time.Second {
				t.Errorf("took %s", took)
			}
			if len(problems) == 0 {
				t.Error("is accepted")
			}
			for _, p := range problems {
				if len(p.Message) > 300 || strings.Contains(p.Message, "\n") || p.Line < 1 || p.Column < 1 {
					t.Errorf("%+v", p)
				}
			}
		})
	}
}

func TestReads(t *testing.T) {
	c := compiled(t, newEnv(t), `tags.exists(name, name == "x") && score.value > 0.5`)
	if diff := cmp.Diff([]string{"score.value", "tags"}, c.Reads()); diff != "" {
		t.Error(diff)
	}
}

func TestNothingBelievesAnotherThingsValues(t *testing.T) {
	env := newEnv(t)
	c := compiled(t, env, `name == "7" && count == 7 && tags == ["7"]`)
	var group sync.WaitGroup
	for i := range 20 {
		x := thing{name: fmt.Sprint(i), count: i, tags: []string{fmt.Sprint(i)}}
		group.Go(func() {
			for range 200 {
				values := env.Of(&x)
				if got, err := c.Holds(values); err != nil || got != (i == 7) {
					t.Errorf("%d: %v, %v", i, got, err)
				}
				values.Done()
			}
		})
	}
	group.Wait()
}

func TestTextIsTakenAsJSONStoresIt(t *testing.T) {
	env := newEnv(t)
	x := thing{name: "a\xff\xfeb", tags: []string{"\xff"}}
	values := env.Of(&x)
	defer values.Done()
	if got, err := compiled(t, env, `name == "a\ufffd\ufffdb" && tags == ["\ufffd"]`).Holds(values); !got || err != nil {
		t.Error(got, err)
	}
}

func FuzzCompile(f *testing.F) {
	for _, text := range []string{
		`name == "x" && count > 1`, `tags.exists(t, t.matches("^a+$"))`, `tags.map(t, tags.filter(u, u < t)) == []`, `name in ["a", "b"]`,
		`score.value > 0.5 ? score.good : {"a": 1}[name] == 1`, `name.size() > 3 || -count < 1u`, `[1, 2.5, "c"][count] == b'x'`,
	} {
		f.Add(text)
	}
	env := newEnv(f)
	f.Fuzz(func(t *testing.T, text string) {
		c, problems := env.Compile(text)
		if (c == nil) != (len(problems) > 0) {
			t.Fatal("neither a condition nor a problem, or both")
		}
		for _, p := range problems {
			if p.Line < 1 || p.Column < 1 || p.Message == "" || len(p.Message) > 1000 {
				t.Fatalf("%+v", p)
			}
		}
		if c == nil {
			return
		}
		for _, x := range []thing{{}, {name: "abc", count: -1, score: 0.5, good: true, tags: []string{"a", "b"}}} {
			values := env.Of(&x)
			first, err1 := c.Holds(values)
			values.Done()
			values = env.Of(&x)
			second, err2 := c.Holds(values)
			values.Done()
			if first != second || (err1 == nil) != (err2 == nil) {
				t.Fatal("two answers for the same values")
			}
			if first && err1 != nil {
				t.Fatal("true with an error")
			}
		}
	})
}

func BenchmarkHolds(b *testing.B) {
	env := newEnv(b)
	x := thing{name: "gpt-4o-mini", count: 3, score: 0.75, good: true, tags: []string{"pdf", "png"}}
	for _, text := range []string{`name == "o3" && count > 3`, `score.value > 0.9 && score.good`, `name in ["o3", "o4"]`, `tags.exists(t, t == "csv")`} {
		c := compiled(b, env, text)
		b.Run(text, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				values := env.Of(&x)
				if _, err := c.Holds(values); err != nil {
					b.Fatal(err)
				}
				values.Done()
			}
		})
	}
}
