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
	)
	previous := uint32(0)
	for _, w := range words {
		h := uint32(wordSeed)
		for i := range len(w.Text) {
			h = (h ^ uint32(w.Text[i])) * prime32
		}
		rows = append(rows, fold(h), fold((previous*pairSeed)^h))
		previous = h

		var marked [maxWord + utf8Slack + 2]byte
		n := 1 + copy(marked[1:len(marked)-1], w.Text)
		marked[0], marked[n] = '<', '>'
		n++
		for from := 0; from+3 <= n; from++ {
			h := uint32(runSeed)
			for i := from; i < min(from+5, n); i++ {
				h = (h ^ uint32(marked[i])) * prime32
				if i >= from+2 {
					rows = append(rows, fold(h))
				}
			}
		}
	}
	return rows
}

// utf8Slack is what the last character of a word may stick out over maxWord.
const utf8Slack = 3

// fold spreads h over the rows: the low bits of FNV-1a alone are weak.
func fold(h uint32) uint32 {
	h ^= h >> 15
	h *= 0x2C1B3C6D
	return (h ^ h>>13) >> (32 - rowBits)
}
