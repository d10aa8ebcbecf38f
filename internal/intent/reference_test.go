package intent

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/embed"
)

// The reference implementations say in the plainest way what the ones that requests meet say fast. The weights were
// trained on what these give: both must agree to the last bit.

func referenceNormal(s string) (string, bool) {
	var visible []rune
	hidden, inWord, marks := false, false, 0
	for i, r := range s {
		_, size := utf8.DecodeRuneInString(s[i:])
		next := s[i+size:]
		if unicode.Is(unicode.Mn, r) && !isInvisible(r) { // no tag character is a mark
			if marks++; marks <= maxMarks {
				visible = append(visible, r)
			}
			continue
		}
		marks = 0
		switch {
		case r >= tagFirst && r <= tagLast:
			hidden = true
			if c := r - tagFirst; c >= ' ' && c < 0x7F {
				visible = append(visible, c)
			}
		case isInvisible(r):
			hidden = hidden || inWord && r != '\u00AD' && next != "" && isASCIIWord(next[0])
		case r != '\n' && unicode.IsControl(r), r == utf8.RuneError, r >= firstLigature && r <= lastLigature:
			visible, inWord = append(visible, ' '), false
		default:
			visible, inWord = append(visible, r), r < utf8.RuneSelf && isASCIIWord(byte(r))
		}
	}
	return strings.Map(unicode.ToLower, norm.NFKC.String(string(visible))), hidden
}

func referenceMostlyEncoded(text string) bool {
	encoded := 0
	for _, run := range strings.FieldsFunc(text, func(r rune) bool {
		return r >= utf8.RuneSelf || !isASCIIWord(byte(r)) && !strings.ContainsRune("+/=_-%", r)
	}) {
		if len(run) >= 48 {
			encoded += len(run)
		}
	}
	return encoded*2 > len(text)-strings.Count(text, " ")-strings.Count(text, "\n")
}

func referenceSpans(text []byte) (spans []span) {
	add := func(s span) {
		if s.lang == "" {
			trimmed := bytes.TrimLeft(text[s.from:s.to], " \n*-#>.!?")
			s.from = s.to - len(trimmed)
			if !bytes.ContainsFunc(trimmed, isWordRune) {
				return
			}
		}
		if len(spans) == maxSpans {
			spans = spans[:maxSpans-1]
		}
		spans = append(spans, s)
	}
	from := 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case bytes.HasPrefix(text[i:], []byte("```")):
			add(span{from: from, to: i})
			end := len(text)
			if n := bytes.Index(text[i+3:], []byte("```")); n >= 0 {
				end = i + 3 + n + 3
			}
			add(span{from: i, to: end, lang: language(text[i+3 : end])})
			from, i = end, end-1
		case c == '\n':
			add(span{from: from, to: i})
			from = i + 1
		case strings.IndexByte(".!?", c) >= 0 && (i+1 == len(text) || text[i+1] == ' ' || text[i+1] == '\n'):
			add(span{from: from, to: i + 1})
			from = i + 1
		}
	}
	if from < len(text) {
		add(span{from: from, to: len(text)})
	}
	return spans
}

func referenceAsks(sentence []byte) bool {
	if bytes.HasSuffix(bytes.TrimRight(sentence, " "), []byte("?")) {
		return true
	}
	head := sentence[:min(len(sentence), 80)]
	for _, p := range requests {
		if bytes.Contains(head, p) {
			return true
		}
	}
	for range 3 {
		head = bytes.TrimLeftFunc(head, func(r rune) bool { return !isWordRune(r) })
		end := bytes.IndexFunc(head, func(r rune) bool { return !isWordRune(r) && r != '\'' })
		if end < 0 {
			end = len(head)
		}
		word := head[:end]
		if askers[string(word)] {
			return true
		}
		if !openers[string(word)] {
			return false
		}
		head = head[end:]
	}
	return false
}

// referenceWord is [newWord] by the lists themselves.
func referenceWord(text string, weight float32) Word {
	kind := kinds[text]
	bare, bareKind := text, kind
	if b, owned := strings.CutSuffix(text, "'s"); owned {
		bare, bareKind = b, kinds[b]
	}
	return Word{Text: text, Stem: Stem(bare), Weight: weight, Content: len(bare) > 1 && bareKind&function == 0, kind: kind}
}

