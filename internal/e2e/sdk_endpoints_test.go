package e2e

import (
	"bytes"
	"encoding/json"
	"image"
	pngimage "image/png"
	"strings"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/demo/provider"
)

// sdkKind is a call to one endpoint and a part of what the app must get of it.
type sdkKind struct {
	name string
	call sdkCall
	says string
}

// A recording and a picture, as far as anybody here looks into them.
var (
	sdkSound   = map[string]sdkFile{"file": {Name: "call.wav", Type: "audio/wav", Data: bytes.Repeat([]byte("~"), 12_000)}}
	sdkPicture = map[string]sdkFile{"image": {Name: "bill.png", Type: "image/png", Data: png()}}
)

// sdkKinds are calls to every endpoint that is governed, as a whole and as a stream where there is one.
func (w *world) sdkKinds() []sdkKind {
	with := func(c sdkCall, files map[string]sdkFile) sdkCall {
		c.Files = files
		return c
	}
	const answer = "hangs straight from the beam"
	respond := w.sdkCall("responses.create", map[string]any{"model": "gpt-4o-mini", "input": onTask})
	complete := w.sdkCall("completions.create", map[string]any{"model": "gpt-3.5-turbo-instruct", "prompt": onTask, "max_tokens": 20})
	draw := w.sdkCall("images.generate", map[string]any{"model": "gpt-image-1-mini", "prompt": onTask, "quality": "low", "size": "1024x1024"})
	edit := w.sdkCall("images.edit", map[string]any{"model": "gpt-image-1-mini", "prompt": onTask, "quality": "low", "size": "1024x1024"})
	speak := w.sdkCall("audio.speech.create", map[string]any{"model": "tts-1", "voice": "alloy", "input": onTask})
	transcribe := w.sdkCall("audio.transcriptions.create", map[string]any{"model": "gpt-4o-transcribe", "prompt": onTask})
	return []sdkKind{
		{"chat", w.sdkChat(w.key, "gpt-4o-mini", onTask), answer},
		{"chat streamed", w.sdkChat(w.key, "gpt-4o-mini", onTask).streamed(), " straight"},
		{"response", respond, answer},
		{"response streamed", respond.streamed(), "response.completed"},
		{"completion", complete, answer},
		{"completion streamed", complete.streamed(), " straight"},
		{"embedding", w.sdkCall("embeddings.create", map[string]any{"model": "text-embedding-3-small", "input": onTask}), "0.125"},
		{"moderation", w.sdkCall("moderations.create", map[string]any{"model": "omni-moderation-latest", "input": onTask}), "violence"},
		{"picture", draw, "b64_json"},
		{"picture streamed", draw.streamed(), "image_generation.completed"},
		{"picture edited", with(edit, sdkPicture), "b64_json"},
		{"picture edited, streamed", with(edit, sdkPicture).streamed(), "image_edit.completed"},
		{"speech", speak, "~~~~"},
		{"transcript", with(transcribe, sdkSound), answer},
		{"transcript streamed", with(transcribe, sdkSound).streamed(), "transcript.text.done"},
		{"translation", with(w.sdkCall("audio.translations.create", map[string]any{"model": "whisper-1", "prompt": onTask}), sdkSound), answer},
	}
}

// text is all that the app got.
func (r sdkResult) text() string {
	var b strings.Builder
	b.Write(r.Answer)
	b.Write(r.Bytes)
	for _, chunk := range r.Chunks {
		b.Write(chunk)
	}
	return b.String()
}

const sdkMedia = "requests: {inline: [image, audio, file], file_purposes: [user_data], file_ids: true, hosted_tools: [file_search]}\n"

// Every endpoint that is governed serves the clients: the app gets the answer, the provider is asked once under its own key,
// and the audit has what it used.
func TestSDKEndpoints(t *testing.T) {
	s := func(*testing.T) setup { return setup{policy: allowAll + sdkMedia} }
	inEachSDK(t, s, func(t *testing.T, w *world, client sdk) {
		for _, k := range w.sdkKinds() {
			t.Run(k.name, func(t *testing.T) {
				w := w.in(t)
				before := w.provider.Total()
				r := client.make(t, k.call).ok(t)
				if !strings.Contains(r.text(), k.says) {
					t.Errorf("the app gets %s", r.text())
				}
				if n := w.provider.Total() - before; n != 1 || w.provider.Rejected() != 0 {
					t.Errorf("the provider received %d requests, and rejected %d", n, w.provider.Rejected())
				}
				if r.Header["x-plumbline-request-id"] == "" {
					t.Fatalf("the answer names no exchange: %v", r.Header)
				}
				intent, outcome := w.outcome(r.Header["x-plumbline-request-id"])
				if outcome.Finish != core.FinishComplete || intent.Principal.User != "ann" || outcome.Usage == nil {
					t.Errorf("the audit has finish %s, user %s, usage %v", outcome.Finish, intent.Principal.User, outcome.Usage)
				}
				if intent.Reserved == nil || outcome.Settled == nil || outcome.Settled.Cost > intent.Reserved.Cost {
					t.Errorf("the audit reserves %+v and charges %+v", intent.Reserved, outcome.Settled)
				}
			})
		}
	})
}

