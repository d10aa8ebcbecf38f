package redact_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/plumbline/plumbline/internal/detect"
	"github.com/plumbline/plumbline/internal/detect/detecttest"
	"github.com/plumbline/plumbline/internal/redact"
)

// masked are texts in which what stands between ‹ and › must be masked, and nothing else. The credentials are made up.
var masked = []string{
	"my key is ‹sk-abcdefghijklmnop1234› ok",
	"‹sk-proj-Ab12_cd-EFGHijklmnopqrstuvwxyz0123456789›",
	"OPENAI_API_KEY=‹sk-abcdefghijklmnop1234›",
	"Authorization: Bearer ‹abc.def-123›",
	"authorization: Basic ‹dXNlcjpwYXNz›",
	"use Bearer ‹0123abcd› there",
	"the password is ‹hunter2›, right?",
	"Password: ‹hunter2›\nnext line",
	`{"password":"‹correct horse battery›","user":"ann"}`,
	"db_password = '‹hunter2›'",
	"client-secret=‹x›&more=1"[:len("client-secret=‹x")] + "›",
	"the pin is ‹1234›",
	"ssh ‹-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaA\n-----END OPENSSH PRIVATE KEY-----› done",
	"cut off: ‹-----BEGIN RSA PRIVATE KEY-----\nMIIE",
	"postgres://ann:‹p@ss@db.internal›/x",
	"‹AKIAIOSFODNN7EXAMPLE› and ‹ghp_abcdefghijklmnopqrstuv›",
	"a token ‹eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abcDEF123_-›",
	"it looks random: ‹aB3dE5gH7jK9mN1pQ3sT5vW7›",
	"sum ‹9f86d081884c7d659a2feaa0c55ad015›",
	"write to ‹ann.o'neil+x@mail.example.co.uk›.",
	"‹jörg@exämple.de› wrote",
	"mailto:‹a@b.io›",
	"pay to ‹DE89 3704 0044 0532 0130 00› today",
	"‹gb82west12345698765432› is the account",
	"FR‹›14 2004", // no IBAN: nothing is masked
	"card ‹4111 1111 1111 1111›, ‹5500-0000-0000-0004› or ‹378282246310005›",
	"not a card: 4111 1111 1111 1112",
	"call ‹+49 30 901820› or ‹(555) 123-4567› or ‹555-123-4567› or ‹030 / 901 820 11›",
	"my number is ‹078-05-1120›.",
	// What is no secret stays.
	"The task-management plan for 2024-03-11 has 12 items, version 1.2.3, at 10:30.",
	"550e8400-e29b-41d4-a716-446655440000 is an id",
	"In 1999 there were 123456789 people, 3.14159265358979 of them round",
	"see https://example.com/a/path_with_parts?token_count=3",
	"The secret of good bread. A password manager. Tokens: 500.",
	"a@b and @handle and user@localhost",
	"/usr/local/share/Documentation/index2.html",
	"",
}

func TestMasks(t *testing.T) {
	for _, marked := range masked {
		text, kept, wants := unmark(marked)
		got, n := redact.Text(text)
		for _, w := range wants {
			if strings.Contains(got, w) && !strings.Contains(kept, w) {
				t.Errorf("%q is left in %q", w, got)
			}
		}
		if n != len(wants) {
			t.Errorf("%q: masked %d pieces, want %d: %q", text, n, len(wants), got)
		}
		if plain := unlabel(got); plain != kept {
			t.Errorf("%q: what is left is %q, want %q", text, plain, kept)
		}
	}
}

// unmark gives a text without its marks, what is outside of them, and what is inside.
func unmark(marked string) (text, kept string, wants []string) {
	for rest := marked; rest != ""; {
		before, inside, found := strings.Cut(rest, "‹")
		kept, text = kept+before, text+before
		if !found {
			break
		}
		inside, rest, _ = strings.Cut(inside, "›")
		if text += inside; inside != "" {
			wants = append(wants, inside)
		}
	}
	return text, kept, wants
}

