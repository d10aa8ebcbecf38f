package audit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Watermarks of a bounded log, in hundredths of its bound: from each on it is said in the log that it fills. From the high one
// on new calls are refused, and the rest is for the outcomes of those that were admitted.
const (
	lowWatermark  = 80
	highWatermark = 95
)

// measure sees how much room the log takes, and refuses new calls while it is over its high watermark: outcomes of those that
// were admitted are still written, also beyond the bound. The mover runs it.
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
		if at := l.mark(mark); before < at && used >= at {
			l.o.Logger.Warn("the audit spool fills; at 95 percent of its bound new calls are refused: look why it is not shipped",
				"percent", mark, "bytes", used, "bound", l.o.MaxSize)
		}
	}
	if l.overfull() && l.trouble.Load() == nil {
		_ = l.setTrouble(&trouble{cause: fmt.Errorf("the audit spool holds %d of %d bytes, and the rest is kept for calls that were admitted: see to it that Postgres takes records again, or raise audit.spool_size",
			used, l.o.MaxSize), outcomes: true})
	}
}

// overfull reports whether the log is over its high watermark.
func (l *Log) overfull() bool { return l.o.MaxSize > 0 && l.size.Load() >= l.mark(highWatermark) }

// Watermark is the highest watermark, in hundredths, that so many bytes of a bound have reached; zero below the first.
func Watermark(bytes, bound int64) int64 {
	for _, mark := range []int64{highWatermark, lowWatermark} {
		if bound > 0 && bytes >= bound/100*mark {
			return mark
		}
	}
	return 0
}

// mark is so many hundredths of the bound, in bytes.
func (l *Log) mark(hundredths int64) int64 { return l.o.MaxSize / 100 * hundredths }

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
