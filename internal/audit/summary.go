package audit

import (
	"bytes"
	"strconv"
	"time"

	"github.com/plumbline/plumbline/internal/core"
)

// Summary is what the columns beside a record say, read from its canonical bytes without decoding all of them: whoever
// verifies a million records needs no more. The fields are parts of those bytes.
type Summary struct {
	Kind, Exchange, User, Team, App, Action, Reason, Model []byte
	// Task is the nearest task, and Intent the intent's label.
	Task, Intent []byte
	// Time is in microseconds since 1970.
	Time int64
	// The rest of what explains the verdict, and the score that is counted. See AppendExplanation and Record.
	rule, phrase, unscored, intentUnscored, change, changed []byte
	score                                                   float64
	hasVerdict, hasDeviation, hasIntent                     bool
	// settled are the numbers of an outcome's settlement, if it has one: admitted, requests, tokens in and out, cost.
	settled    [5]int64
	hasSettled bool
	isPlain    bool // all texts are printable ASCII
}

// summarizeDecoded reads what Summarize leaves to Decode. ok is false for what is no record.
func summarizeDecoded(canonical []byte) (s Summary, ok bool) {
	rec, err := Decode(canonical)
	if err != nil {
		return s, false
	}
	c := columnsOf(rec)
	s = Summary{
		Kind: []byte(c.kind), Exchange: []byte(c.exchange), User: []byte(c.user), Team: []byte(c.team), App: []byte(c.app),
		Action: []byte(c.action), Reason: []byte(c.reason), Model: []byte(c.model), Time: c.time, hasSettled: c.settled[0].Valid,
	}
	for i, n := range c.settled {
		s.settled[i] = n.Int64
	}
	return s, true
}

// texts are in the order of the columns.
func (s *Summary) texts() [8][]byte {
	return [...][]byte{s.Kind, s.Exchange, s.User, s.Team, s.App, s.Action, s.Reason, s.Model}
}

// plain reports whether no text holds what parts texts in a line, as none does that Summarize read.
func (s *Summary) plain() bool {
	if s.isPlain {
		return true
	}
	for _, text := range s.texts() {
		if bytes.ContainsAny(text, string([]byte{fieldEnd, lineEnd})) {
			return false
		}
	}
	return true
}

// settles reports whether it is of an outcome with a settlement: only those stand in columns.
func (s *Summary) settles() bool { return s.hasSettled && string(s.Kind) == string(core.RecordOutcome) }

// appendLine appends what the columns beside a record say, as one text. See columnsAsLine.
func (s *Summary) appendLine(b []byte) []byte {
	for _, text := range s.texts() {
		b = append(append(b, text...), fieldEnd)
	}
	b = strconv.AppendInt(b, s.Time, 10)
	if !s.settles() {
		return b
	}
	for _, n := range s.settled {
		b = strconv.AppendInt(append(b, fieldEnd), n, 10)
	}
	return b
}

// Summarize reads canonical bytes as Canonical writes them where nothing had to be escaped. ok is false for all others,
// which are then for Decode to read or to refuse.
func Summarize(canonical []byte) (s Summary, ok bool) {
	sc := scanner{b: canonical}
	sc.members(func(name []byte) {
		switch string(name) {
		case "kind":
			s.Kind = sc.text()
		case "time":
			s.Time = sc.time()
		case "exchange":
			s.Exchange = sc.text()
		case "principal":
			sc.members(func(name []byte) { sc.principal(&s, name) })
		case "model":
			s.Model = sc.text()
		case "intent":
			s.hasIntent = true
			sc.members(func(name []byte) { sc.intent(&s, name) })
		case "deviation":
			s.hasDeviation = true
			sc.members(func(name []byte) { sc.deviation(&s, name) })
		case "verdict":
			s.hasVerdict = true
			sc.members(func(name []byte) { sc.verdict(&s, name) })
		case "admin":
			sc.members(func(name []byte) { sc.change(&s, name) })
		case "settled":
			s.hasSettled, s.settled[0] = true, time.Time{}.UnixMicro()
			sc.members(func(name []byte) { sc.charge(&s, name) })
		case "reason":
			s.Reason = sc.text()
		default:
			sc.skip()
		}
	})
	s.isPlain = !sc.bad && sc.at == len(canonical)
	return s, s.isPlain
}

func (s *scanner) principal(out *Summary, name []byte) {
	switch string(name) {
	case "user":
		out.User = s.text()
	case "team":
		out.Team = s.text()
	case "app":
		out.App = s.text()
	default:
		s.skip()
	}
}

func (s *scanner) verdict(out *Summary, name []byte) {
	switch string(name) {
	case "action":
		out.Action = s.text()
	case "rule":
		out.rule = s.text()
	default:
		s.skip()
	}
}

