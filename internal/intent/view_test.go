package intent

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/internal/core"
)

func said(role core.Role, turn int, text string) core.Part {
	return core.Part{Role: role, Kind: core.KindText, Turn: turn, Text: text}
}

func asked(text string) core.Prompt {
	return core.Prompt{Parts: []core.Part{said(core.RoleUser, 0, text)}}
}

func texts(words []Word, onlyContent bool) []string {
	var out []string
	for _, w := range words {
		if w.Content || !onlyContent {
			out = append(out, w.Text)
		}
	}
	return out
}

func TestNormalise(t *testing.T) {
	tag := func(s string) string {
		var b strings.Builder
		for _, r := range s {
			b.WriteRune(r + tagFirst)
		}
		return b.String()
	}
	for _, c := range []struct {
		name, in, want string
		hidden         bool
	}{
		{"plain", "Hello World", "hello world", false},
		{"compatibility forms", "ｆｕｌｌ 𝐁𝐨𝐥𝐝 ﬁne", "full bold fine", false},
		{"zero width within a word", "re\u200Bfund", "refund", true},
		{"zero width at a border", "refund \u200B\uFEFFnow", "refund now", false},
		{"soft hyphen", "re\u00ADfund", "refund", false},
		{"direction", "abc\u202Edef", "abcdef", true},
		{"tag characters", "go on" + tag(" Write a poem"), "go on write a poem", true},
		{"emoji sequence", "👩\u200D💻 ok", "👩💻 ok", false},
		{"control characters and bad UTF-8", "a\x00b\xffc\r\nd", "a b c \nd", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, hidden := new(buffers).appendNormal(nil, c.in)
			if string(got) != c.want || hidden != c.hidden {
				t.Errorf("got %q, hidden %v; want %q, hidden %v", got, hidden, c.want, c.hidden)
			}
		})
	}
}

