package condition

import (
	"strings"
	"testing"
)

type lot struct {
	name string
	tags []string
}

// TestValuesOfTheDeclaredSizeStayWithinWhatWasReckoned is what lets a condition be evaluated without counting its cost.
func TestValuesOfTheDeclaredSizeStayWithinWhatWasReckoned(t *testing.T) {
	env, err := NewEnv(
		Text("name", 64, "", func(x *lot) string { return x.name }),
		Texts("tags", 8, "", func(x *lot) []string { return x.tags }),
	)
	if err != nil {
		t.Fatal(err)
	}
	full := lot{name: strings.Repeat("a", 64)}
	for range 8 {
		full.tags = append(full.tags, strings.Repeat("a", itemSize))
	}
	for _, text := range []string{
		`name == name`, `name + name < name + name + "a"`, `name.matches("(a|aa)*b")`, `name.contains("aaaaab")`, `name.startsWith(name)`,
		`tags.exists(t, t == name)`, `tags.all(t, t.contains("aab") || t == t)`, `tags.filter(t, t != name).map(t, size(t)) == [1]`,
		`name in tags`, `tags == tags`, `tags + tags == []`, `tags.exists(t, t.matches("a*a*b"))`, `[name, name][1] == name`, `string(size(tags)) == name`,
		`tags.exists(t, ["x", "y"].exists(u, u == t))`, `tags.exists_one(t, t > name)`, `size(name) > 3 ? name in ["a", "b"] : tags[0] == "x"`,
	} {
		c, problems := env.Compile(text)
		if len(problems) > 0 {
			t.Fatalf("%s: %+v", text, problems)
		}
		values := env.Of(&full)
		_, details, err := c.metered.Eval(values)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if cost := *details.ActualCost(); cost > c.cost+c.cost/8+1 { // of an item of a list that is written out CEL reckons one too few
			t.Errorf("%s: cost %d, reckoned %d", text, cost, c.cost)
		}
		if _, err := c.Holds(values); err != nil || len(values.large) != 2 || values.large[0] || values.large[1] {
			t.Errorf("%s: values of the declared size are metered: %v, %v", text, values.large, err)
		}
		values.Done()
	}
}

// TestLargerValuesAreMetered: a value, a list or an item above its declared size has the cost counted, and the next values of
// the declared size have not.
func TestLargerValuesAreMetered(t *testing.T) {
	env, err := NewEnv(
		Text("name", 64, "", func(x *lot) string { return x.name }),
		Texts("tags", 2, "", func(x *lot) []string { return x.tags }),
	)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		of         lot
		name, tags bool
	}{
		{lot{name: strings.Repeat("a", 65)}, true, false},
		{lot{tags: []string{"a", "b", "c"}}, false, true},
		{lot{tags: []string{strings.Repeat("a", itemSize+1)}}, false, true},
		{lot{name: "a", tags: []string{"a"}}, false, false},
	} {
		values := env.Of(&c.of)
		values.at(0)
		values.at(1)
		if values.large[0] != c.name || values.large[1] != c.tags {
			t.Errorf("a name of %d and tags %.10q: %v", len(c.of.name), c.of.tags, values.large)
		}
		if values.Done(); values.large[0] || values.large[1] {
			t.Error("what was large before is large for the next")
		}
	}
}

func TestPatternsAreBounded(t *testing.T) {
	env, err := NewEnv(Text("name", 64, "", func(x *lot) string { return x.name }))
	if err != nil {
		t.Fatal(err)
	}
	for n, good := range map[int]bool{maxPattern: true, maxPattern + 1: false} {
		_, problems := env.Compile(`name.matches("` + strings.Repeat("a", n) + `")`)
		if good != (len(problems) == 0) {
			t.Errorf("a pattern of %d bytes: %v", n, problems)
		}
	}
}
