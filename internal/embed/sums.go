package embed

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