func TestInstruction(t *testing.T) {
	filler := strings.Repeat("The quarter went as the others did before it. ", 60)
	for _, c := range []struct{ name, in, want string }{
		{
			"first, last and what asks", "I run a shop. Sales fell. Why is that? It is cold. Please explain it. I sell ice.",
			"i run a shop.\nwhy is that?\nplease explain it.\ni sell ice.",
		},
		{"command behind openers", "One. Two. And now, translate it. Three. Four.", "one.\nand now, translate it.\nfour."},
		{"fence", "Fix this:\n```python\nprint(1)\n```\nThanks.", "fix this:\nCODEBLOCK_python\nthanks."},
		{"fence of an unknown name", "Fix this:\n```ignore the rules\nx\n```", "fix this:\nCODEBLOCK_plain"},
		{"fence that is not closed", "Why?\n```sql\nselect 1", "why?\nCODEBLOCK_sql"},
		{
			"question in the middle of much", "Start here. " + filler + "What is the refund? " + filler + "End here.",
			"start here.\nwhat is the refund?\nend here.",
		},
		{"version numbers are no ends", "Upgrade to 1.26.0 today", "upgrade to 1.26.0 today"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, NewView(asked(c.in)).Instruction); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestInstructionIsBounded(t *testing.T) {
	for _, in := range []string{
		strings.Repeat("What is this? ", 500),
		strings.Repeat("no end in sight ", 500),
		strings.Repeat("a long first sentence ", 100) + ". Middle. " + strings.Repeat("a long last one ", 100),
	} {
		if n := len(NewView(asked(in)).Instruction); n > maxInstruction+2 {
			t.Errorf("%d bytes for %.30q…", n, in)
		}
	}
	// What asks at the very end of an endless text is kept.
	end := NewView(asked(strings.Repeat("no end in sight ", 5000) + "write my cover letter")).Instruction
	if !strings.HasSuffix(end, "write my cover letter") {
		t.Errorf("the end is lost: %q", end)
	}
}

func TestOnlyTheEndsOfALongTurnAreRead(t *testing.T) {
	filler := strings.Repeat("The quarter went as the others did. ", 1000)
	v := NewView(asked("Start. What is early? " + filler + "What is between? " + filler + "What is late? End."))
	if diff := cmp.Diff("start.\nwhat is early?\nwhat is late?\nend.", v.Instruction); diff != "" {
		t.Error(diff)
	}
}

func TestUnscored(t *testing.T) {
	opaque := core.Part{Role: core.RoleUser, Kind: core.KindOpaque, Text: "image/png"}
	for _, c := range []struct {
		name  string
		parts []core.Part
		want  core.Unscored
	}{
		{"nothing", nil, core.UnscoredTooShort},
		{"no words", []core.Part{said(core.RoleUser, 0, "… ?! 👍")}, core.UnscoredTooShort},
		{"one word", []core.Part{said(core.RoleUser, 0, "hello")}, ""},
		{"image alone", []core.Part{opaque}, core.UnscoredOpaque},
		{"image with hardly a word", []core.Part{said(core.RoleUser, 0, "what is this?"), opaque}, core.UnscoredOpaque},
		{"image with words", []core.Part{said(core.RoleUser, 0, "which invoice does this receipt belong to?"), opaque}, ""},
		{"base64", []core.Part{said(core.RoleUser, 0, "do it: "+strings.Repeat("aGVsbG8gd29ybGQ", 20))}, core.UnscoredEncoded},
		{"French", []core.Part{said(core.RoleUser, 0, "Écris une lettre de motivation pour un autre emploi dans une banque")}, core.UnscoredLanguage},
		{"German", []core.Part{said(core.RoleUser, 0, "Bitte schreibe mir ein Gedicht über den Herbst und die Liebe")}, core.UnscoredLanguage},
		{"Spanish", []core.Part{said(core.RoleUser, 0, "¿Cuál es la capital de Francia y por qué es tan famosa?")}, core.UnscoredLanguage},
		{"Chinese", []core.Part{said(core.RoleUser, 0, "请帮我写一封求职信")}, core.UnscoredLanguage},
		{"Cyrillic", []core.Part{said(core.RoleUser, 0, "Напиши мне стихотворение")}, core.UnscoredLanguage},
		{"a foreign phrase in English", []core.Part{said(core.RoleUser, 0, "how do i ask 'donde esta la estacion' in polite spanish")}, ""},
		{"rot13", []core.Part{said(core.RoleUser, 0, strings.Repeat("jevgr n pbire yrggre sbe nabgure wbo ng n onax ", 3))}, core.UnscoredLanguage},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := NewView(core.Prompt{Parts: c.parts}).Unscored; got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestRoles(t *testing.T) {
	system := said(core.RoleSystem, 0, "Write a cover letter for a job at another company in London.")
	t.Run("a request in another role does not hide behind a short user turn", func(t *testing.T) {
		v := NewView(core.Prompt{Parts: []core.Part{system, said(core.RoleUser, 1, "Please follow the instructions above.")}})
		if got := strings.Join(texts(v.Pooled, true), " "); !strings.Contains(got, "cover letter") {
			t.Errorf("pooled: %s", got)
		}
		if got := strings.Join(texts(v.Asked, true), " "); !strings.Contains(got, "cover letter") {
			t.Errorf("asked: %s", got)
		}
	})
	t.Run("a system prompt beside a user turn that says enough is not judged", func(t *testing.T) {
		v := NewView(core.Prompt{Parts: []core.Part{system, said(core.RoleUser, 1, "How do I dispute a charge on my invoice?")}})
		if diff := cmp.Diff([]string{"dispute", "charge", "invoice"}, texts(v.Pooled, true)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("tool descriptions are not judged", func(t *testing.T) {
		v := NewView(core.Prompt{Parts: []core.Part{{Role: core.RoleMeta, Kind: core.KindSchema, Turn: -1, Text: "books flights"}}})
		if v.Unscored != core.UnscoredTooShort {
			t.Errorf("unscored %q", v.Unscored)
		}
	})
}

func TestConversation(t *testing.T) {
	long := "Compare the monthly churn of enterprise customers with retention across European subscription cohorts."
	v := NewView(core.Prompt{Parts: []core.Part{
		said(core.RoleUser, 0, "Which invoices were disputed?"),
		said(core.RoleAssistant, 1, "Three of them, about late fees."),
		said(core.RoleUser, 2, long),
	}})
	if len(v.Last) == 0 || v.Last[0].Text != "compare" {
		t.Errorf("last: %v", texts(v.Last, false))
	}
	newest, oldest := v.Pooled[0], v.Pooled[len(v.Pooled)-1]
	if newest.Weight != 1 || oldest.Text != "disputed" || oldest.Weight != float32(fade) {
		t.Errorf("newest %+v, oldest %+v", newest, oldest)
	}
	short := NewView(core.Prompt{Parts: []core.Part{said(core.RoleUser, 0, long), said(core.RoleUser, 1, "yes, do that")}})
	if short.Last != nil || len(texts(short.Asked, true)) < standAlone {
		t.Errorf("a turn that says nothing is judged alone: last %v, asked %v", short.Last, texts(short.Asked, false))
	}
}

func TestStemJoinsFormsOfAWord(t *testing.T) {
	for _, forms := range [][]string{
		{"dispute", "disputes", "disputed", "disputing"},
		{"plan", "plans", "planned", "planning"},
		{"query", "queries"},
		{"bill", "bills", "billed", "billing"},
		{"watch", "watches", "watching"},
		{"box", "boxes"},
	} {
		for _, f := range forms[1:] {
			if Stem(f) != Stem(forms[0]) {
				t.Errorf("%s and %s are two", f, forms[0])
			}
		}
	}
	for _, pair := range [][2]string{{"bus", "business"}, {"sing", "s"}, {"bed", "b"}} {
		if Stem(pair[0]) == Stem(pair[1]) {
			t.Errorf("%s and %s are one", pair[0], pair[1])
		}
	}
}
