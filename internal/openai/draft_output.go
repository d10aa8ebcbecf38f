package openai

import (
	"strconv"

	"github.com/plumbline/plumbline/internal/core"
)

func (d *draft) streamOptions() *core.Error {
	s := &d.req.splices
	null, e := d.null()
	end := d.offset()
	if e != nil {
		return e
	}
	if null {
		s.streamOptions, s.optionsNull = span{end - len("null"), end}, true
		return nil
	}
	// The value begins at its brace, which follows the name, a colon and white space.
	from := end
	for from < len(d.body) && d.body[from] != '{' {
		from++
	}
	s.optionsEmpty = true
	e = d.object(func(name []byte) *core.Error {
		s.optionsEmpty = false
		switch string(name) {
		case "include_usage":
			on, e := d.boolean()
			if e != nil {
				return e
			}
			d.req.IncludeUsage = on
			to := d.offset()
			s.includeUsage = span{to - len(literal(d.body[:to])), to}
			return nil
		case "include_obfuscation":
			_, e := d.boolean()
			return e
		}
		return d.unknown(name)
	})
	s.streamOptions = span{from, d.offset()}
	return e
}

// literal is the word (true, false or null) that b ends with.
func literal(b []byte) []byte {
	from := len(b)
	for from > 0 && b[from-1] >= 'a' && b[from-1] <= 'z' {
		from--
	}
	return b[from:]
}

func (d *draft) maxTokens() *core.Error {
	n, null, at, e := d.integer(maxTokensValue)
	if e != nil {
		return e
	}
	for _, l := range d.req.splices.maxTokens {
		if !l.null && !null {
			return d.invalid("is given besides the other maximum; give " + d.req.splices.limit + " alone")
		}
	}
	d.req.splices.maxTokens = append(d.req.splices.maxTokens, limitSpan{span: at, null: null, value: n})
	switch {
	case null:
	case n == 0 && kindOf(d.req) == kindCompletion:
		d.req.MaxOutputTokens = 1 // it wants no answer: one token bounds that
	default:
		d.req.MaxOutputTokens = n // of 0 nothing is certain: it is reckoned as no maximum
	}
	return nil
}

// choices reads how many answers are asked for (n, best_of).
func (d *draft) choices(into *int64) *core.Error {
	n, null, _, e := d.integer(maxChoices)
	if e != nil || null {
		return e
	}
	if n > d.allow.MaxChoices {
		return d.notAllowed("must be at most "+strconv.FormatInt(d.allow.MaxChoices, 10), "max_choices")
	}
	*into = max(n, 1)
	return nil
}
