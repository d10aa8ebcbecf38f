package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/ssestream"
	"github.com/openai/openai-go/v3/realtime"
	"github.com/openai/openai-go/v3/responses"
)

// goSDK makes calls with the official client of Go, in this process.
type goSDK struct{}

// sdk is the official client of Go by itself.
func (w *world) sdk(key string) openai.Client {
	return openai.NewClient(option.WithBaseURL(w.envoy.URL+"/v1"), option.WithAPIKey(key))
}

// class is the same for every status; a connection that failed is the error of net/http.
func (goSDK) class(status int) string {
	if status == 0 {
		return "error"
	}
	return "openai.Error"
}

func (goSDK) make(t testing.TB, c sdkCall) sdkResult {
	t.Helper()
	options := []option.RequestOption{option.WithBaseURL(c.BaseURL), option.WithAPIKey(c.Key)}
	if c.Anonymous {
		options = append(options, option.WithHeaderDel("authorization"))
	}
	if c.MaxRetries != nil {
		options = append(options, option.WithMaxRetries(*c.MaxRetries))
	}
	for name, value := range c.Extra {
		options = append(options, option.WithJSONSet(name, value))
	}
	g := goCall{t: t, ctx: t.Context(), call: c, client: openai.NewClient(options...)}
	g.run()
	return g.result
}

// goCall is a call on its way through the typed methods of the client.
type goCall struct {
	t      testing.TB
	ctx    context.Context
	call   sdkCall
	client openai.Client
	result sdkResult
}

func (g *goCall) run() {
	c := &g.client
	switch g.call.Method + map[bool]string{true: " streamed"}[g.call.Stream] {
	case "chat.completions.create":
		goMake(g, c.Chat.Completions.New)
	case "chat.completions.create streamed":
		goStream(g, c.Chat.Completions.NewStreaming)
	case "responses.create":
		goMake(g, c.Responses.New)
	case "responses.create streamed":
		goStream(g, c.Responses.NewStreaming)
	case "responses.retrieve":
		goMake(g, func(ctx context.Context, p responses.ResponseGetParams, o ...option.RequestOption) (*responses.Response, error) {
			return c.Responses.Get(ctx, g.call.Args[0], p, o...)
		})
	case "responses.delete":
		goMake(g, func(ctx context.Context, _ struct{}, o ...option.RequestOption) (*openai.Model, error) {
			return &openai.Model{}, c.Responses.Delete(ctx, g.call.Args[0], o...)
		})
	case "completions.create":
		goMake(g, c.Completions.New)
	case "completions.create streamed":
		goStream(g, c.Completions.NewStreaming)
	case "embeddings.create":
		goMake(g, c.Embeddings.New)
	case "moderations.create":
		goMake(g, c.Moderations.New)
	case "images.generate":
		goMake(g, c.Images.Generate)
	case "images.generate streamed":
		goStream(g, c.Images.GenerateStreaming)
	case "images.edit":
		goMake(g, func(ctx context.Context, p openai.ImageEditParams, o ...option.RequestOption) (*openai.ImagesResponse, error) {
			p.Image = openai.ImageEditParamsImageUnion{OfFile: g.file("image")}
			return c.Images.Edit(ctx, p, o...)
		})
	case "images.edit streamed":
		goStream(g, func(ctx context.Context, p openai.ImageEditParams, o ...option.RequestOption) *ssestream.Stream[openai.ImageEditStreamEventUnion] {
			p.Image = openai.ImageEditParamsImageUnion{OfFile: g.file("image")}
			return c.Images.EditStreaming(ctx, p, o...)
		})
	case "audio.speech.create":
		goFile(g, c.Audio.Speech.New)
	case "audio.transcriptions.create":
		goMake(g, func(ctx context.Context, p openai.AudioTranscriptionNewParams, o ...option.RequestOption) (*openai.AudioTranscriptionNewResponseUnion, error) {
			p.File = g.file("file")
			return c.Audio.Transcriptions.New(ctx, p, o...)
		})
	case "audio.transcriptions.create streamed":
		goStream(g, func(ctx context.Context, p openai.AudioTranscriptionNewParams, o ...option.RequestOption) *ssestream.Stream[openai.TranscriptionStreamEventUnion] {
			p.File = g.file("file")
			return c.Audio.Transcriptions.NewStreaming(ctx, p, o...)
		})
	case "audio.translations.create":
		goMake(g, func(ctx context.Context, p openai.AudioTranslationNewParams, o ...option.RequestOption) (*openai.Translation, error) {
			p.File = g.file("file")
			return c.Audio.Translations.New(ctx, p, o...) //nolint:staticcheck // apps call it
		})
	case "files.create":
		goMake(g, func(ctx context.Context, p openai.FileNewParams, o ...option.RequestOption) (*openai.FileObject, error) {
			p.File = g.file("file")
			return c.Files.New(ctx, p, o...)
		})
	case "files.retrieve":
		goMake(g, func(ctx context.Context, _ struct{}, o ...option.RequestOption) (*openai.FileObject, error) {
			return c.Files.Get(ctx, g.call.Args[0], o...)
		})
	case "files.content":
		goFile(g, func(ctx context.Context, _ struct{}, o ...option.RequestOption) (*http.Response, error) {
			return c.Files.Content(ctx, g.call.Args[0], o...)
		})
	case "files.delete":
		goMake(g, func(ctx context.Context, _ struct{}, o ...option.RequestOption) (*openai.FileDeleted, error) {
			return c.Files.Delete(ctx, g.call.Args[0], o...)
		})
	case "models.retrieve":
		goMake(g, func(ctx context.Context, _ struct{}, o ...option.RequestOption) (*openai.Model, error) {
			return c.Models.Get(ctx, g.call.Args[0], o...)
		})
	case "realtime.clientSecrets.create":
		goMake(g, func(ctx context.Context, p realtime.ClientSecretNewParams, o ...option.RequestOption) (*realtime.ClientSecretNewResponse, error) {
			return c.Realtime.ClientSecrets.New(ctx, p, o...)
		})
	default:
		if !g.stores() {
			g.t.Fatalf("the Go client is not called by %s", g.call.Method)
		}
	}
}

