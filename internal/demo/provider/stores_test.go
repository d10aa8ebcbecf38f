package provider_test

import (
	"bytes"
	"encoding/json"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/plumbline/plumbline/internal/demo/provider"
)

// A vector store is made, filled, searched and deleted; a batch puts files into it.
func TestStores(t *testing.T) {
	p := provider.New(provider.Options{})
	ask := func(method, path, body string, status int, says string) string {
		t.Helper()
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
		if w.Code != status || !strings.Contains(w.Body.String(), says) {
			t.Fatalf("%s %s: %d %s, want %d and %s", method, path, w.Code, w.Body, status, says)
		}
		var made struct{ ID string }
		_ = json.Unmarshal(w.Body.Bytes(), &made) // not every answer is one object
		return made.ID
	}
	var form bytes.Buffer
	parts := multipart.NewWriter(&form)
	_ = parts.WriteField("purpose", "user_data")
	file, err := parts.CreateFormFile("file", "bill.txt")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = file.Write([]byte("a late bill"))
	_ = parts.Close()
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "/v1/files", &form)
	r.Header.Set("Content-Type", parts.FormDataContentType())
	p.ServeHTTP(w, r)
	var made struct{ ID string }
	if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil {
		t.Fatal(err)
	}

	store := ask("POST", "/v1/vector_stores", `{"name":"bills"}`, 200, `"vector_store"`)
	at := "/v1/vector_stores/" + store
	ask("POST", at+"/search", `{"query":"late"}`, 200, `"data":[]`)
	ask("POST", at+"/files", `{"file_id":"file-none"}`, 404, "No such file")
	ask("POST", at+"/files", `{"file_id":"`+made.ID+`"}`, 200, made.ID)
	ask("POST", at+"/search", `{"query":["never","late"]}`, 200, "a late bill")
	ask("GET", at+"/files/"+made.ID+"/content", "", 200, "a late bill")
	ask("GET", at+"/files", "", 200, `"last_id":"`+made.ID)
	ask("DELETE", at+"/files/"+made.ID, "", 200, `"deleted":true`)
	ask("GET", at+"/files/"+made.ID, "", 404, "No such file")
	batch := ask("POST", at+"/file_batches", `{"files":[{"file_id":"`+made.ID+`"}]}`, 200, `"total":1`)
	ask("POST", at+"/file_batches/"+batch+"/cancel", "", 200, batch)
	ask("GET", at+"/file_batches/"+batch+"/files", "", 200, made.ID)
	ask("GET", "/v1/vector_stores", "", 200, store)
	ask("DELETE", at, "", 200, `"deleted":true`)
	ask("GET", at, "", 404, "No such object")
}
