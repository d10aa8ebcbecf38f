package seal

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/redact"
)

// Mode says what is kept of prompts and answers.
type Mode string

// The modes. In all of them the words that explain a score are kept, sealed.
const (
	ModeNone     Mode = "none"     // nothing
	ModeHash     Mode = "hash"     // a keyed hash
	ModeRedacted Mode = "redacted" // sealed, after secrets and personal data were masked
	ModeSealed   Mode = "sealed"   // sealed
)

// margin is how much more than is kept is looked at for secrets, in bytes: one that the end of what is kept cuts in two is
// still seen whole.
const margin = 16 << 10

// Content is what there is to keep of one step of an exchange.
type Content struct {
	Words []core.WordWeight // that explain the deviation
	// Prompt and Answer are the texts. One of them is set.
	Prompt, Answer []core.Part
	// Omitted is how many bytes of the answer are not there any more.
	Omitted int
}

// Options are what a sealer is made of. Keys, Mode and Now are required.
type Options struct {
	Keys *Keyring
	Mode Mode
	// Limit is how many bytes of a prompt's and of an answer's text are kept at most.
	Limit int
	// Sample is the share of prompts that are kept for calibration, from 0 to 1, and SampleSubject under whose key those of
	// a day are.
	Sample        float64
	SampleSubject func(time.Time) string
	Now           func() time.Time
	// Sampled, if set, is told of each record that holds a sample, before it is kept. It must not block, nor keep what it is
	// given.
	Sampled func(*core.Record)
	// Withheld, if set, is told of each record that lacks what it should hold. It must not block.
	Withheld func()
}

// Sealer makes of content what a record may hold. A nil Sealer keeps nothing. It is safe for concurrent use.
type Sealer struct{ o Options }

// New makes a sealer.
func New(o Options) *Sealer { return &Sealer{o} }

// Prepare has the key of whoever calls at hand when it is needed.
func (s *Sealer) Prepare(p core.Principal) {
	if s != nil {
		s.o.Keys.Prepare(p.Subject())
	}
}

// KeepsAnswers says of how many bytes of an answer's text Seal makes something, 0 for none.
func (s *Sealer) KeepsAnswers() int {
	switch {
	case s == nil || s.o.Mode == ModeNone:
		return 0
	case s.o.Mode == ModeRedacted:
		return s.o.Limit + margin
	default:
		return s.o.Limit
	}
}

// Seal puts what is to be kept of c into rec, which must have its kind, exchange and principal. It waits for a key as
// Keyring.Key does. Whatever goes wrong, nothing of c is in rec in clear.
func (s *Sealer) Seal(ctx context.Context, rec *core.Record, c Content) {
	if s == nil {
		return
	}
	sampled := len(c.Prompt) > 0 && s.o.Sample > 0 && rand.Float64() < s.o.Sample //nolint:gosec // a draw, and no secret
	if s.o.Mode == ModeNone {
		c.Answer = nil
		if !sampled {
			c.Prompt = nil
		}
	}
	if len(c.Words) == 0 && len(c.Prompt) == 0 && len(c.Answer) == 0 {
		return
	}
	key := s.o.Keys.Key(ctx, rec.Principal.Subject())
	if key == nil {
		rec.Sealed = &core.Sealed{Withheld: core.WithheldNoKey}
		s.withheld()
		return
	}
	rec.Sealed = s.sealed(ctx, key, rec, c, sampled)
	if len(rec.Sealed.Sample) > 0 && s.o.Sampled != nil {
		s.o.Sampled(rec)
	}
}

func (s *Sealer) withheld() {
	if s.o.Withheld != nil {
		s.o.Withheld()
	}
}

func (s *Sealer) sealed(ctx context.Context, key *Key, rec *core.Record, c Content, sampled bool) *core.Sealed {
	out := &core.Sealed{Key: key.ID}
	at := func(f Field) Place { return Place{rec.Exchange, rec.Kind, f} }
	if s.o.Mode == ModeHash {
		if len(c.Prompt) > 0 {
			out.PromptHash = key.Hash(FieldPrompt, c.Prompt)
		}
		if len(c.Answer) > 0 {
			out.AnswerHash = key.Hash(FieldAnswer, c.Answer)
		}
	}
	var prompt *Text
	if whole := s.o.Mode == ModeRedacted || s.o.Mode == ModeSealed; whole || sampled {
		prompt = s.kept(c.Prompt)
		if whole {
			out.Prompt = key.sealJSON(prompt, at(FieldPrompt))
			out.Answer = key.sealJSON(s.keptAnswer(c), at(FieldAnswer))
		}
	}
	if s.o.Mode == ModeRedacted {
		c.Words = shown(c.Words, prompt)
	}
	if len(c.Words) > 0 {
		out.Evidence = key.sealJSON(c.Words, at(FieldEvidence))
	}
	if sampled {
		s.sample(ctx, key, out, prompt, at(FieldSample))
	}
	return out
}