// unlabel takes out what stands in the place of what was masked.
func unlabel(s string) string {
	for {
		before, after, found := strings.Cut(s, "[masked:")
		if !found {
			return s
		}
		_, after, _ = strings.Cut(after, "]")
		s = before + after
	}
}

// TestWhatIsDetectedIsMasked: what a policy sees as a secret is not kept of a prompt.
func TestWhatIsDetectedIsMasked(t *testing.T) {
	for seed := range uint64(5) {
		for _, e := range detecttest.Examples(seed) {
			secrets := detect.Secrets(nil, e.Text)
			if len(secrets) == 0 {
				t.Errorf("%s is not detected in %q", e.Kind, e.Text)
				continue
			}
			got, _ := redact.Text("before " + e.Text + " after")
			if part := e.Text[secrets[0].From:secrets[0].To]; strings.Contains(got, part) || strings.Contains(got, part[len(part)/2:]) {
				t.Errorf("%s: %q is left in %q", e.Kind, part, got)
			}
			if !strings.HasPrefix(got, "before ") || !strings.HasSuffix(got, " after") {
				t.Errorf("%s: masked too much: %q", e.Kind, got)
			}
		}
	}
}

// TestHeadCutsNoSecretInTwo: what begins before the end of what is kept is masked whole, and what begins after is not shown.
func TestHeadCutsNoSecretInTwo(t *testing.T) {
	const before, secret = "key: ", "sk-abcdefghijklmnop1234"
	text := before + secret + " and more"
	for most := range len(text) + 1 {
		got, _ := redact.Head(text, most)
		if strings.Contains(got, "sk-") || strings.Contains(got, "mnop") {
			t.Errorf("of %d bytes: %q", most, got)
		}
		if rest := before + " and more"; !strings.HasPrefix(rest, unlabel(got)) {
			t.Errorf("of %d bytes: %q", most, got)
		}
	}
}

// planted are secrets that must be found wherever they stand.
var planted = []string{"sk-abcdefghijklmnop1234", "ann@mail.example.com", "4111 1111 1111 1111", "DE89370400440532013000", "+49 30 90182000"}

// FuzzText: nothing panics, UTF-8 stays UTF-8, what is no text before or after a secret does not hide it, and the parts
// that are left are those of the text in their order.
func FuzzText(f *testing.F) {
	for _, m := range masked {
		text, _, _ := unmark(m)
		f.Add(text, len(text)/2)
	}
	f.Add("@a@b.c@d.e://:@\x00\xff-----BEGIN -----END ", 3)
	f.Fuzz(func(t *testing.T, s string, most int) {
		most = min(max(most, 0), len(s))
		got, _ := redact.Head(s, most)
		if utf8.ValidString(s[:most]) && utf8.ValidString(s) && !utf8.ValidString(got) {
			t.Errorf("%q is no text", got)
		}
		for _, secret := range planted {
			got, n := redact.Text(s + " \n" + secret + "\n " + s)
			if n == 0 || strings.Count(got, secret) > 2*strings.Count(s, secret) {
				t.Errorf("%q is left in %q", secret, got)
			}
		}
	})
}

func BenchmarkText(b *testing.B) {
	text := strings.Repeat("The customer disputes a charge of 12.50 on the bill of 2026-03-11 and wants it back. ", 24)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		redact.Text(text)
	}
}

// BenchmarkHostile has texts that would be slow if a finder went back over what it has seen.
func BenchmarkHostile(b *testing.B) {
	for name, piece := range map[string]string{"at": "a@", "digits": "1 ", "url": "://:", "pem": "-----BEGIN ", "name": "token:", "token": "a", "iban": "DE12"} {
		b.Run(name, func(b *testing.B) {
			text := strings.Repeat(piece, 64<<10/len(piece))
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				redact.Text(text)
			}
		})
	}
}
