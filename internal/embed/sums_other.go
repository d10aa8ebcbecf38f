//go:build !amd64

package embed

func dot(v, w []float32) float32 { return portableDot(v, w) }

func addScaled(v []float32, row []byte, scale float32) { portableAddScaled(v, row, scale) }
