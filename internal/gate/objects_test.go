package gate_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/gate"
	"github.com/plumbline/plumbline/internal/gate/gatetest"
	"github.com/plumbline/plumbline/internal/openai"
	"github.com/plumbline/plumbline/internal/quota"
)

// call is a request of somebody's.
type call struct {
	as, method, path, body string
	contentType            string // JSON if empty
}

// sent opens and admits a call.
func (c call) sent(ctx context.Context, w *gatetest.World) (*gate.Exchange, gate.Admission, *openai.Reply) {
	head := gate.Head{Method: c.method, Path: c.path, Authorization: []string{c.as}, ContentLength: int64(len(c.body)), ContentType: c.contentType}
	if c.body != "" && c.contentType == "" {
		head.ContentType = jsonType
	}
	x, reply := w.Gate.Open(ctx, head)
	if reply != nil {
		return x, gate.Admission{}, reply
	}
	a, reply := x.Admit(ctx, []byte(c.body))
	return x, a, reply
}

// answered sends a call that must pass, and gives what its caller sees of the provider's answer.
func (c call) answered(t testing.TB, w *gatetest.World, status int, contentType, answer string) string {
	t.Helper()
	x, _, reply := c.sent(t.Context(), w)
	if reply != nil {
		t.Fatalf("%s %s of %q: refused: %d %s", c.method, c.path, c.as, reply.Status, reply.Body)
	}
	if _, reply := x.ObserveHead(t.Context(), gate.AnswerHead{Status: status, ContentType: contentType}, false); reply != nil {
		return string(reply.Body)
	}
	return string(observed(t, x, []byte(answer), true))
}

// refused sends a call that must not pass.
func (c call) refused(t testing.TB, w *gatetest.World, status int, reason core.Reason) string {
	t.Helper()
	x, _, reply := c.sent(t.Context(), w)
	refusedWith(t, reply, status, reason)
	x.Close(t.Context(), core.FinishInterrupted)
	return string(reply.Body)
}

func respond(more string) string {
	return fmt.Sprintf(`{"model":"gpt-4o-mini","input":%q%s}`, question, more)
}

// responded is a whole answer to it.
func responded(id string, input, output int) string {
	return fmt.Sprintf(`{"id":%q,"object":"response","created_at":1,"status":"completed","model":"gpt-4o-mini-2024-07-18","output":[{"type":"message",`+
		`"role":"assistant","content":[{"type":"output_text","text":"All is well with the tickets."}]}],`+
		`"usage":{"input_tokens":%d,"output_tokens":%d,"total_tokens":%d}}`, id, input, output, input+output)
}

const others = gatetest.OtherCredential

var (
	resp1 = core.ObjectRef{Kind: core.ObjectResponse, ID: "resp_1"}
	conv1 = core.ObjectRef{Kind: core.ObjectConversation, ID: "conv_1"}
	file1 = core.ObjectRef{Kind: core.ObjectFile, ID: "file-1"}
)

