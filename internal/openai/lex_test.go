package openai

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/testkit"
)

// readStrings gives every string of a document, names included.
func readStrings(doc []byte) ([]string, *core.Error) {
	var all []string
	r := newReader(doc)
	if e := r.strings(func(s []byte) { all = append(all, string(s)) }); e != nil {
		return nil, e
	}
	return all, r.end()
}

// stringsByLibrary does the same with the library, and says how deep the document is and how many members it has.
func stringsByLibrary(doc []byte) (all []string, depth, members int, err error) {
	d := jsontext.NewDecoder(bytes.NewReader(doc))
	for values := 0; ; {
		t, err := d.ReadToken()
		if errors.Is(err, io.EOF) && values == 1 {
			return all, depth, members, nil
		}
		if err != nil {
			return nil, depth, members, err
		}
		if t.Kind() == '"' {
			all = append(all, t.String())
			members++
		}
		if depth = max(depth, d.StackDepth()); d.StackDepth() == 0 {
			if values++; values > 1 {
				return nil, depth, members, errors.New("more than one document")
			}
		}
	}
}

// What the library takes is taken and read as the same strings; what it refuses is refused.
func FuzzReaderAgreesWithTheLibrary(f *testing.F) {
	for _, doc := range []string{
		`{"a":[1,-0.5e+7,true,false,null,"x\u00e9\ud83d\ude00\n\/"],"b":{}}`, ` "top" `, `[`, `{"a":1,"\u0061":2}`, `"\ud800"`, "\"\xff\"",
		`[01]`, `[1.]`, `[-]`, `[1e]`, `{"a"}`, `{"a":1,}`, `[1,]`, `[1 2]`, `{"a":1 "b":2}`, `nul`, `1 2`, "\xef\xbb\xbf1", `"` + "\x00" + `"`,
		`"12345678\\"`, `"1234567` + "\x1f" + `"`, `{"":{"":[]},"a":""}`, `"\ud83d\u0041"`, `"\u12"`, `[]]`, `{]`,
		`{"a":0,"b":1,"c":2,"d":3,"e":4,"f":5,"g":6,"h":7,"i":8,"j":9,"k":0,"l":1,"m":2,"n":3,"o":4,"p":5,"q":6,"r":7,"p":8}`,
	} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		got, e := readStrings(doc)
		want, depth, members, err := stringsByLibrary(doc)
		switch {
		case e != nil && err == nil && (depth > maxDepth || members > maxMembers):
		case e == nil != (err == nil):
			t.Fatalf("read: %v, by the library: %v", e, err)
		case e == nil:
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatal(diff)
			}
		case !strings.Contains(e.Public, "at byte "):
			t.Fatal(e.Public)
		}
	})
}

// Documents on their own: those that conform are taken, those that do not are refused, and either way as the library does.
func TestReaderTakesWhatConforms(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(testkit.SharedData(t, "jsontestsuite", "test_parsing"), "*.json"))
	if err != nil || len(files) < 300 {
		t.Fatalf("%d documents: %v", len(files), err)
	}
	for _, file := range files {
		doc, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(file)
		got, e := readStrings(doc)
		want, depth, _, err := stringsByLibrary(doc)
		twoWays := strings.HasPrefix(name, "y_object_duplicated_key")
		switch {
		case name[0] == 'y' && !twoWays && e != nil, name[0] == 'n' && e == nil, twoWays && e == nil:
			t.Errorf("%s: %v", name, e)
		case depth <= maxDepth && (e == nil) != (err == nil):
			t.Errorf("%s: %v, by the library: %v", name, e, err)
		case e == nil && !cmp.Equal(got, want):
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// Wherever a string is broken, the offset is that of the break, and the eight bytes at a time lose none.
func TestReaderFindsEachBreak(t *testing.T) {
	for n := range 40 {
		before, after := strings.Repeat("a", n), strings.Repeat("b", 12)
		for bad, at := range map[string]int{
			"\x00": 0, "\x1f": 0, "\xff": 0, "\xc3(": 0, "é\xc3": 2, "\xed\xa0\x80": 0, `\x`: 0, `\ud800`: 0, `\udc00\ud800`: 0, `\u00g0`: 0, "\n": 0,
		} {
			r := newReader([]byte(`{"key":"` + before + bad + after + `"}`))
			_, e := r.value()
			if e == nil || r.faultAt != len(`{"key":"`)+n+at || e.Param != "key" {
				t.Errorf("%d letters and %q: %v at %d, param %q", n, bad, e, r.faultAt, e.Param)
			}
		}
		for good, want := range map[string]string{`\"`: `"`, `\\`: `\`, "é": "é", "\x7f": "\x7f", `\ud83d\ude00`: "😀", "😀": "😀", `\u0000`: "\x00"} {
			got, e := readStrings([]byte(`["` + before + good + after + `"]`))
			if e != nil || len(got) != 1 || got[0] != before+want+after {
				t.Errorf("%d letters and %q: %q %v", n, good, got, e)
			}
		}
	}
}

// One object cannot make the reader hold more than its bound, and up to it every name is told apart.
func TestReaderBoundsMembers(t *testing.T) {
	object := func(n int, more string) []byte {
		var b strings.Builder
		b.WriteString(`{`)
		for i := range n {
			b.WriteString(`"k` + strings.Repeat("x", i%3) + string(rune('a'+i%26)) + string(rune(0x4e00+i)) + `":1,`)
		}
		return []byte(b.String() + more + `}`)
	}
	for _, tt := range []struct {
		doc   []byte
		fault string
	}{
		{object(maxMembers-1, `"last":1`), ""},
		{object(maxMembers, `"last":1`), tooMany},
		{object(14, `"k\u0061\u4e00":1`), sameName},
		{object(15, `"k\u0061\u4e00":1`), sameName},
		{object(16, `"k\u0061\u4e00":1`), sameName},
		{object(5000, `"k\u0061\u4e00":1`), sameName},
	} {
		r := newReader(tt.doc)
		if _, e := r.value(); r.fault != tt.fault {
			t.Errorf("%d bytes: %q, want %q (%v)", len(tt.doc), r.fault, tt.fault, e)
		}
	}
}
