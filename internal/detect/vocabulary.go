package detect

// class is a set of kinds of words: what a word can be in the phrases of attacks.
type class uint64

// The kinds of words.
const (
	ignore      class = 1 << iota // to leave unheeded
	earlier                       // said before
	since                         // … after the noun: "you were given before"
	above                         // where what was said stands
	instruction                   // what a model was told
	everything
	negation
	follow
	you
	your
	say    // to give out what was said
	repeat // to give out word by word
	words  // what is given out word by word
	system // the standing of a prompt
	prompt
	what
	begin // "from now on"
	now
	on
	act // to take a part
	as
	ai // a model or its maker
	without
	limit // what holds a model back
	persona
	anything
	do
	mode
	switched // on, enabled
	special  // modes that there are not: developer, dan, god
	refuse
	never
	answer
	unbound // unfiltered, uncensored
	immoral
	moral
	law
	illegal
	tell
	user
	send
	tool
	reading
	important
	must
	character
	stay
	jail
	warning
	harmful
	pretend
	simulate
	hypothetical
	openai
	rotated // a word of the vocabulary in ROT13
)

// entry is a word and what it can be.
type entry struct {
	hash uint32
	word string
	is   class
}

// dictionary is a hash table of words, open addressed, half empty at least.
type dictionary struct {
	entries []entry
	mask    uint32
	shapes  [maxWord + 1][32]uint32 // by length and first letter, the last letters of its words as bits
}

var vocabulary = newDictionary(vocabularyWords)

// row are words that can be the same.
type row struct {
	is    class
	words string
}

func newDictionary(of []row) *dictionary {
	all := map[string]class{}
	for _, row := range of {
		for _, w := range fields(row.words) {
			w = asRead(w)
			all[w] |= row.is
			if row.is&(ignore|instruction|system|limit|say|earlier|special) != 0 && len(w) >= 5 {
				all[rot13(w)] |= rotated
			}
		}
	}
	size := 64
	for size < 3*len(all) {
		size *= 2
	}
	d := &dictionary{entries: make([]entry, size), mask: uint32(size - 1)}
	for w, is := range all {
		i := hashOf(w) & d.mask
		for d.entries[i].word != "" {
			i = (i + 1) & d.mask
		}
		d.entries[i] = entry{hashOf(w), w, is}
		d.shapes[len(w)][w[0]&31] |= 1 << (w[len(w)-1] & 31)
	}
	return d
}

// fields cuts a list of words.
func fields(list string) (out []string) {
	from := 0
	for i := 0; i <= len(list); i++ {
		if i == len(list) || list[i] == ' ' {
			if i > from {
				out = append(out, list[from:i])
			}
			from = i + 1
		}
	}
	return out
}

// asRead is a word as the reader of words gives it, which takes digits for letters.
func asRead(w string) string {
	b := []byte(w)
	for i, c := range b {
		b[i] = lowered[c]
	}
	return string(b)
}

func hashOf(w string) (h uint32) {
	for i := range len(w) {
		h = h*31 + uint32(w[i])
	}
	return h
}

func rot13(w string) string {
	b := []byte(w)
	for i, c := range b {
		if letter(c) {
			base := c & 0x20
			b[i] = (c&^0x20-'A'+13)%26 + 'A' | base
		}
	}
	return string(b)
}

func (d *dictionary) find(hash uint32, word []byte) class {
	for i := hash & d.mask; d.entries[i].word != ""; i = (i + 1) & d.mask {
		if d.entries[i].hash == hash && d.entries[i].word == string(word) {
			return d.entries[i].is
		}
	}
	return 0
}

// vocabularyWords are the words that attacks are made of, by what they can be.
var vocabularyWords = []row{
	{ignore, "ignore ignoring ignores disregard disregarding forget forgetting override overriding overrule bypass bypassing discard neglect dismiss overlook abandon unlearn erase"},
	{earlier, "previous prior preceding above earlier foregoing initial original system openai openais developer developers programmed"},
	{since, "before previously above earlier prior received given got told gave learned said until"},
	{instruction, "instruction instructions directive directives prompt prompts guideline guidelines rules programming training restrictions"},
	{above, "above preceding"},
	{everything, "everything anything all"},
	{negation, "not never dont cannot cant wont neither nor shouldnt mustnt without avoid refuse"},
	{follow, "follow obey heed adhere comply abide listen"},
	{you, "you u"},
	{your, "your ur"},
	{say, "reveal show print output display tell give share expose leak disclose recite dump state list write quote provide summarize paste send repeat return reproduce"},
	{repeat, "repeat print output recite reproduce copy echo"},
	{words, "everything all words text content contents verbatim sentences"},
	{system, "system hidden secret initial original confidential internal underlying preprompt base"},
	{prompt, "prompt prompts instruction instructions directive directives preamble configuration"},
	{what, "what whats"},
	{begin, "from starting henceforth"},
	{now, "now"},
	{on, "on onwards forward"},
	{act, "act acting behave roleplay play become immerse impersonate emulate respond answer speak"},
	{pretend, "pretend imagine"},
	{as, "as like role"},
	{ai, "ai chatgpt gpt gpt3 gpt4 chatbot bot llm al assistant"},
	{openai, "openai openais anthropic microsoft google"},
	{without, "without no any free freed bypass bypasses ignore ignores ignoring lack lacks lacking none zero remove removed removes unbound beyond violates violate disregards disregard breaks broke broken defies"},
	{limit, "restriction restrictions restricted filter filters filtering censorship limitation limitations limits guidelines guideline policy policies ethics boundaries constraints safeguards rules confines morals morality scruples inhibitions content"},
	{persona, "dan stan dude aim ucar basedgpt evilbot antidan betterdan"},
	{anything, "anything everything"},
	{do, "do does answer say generate"},
	{mode, "mode modes"},
	{switched, "enabled enable activated activate on output unlocked engaged"},
	{special, "developer dan god jailbreak jailbroken dude evil opposite unrestricted unfiltered chaos"},
	{refuse, "refuse refuses refused refusing decline declines denies deny reject rejects apologize apologise apologizes"},
	{never, "never not cannot cant wont always"},
	{answer, "answer answers respond reply request requests question questions query order orders comply complies"},
	{unbound, "unfiltered uncensored unrestricted unmoderated uninhibited unbound unhinged"},
	{immoral, "amoral immoral unethical evil machiavellian unscrupulous depraved villainous"},
	{moral, "ethical moral legal morally ethically legally morality ethics legality"},
	{law, "law laws legality"},
	{illegal, "illegal illegally unlawful"},
	{tell, "tell mention inform notify alert disclose ask asking telling informing notifying consent knowledge"},
	{user, "user users human humans"},
	{send, "send post upload forward exfiltrate transmit email submit"},
	{tool, "tool tools function functions plugin api"},
	{reading, "reading read processing summarizing"},
	{important, "important attention notice urgent"},
	{must, "must should shall will"},
	{character, "character persona dan role jailbroken jailbreak"},
	{stay, "stay stays staying remain break breaking remind"},
	{jail, "jailbreak jailbroken jailbreaked"},
	{warning, "warning warnings disclaimer disclaimers moralizing lecturing ethical"},
	{harmful, "harmful dangerous offensive explicit inappropriate nsfw"},
	{simulate, "simulate simulating simulator simulation"},
	{hypothetical, "hypothetical fictional fictitious"},
}
