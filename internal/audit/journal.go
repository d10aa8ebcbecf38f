package audit

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"syscall"

	"github.com/plumbline/plumbline/internal/durable"
)

// journalSize is the default size of a segment. All of it is written when it is made: what goes there later needs no new
// room on the disk. One half is for anything, the other for the outcomes of what was admitted.
const journalSize = 8 << 20

// frameHead is the length of a frame's body and its CRC-32C, four bytes each, little-endian like all numbers of a frame.
// The body is the position, the number, the length of the writer's name in one byte, the name and the canonical record.
const (
	frameHead = 8
	bodyHead  = 17
	maxName   = 255
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// journal is where records become durable: two files that are appended to in turn. While the records of one are moved into
// the log's tables, new ones go to the other. A segment is written over from its start once its records are in the
// tables; that what follows the new frames is old shows by its positions.
type journal struct {
	sync bool  // each group, before it counts as written
	size int64 // of a segment, in bytes

	mu     sync.Mutex
	active *segment
	other  *segment
	fresh  []numbered // the records of the active segment
	buffer []byte
}

// segment is a file that is mapped into memory: a call of the system for each group would cost more than all else that is
// done for it. The system keeps what was stored there when the process dies.
type segment struct {
	f      *os.File
	mapped []byte
	end    int64 // where the next group goes
}

// numbered is a record with its place in the log.
type numbered struct {
	row
	position Position
	seq      uint64
}

// journalPaths are the names of the segments of the log at path.
func journalPaths(path string) [2]string { return [2]string{path + ".journal-1", path + ".journal-2"} }

// openJournal opens the segments for writing, after whatever they held was moved into the tables.
func openJournal(path string, size int64, sync bool) (*journal, error) {
	j := &journal{sync: sync, size: size}
	paths := journalPaths(path)
	var err error
	if j.active, err = openSegment(paths[0], size); err == nil {
		j.other, err = openSegment(paths[1], size)
	}
	if err == nil {
		err = durable.SyncDir(filepath.Dir(path))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("audit: %w", err), j.close())
	}
	return j, nil
}

// openSegment gives an empty segment: what it held is not read again, also not as what follows some later record.
func openSegment(path string, size int64) (*segment, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		_, err = f.WriteAt(make([]byte, max(0, size-info.Size())), info.Size())
	}
	if err == nil {
		_, err = f.WriteAt(make([]byte, frameHead), 0)
	}
	if err == nil {
		err = f.Sync()
	}
	s := &segment{f: f}
	if err == nil {
		s.mapped, err = syscall.Mmap(int(f.Fd()), 0, int(size), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	return s, nil
}

// put stores b at the segment's end, beyond its mapped part by a write. A file that was cut, or a disk that fails, shows
// as a fault of the memory: it is an error here, and not the end of the process.
func (s *segment) put(b []byte) (err error) {
	if s.end+int64(len(b)) > int64(len(s.mapped)) {
		_, err := s.f.WriteAt(b, s.end)
		return err
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("storing into %s: %v", s.f.Name(), cause)
		}
	}()
	copy(s.mapped[s.end:], b)
	return nil
}

func (j *journal) close() error {
	var errs []error
	for _, s := range []*segment{j.active, j.other} {
		if s != nil {
			errs = append(errs, syscall.Munmap(s.mapped), s.f.Close())
		}
	}
	return errors.Join(errs...)
}

// errSync: what was written could not be forced to the disk.
var errSync = errors.New("audit: the journal could not be synced")

// write makes records durable, all of them or, with an error, none.
func (j *journal) write(writer string, records []numbered) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.buffer = j.buffer[:0]
	for i := range records {
		j.buffer = appendFrame(j.buffer, writer, &records[i])
	}
	if err := j.active.put(j.buffer); err != nil {
		return err
	}
	if j.sync {
		if err := datasync(j.active.f); err != nil {
			return fmt.Errorf("%w: %w", errSync, err)
		}
	}
	j.active.end += int64(len(j.buffer))
	j.fresh = append(j.fresh, records...)
	return nil
}

// untaken is how many records wait to be taken.
func (j *journal) untaken() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.fresh)
}

