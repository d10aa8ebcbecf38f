package detect

import "slices"

// The forms of attacks.
const (
	FormIgnore    = "ignore_instructions" // to leave unheeded what a model was told before
	FormReveal    = "reveal_prompt"       // to give out what it was told
	FormJailbreak = "jailbreak"           // to take a part that no rule holds for
	FormForged    = "forged_role"         // the marks by which models tell roles apart
	FormHijack    = "tool_hijack"         // to act behind the user's back
	FormHidden    = "hidden_text"         // text in characters that nothing draws
	FormZeroWidth = "zero_width"          // words that are cut by characters without width
	FormBidi      = "bidi_override"       // text that is shown in another order than it is read
	FormMixed     = "mixed_script"        // letters of other scripts in place of those that they look like
	FormFlood     = "flood"               // more to look at than the bounds allow; some was left unseen
)

var forms = [...]string{
	FormIgnore, FormReveal, FormJailbreak, FormForged, FormHijack, FormHidden, FormZeroWidth, FormBidi, FormMixed, FormFlood,
}

// Forms lists every form of attack.
func Forms() []string { return slices.Clone(forms[:]) }

// enough is how many points make a finding. Rules with as many are one by themselves; of the others several must meet.
const enough = 4

// block is the length of half a window, in words: points are summed over two blocks, so that every stretch of a block's
// length lies within one window.
const block = 160

// phrase is a rule on words: kinds of words in this order, each at most gap words after the one before.
type phrase struct {
	form   string
	points int
	steps  []part
	// even also holds where the first word is negated: "do not follow".
	even bool
}

type part struct {
	is  class
	gap int
}

// phrases are the rules. They were written for this purpose; what they find is measured in docs/evaluation-attacks.md.
var phrases = [...]phrase{
	{form: FormIgnore, points: 4, steps: []part{{is: ignore}, {earlier, 5}, {instruction, 3}}},
	{form: FormIgnore, points: 4, steps: []part{{is: ignore}, {instruction, 4}, {since, 5}}},
	{form: FormIgnore, points: 4, steps: []part{{is: ignore}, {everything, 2}, {since, 5}}},
	{form: FormIgnore, points: 3, steps: []part{{is: ignore}, {your, 3}, {instruction, 3}}},
	{form: FormIgnore, points: 3, steps: []part{{is: ignore}, {openai, 3}, {instruction, 4}}},
	{form: FormIgnore, points: 4, even: true, steps: []part{{is: negation}, {follow, 2}, {earlier, 4}, {instruction, 3}}},

	{form: FormReveal, points: 4, steps: []part{{is: say}, {your, 3}, {system, 2}, {prompt, 2}}},
	{form: FormReveal, points: 4, steps: []part{{is: say}, {your, 2}, {prompt, 1}}},
	{form: FormReveal, points: 4, steps: []part{{is: what}, {your, 2}, {system, 2}, {prompt, 2}}},
	{form: FormReveal, points: 4, steps: []part{{is: repeat}, {words, 2}, {above, 2}}},

	{form: FormJailbreak, points: 4, steps: []part{{is: do}, {anything, 1}, {now, 1}}},
	{form: FormJailbreak, points: 2, steps: []part{{is: special}, {mode, 1}, {switched, 4}}},
	{form: FormJailbreak, points: 1, steps: []part{{is: special}, {mode, 1}}},
	{form: FormJailbreak, points: 1, steps: []part{{is: persona}}},
	{form: FormJailbreak, points: 2, steps: []part{{is: jail}}},
	{form: FormJailbreak, points: 2, steps: []part{{is: stay}, {character, 4}}},
	{form: FormJailbreak, points: 2, even: true, steps: []part{{is: never}, {refuse, 3}}},
	{form: FormJailbreak, points: 2, steps: []part{{is: without}, {limit, 5}}},
	{form: FormJailbreak, points: 1, steps: []part{{is: without}, {moral, 4}, {limit, 4}}},
	{form: FormJailbreak, points: 2, steps: []part{{is: unbound}}},
	{form: FormJailbreak, points: 2, steps: []part{{is: immoral}}},
	{form: FormJailbreak, points: 1, steps: []part{{is: illegal}}},
	{form: FormJailbreak, points: 1, steps: []part{{is: moral}, {law, 6}}},
	{form: FormJailbreak, points: 1, steps: []part{{is: harmful}}},
	{form: FormJailbreak, points: 1, even: true, steps: []part{{is: without | negation}, {warning, 4}}},
	{form: FormJailbreak, points: 1, steps: []part{{is: begin}, {now, 1}, {on, 1}}},
	{form: FormJailbreak, points: 1, steps: []part{{is: act | pretend}, {as, 3}, {ai, 6}}},
	{form: FormJailbreak, points: 1, steps: []part{{is: pretend | simulate | hypothetical}}},
	{form: FormJailbreak, points: 1, steps: []part{{is: openai}}},
	{form: FormJailbreak, points: 1, steps: []part{{is: ai}}},
	{form: FormJailbreak, points: 1, steps: []part{{is: you}, {act | pretend, 4}, {as, 3}}},

	{form: FormHijack, points: 3, even: true, steps: []part{{is: negation}, {tell, 3}, {user, 3}}},
	{form: FormHijack, points: 2, steps: []part{{is: send}, {everything | words | tool, 8}}},
	{form: FormHijack, points: 1, steps: []part{{is: reading}, {must, 6}}},
	{form: FormHijack, points: 1, steps: []part{{is: important}, {instruction, 2}}},
	{form: FormHijack, points: 1, steps: []part{{is: ai}, {must, 6}}},
}

// mark is a literal that is an attack's, as it stands.
type mark struct {
	literal string
	form    string
	points  int
}

// marks are those by which chat templates of models in wide use tell roles apart, and the headings that forge them.
// Sources: the templates that are published with the models (ChatML, Llama 2 and 3, Phi, Gemma, Mistral).
var marks = [...]mark{
	{"<|im_start|>", FormForged, 4},
	{"<|im_end|>", FormForged, 2},
	{"<|system|>", FormForged, 4},
	{"<|start_header_id|>", FormForged, 4},
	{"<|eot_id|>", FormForged, 3},
	{"<|endoftext|>", FormForged, 2},
	{"<|end_of_turn|>", FormForged, 3},
	{"<start_of_turn>", FormForged, 3},
	{"<<SYS>>", FormForged, 4},
	{"[/INST]", FormForged, 2},
	{"[INST]", FormForged, 2},
	{"[system](#", FormForged, 4},
	{"</system>", FormForged, 2},
	{"### System:", FormForged, 2},
	{"BEGIN SYSTEM PROMPT", FormForged, 4},
	{"END SYSTEM PROMPT", FormForged, 4},
}

// formIDs are the places of the forms.
var formIDs = func() map[string]int {
	ids := map[string]int{}
	for i, f := range forms {
		ids[f] = i
	}
	return ids
}()

const formCount = len(forms)

// place is a step of a phrase.
type place struct{ phrase, step int }

// byClass are the steps at which a kind of word can stand, later steps first, so that one word is no two steps.
var byClass = func() (out [64][]place) {
	for step := 4; step >= 0; step-- {
		for i, p := range phrases {
			if step >= len(p.steps) {
				continue
			}
			for bit := range 64 {
				if p.steps[step].is>>bit&1 == 1 {
					out[bit] = append(out[bit], place{i, step})
				}
			}
		}
	}
	return out
}()
