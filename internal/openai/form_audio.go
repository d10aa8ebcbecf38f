package openai

import (
	"bytes"
	"strings"

	"github.com/plumbline/plumbline/internal/core"
)

// The forms of audio that is to be written down. Files are bounded by their length, texts are the user's.

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
func readAudioFile(r *formReader, p formField) *core.Error {
	kind, _, _ := strings.Cut(p.media, "/")
	if p.media != "" && p.media != anyMedia && kind != "audio" && kind != "video" {
		return p.unsupported("must be an audio")
	}
	r.req.size.audioMillis += longestAudio(p.value)
	return r.file(p, r.allow.Audio)
}

// readReference reads a sample of a speaker's voice: an audio in a data URL.
func readReference(r *formReader, p formField) *core.Error {
	rest, ok := bytes.CutPrefix(p.value, []byte("data:audio/"))
	media, data, found := bytes.Cut(rest, []byte(";base64,"))
	if !ok || !found || !mediaSubtype(media) || !isBase64(data) {
		return p.unsupported("must be a data: URL of an audio in base64")
	}
	if !r.allow.Audio {
		return r.forbidden(p.unsupported("holds audio, which is not allowed"), "inline")
	}
	r.media += len(data)
	r.opaque("audio/" + string(media))
	r.req.size.audioMillis += millisOf(len(data), leastByteRate) // in base64 it is shorter than this
	return nil
}
