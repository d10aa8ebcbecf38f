package e2e

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/conversations"
	"github.com/openai/openai-go/v3/responses"
)

// The official client works with objects as it would at the provider, and is told of another's as of one that is not there.
func TestSDKObjects(t *testing.T) {
	t.Parallel()
	_, upstream := newAccount(t)
	w := start(t, setup{upstream: upstream, policy: takesFiles})
	ann, ben := w.sdk(w.key), w.sdk(w.newKey("helpdesk", "ben"))
	ctx := t.Context()

	question := responses.ResponseNewParams{
		Model: "gpt-4o-mini", Input: responses.ResponseNewParamsInputUnion{OfString: openai.String(onTask)}, MaxOutputTokens: openai.Int(50),
	}
	first, err := ann.Responses.New(ctx, question)
	must(t, err)
	conversation, err := ann.Conversations.New(ctx, conversations.ConversationNewParams{})
	must(t, err)
	file, err := ann.Files.New(ctx, openai.FileNewParams{File: strings.NewReader("words"), Purpose: openai.FilePurposeUserData})
	must(t, err)

	question.PreviousResponseID = openai.String(first.ID)
	second, err := ann.Responses.New(ctx, question)
	must(t, err)
	_, err = ann.Responses.Get(ctx, second.ID, responses.ResponseGetParams{Include: []responses.ResponseIncludable{responses.ResponseIncludableReasoningEncryptedContent}})
	must(t, err)
	_, err = ann.Conversations.Get(ctx, conversation.ID)
	must(t, err)
	content, err := ann.Files.Content(ctx, file.ID)
	must(t, err)
	content.Body.Close()
	if got := filesOf(t, ann); len(got) != 1 || got[0] != file.ID {
		t.Errorf("ann sees the files %v", got)
	}

	if got := filesOf(t, ben); len(got) != 0 {
		t.Errorf("ben sees the files %v", got)
	}
	missing := map[string]error{}
	_, missing["previous_response_not_found"] = ben.Responses.New(ctx, question)
	_, missing["response"] = ben.Responses.Get(ctx, first.ID, responses.ResponseGetParams{})
	missing["deleting a response"] = ben.Responses.Delete(ctx, first.ID)
	_, missing["conversation"] = ben.Conversations.Get(ctx, conversation.ID)
	_, missing["file"] = ben.Files.Delete(ctx, file.ID)
	for what, err := range missing {
		e := (*openai.Error)(nil)
		if !errors.As(err, &e) || e.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %v, want 404", what, err)
		} else if strings.Contains(what, "_") && (e.Code != what || e.Param != "previous_response_id") {
			t.Errorf("%s: code %q, param %q", what, e.Code, e.Param)
		}
	}
	must(t, ann.Responses.Delete(ctx, first.ID))
	_, err = ann.Files.Delete(ctx, file.ID)
	must(t, err)
}

// filesOf gives the ids of all files that a client sees, page after page.
func filesOf(t *testing.T, client openai.Client) (ids []string) {
	t.Helper()
	pages := client.Files.ListAutoPaging(t.Context(), openai.FileListParams{})
	for pages.Next() {
		ids = append(ids, pages.Current().ID)
	}
	must(t, pages.Err())
	return ids
}
