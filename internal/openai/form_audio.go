package openai

import (
	"bytes"
	"strings"

	"github.com/plumbline/plumbline/internal/core"
)

// ReadTranscription reads the form of POST /v1/audio/transcriptions. It is read as strictly as JSON is: a field that is
// not known, or that comes twice, is refused, and so is a body that two readers could read differently.
func ReadTranscription(contentType string, body []byte) (*Request, *core.Error) {
	return readAudio("audio.transcriptions", contentType, body, transcriptionFields)
}

// ReadTranslation reads the form of POST /v1/audio/translations, in the same way.
func ReadTranslation(contentType string, body []byte) (*Request, *core.Error) {
	return readAudio("audio.translations", contentType, body, translationFields)
}

func readAudio(endpoint, contentType string, body []byte, rules map[string]fieldRule) (*Request, *core.Error) {
	req := &Request{Endpoint: endpoint, Choices: 1}
	r, e := readForm(req, contentType, body, rules)
	if e != nil {
		return nil, e
	}
	if e := r.need("model", "file"); e != nil {
		return nil, e
	}
	return req, nil
}

var translationFields = map[string]fieldRule{
	"file":            {read: readAudioFile, file: true},
	"model":           {read: readFormModel},
	"prompt":          {read: spokenField(core.KindText)},
	"temperature":     {read: readNumber},
	"response_format": {read: readWord("json", "text", "srt", "verbose_json", "vtt")},
}

var transcriptionFields = map[string]fieldRule{
	"file":                                   {read: readAudioFile, file: true},
	"model":                                  {read: readFormModel},
	"prompt":                                 {read: spokenField(core.KindText)},
	"language":                               {read: readOutside},
	"languages[]":                            {read: readOutside, most: 16},
	"keywords[]":                             {read: spokenField(core.KindText), most: 32},
	"temperature":                            {read: readNumber},
	"stream":                                 {read: readFormStream},
	"response_format":                        {read: readWord("json", "text", "srt", "verbose_json", "vtt", "diarized_json")},
	"timestamp_granularities[]":              {read: readWord("word", "segment"), most: 2},
	"include[]":                              {read: readWord("logprobs"), most: 2},
	"known_speaker_names[]":                  {read: spokenField(core.KindName), most: 4},
	"known_speaker_references[]":             {read: readReference, most: 4},
	"chunking_strategy":                      {read: readWord("auto")},
	"chunking_strategy[type]":                {read: readWord("server_vad"), besides: "chunking_strategy"},
	"chunking_strategy[prefix_padding_ms]":   {read: readCount(0, maxPadding, nil), besides: "chunking_strategy"},
	"chunking_strategy[silence_duration_ms]": {read: readCount(0, maxPadding, nil), besides: "chunking_strategy"},
	"chunking_strategy[threshold]":           {read: readNumber, besides: "chunking_strategy"},
}

// maxPadding bounds the times around speech, in milliseconds.
const maxPadding = 1 << 20

// readAudioFile takes an audio into the prompt as what cannot be read, and into the size as how long it may be.
func readAudioFile(r *formReader, p field) *core.Error {
	kind, _, _ := strings.Cut(p.media, "/")
	if p.media != "" && p.media != anyMedia && kind != "audio" && kind != "video" {
		return p.unsupported("must be an audio")
	}
	r.file(p)
	r.req.size.audioMillis += longestAudio(p.value)
	return nil
}

// readReference reads a sample of a speaker's voice: an audio in a data URL.
func readReference(r *formReader, p field) *core.Error {
	rest, ok := bytes.CutPrefix(p.value, []byte("data:audio/"))
	media, data, found := bytes.Cut(rest, []byte(";base64,"))
	if !ok || !found || !mediaSubtype(media) || !isBase64(data) {
		return p.unsupported("must be a data: URL of an audio in base64")
	}
	r.opaque("audio/" + string(media))
	r.req.size.audioMillis += millisOf(len(data), leastByteRate) // in base64 it is shorter than this
	return nil
}
