package openai

import (
	"bytes"
	"mime"
	"strings"
)

// mediaEvent reads one event of a stream of pictures, of speech or of a transcript.
func (d *document) mediaEvent() {
	var kind, delta, text []byte
	d.open('{')
	for d.more('}') {
		switch name := d.name(); string(name) {
		case "type":
			kind = bytes.Trim(d.text(), `"`)
		case "delta":
			delta = d.text()
		case "text":
			text = d.text()
		case "audio":
			d.out.speech(d.text(), d.soundBytes)
		case "size":
			d.note(&d.picture.size)
		case "quality":
			d.note(&d.picture.quality)
		case "usage":
			d.readUsage()
		default:
			d.value()
		}
	}
	switch string(kind) {
	case "image_generation.partial_image", "image_edit.partial_image":
		d.out.frame(tokensPerPartialImage)
	case "image_generation.completed", "image_edit.completed":
		d.images++
		d.final = true
		d.out.frame(d.picture.tokens())
	case "speech.audio.done":
		d.final = true
	case "transcript.text.delta":
		d.deltas = true
		d.words(0, 0, textContent, delta)
	case "transcript.text.segment":
		if !d.deltas {
			d.words(0, 0, textContent, text)
		}
	case "transcript.text.done":
		d.final = true
		d.restOf(0, 0, textContent, text)
	}
}

// tokensPerPartialImage is what each picture shown on the way costs, by the provider's guide to image generation.
const tokensPerPartialImage = 100

// tokens is what a picture costs in output tokens, by the same guide: more for a size or a quality that it does not name.
func (p picture) tokens() int64 {
	square := p.size == "1024x1024"
	switch p.quality {
	case "low":
		if square {
			return 272
		}
		return 408
	case "medium":
		if square {
			return 1056
		}
		return 1584
	}
	if square {
		return 4160
	}
	return 6240
}

// soundBytesPerToken is how many bytes of a spoken answer stand for a token at least. Speech without compression has
// 48,000 bytes a second (24 kHz, 16 bits); a token is 50 ms or more of it. Of what is compressed, 16 kbit/s is the least.
func soundBytesPerToken(contentType string) int64 {
	media, _, _ := mime.ParseMediaType(contentType)
	switch media {
	case "audio/wav", "audio/x-wav", "audio/pcm", "audio/l16":
		return 48_000 / 20
	}
	return audioBytesPerToken * 3 / 4 // without base64
}

// speechBytesPerToken is the same for speech in base64, in the form that the request asks for.
func speechBytesPerToken(r *Request) int64 {
	if r != nil && r.asked.wave {
		return 48_000 / 20 * 4 / 3
	}
	return audioBytesPerToken
}

// cueMillis gives the last time that a subtitle file (SRT, WebVTT) says, in milliseconds: it ends at about the end of
// the audio. tail is the file, or the end of it.
func cueMillis(tail []byte) int64 {
	for len(tail) > 0 {
		at := bytes.LastIndex(tail, []byte("-->"))
		if at < 0 {
			return 0
		}
		line := tail[at+len("-->"):]
		if end := lineEnd(line); end >= 0 {
			line = line[:end]
		}
		if ms, ok := clockMillis(strings.TrimSpace(string(line))); ok {
			return ms
		}
		tail = tail[:at]
	}
	return 0
}

// clockMillis reads [hh:]mm:ss.mmm, with a comma or a point, and whatever stands behind it.
func clockMillis(s string) (int64, bool) {
	s, _, _ = strings.Cut(s, " ")
	s = strings.Replace(s, ",", ".", 1)
	total := int64(0)
	for {
		part, rest, more := strings.Cut(s, ":")
		if !more {
			ms, ok := millis([]byte(part))
			return total*60_000 + ms, ok
		}
		n, ok := figure(bytes.TrimLeft([]byte(part), "0"))
		if !ok && strings.Trim(part, "0") != "" || n > maxSeconds {
			return 0, false
		}
		total, s = total*60+n, rest
	}
}

// spokenMillisPerToken is how long a token of a transcript takes to say at most, slowly and with pauses. It is reckoned
// with where nothing else says how long an audio was.
const spokenMillisPerToken = 600

// countedAudio estimates how long the audio behind a transcript was.
func (a *Answer) countedAudio() int64 {
	switch {
	case a.doc.kind != kindTranscript:
		return 0
	case a.doc.duration > 0:
		return a.doc.duration
	}
	if a.format == formatText {
		if ms := cueMillis(a.kept); ms > 0 {
			return ms
		}
	}
	return 1000 + a.out.tokens()*spokenMillisPerToken
}