// sample seals a prompt twice: erasing the person ends it, and the end of its day's key does.
func (s *Sealer) sample(ctx context.Context, key *Key, out *core.Sealed, prompt *Text, at Place) {
	day := s.o.Keys.Key(ctx, s.o.SampleSubject(s.o.Now()))
	if day == nil {
		out.Withheld = core.WithheldNoKey
		s.withheld()
		return
	}
	out.Sample, out.SampleKey = day.Seal(key.sealJSON(prompt, at), at), day.ID
}

// Text is a prompt or an answer as it is kept.
type Text struct {
	Parts []Part `json:"parts"`
	// Omitted is how many bytes of text were left out for their length: of a prompt the oldest.
	Omitted int `json:"omitted,omitempty"`
	// Masked is how many secrets and pieces of personal data were masked.
	Masked int `json:"masked,omitempty"`
}

// Part is one text of a prompt or an answer. See core.Part.
type Part struct {
	Role core.Role `json:"role"`
	Kind core.Kind `json:"kind"`
	Text string    `json:"text"`
}

// kept is what is kept of some texts, in their order: the newest as far as there is room, and of the one that does not fit
// its beginning. Nil for none.
func (s *Sealer) kept(parts []core.Part) *Text {
	if len(parts) == 0 {
		return nil
	}
	t, room := &Text{}, s.o.Limit
	first := len(parts)
	for first > 0 && room > 0 {
		first--
		room -= len(parts[first].Text)
	}
	for _, p := range parts[:first] {
		t.Omitted += len(p.Text)
	}
	t.Parts = make([]Part, 0, len(parts)-first)
	for i, p := range parts[first:] {
		most := len(p.Text)
		if i == 0 && room < 0 {
			most += room
		}
		text := core.Head(p.Text, most)
		if s.o.Mode == ModeRedacted {
			masked, n := redact.Head(p.Text[:min(len(p.Text), most+margin)], len(text))
			text, t.Masked = masked, t.Masked+n
		}
		t.Omitted += max(0, len(p.Text)-most)
		t.Parts = append(t.Parts, Part{p.Role, p.Kind, text})
	}
	return t
}

func (s *Sealer) keptAnswer(c Content) *Text {
	t := s.kept(c.Answer)
	if t != nil {
		t.Omitted += c.Omitted
	}
	return t
}

// shown leaves those words that are still there after secrets and personal data were masked.
func shown(words []core.WordWeight, t *Text) []core.WordWeight {
	if t == nil {
		return nil
	}
	var left []core.WordWeight
	for _, w := range words {
		for _, p := range t.Parts {
			if w.Word != "" && strings.Contains(strings.ToLower(p.Text), w.Word) {
				left = append(left, w)
				break
			}
		}
	}
	return left
}

// sealJSON seals a value, and gives nil for none.
func (k *Key) sealJSON(value any, p Place) []byte {
	if t, ok := value.(*Text); ok && t == nil {
		return nil
	}
	text, err := json.Marshal(value)
	if err != nil {
		// A weight that is no number: left out, as everything is that cannot be sealed.
		return nil
	}
	return k.Seal(text, p)
}

// Opened is what a record's sealed content says.
type Opened struct {
	Words  []core.WordWeight `json:"words,omitempty"`
	Prompt *Text             `json:"prompt,omitempty"`
	Answer *Text             `json:"answer,omitempty"`
	Sample *Text             `json:"sample,omitempty"`
}

// Open reads what Seal put into rec. day is the key of its sample, nil where that is gone.
func Open(rec *core.Record, key, day *Key) (o Opened, err error) {
	s := rec.Sealed
	if s == nil {
		return o, nil
	}
	at := func(f Field) Place { return Place{rec.Exchange, rec.Kind, f} }
	for _, field := range []struct {
		sealed []byte
		place  Place
		into   any
	}{
		{s.Evidence, at(FieldEvidence), &o.Words},
		{s.Prompt, at(FieldPrompt), &o.Prompt},
		{s.Answer, at(FieldAnswer), &o.Answer},
	} {
		if err := key.openJSON(field.sealed, field.place, field.into); err != nil {
			return Opened{}, err
		}
	}
	if day != nil && len(s.Sample) > 0 {
		inner, err := day.Open(s.Sample, at(FieldSample))
		if err == nil {
			err = key.openJSON(inner, at(FieldSample), &o.Sample)
		}
		if err != nil {
			return Opened{}, fmt.Errorf("sample: %w", err)
		}
	}
	return o, nil
}

func (k *Key) openJSON(sealed []byte, p Place, into any) error {
	if len(sealed) == 0 {
		return nil
	}
	text, err := k.Open(sealed, p)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", p.Field, err)
	}
	return nil
}
