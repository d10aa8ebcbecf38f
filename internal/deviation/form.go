package deviation

import "github.com/plumbline/plumbline/internal/intent"

// formWords are what people say of how and when they want something, for whom, and what is to be done with a text: of any subject,
// and on any task. A rest that is made of them says nothing. Own words.
const formWords = `
	ask asking asked need want like think know help assist give provide show tell say says said mean see seen look find search check
	do done make made take get got put use used using go going come try tried start begin keep
	write draft compose reply respond response answer explain describe summarise summarize summary translate rewrite reword rephrase
	outline learn teach copy paste
	list table column row bullet points sentence paragraph word note mail email message letter slide presentation document text page
	guide checklist overview step version format instruction tutorial example detail information info tip
	tone style friendly polite formal plain simple clear easy easiest short shorter brief concise long longer detailed
	good best better quick quickly fast exact exactly correct common general different total
	thing way kind sort type lot idea opinion thought advice suggestion option question
	right now new next last soon today tomorrow yesterday time day week morning before after first
	please thanks sorry somebody someone anybody people person colleague customer client team manager boss user friend
`

// formStems are the stems of those.
func formStems() map[uint32]bool {
	stems := map[uint32]bool{}
	for _, w := range intent.Words(formWords) {
		stems[w.Stem] = true
	}
	return stems
}
