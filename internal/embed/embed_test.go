package embed_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/internal/embed"
)

// small is the content of a table of four columns, which tests change before they seal it.
type small struct {
	version string
	header  [4]uint32
	text    string
	rarity  []float32
	scales  []float32
	pairs   []uint16
	rows    []int8
}

// smallTable has each letter and digit, a few words, and the pair "red ##o".
func smallTable() small {
	var names []string
	for _, c := range "abcdefghijklmnopqrstuvwxyz0123456789" {
		names = append(names, string(c), "##"+string(c))
	}
	names = append(names, "red", "redo", "##one", "un")
	n := len(names)
	s := small{version: "small-1", text: strings.Join(names, "\n") + "\n", pairs: []uint16{uint16(n - 4), 29}}
	s.header = [4]uint32{4, uint32(n), 1, uint32(len(s.text))}
	for i := range n {
		s.rarity = append(s.rarity, float32(i)/10)
	}
	for i := range n + 1 {
		s.scales = append(s.scales, 0.5)
		s.rows = append(s.rows, int8(i), -1, 0, 127)
	}
	return s
}

// seal gives the file.
func (s small) seal() []byte {
	var b bytes.Buffer
	b.WriteString("plumbline embedding 1\n" + s.version + "\n")
	for _, part := range []any{s.header, []byte(s.text), s.rarity, s.scales, s.pairs, s.rows} {
		if err := binary.Write(&b, binary.LittleEndian, part); err != nil {
			panic(err)
		}
	}
	sum := sha256.Sum256(b.Bytes())
	return append(b.Bytes(), sum[:]...)
}

