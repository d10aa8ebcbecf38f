package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"mime/multipart"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/app"
	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/demo/provider"
	"github.com/plumbline/plumbline/internal/identity"
	"github.com/plumbline/plumbline/internal/store"
)

// secretsPolicy lets every kind of request pass, and stops what is off task.
var secretsPolicy = strings.Replace(strictPolicy, `"made-up"`, `"made-up", "text-*", "omni-*", "tts-*", "whisper-*"`, 1) + sdkMedia

// TestNoSecretLeaks makes exchanges of every kind with marked prompts and credentials, and then looks for the marks in
// everything that Plumbline and Envoy wrote, kept or answered.
func TestNoSecretLeaks(t *testing.T) {
	t.Parallel()
	s := setup{policy: secretsPolicy, settings: map[string]string{"extproc.max_body": "256KiB"}}
	s.provider.ChunkPause = time.Millisecond
	s.envoy.IdleTimeout = 500 * time.Millisecond
	w := start(t, s)
	ctx := store.WithActor(t.Context(), "test")
	token, tokenID := w.issue(identity.IssueRequest{User: "ann", App: "helpdesk"})
	revoked, revokedID := w.issue(identity.IssueRequest{User: "ben"})
	must(t, app.RevokeToken(ctx, w.app.Store(), w.cfg.Identity, core.Revocation{TokenID: revokedID}))
	w.refresh()
	other := start(t, setup{})
	foreign, _ := other.issue(identity.IssueRequest{User: "ann", App: "helpdesk"})
	keys := w.sdkKeys()

	const mark = "xylophonequasar" // of no vocabulary
	prompt := onTask + " The customer's password is " + mark + "."
	body := func(model string, more map[string]any) string { return chatBody(model, prompt, more) }
	chat := func(model string, more map[string]any) call { return w.chatCall(body(model, more)) }
	jwt := strings.Split(token, ".")
	unknown := unknownKey(t)
	secrets := map[string]string{
		"the prompt": mark, "the answer": "hangs straight from the beam", "the provider's key": providerKey,
		"the start of the provider's key": providerKey[:16], "the end of the provider's key": providerKey[16:], "a redacted key": "****",
		"the caller's key": w.key[:len(w.key)-12], "the middle of the caller's key": w.key[10:30], "an unknown key": unknown[3:30],
		"the token's claims": jwt[1], "the token's signature": jwt[2], "the revoked token": strings.Split(revoked, ".")[2],
		"a foreign key": other.key[10:30], "a foreign token": strings.Split(foreign, ".")[2], "the expired key": keys.expired[10:30],
		"the revoked key": keys.revoked[10:30], "the blocked user's key": keys.blocked[10:30], "the file": "a file of " + mark,
		"the sound": "~~~~", "the picture": "bm90IHJlYWxseSBhIHBpY3R1cmU", "the vector": "-0.5,0.125",
	}

	var answered bytes.Buffer // what callers were told beside the provider's answers
	forwarded := 0
	for _, c := range append(w.markedKinds(mark), []call{
		{auth: []string{foreign}, body: body("gpt-4o", nil)},
		{auth: []string{other.key}, body: body("gpt-4o", nil)},
		{auth: []string{keys.expired}, body: body("gpt-4o", nil)},
		{auth: []string{keys.revoked}, body: body("gpt-4o", nil)},
		{auth: []string{keys.blocked}, body: body("gpt-4o", nil)},
		{auth: []string{"a key of " + mark}, body: body("gpt-4o", nil)},
		chat("gpt-4o", nil), chat("gpt-4o", streamed),
		{auth: []string{token}, body: body("gpt-4o", nil)},
		chat(provider.ModelGzip, nil), chat(provider.ModelRubbish, nil), chat(provider.ModelNoUsage, streamed), chat(provider.ModelError+"500", nil),
		chat(provider.Model401, nil), chat(provider.ModelSlow, nil), chat(provider.ModelCutoff, streamed),
		{auth: []string{revoked}, body: body("gpt-4o", nil)},
		{auth: []string{unknown}, body: body("gpt-4o", nil)},
		{auth: []string{w.key, token}, body: body("gpt-4o", nil)},
		{auth: []string{providerKey}, body: body("gpt-4o", nil)},
		chat("gpt-4o", nil).with("api-key", w.key),
		{auth: []string{w.key[:len(w.key)-1]}, body: body("gpt-4o", nil)},
		{auth: []string{token + "x"}, body: body("gpt-4o", nil)},
		{body: body("gpt-4o", nil)},
		chat("o3", nil), w.chatCall(body("gpt-4o", nil) + mark), w.chatCall(`{"model":"gpt-4o","` + mark + ` x":"` + mark + `"}`),
		w.chatCall(`{"model":"gpt-4o","messages":[{"role":"` + mark + `"}]}`), w.chatCall(`{"model":"gpt-4o","service_tier":"` + mark + `"}`),
		w.chatCall(body("gpt-4o", map[string]any{"metadata": map[string]string{mark: mark}, "user": mark})),
		w.chatCall(chatBody("gpt-4o", otherTask+mark, nil)), w.chatCall(chatBody("gpt-4o", strings.Repeat(mark, 20_000), nil)),
		w.chatCall(body("gpt-4o", nil)).with("content-type", "text/"+mark), w.chatCall(body("gpt-4o", nil)).with("content-encoding", mark),
		{method: "GET", path: "/v1/models?api_key=" + w.key + "&q=" + mark, auth: []string{w.key}},
		chat("gpt-4o", nil).with("cookie", "session="+mark).with("x-user", mark).with("traceparent", mark).with("user-agent", mark),
		chat("gpt-4o", nil).with("x-request-id", mark).with("x-forwarded-for", mark).with("referer", "https://x.test/"+mark),
	}...) {
		conn := w.dial()
		go conn.Write(c.bytes())
		r, _ := readResponse(conn, c.method)
		conn.Close()
		if r.Status == 0 {
			t.Errorf("no answer to %q", c.bytes()[:200])
		}
		fmt.Fprintln(&answered, r.Status, r.Header)
		if r.Status == 200 {
			forwarded++
			continue // the rest is the provider's answer, which is the caller's
		}
		fmt.Fprintln(&answered, r.Body)
	}
	if forwarded < 20 {
		t.Errorf("only %d exchanges were answered: %s", forwarded, &answered)
	}
	// A stream that is cut, by the end of its credential.
	cut := w.open(call{auth: []string{token}, body: body(provider.ModelLong, streamed)})
	cut.until("line")
	must(t, app.RevokeToken(ctx, w.app.Store(), w.cfg.Identity, core.Revocation{TokenID: tokenID}))
	cut.until("[DONE]")
	cut.close()
	if n := w.refusals(core.ReasonInvalidCredential); n < 3 {
		t.Errorf("the audit has %d refusals of invalid credentials", n)
	}
	eventually(t, "every exchange is closed", func() bool { return w.metric("plumbline_streams_open") == 0 })

	places := map[string][]byte{
		"the answers": answered.Bytes(), "the metrics": []byte(w.metrics()), "Envoy's log": w.envoy.Log(), "health": []byte(w.ops("/healthz") + w.ops("/readyz")),
	}
	files := func(when string) {
		must(t, filepath.WalkDir(w.cfg.DataDir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() || d.Name() == "provider-key" {
				return err
			}
			data, err := os.ReadFile(path)
			places[d.Name()+" "+when] = data
			return err
		}))
	}
	files("while it runs")
	w.stop()
	files("after the end")
	must(t, w.envoy.Stop()) // writes out the access log
	accessLog, err := os.ReadFile(w.envoy.AccessLog)
	must(t, err)
	places["the access log"], places["Plumbline's log"] = accessLog, []byte(w.log.String())
	for _, name := range []string{"audit.db while it runs", "audit.db-wal while it runs", "plumbline.db after the end", "the access log", "the metrics", "Plumbline's log"} {
		if len(places[name]) < 200 {
			t.Errorf("%s has %d bytes: there is little to look into", name, len(places[name]))
		}
	}
	for place, content := range places {
		for what, secret := range secrets {
			if at := bytes.Index(content, []byte(secret)); at >= 0 {
				t.Errorf("%s holds %s: …%q…", place, what, content[max(0, at-80):min(len(content), at+80)])
			}
		}
	}
}

