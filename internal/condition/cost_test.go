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
