package openai

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/testkit"
)

// openRows are the methods and paths of the public API that are let through.
var openRows = []string{
	"DELETE /v1/files/{file_id}", "DELETE /v1/responses/{response_id}", "DELETE /v1/vector_stores/{vector_store_id}",
	"DELETE /v1/vector_stores/{vector_store_id}/files/{file_id}", "GET /v1/files", "GET /v1/files/{file_id}",
	"GET /v1/files/{file_id}/content", "GET /v1/models", "GET /v1/models/{model}", "GET /v1/responses/{response_id}",
	"GET /v1/responses/{response_id}/input_items", "GET /v1/vector_stores", "GET /v1/vector_stores/{vector_store_id}",
	"GET /v1/vector_stores/{vector_store_id}/file_batches/{batch_id}",
	"GET /v1/vector_stores/{vector_store_id}/file_batches/{batch_id}/files", "GET /v1/vector_stores/{vector_store_id}/files",
	"GET /v1/vector_stores/{vector_store_id}/files/{file_id}", "GET /v1/vector_stores/{vector_store_id}/files/{file_id}/content",
	"POST /v1/audio/speech", "POST /v1/audio/transcriptions",
	"POST /v1/audio/translations", "POST /v1/chat/completions", "POST /v1/completions", "POST /v1/embeddings", "POST /v1/files",
	"POST /v1/images/edits", "POST /v1/images/generations", "POST /v1/moderations", "POST /v1/responses",
	"POST /v1/responses/{response_id}/cancel", "POST /v1/vector_stores", "POST /v1/vector_stores/{vector_store_id}",
	"POST /v1/vector_stores/{vector_store_id}/file_batches", "POST /v1/vector_stores/{vector_store_id}/file_batches/{batch_id}/cancel",
	"POST /v1/vector_stores/{vector_store_id}/files", "POST /v1/vector_stores/{vector_store_id}/files/{file_id}",
	"POST /v1/vector_stores/{vector_store_id}/search",
}

// Every method and path of the public API has a row, and only those that are governed, plain or owned are open.
func TestEveryPublicEndpointHasARow(t *testing.T) {
	data, err := os.ReadFile(testkit.SharedData(t, "openai_endpoints.txt"))
	if err != nil {
		t.Fatal(err)
	}
	open := map[string]bool{}
	param := regexp.MustCompile(`\{[^}]*\}`)
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	if len(lines) != 260 {
		t.Fatalf("%d pairs, want 260", len(lines))
	}
	for _, line := range lines {
		method, path, _ := strings.Cut(line, " ")
		e, _, denied := Lookup(method, "/v1"+param.ReplaceAllString(path, "id-1"))
		template, _, _ := strings.Cut("/v1"+path, "?")
		if e.Name == NameUnknown || e.Method != method || e.Template != template {
			t.Errorf("%s: no row of its own, got %+v", line, e)
		}
		if isOpen := e.Class != ClassDenied; isOpen != (denied == nil) {
			t.Errorf("%s: class %s with error %v", line, e.Class, denied)
		}
		if denied == nil {
			open[method+" "+template] = true
		} else if denied.Reason != core.ReasonEndpointNotAllowed || !strings.Contains(denied.Public, "/v1/chat/completions") {
			t.Errorf("%s: %v: %s", line, denied, denied.Public)
		}
	}
	if got := slices.Sorted(maps.Keys(open)); !slices.Equal(got, openRows) {
		t.Errorf("open: %q", got)
	}
}

