package openai

import (
	"bytes"

	"github.com/plumbline/plumbline/internal/core"
)

// pictures is the reading of a body of POST /v1/images/generations.
type pictures struct {
	*draft
	hasPrompt bool
}

// maxPartial is how many pictures can be shown on the way to one.
const maxPartial = 3

func (p *pictures) read() *core.Error {
	if e := p.members(p.member); e != nil {
		return e
	}
	if !p.hasPrompt {
		return missing("prompt")
	}
	return nil
}

func (p *pictures) member(name []byte) *core.Error {
	switch string(name) {
	case "prompt":
		p.hasPrompt = true
		p.req.size.messages++
		return p.prompted(core.RoleUser, 0)
	case "model":
		return p.model()
	case "n":
		return p.choices(&p.req.Choices)
	case "stream":
		return p.stream()
	case "size":
		return p.size()
	case "quality":
		var e *core.Error
		p.req.asked.picture.quality, e = p.choice("auto", "low", "medium", "high", "standard", "hd")
		return e
	case "partial_images":
		n, _, _, e := p.integer(maxPartial)
		p.req.asked.partial = n
		return e
	case "output_compression":
		return p.number()
	case "background":
		return p.word("transparent", "opaque", "auto")
	case "moderation":
		return p.word("low", "auto")
	case "output_format":
		// A GIF has many frames and an SVG a second model, of which the prices are not known.
		return p.word("png", "jpeg", "webp")
	case "response_format":
		return p.word("url", "b64_json")
	case "style":
		return p.word("vivid", "natural")
	case "user", "safety_identifier":
		return p.outside(core.KindMeta)
	case "complexity", "frame_count", "frame_duration_ms", "svg":
		return p.refuseUnlessNull("changes the price of a picture in a way that cannot be reckoned yet")
	}
	return p.unknown(name)
}

// size reads the size of a picture: "auto", or its width and height.
func (p *pictures) size() *core.Error {
	s, e := p.optional()
	if e != nil || len(s) == 0 {
		return e
	}
	if string(s) != "auto" && !isSize(s) {
		return p.unsupported("must be auto, or a width and a height such as 1024x1024")
	}
	p.req.asked.picture.size = string(s)
	return nil
}

// isSize reports whether s is a width and a height in pixels.
func isSize(s []byte) bool {
	width, height, ok := bytes.Cut(s, []byte("x"))
	return ok && isPixels(width) && isPixels(height)
}

func isPixels(s []byte) bool {
	n, ok := figure(s)
	return ok && n > 0 && n < 1<<16
}

// speech is the reading of a body of POST /v1/audio/speech.
type speech struct {
	*draft
	hasInput bool
}

func (s *speech) read() *core.Error {
	if e := s.members(s.member); e != nil {
		return e
	}
	if !s.hasInput {
		return missing("input")
	}
	return nil
}

func (s *speech) member(name []byte) *core.Error {
	switch string(name) {
	case "input":
		s.hasInput = true
		s.req.size.messages++
		return s.prompted(core.RoleUser, 0)
	case "instructions":
		return s.nullOr(func() *core.Error { return s.prompted(core.RoleSystem, -1) })
	case "model":
		return s.model()
	case "voice":
		return s.voice()
	case "speed":
		return s.number()
	case "response_format":
		return s.word("mp3", "opus", "aac", "flac", "wav", "pcm")
	case "stream_format":
		format, e := s.choice("sse", "audio")
		s.req.Stream = format == "sse"
		return e
	}
	return s.unknown(name)
}