func (s *scanner) intent(out *Summary, name []byte) {
	switch string(name) {
	case "label":
		out.Intent = s.text()
	case "unscored":
		out.intentUnscored = s.text()
	default:
		s.skip()
	}
}

func (s *scanner) deviation(out *Summary, name []byte) {
	switch string(name) {
	case "score":
		out.score = s.float()
	case "task":
		out.Task = s.text()
	case "phrase":
		out.phrase = s.text()
	case "unscored":
		out.unscored = s.text()
	default:
		s.skip()
	}
}

func (s *scanner) change(out *Summary, name []byte) {
	switch string(name) {
	case "action":
		out.change = s.text()
	case "object":
		out.changed = s.text()
	default:
		s.skip()
	}
}

func (s *scanner) charge(out *Summary, name []byte) {
	switch string(name) {
	case "admitted":
		out.settled[0] = s.time()
	case "requests":
		out.settled[1] = s.int()
	case "input_tokens":
		out.settled[2] = s.int()
	case "output_tokens":
		out.settled[3] = s.int()
	case "cost_micro_usd":
		out.settled[4] = s.int()
	default:
		s.skip()
	}
}

// scanner goes through JSON without white space. It is bad from the first thing on that it does not take.
type scanner struct {
	b   []byte
	at  int
	bad bool
}

// next gives the next byte, without going on, and zero at the end.
func (s *scanner) next() byte {
	if s.bad || s.at >= len(s.b) {
		return 0
	}
	return s.b[s.at]
}

// take goes on over one byte.
func (s *scanner) take(c byte) bool {
	if s.next() != c {
		s.bad = true
		return false
	}
	s.at++
	return true
}

// members calls fn for each member of an object, when its value is next. fn must go over it.
func (s *scanner) members(fn func(name []byte)) {
	if !s.take('{') {
		return
	}
	if s.next() == '}' {
		s.at++
		return
	}
	for !s.bad {
		name := s.text()
		for _, c := range name {
			if c >= 'A' && c <= 'Z' { // Decode takes such names for others
				s.bad = true
			}
		}
		if !s.take(':') {
			return
		}
		fn(name)
		if s.next() == ',' {
			s.at++
			continue
		}
		s.take('}')
		return
	}
}

// text reads a string of printable ASCII without escapes.
func (s *scanner) text() []byte {
	if !s.take('"') {
		return nil
	}
	start := s.at
	for s.at < len(s.b) {
		switch c := s.b[s.at]; {
		case c == '"':
			s.at++
			return s.b[start : s.at-1 : s.at-1]
		case c == '\\' || c < ' ' || c > '~':
			s.bad = true
			return nil
		}
		s.at++
	}
	s.bad = true
	return nil
}

// time reads a time of RFC 3339 as microseconds since 1970.
func (s *scanner) time() int64 {
	t, err := time.Parse(time.RFC3339Nano, string(s.text()))
	if err != nil {
		s.bad = true
	}
	return t.UnixMicro()
}

// int reads a number without a fraction.
func (s *scanner) int() int64 {
	start := s.at
	s.scalar()
	if s.bad {
		return 0
	}
	n, err := strconv.ParseInt(string(s.b[start:s.at]), 10, 64)
	if err != nil {
		s.bad = true
	}
	return n
}

// float reads a number.
func (s *scanner) float() float64 {
	start := s.at
	s.scalar()
	if s.bad {
		return 0
	}
	f, err := strconv.ParseFloat(string(s.b[start:s.at]), 64)
	if err != nil {
		s.bad = true
	}
	return f
}

// maxDepth is deeper than any record: facts are the only part whose form is not fixed.
const maxDepth = 64

// skip goes over any value.
func (s *scanner) skip() {
	depth := 0
	for !s.bad {
		switch c := s.next(); c {
		case '"':
			s.skipText()
		case '{', '[':
			s.at++
			if depth++; depth > maxDepth {
				s.bad = true
			}
			continue
		case '}', ']':
			s.at++
			depth--
		case ',', ':':
			if depth == 0 {
				s.bad = true
				return
			}
			s.at++
			continue
		default:
			s.scalar()
		}
		if depth <= 0 {
			s.bad = s.bad || depth < 0
			return
		}
	}
}

// skipText goes over a string, escapes included.
func (s *scanner) skipText() {
	for s.at++; s.at < len(s.b); s.at++ {
		n := bytes.IndexByte(s.b[s.at:], '"')
		if n < 0 {
			break
		}
		s.at += n
		escapes := 0
		for s.b[s.at-1-escapes] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			s.at++
			return
		}
	}
	s.bad = true
}

// scalar goes over a number, true, false or null.
func (s *scanner) scalar() {
	start := s.at
	for s.at < len(s.b) {
		c := s.b[s.at]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && c != '-' && c != '+' && c != '.' && c != 'E' {
			break
		}
		s.at++
	}
	if s.at == start {
		s.bad = true
	}
}
