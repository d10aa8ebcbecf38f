package tune_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/internal/embed"
	"github.com/plumbline/plumbline/internal/tune"
)

// slang is a teacher that says what the shipped table says, in more columns, and that knows what a word of slang means.
type slang struct {
	table *embed.Table
	err   error
}

func (s slang) Encode(_ context.Context, texts []string, told func(int)) ([]embed.Vector, error) {
	out := make([]embed.Vector, len(texts))
	for i, text := range texts {
		out[i] = make(embed.Vector, s.table.Dim()+8)
		copy(out[i], s.table.Text(strings.NewReplacer("quokka", "invoice", "axolotl", "invoice").Replace(text)))
	}
	told(len(texts))
	return out, s.err
}

func shipped(t testing.TB) *embed.Table {
	t.Helper()
	table, err := embed.Default()
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// traffic gives texts that have the word of slang, and four that have another, one of them twice.
func traffic(n int) []string {
	var texts []string
	for i := range n {
		verb := []string{"pay", "send", "check", "print", "correct", "refund"}[i%6]
		texts = append(texts, fmt.Sprintf("please %s the quokka of order %d by %s", verb, i, []string{"monday", "friday"}[i/6%2]))
	}
	return append(texts, "the axolotl", "the axolotl", "an axolotl", "my axolotl", "one axolotl")
}

func options(t testing.TB) tune.Options {
	table := shipped(t)
	return tune.Options{
		Base: table, Teacher: slang{table: table}, Texts: traffic(800), Limit: 1000, Seed: 7,
		Anchors: []string{"how do i pay my invoice", "book a flight to lisbon", "feed the cat"},
	}
}

func TestRowsLearnWhatTheTeacherSays(t *testing.T) {
	o := options(t)
	told := 0
	o.Told = func(done, all int) { told = max(told, done*100/all) }
	r, err := tune.Tune(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	tuned, err := embed.Read(bytes.NewReader(r.File))
	if err != nil {
		t.Fatal(err)
	}
	if tuned.Version() != r.Version || r.Base != o.Base.Version() || !strings.HasPrefix(r.Version, "tuned-") || told != 100 {
		t.Errorf("%+v, told %d %%", r, told)
	}
	if r.Given != 805 || r.Learnt+r.HeldOut != 804 || r.HeldOut != 41 {
		t.Errorf("%d given, %d learnt from, %d held out", r.Given, r.Learnt, r.HeldOut)
	}
	near := func(t *embed.Table, a, b string) float32 { return t.Text(a).Dot(t.Text(b)) }
	if before, after := near(o.Base, "quokka", "invoice"), near(tuned, "quokka", "invoice"); after < before+0.2 {
		t.Errorf("the word of slang was %.2f from what it means, and is %.2f", before, after)
	}
	if r.After < r.Before+0.03 {
		t.Errorf("cosine to the teacher %.3f, and %.3f before", r.After, r.Before)
	}
	for _, same := range []string{"axolotl", "giraffe"} { // of four texts, and of none
		if n := near(o.Base, same, "invoice") - near(tuned, same, "invoice"); tuned.Text(same).Dot(o.Base.Text(same)) < 0.9999 {
			t.Errorf("%q has moved, by %.3f to the invoice", same, n)
		}
	}
}

// TestWordsOfFewPeopleTeachNothing: where it is known who wrote what, a row learns by people and not by texts.
func TestWordsOfFewPeopleTeachNothing(t *testing.T) {
	o := options(t)
	o.Texts = o.Texts[:800]
	for people, learns := range map[int]bool{tune.Fewest - 1: false, tune.Fewest: true} {
		o.By = nil
		for i := range o.Texts {
			o.By = append(o.By, fmt.Sprint("user-", i%people))
		}
		r, err := tune.Tune(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		tuned, err := embed.Parse(r.File)
		if err != nil {
			t.Fatal(err)
		}
		if moved := tuned.Text("quokka").Dot(o.Base.Text("quokka")) < 0.99; moved != learns || r.Rows > 0 != learns {
			t.Errorf("the words of %d people: learnt %v, %d rows", people, moved, r.Rows)
		}
	}
}

func TestSameInputGivesTheSameBytes(t *testing.T) {
	o := options(t)
	var files [][]byte
	for _, seed := range []uint64{7, 7, 8} {
		o.Seed = seed
		r, err := tune.Tune(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, r.File)
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("the same seed gives another file")
	}
	if bytes.Equal(files[0], files[2]) {
		t.Error("another seed gives the same file")
	}
}

func TestWhatCannotBeLearntFrom(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*tune.Options)
		want   string
	}{
		"few texts":        {func(o *tune.Options) { o.Texts = o.Texts[:400] }, "too few"},
		"the same text":    {func(o *tune.Options) { o.Texts = make([]string, 5000) }, "too few"},
		"a low limit":      {func(o *tune.Options) { o.Limit = 10 }, "limit"},
		"a high limit":     {func(o *tune.Options) { o.Limit = 1 << 30 }, "limit"},
		"a silent teacher": {func(o *tune.Options) { o.Teacher = slang{o.Base, errors.New("gone")} }, "gone"},
		"no teacher":       {func(o *tune.Options) { o.Teacher = nothing{} }, "says nothing"},
	} {
		o := options(t)
		c.change(&o)
		if _, err := tune.Tune(t.Context(), o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tune.Tune(ctx, options(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}

type nothing struct{}

func (nothing) Encode(_ context.Context, texts []string, _ func(int)) ([]embed.Vector, error) {
	return make([]embed.Vector, len(texts)), nil
}

// TestTextsOfEveryKind: no text is too long, or too strange.
func TestTextsOfEveryKind(t *testing.T) {
	o := options(t)
	o.Texts = append(o.Texts, strings.Repeat("x", 1<<20), strings.Repeat("漢", 1000), strings.Repeat("a b ", 1<<18), "\xff\xfe\x00", "")
	if _, err := tune.Tune(t.Context(), o); err != nil {
		t.Error(err)
	}
}
