package openai

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestRewrite(t *testing.T) {
	const m = `"model":"m","messages":[]`
	usage, most := Edits{IncludeUsage: true}, Edits{MaxOutputTokens: 256}
	for _, tt := range []struct {
		name, body string
		edits      Edits
		want       string
	}{
		{"nothing to do", `{` + m + `}`, Edits{}, ``},
		{"usage of no stream", `{` + m + `}`, usage, ``},
		{"usage that was asked for", `{` + m + `,"stream":true,"stream_options":{"include_usage":true}}`, usage, ``},
		{"usage added", ` { ` + m + `,"stream":true } `, usage, ` {"stream_options":{"include_usage":true}, ` + m + `,"stream":true } `},
		{"usage in null", `{"stream_options": null ,"stream":true,` + m + `}`, usage, `{"stream_options": {"include_usage":true} ,"stream":true,` + m + `}`},
		{"usage in an empty object", `{"stream":true,"stream_options" : { } ,` + m + `}`, usage, `{"stream":true,"stream_options" : {"include_usage":true } ,` + m + `}`},
		{"usage beside another option", `{"stream":true,"stream_options":{"include_obfuscation":false},` + m + `}`, usage, `{"stream":true,"stream_options":{"include_usage":true,"include_obfuscation":false},` + m + `}`},
		{"usage that was declined", `{"stream":true,"stream_options":{"include_usage": false },` + m + `}`, usage, `{"stream":true,"stream_options":{"include_usage": true },` + m + `}`},
		{"usage that is null", `{"stream":true,"stream_options":{"include_usage":null},` + m + `}`, usage, `{"stream":true,"stream_options":{"include_usage":true},` + m + `}`},
		{"maximum added", `{` + m + `}`, most, `{"max_completion_tokens":256,` + m + `}`},
		{"maximum lowered", `{` + m + `,"max_completion_tokens": 1000 }`, most, `{` + m + `,"max_completion_tokens": 256 }`},
		{"older maximum lowered", `{"max_tokens":1000,` + m + `}`, most, `{"max_tokens":256,` + m + `}`},
		{"maximum that is lower", `{"max_tokens":100,` + m + `}`, most, ``},
		{"maximum that is null", `{"max_tokens":null,` + m + `}`, most, `{"max_tokens":256,` + m + `}`},
		{"one maximum null, the other high", `{"max_completion_tokens":null,` + m + `,"max_tokens":999}`, most, `{"max_completion_tokens":null,` + m + `,"max_tokens":256}`},
		{"both", `{` + m + `,"stream":true}`, Edits{IncludeUsage: true, MaxOutputTokens: 300}, `{"stream_options":{"include_usage":true},"max_completion_tokens":300,` + m + `,"stream":true}`},
		{"both in place", `{"max_tokens":999,"stream":true,"stream_options":{},` + m + `}`, Edits{IncludeUsage: true, MaxOutputTokens: 300}, `{"max_tokens":300,"stream":true,"stream_options":{"include_usage":true},` + m + `}`},
		{"an escaped name", `{"max\u005ftokens":999,` + m + `}`, most, `{"max\u005ftokens":256,` + m + `}`},
		{"bytes as they were", "{\t\"user\":\"\\u00e9\\/ é\"," + m + "}\n", most, "{\"max_completion_tokens\":256,\t\"user\":\"\\u00e9\\/ é\"," + m + "}\n"},
	} {
		r, err := ReadChat([]byte(tt.body))
		if err != nil {
			t.Fatalf("%s: %s", tt.name, err.Public)
		}
		body := []byte(tt.body)
		got := r.Rewrite(body, tt.edits)
		if tt.want == "" {
			if &got[0] != &body[0] || len(got) != len(body) {
				t.Errorf("%s: changed to %s", tt.name, got)
			}
			continue
		}
		if string(got) != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
		}
		if string(body) != tt.body {
			t.Errorf("%s: the body itself was changed", tt.name)
		}
	}
}

// What is read is what other readers read, and what is rewritten reads the same but for the edits.
func FuzzReadChat(f *testing.F) {
	f.Add([]byte(hi("")))
	f.Add(chat2k())
	f.Add([]byte(hi(`,"stream":true,"stream_options":{"include_usage":null},"max_tokens":7,"n":3`)))
	f.Add([]byte(hi(`,"tools":[{"type":"function","function":{"name":"f","parameters":{"a":[1,"b"]}}}],"metadata":{"a":"b"}`)))
	f.Add([]byte(`{"model":"m","MODEL":"n","messages":[]}`))
	f.Add([]byte(`{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,aa=="}}]}]}`))
	f.Add([]byte(strings.ReplaceAll(everyField, "@", "text")))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := ReadChat(body)
		if err != nil {
			if err.Public == "" || err.Reason == "" {
				t.Fatalf("an error without words: %+v", err)
			}
			return
		}
		var other struct {
			Model         string            `json:"model"`
			Messages      []json.RawMessage `json:"messages"`
			Stream        bool              `json:"stream"`
			MaxTokens     int64             `json:"max_tokens"`
			MaxCompletion int64             `json:"max_completion_tokens"`
			N             int64             `json:"n"`
			StreamOptions struct {
				IncludeUsage bool `json:"include_usage"`
			} `json:"stream_options"`
		}
		if err := json.Unmarshal(body, &other); err != nil {
			t.Fatalf("encoding/json refuses it: %v", err)
		}
		if other.Model != r.Model || other.Stream != r.Stream || max(other.MaxTokens, other.MaxCompletion) != r.MaxOutputTokens ||
			max(other.N, 1) != r.Choices || other.StreamOptions.IncludeUsage != r.IncludeUsage || int64(len(other.Messages)) != r.size.messages {
			t.Fatalf("encoding/json reads it as %+v, not %+v", other, r)
		}
		edits := Edits{IncludeUsage: true, MaxOutputTokens: 300}
		before := bytes.Clone(body)
		rewritten := r.Rewrite(body, edits)
		if !bytes.Equal(before, body) {
			t.Fatal("the body itself was changed")
		}
		again, err := ReadChat(rewritten)
		if err != nil {
			t.Fatalf("rewritten, it is refused: %s\n%s", err.Public, rewritten)
		}
		if !reflect.DeepEqual(again.Prompt, r.Prompt) || again.Model != r.Model || again.Stream != r.Stream || again.Choices != r.Choices {
			t.Fatal("rewritten, it is another request")
		}
		if again.Stream && !again.IncludeUsage || again.MaxOutputTokens > 300 {
			t.Fatalf("the edits are not in it: %s", rewritten)
		}
		if r.MaxOutputTokens != 0 && again.MaxOutputTokens != min(r.MaxOutputTokens, 300) {
			t.Fatalf("the maximum is %d after %d", again.MaxOutputTokens, r.MaxOutputTokens)
		}
		if third := again.Rewrite(rewritten, edits); !bytes.Equal(third, rewritten) {
			t.Fatal("rewriting twice is not rewriting once")
		}
	})
}
