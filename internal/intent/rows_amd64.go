package intent

import "golang.org/x/sys/cpu"

// vectorised says that the processor has the instructions of rows_amd64.s.
var vectorised = cpu.X86.HasAVX2

// addRowsAVX2 puts the sums of n rows into sums, class by class; n is a multiple of 4, not 0 and at most laneRows, and each
// feature is less than [Rows].
//
//go:noescape
func addRowsAVX2(sums *[maxClasses]uint16, rows *row, features *uint32, n int)

// sumRows gives the sums of the rows of features, of which there are at most laneRows.
func sumRows(rows []row, features []uint32) (sums [maxClasses]uint16) {
	n := len(features) &^ 3
	if !vectorised || n == 0 {
		return portableSumRows(rows, features)
	}
	sums = portableSumRows(rows, features[n:])
	var most [maxClasses]uint16
	addRowsAVX2(&most, &rows[:Rows][0], &features[0], n)
	for k := range sums {
		sums[k] += most[k]
	}
	return sums
}