func parse(t testing.TB, s small) *embed.Table {
	t.Helper()
	table, err := embed.Parse(s.seal())
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestLongestPieces(t *testing.T) {
	table := parse(t, smallTable())
	names := strings.Fields(smallTable().text)
	for text, want := range map[string]string{
		"red":             "red",
		"redo Red, REDO":  "redo red redo",
		"redone":          "redo ##n ##e",
		"undone":          "un ##d ##one",
		"r2d2":            "r ##2 ##d ##2",
		"rédö":            "redo",
		"r\u00ade\u0301d": "r e ##d",
		"ＲＥＤ":             "red",
		"it's":            "i ##t s",
		"漢字 Ⅷ ﬁ":          "v ##i ##i ##i f ##i",
		"\xff\xc3":        "",
	} {
		var got []string
		for _, p := range table.AppendPieces(nil, text) {
			got = append(got, names[p])
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%q: %s, want %s", text, s, want)
		}
	}
}

func TestRowsAndPairsAreSummed(t *testing.T) {
	table := parse(t, smallTable())
	pieces := table.AppendPieces(nil, "red o")
	v := make(embed.Vector, table.Dim())
	table.AddPieces(v, pieces)
	if want := (embed.Vector{(72 + 28) / 2, -1, 0, 127}); !slices.Equal(v, want) {
		t.Errorf("two pieces without a row of their own: %v, want %v", v, want)
	}
	v = make(embed.Vector, table.Dim())
	table.AddPiece(v, 72, 2)
	table.AddPair(v, 72, 29, 2)
	if want := (embed.Vector{72 + 76, -2, 0, 254}); !slices.Equal(v, want) {
		t.Errorf("a piece and a pair, twice: %v, want %v", v, want)
	}
	if got := table.Rarity(73); got != 7.3 {
		t.Errorf("rarity %v", got)
	}
	if got := table.Text("漢字"); !slices.Equal(got, make(embed.Vector, 4)) {
		t.Errorf("text without pieces: %v", got)
	}
}

// TestEachPairIsFound asks for every pair of the shipped table, and for as many that are none.
func TestEachPairIsFound(t *testing.T) {
	table := shipped(t)
	data, err := os.ReadFile("table.bin")
	if err != nil {
		t.Fatal(err)
	}
	_, numbers, _ := bytes.Cut(data[len("plumbline embedding 1\n"):], []byte("\n"))
	n := int(binary.LittleEndian.Uint32(numbers[8:]))
	from := len(data) - sha256.Size - (table.Len()+n)*table.Dim() - 4*n
	keys := data[from : from+4*n]
	pairs := map[[2]embed.Piece]bool{}
	for ; len(keys) > 0; keys = keys[4:] {
		pairs[[2]embed.Piece{embed.Piece(binary.LittleEndian.Uint16(keys)), embed.Piece(binary.LittleEndian.Uint16(keys[2:]))}] = true
	}
	random := rand.New(rand.NewPCG(1, 2))
	asked := maps.Clone(pairs)
	for range len(pairs) {
		asked[[2]embed.Piece{embed.Piece(random.IntN(table.Len())), embed.Piece(random.IntN(table.Len()))}] = true
	}
	for p := range asked {
		v := make(embed.Vector, table.Dim())
		table.AddPair(v, p[0], p[1], 1)
		if found := v.Dot(v) > 0; found != pairs[p] {
			t.Fatalf("the pair %v: found %v, want %v", p, found, pairs[p])
		}
	}
	if len(pairs) != n || n == 0 {
		t.Errorf("%d pairs of %d", len(pairs), n)
	}
}

func TestForeignAndBrokenFilesAreRefused(t *testing.T) {
	whole := smallTable().seal()
	changed := slices.Clone(whole)
	changed[len(changed)/2]++
	for name, data := range map[string][]byte{
		"empty": nil, "another format": []byte("PK\x03\x04"), "only the magic line": whole[:22], "cut off": whole[:len(whole)-1],
		"changed": changed, "longer": append(slices.Clone(whole), 0),
	} {
		if _, err := embed.Parse(data); err == nil {
			t.Errorf("%s: read without an error", name)
		}
	}
	for name, change := range map[string]func(*small){
		"no version":          func(s *small) { s.version = "" },
		"a path as version":   func(s *small) { s.version = "../small" },
		"no columns":          func(s *small) { s.header[0] = 0 },
		"too many columns":    func(s *small) { s.header[0] = 1 << 20 },
		"too many pairs":      func(s *small) { s.header[2] = math.MaxUint32 },
		"another size":        func(s *small) { s.rows = s.rows[1:] },
		"text beyond the end": func(s *small) { s.header[3] = math.MaxUint32 },
		"a piece twice":       func(s *small) { s.text = strings.Replace(s.text, "redo", "reds\nred", 1)[:len(s.text)] },
		"upper case":          func(s *small) { s.text = strings.Replace(s.text, "redo", "Redo", 1) },
		"no letter e":         func(s *small) { s.text = strings.Replace(s.text, "\ne\n", "\n\xc3\n", 1) },
		"not a number":        func(s *small) { s.rarity[0] = float32(math.NaN()) },
		"negative scale":      func(s *small) { s.scales[3] = -1 },
		"pair of no piece":    func(s *small) { s.pairs[1] = 60000 },
	} {
		s := smallTable()
		change(&s)
		if _, err := embed.Parse(s.seal()); err == nil {
			t.Errorf("%s: read without an error", name)
		} else {
			t.Logf("%s: %v", name, err)
		}
	}
}

// TestAgreesWithTraining compares with what the code that makes tables (tools/train) makes of the same texts, by a small
// table of random rows and by the one that is shipped.
func TestAgreesWithTraining(t *testing.T) {
	for name, table := range map[string]*embed.Table{"small.json": made(t), "vectors.json": shipped(t)} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		var cases []struct {
			Text   string
			Pieces []embed.Piece
			Vector []float64
		}
		if err := json.Unmarshal(data, &cases); err != nil || len(cases) == 0 {
			t.Fatal(err, len(cases))
		}
		for _, c := range cases {
			if got := table.AppendPieces(nil, c.Text); !slices.Equal(got, c.Pieces) {
				t.Errorf("%s: %q: pieces %v, want %v", name, c.Text, got, c.Pieces)
			}
			v := table.Text(c.Text)
			for i, want := range c.Vector {
				if math.Abs(float64(v[i])-want) > 1e-3 {
					t.Errorf("%s: %q: column %d is %v, want %v", name, c.Text, i, v[i], want)
					break
				}
			}
		}
	}
}

