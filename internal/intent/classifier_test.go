package intent

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/core"
)

func shipped(t testing.TB) *Classifier {
	t.Helper()
	c, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestClassify(t *testing.T) {
	c := shipped(t)
	for text, want := range map[string]string{
		"What is the balance of my savings account?":                   "banking",
		"My credit card was declined at the grocery store":             "credit_cards",
		"Can you give me a recipe for lasagna":                         "kitchen_and_dining",
		"Add milk to my shopping list":                                 "home",
		"How is the traffic on the way to work, and do I need gas?":    "auto_and_commute",
		"Book a flight from Berlin to Oslo next Friday":                "travel",
		"Set an alarm for seven":                                       "utility",
		"How many vacation days do I have left?":                       "work",
		"Are you a human or a bot?":                                    "small_talk",
		"Speak louder please and change your accent":                   "meta",
		"Refactor this Kubernetes operator into smaller packages":      core.LabelUncertain,
		"Prove that the square root of two is irrational":              core.LabelUncertain,
		"Merge the branch and rerun the flaky integration test suites": core.LabelUncertain,
	} {
		if got := c.Classify(NewView(asked(text))); got.Label != want {
			t.Errorf("%s: got %s %v, want %s", text, got.Label, got.Top, want)
		}
	}
}

func TestClassifyGivesProbabilities(t *testing.T) {
	c := shipped(t)
	in := c.Classify(NewView(asked("what is the routing number of my bank")))
	if in.Confidence != in.Top[0].P || in.Label != in.Top[0].Label || len(in.Top) != topClasses || in.Model != c.Version() {
		t.Errorf("%+v", in)
	}
	sum := 0.0
	for i, top := range in.Top {
		sum += top.P
		if !slices.Contains(c.Labels(), top.Label) || i > 0 && top.P > in.Top[i-1].P {
			t.Errorf("top: %v", in.Top)
		}
	}
	if sum > 1+1e-9 {
		t.Errorf("probabilities sum to %v", sum)
	}
}

func TestBelowTheFloorIsUncertain(t *testing.T) {
	m, err := ParseModel(embedded)
	if err != nil {
		t.Fatal(err)
	}
	m.Floor = 1.1
	c, err := New(m)
	if err != nil {
		t.Fatal(err)
	}
	in := c.Classify(NewView(asked("what is the routing number of my bank")))
	if in.Label != core.LabelUncertain || in.Top[0].Label != "banking" || in.Confidence != in.Top[0].P {
		t.Errorf("%+v", in)
	}
}

func TestUnscoredViewHasNoClass(t *testing.T) {
	c := shipped(t)
	want := core.Intent{Unscored: core.UnscoredTooShort, Model: c.Version()}
	if diff := cmp.Diff(want, c.Classify(NewView(core.Prompt{}))); diff != "" {
		t.Error(diff)
	}
}

func TestModelSurvivesEncoding(t *testing.T) {
	m, err := ParseModel(embedded)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(m.Encode(), embedded) {
		t.Error("encoding what was parsed gives other bytes")
	}
	for name, bad := range map[string][]byte{
		"empty": nil, "foreign": []byte("onnx"), "cut off": embedded[:len(embedded)-1], "longer": append(slices.Clone(embedded), 0),
		"too many classes": []byte(magic + "v\n" + strings.Repeat("a ", maxClasses+1) + "\n"),
	} {
		if _, err := ParseModel(bad); err == nil {
			t.Errorf("%s: read without an error", name)
		}
	}
	m.Bias = m.Bias[1:]
	if _, err := New(m); err == nil {
		t.Error("a model whose parts do not fit is taken")
	}
}

func FuzzClassify(f *testing.F) {
	for _, seed := range []string{
		"", "Book a flight", "```sql\nselect 1", "a\u0301\u0301\u0301", "\U000E0041\U000E007F", "\xff\xfe", "ﷺﷺﷺ", "don't 'tis rock'n'roll'",
		strings.Repeat("`", 50), strings.Repeat("? ", 40), "请帮我", "www.example.com?a=b#c",
	} {
		f.Add(seed, "go on", true)
	}
	c := shipped(f)
	f.Fuzz(func(t *testing.T, first, second string, system bool) {
		role := core.RoleUser
		if system {
			role = core.RoleSystem
		}
		v := NewView(core.Prompt{Parts: []core.Part{said(role, 0, first), said(core.RoleUser, 1, second)}})
		in := c.Classify(v)
		if (in.Label == "") != (in.Unscored != "") || in.Confidence < 0 || in.Confidence > 1 || math.IsNaN(in.Confidence) {
			t.Errorf("%+v", in)
		}
		if len(v.Instruction) > maxInstruction+2 {
			t.Errorf("instruction of %d bytes", len(v.Instruction))
		}
	})
}

// hostile are prompts that would be slow to read if the work were not bounded.
func hostile() map[string]core.Prompt {
	many := core.Prompt{}
	for i := range 100_000 {
		many.Parts = append(many.Parts, said(core.RoleUser, i, "what? "))
	}
	one := core.Prompt{}
	for range 100_000 {
		one.Parts = append(one.Parts, said(core.RoleUser, 0, "refund the invoice. "))
	}
	return map[string]core.Prompt{
		"one character":     asked(strings.Repeat("a", 4<<20)),
		"spaces":            asked(strings.Repeat(" ", 4<<20)),
		"combining marks":   asked("a" + strings.Repeat("\u0301", 2<<20)),
		"expanding":         asked(strings.Repeat("\uFDFA", 1<<20)),
		"fences":            asked(strings.Repeat("```", 1<<20)),
		"question marks":    asked(strings.Repeat("a? ", 1<<20)),
		"apostrophes":       asked(strings.Repeat("a'", 2<<20)),
		"accents":           asked(strings.Repeat("ça, été. ", 1<<19)),
		"stretches":         asked(strings.Repeat("ébbbbbbbbbbbbbbbb", 1<<18)),
		"tags":              asked(strings.Repeat("\U000E0041", 1<<20)),
		"many turns":        many,
		"many parts a turn": one,
	}
}

func TestHostileTextIsBounded(t *testing.T) {
	c := shipped(t)
	for name, p := range hostile() {
		v := NewView(p)
		c.Classify(v)
		const most = maxTurns * (maxInstruction + 2)
		if len(v.Pooled) > most || len(v.Instruction) > maxInstruction+2 {
			t.Errorf("%s: %d words, instruction of %d bytes", name, len(v.Pooled), len(v.Instruction))
		}
	}
}

// ordinary is a prompt of 2 kB as an application sends it.
var ordinary = core.Prompt{Parts: []core.Part{
	said(core.RoleSystem, 0, "You are a helpful assistant. Answer concisely."),
	said(core.RoleUser, 1, "Summarise this ticket and draft a reply that explains the refund. "+
		strings.Repeat("The customer was charged twice for the invoice of March and wrote to us. Which rule applies here? ", 20)),
}}

func BenchmarkNewView(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		NewView(ordinary)
	}
}

func BenchmarkClassify(b *testing.B) {
	c, v := shipped(b), NewView(ordinary)
	b.ReportAllocs()
	for b.Loop() {
		c.Classify(v)
	}
}

func BenchmarkHostile(b *testing.B) {
	c := shipped(b)
	for name, p := range hostile() {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				c.Classify(NewView(p))
			}
		})
	}
}
