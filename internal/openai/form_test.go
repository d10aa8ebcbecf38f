package openai

import (
	"bytes"
	"encoding/binary"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/packages/param"

	"github.com/plumbline/plumbline/internal/core"
)

// fileField is a file.
func fileField(name, media, content string) string {
	head := `Content-Disposition: form-data; name="` + name + `"; filename="` + name + `.bin"`
	if media != "" {
		head += "\r\nContent-Type: " + media
	}
	return head + "\r\n\r\n" + content
}

// sdkForm writes a form as the official client does.
func sdkForm(t *testing.T, params interface {
	MarshalMultipart() ([]byte, string, error)
},
) (contentType string, body []byte) {
	t.Helper()
	body, contentType, err := params.MarshalMultipart()
	if err != nil {
		t.Fatal(err)
	}
	return contentType, body
}

// readFormOf reads a form of the endpoint of a name, as the default policy allows.
func readFormOf(endpoint, contentType, body string) (*Request, *core.Error) {
	return Read(Endpoint{Name: endpoint, Form: true}, contentType, []byte(body), allowance())
}

func TestReadTranscription(t *testing.T) {
	contentType, body := sdkForm(t, sdk.AudioTranscriptionNewParams{
		File: sdk.File(strings.NewReader(strings.Repeat("x", 7500)), "call.webm", "audio/webm"), Model: "gpt-4o-transcribe",
		Prompt: param.NewOpt("Names: Zürich"), Language: param.NewOpt("de"), Temperature: param.NewOpt(0.2),
		Include: []sdk.TranscriptionInclude{"logprobs"}, Keywords: []string{"Limmat"}, KnownSpeakerNames: []string{"agent"},
		KnownSpeakerReferences: []string{"data:audio/wav;base64,aGk="}, ResponseFormat: "json", TimestampGranularities: []string{"word", "segment"},
		ChunkingStrategy: sdk.AudioTranscriptionNewParamsChunkingStrategyUnion{
			OfAudioTranscriptionNewsChunkingStrategyVadConfig: &sdk.AudioTranscriptionNewParamsChunkingStrategyVadConfig{
				Type: "server_vad", PrefixPaddingMs: param.NewOpt[int64](300), SilenceDurationMs: param.NewOpt[int64](200), Threshold: param.NewOpt(0.5),
			},
		},
	})
	r, e := readFormOf("audio.transcriptions", contentType, string(body))
	if e != nil {
		t.Fatal(e.Public)
	}
	want := []core.Part{
		{Role: "meta", Kind: core.KindMeta, Turn: -1, Text: "call.webm"},
		{Role: "user", Kind: core.KindOpaque, Text: "audio/webm"},
		{Role: "user", Kind: core.KindText, Text: "Limmat"},
		{Role: "user", Kind: core.KindName, Text: "agent"},
		{Role: "user", Kind: core.KindOpaque, Text: "audio/wav"},
		{Role: "meta", Kind: core.KindMeta, Turn: -1, Text: "de"},
		{Role: "user", Kind: core.KindText, Text: "Names: Zürich"},
	}
	if diff := cmp.Diff(want, r.Prompt.Parts); diff != "" {
		t.Error(diff)
	}
	if r.Endpoint != "audio.transcriptions" || r.Model != "gpt-4o-transcribe" || !r.Opaque || r.Stream || r.Choices != 1 {
		t.Errorf("%+v", r)
	}
	if got := r.Units().AudioMillis; got < 10_000 {
		t.Errorf("7,500 bytes of audio are reserved as %d ms", got)
	}
	if got := r.Rewrite(body, Edits{IncludeUsage: true, MaxOutputTokens: 5}); &got[0] != &body[0] {
		t.Error("a form was rewritten")
	}
}

