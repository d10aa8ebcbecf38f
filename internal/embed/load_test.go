package embed_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/internal/embed"
)

// resealed gives a file with another content, whose digest is made good.
func resealed(file []byte, change func([]byte)) []byte {
	end := len(file) - sha256.Size
	out := slices.Clone(file[:end])
	change(out)
	sum := sha256.Sum256(out)
	return append(out, sum[:]...)
}

// changed gives the shipped table with all rows turned around, under a name of its own.
func changed(t testing.TB) []byte {
	t.Helper()
	table := shipped(t)
	rows := table.Rows()
	for i := range rows.Values {
		rows.Values[i] = -rows.Values[i]
	}
	file, err := table.With("turned", rows)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestTableThatWasWrittenIsRead(t *testing.T) {
	table := shipped(t)
	path := filepath.Join(t.TempDir(), "turned.bin")
	if err := os.WriteFile(path, changed(t), 0o600); err != nil {
		t.Fatal(err)
	}
	turned, err := embed.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(turned.Version(), "turned-") || turned.Version() == table.Version() || turned.Dim() != table.Dim() {
		t.Errorf("read %s with %d columns", turned.Version(), turned.Dim())
	}
	for _, text := range []string{"book a flight to Lisbon", "refund the duplicate charge on my March invoice"} {
		if near := table.Text(text).Dot(turned.Text(text)); near > -0.9999 {
			t.Errorf("%q: cosine %v to what is turned around", text, near)
		}
	}
	if !turned.SamePieces(table) || made(t).SamePieces(table) {
		t.Error("tables of the same pieces are told from one another, or others are not")
	}
	again, err := turned.With("turned", turned.Rows())
	if err != nil || !bytes.Equal(again, changed(t)) {
		t.Errorf("what is read and written is another file: %v", err)
	}
}

// TestOtherColumnsAndPairs: a table may have columns, pairs and rarities of its own.
func TestOtherColumnsAndPairs(t *testing.T) {
	table := shipped(t)
	of := table.Rows()
	half := embed.Rows{Dim: of.Dim / 2, Rarity: of.Rarity, Pairs: of.Pairs[:1000]}
	for i := range len(of.Rarity) + len(half.Pairs) {
		half.Values = append(half.Values, of.Row(i)[:half.Dim]...)
	}
	file, err := table.With("half", half)
	if err != nil {
		t.Fatal(err)
	}
	read, err := embed.Read(bytes.NewReader(file))
	if err != nil || read.Dim() != half.Dim || len(read.Rows().Pairs) != 1000 {
		t.Fatalf("%v, %d columns", err, read.Dim())
	}
	if got, want := len(read.Text("book a flight")), half.Dim; got != want {
		t.Errorf("a vector of %d, want %d", got, want)
	}
}

func TestRowsThatAreNoTable(t *testing.T) {
	table := shipped(t)
	for name, change := range map[string]func(*embed.Rows){
		"a row too few":   func(r *embed.Rows) { r.Values = r.Values[r.Dim:] },
		"no columns":      func(r *embed.Rows) { r.Dim = 0 },
		"a rarity less":   func(r *embed.Rows) { r.Rarity = r.Rarity[1:] },
		"pairs unordered": func(r *embed.Rows) { r.Pairs[0], r.Pairs[1] = r.Pairs[1], r.Pairs[0] },
		"not a number":    func(r *embed.Rows) { r.Values[5] = float32(math.NaN()) },
		"without end":     func(r *embed.Rows) { r.Values[5] = float32(math.Inf(1)) },
	} {
		rows := table.Rows()
		change(&rows)
		if _, err := table.With("wrong", rows); err == nil {
			t.Errorf("%s: written without an error", name)
		}
	}
	if _, err := table.With("../wrong", table.Rows()); err == nil {
		t.Error("a name with a path is written")
	}
}

func TestFilesInThePlaceOfTheShippedTable(t *testing.T) {
	dir := t.TempDir()
	good := changed(t)
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"empty":             {nil, "not a table"},
		"a picture":         {[]byte("\x89PNG\r\n\x1a\n"), "not a table"},
		"cut off":           {good[:len(good)/2], "cut off or changed"},
		"a changed byte":    {append(append(slices.Clone(good[:1000]), good[1000]^1), good[1001:]...), "cut off or changed"},
		"another name":      {resealed(good, func(b []byte) { copy(b[bytes.IndexByte(b, '\n')+1:], "forged") }), ""},
		"another's content": {resealed(good, func(b []byte) { b[len(b)-1] ^= 1 }), "must come from the content"},
		"other pieces":      {smallTable().seal(), "other pieces"},
		"one other piece":   {resealed(good, func(b []byte) { copy(b, bytes.Replace(b, []byte("\nmadrid\n"), []byte("\nmadrix\n"), 1)) }), "other pieces"},
	} {
		path := filepath.Join(dir, "table.bin")
		if err := os.WriteFile(path, c.data, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := embed.Load(path)
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := embed.Load(filepath.Join(dir, "missing.bin")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := embed.Load(dir); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a directory: %v", err)
	}
	if _, err := embed.Read(endless{}); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("a file without end: %v", err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// FuzzRead changes what is behind the vocabulary of a table with few columns and pairs, with a digest and a name that are good.
func FuzzRead(f *testing.F) {
	table := shipped(f)
	of := table.Rows()
	few := embed.Rows{Dim: 4, Rarity: of.Rarity, Pairs: of.Pairs[:3]}
	for i := range len(of.Rarity) + len(few.Pairs) {
		few.Values = append(few.Values, of.Row(i)[:4]...)
	}
	file, err := table.With("few", few)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint32(0), []byte{1})
	f.Add(uint32(25), []byte{0, 0, 0, 0})
	f.Add(uint32(len(file)-40), []byte{0xff, 0xff, 0xc0, 0x7f})
	f.Fuzz(func(t *testing.T, at uint32, with []byte) {
		data := slices.Clone(file)
		copy(data[int(at)%len(data):], with)
		data = resealed(data, func([]byte) {})
		read, err := embed.Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		v := read.Text("redone 漢 Ångström ok")
		if len(v) != read.Dim() || slices.ContainsFunc(v, func(x float32) bool { return x != x }) {
			t.Fatalf("a vector of %d columns: %v", len(v), v)
		}
		if !embed.IsVersion(read.Version()) {
			t.Fatalf("a version that is none: %q", read.Version())
		}
	})
}
