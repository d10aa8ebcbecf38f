package intent

import (
	"bytes"
	"math/bits"
	"slices"
	"unicode/utf8"
)

// maxInstruction is the length of an instruction view, in bytes.
const maxInstruction = 500

// maxSpans bounds the sentences that are looked at.
const maxSpans = 512

// span is a sentence, or a code fence when lang is set.
type span struct {
	from, to int
	lang     string
	take     bool
}

const codeBlock = "CODEBLOCK_"

// size is the length of what stands for the span in the view.
func (s span) size() int {
	if s.lang != "" {
		return len(codeBlock) + len(s.lang)
	}
	return s.to - s.from
}

// appendInstruction appends the instruction view of text: the sentences that ask or command, the first and the last,
// with each code fence as one CODEBLOCK_<lang>. text is normalised. The first and the last sentence have room of their
// own, so that no padding pushes them out. spans is scratch and returned for the next call.
func appendInstruction(dst, text []byte, spans []span) ([]byte, []span) {
	spans = appendSpans(spans[:0], text)
	if len(spans) == 0 {
		return dst, spans
	}
	const edge = maxInstruction * 2 / 5
	last := len(spans) - 1
	room := maxInstruction
	for _, i := range [2]int{0, last} {
		if !spans[i].take {
			spans[i].take = true
			room -= min(spans[i].size(), edge) + 1
		}
	}
	for i := range spans {
		s := &spans[i]
		if size := s.size() + 1; !s.take && size <= room && (s.lang != "" || asks(text[s.from:s.to])) {
			s.take = true
			room -= size
		}
	}
	for i, s := range spans {
		if !s.take {
			continue
		}
		if len(dst) > 0 && dst[len(dst)-1] != '\n' {
			dst = append(dst, '\n')
		}
		sentence := text[s.from:s.to]
		switch {
		case s.lang != "":
			dst = append(append(dst, codeBlock...), s.lang...)
		case last == 0 && len(sentence) > maxInstruction:
			dst = appendEnds(dst, sentence, maxInstruction)
		case (i == 0 || i == last) && len(sentence) > edge && room < len(sentence)-edge:
			dst = appendEnds(dst, sentence, edge)
		default:
			if i == 0 || i == last {
				room -= max(0, len(sentence)-edge)
			}
			dst = append(dst, sentence...)
		}
	}
	return dst, spans
}

// appendEnds appends the start and the end of a sentence that is longer than n, n bytes together: what an endless sentence
// asks stands at one of the two.
func appendEnds(dst, sentence []byte, n int) []byte {
	dst = append(dst, sentence[:n/2]...)
	return append(append(dst, ' '), sentence[len(sentence)-n/2+1:]...)
}

// appendSpans cuts text into sentences and fences. Beyond maxSpans only the newest is kept as the last.
func appendSpans(spans []span, text []byte) []span {
	ends := newBreaks(text)
	from := 0
	for i := ends.next(0); i < len(text); i = ends.next(i + 1) {
		switch c := text[i]; {
		case c == '`' && bytes.HasPrefix(text[i:], fence):
			spans = appendSentence(spans, text, from, i)
			body := i + len(fence)
			end := len(text) // a fence that is never closed swallows the rest, as it does when shown
			if n := bytes.Index(text[body:], fence); n >= 0 {
				end = body + n + len(fence)
			}
			spans = appendSpan(spans, span{from: i, to: end, lang: language(text[body:end])})
			from, i = end, end-1
		case c == '\n':
			spans = appendSentence(spans, text, from, i)
			from = i + 1
		case c != '`' && (i+1 == len(text) || text[i+1] == ' ' || text[i+1] == '\n'):
			spans = appendSentence(spans, text, from, i+1)
			from = i + 1
		}
	}
	if from < len(text) {
		spans = appendSentence(spans, text, from, len(text))
	}
	return spans
}

// appendSentence appends the sentence text[from:to], without what lists and quotations put in front of it, unless it holds
// no word.
func appendSentence(spans []span, text []byte, from, to int) []span {
	for from < to && ornament[text[from]] {
		from++
	}
	if from == to || !isASCIIWord(text[from]) && !bytes.ContainsFunc(text[from:to], isWordRune) {
		return spans
	}
	return appendSpan(spans, span{from: from, to: to})
}

func appendSpan(spans []span, s span) []span {
	if len(spans) == maxSpans {
		spans = spans[:maxSpans-1]
	}
	return append(spans, s)
}

var fence = []byte("```")

// ornament are the characters that may stand before a sentence and are none of it.
var ornament = [256]bool{' ': true, '\n': true, '*': true, '-': true, '#': true, '>': true, '.': true, '!': true, '?': true}

// breakAt are the characters at which a span can end.
const breakAt = "\n.?!`"

// breaks finds the places at which a span can end. It keeps where each of the characters stands next: the processor finds
// one character many times faster than one of five, and most of the five are rare.
type breaks struct {
	text []byte
	at   [len(breakAt)]int
}

func newBreaks(text []byte) breaks {
	b := breaks{text: text}
	for k := range b.at {
		b.at[k] = b.find(k, 0)
	}
	return b
}

// next is the first place at or after from, the text's length if there is none. from never falls.
func (b *breaks) next(from int) int {
	first := len(b.text)
	for k := range b.at {
		if b.at[k] < from {
			b.at[k] = b.find(k, from)
		}
		first = min(first, b.at[k])
	}
	return first
}

