package detect

import "math/bits"

// matcher finds phrases in a row of words. Each word moves the phrases on that it fits; nothing goes back.
type matcher struct {
	at      int // of the word, over all texts: what was reached in one is out of reach in the next
	negated int // where the last negation stands in this clause
	reached [len(phrases)][maxSteps]int

	// What was met in this half of the window and in the one before, by phrase and by mark, and the points of each form.
	now, before met
	blockEnd    int
	reach       int // over how many words a negation reaches

	counts [formCount]int
	most   [formCount]int // the most points that a window of this text has
}

const maxSteps = 4

// The kinds of what can be met.
const (
	metPhrase = iota
	metMark
)

// met is which phrases and marks were met: the phrases in the first word, the marks in the second.
type met [2]uint64

// begin makes ready for another text. reach is how far a negation reaches: further in what an application says to a model,
// which is told what never to do.
func (m *matcher) begin(reach int) {
	m.at += 1000
	m.negated = m.at - 1000
	m.now, m.before = met{}, met{}
	m.most = [formCount]int{}
	m.blockEnd = m.at + block
	m.reach = reach
}

// clause ends what a negation holds for, sentence moves what follows further away.
func (m *matcher) clause() { m.negated = m.at - 1000 }

func (m *matcher) sentence() {
	m.at += 2
	m.clause()
}

// word takes the next word.
func (m *matcher) word(is class) {
	m.at++
	if m.at > m.blockEnd {
		m.before, m.now = m.now, met{}
		m.blockEnd = m.at + block
	}
	for rest := uint64(is); rest != 0; rest &= rest - 1 {
		for _, p := range byClass[bits.TrailingZeros64(rest)] {
			m.move(p)
		}
	}
	if is&negation != 0 {
		m.negated = m.at
	}
}

func (m *matcher) move(p place) {
	f := &phrases[p.phrase]
	reached := &m.reached[p.phrase]
	switch {
	case reached[p.step] == m.at: // by another kind of the same word
		return
	case p.step == 0:
		if !f.even && m.at-m.negated <= m.reach {
			return
		}
	case m.at-reached[p.step-1] > f.steps[p.step].gap || m.at == reached[p.step-1]:
		return
	}
	reached[p.step] = m.at
	if p.step == len(f.steps)-1 {
		m.meet(metPhrase, p.phrase, f.form, f.points)
	}
}

// meet notes that a phrase or a mark was met, and counts its form where that makes enough points for the first time in the
// window.
func (m *matcher) meet(kind, rule int, form string, points int) {
	bit := uint64(1) << rule
	if points < enough && (m.now[kind]|m.before[kind])&bit != 0 {
		m.now[kind] |= bit
		return
	}
	had, id := m.points(form), formIDs[form]
	m.now[kind] |= bit
	m.most[id] = max(m.most[id], had+points)
	if points >= enough || had < enough && had+points >= enough {
		m.counts[id]++
	}
}

// points are those of a form in the window.
func (m *matcher) points(form string) (sum int) {
	for rest := m.now[metPhrase] | m.before[metPhrase]; rest != 0; rest &= rest - 1 {
		if p := &phrases[bits.TrailingZeros64(rest)]; p.form == form {
			sum += p.points
		}
	}
	for rest := m.now[metMark] | m.before[metMark]; rest != 0; rest &= rest - 1 {
		if k := &marks[bits.TrailingZeros64(rest)]; k.form == form {
			sum += k.points
		}
	}
	return sum
}
