package testkit

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

func TestRecordingsAreWhole(t *testing.T) {
	for dir, want := range map[string]int{"ai-gateway": 40, "openllmetry-responses": 20} {
		t.Run(dir, func(t *testing.T) {
			all := Recordings(t, SharedData(t, "openai-recordings", dir))
			if len(all) < want {
				t.Errorf("%d recordings, want %d or more", len(all), want)
			}
			names := map[string]bool{}
			for _, r := range all {
				if names[r.Name] {
					t.Errorf("%s: a second recording of that name", r.Name)
				}
				names[r.Name] = true
				plain := r.Response.Plain(t)
				switch {
				case r.Request.Method != http.MethodPost && r.Request.Method != http.MethodGet, !strings.HasPrefix(r.Request.Path, "/"):
					t.Errorf("%s: %s %s", r.Name, r.Request.Method, r.Request.Path)
				case r.Response.Status < 200 || r.Response.Status > 599:
					t.Errorf("%s: status %d", r.Name, r.Response.Status)
				case strings.HasPrefix(r.Response.Header.Get("Content-Type"), "application/json") && !json.Valid(plain):
					t.Errorf("%s: the answer is not JSON: %.80q", r.Name, plain)
				case strings.HasPrefix(r.Response.Header.Get("Content-Type"), "text/event-stream") && !strings.Contains(string(plain), "\n\n"):
					t.Errorf("%s: the answer is no event stream: %.80q", r.Name, plain)
				case r.Request.Header.Get("Content-Type") == "application/json" && !json.Valid(r.Request.Body):
					t.Errorf("%s: the request is not JSON: %.80q", r.Name, r.Request.Body)
				}
			}
		})
	}
}