// crowded reports whether the active segment has room for outcomes only.
func (j *journal) crowded() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.active.end >= j.size/2
}

// take gives the records of the active segment and lets new ones go to the other. It must not be called before the
// records that it gave last are in the tables, and synced: their segment is the one that is written over.
func (j *journal) take() []numbered {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.fresh) == 0 {
		return nil
	}
	taken := j.fresh
	j.fresh = nil
	j.active, j.other = j.other, j.active
	j.active.end = 0
	return taken
}

func appendFrame(b []byte, writer string, r *numbered) []byte {
	at := len(b)
	b = append(b, make([]byte, frameHead)...)
	b = binary.LittleEndian.AppendUint64(b, uint64(r.position))
	b = binary.LittleEndian.AppendUint64(b, r.seq)
	b = append(b, byte(len(writer)))
	b = append(b, writer...)
	b = append(b, r.canonical...)
	body := b[at+frameHead:]
	binary.LittleEndian.PutUint32(b[at:], uint32(len(body)))
	binary.LittleEndian.PutUint32(b[at+4:], crc32.Checksum(body, castagnoli))
	return b
}

// frame is a record as the journal holds it.
type frame struct {
	position  Position
	seq       uint64
	writer    string
	canonical []byte
}

// runs are the frames of each segment, the older first.
type runs [][]frame

func readJournal(path string) (runs, error) {
	var out runs
	for _, p := range journalPaths(path) {
		run, err := readSegment(p)
		if err != nil {
			return nil, fmt.Errorf("audit: reading the journal: %w", err)
		}
		if len(run) > 0 {
			out = append(out, run)
		}
	}
	slices.SortFunc(out, func(a, b []frame) int { return cmp.Compare(a[0].position, b[0].position) })
	return out, nil
}

// after gives the frames that follow a position without a gap. gap reports that later ones are there, too: what lies between
// was moved into the tables and written over while the segments were read, or it was lost with the power.
func (r runs) after(last Position) (frames []frame, gap bool) {
	for _, run := range r {
		for _, f := range run {
			switch {
			case f.position <= last:
			case f.position == last+1:
				frames = append(frames, f)
				last++
			default:
				return frames, true
			}
		}
	}
	return frames, false
}

// readSegment reads the frames of the segment at path, none if it is not there.
func readSegment(path string) ([]frame, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readFrames(bufio.NewReaderSize(f, 64<<10))
}

// readFrames reads frames up to the first that is not whole or does not follow the one before it: from there on the
// segment is older, or its writer died. A segment is of one writer: after a loss of power the next one gives positions again
// that frames still have which the one before it left. That a disk fails is not taken for the end.
func readFrames(r io.Reader) ([]frame, error) {
	var frames []frame
	for {
		next, err := readFrame(r)
		switch {
		case errors.Is(err, errNoFrame):
			return frames, nil
		case err != nil:
			return nil, err
		case len(frames) > 0 && !next.follows(&frames[len(frames)-1]):
			return frames, nil
		}
		frames = append(frames, next)
	}
}

// follows reports whether the same writer wrote f right after another frame.
func (f *frame) follows(other *frame) bool {
	return f.position == other.position+1 && f.writer == other.writer
}

var errNoFrame = errors.New("no whole frame")

func readFrame(r io.Reader) (frame, error) {
	var head [frameHead]byte
	if err := readFull(r, head[:]); err != nil {
		return frame{}, err
	}
	size := binary.LittleEndian.Uint32(head[:])
	if size < bodyHead || size > bodyHead+maxName+maxRecord {
		return frame{}, errNoFrame
	}
	body := make([]byte, size)
	if err := readFull(r, body); err != nil {
		return frame{}, err
	}
	name := int(body[bodyHead-1])
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(head[4:]) || bodyHead+name > len(body) {
		return frame{}, errNoFrame
	}
	return frame{
		position:  Position(binary.LittleEndian.Uint64(body)),
		seq:       binary.LittleEndian.Uint64(body[8:]),
		writer:    string(body[bodyHead : bodyHead+name]),
		canonical: body[bodyHead+name:],
	}, nil
}

func readFull(r io.Reader, b []byte) error {
	_, err := io.ReadFull(r, b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errNoFrame
	}
	return err
}
