package audit

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/sqlite"
	"github.com/plumbline/plumbline/migrations"
)

// Durability is what Append promises.
type Durability string

// The durabilities. What each survives is the loss contract; see the package comment.
const (
	// Strict: synced to the disk before Append returns.
	Strict Durability = "strict"
	// CrashSafe: written before Append returns, synced within about a second.
	CrashSafe Durability = "crash-safe"
	// Replicated: as CrashSafe, and an intent is in another store, too. Whoever ships must call Shipped and Shipping.
	Replicated Durability = "replicated"
)

// Errors of Append, each wrapped with its particulars.
var (
	// ErrUnavailable: records cannot be written now. Healthy says why.
	ErrUnavailable = errors.New("audit: records cannot be written")
	// ErrDuplicate: this step of this exchange is in the log already.
	ErrDuplicate = errors.New("audit: this step of the exchange is recorded already")
	// ErrClosed: the log was closed.
	ErrClosed = errors.New("audit: the log is closed")
)

const (
	// maxWaiting bounds the records that wait for a disk that has stopped answering. Outcomes may be as many again: what fills
	// the queue then are intents that are held back, those of callers who have gone among them.
	maxWaiting = 8192
	// maxBatch bounds a transaction, and so how long a record waits for the ones written with it.
	maxBatch = 1024
	// sideConns are for a checkpoint, a batch that is read to be shipped, who asks how the spool is, and the writer, who must
	// not wait for any of these to learn whether a step is recorded.
	sideConns = 4
	// ballastSize is the default room for outcomes on a full disk. It holds a whole WAL, so that the WAL can be moved
	// into the file and used again, and as much besides.
	ballastSize = 32 << 20
)

// Options are what a log is made of. Path and Durability are required.
type Options struct {
	// Path is the log's file. Beside it lie its companions: -wal and -shm, .journal-1 and .journal-2, .lock, and .ballast.
	Path       string
	Durability Durability
	// Ballast is how many bytes are kept for outcomes on a full disk, 32 MiB if zero.
	Ballast int64
	// Journal is the size of each of the two files of the journal in bytes, 8 MiB if zero.
	Journal int64
	// MaxSize bounds the tables and their WAL in bytes, where another store takes what is recorded: at the bound all but
	// outcomes are refused until some of it was shipped and let go of. Zero for no bound.
	MaxSize int64
	// Check has Open read all of the tables first, and fail before it has written anything to tables that are damaged.
	Check  bool
	Now    func() time.Time // time.Now if nil
	Logger *slog.Logger     // discards if nil
	// Committed, if set, is told of each group that became durable: how many records it held and how long it took. It must
	// not block.
	Committed func(records int, took time.Duration)
}

// Log is the audit log of a running process. Its methods are safe for concurrent use.
type Log struct {
	o    Options
	lock *lock
	file *watched
	room *ballast
	db   *sql.DB // the mover's one connection
	side *sql.DB // checkpoints, and reading
	// journal is written by the writer goroutine and emptied by the mover.
	journal *journal
	indexed atomic.Int64 // position up to which the tables are indexed
	shipped atomic.Int64 // position up to which another store has the entries
	size    atomic.Int64 // of the tables and the WAL in bytes, with a bound
	replica replica
	recent  recentlyStored

	// Of the writer goroutine alone.
	writer writer
	tail   tail

	// Of the mover alone.
	conn    *sql.Conn
	begin   *sql.Stmt
	addOne  *sql.Stmt
	addMany *sql.Stmt // rowsAtOnce rows
	commit  *sql.Stmt
	args    []any         // of the statements that add, for the next time
	adding  []recentEntry // for the next time
	taken   []numbered    // from the journal, not yet in the tables
	stored  Position      // of the last record in the tables
	grown   int64         // bytes since the last checkpoint was asked for

	mu      sync.Mutex
	waiting []*pending
	tasks   []func(error) // for the mover, told whether all that was recorded is in the tables
	closed  bool

	wake       chan struct{} // holds a token when waiting or closed have changed, or the journal was emptied
	enough     chan struct{} // holds a token when it is time to move
	asked      chan struct{} // holds a token when there are tasks
	checkpoint chan struct{} // holds a token when the WAL has grown
	ship       chan struct{} // holds a token when there are intents to ship at once
	written    chan struct{} // closed when the writer goroutine has ended
	moved      chan struct{} // closed when the mover has ended
	stop       chan struct{} // ends the other goroutines
	others     sync.WaitGroup
	dirty      atomic.Bool // written to since the last checkpoint
	trouble    atomic.Pointer[trouble]
	gaveUp     chan struct{} // closed when this log takes no records any more
	giveUpOnce sync.Once
	closeOnce  sync.Once
	closeErr   error
}

