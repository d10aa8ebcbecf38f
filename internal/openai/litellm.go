package openai

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/plumbline/plumbline/internal/core"
)

// Import is a price table that was made from another project's.
type Import struct {
	// File is the table in the form that ParsePrices reads, and Models how many models are in it.
	File   []byte
	Models int
	// Skipped are the provider's models that are not in it, in order, and Others how many entries are of other providers.
	Skipped []SkippedModel
	Others  int
}

// wrongFile says what is wrong with a file of LiteLLM's. The library words its errors differently from run to run.
func wrongFile(err error) string {
	if e, ok := errors.AsType[*json.SemanticError](err); ok {
		return "it is not an object of objects, at " + strconv.Quote(string(e.JSONPointer))
	}
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return "it is not valid JSON, at byte " + strconv.FormatInt(e.ByteOffset, 10)
	}
	return "it cannot be read"
}

// SkippedModel says why a model was not imported.
type SkippedModel struct{ Name, Why string }

// ImportLiteLLM makes a price table of LiteLLM's model_prices_and_context_window.json. It takes the models of the provider
// "openai" whose every price is one that Plumbline charges by: a model with another price is skipped, since it would be
// charged too little. Prices are dollars for one token, character, second or picture there; they become whole
// micro-dollars, rounded up. Prices of batches and hosted tools are left out: neither passes.
func ImportLiteLLM(data []byte, version string) (*Import, error) {
	var entries map[string]map[string]jsontext.Value
	if err := json.Unmarshal(data, &entries); err != nil {
		return nil, fmt.Errorf("reading LiteLLM's prices: %s", wrongFile(err))
	}
	delete(entries, "sample_spec") // describes the form
	out := &Import{}
	models, pictures := map[string]Model{}, map[string]map[string]core.MicroUSD{}
	skip := func(name, format string, args ...any) {
		out.Skipped = append(out.Skipped, SkippedModel{name, fmt.Sprintf(format, args...)})
	}
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		e := liteLLM{fields: entries[key]}
		if p := e.word("litellm_provider"); p != "openai" && p != "text-completion-openai" {
			out.Others++
			continue
		}
		name := strings.TrimPrefix(key, "openai/")
		if size := litePicture.FindStringSubmatch(name); size != nil {
			price, err := e.picture(size[2], size[3])
			if err != nil {
				skip(key, "%v", err)
				continue
			}
			if pictures[size[4]] == nil {
				pictures[size[4]] = map[string]core.MicroUSD{}
			}
			pictures[size[4]][size[2]+"x"+size[3]+"/"+cmp.Or(size[1], "standard")] = price
			continue
		}
		if strings.HasPrefix(name, "ft:") {
			skip(key, "fine-tuned models have names of their own")
			continue
		}
		m, err := e.model(name)
		if err != nil {
			skip(key, "%v", err)
			continue
		}
		if _, twice := models[name]; twice {
			skip(key, "it is there twice")
			continue
		}
		models[name] = m
	}
	file := priceFile{Version: version, Source: "LiteLLM, model_prices_and_context_window.json"}
	for name, sizes := range pictures {
		if m := models[name]; m.Input == 0 { // those that are paid by the token say pictures for the reader only
			m.Name, m.Images = name, sizes
			models[name] = m
		}
	}
	for _, name := range slices.Sorted(maps.Keys(models)) {
		m := models[name]
		if err := m.check(); err != nil {
			skip(name, "%v", err)
			continue
		}
		file.Models = append(file.Models, m)
	}
	if len(file.Models) == 0 {
		return out, fmt.Errorf("reading LiteLLM's prices: there is no model in it that can be imported")
	}
	slices.SortStableFunc(out.Skipped, func(a, b SkippedModel) int { return strings.Compare(a.Name, b.Name) })
	out.Models = len(file.Models)
	var err error
	out.File, err = json.Marshal(file, json.Deterministic(true), jsontext.WithIndent("  "))
	return out, err
}

// litePicture is the name of a picture's price: "hd/1024-x-1792/dall-e-3", "256-x-256/dall-e-2".
var litePicture = regexp.MustCompile(`^(?:([a-z]+)/)?([0-9]{1,5})-x-([0-9]{1,5})/(.+)$`)

// liteLLM is one entry.
type liteLLM struct{ fields map[string]jsontext.Value }

// word gives a field that is a string, empty if it is none.
func (e liteLLM) word(name string) string {
	var s string
	if v, ok := e.fields[name]; ok && v.Kind() == '"' {
		_ = json.Unmarshal(v, &s) // it is a string
	}
	return s
}

