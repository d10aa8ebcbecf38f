// Package wholefile reads whole files of a bounded size: documents, keys, tables. It imports nothing of Plumbline and names no
// content of a file in an error.
package wholefile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

var (
	// ErrNotRegular says that a path leads to a directory, a pipe or a device.
	ErrNotRegular = errors.New("is not a regular file")
	// ErrTooLarge says that a file has more bytes than it may have.
	ErrTooLarge = errors.New("is too large")
)

// Read gives what is in the regular file at path, of at most limit bytes; it never waits for somebody to write. Each of checks
// judges the file that was opened before it is read, whatever the name leads to by then. Symbolic links are followed. The
// error of a file that is not there wraps fs.ErrNotExist; errors of checks are wrapped.
func Read(path string, limit int64, checks ...func(fs.FileInfo) error) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // to open a pipe without a writer would wait for one
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s %w", path, ErrNotRegular)
	}
	for _, check := range checks {
		if err := check(info); err != nil {
			return nil, fmt.Errorf("%s %w", path, err)
		}
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1)) // not by the size that was stated: a file may grow
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s %w: more than %d bytes", path, ErrTooLarge, limit)
	}
	return data, nil
}
