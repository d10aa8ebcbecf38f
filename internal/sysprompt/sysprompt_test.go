package sysprompt

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/core"
)

const (
	plain    = "You are the help desk of Example Ltd.\n\n  Answer questions about invoices."
	template = "You are there to help {{name}} of Example Ltd. Today is {{date}}. Answer questions about invoices.\nYour language is {{language}}"
)

// set registers texts for an app.
func set(t testing.TB, app string, texts ...string) *Set {
	t.Helper()
	var all []core.SystemPrompt
	for _, text := range texts {
		p, err := Fingerprint(app, text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return Sets(all)[app]
}

func says(role core.Role, turn int, text string) core.Part {
	return core.Part{Role: role, Kind: core.KindText, Turn: turn, Text: text}
}

// TestOwnPromptsAreKnownAgain: by white space alone may a text differ from the one that was registered, and by what stands in
// the parts that vary.
func TestOwnPromptsAreKnownAgain(t *testing.T) {
	s := set(t, "helpdesk", plain, template)
	filled := func(name, date, language string) string {
		return strings.NewReplacer("{{name}}", name, "{{date}}", date, "{{language}}", language).Replace(template)
	}
	own := []string{
		plain, " " + strings.Join(strings.Fields(plain), "\t\n ") + "\u00a0",
		filled("Ann", "1 May", "English"), filled("", "1 May", ""), filled(strings.Repeat("x", MaxVariable-2), "", "é"), template,
	}
	for _, text := range own {
		judged, foreign := s.Split(core.Prompt{Parts: []core.Part{says(core.RoleSystem, 0, text), says(core.RoleUser, 1, "hello")}})
		if diff := cmp.Diff([]core.Part{says(core.RoleUser, 1, "hello")}, judged.Parts); diff != "" || len(foreign.Parts) > 0 {
			t.Errorf("%.40q: foreign %v, judged (-want +got):\n%s", text, foreign.Parts, diff)
		}
	}
	others := []string{
		"", "You", plain + ".", plain[1:], strings.ToLower(plain), strings.Replace(plain, "e", "\u0435", 1), strings.Replace(plain, "help", "he\u200blp", 1),
		plain + plain, filled(strings.Repeat("x", MaxVariable+1), "", ""), filled("", "", strings.Repeat("x", MaxVariable+1)),
		strings.Replace(filled("a", "b", "c"), "invoices", "cover letters", 1),
	}
	for _, text := range others {
		p := core.Prompt{Parts: []core.Part{says(core.RoleDeveloper, -1, text), says(core.RoleUser, 1, "hello")}}
		judged, foreign := s.Split(p)
		if diff := cmp.Diff(p, judged); diff != "" {
			t.Errorf("%.40q: judged (-want +got):\n%s", text, diff)
		}
		if diff := cmp.Diff([]core.Part{says(core.RoleUser, -1, text)}, foreign.Parts); diff != "" {
			t.Errorf("%.40q: foreign (-want +got):\n%s", text, diff)
		}
	}
}

// TestOnlyInstructionsOfTheAppCount: what a user or a tool says is never the app's own, another app's prompts are not, and the
// parts of one message are one text.
func TestOnlyInstructionsOfTheAppCount(t *testing.T) {
	s := set(t, "helpdesk", plain)
	for _, role := range []core.Role{core.RoleUser, core.RoleTool, core.RoleAssistant, core.RoleMeta} {
		p := core.Prompt{Parts: []core.Part{says(role, 0, plain)}}
		if judged, foreign := s.Split(p); !cmp.Equal(p, judged) || len(foreign.Parts) > 0 {
			t.Errorf("%s: judged %v, foreign %v", role, judged, foreign)
		}
	}
	p := core.Prompt{Parts: []core.Part{says(core.RoleSystem, 0, plain)}}
	if _, foreign := set(t, "ide", plain+"!").Split(p); len(foreign.Parts) != 1 {
		t.Error("another text passes as an app's own")
	}
	stolen := set(t, "helpdesk", plain)
	stolen.app = "ide"
	if _, foreign := stolen.Split(p); len(foreign.Parts) != 1 {
		t.Error("a fingerprint of one app serves another")
	}
	var none *Set
	if judged, foreign := none.Split(p); !cmp.Equal(p, judged) || len(foreign.Parts) > 0 {
		t.Errorf("nothing registered: judged %v, foreign %v", judged, foreign)
	}
	head, tail, _ := strings.Cut(plain, "\n\n")
	image := core.Part{Role: core.RoleSystem, Kind: core.KindOpaque, Text: "image/png"}
	judged, foreign := s.Split(core.Prompt{Parts: []core.Part{says(core.RoleSystem, 0, head), image, says(core.RoleSystem, 0, tail)}})
	if diff := cmp.Diff([]core.Part{image}, judged.Parts); diff != "" || len(foreign.Parts) > 0 {
		t.Errorf("in two parts: foreign %v, judged (-want +got):\n%s", foreign, diff)
	}
	inAWord := []core.Part{says(core.RoleSystem, 0, plain[:10]), says(core.RoleSystem, 0, plain[10:])}
	if _, foreign := s.Split(core.Prompt{Parts: inAWord}); len(foreign.Parts) != 2 {
		t.Error("parts that end within a word are one text")
	}
}

// TestGapsTogetherAreBounded: many parts that vary have no more room together than a few.
func TestGapsTogetherAreBounded(t *testing.T) {
	const gaps = 8
	s := set(t, "helpdesk", "You are there to help. "+strings.Repeat("{{x}} and ", gaps)+"nothing else.")
	for n, own := range map[int]bool{MaxFilled/gaps - 2: true, MaxFilled / gaps: false} {
		text := "You are there to help. " + strings.Repeat(strings.Repeat("y", n)+" and ", gaps) + "nothing else."
		if _, foreign := s.Split(core.Prompt{Parts: []core.Part{says(core.RoleSystem, 0, text)}}); own != (len(foreign.Parts) == 0) {
			t.Errorf("%d bytes in each gap: own must be %v", n, own)
		}
	}
}

// TestGapsOfAllMessagesAreBounded: a request that is dealt out over the gaps of many messages, each of them the app's own, is
// judged; the same message again, as in a conversation, says nothing new.
func TestGapsOfAllMessagesAreBounded(t *testing.T) {
	const front = "You are there to help"
	s := set(t, "helpdesk", front+" {{name}}", plain, front+" {{name}} and {{name}}", front+" ann and ben")
	foreignOf := func(texts ...string) (n int) {
		var p core.Prompt
		for turn, text := range texts {
			p.Parts = append(p.Parts, says(core.RoleSystem, turn, text))
		}
		judged, foreign := s.Split(p)
		if len(judged.Parts) != len(foreign.Parts) {
			t.Errorf("judged %v, foreign %v", judged.Parts, foreign.Parts)
		}
		return len(foreign.Parts)
	}
	dealt := make([]string, 20)
	for i := range dealt {
		dealt[i] = front + " " + strings.Repeat(string(rune('a'+i)), MaxFilled/8-1) // 32 bytes with the space
	}
	if n := foreignOf(dealt...); n != 12 {
		t.Errorf("%d of 20 messages with 32 bytes each are judged, want 12", n)
	}
	if n := foreignOf(append(dealt[:8:8], plain, front+" ann and ben", dealt[3], dealt[8])...); n != 1 {
		t.Errorf("%d are judged, want that one alone for which there is no room", n)
	}
	if n := foreignOf(slices.Repeat(dealt[:1], 20)...); n != 0 {
		t.Errorf("%d of 20 times the same message are judged", n)
	}
}

func TestFingerprintsRefuseWhatTheyCannotHold(t *testing.T) {
	for text, words := range map[string]string{
		"":                                       "and needs 16",
		"too short":                              "and needs 16",
		"{{name}} is whom you help at all times": "and needs 16",
		"You help people named {{a}} {{b}}":      "must be text",
		"You help people named \xff":             "UTF-8",
		strings.Repeat("0123456789abcdef{{x}}", 17):     "more than 16",
		strings.Repeat("0123456789abcdef", 1+64<<10/16): "65536",
	} {
		if _, err := Fingerprint("app", text); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%.30q: %v, want %q", text, err, words)
		}
	}
	a, err := Fingerprint("app", plain)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := Fingerprint("app", strings.Join(strings.Fields(plain), " "))
	c, _ := Fingerprint("ide", plain)
	if diff := cmp.Diff(a, b); diff != "" || a.ID == c.ID || a.Pieces[0].Sum == c.Pieces[0].Sum {
		t.Errorf("%s, %s and %s; %s", a.ID, b.ID, c.ID, diff)
	}
}

// TestFilledTemplatesAreTheirOwn: whatever short text stands in the parts that vary.
func TestFilledTemplatesAreTheirOwn(t *testing.T) {
	s := set(t, "helpdesk", template)
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.StringMatching(`[a-zA-Z0-9é.,-]([ a-zA-Z0-9é.,-]{0,28}[a-zA-Z0-9é.,-])?`)
		text := variable.ReplaceAllStringFunc(template, func(string) string { return value.Draw(t, "value") })
		if _, foreign := s.Split(core.Prompt{Parts: []core.Part{says(core.RoleSystem, 0, text)}}); len(foreign.Parts) > 0 {
			t.Errorf("not known again: %q", text)
		}
	})
}