// Objects that the provider keeps are their maker's: others are told that there are none, as if there were none.
func TestSDKObjectsOfOthers(t *testing.T) {
	s := func(*testing.T) setup { return setup{policy: allowAll + sdkMedia} }
	inEachSDK(t, s, func(t *testing.T, w *world, client sdk) {
		ben := w.newKey("helpdesk", "ben")
		made := func(t *testing.T, c sdkCall) (id string) {
			t.Helper()
			var object struct{ ID string }
			must(t, json.Unmarshal(client.make(t, c).ok(t).Answer, &object))
			return object.ID
		}
		on := func(method, key, id string) sdkCall {
			c := w.sdkCall(method, nil)
			c.Key, c.Args = key, []string{id}
			return c
		}
		none := func(code, param string) sdkError {
			return sdkError{404, "invalid_request_error", code, param, "", 1}
		}
		t.Run("responses", func(t *testing.T) {
			w := w.in(t)
			first := w.sdkCall("responses.create", map[string]any{"model": "gpt-4o-mini", "input": onTask})
			id := made(t, first)
			if r := client.make(t, on("responses.retrieve", w.key, id)).ok(t); !strings.Contains(r.text(), id) {
				t.Errorf("its maker gets %s", r.text())
			}
			next := first
			next.Body = map[string]any{"model": "gpt-4o-mini", "input": onTask, "previous_response_id": id}
			client.make(t, next).ok(t)
			next.Key = ben
			none("previous_response_not_found", "previous_response_id").check(t, w, client, next)
			none("object_not_found", "").check(t, w, client, on("responses.retrieve", ben, id))
			none("object_not_found", "").check(t, w, client, on("responses.retrieve", w.key, "resp_nothing"))
			none("object_not_found", "").check(t, w, client, on("responses.delete", ben, id))
			client.make(t, on("responses.delete", w.key, id)).ok(t)
			none("object_not_found", "").check(t, w, client, on("responses.retrieve", w.key, id))
		})
		t.Run("files", func(t *testing.T) {
			w := w.in(t)
			upload := w.sdkCall("files.create", map[string]any{"purpose": "user_data"})
			upload.Files = map[string]sdkFile{"file": {Name: "bill.txt", Type: "text/plain", Data: []byte(onTask)}}
			id := made(t, upload)
			if r := client.make(t, on("files.content", w.key, id)).ok(t); r.text() != onTask {
				t.Errorf("its maker gets %q", r.text())
			}
			client.make(t, on("files.retrieve", w.key, id)).ok(t)
			none("object_not_found", "").check(t, w, client, on("files.content", ben, id))
			none("object_not_found", "").check(t, w, client, on("files.retrieve", ben, id))
			none("object_not_found", "").check(t, w, client, on("files.delete", ben, id))
			client.make(t, on("files.delete", w.key, id)).ok(t)
			upload.Body["purpose"] = "batch"
			sdkError{400, "invalid_request_error", "unsupported_parameter", "purpose", "", 1}.check(t, w, client, upload)
		})
		t.Run("vector stores", func(t *testing.T) { w.in(t).sdkStores(t, client, ben, made, none) })
	})
}

// A stream of a response that quota cuts is an incomplete one for the client, without an error, also where the provider goes on
// for longer than it is granted after the cut, and both sides are reset.
func TestSDKResponseCutByQuota(t *testing.T) {
	s := func(*testing.T) setup {
		return setup{
			objects:  limited("id: stream, scope: user, subject: ann, dimension: output_tokens, window: day, value: 1500"),
			provider: provider.Options{Words: provider.LongWords, ChunkPause: 500 * time.Microsecond},
			settings: map[string]string{"extproc.cut_grace": "200ms"},
		}
	}
	inEachSDK(t, s, func(t *testing.T, w *world, client sdk) {
		r := client.make(t, w.sdkCall("responses.create", map[string]any{"model": "gpt-4o-mini", "input": onTask}).streamed()).ok(t)
		var last struct {
			Type     string
			Response struct {
				Status            string
				IncompleteDetails struct{ Reason string } `json:"incomplete_details"`
				Plumbline         struct{ Reason core.Reason }
			}
			Plumbline struct{ Reason core.Reason }
		}
		must(t, json.Unmarshal(r.Chunks[len(r.Chunks)-1], &last))
		if last.Type != "response.incomplete" || last.Response.Status != "incomplete" || last.Response.IncompleteDetails.Reason != "max_output_tokens" {
			t.Errorf("the last event is %s", r.Chunks[len(r.Chunks)-1])
		}
		if n := len(r.Chunks); n < 100 || n > 1510 {
			t.Errorf("the app gets %d events", n)
		}
		if !strings.Contains(string(r.Chunks[len(r.Chunks)-1]), string(core.ReasonQuotaExhausted)) {
			t.Errorf("the app is not told why: %s", r.Chunks[len(r.Chunks)-1])
		}
		if _, outcome := w.outcome(r.Header["x-plumbline-request-id"]); outcome.Finish != core.FinishCut || outcome.Reason != core.ReasonQuotaExhausted {
			t.Errorf("the audit has finish %s, reason %s", outcome.Finish, outcome.Reason)
		}
		if n := w.received(); n != 1 {
			t.Errorf("the client made %d attempts", n)
		}
	})
}

// png is a picture of one grey point.
func png() []byte {
	var b bytes.Buffer
	if err := pngimage.Encode(&b, image.NewGray(image.Rect(0, 0, 1, 1))); err != nil {
		panic(err) // nothing that can fail
	}
	return b.Bytes()
}
