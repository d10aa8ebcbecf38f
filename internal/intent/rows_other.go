//go:build !amd64

package intent

func sumRows(rows []row, features []uint32) [maxClasses]uint16 {
	return portableSumRows(rows, features)
}
