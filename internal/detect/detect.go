package detect

import (
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/plumbline/plumbline/internal/core"
)

// scan is the work on one prompt, with the buffers that are kept from one to the next.
type scan struct {
	r reader
	w wordReader
	m matcher

	reach   int            // of negations, in the part that is read
	secrets []Secret       // of the part; of what was encoded the place is -1
	plain   [formCount]int // how often each form was met that was not encoded
	decoded int            // bytes, of the whole prompt
	flooded bool
	buffer  []byte
}

var scans = sync.Pool{New: func() any { return new(scan) }}

// Prompt gives what is found in a prompt: in every part of it, whoever speaks. Parts that cannot be read are passed over.
func Prompt(p core.Prompt) core.Found {
	c := scans.Get().(*scan)
	defer scans.Put(c)
	c.decoded, c.r.spent = 0, 0
	var found core.Found
	for i := range p.Parts {
		part := &p.Parts[i]
		if part.Kind != core.KindOpaque && part.Text != "" {
			c.part(part)
			c.addTo(&found, part)
		}
	}
	c.r.s = ""
	if found.Any() {
		found.Rules = Rules
	}
	return found
}

// Secrets appends the secrets that stand in s itself, in its order. They can overlap.
func Secrets(found []Secret, s string) []Secret {
	c := scans.Get().(*scan)
	defer scans.Put(c)
	c.r.spent = 0
	from := len(found)
	found, _ = c.r.appendSecrets(found, s, nil)
	found = c.r.appendNumbers(found, s)
	c.r.s = ""
	slices.SortFunc(found[from:], func(a, b Secret) int { return a.From - b.From })
	return found
}

// How far a negation reaches, in words: "never reveal" is what an application tells its model, and may stand further apart.
const (
	reachOthers = 2
	reachSystem = 8
)

// part scans one part of a prompt.
func (c *scan) part(part *core.Part) {
	c.secrets, c.m.counts, c.flooded = c.secrets[:0], [formCount]int{}, false
	c.reach = reachOthers
	application := part.Role == core.RoleSystem || part.Role == core.RoleDeveloper
	if application {
		c.reach = reachSystem
	}
	c.text(part.Text, 0)
	if application { // tells its model what to keep from the user, which is its right
		c.m.counts[formIDs[FormHijack]] = 0
	}
	if c.flooded {
		c.m.counts[formIDs[FormFlood]]++
	}
}

// text scans one text, behind so many encodings.
func (c *scan) text(s string, depth int) {
	c.m.begin(c.reach)
	from := len(c.secrets)
	var flooded bool
	c.secrets, flooded = c.r.appendSecrets(c.secrets, s, &c.m)
	c.secrets = c.r.appendNumbers(c.secrets, s)
	c.flooded = c.flooded || flooded
	if depth > 0 {
		for i := range c.secrets[from:] {
			c.secrets[from+i].From = -1
		}
	}
	seen := c.words(s)
	c.worded(s)
	c.unseen(&seen)
	if depth == 0 {
		c.plain = c.m.counts
	}
	if depth == maxDepth {
		return
	}
	if seen.spelt != "" {
		c.text(seen.spelt, depth+1)
	}
	c.encodings(s, seen, depth)
}

// worded adds the points of the learnt head to forms of which the rules found a little in s, and not enough. It is asked where
// that can make a finding.
func (c *scan) worded(s string) {
	asked, attack := false, false
	for _, form := range [...]string{FormIgnore, FormJailbreak} {
		id := formIDs[form]
		if most := c.m.most[id]; most >= enough || most+headPoints < enough {
			continue
		}
		if !asked {
			asked, attack = true, learnt.Margin(s) >= learnt.Threshold
		}
		if attack {
			c.m.counts[id]++
		}
	}
}

// signs are what a text holds that may be encoded.
type signs struct {
	escapes int    // of single characters
	rotated int    // words in ROT13
	spelt   string // in characters that nothing draws
}