// markedKinds are calls to every kind of endpoint with a mark in all that can hold text: ones that pass, one that is off
// task, one that is not understood, one to the provider's errors.
func (w *world) markedKinds(mark string) []call {
	prompt := onTask + " The customer's password is " + mark + "."
	var calls []call
	post := func(path string, body map[string]any) {
		data, err := json.Marshal(body)
		must(w.t, err)
		calls = append(calls, call{path: path, auth: []string{w.key}, body: string(data)})
	}
	for _, k := range []struct {
		path, model, prompt string
		more                map[string]any
	}{
		{"/v1/responses", "gpt-4o", "input", map[string]any{"instructions": prompt, "metadata": map[string]string{"note": mark}}},
		{"/v1/responses", "gpt-4o", "input", map[string]any{"stream": true, "max_output_tokens": 20}},
		{"/v1/completions", "gpt-3.5-turbo-instruct", "prompt", map[string]any{"suffix": mark}},
		{"/v1/completions", "gpt-3.5-turbo-instruct", "prompt", map[string]any{"stream": true}},
		{"/v1/embeddings", "text-embedding-3-small", "input", map[string]any{"user": mark}},
		{"/v1/moderations", "omni-moderation-latest", "input", nil},
		{"/v1/images/generations", "gpt-image-1-mini", "prompt", map[string]any{"quality": "low", "size": "1024x1024"}},
		{"/v1/images/generations", "gpt-image-1-mini", "prompt", map[string]any{"stream": true}},
		{"/v1/audio/speech", "tts-1", "input", map[string]any{"voice": "alloy"}},
		{"/v1/audio/speech", "gpt-4o-mini-tts", "input", map[string]any{"voice": "alloy", "instructions": prompt, "stream_format": "sse"}},
	} {
		body := map[string]any{"model": k.model, k.prompt: prompt}
		maps.Copy(body, k.more)
		post(k.path, body)
		body[k.prompt] = otherTask + mark
		post(k.path, body)
		body[k.prompt], body[mark+" x"] = prompt, mark
		post(k.path, body)
		post(k.path, map[string]any{"model": "o3", k.prompt: prompt})
		post(k.path, map[string]any{"model": "gpt-none", k.prompt: prompt})
	}
	for _, f := range []struct{ path, model, file string }{
		{"/v1/audio/transcriptions", "gpt-4o-transcribe", "file"},
		{"/v1/audio/translations", "whisper-1", "file"},
		{"/v1/images/edits", "gpt-image-1-mini", "image"},
		{"/v1/files", "", "file"},
	} {
		for _, fields := range [][2]string{
			{"prompt", prompt}, {"prompt", otherTask + mark}, {mark + " x", mark}, {"purpose", "user_data"}, {"purpose", mark}, {"stream", "true"}, {"language", mark},
		} {
			calls = append(calls, w.markedForm(f.path, f.model, f.file, mark, fields))
		}
	}
	for _, path := range []string{"/v1/responses/resp_1?include=" + mark, "/v1/files/file-1?x=" + mark, "/v1/files/file-1/content?x=" + mark} {
		calls = append(calls, call{method: "GET", path: path, auth: []string{w.key}}, call{method: "DELETE", path: path, auth: []string{w.key}})
	}
	return calls
}

// markedForm is a call with a form that has a model, a field, and a file with a mark in its name, its type and its content.
func (w *world) markedForm(path, model, file, mark string, field [2]string) call {
	w.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	if model != "" {
		must(w.t, form.WriteField("model", model))
	}
	must(w.t, form.WriteField(field[0], field[1]))
	part, err := form.CreateFormFile(file, "a "+mark+".wav")
	must(w.t, err)
	_, err = part.Write([]byte("a file of " + mark))
	must(w.t, err)
	must(w.t, form.Close())
	return call{path: path, auth: []string{w.key}, body: body.String()}.with("content-type", form.FormDataContentType())
}