// writer is who this process is in the log.
type writer struct {
	id   int64
	name string
	seq  uint64   // of the last record written
	last Position // of the last record written
	// inherited is the last entry of earlier writers.
	inherited Position
}

// pending is a record on its way into the log.
type pending struct {
	row      row
	position Position   // where it was written
	err      error      // the record's own fault, found while writing
	done     chan error // takes the result, once
}

// Open opens or creates the log and becomes its writer. A second process, or a second Open, on the same file is refused
// until the first has ended.
func Open(ctx context.Context, o Options) (*Log, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Ballast == 0 {
		o.Ballast = ballastSize
	}
	if o.Journal == 0 {
		o.Journal = journalSize
	}
	l := &Log{
		o:          o,
		room:       &ballast{path: o.Path + ".ballast", size: o.Ballast},
		wake:       make(chan struct{}, 1),
		enough:     make(chan struct{}, 1),
		asked:      make(chan struct{}, 1),
		checkpoint: make(chan struct{}, 1),
		ship:       make(chan struct{}, 1),
		gaveUp:     make(chan struct{}),
		written:    make(chan struct{}),
		moved:      make(chan struct{}),
		stop:       make(chan struct{}),
	}
	if err := l.open(ctx); err != nil {
		return nil, errors.Join(err, l.release())
	}
	go l.write()
	go l.move()
	l.others.Go(l.watch)
	l.others.Go(l.checkpoints)
	return l, nil
}

func (l *Log) open(ctx context.Context) error {
	switch l.o.Durability {
	case Strict, CrashSafe, Replicated:
	default:
		return fmt.Errorf("audit: durability %q: want %s, %s or %s", l.o.Durability, Strict, CrashSafe, Replicated)
	}
	// Each commit is synced: the journal is written over after it.
	so := sqlite.Options{ManualCheckpoint: true, Synchronous: sqlite.SynchronousFull}
	var err error
	if l.lock, err = acquire(l.o.Path + ".lock"); err != nil {
		return err
	}
	if l.o.Check {
		if err := checkTables(ctx, l.o.Path); err != nil {
			return err
		}
	}
	if l.db, err = sqlite.Open(ctx, l.o.Path, so); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	if err := sqlite.Migrate(ctx, l.db, migrations.SQLiteAudit); err != nil {
		return fmt.Errorf("audit: %s: %w", l.o.Path, err)
	}
	if err := l.checkWhole(ctx); err != nil {
		return fmt.Errorf("audit: %s: %w", l.o.Path, err)
	}
	so.MaxConns = sideConns
	if l.side, err = sqlite.Open(ctx, l.o.Path, so); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	if l.conn, err = l.db.Conn(ctx); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	if err := l.takeOver(ctx); err != nil {
		return fmt.Errorf("audit: taking over the journal of %s: %w", l.o.Path, err)
	}
	if err := l.rewrite(ctx); err != nil {
		return fmt.Errorf("audit: %s: %w", l.o.Path, err)
	}
	if err := l.register(ctx); err != nil {
		return fmt.Errorf("audit: starting to write to %s: %w", l.o.Path, err)
	}
	if l.journal, err = openJournal(l.o.Path, l.o.Journal, l.o.Durability == Strict); err != nil {
		return err
	}
	journals := journalPaths(l.o.Path)
	if l.file, err = watch(l.o.Path, l.o.Path+"-wal", l.o.Path+"-shm", l.o.Path+".lock", journals[0], journals[1]); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	if err := l.room.fill(); err != nil {
		_ = l.setTrouble(&trouble{cause: fmt.Errorf("keeping %d bytes for outcomes: %w", l.o.Ballast, err), outcomes: true})
	}
	return nil
}

// ErrDroppedMonths is wrapped by the error of Open on a log that is to be a spool and of which retention dropped months.
var ErrDroppedMonths = errors.New("months of this audit were dropped, and Postgres would call their records missing: keep this data directory to be verified, and give Plumbline a new one")

// checkWhole refuses to be the spool of another store where that would miss records.
func (l *Log) checkWhole(ctx context.Context) error {
	if l.o.MaxSize == 0 {
		return nil
	}
	var dropped bool
	if err := l.db.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM drops)").Scan(&dropped); err != nil {
		return err
	}
	if dropped {
		return ErrDroppedMonths
	}
	return nil
}

