package openai

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	sdk "github.com/openai/openai-go/v3"
	sdkconversations "github.com/openai/openai-go/v3/conversations"
	sdkresponses "github.com/openai/openai-go/v3/responses"

	"github.com/plumbline/plumbline/internal/core"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// requestTypes are the SDK's own types of the bodies of the endpoints.
var requestTypes = map[string]reflect.Type{
	"chat.completions":   reflect.TypeFor[sdk.ChatCompletionNewParams](),
	"responses":          reflect.TypeFor[sdkresponses.ResponseNewParams](),
	"completions":        reflect.TypeFor[sdk.CompletionNewParams](),
	"embeddings":         reflect.TypeFor[sdk.EmbeddingNewParams](),
	"moderations":        reflect.TypeFor[sdk.ModerationNewParams](),
	"images.generations": reflect.TypeFor[sdk.ImageGenerateParams](),
	"audio.speech":       reflect.TypeFor[sdk.AudioSpeechNewParams](),

	"conversations.create":              reflect.TypeFor[sdkconversations.ConversationNewParams](),
	"conversations.update":              reflect.TypeFor[sdkconversations.ConversationUpdateParams](),
	"conversations.items.create":        reflect.TypeFor[sdkconversations.ItemNewParams](),
	"vector_stores.create":              reflect.TypeFor[sdk.VectorStoreNewParams](),
	"vector_stores.update":              reflect.TypeFor[sdk.VectorStoreUpdateParams](),
	"vector_stores.search":              reflect.TypeFor[sdk.VectorStoreSearchParams](),
	"vector_stores.files.create":        reflect.TypeFor[sdk.VectorStoreFileNewParams](),
	"vector_stores.files.update":        reflect.TypeFor[sdk.VectorStoreFileUpdateParams](),
	"vector_stores.file_batches.create": reflect.TypeFor[sdk.VectorStoreFileBatchNewParams](),
}

const canary = "canarybird"

// A canary in any string field that the SDK can send is in the prompt, or the request is denied: whatever is allowed. The
// fields come from the SDK's types, so that a new version of it brings its new fields along. Which are read, and as what,
// is in testdata/members.
func TestNoFieldOfTheSDKPassesUnread(t *testing.T) {
	everything := Allowance{
		RemoteURLs: true, Images: true, Audio: true, Files: true, FileIDs: true, HostedTools: HostedTools(), MaxToolCalls: 9,
		ServiceTiers: ServiceTiers(), MaxChoices: 9, MaxEffort: "max",
	}
	for endpoint, of := range requestTypes {
		t.Run(endpoint, func(t *testing.T) {
			fields := fieldsOf(of, "", nil)
			var listed []string
			for _, f := range fields {
				for _, text := range []string{canary, "https://" + canary + ".example/x", "data:" + canary + "/png;base64,aGk="} {
					byDefault, ok := sees(t, endpoint, f, text, allowance())
					atMost, okAtMost := sees(t, endpoint, f, text, everything)
					if text == canary && (ok || okAtMost) {
						listed = append(listed, fmt.Sprintf("%-70s %-18s %s", f.path, byDefault, atMost))
					}
				}
			}
			slices.Sort(listed)
			listed = slices.Compact(listed)
			golden(t, filepath.Join("testdata", "members", endpoint+".txt"), fmt.Sprintf(
				"What becomes of a text in each field: by default, and where everything is allowed.\n"+
					"All others of the %d fields of the SDK are denied with any text that is not one of their own words.\n\n%s\n",
				len(fields), strings.Join(listed, "\n")))
		})
	}
}

// sees says what a text in a field is read as, and false where the request is denied.
func sees(t *testing.T, endpoint string, f place, text string, allow Allowance) (string, bool) {
	t.Helper()
	body, err := json.Marshal(f.with(text))
	if err != nil {
		t.Fatal(err)
	}
	r, e := read(endpoint, string(body), allow)
	if e != nil {
		if strings.Contains(e.Public, canary) && !strings.Contains(e.Param, canary) {
			t.Errorf("%s: the error repeats the text: %s", f.path, e.Public)
		}
		return "denied", false
	}
	for _, p := range r.Prompt.Parts {
		if strings.Contains(p.Text, canary) {
			return string(p.Role) + " " + string(p.Kind), true
		}
	}
	for _, o := range r.Objects {
		if strings.Contains(o.ID, canary) {
			return "object " + string(o.Kind), true
		}
	}
	switch {
	case r.Model == text:
		return "model", true
	case r.Opaque && isBase64([]byte(text)) && slices.ContainsFunc(r.Prompt.Parts, func(p core.Part) bool { return p.Kind == core.KindOpaque }):
		return "opaque", true
	}
	t.Errorf("%s passes unread: %s", f.path, body)
	return "", false
}

