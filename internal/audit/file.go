package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// lock is held by the one process that writes the log. The system lets go of it when the process dies.
type lock struct{ f *os.File }

// ErrInUse is wrapped by the error of Open on a log that another process has open.
var ErrInUse = errors.New("another Plumbline writes to this audit log: stop it, or give this one a data directory of its own; one that ships what was left here ends by itself")

// acquire takes the lock without waiting. It is a file of its own, since closing any descriptor of the log's file would
// drop the locks that SQLite holds on it.
func acquire(path string) (*lock, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = ErrInUse
	}
	if err == nil {
		// Between opening and locking, whoever held it may have moved the log away with its lock.
		err = stillNamed(f, path)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("audit: locking %s: %w", path, err), f.Close())
	}
	return &lock{f}, nil
}

func stillNamed(f *os.File, path string) error {
	held, err := f.Stat()
	if err != nil {
		return err
	}
	named, err := os.Stat(path)
	if err != nil || !os.SameFile(held, named) {
		return ErrInUse
	}
	return nil
}

// release keeps the file: removing it would let two processes lock two files of the same name. It lets go of the lock
// itself: a child that is being started has a copy of the descriptor for a moment, which closing alone would leave locked.
func (l *lock) release() error {
	return errors.Join(syscall.Flock(int(l.f.Fd()), syscall.LOCK_UN), l.f.Close())
}

// watched is the set of files that must stay as they are while they are written to.
type watched struct {
	paths []string
	infos []fs.FileInfo
}

func watch(paths ...string) (*watched, error) {
	w := &watched{paths: paths}
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, err
		}
		w.infos = append(w.infos, info)
	}
	return w, nil
}

// trouble says what has happened to the files. A write to a file without a name would succeed and be lost.
func (w *watched) trouble() *trouble {
	for i, p := range w.paths {
		info, err := os.Stat(p)
		switch {
		case err != nil:
			return &trouble{cause: fmt.Errorf("the audit log is gone; put it back or start Plumbline again: %w", err)}
		case !os.SameFile(info, w.infos[i]):
			return &trouble{cause: fmt.Errorf("another file has taken the place of %s; start Plumbline again", p)}
		case info.Mode().Perm()&0o200 == 0:
			return &trouble{cause: fmt.Errorf("%s was made read-only", p), outcomes: true}
		}
		const writable = 2 // W_OK of access(2): also false on a file system mounted read-only
		if err := syscall.Access(p, writable); err != nil {
			return &trouble{cause: fmt.Errorf("%s cannot be written: %w", p, err), outcomes: true}
		}
	}
	return nil
}

// ballast is a file whose blocks are there to be given up. It is touched by the watching goroutine and, to be released,
// by the writer.
type ballast struct {
	path string
	size int64
}

// needed is how much must be free before the log takes records again: the ballast and as much to write to.
func (b *ballast) needed() int64 { return 2 * b.size }

// fill takes the ballast's room if it is not taken already and enough is free. It never takes the last room: that is for
// the outcomes that come in while it runs.
func (b *ballast) fill() error {
	if info, err := os.Stat(b.path); err == nil && info.Size() == b.size {
		return nil
	}
	var st syscall.Statfs_t
	dir := filepath.Dir(b.path)
	if err := syscall.Statfs(dir, &st); err != nil {
		return fmt.Errorf("audit: reading the free room: %w", err)
	}
	if free := int64(st.Bavail) * int64(st.Bsize); free < b.needed() { //nolint:unconvert // its type differs between systems
		return fmt.Errorf("audit: %d bytes are free, %d are needed", free, b.needed())
	}
	if err := writeZeros(b.path, b.size); err != nil {
		return errors.Join(err, b.release())
	}
	return nil
}

// release gives the room up.
func (b *ballast) release() error {
	if err := os.Remove(b.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("audit: releasing the ballast: %w", err)
	}
	return nil
}

// writeZeros writes rather than extends, since a file with holes has no blocks.
func writeZeros(path string, size int64) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	zeros := make([]byte, 64<<10)
	for left := size; left > 0; left -= int64(len(zeros)) {
		if _, err := f.Write(zeros[:min(left, int64(len(zeros)))]); err != nil {
			return fmt.Errorf("audit: %w", err)
		}
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return nil
}