func TestLookup(t *testing.T) {
	for _, tt := range []struct {
		method, path, name, param string
		ok                        bool
	}{
		{"POST", "/v1/chat/completions", "chat.completions", "", true},
		{"POST", "/v1/chat/completions?x=1&y=%20", "chat.completions", "", true},
		{"GET", "/v1/models", "models.list", "", true},
		{"GET", "/v1/models/gpt-4o", "models.get", "gpt-4o", true},
		{"GET", "/v1/models/ft:gpt-4o:org::id-9", "models.get", "ft:gpt-4o:org::id-9", true},
		{"DELETE", "/v1/models/gpt-4o", "models.delete", "", false},
		{"POST", "/v1/realtime/client_secrets", "realtime", "", false},
		{"POST", "/v1/batches", "batches", "", false},
		{"GET", "/v1/responses/resp_1", "responses.get", "resp_1", true},
		{"GET", "/v1/responses/resp_1?include%5B%5D=a&include[]=b", "responses.get", "resp_1", true},
		{"GET", "/v1/responses/resp_1?stream=true", "responses.get", "resp_1", false},
		{"DELETE", "/v1/responses/resp_1?x", "responses.delete", "resp_1", false},
		{"GET", "/v1/files?after=file-9&purpose=vision", "files.list", "file-9", true},
		{"GET", "/v1/files?after=file-9&after=file-8", "files.list", "", false},
		{"GET", "/v1/files?after=", "files.list", "", false},
		{"GET", "/v1/files?after=a%2Fb", "files.list", "", false},
		{"GET", "/v1/files?limit=1", "files.list", "", false},
		{"GET", "/v1/files?after=file-9;limit=1", "files.list", "", false},
		{"GET", "/v1/files?%zz", "files.list", "", false},
		{"DELETE", "/v1/conversations/conv_1/items/msg_1", "conversations.items", "conv_1", true},
		{"POST", "/v1/conversations/conv_1/items?include=x", "conversations.items.create", "conv_1", true},
		{"POST", "/v1/conversations", "conversations.create", "", true},
		{"POST", "/v1/vector_stores", "vector_stores.create", "", true},
		{"GET", "/v1/vector_stores?after=vs_1&limit=5&order=asc", "vector_stores.list", "vs_1", true},
		{"GET", "/v1/vector_stores?before=vs_1", "vector_stores.list", "", false},
		{"GET", "/v1/vector_stores/vs_1/files?before=a%2Fb", "vector_stores.files.list", "vs_1", false},
		{"GET", "/v1/vector_stores/vs_1/files?before=file-1&filter=completed", "vector_stores.files.list", "vs_1", true},
		{"DELETE", "/v1/vector_stores/vs_1/files/file-1", "vector_stores.files.delete", "vs_1", true},
		{"POST", "/v1/vector_stores/vs_1/search?x=1", "vector_stores.search", "vs_1", false},
		{"POST", "/v1/vector_stores/vs_1/search/", "unknown", "", false},
	} {
		e, param, err := Lookup(tt.method, tt.path)
		if e.Name != tt.name || param != tt.param || (err == nil) != tt.ok {
			t.Errorf("Lookup(%s, %s) = %s, %q, %v", tt.method, tt.path, e.Name, param, err)
		}
	}
}

// No spelling of a path reaches a row but its own.
func TestLookupTakesNoTricks(t *testing.T) {
	for _, path := range []string{
		"", "/", "*", "/v1", "/v1/", "v1/models", "/v1/models/", "//v1/models", "/v1//models", "/v1/./models",
		"/v1/x/../models", "/v1/models/..", "/v1/models/.", "/v1/models/%2e%2e", "/v1%2fmodels", "/v1/models%2Fgpt-4o",
		"/v1/models/gpt%2d4o", "/v1/models;x=1", "/v1/models/gpt-4o;x", "/V1/models", "/v1/Models", "/v1\\models",
		"/v1/models\\x", "/v1/models/\x00", "/v1/models\x00", "/v1/models/gpt-4ö", "/v1/models/g p", "/v1/models#x",
		"/v1/models?x#y", "/v1/models?\x01", "/v1/models?x y", "/v1/models/" + strings.Repeat("a", 2000),
		"/v1/models?" + strings.Repeat("a", 2000), "http://api.openai.com/v1/models", "/v1/models/a/b", "/openai/v1/models",
	} {
		if e, _, err := Lookup("GET", path); err == nil || e.Name != NameUnknown {
			t.Errorf("Lookup(GET, %q) = %+v, %v", path, e, err)
		}
	}
	for _, method := range []string{"", "get", "HEAD", "OPTIONS", "PUT", "PATCH", "CONNECT", "TRACE", "POST "} {
		if e, _, err := Lookup(method, "/v1/models"); err == nil || e.Name != NameUnknown {
			t.Errorf("Lookup(%q, /v1/models) = %+v, %v", method, e, err)
		}
	}
}

