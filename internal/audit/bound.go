package audit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Watermarks of a bounded log, in hundredths of its bound: from each on it is said in the log that it fills.
const (
	lowWatermark  = 80
	highWatermark = 95
)

// measure sees how much room the log takes, and refuses new calls while it is over its bound: outcomes of those that were
// admitted are still written. The mover runs it.
func (l *Log) measure() {
	if l.o.MaxSize == 0 {
		return
	}
	used, err := l.used(context.Background())
	if err != nil {
		return // what is wrong with the file shows where it is written
	}
	before := l.size.Swap(used)
	for _, mark := range []int64{lowWatermark, highWatermark} {
		if at := l.o.MaxSize / 100 * mark; before < at && used >= at {
			l.o.Logger.Warn("the audit spool fills; at its bound new calls are refused: look why it is not shipped",
				"percent", mark, "bytes", used, "bound", l.o.MaxSize)
		}
	}
	if used >= l.o.MaxSize && l.trouble.Load() == nil {
		_ = l.setTrouble(&trouble{cause: fmt.Errorf("the audit spool holds %d bytes, and %d are allowed: see to it that Postgres takes records again, or raise audit.spool_size",
			used, l.o.MaxSize), outcomes: true})
	}
}

// overfull reports whether the log is over its bound.
func (l *Log) overfull() bool { return l.o.MaxSize > 0 && l.size.Load() >= l.o.MaxSize }

// used is the room of the tables' pages in use and of the WAL, in bytes. Pages that were freed are used again and not
// counted, although the file keeps them.
func (l *Log) used(ctx context.Context) (int64, error) {
	var pages, free, size int64
	const query = "SELECT p.page_count, f.freelist_count, s.page_size FROM pragma_page_count AS p, pragma_freelist_count AS f, pragma_page_size AS s"
	if err := l.conn.QueryRowContext(ctx, query).Scan(&pages, &free, &size); err != nil {
		return 0, err
	}
	wal, err := os.Stat(l.o.Path + "-wal")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return (pages - free) * size, nil
	case err != nil:
		return 0, err
	}
	return (pages-free)*size + wal.Size(), nil
}