// Whatever the path or body names belongs to whoever made it. To all others it is not there, whether it is or not.
func TestObjectsAreForTheirOwner(t *testing.T) {
	for _, tt := range []struct {
		ref  core.ObjectRef
		call call
	}{
		{file1, call{method: "GET", path: "/v1/files/file-1"}},
		{file1, call{method: "GET", path: "/v1/files/file-1/content"}},
		{file1, call{method: "GET", path: "/v1/files?after=file-1"}},
		{file1, call{method: "DELETE", path: "/v1/files/file-1"}},
		{resp1, call{method: "GET", path: "/v1/responses/resp_1?include[]=reasoning.encrypted_content"}},
		{resp1, call{method: "GET", path: "/v1/responses/resp_1/input_items?limit=2"}},
		{resp1, call{method: "POST", path: "/v1/responses/resp_1/cancel"}},
		{resp1, call{method: "DELETE", path: "/v1/responses/resp_1"}},
		{resp1, call{method: "POST", path: "/v1/responses", body: respond(`,"previous_response_id":"resp_1"`)}},
		{conv1, call{method: "POST", path: "/v1/responses", body: respond(`,"conversation":"conv_1"`)}},
		{conv1, call{method: "POST", path: "/v1/responses", body: respond(`,"conversation":{"id":"conv_1"}`)}},
		{conv1, call{method: "GET", path: "/v1/conversations/conv_1"}},
		{conv1, call{method: "POST", path: "/v1/conversations/conv_1", body: `{"metadata":{"a":"b"}}`}},
		{conv1, call{method: "GET", path: "/v1/conversations/conv_1/items?after=msg_1&order=asc"}},
		{conv1, call{method: "GET", path: "/v1/conversations/conv_1/items/msg_1"}},
		{conv1, call{method: "DELETE", path: "/v1/conversations/conv_1/items/msg_1"}},
		{conv1, call{method: "DELETE", path: "/v1/conversations/conv_1"}},
	} {
		t.Run(tt.call.method+" "+tt.call.path+tt.call.body, func(t *testing.T) {
			owners := map[string]core.Owner{
				gatetest.Credential: {User: gatetest.User}, others: {User: gatetest.OtherUser}, gatetest.AppCredential: {App: gatetest.App},
			}
			for as, owner := range owners {
				w := gatetest.New(t, gatetest.Options{})
				w.SetObject(core.OwnedObject{ObjectRef: tt.ref, Owner: owner, App: gatetest.App})
				absent := gatetest.New(t, gatetest.Options{})
				for other := range owners {
					c := tt.call
					if c.as = other; other == as {
						x, _, reply := c.sent(t.Context(), w)
						if reply != nil {
							t.Errorf("%v is refused its own: %d %s", owner, reply.Status, reply.Body)
						}
						x.Close(t.Context(), core.FinishInterrupted)
						if rec := w.Record(t, core.RecordIntent); !slices.Equal(rec.Objects, []core.ObjectRef{tt.ref}) {
							t.Errorf("the record names %v", rec.Objects)
						}
						continue
					}
					foreign, missing := c.refused(t, w, 404, core.ReasonObjectNotFound), c.refused(t, absent, 404, core.ReasonObjectNotFound)
					if withoutID(foreign) != withoutID(missing) {
						t.Errorf("another's and nobody's can be told apart:\n%s\n%s", foreign, missing)
					}
				}
				for _, rec := range absent.Records() {
					if rec.Kind != core.RecordDeny || !slices.Equal(rec.Objects, []core.ObjectRef{tt.ref}) || rec.Reason != core.ReasonObjectNotFound {
						t.Errorf("a refusal is recorded as %+v", rec)
					}
				}
			}
		})
	}
}

// withoutID takes the exchange's id out of an error.
func withoutID(body string) string {
	before, rest, _ := strings.Cut(body, `"request_id":"`)
	_, after, _ := strings.Cut(rest, `"`)
	return before + after
}