func TestReadTranslation(t *testing.T) {
	r, e := readFormOf("audio.translations", formType, formOf(textField("model", "whisper-1"), textField("prompt", "a prompt"), fileField("file", "", "xx")))
	if e != nil {
		t.Fatal(e.Public)
	}
	if r.Endpoint != "audio.translations" || len(r.Prompt.Parts) != 3 || r.Units().AudioMillis == 0 {
		t.Errorf("%+v", r)
	}
	for _, field := range []string{"language", "stream", "include[]"} {
		_, e := readFormOf("audio.translations", formType, formOf(textField("model", "whisper-1"), fileField("file", "", "xx"), textField(field, "true")))
		if e == nil || e.Param != field {
			t.Errorf("%s: %v", field, e)
		}
	}
}

func TestReadImageEdit(t *testing.T) {
	contentType, body := sdkForm(t, sdk.ImageEditParams{
		Image:  sdk.ImageEditParamsImageUnion{OfFileArray: []io.Reader{sdk.File(strings.NewReader("a"), "a.png", "image/png"), sdk.File(strings.NewReader("b"), "b.webp", "image/webp")}},
		Mask:   sdk.File(strings.NewReader("m"), "m.png", "image/png"),
		Prompt: "Take the background out.", Model: "gpt-image-1", N: param.NewOpt[int64](3), Size: "1024x1536", Quality: "high",
		Background: "transparent", InputFidelity: "high", OutputFormat: "webp", OutputCompression: param.NewOpt[int64](80),
		PartialImages: param.NewOpt[int64](2), SafetyIdentifier: param.NewOpt("u-1"),
	})
	r, e := readFormOf("images.edits", contentType, string(body))
	if e != nil {
		t.Fatal(e.Public)
	}
	if r.Model != "gpt-image-1" || r.Choices != 3 || !r.Opaque || r.size.images != 3 || r.Units().Images != 3 {
		t.Errorf("%+v", r)
	}
	if r.InputBound() < 3*(65+6240) || r.CountInput() > r.InputBound() {
		t.Errorf("%d tokens bound three pictures, counted are %d", r.InputBound(), r.CountInput())
	}
	last := core.Part{Role: "meta", Kind: core.KindMeta, Turn: -1, Text: "u-1"}
	if parts := r.Prompt.Parts; parts[len(parts)-1] != last {
		t.Errorf("%+v", parts)
	}
	r, e = readFormOf("images.edits", formType, formOf(fileField("image", "", "x"), textField("prompt", "p"), textField("model", "m"), textField("stream", "true")))
	if e != nil || !r.Stream || r.Choices != 1 || r.size.images != 1 {
		t.Errorf("%+v %v", r, e)
	}
}

