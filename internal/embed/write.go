package embed

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math"
)

// Rows are the rows of a table as numbers, to be changed: of its pieces and then of its pairs.
type Rows struct {
	// Dim is the number of columns, and Values has as many for each row.
	Dim    int
	Values []float32
	// Rarity is of the pieces.
	Rarity []float32
	// Pairs are the pairs in order, each the number of its first piece times 65536 and that of its second.
	Pairs []uint32
}

// Row gives row i, which is Dim long.
func (r *Rows) Row(i int) []float32 { return r.Values[i*r.Dim : (i+1)*r.Dim] }

// Rows gives a copy of the table's rows.
func (t *Table) Rows() Rows {
	r := Rows{Dim: t.dim, Values: make([]float32, len(t.rows)), Pairs: make([]uint32, len(t.rows)/t.dim-len(t.pieces))}
	fill := func(i int, scale float32) {
		for d, v := range t.rows[i*t.dim : (i+1)*t.dim] {
			r.Values[i*t.dim+d] = scale * float32(int8(v))
		}
	}
	for i, p := range t.pieces {
		r.Rarity = append(r.Rarity, p.rarity)
		fill(i, p.scale)
	}
	for _, s := range t.pairs {
		if s.row != 0 {
			r.Pairs[int(s.row)-len(t.pieces)] = s.key
			fill(int(s.row), s.scale)
		}
	}
	return r
}

// With gives the file of a table with the pieces of t and the rows of r. name is what its version begins with: letters, digits,
// dots and dashes. Each row is rounded to a signed byte a column, with a scale of its own.
func (t *Table) With(name string, r Rows) ([]byte, error) {
	if len(r.Rarity) != len(t.pieces) || r.Dim == 0 || len(r.Values) != (len(r.Rarity)+len(r.Pairs))*r.Dim {
		return nil, errors.New("embed: rows that do not fit the table's pieces")
	}
	content := make([]byte, 0, len(t.names)+5*len(r.Values)) // more than is needed
	for _, n := range []int{r.Dim, len(r.Rarity), len(r.Pairs), len(t.names)} {
		content = binary.LittleEndian.AppendUint32(content, uint32(n))
	}
	content = append(content, t.names...)
	scales, rows := quantise(r)
	for _, f := range append(append([]float32(nil), r.Rarity...), scales...) {
		content = binary.LittleEndian.AppendUint32(content, math.Float32bits(f))
	}
	for _, key := range r.Pairs {
		content = binary.LittleEndian.AppendUint16(content, uint16(key>>16))
		content = binary.LittleEndian.AppendUint16(content, uint16(key))
	}
	content = append(content, rows...)
	file := []byte(magic + name + "-" + contentName(content) + "\n")
	file = append(file, content...)
	sum := sha256.Sum256(file)
	file = append(file, sum[:]...)
	_, err := Read(bytes.NewReader(file)) // whoever reads it must find what was meant
	return file, err
}

// quantise rounds each row so that its largest number is 127 times its scale. Halves go to the even number, as NumPy has it.
func quantise(r Rows) (scales []float32, rows []byte) {
	rows = make([]byte, 0, len(r.Values))
	for i := range len(r.Values) / r.Dim {
		most := float32(0)
		for _, v := range r.Row(i) {
			most = max(most, float32(math.Abs(float64(v))))
		}
		scale := most / 127
		scales = append(scales, scale)
		by := max(scale, 1e-12)
		for _, v := range r.Row(i) {
			rows = append(rows, byte(int8(math.RoundToEven(float64(v/by)))))
		}
	}
	return scales, rows
}
