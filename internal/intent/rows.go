package intent

import "encoding/binary"

// row is the weights of one feature, a byte a class, each with offset added so that none is negative. Sixteen bytes: a
// row lies in one cache line, and two words of the processor hold it whole. What a prompt costs is mostly the wait for
// its rows, of which the processor fetches the more at once the less there is to do for each.
type row [2]uint64

// offset is added to each weight of a [row], and taken off the sums.
const offset = 128

// packRow gives the row of weights, of which there are at most maxClasses.
func packRow(weights []int8) row {
	var b [maxClasses]byte
	for k := range b {
		b[k] = offset
	}
	for k, w := range weights {
		b[k] = byte(int(w) + offset)
	}
	return row{binary.LittleEndian.Uint64(b[:8]), binary.LittleEndian.Uint64(b[8:])}
}

const (
	// lanes takes every other byte of a word, which leaves each a lane of sixteen bits to be summed in.
	lanes = 0x00FF00FF00FF00FF
	// laneRows is how many rows fit a lane, in fours: 257 times 255 is all that sixteen bits hold.
	laneRows = 256
)

// sum adds up the weights of features, class by class.
func (c *Classifier) sum(features []uint32) (sum [maxClasses]int32) {
	for k := range sum {
		sum[k] = -offset * int32(len(features))
	}
	for len(features) > 0 {
		some := features[:min(len(features), laneRows)]
		features = features[len(some):]
		for k, s := range sumRows(c.rows, some) {
			sum[k] += int32(s)
		}
	}
	return sum
}

// portableSumRows gives the sums of the rows of features, of which there are at most laneRows.
func portableSumRows(rows []row, features []uint32) (sums [maxClasses]uint16) {
	var part [4]uint64 // the classes 0 2 4 6, 1 3 5 7, 8 10 12 14 and 9 11 13 15
	for _, i := range features {
		r := &rows[i&(Rows-1)]
		part[0] += r[0] & lanes
		part[1] += r[0] >> 8 & lanes
		part[2] += r[1] & lanes
		part[3] += r[1] >> 8 & lanes
	}
	for k := range sums {
		sums[k] = uint16(part[k/8*2+k%2] >> (k % 8 / 2 * 16))
	}
	return sums
}