// count gives a field that is a whole number, 0 if it is none.
func (e liteLLM) count(names ...string) int64 {
	for _, name := range names {
		if n, ok := figure(e.fields[name]); ok && n > 0 {
			return n
		}
	}
	return 0
}

// price gives a price in micro-dollars for a number of units, rounded up; 0 if there is none.
func (e liteLLM) price(name string, units int64) (core.MicroUSD, error) {
	v, ok := e.fields[name]
	if !ok || v.Kind() == 'n' {
		return 0, nil
	}
	dollars, err := strconv.ParseFloat(string(v), 64)
	if err != nil || len(v) > 32 || dollars < 0 || dollars > 1e4 || dollars > 0 && dollars < 1e-15 {
		return 0, fmt.Errorf("%s is no price", name)
	}
	exact, ok := new(big.Rat).SetString(string(v))
	if !ok {
		return 0, fmt.Errorf("%s is no price", name)
	}
	exact.Mul(exact, new(big.Rat).SetInt64(units)).Mul(exact, big.NewRat(1_000_000, 1))
	up := new(big.Int).Add(exact.Num(), new(big.Int).Sub(exact.Denom(), big.NewInt(1)))
	up.Div(up, exact.Denom())
	if !up.IsInt64() || up.Int64() > int64(maxPrice) {
		return 0, fmt.Errorf("%s is no price", name)
	}
	return core.MicroUSD(up.Int64()), nil
}

// picture gives the price of one picture of a size.
func (e liteLLM) picture(width, height string) (core.MicroUSD, error) {
	w, _ := strconv.ParseInt(width, 10, 64) // at most five digits
	h, _ := strconv.ParseInt(height, 10, 64)
	dearest := core.MicroUSD(0)
	for name, units := range map[string]int64{
		"input_cost_per_pixel": w * h, "output_cost_per_pixel": w * h, "input_cost_per_image": 1, "output_cost_per_image": 1,
	} {
		price, err := e.price(name, units)
		if err != nil {
			return 0, err
		}
		dearest = max(dearest, price)
	}
	if dearest == 0 {
		return 0, fmt.Errorf("it has no price for a picture")
	}
	return dearest, nil
}

// liteModes are the modes whose endpoints are governed.
var liteModes = []string{
	"chat", "responses", "completion", "embedding", "moderation", "image_generation", "audio_transcription", "audio_speech",
}

// liteRates are the fields of prices for a token, without what a tier or a long input adds to their names.
func liteRates(r *Rates) map[string]*core.MicroUSD {
	return map[string]*core.MicroUSD{
		"input_cost_per_token": &r.Input, "output_cost_per_token": &r.Output, "cache_read_input_token_cost": &r.CachedInput,
		"input_cost_per_audio_token": &r.AudioInput, "output_cost_per_audio_token": &r.AudioOutput,
		"input_cost_per_image_token": &r.ImageInput, "output_cost_per_image_token": &r.ImageOutput,
	}
}

// liteUnused are the beginnings of fields with prices of what does not pass, or of what is said in another field as well.
var liteUnused = []string{
	"code_interpreter_", "file_search_", "vector_store_", "computer_use_", "web_search_", "search_context_", "output_cost_per_second",
	"cache_read_input_audio_token_cost", "cache_read_input_image_token_cost", "annotation_cost_", "ocr_cost_",
}

var (
	liteLong  = regexp.MustCompile(`^(.+)_above_([0-9]{1,4})k_tokens$`)
	liteOther = regexp.MustCompile(`_above_[0-9]+k_tokens_(flex|priority|batches)$|_batches(_|$)`)
)

// model reads the prices of a model. Every field that looks like a price has to be known.
func (e liteLLM) model(name string) (Model, error) {
	mode := e.word("mode")
	if !slices.Contains(liteModes, mode) {
		return Model{}, fmt.Errorf("mode %q is not governed", mode)
	}
	m := Model{
		Name: name, ContextWindow: e.count("max_input_tokens", "max_tokens"), MaxOutput: e.count("max_output_tokens", "max_tokens"),
		Reasoning: string(e.fields["supports_reasoning"]) == "true",
	}
	flex, priority, long := Rates{}, Rates{}, LongRates{}
	for _, field := range slices.Sorted(maps.Keys(e.fields)) {
		if err := e.field(&m, &flex, &priority, &long, field); err != nil {
			return Model{}, err
		}
	}
	m.shape(mode, flex, priority, long)
	if mode == "moderation" && m.Input == 0 {
		m.Free = true
	}
	if strings.Contains(name, "-search") { // every call searches
		if err := e.searches(&m); err != nil {
			return Model{}, err
		}
	}
	return m, nil
}

