package e2e

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/demo/provider"
)

// Prompts beside onTask: one that leans a little, and one of another world.
const (
	asideTask = "Help me plan my household budget for next month."
	otherTask = "Write a cover letter for my application as a pastry chef and list the best video games of this year."
)

func TestModelsAreFiltered(t *testing.T) {
	t.Parallel()
	w := start(t, setup{policy: allowAll + "models:\n  allow: [\"gpt-4o*\"]\n"})
	get := func(path string) call { return call{method: "GET", path: path, auth: []string{w.key}} }
	r := w.send(get("/v1/models"))
	var list struct {
		Object string
		Data   []struct{ ID, Object, OwnedBy string }
	}
	must(t, json.Unmarshal([]byte(r.Body), &list))
	var names []string
	for _, m := range list.Data {
		names = append(names, m.ID)
	}
	if r.Status != http.StatusOK || list.Object != "list" || !slices.Equal(names, []string{"gpt-4o", "gpt-4o-mini", "gpt-4o-mini-tts", "gpt-4o-transcribe"}) {
		t.Errorf("status %d: %s", r.Status, r.Body)
	}
	if _, outcome := w.outcome(r.Exchange); outcome.Finish != core.FinishComplete || outcome.Settled != nil {
		t.Errorf("the audit has finish %s, charge %+v", outcome.Finish, outcome.Settled)
	}
	if r := w.send(get("/v1/models/gpt-4o")); r.Status != http.StatusOK || !strings.Contains(r.Body, `"id":"gpt-4o"`) {
		t.Errorf("an allowed model: status %d: %s", r.Status, r.Body)
	}
	w.refused(get("/v1/models/o3"), badModel)
	w.refused(call{method: "GET", path: "/v1/models", auth: []string{w.key}, body: "{}"}, badBody)
}

// TestUsageIsAskedFor compares what the caller and the provider see of a stream whose caller did not ask for usage with
// one whose caller did.
func TestUsageIsAskedFor(t *testing.T) {
	t.Parallel()
	w := start(t, setup{})
	const plain = `{"stream" : true, "model":"gpt-4o","messages":[{"role":"user","content":"` + onTask + ` ü 😀"}]  }`
	direct := func(body string) string { // what the provider says to the same request
		c := call{auth: []string{providerKey}, body: body}
		return send(t, w.upstream, c).Body
	}
	received := func() string {
		all := w.provider.Requests()
		return string(all[len(all)-1].Body)
	}
	usage := `"usage":{"prompt_tokens":`
	for _, tt := range []struct{ name, sent, received, seen string }{
		{
			"not asked for", plain,
			strings.Replace(plain, `{`, `{"stream_options":{"include_usage":true},`, 1), plain,
		},
		{"asked for", strings.Replace(plain, `{`, `{"stream_options":{"include_usage":true},`, 1), "", ""},
		{"declined", strings.Replace(plain, `{`, `{"stream_options": {"include_usage":false},`, 1), strings.Replace(plain, `{`, `{"stream_options": {"include_usage":true},`, 1), plain},
		{"null", strings.Replace(plain, `{`, `{"stream_options":null,`, 1), strings.Replace(plain, `{`, `{"stream_options":{"include_usage":true},`, 1), plain},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := w.in(t)
			r := w.send(w.chatCall(tt.sent))
			if tt.received == "" {
				tt.received, tt.seen = tt.sent, tt.sent
			}
			if got := received(); got != tt.received {
				t.Errorf("the provider received %s\nwant                  %s", got, tt.received)
			}
			if want := direct(tt.seen); r.Body != want {
				t.Errorf("the caller saw %q\nwant           %q", r.Body, want)
			}
			if asked := tt.seen == tt.sent && strings.Contains(tt.sent, "true}"); strings.Contains(r.Body, usage) != asked {
				t.Errorf("asked for usage: %v, and the caller saw %q", asked, r.Body)
			}
			_, outcome := w.outcome(r.Exchange)
			if u := outcome.Usage; u.Estimated || u.OutputTokens != provider.DefaultWords || outcome.Finish != core.FinishComplete {
				t.Errorf("the audit has finish %s, usage %+v", outcome.Finish, u)
			}
		})
	}
	t.Run("JSON passes byte by byte", func(t *testing.T) {
		w := w.in(t)
		body := strings.Replace(plain, "true", "false", 1)
		r := w.send(w.chatCall(body))
		if got := received(); got != body {
			t.Errorf("the provider received %s", got)
		}
		if want := direct(body); r.Body != want {
			t.Errorf("the caller saw %q\nwant           %q", r.Body, want)
		}
	})
}

