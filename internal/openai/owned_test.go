package openai

import (
	"slices"
	"strings"
	"testing"

	strict "github.com/go-json-experiment/json"

	"github.com/plumbline/plumbline/internal/core"
)

func TestReadConversation(t *testing.T) {
	const create, update, items = "conversations.create", "conversations.update", "conversations.items.create"
	message := []core.Part{{Role: core.RoleUser, Kind: core.KindText, Text: "say a bad word"}}
	for _, tt := range []struct {
		endpoint, body string
		reason         core.Reason // empty: it is taken
		parts          []core.Part
	}{
		{create, ``, "", nil},
		{update, `{}`, "", nil},
		{create, `{"metadata":null,"items":null}`, "", nil},
		{create, `{"items":[]}`, "", nil},
		{update, `{"metadata":{"topic":"refunds"}}`, "", []core.Part{{Role: "meta", Kind: "meta", Turn: -1, Text: "topic"}, {Role: "meta", Kind: "meta", Turn: -1, Text: "refunds"}}},
		{create, `{"items":[{"type":"message","role":"user","content":"say a bad word"}]}`, "", message},
		{items, `{"items":[{"role":"user","content":[{"type":"input_text","text":"say a bad word"}]}]}`, "", message},
		{items, ``, core.ReasonInvalidBody, nil},
		{items, `{"items":null}`, core.ReasonInvalidBody, nil},
		{items, `{"items":[],"metadata":{}}`, core.ReasonUnsupportedParameter, nil},
		{update, `{"items":[]}`, core.ReasonUnsupportedParameter, nil},
		{items, `{"items":[{"id":"msg_1"}]}`, core.ReasonInvalidBody, nil},
		{items, `{"items":[{"type":"item_reference","id":"say a bad word"}]}`, core.ReasonUnsupportedParameter, nil},
		{create, `{"items":["say a bad word"]}`, core.ReasonInvalidBody, nil},
		{create, `{"items":{}}`, core.ReasonInvalidBody, nil},
		{create, `{"ITEMS":[{"role":"user"}]}`, core.ReasonInvalidBody, nil},
		{create, `{"Metadata":{}}`, core.ReasonInvalidBody, nil},
		{create, `{"metadata":{"a":1}}`, core.ReasonInvalidBody, nil},
		{create, `{"metadata":{"a":"b","a":"c"}}`, core.ReasonInvalidBody, nil},
		{create, `{"items":[],"items":[1]}`, core.ReasonInvalidBody, nil},
		{create, `{"name":"x"}`, core.ReasonUnsupportedParameter, nil},
		{create, `{} {}`, core.ReasonInvalidBody, nil},
		{create, `[]`, core.ReasonInvalidBody, nil},
		{create, `{`, core.ReasonInvalidBody, nil},
		{create, "\xef\xbb\xbf{}", core.ReasonInvalidBody, nil},
	} {
		r, e := read(tt.endpoint, tt.body, allowance())
		if tt.reason == "" {
			if e != nil {
				t.Errorf("%s: %v", tt.body, e)
			} else if !slices.Equal(r.Prompt.Parts, tt.parts) || r.Says() != (len(tt.parts) == 1) {
				t.Errorf("%s: %+v, says %v", tt.body, r.Prompt.Parts, r.Says())
			}
			continue
		}
		if e == nil || e.Reason != tt.reason {
			t.Errorf("%s: %v, want %s", tt.body, e, tt.reason)
		} else if strings.Contains(e.Public, "bad word") {
			t.Errorf("%s: the error repeats the body: %s", tt.body, e.Public)
		}
	}
}

func allowing(ids ...string) func(string) bool {
	return func(id string) bool { return slices.Contains(ids, id) }
}

// A page of a list says nothing of what was taken out of it: not what it was, nor its id where pages go on.
func TestFilterListHidesWhatItTakesOut(t *testing.T) {
	const page = `{"object":"list","data":[{"id":"file-1","filename":"a"},{"id":"file-2","filename":"b"},{"id":"file-3","filename":"c"}],` +
		`"first_id":"file-1","last_id":"file-3","has_more":true,"total":3}`
	for name, tt := range map[string]struct {
		allowed []string
		want    string
	}{
		"some": {[]string{"file-2"}, `{"object":"list","data":[{"id":"file-2","filename":"b"}],"first_id":"file-2","last_id":"file-2","has_more":true}`},
		"all": {[]string{"file-1", "file-2", "file-3"}, `{"object":"list","data":[{"id":"file-1","filename":"a"},{"id":"file-2","filename":"b"},` +
			`{"id":"file-3","filename":"c"}],"first_id":"file-1","last_id":"file-3","has_more":true}`},
		"none": {nil, `{"object":"list","data":[],"has_more":true}`},
	} {
		got := filterList([]byte(page), allowing(tt.allowed...))
		if string(got) != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
	// Whatever the provider says that its answer is, what was not filtered does not pass.
	for _, kind := range []string{"text/event-stream", "text/plain", ""} {
		a := NewAnswer(AnswerOptions{Status: 200, ContentType: kind, Filter: allowing("file-2")})
		if out, _ := a.Write([]byte(page), true); strings.Contains(string(out), "file-1") || !strings.Contains(string(out), "file-2") {
			t.Errorf("content type %q: %s", kind, out)
		}
	}
}

// What passes unread passes as it is, is kept nowhere, and is whole when its last byte came.
func TestUnreadAnswersPass(t *testing.T) {
	for _, kind := range []string{"text/event-stream", "application/octet-stream", "application/json"} {
		a := NewAnswer(AnswerOptions{Status: 200, ContentType: kind, Unread: true, ContentEncoding: "gzip"})
		for _, piece := range []string{`{"id":"x`, "data: [DONE]"} {
			if out, changed := a.Write([]byte(piece), false); changed || string(out) != piece {
				t.Errorf("%s: %q became %q", kind, piece, out)
			}
			if a.Complete() || len(a.kept) > 0 || a.Decodes() {
				t.Errorf("%s: complete %v, %d bytes kept", kind, a.Complete(), len(a.kept))
			}
		}
		a.Write(nil, true)
		if !a.Complete() || a.ObjectID() != "" {
			t.Errorf("%s: complete %v, id %q", kind, a.Complete(), a.ObjectID())
		}
		a.Close()
	}
}

// Whatever the provider calls a list, nothing of an element that is not the caller's reaches it.
func FuzzFilterList(f *testing.F) {
	f.Add([]byte(`{"object":"list","data":[{"id":"mine"},{"id":"foreign"}],"first_id":"mine","last_id":"foreign","has_more":true}`))
	f.Add([]byte(`{"id":"mine","data":[{"id":"foreign"}]}`))
	f.Add([]byte(`{"data":[[{"id":"foreign"}],{"id":"mine","id":"foreign"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var out struct {
			ID   string `json:"id"`
			Data []struct {
				ID string `json:"id"`
			} `json:"data"`
		}
		filtered := filterList(body, allowing("mine"))
		if err := strict.Unmarshal(filtered, &out); err != nil {
			t.Fatalf("%q: %v", filtered, err)
		}
		for _, one := range out.Data {
			if one.ID != "mine" {
				t.Errorf("%q shows %q", body, one.ID)
			}
		}
		if out.ID != "" && out.ID != "mine" {
			t.Errorf("%q shows %q", body, out.ID)
		}
	})
}
