package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/plumbline/plumbline/internal/core"
	"github.com/plumbline/plumbline/internal/sqlite"
)

// numberedRecord is the n-th record of a writer that has written nothing but the journal.
func numberedRecord(t testing.TB, n int) numbered {
	t.Helper()
	r, err := encode(core.Record{
		Kind: core.RecordIntent, Time: time.UnixMicro(int64(n)).UTC(), Exchange: fmt.Sprintf("x-%d", n),
		Source: strings.Repeat("s", n%7*100),
	})
	if err != nil {
		t.Fatal(err)
	}
	return numbered{row: r, position: Position(n), seq: uint64(n)}
}

// journalOf writes the records from..to-1 for a writer into the journal at path, each in a group of its own.
func journalOf(t testing.TB, path, writer string, from, to int) *journal {
	t.Helper()
	j, err := openJournal(path, 64<<10, false)
	if err != nil {
		t.Fatal(err)
	}
	for n := from; n < to; n++ {
		if err := j.write(writer, []numbered{numberedRecord(t, n)}); err != nil {
			t.Fatal(err)
		}
	}
	return j
}

// positions are those of the frames that follow after.
func positions(t *testing.T, path string, after Position) (out []Position, gap bool) {
	t.Helper()
	journal, err := readJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	frames, gap := journal.after(after)
	for _, f := range frames {
		out = append(out, f.position)
	}
	return out, gap
}

// TestJournalEndsAtTheFirstFrameThatIsNotWhole cuts a segment at each byte, and damages each byte.
func TestJournalEndsAtTheFirstFrameThatIsNotWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.db")
	j := journalOf(t, path, "w", 1, 5)
	defer j.close()
	segment := journalPaths(path)[0]
	whole, err := os.ReadFile(segment)
	if err != nil {
		t.Fatal(err)
	}
	var ends []int // of the frames
	for n, at := 1, 0; n < 5; n++ {
		r := numberedRecord(t, n)
		at += len(appendFrame(nil, "w", &r))
		ends = append(ends, at)
	}
	if int64(ends[3]) != j.active.end {
		t.Fatalf("the frames end at %v, the segment at %d", ends, j.active.end)
	}
	before := func(at int) (n int) {
		for n < len(ends) && ends[n] <= at {
			n++
		}
		return n
	}
	for at := range ends[3] {
		damaged := bytes.Clone(whole)
		damaged[at] ^= 0x40
		for name, content := range map[string][]byte{"cut": whole[:at], "damaged": damaged} {
			if err := os.WriteFile(segment, content, 0o600); err != nil {
				t.Fatal(err)
			}
			if got, _ := positions(t, path, 0); len(got) != before(at) {
				t.Fatalf("%s at byte %d: frames %v, want %d", name, at, got, before(at))
			}
		}
	}
}

// TestASegmentIsWrittenOver: what a segment held before is not read after what it holds now.
func TestASegmentIsWrittenOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.db")
	j := journalOf(t, path, "w", 1, 9)
	defer j.close()
	if taken := j.take(); len(taken) != 8 {
		t.Fatalf("took %d records", len(taken))
	}
	for n := 9; n < 12; n++ {
		if err := j.write("w", []numbered{numberedRecord(t, n)}); err != nil {
			t.Fatal(err)
		}
	}
	if got, gap := positions(t, path, 0); len(got) != 11 || gap {
		t.Errorf("while the first segment is moved: %v, gap %v; want all 11", got, gap)
	}
	j.take()
	if err := j.write("w", []numbered{numberedRecord(t, 12)}); err != nil {
		t.Fatal(err)
	}
	if got, gap := positions(t, path, 8); len(got) != 4 || gap {
		t.Errorf("after 8: %v, gap %v; want 9 to 12", got, gap)
	}
	if got, gap := positions(t, path, 0); len(got) != 0 || !gap {
		t.Errorf("after 0: %v, gap %v; want none and a gap", got, gap)
	}
}

// TestACutSegmentIsAnError: a file that somebody else has cut must not end the process.
func TestACutSegmentIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.db")
	j := journalOf(t, path, "w", 1, 3)
	defer j.close()
	if err := os.Truncate(journalPaths(path)[0], 0); err != nil {
		t.Fatal(err)
	}
	if err := j.write("w", []numbered{numberedRecord(t, 3)}); err == nil || !strings.Contains(err.Error(), "storing into") {
		t.Errorf("got %v, want an error", err)
	}
}

