package embed

import "math"

// portableDot is the sum of the products of v and w, of one length that is a multiple of 4.
func portableDot(v, w []float32) float32 {
	var a, b, c, d float32
	w = w[:len(v)]
	for i := 0; i+4 <= len(v); i += 4 {
		a += v[i] * w[i]
		b += v[i+1] * w[i+1]
		c += v[i+2] * w[i+2]
		d += v[i+3] * w[i+3]
	}
	return a + b + c + d
}

// portableAddScaled adds scale times row, whose bytes are signed, to v. Both have one length, a multiple of 4.
func portableAddScaled(v []float32, row []byte, scale float32) {
	v = v[:len(row)]
	for i := 0; i+4 <= len(row); i += 4 {
		v[i] += scale * float32(int8(row[i]))
		v[i+1] += scale * float32(int8(row[i+1]))
		v[i+2] += scale * float32(int8(row[i+2]))
		v[i+3] += scale * float32(int8(row[i+3]))
	}
}

// portableDotShort is the sum of the products of v and row, whose bytes are signed. Both have one length, a multiple of 4 and at
// most MaxDim: the sum of as many products of 16 and 8 bits, but for those of the least number of each, fits.
func portableDotShort(v []int16, row []byte) int32 {
	var a, b int32
	row = row[:len(v)]
	for i := 0; i+4 <= len(v); i += 4 {
		a += int32(v[i])*int32(int8(row[i])) + int32(v[i+1])*int32(int8(row[i+1]))
		b += int32(v[i+2])*int32(int8(row[i+2])) + int32(v[i+3])*int32(int8(row[i+3]))
	}
	return a + b
}

// portableToInt16 puts scale times v into to, each rounded to the nearest whole number, or to the even one of two, and within 16
// bits. Both have one length.
func portableToInt16(to []int16, v []float32, scale float32) {
	to = to[:len(v)]
	for i, x := range v {
		to[i] = int16(max(math.MinInt16, min(math.MaxInt16, math.RoundToEven(float64(x*scale)))))
	}
}