// FuzzSplit: no text panics, and none is lost but the app's own.
func FuzzSplit(f *testing.F) {
	f.Add(plain, "system", "hello")
	f.Add(template, "developer", "\xff\u2028")
	f.Add("", "", "")
	s := set(f, "helpdesk", plain, template)
	f.Fuzz(func(t *testing.T, instructions, role, asked string) {
		p := core.Prompt{Parts: []core.Part{says(core.Role(role), 0, instructions), says(core.RoleUser, 1, asked)}}
		judged, foreign := s.Split(p)
		if n := len(judged.Parts); n == 0 || !cmp.Equal(judged.Parts[n-1], p.Parts[1]) {
			t.Fatalf("the user's words are gone: %v", judged)
		}
		if len(foreign.Parts) > 0 && (len(judged.Parts) != 2 || foreign.Parts[0].Text != instructions) {
			t.Fatalf("judged %v, foreign %v", judged, foreign)
		}
		if p, err := Fingerprint("helpdesk", instructions); err == nil {
			if _, foreign := Sets([]core.SystemPrompt{p})["helpdesk"].Split(core.Prompt{Parts: []core.Part{says(core.RoleSystem, 0, instructions)}}); len(foreign.Parts) > 0 {
				t.Fatalf("not known again: %q", instructions)
			}
		}
	})
}

// TestMuchTextIsNotHashed: a text that is longer than any that is registered is left after the first bytes.
func TestMuchTextIsNotHashed(t *testing.T) {
	s := set(t, "helpdesk", plain)
	if got := s.appendText(nil, []core.Part{says(core.RoleSystem, 0, strings.Repeat("x", 4<<20))}); len(got) > s.longest+2 {
		t.Errorf("%d bytes are made ready", len(got))
	}
}

func BenchmarkSplit(b *testing.B) {
	text := strings.Repeat("You answer questions about invoices and payments. ", 80)
	s := set(b, "helpdesk", text+"Today is {{date}}. You help {{name}}. Be kind at all times.", text)
	p := core.Prompt{Parts: []core.Part{says(core.RoleSystem, 0, text+"Today is 28 November. You help Ann Example. Be kind at all times."), says(core.RoleUser, 1, "hello")}}
	b.ReportAllocs()
	for b.Loop() {
		if _, foreign := s.Split(p); len(foreign.Parts) > 0 {
			b.Fatal("not known again")
		}
	}
}
