package intent

import (
	"os"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/embed"
)

// tables gives the shipped table and another one.
func tables(t *testing.T) (shipped, other *embed.Table) {
	t.Helper()
	shipped, err := embed.Default()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile("../embed/testdata/small.bin")
	if err != nil {
		t.Fatal(err)
	}
	if other, err = embed.Parse(data); err != nil {
		t.Fatal(err)
	}
	return shipped, other
}

// TestEachWordHasItsPieces asks in either order: pieces of one table must not be taken for those of the other.
func TestEachWordHasItsPieces(t *testing.T) {
	shipped, other := tables(t)
	rapid.Check(t, func(t *rapid.T) {
		v := NewView(asked(hostileText().Draw(t, "text") + " " + spokenText().Draw(t, "spoken")))
		order := []*embed.Table{shipped, other, shipped}
		if rapid.Bool().Draw(t, "other first") {
			order = []*embed.Table{other, shipped, other}
		}
		for _, table := range order {
			words, pieces := v.Cut(table)
			if len(words) != len(v.Pooled) {
				t.Fatalf("%d of %d words", len(words), len(v.Pooled))
			}
			for i := range words {
				from, to := words[i].Pieces()
				if got, want := pieces[from:to], table.AppendPieces(nil, v.Pooled[i].Text); !slices.Equal(got, want) {
					t.Fatalf("word %d, %q, has the pieces %v, want %v", i, words[i].Text, got, want)
				}
			}
		}
	})
}

func TestMeaningIsOfWhatIsAsked(t *testing.T) {
	table, _ := tables(t)
	v := NewView(asked("Please explain why the quarterly revenue report is late, and draft a polite reply."))
	got, want := make(embed.Vector, table.Dim()), make(embed.Vector, table.Dim())
	v.Meaning(table, got)
	var pieces []embed.Piece
	for _, w := range v.Asked {
		pieces = table.AppendPieces(pieces, w.Text)
	}
	table.AddPieces(want, pieces)
	want.Normalise()
	if !slices.Equal(got, want) {
		t.Error("the meaning of a view is not that of the words that are asked")
	}
	if NewView(asked("")).Meaning(table, got); !slices.Equal(got, make(embed.Vector, table.Dim())) {
		t.Error("nothing asked has a meaning")
	}
}