func TestFormsRefuse(t *testing.T) {
	const text, param = core.ReasonInvalidBody, core.ReasonUnsupportedParameter
	model, file, image, prompt := textField("model", "m"), fileField("file", "audio/wav", "x"), fileField("image", "image/png", "x"), textField("prompt", "p")
	audio := func(more ...string) string { return formOf(append([]string{model, file}, more...)...) }
	edit := func(more ...string) string { return formOf(append([]string{model, image, prompt}, more...)...) }
	transcription := func(body string) (*Request, *core.Error) { return readFormOf("audio.transcriptions", formType, body) }
	imageEdit := func(body string) (*Request, *core.Error) { return readFormOf("images.edits", formType, body) }
	for _, tt := range []struct {
		name   string
		read   func(string) (*Request, *core.Error)
		body   string
		reason core.Reason
		param  string
	}{
		{"no model", transcription, formOf(file), text, "model"},
		{"no file", transcription, formOf(model), text, "file"},
		{"no fields", transcription, "--XX--\r\n", text, "model"},
		{"the model twice", transcription, audio(model), text, "model"},
		{"the file twice", transcription, audio(file), text, "file"},
		{"an empty model", transcription, formOf(textField("model", ""), file), text, "model"},
		{"a model with a space", transcription, formOf(textField("model", "whisper-1 "), file), text, "model"},
		{"a model with a line", transcription, formOf(textField("model", "whisper-1\r\n"), file), text, "model"},
		{"a long model", transcription, formOf(textField("model", strings.Repeat("m", 300)), file), text, "model"},
		{"a file as a text", transcription, formOf(model, textField("file", "x")), text, "file"},
		{"a text as a file", transcription, formOf(fileField("model", "text/plain", "m"), file), text, "model"},
		{"a text of another type", transcription, audio("Content-Disposition: form-data; name=prompt\r\nContent-Type: application/json\r\n\r\n{}"), text, "prompt"},
		{"a prompt that is not UTF-8", transcription, audio(textField("prompt", "\xff")), text, "prompt"},
		{"a long prompt", transcription, audio(textField("prompt", strings.Repeat("p", maxFieldText+1))), text, "prompt"},
		{"an unknown field", transcription, audio(textField("surprise", "1")), param, "surprise"},
		{"a text as a name", transcription, audio(textField("what is my salary?", "1")), param, "?"},
		{"another case", transcription, audio(textField("Prompt", "1")), text, "Prompt"},
		{"a charset for all", transcription, audio(textField("_charset_", "utf-7")), param, "_charset_"},
		{"a field of another spelling", transcription, audio(textField("include", "logprobs")), param, "include"},
		{"an index", transcription, audio(textField("include[0]", "logprobs")), param, "?"},
		{"an audio that is a text", transcription, formOf(model, fileField("file", "text/plain", "x")), param, "file"},
		{"a stream by another word", transcription, audio(textField("stream", "True")), param, "stream"},
		{"a temperature in words", transcription, audio(textField("temperature", "hot")), text, "temperature"},
		{"a temperature with an exponent", transcription, audio(textField("temperature", "1e-3")), text, "temperature"},
		{"an unknown format", transcription, audio(textField("response_format", "poem")), param, "response_format"},
		{"too many granularities", transcription, audio(textField("timestamp_granularities[]", "word"), textField("timestamp_granularities[]", "word"), textField("timestamp_granularities[]", "word")), text, "timestamp_granularities[]"},
		{"two chunkings", transcription, audio(textField("chunking_strategy", "auto"), textField("chunking_strategy[type]", "server_vad")), text, "chunking_strategy[type]"},
		{"a chunking in JSON", transcription, audio(textField("chunking_strategy", `{"type":"server_vad"}`)), param, "chunking_strategy"},
		{"a voice to be fetched", transcription, audio(textField("known_speaker_references[]", "https://x/y.wav")), param, "known_speaker_references[]"},
		{"a text as a voice", transcription, audio(textField("known_speaker_references[]", "data:audio/wav;base64,a b")), param, "known_speaker_references[]"},
		{"no prompt", imageEdit, formOf(model, image), text, "prompt"},
		{"no image", imageEdit, formOf(model, prompt), text, "image"},
		{"no model for an image", imageEdit, formOf(image, prompt), text, "model"},
		{"two spellings of image", imageEdit, edit(fileField("image[]", "image/png", "x")), text, "image[]"},
		{"a picture that is none", imageEdit, formOf(model, prompt, fileField("image", "image/svg+xml", "x")), param, "image"},
		{"no pictures", imageEdit, edit(textField("n", "0")), text, "n"},
		{"many pictures", imageEdit, edit(textField("n", "1000")), text, "n"},
		{"a fraction of a picture", imageEdit, edit(textField("n", "1.0")), text, "n"},
		{"a signed number", imageEdit, edit(textField("n", "+1")), text, "n"},
		{"a large picture", imageEdit, edit(textField("size", "large")), param, "size"},
		{"a dear quality", imageEdit, edit(textField("quality", "max")), param, "quality"},
		{"a moving picture", imageEdit, edit(textField("output_format", "gif")), param, "output_format"},
		{"planning", imageEdit, edit(textField("complexity", "high")), param, "complexity"},
	} {
		r, err := tt.read(tt.body)
		if err == nil {
			t.Errorf("%s: read as %+v", tt.name, r)
			continue
		}
		if err.Reason != tt.reason || err.Param != tt.param {
			t.Errorf("%s: %s, param %q, want %s, %q (%s)", tt.name, err.Reason, err.Param, tt.reason, tt.param, err.Public)
		}
		if err.Cause != nil || strings.Contains(err.Public+err.Param, "salary") {
			t.Errorf("%s: the error may repeat the prompt: %s", tt.name, err.Public)
		}
	}
}

