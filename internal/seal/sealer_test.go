package seal_test

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/seal"
)

const canary = "xylophonequasar"

func prompt(texts ...string) (parts []core.Part) {
	for i, text := range texts {
		parts = append(parts, core.Part{Role: core.RoleUser, Kind: core.KindText, Turn: i, Text: text})
	}
	return parts
}

func words(list ...string) (all []core.WordWeight) {
	for i, w := range list {
		all = append(all, core.WordWeight{Word: w, Weight: float64(i) / 4})
	}
	return all
}

func record(kind core.RecordKind) *core.Record {
	return &core.Record{Kind: kind, Exchange: "0195-x", Principal: core.Principal{User: "ann", App: "helpdesk"}}
}

// noneInClear looks for the canary in a record and in what it holds as bytes.
func noneInClear(t *testing.T, r *core.Record) {
	t.Helper()
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	places := [][]byte{text}
	if s := r.Sealed; s != nil {
		places = append(places, s.Evidence, s.Prompt, s.Answer, s.PromptHash, s.AnswerHash, s.Sample)
	}
	for _, place := range places {
		if bytes.Contains(place, []byte(canary)) {
			t.Errorf("in clear: %q", place)
		}
	}
}

func (w *world) sealer(mode seal.Mode, change func(*seal.Options)) *seal.Sealer {
	o := seal.Options{
		Keys: w.keys, Mode: mode, Limit: 1000, Now: time.Now, SampleSubject: func(at time.Time) string { return "sample/" + at.Format(time.DateOnly) },
	}
	if change != nil {
		change(&o)
	}
	return seal.New(o)
}

// TestModes: what is kept in each mode, and that none of it is in clear.
func TestModes(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		secret := "my key is sk-" + canary + "0123456789 for " + canary
		c := seal.Content{Words: words(canary, "key"), Prompt: prompt("first", secret)}
		answer := seal.Content{Answer: []core.Part{{Role: core.RoleAssistant, Kind: core.KindText, Text: secret}}, Omitted: 7}
		masked := "my key is [masked:secret] for " + canary
		for _, tt := range []struct {
			mode     seal.Mode
			evidence []core.WordWeight
			text     string
			masked   int
			hash     bool
		}{
			{seal.ModeNone, c.Words, "", 0, false},
			{seal.ModeHash, c.Words, "", 0, true},
			{seal.ModeRedacted, c.Words, masked, 1, false},
			{seal.ModeSealed, c.Words, secret, 0, false},
		} {
			s := w.sealer(tt.mode, nil)
			intent, outcome := record(core.RecordIntent), record(core.RecordOutcome)
			s.Seal(t.Context(), intent, c)
			s.Seal(t.Context(), outcome, answer)
			for _, r := range []*core.Record{intent, outcome} {
				noneInClear(t, r)
			}
			key := w.key(t, "user/ann")
			var want seal.Opened
			want.Words = tt.evidence
			if tt.text != "" {
				want.Prompt = &seal.Text{Parts: []seal.Part{{Role: core.RoleUser, Kind: core.KindText, Text: "first"}, {Role: core.RoleUser, Kind: core.KindText, Text: tt.text}}, Masked: tt.masked}
			}
			got, err := seal.Open(intent, key, nil)
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("%s: %v, the intent (-want +got):\n%s", tt.mode, err, diff)
			}
			want = seal.Opened{}
			if tt.text != "" {
				want.Answer = &seal.Text{Parts: []seal.Part{{Role: core.RoleAssistant, Kind: core.KindText, Text: tt.text}}, Omitted: 7, Masked: tt.masked}
			}
			got, err = seal.Open(outcome, key, nil)
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("%s: %v, the outcome (-want +got):\n%s", tt.mode, err, diff)
			}
			if hashed := intent.Sealed.PromptHash != nil && outcome.Sealed != nil && outcome.Sealed.AnswerHash != nil; hashed != tt.hash {
				t.Errorf("%s: hashed: %v", tt.mode, hashed)
			}
		}
	})
}

// TestMaskedWordsAreNoEvidence: in mode redacted a word that was only in what was masked is not kept, not even sealed.
func TestMaskedWordsAreNoEvidence(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := record(core.RecordDeny)
		w.sealer(seal.ModeRedacted, nil).Seal(t.Context(), r, seal.Content{
			Words: words(canary, "bill", ""), Prompt: prompt("Pay the Bill, the password is " + canary),
		})
		got, err := seal.Open(r, w.key(t, "user/ann"), nil)
		if err != nil || len(got.Words) != 1 || got.Words[0].Word != "bill" {
			t.Errorf("%v, %+v", err, got)
		}
	})
}

// TestWithoutKey: what cannot be sealed is left out, and the record says so.
func TestWithoutKey(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.store.set(errAway)
		for _, mode := range []seal.Mode{seal.ModeNone, seal.ModeHash, seal.ModeRedacted, seal.ModeSealed} {
			told := 0
			s := w.sealer(mode, func(o *seal.Options) { o.Withheld = func() { told++ }; o.Sample = 1 })
			r := record(core.RecordIntent)
			s.Seal(t.Context(), r, seal.Content{Words: words(canary), Prompt: prompt(canary)})
			if diff := cmp.Diff(&core.Sealed{Withheld: core.WithheldNoKey}, r.Sealed); diff != "" || told != 1 {
				t.Errorf("%s: told %d times (-want +got):\n%s", mode, told, diff)
			}
		}
		// A weight that JSON cannot hold takes the evidence with it, and nothing shows in clear.
		w.store.set(nil)
		var none *seal.Sealer
		r := record(core.RecordIntent)
		none.Prepare(r.Principal)
		none.Seal(t.Context(), r, seal.Content{Words: words(canary), Prompt: prompt(canary)})
		if r.Sealed != nil || none.KeepsAnswers() != 0 {
			t.Errorf("without master keys: %+v", r.Sealed)
		}
	})
}