func referenceWords(text string, weight float32) (words []Word) {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		if !isWordRune(r) {
			i += size
			continue
		}
		from := i
		for i < len(text) && i-from < maxWord {
			r, size := utf8.DecodeRuneInString(text[i:])
			if !isWordRune(r) && (r != '\'' || i+1 == len(text) || !isASCIIWord(text[i+1])) {
				break
			}
			i += size
		}
		words = append(words, referenceWord(text[from:i], weight))
	}
	return words
}

func referenceFeatures(words []Word) []uint32 {
	digit := regexp.MustCompile(`[0-9]`)
	hash := func(seed uint32, s string) uint32 {
		s = digit.ReplaceAllString(s, "0")
		for i := range len(s) {
			seed = (seed ^ uint32(s[i])) * prime32
		}
		return seed
	}
	rows, previous := []uint32(nil), uint32(offset32^'^')
	for _, w := range words {
		h := hash(offset32^'w', w.Text)
		rows = append(rows, fold(h), fold(previous*0x9E3779B1^h))
		previous = h
		marked := "<" + w.Text + ">"
		for from := range len(marked) {
			for to := from + 3; to <= min(from+5, len(marked)); to++ {
				rows = append(rows, fold(hash(offset32^'c', marked[from:to])))
			}
		}
	}
	return rows
}

func referenceSum(m Model, features []uint32) (sum [maxClasses]int32) {
	for _, f := range features {
		for k := range m.Labels {
			sum[k] += int32(m.Rows[int(f)*len(m.Labels)+k])
		}
	}
	return sum
}

// hostileText draws text of pieces that normalisation treats each in a way of its own, in stretches that are now all
// ASCII, now none.
func hostileText() *rapid.Generator[string] {
	piece := rapid.OneOf(
		rapid.SampledFrom([]string{
			"J\u030C", "j\u030C", "I\u0307", "İ", "K", "Å", "ﬁ", "ẞ", "é", "e\u0301", "e\u0301\u0323\u0307", "\u0301", "\u0323\u0307", "\u0340\u0345", "ﷺ",
			"\u200B", "\u200D", "\u00AD", "\uFEFF", "\U000E0041", "\U000E007F", "\U000E0001", "\x00", "\r\n", "\n", "\t", "\x7F", "\u0085",
			"\xff", "\xe2\x82", "한", "ᄒ", "ᅡ", "ᆫ", "𝐀", "…", "“Hi”", "½", "\U0001D165", "\u302E", "\u20DD", "ß", "Σ", "A", "z", " ",
			"Summarise THE ticket of Our customer's. ", "don't?", "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXowMTIzNDU2Nzg5YWJjZGVm",
			"```sql\nSELECT 1```", "%2F_=+-/", strings.Repeat("a", 47), strings.Repeat("b", 48), strings.Repeat("c", longPlain-1),
		}),
		rapid.String(),
		rapid.StringN(0, 40, 40),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 60), func(b []byte) string { return string(b) }),
		rapid.StringMatching(`[ -~]{0,60}`),
	)
	return rapid.Map(rapid.SliceOfN(piece, 0, 30), func(pieces []string) string { return strings.Join(pieces, "") })
}

func TestNormalisingAgreesWithReference(t *testing.T) {
	var b buffers
	rapid.Check(t, func(t *rapid.T) {
		text := hostileText().Draw(t, "text")
		normal, hidden := b.appendNormal([]byte("Kept."), text)
		want, wantHidden := referenceNormal(text)
		if diff := cmp.Diff("Kept."+want, string(normal)); diff != "" || hidden != wantHidden {
			t.Fatalf("hidden %t, want %t: %s", hidden, wantHidden, diff)
		}
	})
}

func FuzzNormal(f *testing.F) {
	for _, seed := range []string{"", strings.Repeat("e\u0301\u0323\u0307", 3), "J\u030Cust", "a\u200Bb", "\U000E0041\u0301", "naïve and a long row of plain text Å\xff", "ﷺ\r\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		normal, hidden := new(buffers).appendNormal(nil, text)
		if want, wantHidden := referenceNormal(text); string(normal) != want || hidden != wantHidden {
			t.Errorf("%q: got %q %t, want %q %t", text, normal, hidden, want, wantHidden)
		}
		agree(t, normal)
		agree(t, []byte(text))
	})
}

// agree fails the test where a text is not cut into the same sentences and words as the reference cuts it into.
func agree(t rapid.TB, text []byte) {
	t.Helper()
	exact := cmp.AllowUnexported(span{}, Word{})
	spans := appendSpans(nil, text)
	if diff := cmp.Diff(referenceSpans(text), spans, exact); diff != "" {
		t.Fatalf("sentences of %q: %s", text, diff)
	}
	for _, s := range spans {
		if sentence := text[s.from:s.to]; asks(sentence) != referenceAsks(sentence) {
			t.Fatalf("%q: asks %t", sentence, asks(sentence))
		}
	}
	if diff := cmp.Diff(referenceWords(string(text), 1), appendWords(nil, string(text), 1), exact); diff != "" {
		t.Fatalf("words of %q: %s", text, diff)
	}
}

