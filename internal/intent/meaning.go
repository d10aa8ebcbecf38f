package intent

import (
	"sync"

	"github.com/plumbline/plumbline/internal/embed"
)

// Encoder gives words their vector. It is immutable and safe for concurrent use.
type Encoder struct{ table *embed.Table }

// NewEncoder gives an encoder by t.
func NewEncoder(t *embed.Table) Encoder { return Encoder{t} }

// pieces holds buffers of pieces, which are a few more than the words.
var pieces = sync.Pool{New: func() any { return new([]embed.Piece) }}

// Encode puts the vector of words into v, which has the table's length: of length 1, or zeros where no word has pieces.
func (e Encoder) Encode(v embed.Vector, words []Word) {
	clear(v)
	p := pieces.Get().(*[]embed.Piece)
	*p = (*p)[:0]
	for _, w := range words {
		*p = e.table.AppendPieces(*p, w.Text)
	}
	e.table.AddPieces(v, *p)
	pieces.Put(p)
	v.Normalise()
}
