package openai

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/plumbline/plumbline/internal/core"
)

// Terms are those that the request asks for. An answer that does not say on which it was served was served on these.
func (r *Request) Terms() Terms {
	t := Terms{Tier: r.asked.tier}
	if kindOf(r) == kindImage {
		t.Image = r.asked.picture.priced()
	}
	return t
}

// BoundTerms are terms that cost at least as much as the answer can: a request on a cheaper tier may be served on the
// standard one.
func (r *Request) BoundTerms() Terms {
	t := r.Terms()
	if t.Tier != "priority" {
		t.Tier = ""
	}
	return t
}

// priced names a size and a quality as price tables do. Where a request says nothing the provider's reference does; of a
// quality that the provider chooses the dearest is reckoned with.
func (p picture) priced() string {
	if p.quality == "auto" || p.size == "auto" {
		return ""
	}
	if p.size == "" {
		p.size = "1024x1024"
	}
	if p.quality == "" {
		p.quality = "standard"
	}
	return p.size + "/" + p.quality
}

// Offered reports whether the price of a model on some terms is known.
func (m Model) Offered(t Terms) bool { return t.Tier != "priority" || m.Priority != nil }

// Contexts is how many times the input can fill the context of the model, 0 where InputBound bounds it. That it can where
// a request brings what is not in it: a file, what tools find that the provider runs. What Objects hold comes on top.
func (r *Request) Contexts() int64 {
	n := r.asked.runs
	if r.size.whole || n > 0 {
		n++
	}
	return n
}

// OutputBound is the most output tokens that one of the answers can have, 0 if nothing but the request bounds it, or if
// there are none.
func (r *Request) OutputBound(m Model) int64 {
	switch kindOf(r) {
	case kindOther: // embeddings and moderations
		return 0
	case kindImage:
		return r.pictureBound(m)
	case kindSpeech:
		return min(m.MaxOutput, tokensPerSpeech+characters(r)*tokensPerCharacter)
	default:
		return m.MaxOutput
	}
}

const (
	// tokensPerCharacter is more tokens than a spoken character has, however slowly: three seconds.
	tokensPerCharacter = 60
	tokensPerSpeech    = 1024
)

// pictureBound is the most output tokens of one picture, with those that are shown on the way to it. The table of them
// holds for one family of models and its own sizes.
func (r *Request) pictureBound(m Model) int64 {
	if m.MaxOutput == 0 {
		return 0 // paid by the picture
	}
	n := m.MaxOutput
	switch r.asked.picture.size {
	case "1024x1024", "1024x1536", "1536x1024":
		if strings.HasPrefix(m.Name, "gpt-image-1") {
			n = r.asked.picture.tokens()
		}
	}
	return n + r.asked.partial*tokensPerPartialImage
}

// InSlabs reports whether the output arrives bit by bit as it is made, so that room for it can be taken as it comes. A
// picture arrives when it is made, and paid.
func (r *Request) InSlabs() bool {
	switch kindOf(r) {
	case kindChat, kindCompletion, kindResponse:
		return r.Stream
	default:
		return false
	}
}

// Units is what the request can use at most besides its output and plain tokens: what is not counted in tokens, and how many of its input
// tokens are those of audio and of pictures, which have prices of their own.
func (r *Request) Units() core.Usage {
	u := core.Usage{AudioInputTokens: r.audioTokens(), ImageInputTokens: r.imageTokens()}
	switch kindOf(r) {
	case kindImage:
		u.Images = max(r.Choices, 1)
	case kindSpeech:
		u.Characters = characters(r)
	case kindTranscript:
		u.AudioMillis = r.size.audioMillis
	default:
	}
	return u
}

// Most is what a call with so many tokens can have used at most by its price: Units, and all of its output in the form that
// it was asked for, speech or pictures, which are dearer than text.
func (r *Request) Most(input, output int64) core.Usage {
	u := r.Units()
	u.InputTokens, u.OutputTokens = input, output
	switch k := kindOf(r); {
	case k == kindSpeech, k == kindChat && r.asked.speech:
		u.AudioOutputTokens = output
	case k == kindImage:
		u.ImageOutputTokens = output
	}
	return u
}

// characters counts the characters of the text that is to be spoken.
func characters(r *Request) int64 {
	n := 0
	for _, p := range r.Prompt.Parts {
		if p.Kind == core.KindText && p.Role == core.RoleUser {
			n += utf8.RuneCountInString(p.Text)
		}
	}
	return int64(n)
}

// Unread lists the media types of what the prompt holds that cannot be read, each once.
func (r *Request) Unread() []string {
	var kinds []string
	for _, p := range r.Prompt.Parts {
		if p.Kind != core.KindOpaque || len(kinds) == maxUnread {
			continue
		}
		if media := KnownMedia(p.Text); !slices.Contains(kinds, media) {
			kinds = append(kinds, media)
		}
	}
	return kinds
}

// KnownMedia is a media type that is in common use, or what stands for every other one: the caller writes it, and it is
// recorded in clear.
func KnownMedia(media string) string {
	if top, sub, ok := strings.Cut(media, "/"); ok && slices.Contains(mediaTypes[top], sub) {
		return media
	}
	return "other"
}

// mediaTypes are the media types that are told apart.
var mediaTypes = map[string][]string{
	"image": {"png", "jpeg", "gif", "webp", "bmp", "tiff", "svg+xml", "heic", "*"},
	"audio": {"wav", "x-wav", "mpeg", "mp3", "mp4", "ogg", "flac", "webm", "opus", "aac", "pcm", "pcm16", "*"},
	"video": {"mp4", "webm", "mpeg", "quicktime", "*"},
	"text":  {"plain", "csv", "html", "markdown", "xml", "x-python", "*"},
	"application": {
		"octet-stream", "pdf", "json", "jsonl", "x-ndjson", "xml", "zip", "gzip", "msword", "rtf", "vnd.ms-excel", "vnd.ms-powerpoint",
		"vnd.openxmlformats-officedocument.wordprocessingml.document", "vnd.openxmlformats-officedocument.spreadsheetml.sheet",
		"vnd.openxmlformats-officedocument.presentationml.presentation", "*",
	},
}

// maxUnread bounds the media types that are told apart.
const maxUnread = 8
