// Package sqlite opens Plumbline's SQLite files and brings their schema up to date. It is the one place that knows the
// driver: its names, its settings and its error codes.
//
// A file is opened once for writing, with a single connection, because SQLite has one writer and waiting in Go is
// cheaper than waiting for its lock; and once for reading, with several. Files are in WAL mode, where readers and the
// writer do not wait for each other, and readable by their owner only.
//
// While a file is open, nothing else in the process may open and close it as a plain file: POSIX then drops every lock
// that the process holds on it. The package imports nothing of Plumbline but
// durable and the order of migrations.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	_ "modernc.org/sqlite" // registers the driver

	"github.com/plumbline/plumbline/internal/durable"
)

// Synchronous says when a commit reaches the disk.
type Synchronous string

// The ways to commit.
const (
	// SynchronousFull syncs each commit: it survives the loss of power.
	SynchronousFull Synchronous = "FULL"
	// SynchronousNormal syncs at checkpoints: a commit survives the death of the process, and the loss of power may
	// take back the latest ones but never breaks the file.
	SynchronousNormal Synchronous = "NORMAL"
)

// Options say how a file is opened.
type Options struct {
	// ReadOnly opens an existing file and never writes to it.
	ReadOnly bool
	// Synchronous is SynchronousFull if empty.
	Synchronous Synchronous
	// BusyTimeout is how long to wait for a lock of another connection, 5 s if zero.
	BusyTimeout time.Duration
	// ManualCheckpoint leaves it to the caller to move the WAL into the file. See Checkpoint.
	ManualCheckpoint bool
	// SecureDelete writes zeros over what is deleted or replaced, instead of leaving it in the file's free space.
	SecureDelete bool
	// MaxConns bounds the connections: 1 if zero, or 4 when ReadOnly. More than one writer only wait for each other.
	MaxConns int
}

// Open opens the SQLite file at path, creating it with mode 0600 unless o.ReadOnly. Transactions of a writable file take
// the write lock when they begin, so that none fails half-way for lack of it. The file's directory must exist.
func Open(ctx context.Context, path string, o Options) (*sql.DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	if err := prepare(abs, o.ReadOnly); err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	db, err := sql.Open("sqlite", dsn(abs, o))
	if err != nil {
		return nil, fmt.Errorf("sqlite: opening %s: %w", path, err)
	}
	conns := o.MaxConns
	switch {
	case conns > 0:
	case o.ReadOnly:
		conns = 4
	default:
		conns = 1
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("sqlite: opening %s: %w", path, err), db.Close())
	}
	// The driver connects without touching the file; one that is no database shows here.
	if _, err := db.ExecContext(ctx, "SELECT count(*) FROM sqlite_schema"); err != nil {
		return nil, errors.Join(fmt.Errorf("sqlite: reading %s: %w", path, err), db.Close())
	}
	return db, nil
}

// prepare creates a missing file with the mode it shall have; SQLite gives its companions (-wal, -shm) the same.
func prepare(path string, readOnly bool) error {
	_, err := os.Stat(path)
	if readOnly || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil // another opened it meanwhile
	}
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(path))
}

func dsn(path string, o Options) string {
	wait := o.BusyTimeout
	if wait == 0 {
		wait = 5 * time.Second
	}
	q := url.Values{}
	q.Set("_busy_timeout", strconv.FormatInt(wait.Milliseconds(), 10))
	q.Set("_foreign_keys", "on")
	q.Set("_defensive", "true")
	q.Set("_dqs", "false")
	q.Set("_error_rc", "true")
	if o.ReadOnly {
		q.Set("mode", "ro")
	} else {
		q.Set("mode", "rw") // Open has made it: a connection that comes later must not make one where the file is gone
		q.Set("_txlock", "immediate")
		q.Set("_journal_mode", "WAL")
		q.Set("_synchronous", string(synchronous(o)))
		// A WAL that a burst has blown up is cut back to this when it starts over.
		q.Add("_pragma", "journal_size_limit(67108864)")
	}
	if o.SecureDelete {
		q.Add("_pragma", "secure_delete(on)")
	}
	if o.ManualCheckpoint {
		q.Add("_pragma", "wal_autocheckpoint(0)")
	}
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: q.Encode()}).String()
}

func synchronous(o Options) Synchronous {
	if o.Synchronous == "" {
		return SynchronousFull
	}
	return o.Synchronous
}

// Queryer is *sql.DB, *sql.Conn or *sql.Tx.
type Queryer interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Truncate moves all of the WAL into the file and leaves an empty one, so that no earlier version of a page is left in it. It
// waits for readers as long as the connection's busy time-out says.
func Truncate(ctx context.Context, db Queryer) error {
	var busy, pages, moved int
	if err := db.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &pages, &moved); err != nil {
		return fmt.Errorf("sqlite: emptying the WAL: %w", err)
	}
	if busy != 0 {
		return errors.New("sqlite: emptying the WAL: somebody reads from it")
	}
	return nil
}

// Checkpoint moves what it can of the WAL into the file without waiting for readers or for a writer, and syncs both. It
// reports how many pages the WAL holds and how many of them are now in the file. When all are and nobody reads from the
// WAL, the next commit starts it over.
func Checkpoint(ctx context.Context, db Queryer) (pages, moved int, err error) {
	var busy int
	if err := db.QueryRowContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &pages, &moved); err != nil {
		return 0, 0, fmt.Errorf("sqlite: checkpoint: %w", err)
	}
	return pages, moved, nil
}
