package deviation

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/embed"
	"github.com/plumbline/plumbline/internal/intent"
)

// referenceAlike compares all runs of two words, one by one.
func referenceAlike(s, t spelling) float32 {
	if s.stem == t.stem {
		return 1
	}
	both, rest := 0, slices.Clone(t.runs[:t.n])
	for _, run := range s.runs[:s.n] {
		if i := slices.Index(rest, run); i >= 0 {
			both, rest = both+1, slices.Delete(rest, i, i+1)
		}
	}
	if dice := 2 * float32(both) / float32(s.n+t.n); dice >= 0.5 {
		return dice
	}
	return 0
}

// likeWords draws words of few letters, which share and repeat runs, and others.
func likeWords() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringMatching(`[ab]{1,20}`), rapid.StringMatching(`(refund|refnud|invoice|invoce|inv){1,3}(s|ed|ing)?`),
		rapid.StringMatching(`[a-z]{1,8}`), rapid.StringMatching(`[a-zé漢]{1,40}`),
	)
}

func TestSpellingAgreesWithReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := likeWords().Draw(t, "a"), likeWords().Draw(t, "b")
		if rapid.Bool().Draw(t, "related") {
			at := rapid.IntRange(0, len(a)-1).Draw(t, "at")
			b = a[:at] + b[:1] + a[at+1:]
		}
		s, other := spell(intent.Word{Text: a, Stem: intent.Stem(a)}), spell(intent.Word{Text: b, Stem: intent.Stem(b)})
		if got, want := s.alike(&other), referenceAlike(s, other); got != want {
			t.Fatalf("%q and %q: got %v, want %v", a, b, got, want)
		}
	})
}

func TestSignsSpareAlmostAllComparisons(t *testing.T) {
	words := strings.Fields(`invoice customer refund shipment quarterly report revenue forecast database optimise polite deadline
		liability supplier price discount budget schedule migration rollback incident dashboard latency chargeback`)
	pairs, compared := 0, 0
	for i, a := range words {
		for _, b := range words[:i] {
			s, t := spell(intent.Word{Text: a}), spell(intent.Word{Text: b})
			pairs++
			if !s.unlike(&t) {
				compared++
			}
		}
	}
	if compared*20 > pairs {
		t.Errorf("%d of %d pairs of unlike words are compared run by run", compared, pairs)
	}
}

// TestLikenessAgreesWithReference compares a piece with each piece of the task, one by one, and asks a second time.
func TestLikenessAgreesWithReference(t *testing.T) {
	s, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	task := s.Compile(core.Task{Title: "Business travel", Topics: []string{"book a flight", "hotel near the conference"}})
	rapid.Check(t, func(t *rapid.T) {
		p := embed.Piece(rapid.IntRange(0, s.table.Len()-1).Draw(t, "piece"))
		unit := func(p embed.Piece) embed.Vector {
			v := make(embed.Vector, s.table.Dim())
			s.table.AddPiece(v, p, 1)
			v.Normalise()
			return v
		}
		best := float32(0)
		for _, own := range task.own {
			best = max(best, unit(p).Dot(unit(own.Piece)))
		}
		for range 2 {
			if got := task.likeness(p); math.Abs(float64(got-best*best)) > 1.0/254 {
				t.Fatalf("piece %d: %v, want %v", p, got, best*best)
			}
		}
	})
}

func TestMixesMeetAtTheirEnds(t *testing.T) {
	for _, m := range mixes {
		if diff := cmp.Diff(m, mixOf(int(m.examples), nil), cmp.AllowUnexported(mix{}, again{})); diff != "" {
			t.Error(diff)
		}
	}
	if mixOf(0, nil) != described || mixOf(1, nil) != mixes[0] || mixOf(MaxExamples, nil) != mixes[len(mixes)-1] {
		t.Error("beyond the ends")
	}
	for n := 5; n < 100; n++ {
		if a, b := mixOf(n, nil), mixOf(n+1, nil); b.described > a.described || b.learnt < a.learnt {
			t.Errorf("%d examples: %+v, one more: %+v", n, a, b)
		}
	}
}

// TestExplanationAgreesWithReference compares with sorting all words.
func TestExplanationAgreesWithReference(t *testing.T) {
	s, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.OneOf(likeWords(), rapid.SampledFrom([]string{"refund", "invoice", "flight", "hotel", "query"}))
		texts := rapid.SliceOfN(word, 1, 30)
		task := s.Compile(core.Task{Title: strings.Join(rapid.SliceOfN(word, 1, 4).Draw(t, "title"), " ")})
		q := new(query)
		if !s.prepareText(q, strings.Join(texts.Draw(t, "text"), " ")) {
			return
		}
		usual := task.usual[partAlike].mean + task.usual[partAlike].deviation
		var want []core.WordWeight
		for _, w := range q.words {
			if w.content {
				share := float64(w.weight) / float64(q.total)
				want = append(want, core.WordWeight{Word: w.text, Weight: share * float64(usual-q.alike(task, &w))})
			}
		}
		slices.SortStableFunc(want, func(a, b core.WordWeight) int {
			switch x, y := math.Abs(a.Weight), math.Abs(b.Weight); {
			case x > y:
				return -1
			case x < y:
				return 1
			}
			return 0
		})
		if diff := cmp.Diff(want[:min(len(want), maxWords)], explain(q, task)); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestTaskKeepsEachSpellingOnce(t *testing.T) {
	s, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	task := s.Compile(core.Task{Title: "zyzzyvas and zyzzyvas", Topics: []string{"quxbar", "zyzzyvas"}})
	if len(task.spelled) != 2 {
		t.Errorf("%d spellings of 2 words", len(task.spelled))
	}
	q := new(query)
	if s.prepareText(q, "zyzzyvan"); q.alike(task, &q.words[0]) < chance {
		t.Errorf("a word spelt alike is not found alike: %+v", q.words)
	}
	// A word that is repeated takes its room each time, as it always did: what is beyond is not compared.
	if task = s.Compile(core.Task{Title: strings.Repeat("zyzzyvas ", MaxTaskWords) + "quxbar"}); len(task.spelled) != 1 {
		t.Errorf("%d spellings within the bound", len(task.spelled))
	}
}
