package e2e

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/ssestream"
	"github.com/openai/openai-go/v3/responses"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/demo/provider"
)

// The official client, unchanged, is served on every endpoint.
func TestSDKOfEveryKind(t *testing.T) {
	t.Parallel()
	w := start(t, setup{provider: provider.Options{Words: words}})
	client := w.sdk(w.key)
	input := responses.ResponseNewParamsInputUnion{OfString: openai.String(onTask)}
	for name, call := range map[string]func(context.Context) (string, error){
		"responses": func(ctx context.Context) (string, error) {
			answer, err := client.Responses.New(ctx, responses.ResponseNewParams{Model: "gpt-4o-mini", Input: input})
			if err != nil {
				return "", err
			}
			return answer.OutputText(), nil
		},
		"responses, streamed": func(ctx context.Context) (string, error) {
			return spelled(client.Responses.NewStreaming(ctx, responses.ResponseNewParams{Model: "gpt-4o-mini", Input: input}))
		},
		"completions": func(ctx context.Context) (string, error) {
			answer, err := client.Completions.New(ctx, openai.CompletionNewParams{
				Model: "gpt-3.5-turbo-instruct", Prompt: openai.CompletionNewParamsPromptUnion{OfString: openai.String(onTask)},
			})
			if err != nil {
				return "", err
			}
			return answer.Choices[0].Text, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := call(t.Context()); err != nil || got != provider.Text(words) {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	embedding, err := client.Embeddings.New(t.Context(), openai.EmbeddingNewParams{
		Model: "text-embedding-3-small", Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{onTask, onTask}},
	})
	if err != nil || len(embedding.Data) != 2 || embedding.Usage.PromptTokens != 2*promptWords {
		t.Errorf("embeddings: %+v, %v", embedding, err)
	}
	moderation, err := client.Moderations.New(t.Context(), openai.ModerationNewParams{
		Input: openai.ModerationNewParamsInputUnion{OfString: openai.String(onTask)},
	})
	if err != nil || len(moderation.Results) != 1 {
		t.Errorf("moderations: %+v, %v", moderation, err)
	}
	picture, err := client.Images.Generate(t.Context(), openai.ImageGenerateParams{Model: "gpt-image-1-mini", Prompt: onTask, N: openai.Int(2)})
	if err != nil || len(picture.Data) != 2 {
		t.Errorf("pictures: %+v, %v", picture, err)
	}
	speech, err := client.Audio.Speech.New(t.Context(), openai.AudioSpeechNewParams{
		Model: "tts-1", Input: onTask, Voice: openai.AudioSpeechNewParamsVoiceUnion{OfString: openai.String("alloy")},
	})
	must(t, err)
	defer speech.Body.Close()
	if sound, err := io.ReadAll(speech.Body); err != nil || len(sound) != 100*len(onTask) {
		t.Errorf("speech: %d bytes, %v", len(sound), err)
	}
}

// spelled is the text that the deltas of a response spell.
func spelled(stream *ssestream.Stream[responses.ResponseStreamEventUnion]) (string, error) {
	defer stream.Close()
	var text strings.Builder
	for stream.Next() {
		if e := stream.Current(); e.Type == "response.output_text.delta" {
			text.WriteString(e.Delta)
		}
	}
	return text.String(), stream.Err()
}

// A response that runs out of quota in mid-stream ends for the official client as one that reached its maximum.
func TestSDKResponseThatIsCut(t *testing.T) {
	t.Parallel()
	const limits = objects + "limits:\n  - {id: ann-day, scope: user, subject: ann, dimension: output_tokens, window: day, value: 1100}\n"
	w := start(t, setup{objects: limits, provider: provider.Options{Words: 4000}})
	client := w.sdk(w.key)
	var head *http.Response
	stream := client.Responses.NewStreaming(t.Context(), responses.ResponseNewParams{
		Model: "gpt-4o-mini", Input: responses.ResponseNewParamsInputUnion{OfString: openai.String(onTask)},
	}, option.WithResponseInto(&head))
	defer stream.Close()
	var last responses.ResponseStreamEventUnion
	for stream.Next() {
		last = stream.Current()
	}
	if stream.Err() != nil || last.Type != "response.incomplete" || last.Response.IncompleteDetails.Reason != "max_output_tokens" {
		t.Errorf("the last event is %s (%+v), %v", last.Type, last.Response.IncompleteDetails, stream.Err())
	}
	requests := w.provider.Requests()
	if len(requests) != 1 || strings.Contains(string(requests[0].Body), "stream_options") {
		t.Errorf("the provider received %s", requests[0].Body)
	}
	_, outcome := w.outcome(head.Header.Get("x-plumbline-request-id"))
	if used := outcome.Settled.OutputTokens; outcome.Finish != core.FinishCut || used > 1100 || used < 512 {
		t.Errorf("ended as %s, charged %d tokens", outcome.Finish, used)
	}
}