func FuzzLookup(f *testing.F) {
	f.Add("POST", "/v1/chat/completions")
	f.Add("GET", "/v1/models/%2e%2e/x?y")
	f.Add("GET", "/v1/files?after=file-1&order=asc")
	f.Add("DELETE", "/v1/conversations/conv_1/items/msg_1?x")
	exact := regexp.MustCompile(`^/v1/((chat/)?completions|responses|embeddings|moderations|images/generations|images/edits|audio/(speech|transcriptions|translations)|models|files|conversations|vector_stores|` +
		`vector_stores/[A-Za-z0-9._:-]+(/search|/files(/[A-Za-z0-9._:-]+(/content)?)?|/file_batches(/[A-Za-z0-9._:-]+(/cancel|/files)?)?)?|` +
		`(models|files|responses|conversations)/[A-Za-z0-9._:-]+(/content|/input_items|/cancel|/items(/[A-Za-z0-9._:-]+)?)?)(\?[!-~]*)?$`)
	f.Fuzz(func(t *testing.T, method, path string) {
		e, object, err := Lookup(method, path)
		if err == nil && e.Class == ClassOwned && object == "" && (e.Access == AccessUse || e.Access == AccessDelete) {
			t.Errorf("%q names no object", path)
		}
		if err == nil && !exact.MatchString(path) {
			t.Errorf("%q is let through as %s", path, e.Name)
		}
		if err != nil && strings.Contains(err.Public, "\x00") {
			t.Error("an error repeats the path")
		}
	})
}

func TestCheckContent(t *testing.T) {
	for _, tt := range []struct {
		kind, encoding string
		ok             bool
	}{
		{"application/json", "", true},
		{"application/json", "identity", true},
		{"Application/JSON; charset=UTF-8", "", true},
		{"application/json;charset=utf-16", "", false},
		{"application/json; charset=utf-8; x=y", "", false},
		{"application/json", "gzip", false},
		{"", "", false},
		{"text/json", "", false},
		{"multipart/form-data; boundary=x", "", false},
		{"application/json, text/plain", "", false},
	} {
		e := CheckContent(Endpoint{}, tt.kind, tt.encoding)
		if (e == nil) != tt.ok || e != nil && e.Reason != core.ReasonUnsupportedMediaType {
			t.Errorf("CheckContent(%q, %q) = %v", tt.kind, tt.encoding, e)
		}
	}
}

// An endpoint that takes a form takes nothing else.
func TestCheckContentOfForms(t *testing.T) {
	for _, path := range []string{"/v1/audio/transcriptions", "/v1/audio/translations", "/v1/images/edits"} {
		endpoint, _, denied := Lookup("POST", path)
		if denied != nil {
			t.Fatal(denied.Public)
		}
		for kind, ok := range map[string]bool{
			"multipart/form-data; boundary=x": true, "multipart/form-data": false, "multipart/mixed; boundary=x": false,
			"application/json": false, "application/x-www-form-urlencoded": false, "": false,
		} {
			if e := CheckContent(endpoint, kind, ""); (e == nil) != ok || e != nil && e.Reason != core.ReasonUnsupportedMediaType {
				t.Errorf("%s: CheckContent(%q) = %v", path, kind, e)
			}
			if CheckContent(endpoint, kind, "gzip") == nil {
				t.Errorf("%s: %q is taken compressed", path, kind)
			}
		}
	}
}
