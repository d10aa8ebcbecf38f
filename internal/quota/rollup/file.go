package rollup

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// maxFile bounds what is read into memory at a start: some tens of millions of sums.
const maxFile = 512 << 20

// Save puts b into the file at path as a whole or, whenever the process or the power ends, leaves the file as it was. One
// process at a time may save to a path.
func Save(path string, b []byte) error {
	fresh := path + ".new"
	err := write(fresh, b)
	if err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		return fmt.Errorf("rollup: %w", errors.Join(err, os.Remove(fresh)))
	}
	return nil
}

func write(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync() // or the new name could come to stand for a file without its bytes
	}
	return errors.Join(err, f.Close())
}

// Load reads the file at path, which must be a plain file. See Decode.
func Load(path string, now time.Time) (_ *Rollup, leaf [32]byte, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, leaf, fmt.Errorf("rollup: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, leaf, fmt.Errorf("%w: %d bytes, at most %d are read", ErrForm, info.Size(), maxFile)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, leaf, fmt.Errorf("rollup: %w", err)
	}
	return Decode(b, now)
}
