package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/packages/param"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/demo/provider"
	"github.com/plumbline/plumbline/internal/testkit"
)

// uploads reports whether what was recorded is a form, which recordings leave out.
func uploads(r testkit.Recording) bool {
	return strings.HasPrefix(r.Request.Header.Get("Content-Type"), "multipart/")
}

// formBody writes a form. A field whose name ends in "@" is a file.
func formBody(t testing.TB, boundary string, fields ...string) string {
	t.Helper()
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	if err := form.SetBoundary(boundary); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		create := form.CreateFormField
		name, isFile := strings.CutSuffix(fields[i], "@")
		if isFile {
			create = func(name string) (io.Writer, error) { return form.CreateFormFile(name, "a.bin") }
		}
		part, err := create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(part, fields[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// form sends a form under ann's key.
func (w *world) form(path, boundary, body string) response {
	w.t.Helper()
	req := w.request(http.MethodPost, path, body)
	req.Header.Set("content-type", "multipart/form-data; boundary="+boundary)
	return w.do(req)
}

// Recorded answers to audio, through the whole path: the caller gets the recorded bytes, and the audit's usage is the
// recorded one. The forms were not recorded; theirs are made here, with the recorded boundary.
func TestRecordedForms(t *testing.T) {
	t.Parallel()
	recorded := &replay{}
	upstream := httptest.NewServer(recorded)
	t.Cleanup(upstream.Close)
	w := start(t, setup{upstream: upstream.URL})
	seen := 0
	for _, r := range testkit.Recordings(t, testkit.SharedData(t, "openai-recordings", "ai-gateway")) {
		if !uploads(r) {
			continue
		}
		seen++
		t.Run(r.Name, func(t *testing.T) {
			w := w.in(t)
			recorded.set(r)
			_, params, err := mime.ParseMediaType(r.Request.Header.Get("Content-Type"))
			if err != nil {
				t.Fatal(err)
			}
			body := formBody(t, params["boundary"], "model", "whisper-1", "file@", strings.Repeat("a\r\n-", 60_000))
			got := w.form(r.Request.Path, params["boundary"], body)
			if forwarded, n := recorded.seen(); n != 1 || string(forwarded) != body {
				t.Errorf("the provider received %d requests, the last of %d bytes", n, len(forwarded))
			}
			if got.Status != http.StatusOK || got.Body != string(r.Response.Body) {
				t.Fatalf("status %d: %s", got.Status, got.Body)
			}
			intent, outcome := w.outcome(got.Exchange)
			if recorded := recordedSeconds(t, r.Response.Body); recorded > 0 {
				if diff := gocmp.Diff(core.Usage{AudioMillis: recorded * 1000}, *outcome.Usage); diff != "" {
					t.Errorf("the audit's usage (-recorded +got):\n%s", diff)
				}
			} else if !outcome.Usage.Estimated || outcome.Usage.AudioMillis == 0 {
				t.Errorf("the audit estimates %+v of an answer that does not say", *outcome.Usage)
			}
			if c := outcome.Settled.Cost; c <= 0 || c > intent.Reserved.Cost {
				t.Errorf("charged %s of the %s that were reserved", c, intent.Reserved.Cost)
			}
		})
	}
	if seen != 2 {
		t.Errorf("%d recordings", seen)
	}
}

// recordedSeconds is how long the audio of a recorded answer was, 0 if it does not say.
func recordedSeconds(t testing.TB, answer []byte) int64 {
	t.Helper()
	var a struct {
		Usage struct {
			Seconds int64 `json:"seconds"`
		} `json:"usage"`
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		t.Fatal(err)
	}
	return a.Usage.Seconds
}

// formKind is a form to one endpoint, and what it comes to.
type formKind struct {
	name, path string
	fields     []string // without the prompt
	says       string
	usage      core.Usage
	opaque     []string
	cost       core.MicroUSD
}

// sound is ten seconds by the stand-in's count.
var sound = strings.Repeat("~", 40_000)

func formKinds() []formKind {
	const mini = "gpt-image-1-mini"
	octets := []string{"application/octet-stream"}
	written := core.Usage{InputTokens: promptWords + 100, AudioInputTokens: 100, OutputTokens: words}
	picture := core.Usage{InputTokens: promptWords, OutputTokens: 272, Images: 1}
	writtenCost := core.MicroUSD((promptWords*2_500_000 + 100*6_000_000 + words*10_000_000 + 999_999) / 1_000_000)
	return []formKind{
		{"transcription", "/v1/audio/transcriptions", []string{"model", "whisper-1", "file@", sound}, provider.Text(words), core.Usage{AudioMillis: 10_000}, octets, 1000},
		{"translation", "/v1/audio/translations", []string{"model", "whisper-1", "file@", sound}, provider.Text(words), core.Usage{AudioMillis: 10_000}, octets, 1000},
		{"transcription by tokens", "/v1/audio/transcriptions", []string{"file@", sound, "model", "gpt-4o-transcribe"}, provider.Text(words), written, octets, writtenCost},
		{"transcription streamed", "/v1/audio/transcriptions", []string{"stream", "true", "file@", sound, "model", "gpt-4o-transcribe"}, "transcript.text.done", written, octets, writtenCost},
		{"picture changed", "/v1/images/edits", []string{"model", mini, "image[]@", "x", "image[]@", "y", "size", "1024x1024"}, "b64_json", picture, octets, cost(picture, 2_000_000, 8_000_000)},
		{"picture changed, streamed", "/v1/images/edits", []string{"model", mini, "image@", "x", "stream", "true", "partial_images", "1"}, "image_edit.completed", picture, octets, cost(picture, 2_000_000, 8_000_000)},
	}
}

// Each kind of form is governed: its prompt judged before the provider sees it, its bytes forwarded as they are, its usage
// and cost in the audit and within what was reserved.
func TestEveryFormIsGoverned(t *testing.T) {
	t.Parallel()
	w := start(t, setup{provider: provider.Options{Words: words}})
	for _, k := range formKinds() {
		t.Run(k.name, func(t *testing.T) {
			w := w.in(t)
			body := formBody(t, "aB3", append(k.fields, "prompt", onTask)...)
			got := w.form(k.path, "aB3", body)
			if got.Status != http.StatusOK || !strings.Contains(got.Body, k.says) {
				t.Fatalf("status %d: %s", got.Status, got.Body)
			}
			requests := w.provider.Requests()
			if last := requests[len(requests)-1]; string(last.Body) != body || last.Path != k.path {
				t.Errorf("the provider received %d bytes at %s", len(last.Body), last.Path)
			}
			w.governed(got.Exchange, k.usage, k.cost, k.opaque)
		})
	}
}

// What leans too far, or could be read in two ways, is stopped before the provider is asked.
func TestFormsAreStopped(t *testing.T) {
	t.Parallel()
	w := start(t, setup{policy: allowAll + "deviation: {warn: 0.5, block: 0.7, enforce_uncalibrated: true}\n"})
	const off = "Write a cover letter for my application as a pastry chef and list the best video games of this year."
	for _, k := range formKinds() {
		t.Run(k.name, func(t *testing.T) {
			w := w.in(t)
			got := w.form(k.path, "aB3", formBody(t, "aB3", append(k.fields, "prompt", off)...))
			offTask.at("prompt").check(t, got)
			w.denied(got.Exchange)

			good := formBody(t, "aB3", append(k.fields, "prompt", onTask)...)
			for name, tt := range map[string]struct {
				boundary, body string
				fate           refusal
			}{
				"a second prompt":     {"aB3", formBody(t, "aB3", append(k.fields, "prompt", onTask, "prompt", off)...), badBody.at("prompt")},
				"an epilogue":         {"aB3", good + "--aB3\r\n", badBody},
				"bare LF":             {"aB3", strings.ReplaceAll(good, "\r\n", "\n"), badBody},
				"another boundary":    {"aB4", good, badBody},
				"an encoded boundary": {"aB3; boundary*0=aB4", good, badMedia},
				"an unknown field":    {"aB3", formBody(t, "aB3", append(k.fields, "prompt", onTask, "more", off)...), badParameter.at("more")},
				"an encoded field":    {"aB3", strings.Replace(good, "; name=\"prompt\"\r\n", "; name=\"prompt\"\r\nContent-Transfer-Encoding: base64\r\n", 1), badBody},
			} {
				t.Run(name, func(t *testing.T) {
					tt.fate.check(t, w.in(t).form(k.path, tt.boundary, tt.body))
				})
			}
			req := w.request(http.MethodPost, k.path, `{"model":"whisper-1"}`)
			badMedia.check(t, w.do(req))
		})
	}
	if n := w.provider.Total(); n != 0 {
		t.Errorf("the provider received %d requests", n)
	}
}

// The official client's forms are understood, up to the largest body that Envoy passes on.
func TestSDKForms(t *testing.T) {
	t.Parallel()
	w := start(t, setup{provider: provider.Options{Words: words}})
	client := w.sdk(w.key)
	file := openai.File(bytes.NewReader(bytes.Repeat([]byte("\r\n--x"), 4<<20)), "a meeting.wav", "audio/wav") // 24 MiB
	text, err := client.Audio.Transcriptions.New(context.Background(), openai.AudioTranscriptionNewParams{
		File: file, Model: "whisper-1", Prompt: param.NewOpt(onTask), Language: param.NewOpt("en"), TimestampGranularities: []string{"word"},
		ResponseFormat: "verbose_json",
	})
	if err != nil || text.Text != provider.Text(words) {
		t.Errorf("%+v, %v", text, err)
	}
	picture, err := client.Images.Edit(context.Background(), openai.ImageEditParams{
		Image:  openai.ImageEditParamsImageUnion{OfFile: openai.File(strings.NewReader("x"), "a.png", "image/png")},
		Prompt: onTask, Model: "gpt-image-1-mini", N: param.NewOpt[int64](2),
	})
	if err != nil || len(picture.Data) != 2 {
		t.Errorf("%+v, %v", picture, err)
	}
	too := w.form("/v1/audio/transcriptions", "aB3", formBody(t, "aB3", "model", "whisper-1", "file@", strings.Repeat("~", 32<<20)))
	if tooLarge.check(t, too); w.provider.Total() != 2 {
		t.Errorf("the provider received %s", fmt.Sprint(w.provider.Total(), " requests"))
	}
}
