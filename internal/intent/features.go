package intent

// rowBits is the size of the table that features are hashed into.
const rowBits = 17

// Rows is the number of rows that features are hashed into.
const Rows = 1 << rowBits

// AppendFeatures appends the row of each feature of words: the word, each pair of neighbours, and each run of three to
// five bytes of a word with its borders marked. Rows repeat when features do.
func AppendFeatures(rows []uint32, words []Word) []uint32 {
	const (
		wordSeed = offset32 ^ 'w'
		pairSeed = 0x9E3779B1
		runSeed  = offset32 ^ 'c'
		// startSeed stands for the word before the first: how a request begins says much of what it is.
		startSeed = offset32 ^ '^'
	)
	previous := uint32(startSeed)
	for _, w := range words {
		h := uint32(wordSeed)
		for i := range len(w.Text) {
			h = mix(h, shape[w.Text[i]])
		}
		rows = append(rows, fold(h), fold((previous*pairSeed)^h))
		previous = h

		var marked [maxWord + utf8Slack + 2]byte
		n := 1
		for i := range len(w.Text) {
			marked[n] = shape[w.Text[i]]
			n++
		}
		marked[0], marked[n] = '<', '>'
		runs := marked[:n+1]
		for ; len(runs) >= 5; runs = runs[1:] {
			three := mix(mix(mix(runSeed, runs[0]), runs[1]), runs[2])
			four := mix(three, runs[3])
			rows = append(rows, fold(three), fold(four), fold(mix(four, runs[4])))
		}
		if len(runs) == 4 { // the end of the word leaves no room for the longest
			three := mix(mix(mix(runSeed, runs[0]), runs[1]), runs[2])
			rows = append(rows, fold(three), fold(mix(three, runs[3])))
			runs = runs[1:]
		}
		rows = append(rows, fold(mix(mix(mix(runSeed, runs[0]), runs[1]), runs[2])))
	}
	return rows
}

// shape is each byte as features see it: one digit is like another.
var shape = func() (s [256]byte) {
	for i := range s {
		s[i] = byte(i)
	}
	for c := '0'; c <= '9'; c++ {
		s[c] = '0'
	}
	return s
}()

// mix adds c to the hash h, as FNV-1a does.
func mix(h uint32, c byte) uint32 { return (h ^ uint32(c)) * prime32 }

// utf8Slack is what the last character of a word may stick out over maxWord.
const utf8Slack = 3

// fold spreads h over the rows: the low bits of FNV-1a alone are weak.
func fold(h uint32) uint32 {
	h ^= h >> 15
	h *= 0x2C1B3C6D
	return (h ^ h>>13) >> (32 - rowBits)
}
