package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/plumbline/plumbline/internal/durable"
	"github.com/plumbline/plumbline/internal/sqlite"
)

// After a failed sync the system may have dropped what was written, and says so once: no later sync of the same file can be
// believed. So the file is given up. A marker beside it tells the next start, which moves the log aside and begins a new one;
// what the old one holds is taken over from there.

// asidePrefix begins the names of the directories that logs are moved to.
const asidePrefix = "audit-aside-"

// unsyncedPath is the marker of the log at path.
func unsyncedPath(path string) string { return path + ".unsynced" }

// giveUp leaves the marker and tells whoever waits for it. A disk that does not take the marker is likely to refuse the next
// start, too.
func (l *Log) giveUp() {
	l.giveUpOnce.Do(func() {
		if err := os.WriteFile(unsyncedPath(l.o.Path), []byte("The disk did not take what was written to this log.\n"), 0o600); err != nil {
			l.o.Logger.Error("the audit log is given up, and that could not be noted beside it", "error", err)
		}
		close(l.gaveUp)
	})
}

// rewrite puts all that the log holds into its file once more, if its disk has failed under it.
func (l *Log) rewrite(ctx context.Context) error {
	if _, err := os.Stat(unsyncedPath(l.o.Path)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	pages, moved, err := sqlite.Checkpoint(ctx, l.conn)
	if err == nil && moved < pages {
		err = errors.New("another process reads it: stop that, then start again")
	}
	if err != nil {
		return fmt.Errorf("writing the log anew, whose disk failed: %w", err)
	}
	return os.Remove(unsyncedPath(l.o.Path))
}

// GaveUp is closed when the log will not take records again before a new start.
func (l *Log) GaveUp() <-chan struct{} { return l.gaveUp }

// SetAside moves the log at path to a directory of its own beside it if its disk has failed under it, and gives the directory,
// empty if there was nothing to move. It is called before Open, where another store takes what was recorded. A log that is the
// only place of its records stays: Open writes it anew.
func SetAside(path string) (dir string, err error) {
	marker, err := os.Stat(unsyncedPath(path))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("audit: %w", err)
	}
	l, err := acquire(path + ".lock")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, l.release()) }()
	// The name is the marker's time: a move that was cut off goes on with the same one.
	dir = filepath.Join(filepath.Dir(path), asidePrefix+marker.ModTime().UTC().Format("20060102T150405.000000"))
	if err := moveLog(path, dir); err != nil {
		return "", fmt.Errorf("audit: moving the log aside, whose disk failed: %w", err)
	}
	return dir, nil
}

// moveLog moves a log's files. The lock goes first, held, and the tables last, so that nobody opens half of it.
func moveLog(path, dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	journals := journalPaths(path)
	for _, from := range []string{path + ".lock", path + "-wal", journals[0], journals[1], path} {
		if err := os.Rename(from, filepath.Join(dir, filepath.Base(from))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for _, p := range []string{path + "-shm", path + ".ballast", unsyncedPath(path)} {
		if err := os.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return errors.Join(durable.SyncDir(dir), durable.SyncDir(filepath.Dir(path)))
}

// Left gives the paths of logs beside the one at own, whoever has them open: what was moved aside from there, and, where a
// volume is named, the logs in its directories and what was moved aside from those. Links are not followed. When the volume
// cannot be read it gives an error beside what it found elsewhere.
func Left(own, volume string) (left []string, unread error) {
	name := filepath.Base(own)
	patterns := []string{filepath.Join(escapeGlob(filepath.Dir(own)), asidePrefix+"*", name)}
	if volume != "" {
		if _, err := os.ReadDir(volume); err != nil { // Glob takes what it cannot read for empty
			unread = fmt.Errorf("audit: looking for logs that were left: %w", err)
		}
		patterns = append(patterns, filepath.Join(escapeGlob(volume), "*", name), filepath.Join(escapeGlob(volume), "*", asidePrefix+"*", name))
	}
	for _, p := range patterns {
		found, err := filepath.Glob(p)
		if err != nil {
			return nil, fmt.Errorf("audit: looking for logs that were left: %w", err)
		}
		for _, path := range found {
			if path = filepath.Clean(path); path != filepath.Clean(own) && isPlain(path) && !slices.Contains(left, path) {
				left = append(left, path)
			}
		}
	}
	return left, unread
}

// checkTables returns an error that says what to do when a log's tables are damaged. It changes nothing.
func checkTables(ctx context.Context, path string) error {
	db, err := sqlite.Open(ctx, path, sqlite.Options{ReadOnly: true})
	if err == nil {
		var found string
		err = db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&found)
		if err == nil && found != "ok" {
			err = errors.New(found)
		}
		err = errors.Join(err, db.Close())
	}
	if err != nil {
		return fmt.Errorf("audit: %s is damaged: keep all of its directory; `sqlite3 audit.db .recover` gives what can be read of it: %w", path, err)
	}
	return nil
}

// isPlain reports whether path is a file in a directory, and neither a link.
func isPlain(path string) bool {
	file, err := os.Lstat(path)
	if err != nil || !file.Mode().IsRegular() {
		return false
	}
	dir, err := os.Lstat(filepath.Dir(path))
	return err == nil && dir.IsDir()
}

// State tells whether the files of a log have changed: it is another text then.
func State(path string) string {
	journals := journalPaths(path)
	var b strings.Builder
	for _, p := range []string{path, path + "-wal", journals[0], journals[1]} {
		if info, err := os.Stat(p); err == nil {
			fmt.Fprintf(&b, "%d %d;", info.Size(), info.ModTime().UnixNano())
		}
	}
	return b.String()
}

func escapeGlob(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}

// copyFile copies a file, durably.
func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return errors.Join(out.Sync(), durable.SyncDir(filepath.Dir(to)))
}
