package notary

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/plumbline/plumbline/internal/audit"
	"github.com/plumbline/plumbline/internal/audit/chain"
	"github.com/plumbline/plumbline/internal/durable"
)

// lines are checkpoints as lines of JSON, in the form of the log's own lines, which chain.Read finds among others.
func lines(signed []audit.Checkpoint, now time.Time) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	for _, c := range signed {
		line := map[string]any{"time": now.UTC(), "level": "INFO", "msg": "audit checkpoint", "writer": c.Writer, "records": c.Size, chain.Member: string(c.Note)}
		if err := e.Encode(line); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}

// Stream is a second place that is written to, such as the standard output of a container, which something else keeps.
type Stream struct {
	w    io.Writer
	now  func() time.Time
	busy chan struct{} // holds a token while a write goes on
}

// NewStream writes to w, one line of JSON for each checkpoint.
func NewStream(w io.Writer, now func() time.Time) *Stream {
	return &Stream{w: w, now: now, busy: make(chan struct{}, 1)}
}

// Put writes checkpoints, one after the other. When ctx ends before a reader took them, the write stays under way, and others
// wait for it as long as they can.
func (s *Stream) Put(ctx context.Context, signed []audit.Checkpoint) error {
	text, err := lines(signed, s.now())
	if err != nil {
		return err
	}
	select {
	case s.busy <- struct{}{}:
	case <-ctx.Done():
		return errors.New("an earlier write of checkpoints is still waiting for whoever reads the output")
	}
	done := make(chan error, 1)
	go func() {
		_, err := s.w.Write(text)
		<-s.busy
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("writing checkpoints to the output: %w", err)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// File is a second place that is a file which is only appended to. It is opened anew each time: it may be rotated, and what
// it lies on may have been away.
type File struct {
	path string
	now  func() time.Time
}

// NewFile appends to the file at path, which is made when it is missing; its directory is not.
func NewFile(path string, now func() time.Time) *File { return &File{path, now} }

// Put appends checkpoints, one line of JSON for each, and syncs them to the disk.
func (f *File) Put(_ context.Context, signed []audit.Checkpoint) (err error) {
	text, err := lines(signed, f.now())
	if err != nil {
		return err
	}
	// Readable for whoever reads the last byte: a line that was torn by a crash is ended first.
	file, err := os.OpenFile(f.path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("the file for checkpoints: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("the file for checkpoints: %w", err)
	}
	if size := info.Size(); size > 0 && info.Mode().IsRegular() {
		var last [1]byte
		if _, err := file.ReadAt(last[:], size-1); err == nil && last[0] != '\n' {
			text = append([]byte{'\n'}, text...)
		}
	}
	if _, err := file.Write(text); err != nil {
		return fmt.Errorf("the file for checkpoints: %w", err)
	}
	if err := file.Sync(); err != nil && !errors.Is(err, fs.ErrInvalid) {
		return fmt.Errorf("the file for checkpoints: %w", err)
	}
	if info.Size() == 0 {
		if err := durable.SyncDir(filepath.Dir(f.path)); err != nil {
			return fmt.Errorf("the file for checkpoints: %w", err)
		}
	}
	return nil
}
