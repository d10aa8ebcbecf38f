package embed

import "math"

// Short is a vector in a quarter of its room: a signed byte for each column, and what one of them counts. A column is off by at
// most half of that, so that a cosine of vectors of length 1 is off by some thousandths at most.
type Short struct {
	columns []byte // signed
	scale   float32
}

// Short gives v in a quarter of its room.
func (v Vector) Short() Short {
	most := float32(0)
	for _, x := range v {
		most = max(most, x, -x)
	}
	s := Short{columns: make([]byte, len(v)), scale: most / math.MaxInt8}
	if s.scale == 0 {
		return s
	}
	for i, x := range v {
		s.columns[i] = byte(int8(math.RoundToEven(float64(x / s.scale)))) // within a byte, by the greatest column
	}
	return s
}

// Vector gives the columns as they are compared.
func (s Short) Vector() Vector {
	v := make(Vector, len(s.columns))
	for i, c := range s.columns {
		v[i] = s.scale * float32(int8(c))
	}
	return v
}

// Probe is a vector of length 1, or of zeros, made ready to be compared with many short ones: 16 bits a column. It is read
// anew as often as there is another vector, and does not allocate once it has room.
type Probe struct{ columns []int16 }

// probeUnit is what a column of 1 is in a Probe. With it 512 columns sum up within 32 bits, whatever is in the other vector.
const probeUnit = math.MaxInt16

// Read takes v in place of what p was.
func (p *Probe) Read(v Vector) {
	if cap(p.columns) < len(v) {
		p.columns = make([]int16, len(v))
	}
	p.columns = p.columns[:len(v)]
	toInt16(p.columns, v, probeUnit)
}

// Clone gives a copy that keeps what p is.
func (p *Probe) Clone() Probe { return Probe{append([]int16(nil), p.columns...)} }

// Dot is the cosine of p and s where both have length 1. The sum is one of whole numbers: it is the same on each processor.
func (p *Probe) Dot(s *Short) float32 {
	return float32(dotShort(p.columns, s.columns)) * (s.scale / probeUnit)
}

// Known is a piece made ready to be compared with others by their rows.
type Known struct {
	Piece
	length float32 // of its row, in the row's own unit
}

// Know makes p ready to be compared with.
func (t *Table) Know(p Piece) Known {
	var room [MaxDim]int16
	row := t.widen(&room, p)
	return Known{p, rowLength(row, t.row(p))}
}

// Likest gives the cosine of the row of p to the likest of those of known, at least 0.
func (t *Table) Likest(p Piece, known []Known) float32 {
	var room [MaxDim]int16
	row := t.widen(&room, p)
	length := rowLength(row, t.row(p))
	if length == 0 {
		return 0
	}
	best := float32(0)
	for _, k := range known {
		if k.length > 0 {
			best = max(best, float32(dotShort(row, t.row(k.Piece)))/(length*k.length))
		}
	}
	return best
}

func (t *Table) row(p Piece) []byte {
	from := int(p) * t.dim
	return t.rows[from : from+t.dim]
}

func (t *Table) widen(room *[MaxDim]int16, p Piece) []int16 {
	row := room[:t.dim]
	for i, c := range t.row(p) {
		row[i] = int16(int8(c))
	}
	return row
}

func rowLength(wide []int16, row []byte) float32 {
	return float32(math.Sqrt(float64(dotShort(wide, row))))
}
