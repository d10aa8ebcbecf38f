package intent

import (
	"slices"

	"github.com/plumbline/plumbline/internal/embed"
)

// Cut gives the pieces that table has of words, one word after the other, and tells each word which are its.
func Cut(table *embed.Table, words []Word) []embed.Piece {
	pieces := make([]embed.Piece, 0, len(words)+len(words)/2)
	for i := range words {
		from := len(pieces)
		pieces = table.AppendPieces(pieces, words[i].Text)
		words[i].from, words[i].pieces = uint32(from), uint8(len(pieces)-from)
	}
	return pieces
}

// Pieces says which pieces are the word's, once it was cut: those from from on, below to.
func (w *Word) Pieces() (from, to int32) { return int32(w.from), int32(w.from) + int32(w.pieces) }

// Cut gives v.Pooled, which v.Asked and v.Last are the first words of, and their pieces by table. They are cut once for the
// table that is asked for first, and for all that have the same pieces.
func (v *View) Cut(table *embed.Table) ([]Word, []embed.Piece) {
	v.once.Do(func() { v.table, v.pieces = table, Cut(table, v.Pooled) })
	if !v.table.SamePieces(table) {
		words := slices.Clone(v.Pooled)
		return words, Cut(table, words)
	}
	return v.Pooled, v.pieces
}

// Meaning puts into m, which has table's length, the vector of what v asks: of length 1, or zeros where no word has pieces.
func (v *View) Meaning(table *embed.Table, m embed.Vector) {
	clear(m)
	if n := len(v.Asked); n > 0 {
		words, pieces := v.Cut(table)
		_, to := words[n-1].Pieces()
		table.AddPieces(m, pieces[:to])
		m.Normalise()
	}
}