func (b *breaks) find(k, from int) int {
	if n := bytes.IndexByte(b.text[from:], breakAt[k]); n >= 0 {
		return from + n
	}
	return len(b.text)
}

// language gives the name that a fence's first line carries, "plain" when there is none that is known.
func language(body []byte) string {
	line, _, _ := bytes.Cut(body, []byte("\n"))
	name := string(bytes.TrimSpace(line[:min(len(line), 24)]))
	if i, ok := slices.BinarySearch(languages, name); ok {
		return languages[i]
	}
	return "plain"
}

// languages are the fence names that are told apart, sorted. A closed set: the name is text of the prompt.
var languages = []string{
	"bash", "c", "c#", "c++", "cpp", "csharp", "css", "diff", "dockerfile", "go", "graphql", "html",
	"java", "javascript", "js", "json", "jsx", "kotlin", "lua", "markdown", "md", "perl", "php", "powershell", "py",
	"python", "r", "ruby", "rust", "scala", "sh", "shell", "sql", "swift", "terraform", "toml", "ts", "tsx", "typescript",
	"xml", "yaml", "yml",
}

// asks reports whether a sentence is a question or a command, by its end, its first words and what people write before
// a request.
func asks(sentence []byte) bool {
	end := len(sentence)
	for end > 0 && sentence[end-1] == ' ' {
		end--
	}
	if end > 0 && sentence[end-1] == '?' {
		return true
	}
	head := sentence[:min(len(sentence), 80)]
	return begins(head) || requested(head)
}

// begins reports whether a sentence begins as a question or a command does.
func begins(head []byte) bool {
	for range 3 {
		head = head[wordStart(head):]
		end := wordEnd(head)
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

// wordStart is where the first word of text begins.
func wordStart(text []byte) int {
	if len(text) > 0 && isASCIIWord(text[0]) {
		return 0
	}
	if n := bytes.IndexFunc(text, isWordRune); n >= 0 {
		return n
	}
	return len(text)
}

// wordEnd is where the word ends that text begins with. An apostrophe is part of it.
func wordEnd(text []byte) int {
	end := 0
	for end < len(text) && (isASCIIWord(text[end]) || text[end] == '\'') {
		end++
	}
	if end == len(text) || text[end] < utf8.RuneSelf {
		return end
	}
	if n := bytes.IndexFunc(text[end:], func(r rune) bool { return !isWordRune(r) && r != '\'' }); n >= 0 {
		return end + n
	}
	return len(text)
}

// requested reports whether head holds one of requests anywhere.
func requested(head []byte) bool {
	begun := uint32(0) // what the character before may begin
	for i, c := range head {
		set := starts[c]
		for begun &= set; begun != 0; begun &= begun - 1 {
			if bytes.HasPrefix(head[i-1:], requests[bits.TrailingZeros32(begun)]) {
				return true
			}
		}
		begun = set >> 16
	}
	return false
}

var requests = [16][]byte{
	[]byte("please"), []byte("can you"), []byte("could you"), []byte("would you"), []byte("will you"),
	[]byte("you to "), []byte("help me"), []byte("i need"), []byte("i want"), []byte("i'd like"), []byte("i would like"),
	[]byte("let's"), []byte("you must"), []byte("you should"), []byte("your task"), []byte("your job"),
}

// starts says of each character which of requests have it second, a bit for each, and above those which it begins.
var starts = func() (set [256]uint32) {
	for i, p := range requests {
		set[p[1]] |= 1 << i
		set[p[0]] |= 1 << (16 + i)
	}
	return set
}()

// openers may stand before the verb of a command.
var openers = set(`also and first second third next now so then finally lastly just hi hello hey ok okay well thanks but
	kindly instead quickly great again`)

// askers begin a question or a command.
var askers = set(`what what's whats how how's why who who's whose whom when where where's which can could would will
	should shall may might is are was were do does did has have am isn't aren't doesn't don't
	act add adjust advise analyse analyze answer apply approve arrange ask assume begin book brainstorm break build buy
	calculate call cancel categorise categorize change check choose clarify classify clean code combine come compare
	compile complete compose compute condense consider construct continue convert copy correct count create debug decide
	decline decode define delete deploy derive describe design detect determine develop diagnose disable discuss display
	divide document draft draw edit elaborate enable encode ensure enter estimate evaluate examine execute expand explain
	explore export extend extract fetch fill filter find finish fix flip forget format formulate generate get give go
	group guess help highlight identify ignore imagine implement import improve include increase infer inform insert
	install integrate interpret introduce investigate invent join keep label learn let list locate log look make map match
	merge migrate modify move multiply name negotiate notify open optimise optimize order organise organize outline
	paraphrase parse pay pick plan play polish post practice predict prepare present pretend print prioritise prioritize
	process produce program proofread propose prove provide pull put query rank rate read rebook recall recommend record
	redact reduce refactor reformat refund remind remove rename repeat rephrase replace reply report request reschedule
	reserve reset resolve respond restate return reveal review revise rewrite role-play roleplay run save say schedule
	search see select send set share shorten show simplify simulate sketch solve sort speak spell split start state stop
	store submit subtract suggest summarise summarize switch take talk teach tell test think transcribe transfer transform
	translate transpose troubleshoot try turn update upgrade use validate verify visualise visualize walk work write`)