// TestASegmentGrows: what does not fit is written behind the mapped part, and is read as the rest is.
func TestASegmentGrows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.db")
	j := journalOf(t, path, "w", 1, 400)
	defer j.close()
	if j.active.end < 3*j.size/2 || !j.crowded() {
		t.Fatalf("only %d bytes were written", j.active.end)
	}
	if got, gap := positions(t, path, 0); len(got) != 399 || gap {
		t.Errorf("%d frames, gap %v; want 399", len(got), gap)
	}
}

// openOn opens the log at path and gives what it said while doing so.
func openOn(t *testing.T, path string) (*Log, string) {
	t.Helper()
	var said bytes.Buffer
	l, err := Open(t.Context(), Options{Path: path, Durability: CrashSafe, Ballast: 64 << 10, Journal: 1 << 20, Logger: slog.New(slog.NewTextHandler(&said, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return l, said.String()
}

func closeLog(t *testing.T, l *Log) {
	t.Helper()
	if err := l.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// TestTakeOver gives a log the journal that a writer left, in the states that a death and a loss of power leave.
func TestTakeOver(t *testing.T) {
	for _, c := range []struct {
		name     string
		from, to int  // records in the journal; the tables hold none
		foreign  bool // of a writer that the tables do not know
		want     int64
		says     string
	}{
		{"none", 1, 1, false, 0, ""},
		{"all", 1, 6, false, 5, "took over"},
		{"a part was lost with the power", 3, 6, false, 0, "do not follow"},
		{"of another log", 1, 6, true, 0, "do not follow"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "audit.db")
			first, _ := openOn(t, path)
			name := first.writer.name
			closeLog(t, first)
			if c.foreign {
				name = "another"
			}
			if err := journalOf(t, path, name, c.from, c.to).close(); err != nil {
				t.Fatal(err)
			}
			for i := range 2 { // a second start finds it done
				second, said := openOn(t, path)
				if i == 0 && !strings.Contains(said, c.says) || i > 0 && said != "" {
					t.Errorf("start %d said %q, want the first to say %q", i+1, said, c.says)
				}
				closeLog(t, second)
				r, err := OpenReader(t.Context(), path)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := r.Verify(t.Context()); err != nil || got.Records != c.want {
					t.Errorf("Verify: %+v, %v; want %d records", got, err, c.want)
				}
				if err := r.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestWhatWasLeftOutStaysOut: records that could not be taken over do not come back when new ones reach their positions.
func TestWhatWasLeftOutStaysOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.db")
	first, _ := openOn(t, path)
	name := first.writer.name
	closeLog(t, first)
	j := journalOf(t, path, name, 1, 3)
	j.take()
	for n := 3; n < 6; n++ {
		if err := j.write(name, []numbered{numberedRecord(t, n)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	// The first segment is lost with the power, and the second is not.
	if err := os.WriteFile(journalPaths(path)[0], nil, 0o600); err != nil {
		t.Fatal(err)
	}
	second, _ := openOn(t, path)
	defer closeLog(t, second)
	for n := range 2 {
		if err := second.Append(t.Context(), core.Record{Kind: core.RecordIntent, Time: time.UnixMicro(1), Exchange: fmt.Sprintf("new-%d", n)}); err != nil {
			t.Fatal(err)
		}
	}
	r, err := OpenReader(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if found, _, err := r.Search(t.Context(), Query{}); err != nil || len(found) != 2 || found[0].Record.Exchange != "new-1" {
		t.Errorf("found %d entries, %v; want the two new ones", len(found), err)
	}
}

// TestReadersMissNothing reads a log while it is written and moved: each time what was acknowledged before, in order.
func TestReadersMissNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.db")
	l, _ := openOn(t, path)
	defer closeLog(t, l)
	r, err := OpenReader(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	const records = 1500
	acknowledged, failed := make(chan Position, records), make(chan error, 1)
	go func() {
		defer close(acknowledged)
		for n := 1; n <= records; n++ {
			rec := core.Record{Kind: core.RecordIntent, Time: time.UnixMicro(int64(n)).UTC(), Exchange: fmt.Sprintf("x-%d", n)}
			if err := l.Append(context.Background(), rec); err != nil {
				failed <- err
				return
			}
			acknowledged <- Position(n)
			if n%97 == 0 { // moved at odd moments, not only by the thousand
				signal(l.enough)
			}
		}
	}()
	for at := range acknowledged {
		found, _, err := r.Search(t.Context(), Query{Limit: 20})
		if err != nil {
			t.Fatal(err)
		}
		if len(found) < min(20, int(at)) || found[0].Position < at {
			t.Fatalf("%d was acknowledged and the search gave %d entries, the newest of them %d", at, len(found), found[0].Position)
		}
		for i, e := range found {
			if e.Position != found[0].Position-Position(i) || e.Record.Exchange != fmt.Sprintf("x-%d", e.Position) {
				t.Fatalf("entry %d of a search is %d, exchange %s, after %d", i, e.Position, e.Record.Exchange, found[0].Position)
			}
		}
	}
	select {
	case err := <-failed:
		t.Fatal(err)
	default:
	}
	if got, err := r.Verify(t.Context()); err != nil || got.Records != records {
		t.Errorf("Verify: %+v, %v", got, err)
	}
}

// TestOutcomesPassWhileTheTablesAreHeld: what was admitted is closed at once, what is new waits.
func TestOutcomesPassWhileTheTablesAreHeld(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.db")
	l, err := Open(t.Context(), Options{Path: path, Durability: CrashSafe, Ballast: 64 << 10, Journal: 16 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer closeLog(t, l)
	db, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	record := func(kind core.RecordKind, n int) core.Record {
		return core.Record{Kind: kind, Time: time.UnixMicro(1), Exchange: fmt.Sprintf("x-%d", n), Source: strings.Repeat("s", 500)}
	}
	// The mover has taken one file when it finds the tables held; the other then fills up to its half.
	n := 0
	for ; !l.journal.crowded(); n++ {
		if err := l.Append(t.Context(), record(core.RecordIntent, n)); err != nil {
			t.Fatal(err)
		}
		signal(l.enough)
	}
	late := make(chan error, 1)
	go func() { late <- l.Append(context.Background(), record(core.RecordIntent, n)) }()
	for i := range n {
		if err := l.Append(t.Context(), record(core.RecordOutcome, i)); err != nil {
			t.Fatalf("outcome %d: %v", i, err)
		}
	}
	select {
	case err := <-late:
		t.Errorf("an intent did not wait: %v", err)
	default:
	}
	if _, err := db.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := <-late; err != nil {
		t.Errorf("the intent that waited: %v", err)
	}
}

func FuzzReadSegment(f *testing.F) {
	one, two := numberedRecord(f, 1), numberedRecord(f, 2)
	f.Add(appendFrame(appendFrame(nil, "w", &one), "w", &two))
	f.Add([]byte{0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "segment")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		frames, err := readSegment(path)
		if err != nil {
			t.Fatal(err)
		}
		var again []byte
		for _, fr := range frames {
			again = appendFrame(again, fr.writer, &numbered{row: row{canonical: fr.canonical}, position: fr.position, seq: fr.seq})
		}
		if !bytes.HasPrefix(content, again) {
			t.Errorf("%d frames are not what the segment begins with", len(frames))
		}
	})
}

// TestPositionsThatAreGivenAgain: the loss of power can take frames that the system had not written yet, and leave later ones
// of the same segment. The next writer gives their positions again: what is left of the old ones does not follow its records,
// even where it stands just behind them.
func TestPositionsThatAreGivenAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.db")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(journalOf(t, path, "old", 1, 9).close())
	// Of the eight frames the disk has all but the first, which was lost.
	segment := journalPaths(path)[0]
	f, err := os.OpenFile(segment, os.O_WRONLY, 0)
	must(err)
	_, err = f.WriteAt(make([]byte, frameHead), 0)
	must(errors.Join(err, f.Close()))
	// The next writer records as long ones, and dies.
	must(journalOf(t, path, "new", 1, 4).close())
	if got, gap := positions(t, path, 0); len(got) != 3 || gap {
		t.Errorf("frames %v, gap %v: want the three of the new writer", got, gap)
	}
}

// TestADiskThatFailsIsNotTheEnd: what comes after the sector that cannot be read may be records that were acknowledged. The
// journal must not be taken over without them, and then be written over.
func TestADiskThatFailsIsNotTheEnd(t *testing.T) {
	first, second := numberedRecord(t, 1), numberedRecord(t, 2)
	whole := appendFrame(appendFrame(nil, "w", &first), "w", &second)
	failed := errors.New("input/output error")
	for _, at := range []int{0, frameHead / 2, len(whole) / 2, len(whole)} {
		frames, err := readFrames(io.MultiReader(bytes.NewReader(whole[:at]), iotest.ErrReader(failed)))
		if !errors.Is(err, failed) || frames != nil {
			t.Errorf("at byte %d: %d frames, %v", at, len(frames), err)
		}
	}
}