func TestNothingToSealNeedsNoKey(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := record(core.RecordIntent)
		w.sealer(seal.ModeNone, nil).Seal(t.Context(), r, seal.Content{Prompt: prompt("words")})
		w.sealer(seal.ModeSealed, nil).Seal(t.Context(), r, seal.Content{})
		if r.Sealed != nil || w.store.questions() != 0 {
			t.Errorf("%+v, %d questions", r.Sealed, w.store.questions())
		}
		bad := record(core.RecordIntent)
		w.sealer(seal.ModeNone, nil).Seal(t.Context(), bad, seal.Content{Words: []core.WordWeight{{Word: canary, Weight: math.NaN()}}})
		if bad.Sealed == nil || bad.Sealed.Evidence != nil {
			t.Errorf("%+v", bad.Sealed)
		}
	})
}

// TestLimit: of what is too long the newest is kept, of that the beginning, no character is cut in two, and a secret that
// the cut goes through is masked.
func TestLimit(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		open := func(mode seal.Mode, limit int, texts ...string) *seal.Text {
			t.Helper()
			r := record(core.RecordIntent)
			w.sealer(mode, func(o *seal.Options) { o.Limit = limit }).Seal(t.Context(), r, seal.Content{Prompt: prompt(texts...)})
			got, err := seal.Open(r, w.key(t, "user/ann"), nil)
			if err != nil {
				t.Fatal(err)
			}
			return got.Prompt
		}
		text := func(x *seal.Text) (all string) {
			for _, p := range x.Parts {
				all += "|" + p.Text
			}
			return all
		}
		got := open(seal.ModeSealed, 8, "old", "öäüxyz", "last")
		if text(got) != "|öä|last" || got.Omitted != 8 {
			t.Errorf("%q, %d omitted", text(got), got.Omitted)
		}
		got = open(seal.ModeRedacted, 8, "key sk-abcdefghijklmnop1234 and more")
		if text(got) != "|key [masked:secret]" {
			t.Errorf("%q", text(got))
		}
		// What was masked is shorter than its place, and still nothing from beyond the cut moves into what is kept.
		long := "-----BEGIN X KEY-----" + strings.Repeat("A", 900) + "-----END X KEY----- " + strings.Repeat("w ", 60<<10)
		if got = open(seal.ModeRedacted, 1000, long); len(text(got)) > 100 {
			t.Errorf("%d bytes: %.200q", len(text(got)), text(got))
		}
	})
}

// TestSample: a sample needs both keys, that of its person and that of its day.
func TestSample(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		r := record(core.RecordIntent)
		s := w.sealer(seal.ModeNone, func(o *seal.Options) { o.Sample = 1 })
		s.Seal(t.Context(), r, seal.Content{Prompt: prompt(canary)})
		if r.Sealed == nil || len(r.Sealed.Sample) == 0 || r.Sealed.Prompt != nil {
			t.Fatalf("%+v", r.Sealed)
		}
		ann, ben := w.key(t, "user/ann"), w.key(t, "user/ben")
		day := w.key(t, "sample/"+time.Now().Format(time.DateOnly))
		if r.Sealed.SampleKey != day.ID {
			t.Errorf("the sample's key is %s, want %s", r.Sealed.SampleKey, day.ID)
		}
		got, err := seal.Open(r, ann, day)
		if err != nil || got.Sample == nil || got.Sample.Parts[0].Text != canary {
			t.Errorf("%+v, %v", got, err)
		}
		if got, err := seal.Open(r, ann, nil); err != nil || got.Sample != nil {
			t.Errorf("without the day's key: %+v, %v", got, err)
		}
		for _, keys := range [][2]*seal.Key{{ben, day}, {ann, ben}, {day, ann}} {
			if _, err := seal.Open(r, keys[0], keys[1]); err == nil {
				t.Errorf("opens with %s and %s", keys[0].Subject, keys[1].Subject)
			}
		}

		drawn := 0
		some := w.sealer(seal.ModeNone, func(o *seal.Options) { o.Sample = 0.1 })
		for range 5000 {
			r := record(core.RecordIntent)
			some.Seal(t.Context(), r, seal.Content{Prompt: prompt("words")})
			if r.Sealed != nil {
				drawn++
			}
		}
		if drawn < 400 || drawn > 600 { // 500, give or take five standard errors
			t.Errorf("drew %d of 5000 at 10%%", drawn)
		}
	})
}

func BenchmarkSealer(b *testing.B) {
	w := start(b)
	text := strings.Repeat("The customer disputes a charge of 12.50 on the bill and wants it back. ", 29)[:2<<10]
	c := seal.Content{Words: words("customer", "disputes", "charge", "bill", "wants", "back"), Prompt: prompt(text)}
	for _, mode := range []seal.Mode{seal.ModeNone, seal.ModeHash, seal.ModeRedacted, seal.ModeSealed} {
		b.Run(string(mode), func(b *testing.B) {
			s := w.sealer(mode, func(o *seal.Options) { o.Limit = 32 << 10 })
			b.ReportAllocs()
			for b.Loop() {
				s.Seal(b.Context(), record(core.RecordIntent), c)
			}
		})
	}
}
