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
