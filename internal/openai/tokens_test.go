package openai

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/testkit"
)

// The bounds hold against what the provider counted for each recorded chat.
func TestInputTokensOfRecordedChats(t *testing.T) {
	seen := 0
	for _, r := range testkit.Recordings(t, testkit.SharedData(t, "openai-recordings", "ai-gateway")) {
		req, e := ReadChat(r.Request.Body)
		if !strings.HasSuffix(r.Request.Path, "/v1/chat/completions") || e != nil || r.Response.Status != 200 {
			continue
		}
		var answer struct {
			Usage struct {
				Prompt int64 `json:"prompt_tokens"`
			} `json:"usage"`
		}
		if json.Unmarshal(r.Response.Plain(t), &answer) != nil || answer.Usage.Prompt == 0 {
			continue
		}
		seen++
		if bound := req.InputBound(); bound < answer.Usage.Prompt {
			t.Errorf("%s: bound %d below the %d counted", r.Name, bound, answer.Usage.Prompt)
		}
		count := req.CountInput()
		t.Logf("%-28s provider %4d, counted %4d, bound %4d", r.Name, answer.Usage.Prompt, count, req.InputBound())
		if count < answer.Usage.Prompt || count > 2*answer.Usage.Prompt+64 && !req.Opaque {
			t.Errorf("%s: counted %d for %d", r.Name, count, answer.Usage.Prompt)
		}
	}
	if seen < 8 {
		t.Errorf("only %d recordings with usage", seen)
	}
}

// Counting by pieces gives what counting at once gives, whatever the text and however it is cut.
func TestCountingByPieces(t *testing.T) {
	words := rapid.SampledFrom([]string{
		"Hello", " world", " the", " a b c", ".", "\n", "\n\n  ", "  ", "123456", "don't", " DON'T", "ümlaut",
		" 東京", "日本語", "🙂", " x", "X", "_", "\t", "'s", " and so on, and so forth",
	})
	rapid.Check(t, func(t *rapid.T) {
		d := &delivered{count: func() counter { return counterOf("gpt-4o") }}
		var text strings.Builder
		for range rapid.IntRange(0, 60).Draw(t, "pieces") {
			piece := words.Draw(t, "piece")
			text.WriteString(piece)
			quoted, err := json.Marshal(piece)
			if err != nil {
				t.Fatal(err)
			}
			d.quoted(0, 0, textContent, quoted)
			if rapid.Bool().Draw(t, "count") {
				d.tokens()
			}
		}
		if text.Len() > maxTail {
			return // a seam may be forced there
		}
		if got, want := d.tokens(), counterOf("gpt-4o")(text.String()); got != want {
			t.Fatalf("%d by pieces, %d at once: %q", got, want, text.String())
		}
		if d.bound < d.tokens() {
			t.Fatal("more tokens than the bound")
		}
	})
}

// Text by letters is counted as well, and the account stays small.
func TestCountingIsBounded(t *testing.T) {
	d := &delivered{count: func() counter { return counterOf("gpt-4o") }}
	text := strings.Repeat("All work and no play makes a dull text. ", 20_000)
	for i := 0; i < len(text); i += 1000 {
		d.raw([]byte(text[i:min(i+1000, len(text))]))
		if len(d.runs[0].text) > maxPending+1000 {
			t.Fatalf("%d bytes wait", len(d.runs[0].text))
		}
	}
	if got, want := d.tokens(), counterOf("gpt-4o")(text); got < want || got > want+want/100 {
		t.Errorf("%d tokens, want about %d", got, want)
	}
	for i := range int64(2 * maxRuns) {
		d.quoted(i, 0, textContent, []byte(`"x"`))
	}
	if len(d.runs) > maxRuns {
		t.Errorf("%d runs", len(d.runs))
	}
}

// No text makes counting slow: a large prompt of whatever kind is counted in about the time of prose.
func TestCountingHostileText(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	const size = 256 << 10
	for name, unit := range map[string]string{
		"letters": "a", "capitals": "A", "spaces": " ", "newlines": "\n", "digits": "7", "marks": "!", "CJK": "漢", "emoji": "🙂",
		"combining": "\u0301", "spaces and x": "          x", "apostrophes": "'",
	} {
		text := strings.Repeat(unit, size/len(unit))
		start := time.Now()
		n := counterOf("gpt-4o")(text)
		took := time.Since(start)
		t.Logf("%-14s %7d tokens in %v", name, n, took)
		if took > 5*time.Second {
			t.Errorf("%s: %v for %d bytes", name, took, size)
		}
	}
}

func TestCounterOf(t *testing.T) {
	const word = "antidisestablishmentarianism 東京特許許可局"
	if old, now := counterOf("gpt-4-0613")(word), counterOf("gpt-4o")(word); old == now {
		t.Errorf("one vocabulary for both: %d", old)
	}
	for model, older := range map[string]bool{
		"gpt-4": true, "gpt-4-turbo": true, "gpt-3.5-turbo": true, "ft:gpt-3.5-turbo:x": true,
		"gpt-4.1": false, "gpt-4o-mini": false, "gpt-5": false, "o3": false, "unheard-of": false,
	} {
		if got := counterOf(model)(word) == counterOf("gpt-4")(word); got != older {
			t.Errorf("%s: older vocabulary %v", model, got)
		}
	}
}