// spokenText draws text of words that sentences, questions and commands are told by.
func spokenText() *rapid.Generator[string] {
	common := []string{
		"please", "pleas", "can you", "could  you", "semi need", "i'd like", "let's", "you to ", "you must", "write", "also", "also, now", "é",
		"...", "?", "? ", "! ", ".", ". ", "\n", "\n- ", "# ", "> ", "``", "```", "```sql\n", "'", "it's", "customer's", "mix", "yo", "le", "i'", "\xe2", "'s'",
	}
	lists := slices.Concat(strings.Fields(englishWords), strings.Fields(functionWords), strings.Fields(foreignWords))
	for _, r := range requests {
		lists = append(lists, string(r))
	}
	piece := rapid.OneOf(rapid.SampledFrom(common), rapid.SampledFrom(lists), rapid.Just(" "), rapid.Just(" "), rapid.StringMatching("[a-z]{1,50}"), hostileText())
	return rapid.Map(rapid.SliceOfN(piece, 0, 60), func(pieces []string) string { return strings.Join(pieces, "") })
}

func TestCuttingAgreesWithReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		normal, _ := referenceNormal(spokenText().Draw(t, "text"))
		agree(t, []byte(normal))
	})
	for _, p := range hostile() {
		for _, part := range p.Parts[max(0, len(p.Parts)-1):] {
			agree(t, []byte(part.Text[:min(len(part.Text), maxTurn)]))
		}
	}
}

func TestEncodedAgreesWithReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := hostileText().Draw(t, "text")
		if got, want := mostlyEncoded([]byte(text)), referenceMostlyEncoded(text); got != want {
			t.Fatalf("%q: got %t, want %t", text, got, want)
		}
	})
}

func TestEncoded(t *testing.T) {
	long := strings.Repeat("b", 48)
	for text, want := range map[string]bool{
		"":                                   false,
		long:                                 true,
		long[1:]:                             false,
		long[1:] + " " + long[1:]:            false,
		long + strings.Repeat("é", 24):       false, // half is not most
		long + strings.Repeat("é", 23):       true,
		long + "\n " + long[1:]:              true,
		long + " " + long + " " + long[1:]:   true,
		long + " " + long + long[1:] + "é":   true,
		strings.Repeat(long[1:]+"é", 20):     false,
		strings.Repeat("é", 48) + " " + long: false,
		strings.Repeat("é", 40) + " " + long + " " + long: true, // of runs side by side each counts
	} {
		if got := mostlyEncoded([]byte(text)); got != want || got != referenceMostlyEncoded(text) {
			t.Errorf("%q: got %t", text, got)
		}
	}
}

func TestFeaturesAgreeWithReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := NewView(asked(hostileText().Draw(t, "text"))).Pooled
		if diff := cmp.Diff(referenceFeatures(words), AppendFeatures(nil, words)); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestSumsAgreeWithReference(t *testing.T) {
	m, err := ParseModel(shippedWeights)
	if err != nil {
		t.Fatal(err)
	}
	table, err := embed.Default()
	if err != nil {
		t.Fatal(err)
	}
	// As many equal extremes as a lane can hold and one more, in all classes that there may be.
	extreme := Model{
		Table: table.Version(), Labels: make([]string, maxClasses), Bias: make([]float32, maxClasses), Rows: make([]int8, maxClasses*Rows),
		MeaningBias: make([]float32, maxClasses), Meaning: make([]float32, maxClasses*table.Dim()), Prototypes: make([]float32, table.Dim()),
	}
	for i := range extreme.Rows {
		extreme.Rows[i] = [...]int8{127, -128, 1, 0, -1}[i/maxClasses%5]
	}
	for _, m := range []Model{m, extreme} {
		c, err := New(m, table)
		if err != nil {
			t.Fatal(err)
		}
		rapid.Check(t, func(t *rapid.T) {
			features := rapid.SliceOf(rapid.Uint32Range(0, Rows-1)).Draw(t, "features")
			for range rapid.IntRange(0, 600).Draw(t, "repeats") {
				features = append(features, uint32(rapid.IntRange(0, 4).Draw(t, "first")))
			}
			if diff := cmp.Diff(referenceSum(m, features), c.sum(features)); diff != "" {
				t.Fatal(diff)
			}
		})
		for same := range uint32(5) {
			features := make([]uint32, 2*laneRows+1)
			for i := range features {
				features[i] = same
			}
			if diff := cmp.Diff(referenceSum(m, features), c.sum(features)); diff != "" {
				t.Error(diff)
			}
		}
	}
}