// What an answer makes is its caller's before its last byte is let go, also when the caller leaves before.
func TestAnswersMakeOwners(t *testing.T) {
	stream := "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_1\",\"status\":\"in_progress\"}}\n\n"
	rest := "event: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":1,\"response\":" + responded("resp_1", 20, 7) + "}\n\n"
	for name, tt := range map[string]struct {
		call   call
		kind   string
		pieces []string
		leaves bool // the caller, after the last of pieces
		ref    core.ObjectRef
		tokens int64 // -1: some bound
	}{
		"response":           {call: call{path: "/v1/responses", body: respond("")}, kind: jsonType, pieces: []string{responded("resp_1", 20, 7)}, ref: resp1, tokens: 27},
		"response in pieces": {call: call{path: "/v1/responses", body: respond("")}, kind: jsonType, pieces: strings.SplitAfter(responded("resp_1", 20, 7), ","), ref: resp1, tokens: 27},
		"stream":             {call: call{path: "/v1/responses", body: respond(streaming)}, kind: eventStream, pieces: []string{stream, rest}, ref: resp1, tokens: 27},
		"a stream that is left": {
			call: call{path: "/v1/responses", body: respond(streaming)}, kind: eventStream, pieces: []string{stream}, leaves: true, ref: resp1, tokens: -1,
		},
		"conversation":  {call: call{path: "/v1/conversations", body: `{}`}, kind: jsonType, pieces: []string{`{"id":"conv_1","object":"conversation"}`}, ref: conv1},
		"an empty body": {call: call{path: "/v1/conversations"}, kind: jsonType, pieces: []string{`{"id":"conv_1","object":"conversation"}`}, ref: conv1},
	} {
		t.Run(name, func(t *testing.T) {
			w := gatetest.New(t, gatetest.Options{})
			tt.call.as, tt.call.method = others, "POST"
			x, _, reply := tt.call.sent(t.Context(), w)
			if reply != nil {
				t.Fatalf("refused: %s", reply.Body)
			}
			answers(t, x, tt.kind)
			for i, p := range tt.pieces {
				if o := w.Object(tt.ref); o != (core.OwnedObject{}) {
					t.Errorf("it has an owner before the last piece: %+v", o)
				}
				observed(t, x, []byte(p), i == len(tt.pieces)-1 && !tt.leaves)
			}
			if tt.leaves {
				x.Close(t.Context(), core.FinishInterrupted)
			}
			o := w.Object(tt.ref)
			if o.Owner != (core.Owner{User: gatetest.OtherUser}) || o.App != gatetest.App || o.Team != "support" || o.Created.IsZero() {
				t.Errorf("it belongs to %+v", o)
			}
			if tt.tokens >= 0 && o.Tokens != tt.tokens || tt.tokens < 0 && o.Tokens < 1000 {
				t.Errorf("going on from it takes %d tokens, want %d", o.Tokens, tt.tokens)
			}
			journal := w.Journal()
			own, outcome := slices.Index(journal, "own"), slices.IndexFunc(journal, func(s string) bool { return strings.HasPrefix(s, "outcome") })
			if own < 0 || own > outcome {
				t.Errorf("its owner is kept after the outcome: %q", journal)
			}
			if rec := w.Record(t, core.RecordOutcome); !slices.Equal(rec.Objects, []core.ObjectRef{tt.ref}) {
				t.Errorf("the outcome names %v", rec.Objects)
			}
			quiet(t, w)
		})
	}
}

// What the provider does not keep, or did not make, or Plumbline could not note, is nobody's.
func TestAnswersThatMakeNoOwner(t *testing.T) {
	make1 := call{as: gatetest.Credential, method: "POST", path: "/v1/responses", body: respond("")}
	for name, tt := range map[string]struct {
		body   string
		status int
		answer string
		fail   string
	}{
		"not kept":         {body: respond(`,"store":false`), status: 200, answer: responded("resp_1", 20, 7)},
		"an error":         {body: respond(""), status: 500, answer: responded("resp_1", 20, 7)},
		"no id":            {body: respond(""), status: 200, answer: `{"object":"response"}`},
		"an id of no form": {body: respond(""), status: 200, answer: responded("resp 1 <b>", 20, 7)},
		"not noted":        {body: respond(""), status: 200, answer: responded("resp_1", 20, 7), fail: "own"},
	} {
		t.Run(name, func(t *testing.T) {
			w := gatetest.New(t, gatetest.Options{})
			w.Fail = func(_ context.Context, step string) error {
				if step == tt.fail {
					return gatetest.ErrDown
				}
				return nil
			}
			make1.body = tt.body
			make1.answered(t, w, tt.status, jsonType, tt.answer)
			if o := w.Object(resp1); o != (core.OwnedObject{}) {
				t.Errorf("it belongs to %+v", o)
			}
			if failed := w.Failures(t); (failed > 0) != (tt.fail != "" || name == "an id of no form") {
				t.Errorf("%v faults are counted", failed)
			}
			w.Record(t, core.RecordOutcome)
			call{as: gatetest.Credential, method: "GET", path: "/v1/responses/resp_1"}.refused(t, w, 404, core.ReasonObjectNotFound)
			quiet(t, w)
		})
	}
	w := gatetest.New(t, gatetest.Options{})
	make1.body = respond(`,"store":null`) // the provider's default, which is to keep
	make1.answered(t, w, 200, jsonType, responded("resp_1", 20, 7))
	if w.Object(resp1).Owner.User != gatetest.User {
		t.Error("a response that the provider keeps by default is nobody's")
	}
}