// What the policy does not allow is refused, and the error names its rule.
func TestFormsKeepToThePolicy(t *testing.T) {
	audio := formOf(textField("model", "m"), fileField("file", "audio/wav", "x"))
	voice := formOf(textField("model", "m"), textField("known_speaker_references[]", "data:audio/wav;base64,aGk="))
	edit := formOf(textField("model", "m"), textField("prompt", "p"), textField("n", "3"), fileField("image", "image/png", "x"))
	for _, tt := range []struct {
		endpoint, body string
		allow          Allowance
		rule, param    string
	}{
		{"audio.transcriptions", audio, Allowance{Images: true, Files: true, MaxChoices: 9}, "requests.inline", "file"},
		{"audio.transcriptions", voice, Allowance{}, "requests.inline", "known_speaker_references[]"},
		{"audio.translations", audio, Allowance{}, "requests.inline", "file"},
		{"images.edits", edit, Allowance{Audio: true, Files: true, MaxChoices: 9}, "requests.inline", "image"},
		{"images.edits", edit, Allowance{Images: true, MaxChoices: 2}, "requests.max_choices", "n"},
	} {
		_, e := Read(Endpoint{Name: tt.endpoint, Form: true}, formType, []byte(tt.body), tt.allow)
		if e == nil || e.Reason != core.ReasonUnsupportedParameter || e.Rule != tt.rule || e.Param != tt.param {
			t.Errorf("%s under %+v: %+v", tt.endpoint, tt.allow, e)
		}
	}
}

// Text is bounded as it is in JSON; what a form holds besides is bounded by the endpoint.
func TestFormsBoundTheirText(t *testing.T) {
	keyword := textField("keywords[]", strings.Repeat("k", maxFieldText))
	body := formOf(textField("model", "m"), fileField("file", "", strings.Repeat("x", 2*maxJSONBody)), keyword, keyword, keyword)
	if _, e := readFormOf("audio.transcriptions", formType, body); e != nil {
		t.Error(e.Public)
	}
	body = formOf(textField("model", "m"), fileField("file", "", "x"), keyword, keyword, keyword, keyword)
	if _, e := readFormOf("audio.transcriptions", formType, body); e == nil || e.Reason != core.ReasonBodyTooLarge {
		t.Errorf("%v", e)
	}
}

// formParams are the forms of the API as the official client knows them.
var formParams = []struct {
	params reflect.Type
	rules  map[string]fieldRule
	// denied are the fields that are refused, each for a reason that its reader gives.
	denied []string
}{
	{reflect.TypeFor[sdk.AudioTranscriptionNewParams](), transcriptionFields, nil},
	{reflect.TypeFor[sdk.AudioTranslationNewParams](), translationFields, nil},
	{reflect.TypeFor[sdk.ImageEditParams](), imageEditFields, []string{"frame_count", "frame_duration_ms", "complexity"}},
}

// A text in any field of a form is either in the prompt or a reason to refuse the request.
func TestFormCanaries(t *testing.T) {
	const canary = "zqcanary"
	fields := 0
	for _, form := range formParams {
		for _, p := range reflect.VisibleFields(form.params) {
			name, _, _ := strings.Cut(p.Tag.Get("json"), ",")
			if name == "" || name == "-" {
				continue
			}
			known := 0
			for field, rule := range form.rules {
				base, _, _ := strings.Cut(field, "[")
				if base != name {
					continue
				}
				known++
				f := textField(field, canary)
				if rule.file {
					f = `Content-Disposition: form-data; name="` + field + `"; filename="` + canary + `"` + "\r\n\r\nx"
				}
				req, allow := &Request{}, allowance()
				e := (&draft{req: req, allow: &allow}).readForm(formType, []byte(formOf(f)), form.rules)
				in := req.Model == canary
				for _, part := range req.Prompt.Parts {
					in = in || strings.Contains(part.Text, canary)
				}
				if e == nil && !in {
					t.Errorf("%s: the text of %s is not in the prompt", form.params, field)
				}
				fields++
			}
			isDenied := false
			for _, d := range form.denied {
				isDenied = isDenied || d == name
			}
			if known == 0 && !isDenied {
				t.Errorf("%s: the field %s is not known", form.params, name)
			}
		}
	}
	if fields < 35 {
		t.Errorf("only %d fields", fields)
	}
}

