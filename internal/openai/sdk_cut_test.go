package openai_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/packages/ssestream"
	"github.com/openai/openai-go/v3/responses"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/openai"
)

// cutStream answers with the head of a stream, which is cut inside the event that follows it.
func cutStream(endpoint, head string, reason core.Reason) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		a := openai.NewAnswer(openai.AnswerOptions{
			Request: &openai.Request{Endpoint: endpoint, Model: "m-1", Stream: true, Choices: 1}, Status: 200, ContentType: "text/event-stream",
		})
		defer a.Close()
		forward, _ := a.Write([]byte(head+`data: {"type":"never`), false)
		w.Write(forward)
		w.Write(a.Cut(reason))
	}
}

// drain reads a stream to its end.
func drain[T any](t *testing.T, s *ssestream.Stream[T]) (all []T) {
	t.Helper()
	for s.Next() {
		all = append(all, s.Current())
	}
	if err := s.Err(); err != nil {
		t.Errorf("the stream ended with %v", err)
	}
	return all
}

// The SDK reads every kind of stream that was cut as one that ended, without an error.
func TestSDKReadsCutStreamsOfEachKind(t *testing.T) {
	for reason, want := range map[core.Reason][2]string{
		core.ReasonQuotaExhausted: {"max_output_tokens", "length"}, core.ReasonUserBlocked: {"content_filter", "content_filter"},
	} {
		c := client(t, cutStream("responses", "event: response.created\n"+
			`data: {"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object":"response","created_at":7,"model":"m-1","status":"in_progress","output":[]}}`+"\n\n"+
			`data: {"type":"response.output_text.delta","sequence_number":1,"item_id":"i","output_index":0,"content_index":0,"delta":"Hello"}`+"\n\n", reason))
		events := drain(t, c.Responses.NewStreaming(t.Context(), responses.ResponseNewParams{Model: "m-1"}))
		if len(events) != 3 {
			t.Fatalf("%s: %d events", reason, len(events))
		}
		last, ok := events[2].AsAny().(responses.ResponseIncompleteEvent)
		if !ok || last.SequenceNumber != 2 || last.Response.ID != "resp_1" || last.Response.Status != "incomplete" ||
			last.Response.IncompleteDetails.Reason != want[0] || last.Response.Model != "m-1" || last.Response.CreatedAt != 7 {
			t.Errorf("%s: the last event is %s", reason, events[2].RawJSON())
		}
		if !strings.Contains(events[2].RawJSON(), `"plumbline":{"reason":"`+string(reason)+`"}`) {
			t.Errorf("%s: it does not say why: %s", reason, events[2].RawJSON())
		}

		c = client(t, cutStream("completions", `data: {"id":"cmpl-1","object":"text_completion","created":7,"model":"m-1","choices":[{"text":"Hello","index":0,"finish_reason":null}]}`+"\n\n", reason))
		chunks := drain(t, c.Completions.NewStreaming(t.Context(), sdk.CompletionNewParams{Model: "m-1"}))
		if len(chunks) != 2 || string(chunks[1].Choices[0].FinishReason) != want[1] || chunks[1].ID != "cmpl-1" || chunks[1].Choices[0].Text != "" {
			t.Errorf("%s: %d chunks: %+v", reason, len(chunks), chunks)
		}
	}
	for endpoint, head := range map[string]string{
		"images.generations":   `data: {"type":"image_generation.partial_image","b64_json":"AA==","partial_image_index":0}`,
		"audio.transcriptions": `data: {"type":"transcript.text.delta","delta":"Hello"}`,
	} {
		c := client(t, cutStream(endpoint, head+"\n\n", core.ReasonQuotaExhausted))
		var n int
		if endpoint == "images.generations" {
			n = len(drain(t, c.Images.GenerateStreaming(t.Context(), sdk.ImageGenerateParams{Prompt: "x"})))
		} else {
			n = len(drain(t, c.Audio.Transcriptions.NewStreaming(t.Context(), sdk.AudioTranscriptionNewParams{File: strings.NewReader("x"), Model: "m-1"})))
		}
		if n != 1 {
			t.Errorf("%s: %d events, want the one that came before the cut", endpoint, n)
		}
	}
}

// What would tell the SDK of a failure is not how a stream is cut: this is what it does with one.
func TestSDKRaisesOnErrorEvents(t *testing.T) {
	c := client(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Write([]byte("data: {\"error\":{\"message\":\"x\"}}\n\n"))
	})
	s := c.Responses.NewStreaming(t.Context(), responses.ResponseNewParams{Model: "m-1"})
	for s.Next() {
	}
	var raised *ssestream.StreamError
	if !errors.As(s.Err(), &raised) {
		t.Errorf("%v", s.Err())
	}
}
