// Package detect finds secrets and attacks in text by rules: credentials in the formats of their issuers, with the checksum
// or the entropy that the format has; instructions that try to take a model over; text that a reader does not see; and
// all of these behind a few layers of encoding. Where rules find a little of an attack and not enough, a linear model on words
// adds points ([Head]); where they find nothing it is not asked.
//
// Contract: a text is gone through once from front to back by an automaton on the literals that secrets begin with and by
// a reader of words; nothing goes back over what it has seen but for a bounded look at one place, and the looks share a
// budget in proportion to the text. Time and memory are linear in the text, whatever it is, and nothing is allocated
// where nothing is found. What had to be left unseen for the budget is itself a finding (FormFlood): nothing passes in
// silence. Findings carry kinds and places, never the text.
//
// It is a pure function of the text: no clock, no network, no state. It imports core only.
package detect

// Rules is the version of the rules and the learnt head, for records. It changes when the same text can get another finding.
var Rules = "rules-2-" + headVersion