// place is one for text in a request, and the body that has it there and little else.
type place struct {
	path string
	with func(text string) any
}

// fieldsOf walks a type of the SDK's. around are the types on the way, of which none is entered twice.
func fieldsOf(t reflect.Type, path string, around []reflect.Type) []place {
	switch {
	case t.Kind() == reflect.Pointer:
		return fieldsOf(t.Elem(), path, around)
	case t.Kind() == reflect.String, isOptional(t, reflect.String), t.Kind() == reflect.Interface:
		return []place{{path, func(text string) any { return text }}}
	case slices.Contains(around, t):
		return nil
	}
	around = append(slices.Clip(around), t)
	var fields []place
	switch t.Kind() {
	case reflect.Slice:
		for _, f := range fieldsOf(t.Elem(), path+"[]", around) {
			fields = append(fields, place{f.path, func(text string) any { return []any{f.with(text)} }})
		}
	case reflect.Map:
		fields = append(fields, place{path + ".<name>", func(text string) any { return map[string]any{text: "x"} }})
		for _, f := range fieldsOf(t.Elem(), path+".<value>", around) {
			fields = append(fields, place{f.path, func(text string) any { return map[string]any{"k": f.with(text)} }})
		}
	case reflect.Struct:
		for i := range t.NumField() {
			fields = append(fields, fieldsBelow(t, t.Field(i), path, around)...)
		}
	default: // numbers and truth values hold no text
	}
	return fields
}

// fieldsBelow are those of one member of an object, or of one variant of a union.
func fieldsBelow(t reflect.Type, member reflect.StructField, path string, around []reflect.Type) []place {
	tag, tagged := member.Tag.Lookup("json")
	name, _, _ := strings.Cut(tag, ",")
	switch {
	case !tagged || !member.IsExported() || name == "-":
		return nil
	case name == "": // a variant
		return fieldsOf(member.Type, path, around)
	}
	at := strings.TrimPrefix(path+kindIn(t)+"."+name, ".")
	var fields []place
	for _, f := range fieldsOf(member.Type, at, around) {
		fields = append(fields, place{f.path, func(text string) any {
			object := least(t).(map[string]any)
			object[name] = f.with(text)
			return object
		}})
	}
	return fields
}

// kindIn tells variants of a union apart by their type.
func kindIn(t reflect.Type) string {
	for i := range t.NumField() {
		if f := t.Field(i); f.Tag.Get("json") == "type" && f.Tag.Get("default") != "" {
			return "(" + f.Tag.Get("default") + ")"
		}
	}
	return ""
}

// isOptional reports whether t is the SDK's optional of a kind.
func isOptional(t reflect.Type, kind reflect.Kind) bool {
	return t.Kind() == reflect.Struct && strings.HasPrefix(t.Name(), "Opt[") && t.Field(0).Type.Kind() == kind
}

// fillers fill members that must be there and that take certain words only.
var fillers = map[string]any{
	"role": "user", "detail": "auto", "status": "completed", "format": "wav", "data": "aGk=", "syntax": "lark", "mode": "auto",
	"url": "data:image/png;base64,aGk=", "model": "gpt-4o", "caller": nil, "type": "eq",
}

// least is the least value of a type: what must be there.
func least(t reflect.Type) any {
	switch {
	case t.Kind() == reflect.Pointer:
		return least(t.Elem())
	case t.Kind() == reflect.String, isOptional(t, reflect.String), t.Kind() == reflect.Interface:
		return "x"
	case t.Kind() == reflect.Slice:
		return []any{}
	case t.Kind() == reflect.Map:
		return map[string]any{}
	case t.Kind() == reflect.Bool, isOptional(t, reflect.Bool):
		return true
	case t.Kind() != reflect.Struct, strings.HasPrefix(t.Name(), "Opt["):
		return 1
	}
	object := map[string]any{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		fill, known := fillers[name]
		switch {
		case strings.HasPrefix(f.Name, "Of") && name == "":
			return least(f.Type)
		case f.Tag.Get("default") != "":
			object[name] = f.Tag.Get("default")
		case known && (f.Tag.Get("api") == "required" || name == "model"):
			object[name] = fill
		case f.Tag.Get("api") == "required":
			object[name] = least(f.Type)
		case t == requestTypes["responses"] && name == "input":
			object[name] = "x"
		case t == requestTypes["responses"] && name == "max_tool_calls":
			object[name] = 1
		}
	}
	return object
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("%s is out of date; look at what -update changes. Got:\n%s", file, got)
	}
}