// A provider that gives one id to two callers, by whatever fault, does not give the first one's object away.
func TestAnIDThatComesTwiceStaysTheFirstOnes(t *testing.T) {
	w := gatetest.New(t, gatetest.Options{})
	c := call{as: gatetest.Credential, method: "POST", path: "/v1/responses", body: respond("")}
	c.answered(t, w, 200, jsonType, responded("resp_1", 20, 7))
	c.as = others
	c.answered(t, w, 200, jsonType, responded("resp_1", 20, 7))
	if o := w.Object(resp1); o.Owner.User != gatetest.User {
		t.Errorf("it belongs to %+v", o)
	}
	if w.Failures(t) != 1 {
		t.Errorf("%v faults are counted, want 1", w.Failures(t))
	}
}

func TestDeletedObjectsAreForgotten(t *testing.T) {
	for status, gone := range map[int]bool{200: true, 404: true, 409: false, 500: false, 403: false} {
		w := gatetest.New(t, gatetest.Options{})
		w.SetObject(core.OwnedObject{ObjectRef: file1, Owner: core.Owner{User: gatetest.User}})
		call{as: gatetest.Credential, method: "DELETE", path: "/v1/files/file-1"}.answered(t, w, status, jsonType, `{"id":"file-1","deleted":true}`)
		if (w.Object(file1) == core.OwnedObject{}) != gone {
			t.Errorf("after %d it is %+v", status, w.Object(file1))
		}
		w.Record(t, core.RecordOutcome)
	}
	// Reading one, or a part of one, changes nothing.
	w := gatetest.New(t, gatetest.Options{})
	w.SetObject(core.OwnedObject{ObjectRef: conv1, Owner: core.Owner{User: gatetest.User}})
	call{as: gatetest.Credential, method: "DELETE", path: "/v1/conversations/conv_1/items/msg_1"}.answered(t, w, 200, jsonType, `{"id":"conv_1"}`)
	call{as: gatetest.Credential, method: "GET", path: "/v1/conversations/conv_1"}.answered(t, w, 404, jsonType, `{}`)
	if w.Object(conv1).Owner.User != gatetest.User {
		t.Error("the conversation is forgotten")
	}
}

func TestListsShowTheCallersOwn(t *testing.T) {
	const page = `{"object":"list","data":[{"id":"file-1","filename":"of-ann"},{"id":"file-2","filename":"of-ben"},{"id":"file-3","filename":"of-app"}],"has_more":false}`
	w := gatetest.New(t, gatetest.Options{})
	w.SetObject(core.OwnedObject{ObjectRef: file1, Owner: core.Owner{User: gatetest.User}})
	w.SetObject(core.OwnedObject{ObjectRef: core.ObjectRef{Kind: core.ObjectFile, ID: "file-2"}, Owner: core.Owner{User: gatetest.OtherUser}})
	w.SetObject(core.OwnedObject{ObjectRef: core.ObjectRef{Kind: core.ObjectFile, ID: "file-3"}, Owner: core.Owner{App: gatetest.App}})
	for as, name := range map[string]string{gatetest.Credential: "of-ann", others: "of-ben", gatetest.AppCredential: "of-app"} {
		for _, kind := range []string{jsonType, eventStream, "text/plain"} {
			seen := call{as: as, method: "GET", path: "/v1/files"}.answered(t, w, 200, kind, page)
			if strings.Count(seen, `"filename"`) != 1 || !strings.Contains(seen, name) {
				t.Errorf("%s sees %s", name, seen)
			}
		}
	}
}

// A store that cannot say whose something is lets nothing pass.
func TestOwnersThatAreUnknownRefuse(t *testing.T) {
	for step, c := range map[string]call{
		"owned":   {method: "GET", path: "/v1/responses/resp_1"},
		"ownedby": {method: "GET", path: "/v1/files"},
		"count":   {method: "POST", path: "/v1/responses", body: respond(`,"conversation":"conv_1"`)},
	} {
		w := gatetest.New(t, gatetest.Options{})
		for _, ref := range []core.ObjectRef{resp1, conv1} {
			w.SetObject(core.OwnedObject{ObjectRef: ref, Owner: core.Owner{User: gatetest.User}})
		}
		w.Fail = func(_ context.Context, s string) error {
			if s == step {
				return gatetest.ErrDown
			}
			return nil
		}
		c.as = gatetest.Credential
		c.refused(t, w, 503, core.ReasonGovernanceDown)
		quiet(t, w)
	}
}