func TestLikeMeaningsAreNear(t *testing.T) {
	table := shipped(t)
	for _, c := range [][3]string{
		{"how do I pay my invoice", "when is my bill due", "feed the cat"},
		{"book a flight to Lisbon", "plane ticket to Portugal", "fix a bug in Python"},
		{"my card was stolen", "I lost my credit card", "what is the weather today"},
	} {
		a, b, other := table.Text(c[0]), table.Text(c[1]), table.Text(c[2])
		if a.Dot(b) < a.Dot(other)+0.1 {
			t.Errorf("%q: %.2f to %q and %.2f to %q", c[0], a.Dot(b), c[1], a.Dot(other), c[2])
		}
	}
}

func TestNoAllocations(t *testing.T) {
	table := shipped(t)
	text := strings.Repeat("Café: book a Flight to Lisbon, and explain antidisestablishmentarianism. ", 20)
	pieces, v := make([]embed.Piece, 0, 1000), make(embed.Vector, table.Dim())
	if n := testing.AllocsPerRun(10, func() {
		clear(v)
		table.AddPieces(v, table.AppendPieces(pieces, text))
		v.Normalise()
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(smallTable().seal())
	f.Fuzz(func(t *testing.T, data []byte) {
		// The digest stands in the way of every change: it is made good, so that what is behind it is reached.
		if n := len(data) - sha256.Size; n > 0 {
			sum := sha256.Sum256(data[:n])
			data = append(slices.Clone(data[:n]), sum[:]...)
		}
		table, err := embed.Parse(data)
		if err != nil {
			return
		}
		for _, p := range table.AppendPieces(nil, "redone 漢 Ångström ok") {
			if int(p) >= table.Len() {
				t.Fatalf("piece %d of %d", p, table.Len())
			}
		}
		table.Text("redone 漢 Ångström ok")
	})
}

func FuzzPieces(f *testing.F) {
	table := parse(f, smallTable())
	for _, text := range []string{"Redone", "don't", "\u0130\u0301x", "ﬁ½㎏", strings.Repeat("x", 100), "\xff漢\u200b"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		pieces := table.AppendPieces(nil, text)
		// A character gives at most eighteen, by its decomposition, and a letter at most one piece.
		if len(pieces) > 18*len(text) {
			t.Fatalf("%d pieces of %d bytes", len(pieces), len(text))
		}
		if again := table.AppendPieces(nil, strings.ToUpper(text)); text == strings.ToLower(text) && isASCII(text) && !slices.Equal(pieces, again) {
			t.Fatalf("%v in lower case, %v in upper", pieces, again)
		}
	})
}

func isASCII(s string) bool { return !strings.ContainsFunc(s, func(r rune) bool { return r > 127 }) }

// made is a table of random rows that the training code wrote.
func made(t testing.TB) *embed.Table {
	t.Helper()
	data, err := os.ReadFile("testdata/small.bin")
	if err != nil {
		t.Fatal(err)
	}
	table, err := embed.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func shipped(t testing.TB) *embed.Table {
	t.Helper()
	table, err := embed.Default()
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func BenchmarkText(b *testing.B) {
	table := shipped(b)
	sentence := "The customer says that her invoice shows a charge which nobody explained, and asks for a refund by Friday. "
	for _, size := range []struct {
		name  string
		bytes int
	}{{"400B", 400}, {"2kB", 2000}} {
		text := strings.Repeat(sentence, size.bytes/len(sentence)+1)[:size.bytes]
		b.Run(size.name, func(b *testing.B) {
			b.ReportAllocs()
			var pieces []embed.Piece
			v := make(embed.Vector, table.Dim())
			for b.Loop() {
				clear(v)
				pieces = table.AppendPieces(pieces[:0], text)
				table.AddPieces(v, pieces)
				v.Normalise()
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	data, err := os.ReadFile("table.bin")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := embed.Parse(data); err != nil {
			b.Fatal(err)
		}
	}
}
