package policy

import (
	"errors"
	"strconv"
	"strings"

	"github.com/plumbline/plumbline/internal/calibrate"
	"github.com/plumbline/plumbline/internal/core"
)

// usualPromise is what a document promises that says nothing of it.
const usualPromise Share = 0.01

// Share is a share that is promised, above 0 and at most a half.
type Share float64

// TypeName says how a share is written.
func (Share) TypeName() string { return "a share from 0.01% to 50%, like 1%" }

// MarshalText writes the share.
func (s Share) MarshalText() ([]byte, error) {
	return append(strconv.AppendFloat(nil, float64(s)*100, 'g', 10, 64), '%'), nil
}

// UnmarshalText reads a share in percent.
func (s *Share) UnmarshalText(text []byte) error {
	number, percent := strings.CutSuffix(string(text), "%")
	x, err := strconv.ParseFloat(number, 64)
	if err != nil || !percent || !(x >= 0.01 && x <= 50) { // not in the other sense: NaN
		return errors.New("not " + s.TypeName())
	}
	*s = Share(x / 100)
	return nil
}

// Promise is the largest share of prompts on task that may be blocked for their deviation.
func (s *Snapshot) Promise() float64 { return float64(s.doc.Deviation.Promise) }

// Enough is how many calibration prompts the promise needs.
func (s *Snapshot) Enough() int { return s.enough }

// backed reports whether a calibration stands behind d that is enough for the promise.
func (s *Snapshot) backed(d *core.Deviation) bool {
	return d.Calibrated && d.P != nil && d.N >= s.enough
}

// promised reports whether a prompt so far from its task may be blocked under the promise.
func (s *Snapshot) promised(d *core.Deviation) bool {
	return s.backed(d) && calibrate.Stops(s.Promise(), *d.P, d.N)
}