// The turns that are kept at the provider are reserved with the request: as counted, for the same model; else all that the
// model can read.
func TestEarlierTurnsAreReserved(t *testing.T) {
	const window = 128_000 // of gpt-4o-mini
	own := func() int64 {  // of the request alone
		w := gatetest.New(t, gatetest.Options{})
		x, _, _ := call{as: gatetest.Credential, method: "POST", path: "/v1/responses", body: respond("")}.sent(t.Context(), w)
		x.Close(t.Context(), core.FinishInterrupted)
		return w.Record(t, core.RecordIntent).Reserved.InputTokens
	}()
	for name, tt := range map[string]struct {
		object core.OwnedObject
		want   int64
	}{
		"counted":           {core.OwnedObject{ObjectRef: resp1, Tokens: 5000, Model: "gpt-4o-mini"}, own + 5000},
		"of another model":  {core.OwnedObject{ObjectRef: resp1, Tokens: 5000, Model: "gpt-4o"}, window},
		"not known":         {core.OwnedObject{ObjectRef: conv1, Model: "gpt-4o-mini"}, window},
		"more than is read": {core.OwnedObject{ObjectRef: conv1, Tokens: window, Model: "gpt-4o-mini"}, window},
		"no turns yet":      {core.OwnedObject{ObjectRef: conv1}, own},
	} {
		t.Run(name, func(t *testing.T) {
			w := gatetest.New(t, gatetest.Options{})
			tt.object.Owner = core.Owner{User: gatetest.User}
			w.SetObject(tt.object)
			body := respond(fmt.Sprintf(`,"previous_response_id":%q`, tt.object.ID))
			if tt.object.Kind == core.ObjectConversation {
				body = respond(fmt.Sprintf(`,"conversation":%q`, tt.object.ID))
			}
			x, _, reply := call{as: gatetest.Credential, method: "POST", path: "/v1/responses", body: body}.sent(t.Context(), w)
			if reply != nil {
				t.Fatalf("refused: %s", reply.Body)
			}
			if got := w.Record(t, core.RecordIntent).Reserved.InputTokens; got != tt.want {
				t.Errorf("%d input tokens are reserved, want %d", got, tt.want)
			}
			// A caller that leaves before the provider has reported is charged no less than what it went on from.
			answers(t, x, eventStream)
			observed(t, x, []byte("data: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_2\"}}\n\n"), false)
			x.Close(t.Context(), core.FinishInterrupted)
			if got := w.Record(t, core.RecordOutcome).Settled.InputTokens; got > tt.want || got < tt.want-own {
				t.Errorf("%d input tokens are charged of %d", got, tt.want)
			}
			quiet(t, w)
		})
	}
	// Where the turns do not fit into a limit the request is refused, with nothing held.
	w := gatetest.New(t, gatetest.Options{Limits: []quota.Limit{tokens(4000)}})
	w.SetObject(core.OwnedObject{ObjectRef: resp1, Owner: core.Owner{User: gatetest.User}, Tokens: 5000, Model: "gpt-4o-mini"})
	call{as: gatetest.Credential, method: "POST", path: "/v1/responses", body: respond(`,"previous_response_id":"resp_1","max_output_tokens":16`)}.
		refused(t, w, 429, core.ReasonRequestTooLarge)
	quiet(t, w)
}

