package embed

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// TestWholeSumsAgree: what the processor's vectors give of whole numbers is to the bit what the portable sums give, at every
// length and at both ends of what numbers can be.
func TestWholeSumsAgree(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for n := 4; n <= MaxDim; n += 4 {
		for _, ends := range []bool{false, true} {
			v, row := make([]int16, n), make([]byte, n)
			sum := int64(0)
			for i := range v {
				v[i], row[i] = int16(random.Uint32()), byte(random.Uint32())
				if ends {
					v[i], row[i] = math.MaxInt16, 0x80
				}
				sum += int64(v[i]) * int64(int8(row[i]))
			}
			if got, portable := dotShort(v, row), portableDotShort(v, row); int64(got) != sum || int64(portable) != sum {
				t.Errorf("%d columns: %d, and portable %d, want %d", n, got, portable, sum)
			}
		}
	}
}

// TestRoundingAgrees: halves go to the even number, and a number beyond what 16 bits hold to the last that they do.
func TestRoundingAgrees(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for n := 4; n <= MaxDim; n += 4 {
		v, got, want := make([]float32, n), make([]int16, n), make([]int16, n)
		for i := range v {
			v[i] = []float32{float32(random.IntN(100)) - 49.5, float32(random.NormFloat64()) * 1e4, 4e4, -4e4, 0}[random.IntN(5)]
		}
		toInt16(got, v, 1)
		portableToInt16(want, v, 1)
		for i := range v {
			if exact := max(math.MinInt16, min(math.MaxInt16, math.RoundToEven(float64(v[i])))); got[i] != want[i] || float64(want[i]) != exact {
				t.Fatalf("%d columns: %v is %d, and portable %d", n, v[i], got[i], want[i])
			}
		}
	}
}

// unit draws a vector of length 1 whose columns differ in size, or of zeros.
func unit(n int) *rapid.Generator[Vector] {
	return rapid.Custom(func(t *rapid.T) Vector {
		v := Vector(rapid.SliceOfN(rapid.Float32Range(-1, 1), n, n).Draw(t, "columns"))
		if rapid.Bool().Draw(t, "steep") {
			for i := range v {
				v[i] *= v[i] * v[i]
			}
		}
		v.Normalise()
		return v
	})
}

// TestShortIsNear: a column of a short vector is off by half of what one counts, and of a probe by half of its unit; a cosine is
// off by no more than these come to.
func TestShortIsNear(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := 4 * rapid.IntRange(1, MaxDim/4).Draw(t, "quarter")
		v, w := unit(n).Draw(t, "v"), unit(n).Draw(t, "w")
		short := w.Short()
		exact, bound := 0.0, 1e-6
		for i, x := range short.Vector() {
			exact += float64(v[i]) * float64(w[i])
			if off := math.Abs(float64(x - w[i])); off > 0.5001*float64(short.scale) {
				t.Fatalf("column %d: %v for %v, one counts %v", i, x, w[i], short.scale)
			}
			bound += 0.5001*math.Abs(float64(v[i]*short.scale)) + 0.5001*math.Abs(float64(x))/probeUnit
		}
		var p Probe
		p.Read(make(Vector, MaxDim)) // what was read before must not be left
		p.Read(v)
		if got := float64(p.Dot(&short)); math.Abs(got-exact) > bound {
			t.Fatalf("%v, want %v within %v", got, exact, bound)
		}
		kept := p.Clone()
		before := p.Dot(&short)
		p.Read(make(Vector, n))
		if got := kept.Dot(&short); got != before || p.Dot(&short) != 0 {
			t.Fatalf("a copy gives %v once another vector was read, %v before; and of zeros %v", got, before, p.Dot(&short))
		}
	})
}

// TestShortOfTextsIsNear: of what texts say, cosines are off by some thousandths: by .0058 at most when this was written.
func TestShortOfTextsIsNear(t *testing.T) {
	table, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	words := table.Words(4000)
	random := rand.New(rand.NewPCG(7, 8))
	text := func() Vector {
		said := ""
		for range 1 + random.IntN(20) {
			said += words[random.IntN(len(words))] + " "
		}
		return table.Text(said)
	}
	var p Probe
	most := 0.0
	for range 2000 {
		v, w := text(), text()
		p.Read(v)
		short := w.Short()
		most = max(most, math.Abs(float64(p.Dot(&short)-v.Dot(w))))
	}
	if most > 0.008 {
		t.Errorf("a cosine is off by %v", most)
	}
}

// TestLikestAgreesWithVectors: the rows as they lie in the table give the cosines that their vectors have.
func TestLikestAgreesWithVectors(t *testing.T) {
	table, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	vector := func(p Piece) Vector {
		v := make(Vector, table.Dim())
		table.AddPiece(v, p, 1)
		v.Normalise()
		return v
	}
	rapid.Check(t, func(t *rapid.T) {
		piece := rapid.Map(rapid.IntRange(0, table.Len()-1), func(i int) Piece { return Piece(i) })
		p, among := piece.Draw(t, "piece"), rapid.SliceOfN(piece, 0, 20).Draw(t, "among")
		want, known := float32(0), make([]Known, 0, len(among))
		for _, o := range among {
			want = max(want, vector(p).Dot(vector(o)))
			known = append(known, table.Know(o))
		}
		if got := table.Likest(p, known); math.Abs(float64(got-want)) > 1e-5 {
			t.Fatalf("%v, want %v", got, want)
		}
	})
}

// TestLikestOfEmptyRows: a row of zeros is like none.
func TestLikestOfEmptyRows(t *testing.T) {
	table := &Table{dim: 4, rows: []byte{0, 0, 0, 0, 1, 2, 3, 4}, pieces: make([]entry, 2)}
	known := []Known{table.Know(0), table.Know(1)}
	if got := []float32{table.Likest(0, known), table.Likest(1, known[:1]), table.Likest(1, known)}; got[0] != 0 || got[1] != 0 || math.Abs(float64(got[2]-1)) > 1e-6 {
		t.Errorf("%v", got)
	}
}

func BenchmarkDot(b *testing.B) {
	v := make(Vector, 128)
	for i := range v {
		v[i] = float32(i%7-3) / 32
	}
	short := v.Short()
	var p Probe
	p.Read(v)
	b.Run("float", func(b *testing.B) {
		for b.Loop() {
			v.Dot(v)
		}
	})
	b.Run("short", func(b *testing.B) {
		for b.Loop() {
			p.Dot(&short)
		}
	})
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			p.Read(v)
		}
	})
}
