package embed

import "math"

// Vector is the place of a text among texts. Its length is the table's Dim.
type Vector []float32

// AddPiece adds weight times the row of p to v.
func (t *Table) AddPiece(v Vector, p Piece, weight float32) {
	t.addRow(v, uint32(p), t.pieces[p].scale*weight)
}

// AddPair adds weight times the row of the adjacent pieces a b to v, if they have one.
func (t *Table) AddPair(v Vector, a, b Piece, weight float32) {
	if t.pieces[a].after&sign(b) == 0 || t.pieces[b].before&sign(a) == 0 {
		return
	}
	if p := t.pair(a, b); p.row != 0 {
		t.addRow(v, p.row, p.scale*weight)
	}
}

// AddPieces adds the rows of pieces and of their pairs to v.
func (t *Table) AddPieces(v Vector, pieces []Piece) {
	for i, p := range pieces {
		t.AddPiece(v, p, 1)
		if i > 0 {
			t.AddPair(v, pieces[i-1], p, 1)
		}
	}
}

func (t *Table) addRow(v Vector, row uint32, scale float32) {
	from := int(row) * t.dim
	addScaled(v[:t.dim], t.rows[from:from+t.dim], scale)
}

// Text gives the vector of text, of length 1, or of zeros where no word of it has pieces.
func (t *Table) Text(text string) Vector {
	v := make(Vector, t.dim)
	t.AddPieces(v, t.AppendPieces(nil, text))
	v.Normalise()
	return v
}

// Dot is the cosine of v and w where both have length 1.
func (v Vector) Dot(w Vector) float32 { return dot(v, w[:len(v)]) }

// Normalise makes v of length 1, unless it is 0, and gives the length that it had: the more its words say, the longer, as the table
// was taught to weigh them.
func (v Vector) Normalise() (length float32) {
	n := math.Sqrt(float64(v.Dot(v)))
	if n > 0 {
		for i := range v {
			v[i] = float32(float64(v[i]) / n)
		}
	}
	return float32(n)
}