func TestReadUpload(t *testing.T) {
	contentType, body := sdkForm(t, sdk.FileNewParams{
		File: sdk.File(strings.NewReader(`{"a":1}`), "batch.jsonl", "application/jsonl"), Purpose: "batch",
		ExpiresAfter: sdk.FileNewParamsExpiresAfter{Seconds: 3600},
	})
	up, e := ReadUpload(contentType, body)
	if e != nil {
		t.Fatal(e.Public)
	}
	if up.Purpose != "batch" || up.Media != "application/jsonl" || string(up.Content) != `{"a":1}` {
		t.Errorf("%+v", up)
	}
	for _, body := range []string{
		formOf(textField("purpose", "vision")), formOf(fileField("file", "", "x")), formOf(textField("purpose", "batch\r\n"), fileField("file", "", "x")),
		formOf(textField("purpose", "vision"), textField("purpose", "batch"), fileField("file", "", "x")),
	} {
		if up, e := ReadUpload(formType, []byte(body)); e == nil {
			t.Errorf("%q: %+v", body, up)
		}
	}
}

func TestLongestAudio(t *testing.T) {
	wave := func(format, channels uint16, rate, said uint32, align, bits uint16, more string, length int) []byte {
		b := []byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00")
		b = binary.LittleEndian.AppendUint16(b, format)
		b = binary.LittleEndian.AppendUint16(b, channels)
		b = binary.LittleEndian.AppendUint32(b, rate)
		b = binary.LittleEndian.AppendUint32(b, said)
		b = binary.LittleEndian.AppendUint16(b, align)
		b = binary.LittleEndian.AppendUint16(b, bits)
		b = append(append(b, more...), "data\x00\x00\x00\x00"...)
		return append(b, make([]byte, length-len(b))...)
	}
	for name, tt := range map[string]struct {
		file []byte
		want int64
	}{
		"empty":                     {nil, 0},
		"no container":              {make([]byte, 7500), 10_000},
		"ten seconds of samples":    {wave(1, 1, 16_000, 32_000, 2, 16, "", 320_000), 10_000},
		"a rate that is too high":   {wave(1, 1, 16_000, 1<<31, 2, 16, "", 320_000), 10_000},
		"a frame that is too large": {wave(1, 1, 16_000, 32_000, 1<<15, 16, "", 320_000), 10_000},
		"a very low rate":           {wave(1, 1, 1, 1, 1, 8, "", 5_000), 5_000_000},
		"a rate of nothing":         {wave(1, 1, 0, 0, 0, 0, "", 5_000), 5_000_000},
		"compressed":                {wave(0x55, 1, 16_000, 32_000, 2, 16, "", 7500), 10_000},
		"two formats":               {wave(1, 1, 16_000, 32_000, 2, 16, "fmt \x00\x00\x00\x00", 7500), 10_000},
		"cut short":                 {[]byte("RIFF\x00\x00\x00\x00WAVEfmt "), 22},
	} {
		if got := longestAudio(tt.file); got != tt.want {
			t.Errorf("%s: %d ms, want %d", name, got, tt.want)
		}
	}
}

// An audio is never free: the reservation of a minute-priced model covers its length.
func TestAudioIsReserved(t *testing.T) {
	r, e := readFormOf("audio.transcriptions", formType, formOf(textField("model", "whisper-1"), fileField("file", "audio/mpeg", string(bytes.Repeat([]byte{0xff}, 60*750)))))
	if e != nil {
		t.Fatal(e.Public)
	}
	for name, least := range map[string]core.MicroUSD{"whisper-1": 6000, "gpt-4o-transcribe": 1200 * 6} {
		m, ok := DefaultPrices().Model(name)
		u := r.Units()
		u.InputTokens = r.InputBound()
		if got := m.Cost(u); !ok || got < least {
			t.Errorf("%s: a minute is reserved at %d micro-dollars", name, got)
		}
	}
}
