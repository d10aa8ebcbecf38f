package openai

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/plumbline/plumbline/internal/core"
)

const liteFile = `{
"sample_spec": {"input_cost_per_token": 0.0, "litellm_provider": "one of …", "max_tokens": "LEGACY"},
"claude": {"litellm_provider": "anthropic", "mode": "chat", "input_cost_per_token": 3e-06},
"gpt-chat": {"litellm_provider": "openai", "mode": "chat", "max_input_tokens": 272000, "max_output_tokens": 128000, "max_tokens": 128000,
	"input_cost_per_token": 1.25e-06, "input_cost_per_token_flex": 6.25e-07, "input_cost_per_token_priority": 2.5e-06, "input_cost_per_token_batches": 6e-07,
	"cache_read_input_token_cost": 1.25e-07, "cache_read_input_token_cost_flex": 6.25e-08,
	"output_cost_per_token": 1e-05, "output_cost_per_token_flex": 5e-06, "output_cost_per_token_priority": 2e-05,
	"input_cost_per_token_above_272k_tokens": 2.5e-06, "output_cost_per_token_above_272k_tokens": 1.5e-05, "output_cost_per_token_above_272k_tokens_priority": 3e-05,
	"search_context_cost_per_query": {"search_context_size_low": 0.01}, "supports_reasoning": true, "supported_endpoints": ["/v1/chat/completions"]},
"gpt-search-preview": {"litellm_provider": "openai", "mode": "chat", "max_tokens": 16384, "input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05,
	"search_context_cost_per_query": {"search_context_size_low": 0.025, "search_context_size_high": 0.05}},
"openai/instruct": {"litellm_provider": "text-completion-openai", "mode": "completion", "max_input_tokens": 8192, "max_output_tokens": 4096, "input_cost_per_token": 1.5e-06, "output_cost_per_token": 0.000002},
"embed": {"litellm_provider": "openai", "mode": "embedding", "max_tokens": 8191, "input_cost_per_token": 2e-08, "output_cost_per_token": 0.0},
"moderate": {"litellm_provider": "openai", "mode": "moderation", "max_tokens": 32768, "input_cost_per_token": 0.0, "output_cost_per_token": 0},
"draw": {"litellm_provider": "openai", "mode": "image_generation", "input_cost_per_token": 5e-06, "input_cost_per_image_token": 1e-05, "output_cost_per_image_token": 4e-05, "cache_read_input_token_cost": 1.25e-06},
"low/1024-x-1024/draw": {"litellm_provider": "openai", "mode": "image_generation", "input_cost_per_image": 0.011},
"hd/1024-x-1792/dall": {"litellm_provider": "openai", "mode": "image_generation", "input_cost_per_pixel": 6.539e-08, "output_cost_per_pixel": 0.0},
"256-x-256/dall": {"litellm_provider": "openai", "mode": "image_generation", "input_cost_per_pixel": 2.4414e-07},
"speak": {"litellm_provider": "openai", "mode": "audio_speech", "input_cost_per_character": 1.5e-05},
"speak-mini": {"litellm_provider": "openai", "mode": "audio_speech", "input_cost_per_token": 6e-07, "output_cost_per_audio_token": 1.2e-05, "output_cost_per_second": 0.00025, "output_cost_per_token": 1e-05, "max_input_tokens": 2000},
"hear": {"litellm_provider": "openai", "mode": "audio_transcription", "input_cost_per_second": 0.0001, "output_cost_per_second": 0.0001},
"live": {"litellm_provider": "openai", "mode": "realtime", "input_cost_per_token": 4e-06},
"ft:gpt-chat": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 4e-06},
"new-price": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 4e-06, "output_cost_per_token": 4e-06, "cache_creation_input_token_cost": 5e-06},
"zero-price": {"litellm_provider": "openai", "mode": "chat", "max_tokens": 9, "input_cost_per_token": 4e-06, "output_cost_per_token": 4e-06, "cost_per_hour": 0.0},
"free": {"litellm_provider": "openai", "mode": "chat", "max_tokens": 4096, "input_cost_per_token": 0.0, "output_cost_per_token": 0.0},
"text": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": "0.01"},
"negative": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": -1e-06},
"two-lengths": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token_above_128k_tokens": 1e-06, "input_cost_per_token_above_200k_tokens": 1e-06},
"a-search-model": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 4e-06, "output_cost_per_token": 4e-06}
}`

