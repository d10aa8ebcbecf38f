package detect

// Secret is a credential or an account in a text, from its first byte to behind its last.
type Secret struct {
	Kind     string
	From, To int
}

// compiled is a format ready to be looked for.
type compiled struct {
	format
	before, after []step
	lookBack      int // bytes before the anchor
}

var (
	compiledFormats = compile(formats[:])
	anchors         = newAutomaton(literals())
)

func compile(formats []format) []compiled {
	out := make([]compiled, len(formats))
	for i, f := range formats {
		c := compiled{format: f, before: parseShape(f.before), after: parseShape(f.after)}
		for _, st := range c.before {
			c.lookBack += len(st.literal) + st.least
		}
		out[i] = c
	}
	return out
}

// literals are what the automaton finds: the anchors of the formats, and behind them the marks of attacks.
func literals() (out []string) {
	for _, f := range formats {
		out = append(out, f.anchor)
	}
	for _, k := range marks {
		out = append(out, k.literal)
	}
	return out
}

// budget bounds what the looks at single places may read of a text of n bytes, all together.
func budget(n int) int { return 64<<10 + 24*n }

// appendSecrets appends the secrets of s in the order of their ends, none within another, and tells attacks of the marks of
// attacks. flooded reports that the budget did not reach.
func (r *reader) appendSecrets(found []Secret, s string, attacks *matcher) (out []Secret, flooded bool) {
	most := r.spent + budget(len(s))
	done := 0 // up to here the text belongs to what was found
	state, first := uint32(0), anchors.first
	for i := 0; i < len(s); i++ {
		if state = anchors.step(state, s[i]); state < first {
			continue
		}
		if r.spent > most {
			return found, true
		}
		for _, id := range anchors.ends(state) {
			if k := int(id) - len(formats); k >= 0 {
				if attacks != nil {
					attacks.meet(metMark, k, marks[k].form, marks[k].points)
				}
				continue
			}
			f := &compiledFormats[id]
			from := i + 1 - len(f.anchor)
			if from < done {
				continue
			}
			if secret, ok := r.look(f, s, from); ok && secret.From >= done {
				found = append(found, secret)
				done = secret.To
				break
			}
		}
	}
	return found, false
}

// look looks at the place where the anchor of f stands.
func (r *reader) look(f *compiled, s string, at int) (Secret, bool) {
	r.begin(s, at+len(f.anchor), len(f.anchor))
	secret := Secret{Kind: f.kind, From: at}
	switch f.kind {
	case KindPrivateKey:
		return r.privateKey(secret)
	case KindJWT:
		return r.jwt(secret)
	}
	if secret.From = at - f.lookBack; secret.From < 0 || !boundaryOf(f, s, secret.From) {
		return secret, false
	}
	if f.lookBack > 0 {
		r.at = secret.From
		if !r.readBefore(f.before) || r.at != at {
			return secret, false
		}
		r.at = at + len(f.anchor)
	}
	if len(f.after) > 0 && !r.read(f.after) || len(f.after) == 0 && r.at < len(s) && alphanumeric(s[r.at]) {
		return secret, false
	}
	body := r.body[:r.n]
	if placeholder(body) || f.entropy > 0 && entropy(body) < f.entropy || f.check != nil && !f.check(body) {
		return secret, false
	}
	secret.To = r.at
	return secret, true
}

// boundaryOf reports whether a token of f may begin at a place. What begins with a sign of its own needs nothing before it.
func boundaryOf(f *compiled, s string, at int) bool {
	return f.lookBack == 0 && !alphanumeric(f.anchor[0]) || boundary(s, at)
}

// readBefore is read for what stands before an anchor: all of it is there in one piece.
func (r *reader) readBefore(steps []step) bool {
	for i := range steps {
		st := &steps[i]
		for j := range len(st.literal) + st.least {
			c := r.s[r.at]
			if st.of == nil && st.literal[j] != c || st.of != nil && !st.of[c] {
				return false
			}
			r.keep(c)
		}
	}
	return true
}
