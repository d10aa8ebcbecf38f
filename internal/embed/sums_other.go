//go:build !amd64

package embed

func dot(v, w []float32) float32 { return portableDot(v, w) }

func addScaled(v []float32, row []byte, scale float32) { portableAddScaled(v, row, scale) }

func dotShort(v []int16, row []byte) int32 { return portableDotShort(v, row) }

func toInt16(to []int16, v []float32, scale float32) { portableToInt16(to, v, scale) }