func TestImportLiteLLM(t *testing.T) {
	got, err := ImportLiteLLM([]byte(liteFile), "2026-01-02")
	if err != nil {
		t.Fatal(err)
	}
	table, err := ParsePrices(got.File)
	if err != nil {
		t.Fatalf("what was imported cannot be read: %v", err)
	}
	want := map[string]Model{
		"gpt-chat": {
			Rates: Rates{Input: 1_250_000, CachedInput: 125_000, Output: 10_000_000}, ContextWindow: 272_000, MaxOutput: 128_000, Reasoning: true,
			Flex: &Rates{Input: 625_000, CachedInput: 62_500, Output: 5_000_000}, Priority: &Rates{Input: 2_500_000, CachedInput: 125_000, Output: 20_000_000},
			Long: &LongRates{Above: 272_000, Rates: Rates{Input: 2_500_000, CachedInput: 125_000, Output: 15_000_000}},
		},
		"gpt-search-preview": {Rates: Rates{Input: 2_500_000, Output: 10_000_000}, Request: 50_000, ContextWindow: 16384, MaxOutput: 16384},
		"instruct":           {Rates: Rates{Input: 1_500_000, Output: 2_000_000}, ContextWindow: 8192, MaxOutput: 4096},
		"embed":              {Rates: Rates{Input: 20_000}, ContextWindow: 8191},
		"moderate":           {Free: true, ContextWindow: 32768},
		"draw":               {Rates: Rates{Input: 5_000_000, CachedInput: 1_250_000, ImageInput: 10_000_000, Output: 40_000_000}, MaxOutput: 6240},
		"dall":               {Images: map[string]core.MicroUSD{"1024x1792/hd": 119_992, "256x256/standard": 16_000}},
		"speak":              {Characters: 15_000_000},
		"speak-mini":         {Rates: Rates{Input: 600_000, Output: 12_000_000}, ContextWindow: 2000, MaxOutput: unknownMaxOutput},
		"hear":               {Minute: 6000},
		"zero-price":         {Rates: Rates{Input: 4_000_000, Output: 4_000_000}, ContextWindow: 9, MaxOutput: 9},
	}
	for name, m := range want {
		m.Name = name
		want[name] = m
	}
	if diff := cmp.Diff(want, table.models, cmpopts.IgnoreUnexported(Model{})); diff != "" {
		t.Errorf("models (-want +got):\n%s", diff)
	}
	why := map[string]string{}
	for _, s := range got.Skipped {
		why[s.Name] = s.Why
	}
	for name, words := range map[string]string{
		"live": `mode "realtime"`, "ft:gpt-chat": "fine-tuned", "new-price": "cache_creation_input_token_cost", "free": "nothing is free",
		"text": "input_cost_per_token is no price", "negative": "input_cost_per_token is no price", "two-lengths": "two lengths", "a-search-model": "it searches",
	} {
		if !strings.Contains(why[name], words) {
			t.Errorf("%s was skipped because %q", name, why[name])
		}
		delete(why, name)
	}
	if len(why) > 0 || got.Others != 1 || got.Models != len(want) || table.Version() != "2026-01-02" {
		t.Errorf("skipped besides %v, others %d, models %d, version %s", slices.Collect(maps.Keys(why)), got.Others, got.Models, table.Version())
	}
	again, err := ImportLiteLLM([]byte(liteFile), "2026-01-02")
	if err != nil || string(again.File) != string(got.File) {
		t.Error("a second import gives another file")
	}
}

func TestImportOfNothing(t *testing.T) {
	for name, data := range map[string]string{
		"not JSON": "{", "a list": "[]", "twice": `{"a":{},"a":{}}`, "nothing of the provider's": `{"a":{"litellm_provider":"x"}}`, "not objects": `{"a":1}`,
	} {
		if _, err := ImportLiteLLM([]byte(data), "v"); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// Whatever a price file holds, what is imported of it is a table.
func FuzzImportLiteLLM(f *testing.F) {
	f.Add([]byte(liteFile))
	f.Add([]byte(`{"x":{"litellm_provider":"openai","mode":"chat","input_cost_per_token":1e-400,"output_cost_per_token":1e308,"max_tokens":1}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := ImportLiteLLM(data, "v")
		if err != nil {
			return
		}
		if _, err := ParsePrices(got.File); err != nil {
			t.Fatalf("%v in %s", err, got.File)
		}
	})
}
