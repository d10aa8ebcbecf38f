package embed

import "golang.org/x/sys/cpu"

// vectorised says that the processor has the instructions of sums_amd64.s. Sums of floats differ from the portable ones in their
// last bits, by the order of additions; sums of whole numbers do not.
var vectorised = cpu.X86.HasAVX2 && cpu.X86.HasFMA

// dotAVX2 is the sum of the products of n floats; n is a multiple of 8.
//
//go:noescape
func dotAVX2(v, w *float32, n int) float32

// addRowAVX2 adds scale times n signed bytes to n floats; n is a multiple of 8 and not 0.
//
//go:noescape
func addRowAVX2(v *float32, row *byte, n int, scale float32)

// dotShortAVX2 is the sum of the products of n numbers of 16 bits and n signed bytes; n is a multiple of 16.
//
//go:noescape
func dotShortAVX2(v *int16, row *byte, n int) int32

// toInt16AVX2 puts scale times n floats into to, rounded to the nearest even and within 16 bits; n is a multiple of 16 and not 0.
//
//go:noescape
func toInt16AVX2(to *int16, v *float32, n int, scale float32)

func dot(v, w []float32) float32 {
	if vectorised && len(v) > 0 && len(v)%8 == 0 && len(v) == len(w) {
		return dotAVX2(&v[0], &w[0], len(v))
	}
	return portableDot(v, w)
}

func addScaled(v []float32, row []byte, scale float32) {
	if vectorised && len(v) > 0 && len(v)%8 == 0 && len(v) == len(row) {
		addRowAVX2(&v[0], &row[0], len(v), scale)
		return
	}
	portableAddScaled(v, row, scale)
}

func dotShort(v []int16, row []byte) int32 {
	if vectorised && len(v) > 0 && len(v)%16 == 0 && len(v) == len(row) {
		return dotShortAVX2(&v[0], &row[0], len(v))
	}
	return portableDotShort(v, row)
}

func toInt16(to []int16, v []float32, scale float32) {
	if vectorised && len(v) > 0 && len(v)%16 == 0 && len(v) == len(to) {
		toInt16AVX2(&to[0], &v[0], len(v), scale)
		return
	}
	portableToInt16(to, v, scale)
}
