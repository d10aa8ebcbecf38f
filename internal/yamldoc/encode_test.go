package yamldoc

import "testing"

func TestEncodeUsesJSONNames(t *testing.T) {
	got, err := Encode([]struct {
		ID    string   `json:"id"`
		Words []string `json:"words,omitempty"`
	}{{ID: "a", Words: []string{"x: y", "yes"}}, {ID: "b"}})
	if err != nil {
		t.Fatal(err)
	}
	want := `- id: a
  words:
  - "x: y"
  - "yes"
- id: b
`
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestEncodeBytesAsJSONDoes(t *testing.T) {
	got, err := Encode(struct {
		Text []byte `json:"text"`
		Hash []byte `json:"hash,omitempty"`
	}{Text: []byte{0xfb, 0xff, 0}})
	if err != nil {
		t.Fatal(err)
	}
	if want := "text: \"+/8A\"\n"; string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