// field reads one field into the model.
func (e liteLLM) field(m *Model, flex, priority *Rates, long *LongRates, field string) (err error) {
	rates, base := &m.Rates, field
	if s := liteLong.FindStringSubmatch(field); s != nil {
		above, _ := strconv.ParseInt(s[2], 10, 64) // at most four digits
		if long.Above != 0 && long.Above != above*1000 {
			return fmt.Errorf("it has prices for two lengths of input")
		}
		long.Above, rates, base = above*1000, &long.Rates, s[1]
	} else if cut, ok := strings.CutSuffix(field, "_flex"); ok && !liteOther.MatchString(field) {
		rates, base = flex, cut
	} else if cut, ok := strings.CutSuffix(field, "_priority"); ok && !liteOther.MatchString(field) {
		rates, base = priority, cut
	}
	if into, ok := liteRates(rates)[base]; ok {
		*into, err = e.price(field, 1_000_000)
		return err
	}
	switch field {
	case "input_cost_per_second":
		m.Minute, err = e.price(field, 60)
	case "input_cost_per_character":
		m.Characters, err = e.price(field, 1_000_000)
	case "input_cost_per_request", "input_cost_per_query":
		m.Request, err = e.price(field, 1)
	case "input_cost_per_image", "output_cost_per_image":
		var price core.MicroUSD
		if price, err = e.price(field, 1); price > 0 {
			m.Images = map[string]core.MicroUSD{"auto/auto": max(price, m.Images["auto/auto"])}
		}
	default:
		return e.unused(field)
	}
	return err
}

// unused refuses a field that is a price of which Plumbline knows nothing.
func (e liteLLM) unused(field string) error {
	if !strings.Contains(field, "cost") || liteOther.MatchString(field) {
		return nil
	}
	for _, prefix := range liteUnused {
		if strings.HasPrefix(field, prefix) {
			return nil
		}
	}
	if v := e.fields[field]; v.Kind() == '0' && strings.Trim(string(v), "0.eE+-") == "" || v.Kind() == 'n' {
		return nil // nothing
	}
	return fmt.Errorf("it has a price that is not charged by: %s", field)
}

// shape puts a model's prices together as its mode has them.
func (m *Model) shape(mode string, flex, priority Rates, long LongRates) {
	switch mode {
	case "embedding", "moderation":
		m.MaxOutput = 0
	case "audio_speech": // all of its output is sound
		m.Output = max(m.Output, m.AudioOutput)
		m.AudioOutput = 0
	case "image_generation": // all of its output is pictures
		m.Output = max(m.Output, m.ImageOutput)
		m.ImageOutput = 0
		if m.Output > 0 && m.MaxOutput == 0 {
			m.MaxOutput = picture{}.tokens()
		}
	}
	if m.Input > 0 {
		m.Images = nil // an estimate for readers
	}
	if m.MaxOutput == 0 && mode != "embedding" && mode != "moderation" && m.Output > 0 {
		m.MaxOutput = unknownMaxOutput
	}
	if flex != (Rates{}) {
		m.Flex = flex.over(m.Rates)
	}
	if priority != (Rates{}) {
		m.Priority = priority.over(m.Rates)
	}
	if long.Above > 0 {
		long.Rates = *long.over(m.Rates)
		m.Long = &long
	}
}

// over fills what a tier does not say with what the model costs without it.
func (r Rates) over(base Rates) *Rates {
	filled, to := r, liteRates(&r)
	for name, from := range liteRates(&base) {
		if *to[name] == 0 {
			*liteRates(&filled)[name] = *from
		}
	}
	filled.CachedInput = min(filled.CachedInput, filled.Input)
	return &filled
}

// searches adds the price of a search to each call: the dearest, for how much is searched is not told.
func (e liteLLM) searches(m *Model) error {
	var sizes map[string]jsontext.Value
	if err := json.Unmarshal(e.fields["search_context_cost_per_query"], &sizes); err != nil || len(sizes) == 0 {
		return fmt.Errorf("it searches, and has no price for that")
	}
	for size := range sizes {
		price, err := liteLLM{sizes}.price(size, 1)
		if err != nil {
			return err
		}
		m.Request = max(m.Request, price)
	}
	return nil
}
