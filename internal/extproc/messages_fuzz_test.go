package extproc

import (
	"slices"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"

	"github.com/plumbline/plumbline/internal/gate"
	"github.com/plumbline/plumbline/internal/openai"
)

// headersOf makes a header of each line "name: value". Every second one has its value where only old versions of Envoy
// put it.
func headersOf(lines string) *corev3.HeaderMap {
	m := &corev3.HeaderMap{}
	for i, line := range strings.Split(lines, "\n") {
		name, value, _ := strings.Cut(line, ": ")
		h := &corev3.HeaderValue{Key: strings.ToLower(name), RawValue: []byte(value)}
		if i%2 == 1 {
			h = &corev3.HeaderValue{Key: strings.ToLower(name), Value: strings.ToValidUTF8(value, "")}
		}
		m.Headers = append(m.Headers, h)
	}
	return m
}

// Whatever headers a caller sends: none of its credentials is overlooked or forwarded, two content types are never one,
// and no length is believed that is none.
func FuzzHeaders(f *testing.F) {
	f.Add(":method: POST\n:path: /v1/chat/completions\nauthorization: Bearer a\napi-key: b\ncontent-type: application/json\ncontent-length: 12")
	f.Add("content-type: application/json\ncontent-type: multipart/form-data; boundary=x\ncontent-encoding: identity\ncontent-encoding: gzip")
	f.Add("content-length: -1\ncontent-length: 99999999999999999999\nauthorization: \ncookie: a\ncookie: b\nAuthorization: c")
	f.Add(":status: 200\nx-ratelimit-limit-requests: 5\ncontent-type: text/event-stream")
	form, _, _ := openai.Lookup("POST", "/v1/audio/transcriptions")
	f.Fuzz(func(t *testing.T, lines string) {
		headers := headersOf(lines)
		m := &extprocv3.ProcessingRequest{}
		head := requestHead(m, &extprocv3.HttpHeaders{Headers: headers})
		answerHead(m, &extprocv3.HttpHeaders{Headers: headers})

		credentials, types, encodings := 0, 0, 0
		for _, h := range headers.GetHeaders() {
			switch name, value := h.GetKey(), headerValue(h); {
			case name == "authorization" || name == "api-key" || name == "x-api-key":
				credentials++
			case name == "content-type" && value != "":
				types++
			case name == "content-encoding" && value != "":
				encodings++
			}
		}
		if len(head.Authorization) != credentials {
			t.Errorf("%d credentials of %d", len(head.Authorization), credentials)
		}
		for _, endpoint := range []openai.Endpoint{form, {}} {
			if (types != 1 || encodings > 1) && openai.CheckContent(endpoint, head.ContentType, head.ContentEncoding) == nil {
				t.Errorf("%d content types %q and %d encodings %q are taken", types, head.ContentType, encodings, head.ContentEncoding)
			}
		}
		if head.ContentLength < -1 {
			t.Errorf("a length of %d", head.ContentLength)
		}

		edits := gate.HeaderEdits{Remove: []string{"authorization", "api-key", "cookie"}, Set: [][2]string{{"authorization", "Bearer provider"}}}
		mutated := mutation(edits, headers)
		for _, h := range headers.GetHeaders() {
			if slices.Contains(edits.Remove, h.GetKey()) && !slices.Contains(mutated.GetRemoveHeaders(), h.GetKey()) {
				t.Errorf("%s is not removed", h.GetKey())
			}
		}
		set := mutated.GetSetHeaders()
		if len(set) != 1 || set[0].GetAppendAction() != corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD || string(set[0].GetHeader().GetRawValue()) != "Bearer provider" {
			t.Errorf("set: %v", set)
		}
	})
}
