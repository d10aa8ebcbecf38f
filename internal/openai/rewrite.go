package openai

import (
	"cmp"
	"slices"
	"strconv"
)

// edit replaces one part of a body.
type edit struct {
	span
	text string
}

// Rewrite gives body, which must be the one that was read, with the edits spliced in. All other bytes stay as they were.
// When there is nothing to change it is body itself.
func (r *Request) Rewrite(body []byte, e Edits) []byte {
	edits := make([]edit, 0, 4)
	if e.IncludeUsage && r.LacksUsage() {
		edits = append(edits, r.splices.askForUsage())
	}
	if e.MaxOutputTokens > 0 {
		edits = append(edits, r.splices.limitOutput(e.MaxOutputTokens)...)
	}
	if len(edits) == 0 {
		return body
	}
	slices.SortStableFunc(edits, func(a, b edit) int { return cmp.Compare(a.from, b.from) })
	grown := 0
	for _, x := range edits {
		grown += len(x.text) - (x.to - x.from)
	}
	out := make([]byte, 0, len(body)+grown)
	at := 0
	for _, x := range edits {
		out = append(out, body[at:x.from]...)
		out = append(out, x.text...)
		at = x.to
	}
	return append(out, body[at:]...)
}

// LacksUsage reports whether the answer will be a stream that says what it used only if it is asked to, and is not.
func (r *Request) LacksUsage() bool {
	k := kindOf(r)
	return r.Stream && !r.IncludeUsage && (k == kindChat || k == kindCompletion)
}

// OutputParam names the parameter that limits the output, empty where there is none.
func (r *Request) OutputParam() string { return r.splices.limit }

// askForUsage sets stream_options.include_usage, wherever it stands or does not.
func (s splices) askForUsage() edit {
	const member = `"include_usage":true`
	switch {
	case !s.includeUsage.zero():
		return edit{s.includeUsage, "true"}
	case s.streamOptions.zero():
		return edit{span{s.open, s.open}, `"stream_options":{` + member + `},`} // never the last member: there is a model
	case s.optionsNull:
		return edit{s.streamOptions, "{" + member + "}"}
	}
	inside := s.streamOptions.from + len("{")
	if s.optionsEmpty {
		return edit{span{inside, inside}, member}
	}
	return edit{span{inside, inside}, member + ","}
}

// limitOutput lowers the maximum that is there, or adds one. A maximum of 0 is one that nobody may take for none.
func (s splices) limitOutput(most int64) []edit {
	value := strconv.FormatInt(most, 10)
	for _, l := range s.maxTokens {
		switch {
		case l.null:
			continue
		case l.value > most, l.value == 0:
			return []edit{{l.span, value}}
		default:
			return nil
		}
	}
	for _, l := range s.maxTokens {
		return []edit{{l.span, value}} // a null in the place of a number
	}
	if s.limit == "" {
		return nil
	}
	return []edit{{span{s.open, s.open}, `"` + s.limit + `":` + value + ","}}
}