// A conversation is known to hold no less than it does at any moment: while a turn is under way and after one that nobody
// saw the end of, all that it can hold; after a turn that the provider reported, that; after one that it refused, what it
// held before.
func TestTurnsOfAConversationAreCounted(t *testing.T) {
	w := gatetest.New(t, gatetest.Options{})
	w.SetObject(core.OwnedObject{ObjectRef: conv1, Owner: core.Owner{User: gatetest.User}})
	turn := call{as: gatetest.Credential, method: "POST", path: "/v1/responses", body: respond(`,"conversation":"conv_1","max_output_tokens":500`)}
	begin := func() *gate.Exchange {
		x, _, reply := turn.sent(t.Context(), w)
		if reply != nil {
			t.Fatalf("refused: %s", reply.Body)
		}
		return x
	}
	holds := func(when string, least, most int64) {
		t.Helper()
		if o := w.Object(conv1); o.Tokens < least || o.Tokens > most || o.Model != "gpt-4o-mini" {
			t.Errorf("%s it holds %d tokens of %q, want %d to %d", when, o.Tokens, o.Model, least, most)
		}
	}
	x := begin()
	holds("in the first turn", 500, 700)
	answers(t, x, jsonType)
	observed(t, x, []byte(responded("resp_1", 20, 7)), true)
	holds("after it", 27, 27)

	turn.answered(t, w, http.StatusBadRequest, jsonType, `{"error":{"code":"conversation_locked"}}`)
	holds("after a refusal", 27, 27)

	begin().Close(t.Context(), core.FinishInterrupted)
	holds("after a turn that was left", 527, 800)
	turn.answered(t, w, http.StatusInternalServerError, jsonType, `{}`)
	holds("after a failure", 1027, 1600)
	turn.answered(t, w, 200, jsonType, responded("resp_2", 90, 10))
	holds("after the next", 100, 100)
	turn.answered(t, w, 200, jsonType, `{"id":"resp_3","object":"response"}`)
	holds("after one without a report", 600, 800)
}

// Files are opaque: what they hold is not judged, and the record says so. None is taken unless the policy does.
func TestFilesAreOpaque(t *testing.T) {
	upload := func(purpose string) call {
		return call{
			as: gatetest.Credential, method: "POST", path: "/v1/files", contentType: "multipart/form-data; boundary=XX",
			body: "--XX\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\n" + purpose + "\r\n" +
				"--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"notes.txt\"\r\nContent-Type: text/plain\r\n\r\nsome words\r\n--XX--\r\n",
		}
	}
	w := gatetest.New(t, gatetest.Options{})
	for _, purpose := range []string{"user_data", "assistants", "vision", "fine-tune", "batch", "evals"} {
		body := upload(purpose).refused(t, w, 400, core.ReasonUnsupportedParameter)
		if !strings.Contains(body, `"param":"purpose"`) || !strings.Contains(body, purpose) {
			t.Errorf("%s: %s", purpose, body)
		}
	}
	const allowing = "version: 1\nmode: enforce\nrequests:\n  file_purposes: [user_data]\n"
	w = gatetest.New(t, gatetest.Options{Policy: allowing})
	upload("batch").refused(t, w, 400, core.ReasonUnsupportedParameter)
	upload("vision").refused(t, w, 400, core.ReasonUnsupportedParameter)
	w = gatetest.New(t, gatetest.Options{Policy: allowing})
	upload("user_data").answered(t, w, 200, jsonType, `{"id":"file-1","object":"file","purpose":"user_data"}`)
	if w.Object(file1).Owner.User != gatetest.User {
		t.Errorf("the file belongs to %+v", w.Object(file1))
	}
	rec := w.Record(t, core.RecordIntent)
	if diff := cmp.Diff([]string{"text/plain"}, rec.Opaque); diff != "" || rec.Deviation.Unscored != core.UnscoredOpaque || rec.Verdict.Action != core.ActionWarn {
		t.Errorf("the record is %+v, %+v, %s", rec.Deviation, rec.Verdict, diff)
	}
	w = gatetest.New(t, gatetest.Options{Policy: allowing + "deviation:\n  on_unscored:\n    opaque: block\n"})
	upload("user_data").refused(t, w, 403, core.ReasonUnscored)
}

// Ids that have no form of one are not looked up, and not written down: they are texts.
func TestTextsAreNoIDs(t *testing.T) {
	for _, body := range []string{
		respond(`,"previous_response_id":"how do I make a bomb"`), respond(`,"conversation":"a/../b"`),
		respond(`,"previous_response_id":"` + strings.Repeat("a", 200) + `"`),
	} {
		w := gatetest.New(t, gatetest.Options{})
		x, _, reply := call{as: gatetest.Credential, method: "POST", path: "/v1/responses", body: body}.sent(t.Context(), w)
		if reply == nil || strings.Contains(string(reply.Body), "bomb") {
			t.Errorf("%s: %+v", body, reply)
		}
		x.Close(t.Context(), core.FinishInterrupted)
		if rec := w.Record(t, core.RecordDeny); len(rec.Objects) > 0 {
			t.Errorf("the record names %v", rec.Objects)
		}
	}
}
