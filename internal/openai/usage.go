package openai

import "github.com/plumbline/plumbline/internal/core"

// report is a usage object as it is read: {prompt_tokens, completion_tokens, …}, {input_tokens, output_tokens, …} or
// {type: "duration", seconds}.
type report struct {
	usage   core.Usage
	said    bool // it says what went in
	rubbish bool // a figure in it is none
}

// readUsage reads a usage object. The last one of an answer counts; where each picture of a stream has its own, their sum.
// One with a figure that cannot be (negative, with a fraction, as a text, a part above its whole) is no report at all.
func (d *document) readUsage() {
	if d.peek() != '{' {
		d.value()
		return
	}
	var r report
	r.read(&d.scanner)
	d.sawUsage = true
	if d.bad {
		return
	}
	if d.kind == kindImage {
		d.addUsage(r)
		return
	}
	d.usage, d.hasUsage = core.Usage{}, r.ok()
	if d.hasUsage {
		d.usage = r.usage
	}
}

// addUsage adds that of one picture of several. If that of one is missing, so is that of all.
func (d *document) addUsage(r report) {
	d.spoilt = d.spoilt || !r.ok()
	d.hasUsage = !d.spoilt
	u := &d.usage
	u.InputTokens += r.usage.InputTokens
	u.CachedInputTokens += r.usage.CachedInputTokens
	u.ImageInputTokens += r.usage.ImageInputTokens
	u.OutputTokens += r.usage.OutputTokens
	u.ImageOutputTokens += r.usage.ImageOutputTokens
}

// reported is the usage as the provider said it. A transcript may say how long its audio was outside of it.
func (d *document) reported() (core.Usage, bool) {
	switch {
	case d.hasUsage:
		u := d.usage
		u.Images = d.images
		return u, true
	case d.duration > 0 && !d.spoilt:
		return core.Usage{AudioMillis: d.duration}, true
	}
	return core.Usage{}, false
}

func (r *report) read(s *scanner) {
	u := &r.usage
	s.open('{')
	for s.more('}') {
		switch string(s.name()) {
		case "prompt_tokens", "input_tokens":
			r.figure(s, &u.InputTokens)
			r.said = true
		case "completion_tokens", "output_tokens":
			r.figure(s, &u.OutputTokens)
		case "prompt_tokens_details", "input_tokens_details", "input_token_details":
			r.details(s, &u.CachedInputTokens, nil, &u.AudioInputTokens, &u.ImageInputTokens)
		case "completion_tokens_details", "output_tokens_details", "output_token_details":
			r.details(s, nil, &u.ReasoningTokens, &u.AudioOutputTokens, &u.ImageOutputTokens)
		case "seconds":
			length, ok := millis(s.value())
			u.AudioMillis, r.said, r.rubbish = length, true, r.rubbish || !ok
		default:
			s.value()
		}
	}
}

// details reads what a figure is made up of.
func (r *report) details(s *scanner, cached, reasoning, audio, image *int64) {
	if !s.open('{') {
		return
	}
	for s.more('}') {
		into := (*int64)(nil)
		switch string(s.name()) {
		case "cached_tokens":
			into = cached
		case "reasoning_tokens":
			into = reasoning
		case "audio_tokens":
			into = audio
		case "image_tokens":
			into = image
		}
		if into == nil {
			s.value()
			continue
		}
		r.figure(s, into)
	}
}

// figure reads one figure; null is none.
func (r *report) figure(s *scanner, into *int64) {
	v := s.value()
	if string(v) == "null" {
		return
	}
	n, ok := figure(v)
	*into, r.rubbish = n, r.rubbish || !ok
}

func (r *report) ok() bool {
	u := r.usage
	in := max(u.CachedInputTokens, u.AudioInputTokens, u.ImageInputTokens)
	out := max(u.ReasoningTokens, u.AudioOutputTokens, u.ImageOutputTokens)
	return r.said && !r.rubbish && in <= u.InputTokens && out <= u.OutputTokens
}