// TestStretchesDoNotOverlap holds normalisation to linear work on text that is made to be cut often: each stretch but
// the last ends in enough plain text, and none reads again what another has read but for the one character before.
func TestStretchesDoNotOverlap(t *testing.T) {
	for _, unit := range []string{
		"é", "éa", "a\u0301", "é" + strings.Repeat("a", longPlain-1), "é" + strings.Repeat("a", longPlain), "\u200Ba", "\xffa", "\U000E0041 ",
	} {
		text := strings.Repeat(unit, 1<<20/len(unit))
		var b buffers
		stretches, read := 0, 0
		for i := 0; ; {
			plain := asciiPrefix(text[i:])
			if i+plain == len(text) {
				break
			}
			from := i + max(plain-1, 0)
			end, _, _ := b.readVisible(text, from)
			stretches++
			read += end - from
			i = end
		}
		if most := len(text)/longPlain + 1; stretches > most || read > len(text)+stretches {
			t.Errorf("%q: %d stretches, at most %d expected, which read %d bytes of %d", unit, stretches, most, read, len(text))
		}
	}
}

// TestWorkDoesNotGrowWithThePrompt compares the work that prompts of 64 kB and 1 MB leave to what comes after reading.
func TestWorkDoesNotGrowWithThePrompt(t *testing.T) {
	for _, unit := range []string{"a", "é", "refund? ", "é" + strings.Repeat("a", longPlain), "```", "a\u0301\u0301 ", "🙂please ", "x! "} {
		work := func(size int) (bytes, words, features int) {
			v := NewView(core.Prompt{Parts: []core.Part{said(core.RoleUser, 0, strings.Repeat(unit, size/len(unit)))}})
			return len(v.Instruction), len(v.Pooled), len(AppendFeatures(nil, v.Pooled))
		}
		_, words, features := work(64 << 10)
		size, moreWords, moreFeatures := work(1 << 20)
		if size > maxInstruction+2 || moreWords > words+1 || moreFeatures > features+3*maxWord || moreFeatures > 3*(maxInstruction+2) {
			t.Errorf("%q: %d bytes, %d words, %d features; of 64 kB %d and %d", unit, size, moreWords, moreFeatures, words, features)
		}
	}
}

func TestSpansEndAtEachBreak(t *testing.T) {
	for _, end := range []string{". ", "! ", "? ", "\n", ".\n"} {
		if spans := appendSpans(nil, []byte("stay here"+end+"go on")); len(spans) != 2 {
			t.Errorf("%q: %v", end, spans)
		}
	}
	for _, text := range []string{"v1.2", "a`b", "what?!x"} {
		if spans := appendSpans(nil, []byte(text)); len(spans) != 1 {
			t.Errorf("%q: %v", text, spans)
		}
	}
}

func TestOwnedWordsAreOfTheirOwnersKind(t *testing.T) {
	for word, content := range map[string]bool{"customer's": true, "today's": false, "what's": false, "a's": false, "mi": true} {
		if got := newWord(word, 1); got.Content != content {
			t.Errorf("%s: content %t", word, got.Content)
		}
	}
}

func TestASCIIPrefix(t *testing.T) {
	for n := range 40 {
		plain := bytes.Repeat([]byte{'a'}, n)
		if got := asciiPrefix(string(plain)); got != n {
			t.Errorf("%d: got %d", n, got)
		}
		if got := asciiPrefix(string(plain) + "\x80" + string(plain)); got != n {
			t.Errorf("%d before another character: got %d", n, got)
		}
	}
}

// Each ASCII character is read alike wherever in a word of the processor it stands.
func TestEachCharacterIsReadAsTheReferenceReadsIt(t *testing.T) {
	for c := range byte(utf8.RuneSelf) {
		for at := range 17 {
			text := strings.Repeat("aZ", 9)
			text = text[:at] + string(rune(c)) + text[at+1:]
			normal, _ := new(buffers).appendNormal(nil, text)
			if want, _ := referenceNormal(text); string(normal) != want {
				t.Errorf("%q: got %q, want %q", text, normal, want)
			}
		}
	}
}
