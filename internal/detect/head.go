package detect

import (
	"crypto/sha256"
	_ "embed" // the weights
	"encoding/binary"
	"encoding/hex"
	"math"
	"unicode/utf8"
)

// headPoints is what the learnt head adds to what rules found of a form, less than makes a finding: alone it finds nothing.
const headPoints = 2

// fewWords is how many words say too little of how a text is worded.
const fewWords = 12

// HeadRows is the number of rows that the words of a text are hashed into.
const HeadRows = 1 << headBits

const headBits = 14

//go:embed head.bin
var headFile []byte

// learnt is the shipped head. What is wrong with the file is a fault that the first test shows.
var learnt = readHead(headFile)

// Head is a linear model on single words and pairs: what attacks have in common in how they are worded. It is immutable.
type Head struct {
	// Weights are one for each row, in units of Scale.
	Weights []int8
	Scale   float32
	Bias    float32
	// Threshold is the margin from which a text is worded like an attack.
	Threshold float32
}

// headMagic begins the file of a head, and says its version.
const headMagic = "plhead01"

// Encode writes a head as it is kept.
func (h *Head) Encode() []byte {
	b := []byte(headMagic)
	for _, x := range [...]float32{h.Scale, h.Bias, h.Threshold} {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	for _, w := range h.Weights {
		b = append(b, byte(w))
	}
	return b
}

func readHead(file []byte) *Head {
	const front = len(headMagic) + 3*4
	if len(file) != front+HeadRows || string(file[:len(headMagic)]) != headMagic {
		panic("detect: head.bin is not a head of this version: run make models")
	}
	number := func(i int) float32 {
		return math.Float32frombits(binary.LittleEndian.Uint32(file[len(headMagic)+4*i:]))
	}
	h := &Head{Scale: number(0), Bias: number(1), Threshold: number(2), Weights: make([]int8, HeadRows)}
	for i, w := range file[front:] {
		h.Weights[i] = int8(w)
	}
	return h
}

// ShippedHead is the head that prompts are searched with.
func ShippedHead() *Head { return learnt }

// headVersion names the shipped head by its content.
var headVersion = func() string {
	sum := sha256.Sum256(headFile)
	return hex.EncodeToString(sum[:4])
}()

// Margin is how far a text is worded like an attack: that of its worst window of two blocks, of which each word is in two. It
// reads words as the rules do. A text of fewer than twelve words has none, which is below every threshold.
func (h *Head) Margin(s string) float32 {
	worst := float32(math.Inf(-1))
	var now, before sums
	words := 0
	eachWord(s, func(word, pair uint32) {
		now.sum += int32(h.Weights[word]) + int32(h.Weights[pair])
		now.n += 2
		if words++; words%block == 0 {
			worst = max(worst, h.margin(now.and(before)))
			now, before = sums{}, now
		}
	})
	if words < fewWords {
		return worst
	}
	if now.n > 0 {
		worst = max(worst, h.margin(now.and(before)))
	}
	return worst
}

// sums are weights of so many features, summed.
type sums struct{ sum, n int32 }

func (s sums) and(t sums) sums { return sums{s.sum + t.sum, s.n + t.n} }

// margin is that of features whose weights are summed, as package intent/fit learns it.
func (h *Head) margin(s sums) float32 {
	return float32(float32(s.sum)*h.Scale)/float32(math.Sqrt(float64(max(s.n, 1)))) + h.Bias
}

// AppendHeadRows appends the rows of the first window of a text, two a word, for learning.
func AppendHeadRows(rows []uint32, s string) []uint32 {
	n := 0
	eachWord(s, func(word, pair uint32) {
		if n++; n <= 2*block {
			rows = append(rows, word, pair)
		}
	})
	return rows
}

// eachWord gives the row of each word of s, and that of the pair with the one before.
func eachWord(s string, take func(word, pair uint32)) {
	var w wordReader
	previous := uint32(1)
	ends := func() {
		if w.n == 0 {
			return
		}
		hash := w.hash
		w.end()
		take(headRow(hash), headRow(previous*0x9E3779B1^hash))
		previous = hash
	}
	for i := 0; i < len(s); {
		i += w.plain(s[i:])
		if i == len(s) {
			break
		}
		if s[i] < utf8.RuneSelf {
			if s[i] != '\'' { // of don't
				ends()
			}
			i++
			continue
		}
		r, size, next := decode(s, i)
		if w.rune(r, i, i+size, next) {
			ends()
		}
		i += size
	}
	ends()
}

// headRow spreads a hash over the rows.
func headRow(h uint32) uint32 {
	h ^= h >> 15
	h *= 0x2C1B3C6D
	return (h ^ h>>13) >> (32 - headBits)
}