// register enters this process as a new writer and prepares its statements.
func (l *Log) register(ctx context.Context) error {
	for stmt, query := range map[**sql.Stmt]string{&l.begin: "BEGIN IMMEDIATE", &l.addOne: insert(1), &l.addMany: insert(rowsAtOnce), &l.commit: "COMMIT"} {
		var err error
		if *stmt, err = l.conn.PrepareContext(ctx, query); err != nil { //nolint:sqlclosecheck // release closes it
			return err
		}
	}
	const ends = `SELECT coalesce(max(id), 0), (SELECT value FROM state WHERE name = 'indexed'),
		(SELECT value FROM state WHERE name = 'shipped') FROM entries`
	var indexed, shipped int64
	if err := l.conn.QueryRowContext(ctx, ends).Scan(&l.writer.inherited, &indexed, &shipped); err != nil {
		return err
	}
	l.indexed.Store(indexed)
	l.shipped.Store(shipped)
	l.replica.advance(Position(shipped))
	if err := l.indexRest(l.writer.inherited); err != nil {
		return err
	}
	l.writer.last, l.stored = l.writer.inherited, l.writer.inherited
	l.tail = tail{last: l.writer.inherited, seen: map[step]struct{}{}}
	l.writer.name = rand.Text()
	added, err := l.conn.ExecContext(ctx, "INSERT INTO writers (name, started) VALUES (?, ?)",
		l.writer.name, l.o.Now().UnixMicro())
	if err != nil {
		return err
	}
	l.writer.id, err = added.LastInsertId()
	return err
}

// Append returns nil once rec is durable as the log's Durability promises. Any error means that it may not be, and after
// ctx ended that it still may become so: the caller then appends the record that closes the exchange. It must be given
// kind and time, and for the steps of an exchange its id.
func (l *Log) Append(ctx context.Context, rec core.Record) error {
	p := &pending{done: make(chan error, 1)}
	var err error
	if p.row, err = encode(rec); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	if l.replicates(rec.Kind) {
		if t := l.replica.trouble(); t != nil {
			return t
		}
	}
	if err := l.enqueue(p); err != nil {
		return err
	}
	select {
	case err := <-p.done:
		if err != nil || !l.replicates(rec.Kind) {
			return err
		}
		return l.replica.await(ctx, p.position)
	case <-ctx.Done():
		return fmt.Errorf("audit: waiting for the disk: %w", ctx.Err())
	}
}

// enqueue hands records to the writer goroutine, or refuses all of them at once.
func (l *Log) enqueue(records ...*pending) error {
	if t := l.trouble.Load(); t != nil {
		for _, p := range records {
			if !t.outcomes || p.row.kind != core.RecordOutcome {
				return t
			}
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return ErrClosed
	case len(l.waiting) >= mostWaiting(records):
		return fmt.Errorf("%w: %d records wait for the disk already", ErrUnavailable, len(l.waiting))
	}
	l.waiting = append(l.waiting, records...)
	signal(l.wake)
	return nil
}

// mostWaiting is how many records may wait for these to be taken.
func mostWaiting(records []*pending) int {
	for _, p := range records {
		if p.row.kind != core.RecordOutcome {
			return maxWaiting
		}
	}
	return 2 * maxWaiting
}

// signal leaves a token in c unless one is there.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Close writes what waits, refuses what comes, and lets go of the file. When ctx ends first, the file stays open.
func (l *Log) Close(ctx context.Context) error {
	l.mu.Lock()
	l.closed = true
	signal(l.wake)
	l.mu.Unlock()
	select {
	case <-l.moved:
	case <-ctx.Done():
		return fmt.Errorf("audit: closing: %w", ctx.Err())
	}
	l.closeOnce.Do(func() {
		close(l.stop)
		l.others.Wait()
		l.closeErr = l.release()
	})
	return l.closeErr
}

// release lets go of everything that open took. The last connection to close moves the WAL into the file.
func (l *Log) release() error {
	var errs []error
	for _, s := range []*sql.Stmt{l.begin, l.addOne, l.addMany, l.commit} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	if l.conn != nil {
		errs = append(errs, l.conn.Close())
	}
	for _, db := range []*sql.DB{l.side, l.db} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	if l.journal != nil {
		errs = append(errs, l.journal.close())
	}
	if l.lock != nil {
		errs = append(errs, l.lock.release())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("audit: closing: %w", err)
	}
	return nil
}