func TestTaskDeviation(t *testing.T) {
	t.Parallel()
	enforce := start(t, setup{policy: strictPolicy})
	t.Run("on task", func(t *testing.T) {
		w := enforce.in(t)
		r := w.chat(chatBody("gpt-4o", onTask, nil))
		intent, _ := w.outcome(r.Exchange)
		if r.Status != http.StatusOK || r.Header.Get("x-plumbline-notice") != "" || intent.Verdict.Action != core.ActionAllow {
			t.Errorf("status %d, notice %q, verdict %+v", r.Status, r.Header.Get("x-plumbline-notice"), intent.Verdict)
		}
		if intent.Intent == nil || intent.Deviation == nil || intent.Deviation.Task != "billing" || intent.Deviation.Calibrated {
			t.Errorf("the audit has intent %+v, deviation %+v", intent.Intent, intent.Deviation)
		}
	})
	t.Run("warned", func(t *testing.T) {
		for _, more := range []map[string]any{nil, streamed} {
			w := enforce.in(t)
			r := w.chat(chatBody("gpt-4o", asideTask, more))
			intent, _ := w.outcome(r.Exchange)
			if r.Status != http.StatusOK || r.Header.Get("x-plumbline-notice") != r.Exchange+"; code=off_task" {
				t.Errorf("status %d, notice %q, score %v", r.Status, r.Header.Get("x-plumbline-notice"), intent.Deviation)
			}
			if intent.Verdict.Action != core.ActionWarn || intent.Verdict.Reason != core.ReasonOffTask {
				t.Errorf("the audit has verdict %+v", intent.Verdict)
			}
		}
	})
	t.Run("stopped", func(t *testing.T) {
		w := enforce.in(t)
		want := offTask
		want.header = map[string]string{"x-should-retry": "false", "link": "<" + noticePage + `>; rel="help"`}
		e, rec := w.refused(w.chatCall(chatBody("gpt-4o", otherTask, nil)), want)
		if e.Error.Plumbline.NoticeURL != noticePage || !strings.Contains(e.Error.Message, "nearest: task billing") {
			t.Errorf("the refusal does not explain itself: %+v", e)
		}
		if strings.Contains(e.Error.Message, "pastry") {
			t.Errorf("the message quotes the prompt: %s", e.Error.Message)
		}
		if rec.Verdict.Rule != "deviation.block" || !rec.Verdict.Uncalibrated || len(rec.Facts) == 0 {
			t.Errorf("the audit has verdict %+v", rec.Verdict)
		}
	})
	t.Run("observed", func(t *testing.T) {
		w := start(t, setup{policy: strings.Replace(strictPolicy, "enforce\n", "observe\n", 1)})
		r := w.chat(chatBody("gpt-4o", otherTask, nil))
		intent, _ := w.outcome(r.Exchange)
		if r.Status != http.StatusOK || r.Header.Get("x-plumbline-notice") != "" {
			t.Errorf("status %d, notice %q", r.Status, r.Header.Get("x-plumbline-notice"))
		}
		if v := intent.Verdict; v.Action != core.ActionAllow || v.Decided != core.ActionBlock || v.Reason != core.ReasonOffTask {
			t.Errorf("the audit has verdict %+v", v)
		}
		w.refused(w.chatCall(chatBody("o3", onTask, nil)), badModel) // models are not observed only
	})
}

