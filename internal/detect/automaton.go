package detect

// automaton finds every occurrence of a set of literals in one pass (Aho and Corasick, CACM 18(6), 1975), as a table from
// state and byte to state. Bytes that occur in no literal are one class. A state is where its row begins in the table.
type automaton struct {
	class  [256]uint8
	width  int
	next   []uint32
	first  uint32     // states from this one on end a literal
	ending [][]uint16 // the literals that end there, by the row less that of first
}

// step is the state after a byte.
func (a *automaton) step(state uint32, c byte) uint32 { return a.next[state+uint32(a.class[c])] }

// ends gives the literals that end in a state from first on.
func (a *automaton) ends(state uint32) []uint16 { return a.ending[int(state-a.first)/a.width] }

// newAutomaton is for literals that are not empty, and fewer than 65,000 bytes together.
func newAutomaton(literals []string) *automaton {
	a := &automaton{width: 1}
	for _, l := range literals {
		for i := range len(l) {
			if a.class[l[i]] == 0 {
				a.class[l[i]] = uint8(a.width)
				a.width++
			}
		}
	}
	t := newTrie(a.width)
	for i, l := range literals {
		t.add(l, uint16(i), &a.class)
	}
	t.close()
	a.order(t)
	return a
}

// order numbers the states so that those that end a literal come last: the loop asks for no more than that.
func (a *automaton) order(t *trie) {
	number := make([]uint32, len(t.ending))
	plain := 0
	for _, e := range t.ending {
		if len(e) == 0 {
			plain++
		}
	}
	low, high := 0, plain
	for i, e := range t.ending {
		if len(e) == 0 {
			number[i] = uint32(low * a.width)
			low++
		} else {
			number[i] = uint32(high * a.width)
			high++
			a.ending = append(a.ending, e)
		}
	}
	a.first = uint32(plain * a.width)
	a.next = make([]uint32, len(t.ending)*a.width)
	for i := range t.ending {
		for c := range a.width {
			a.next[int(number[i])+c] = number[t.next[i*a.width+c]]
		}
	}
}

// trie is an automaton that is being built. State 0 is its root, and no literal ends there.
type trie struct {
	width  int
	next   []int
	ending [][]uint16
}

func newTrie(width int) *trie {
	t := &trie{width: width}
	t.state()
	return t
}

func (t *trie) state() int {
	t.next = append(t.next, make([]int, t.width)...)
	t.ending = append(t.ending, nil)
	return len(t.ending) - 1
}

func (t *trie) add(literal string, id uint16, class *[256]uint8) {
	at := 0
	for i := range len(literal) {
		to := t.next[at*t.width+int(class[literal[i]])]
		if to == 0 {
			to = t.state()
			t.next[at*t.width+int(class[literal[i]])] = to
		}
		at = to
	}
	t.ending[at] = append(t.ending[at], id)
}

// close fills in where each state goes on a byte that continues no literal: to where the longest end of what was read that
// begins one would go.
func (t *trie) close() {
	fail := make([]int, len(t.ending))
	var queue []int
	for c := range t.width {
		if to := t.next[c]; to != 0 {
			queue = append(queue, to)
		}
	}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		t.ending[at] = append(t.ending[at], t.ending[fail[at]]...)
		for c := range t.width {
			to := &t.next[at*t.width+c]
			back := t.next[fail[at]*t.width+c]
			if *to == 0 {
				*to = back
				continue
			}
			fail[*to] = back
			queue = append(queue, *to)
		}
	}
}
