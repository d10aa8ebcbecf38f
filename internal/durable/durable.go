// Package durable writes files that the loss of power leaves whole. It imports nothing of Plumbline.
package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Create puts content into a file of mode 0600, which must not exist: the error wraps fs.ErrExist then. Whatever happens, the
// file is there whole or not at all.
func Create(path string, content []byte) error {
	return put(path, content, func(temp string) error {
		err := os.Link(temp, path) // unlike a rename, it replaces nothing
		if errors.Is(err, fs.ErrExist) {
			err = &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist}
		}
		return errors.Join(err, os.Remove(temp))
	})
}

// Replace puts a file of mode 0600 with content at path, in the place of what is there: who reads has the one or the other.
func Replace(path string, content []byte) error {
	return put(path, content, func(temp string) error { return os.Rename(temp, path) })
}

// put writes content to a file beside path and has name give it the name.
func put(path string, content []byte, name func(temp string) error) error {
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	_, err = temp.Write(content)
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil { // or the name could come to stand for a file without its bytes
		return errors.Join(err, os.Remove(temp.Name()))
	}
	if err := name(temp.Name()); err != nil {
		_ = os.Remove(temp.Name()) // where it is still there
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// SyncDir makes the names of new files in a directory survive the loss of power.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