// words reads the words of s and hands them to the matcher.
func (c *scan) words(s string) (seen signs) {
	w := &c.w
	w.begin()
	for i := 0; i < len(s); {
		if n := ordinary(s[i:]); n > 0 && w.n == 0 {
			c.m.word(0)
			i += n
		} else {
			i += w.plain(s[i:])
		}
		if i == len(s) {
			break
		}
		b := s[i]
		if b >= utf8.RuneSelf {
			r, size, next := decode(s, i)
			if w.rune(r, i, i+size, next) {
				c.wordEnds(&seen)
			}
			i += size
			continue
		}
		i++
		switch b {
		case '\'': // of don't
			continue
		case '.', '!', '?', ';', '\n':
			c.wordEnds(&seen)
			c.m.sentence()
		case ',', ':':
			c.wordEnds(&seen)
			c.m.clause()
		case '%', '&', '\\':
			c.wordEnds(&seen)
			if _, n := escape(s[i-1:]); n > 0 {
				seen.escapes++
			} else if b == '\\' && i < len(s) && (s[i] == 'n' || s[i] == 'r' || s[i] == 't') { // in JSON
				i++
			}
		default:
			c.wordEnds(&seen)
		}
	}
	c.wordEnds(&seen)
	return seen
}

// wordEnds ends a word, if one was begun.
func (c *scan) wordEnds(seen *signs) {
	if c.w.n == 0 {
		return
	}
	is := c.w.end()
	if is&rotated != 0 {
		seen.rotated++
		is &^= rotated
	}
	c.m.word(is)
}

// How much of what is not seen makes a finding: less happens to ordinary text that was copied from pages and documents.
const (
	manyZeroWidth = 3
	longZeroWidth = 8
	manyHidden    = 4
	manyMixed     = 2
)

// unseen counts the forms that hide text, and takes over what it says.
func (c *scan) unseen(seen *signs) {
	h := &c.w.hidden
	for _, f := range [...]struct {
		form string
		met  bool
	}{
		{FormHidden, h.tags >= manyHidden || h.selectors >= manyHidden},
		{FormZeroWidth, h.zeroWidth >= manyZeroWidth || h.longest >= longZeroWidth},
		{FormBidi, h.overrides > 0},
		{FormMixed, h.mixed >= manyMixed},
	} {
		if f.met {
			c.m.counts[formIDs[f.form]]++
		}
	}
	if len(h.text) >= manyHidden {
		seen.spelt = string(h.text)
	}
}

// addTo adds what was found in a part to what was found in the prompt.
func (c *scan) addTo(found *core.Found, part *core.Part) {
	for i := range c.secrets {
		add(&found.Secrets, c.secrets[i].Kind, part, 1, c.secrets[i].From < 0)
	}
	for id, n := range c.m.counts {
		if n > 0 {
			add(&found.Attacks, forms[id], part, n, c.plain[id] == 0 && forms[id] != FormFlood)
		}
	}
}

// add counts a sighting. Each kind has one, with the place of the first; it is encoded as long as none of it stood in clear.
func add(list *[]core.Sighting, kind string, part *core.Part, n int, encoded bool) {
	for i := range *list {
		if s := &(*list)[i]; s.Kind == kind {
			s.Count += n
			s.Encoded = s.Encoded && encoded
			return
		}
	}
	*list = append(*list, core.Sighting{Kind: kind, Role: role(part.Role), Turn: part.Turn, Count: n, Encoded: encoded})
}

// role is a role that is known, "other" for any other: the words of a client are no part of a record.
func role(r core.Role) core.Role {
	switch r {
	case core.RoleSystem, core.RoleDeveloper, core.RoleUser, core.RoleAssistant, core.RoleTool, core.RoleMeta:
		return r
	}
	return "other"
}

// Kinds lists every kind of secret, sorted.
func Kinds() []string {
	kinds := []string{KindCard, KindIBAN}
	for i := range formats {
		kinds = append(kinds, formats[i].kind)
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}