func TestForbiddenIntent(t *testing.T) {
	t.Parallel()
	w := start(t, setup{policy: "version: 1\nmode: enforce\nnotice_url: " + noticePage + "\nintents:\n  forbidden: [personal]\n  min_confidence: 0.3\n"})
	e, rec := w.refused(w.chatCall(chatBody("gpt-4o", "Book me a flight from Berlin to Madrid and a hotel near the beach for my vacation.", nil)), refusal{
		400, "invalid_request_error", "content_policy_violation", "messages", core.ReasonForbiddenIntent,
		map[string]string{"x-should-retry": "false", "link": "<" + noticePage + `>; rel="help"`},
	})
	if rec.Intent == nil || rec.Intent.Label != "personal" || !strings.Contains(e.Error.Message, `"personal"`) {
		t.Errorf("intent %+v: %s", rec.Intent, e.Error.Message)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	limited := func(t *testing.T, limits string) *world {
		s := setup{objects: objects + "limits:\n" + limits}
		s.provider.ChunkPause = 5 * time.Millisecond
		return start(t, s)
	}
	ask := chatBody("gpt-4o", onTask, map[string]any{"max_completion_tokens": 20})
	t.Run("tokens a day", func(t *testing.T) {
		t.Parallel()
		w := limited(t, "  - {id: day, scope: team, subject: support, dimension: tokens, window: day, value: 100}\n")
		var last response
		passed := 0
		for ; passed < 10; passed++ {
			if last = w.chat(ask); last.Status != http.StatusOK {
				break
			}
		}
		e := quotaUsedUp.check(t, last)
		if passed < 1 || passed > 4 {
			t.Errorf("%d calls passed", passed)
		}
		if e.Error.Plumbline.ResetAt == nil || time.Until(*e.Error.Plumbline.ResetAt) > 24*time.Hour || !strings.Contains(e.Error.Message, "daily limit on tokens of team support") {
			t.Errorf("the refusal does not explain itself: %+v", e)
		}
		if rec := w.denied(last.Exchange); rec.Verdict.Rule == "" || rec.Reason != core.ReasonQuotaExhausted {
			t.Errorf("the audit has %+v", rec)
		}
		if n := w.provider.Total(); n != int64(passed) {
			t.Errorf("%d calls passed, the provider received %d", passed, n)
		}
	})
	t.Run("requests a minute", func(t *testing.T) {
		t.Parallel()
		w := limited(t, "  - {id: rpm, scope: user, dimension: requests, window: minute, value: 1}\n")
		if r := w.chat(ask); r.Status != http.StatusOK {
			t.Fatalf("status %d: %s", r.Status, r.Body)
		}
		w.refused(w.chatCall(ask), refusal{
			429, "requests", "rate_limit_exceeded", "", core.ReasonRateLimited,
			map[string]string{"retry-after": "*", "retry-after-ms": "*", "x-should-retry": ""},
		})
		ben := w.newKey("helpdesk", "ben")
		if r := w.send(call{auth: []string{ben}, body: ask}); r.Status != http.StatusOK {
			t.Errorf("another user got %d: %s", r.Status, r.Body)
		}
	})
	t.Run("larger than the limit", func(t *testing.T) {
		t.Parallel()
		w := limited(t, "  - {id: small, scope: everyone, dimension: input_tokens, window: day, value: 5}\n")
		w.refused(w.chatCall(ask), refusal{429, "tokens", "rate_limit_exceeded", "", core.ReasonRequestTooLarge, noRetry})
	})
	t.Run("one at a time", func(t *testing.T) {
		t.Parallel()
		w := limited(t, "  - {id: one, scope: user, dimension: concurrency, window: none, value: 1}\n")
		open := w.open(w.chatCall(chatBody("gpt-4o", onTask, streamed)))
		w.refused(w.chatCall(ask), refusal{429, "requests", "rate_limit_exceeded", "", core.ReasonConcurrencyLimit, soon})
		open.until("[DONE]")
		if _, err := open.rest(); err != nil {
			t.Error(err)
		}
		if r := w.chat(ask); r.Status != http.StatusOK { // at once: the room is given back before the last piece
			t.Errorf("status %d: %s", r.Status, r.Body)
		}
	})
	t.Run("many at once", func(t *testing.T) {
		t.Parallel()
		w := limited(t, "  - {id: ten, scope: everyone, dimension: requests, window: day, value: 10}\n")
		var wg sync.WaitGroup
		var mu sync.Mutex
		statuses := map[int]int{}
		for range 40 {
			wg.Go(func() {
				r := w.chat(ask)
				mu.Lock()
				defer mu.Unlock()
				statuses[r.Status]++
			})
		}
		wg.Wait()
		if statuses[200] != 10 || statuses[429] != 30 || w.provider.Total() != 10 {
			t.Errorf("of 40 calls under a limit of 10: %v, and the provider received %d", statuses, w.provider.Total())
		}
	})
}

// TestStreamCutByQuota reads a stream that outruns its quota with a raw client: it is a complete event stream.
func TestStreamCutByQuota(t *testing.T) {
	t.Parallel()
	s := setup{objects: objects + "limits:\n  - {id: out, scope: user, dimension: output_tokens, window: day, value: 1500}\n"}
	s.provider.ChunkPause = 500 * time.Microsecond // the piece at which a stream is cut is withheld whole: keep pieces small
	w := start(t, s)
	open := w.open(w.chatCall(chatBody(provider.ModelLong, onTask, streamed)))
	body := open.until("[DONE]") + open.until("\n")
	open.close() // the provider would go on for a while
	events := strings.Split(strings.TrimSuffix(body, "\n\n"), "\n\n")
	if !strings.HasSuffix(body, "\n\n") || events[len(events)-1] != "data: [DONE]" {
		t.Fatalf("the stream ends with %q", body[max(0, len(body)-300):])
	}
	var text strings.Builder
	for i, event := range events[:len(events)-1] {
		var chunk struct {
			Object  string
			Choices []struct {
				Delta        struct{ Content string }
				FinishReason *string `json:"finish_reason"`
			}
			Error     any
			Plumbline *struct{ Reason core.Reason }
		}
		must(t, json.Unmarshal([]byte(strings.TrimPrefix(event, "data: ")), &chunk))
		if chunk.Object != "chat.completion.chunk" || chunk.Error != nil || len(chunk.Choices) != 1 {
			t.Fatalf("event %d is no chunk: %s", i, event)
		}
		text.WriteString(chunk.Choices[0].Delta.Content)
		last := i == len(events)-2
		if finish := chunk.Choices[0].FinishReason; last != (finish != nil) || last && *finish != "length" {
			t.Errorf("event %d has finish_reason %v", i, finish)
		}
		if last != (chunk.Plumbline != nil) || last && chunk.Plumbline.Reason != core.ReasonQuotaExhausted {
			t.Errorf("event %d has %+v of Plumbline's", i, chunk.Plumbline)
		}
	}
	if words := provider.Words(text.String()); words < 500 || words > 1500 || text.String() != provider.Text(words) {
		t.Errorf("%d words were delivered under a limit of 1500 tokens", words)
	}
	_, outcome := w.outcome(open.exchange)
	if outcome.Finish != core.FinishCut || outcome.Reason != core.ReasonQuotaExhausted || outcome.Usage.OutputTokens > 1500 ||
		outcome.Settled.OutputTokens != outcome.Usage.OutputTokens {
		t.Errorf("the audit has finish %s, reason %s, usage %+v, charge %+v", outcome.Finish, outcome.Reason, outcome.Usage, outcome.Settled)
	}
	if n := w.metric("plumbline_quota_overrun_total"); n != 0 {
		t.Errorf("%v settlements above their reservation", n)
	}
}

// TestStrict has every record synced to the disk before its answer.
func TestStrict(t *testing.T) {
	t.Parallel()
	w := start(t, setup{settings: map[string]string{"audit.durability": "strict"}})
	for _, more := range []map[string]any{nil, streamed} {
		r := w.chat(chatBody("gpt-4o", onTask, more))
		intent, outcome := w.outcome(r.Exchange)
		if r.Status != http.StatusOK || outcome.Finish != core.FinishComplete || intent.Reserved.Cost < outcome.Settled.Cost {
			t.Errorf("status %d, finish %s, reserved %+v, charged %+v", r.Status, outcome.Finish, intent.Reserved, outcome.Settled)
		}
	}
	w.refused(w.chatCall("{"), badBody)
	if _, err := w.audit.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}