// file is a file of the call as the client takes it.
func (g *goCall) file(field string) io.Reader {
	f := g.call.Files[field]
	return openai.File(bytes.NewReader(f.Data), f.Name, f.Type)
}

// params reads the fields of the call into the client's own type.
func params[P any](g *goCall) P {
	g.t.Helper()
	var p P
	data, err := json.Marshal(g.call.Body)
	must(g.t, err)
	if g.call.Body != nil {
		must(g.t, json.Unmarshal(data, &p))
	}
	return p
}

func goMake[P any, R interface{ RawJSON() string }](g *goCall, method func(context.Context, P, ...option.RequestOption) (R, error)) {
	var head *http.Response
	answer, err := method(g.ctx, params[P](g), option.WithResponseInto(&head))
	g.end(head, err)
	if err == nil {
		g.result.Answer = json.RawMessage(answer.RawJSON())
	}
}

func goStream[P any, C interface{ RawJSON() string }](g *goCall, method func(context.Context, P, ...option.RequestOption) *ssestream.Stream[C]) {
	var head *http.Response
	stream := method(g.ctx, params[P](g), option.WithResponseInto(&head))
	defer stream.Close()
	for stream.Next() {
		g.result.Chunks = append(g.result.Chunks, json.RawMessage(stream.Current().RawJSON()))
	}
	g.end(head, stream.Err())
}

func goFile[P any](g *goCall, method func(context.Context, P, ...option.RequestOption) (*http.Response, error)) {
	answer, err := method(g.ctx, params[P](g))
	if err == nil {
		defer answer.Body.Close()
		g.result.Bytes, err = io.ReadAll(answer.Body)
	}
	g.end(answer, err)
}

// end keeps the head of the answer and the error, if there is one.
func (g *goCall) end(head *http.Response, err error) {
	if head != nil {
		g.result.Header, g.result.RequestID = headers(head), head.Header.Get("x-request-id")
	}
	if err == nil {
		return
	}
	g.result.Error = &sdkFailure{Class: "error", Text: err.Error()}
	var e *openai.Error
	if !errors.As(err, &e) {
		return
	}
	f := g.result.Error
	f.Class, f.Status, f.Type, f.Code, f.Param = "openai.Error", e.StatusCode, e.Type, e.Code, e.Param
	f.Header, f.RequestID = headers(e.Response), e.Response.Header.Get("x-request-id")
	if raw := e.RawJSON(); raw != "" {
		must(g.t, json.Unmarshal([]byte(raw), &f.Object))
	}
}

// headers gives the headers of an answer with names in lower case.
func headers(r *http.Response) map[string]string {
	all := map[string]string{}
	for name := range r.Header {
		all[strings.ToLower(name)] = r.Header.Get(name)
	}
	return all
}
