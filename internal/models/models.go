// Package models keeps embedding tables side by side in a directory, and notes which of them is in use.
//
// A directory holds a file for each table, named after its version, and the file in-use: versions a line each, the one in use
// first and those that were in use before it behind. Without that file the shipped table is in use. Replicas that share a
// directory, or have one of the same content each, use the same table. Beside a table may lie its card, which says what it was
// made of and what it is worth.
//
// Contract: a table is checked whole whenever it is read, and what is not whole is an error and never another table. Files are
// written whole or not at all. It imports embed and durable, and must not import what compares prompts.
package models

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/plumbline/plumbline/internal/durable"
	"github.com/plumbline/plumbline/internal/embed"
	"github.com/plumbline/plumbline/internal/wholefile"
)

const (
	// noteName is the file that says what is in use, and suffix what names of tables end in.
	noteName, suffix = "in-use", ".bin"
	// lockName is the file that who changes the note has locked. Nothing is in it.
	lockName = "in-use.lock"
	// maxHistory is how many versions are noted, the one in use among them, and maxNote how long the note is at most.
	maxHistory, maxNote = 16, 4 << 10
	// maxTables is how many files of a directory are listed.
	maxTables = 1000
)

// ErrNothingBefore is returned where there is nothing to go back to, and ErrBusy while another process changes what is in use.
var (
	ErrNothingBefore = errors.New("no other model was in use before")
	ErrBusy          = errors.New("another process is changing which model is in use; look at what it chose, and try again")
)

// Dir is a directory of models. It need not exist.
type Dir string

// Model is one of a directory.
type Model struct {
	Version string `json:"version"`
	// Shipped tells the one that the program carries.
	Shipped bool `json:"shipped,omitempty"`
	InUse   bool `json:"in_use"`
	// Columns, and Bytes of the file; 0 for one that is broken, and Problem says how it is.
	Columns int    `json:"columns"`
	Bytes   int64  `json:"bytes"`
	Problem string `json:"problem,omitempty"`
	// Card is what is said of the table, nil for nothing. Candidate: it was adapted here, and was not in use yet.
	Card      *Card `json:"card,omitempty"`
	Candidate bool  `json:"candidate,omitempty"`
}

// Table gives the table that is in use.
func (d Dir) Table() (*embed.Table, error) {
	version, err := d.InUse()
	if err != nil {
		return nil, err
	}
	return d.read(version)
}

// read gives the table of a version.
func (d Dir) read(version string) (*embed.Table, error) {
	shipped, err := embed.Default()
	if err != nil || version == shipped.Version() {
		return shipped, err
	}
	t, err := embed.Load(d.path(version))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("model %s is not in %s: plumbline model install puts it there", version, d)
	case err != nil:
		return nil, err
	case t.Version() != version:
		return nil, fmt.Errorf("%s holds the model %s: a file is named after what it holds", d.path(version), t.Version())
	}
	return t, nil
}

func (d Dir) path(version string) string { return filepath.Join(string(d), version+suffix) }

// List gives the shipped model and those of the directory, broken ones among them, in the order of their names.
func (d Dir) List() ([]Model, error) {
	shipped, err := embed.Default()
	if err != nil {
		return nil, err
	}
	history, err := d.history()
	if err != nil {
		return nil, err
	}
	inUse := history[0]
	all := []Model{{Version: shipped.Version(), Shipped: true, Columns: shipped.Dim(), Bytes: shipped.Size()}}
	entries, err := os.ReadDir(string(d))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, entry := range entries[:min(len(entries), maxTables)] {
		version, isTable := strings.CutSuffix(entry.Name(), suffix)
		if !isTable || !embed.IsVersion(version) || version == shipped.Version() {
			continue
		}
		m := Model{Version: version}
		if t, err := d.read(version); err != nil {
			m.Problem = err.Error()
		} else {
			m.Columns, m.Bytes = t.Dim(), t.Size()
		}
		if m.Card, err = d.Card(version); err != nil && m.Problem == "" {
			m.Problem = err.Error()
		}
		m.Candidate = m.Card != nil && !slices.Contains(history, version)
		all = append(all, m)
	}
	if !slices.ContainsFunc(all, func(m Model) bool { return m.Version == inUse }) {
		_, err := d.read(inUse)
		all = append(all, Model{Version: inUse, Problem: fmt.Sprint(err)})
	}
	for i := range all {
		all[i].InUse = all[i].Version == inUse
	}
	return all, nil
}

// Install puts a copy of the table in a file into the directory, which is made where it does not exist, and gives its version.
// It is not in use thereby. One that is there already is checked and left.
func (d Dir) Install(file string) (version string, err error) {
	data, err := embed.ReadFile(file)
	if err != nil {
		return "", err
	}
	if version, err = d.put(data); err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	return version, nil
}

func (d Dir) put(data []byte) (version string, err error) {
	t, err := embed.Read(bytes.NewReader(data))
	if err != nil {
		return "", err
	}
	version = t.Version()
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return "", err
	}
	err = durable.Create(d.path(version), data)
	if errors.Is(err, fs.ErrExist) {
		_, err = d.read(version)
	}
	return version, err
}

// Use puts a version in use and reports whether it was not already. The version is read whole before, and record is called once
// nothing else can fail but the writing itself: what it returns is the end of it. While another process is at Use or Rollback it
// gives ErrBusy: what was recorded last is what is noted.
func (d Dir) Use(version string, record func() error) (changed bool, err error) {
	if !embed.IsVersion(version) {
		return false, fmt.Errorf("%q is no version of a model", version)
	}
	if _, err := d.read(version); err != nil {
		return false, err
	}
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return false, err
	}
	unlock, err := d.lock()
	if err != nil {
		return false, err
	}
	defer unlock()
	history, err := d.history()
	if err != nil {
		return false, err
	}
	if history[0] == version {
		return false, nil
	}
	history = append([]string{version}, history...)
	if err := record(); err != nil {
		return false, err
	}
	return true, d.note(history[:min(len(history), maxHistory)])
}

// Rollback puts the version in use that was before the one that is, and gives both. That one's file must still be whole. See Use.
func (d Dir) Rollback(record func(to string) error) (from, to string, err error) {
	unlock, err := d.lock()
	if errors.Is(err, fs.ErrNotExist) { // there is no directory
		return "", "", ErrNothingBefore
	}
	if err != nil {
		return "", "", err
	}
	defer unlock()
	history, err := d.history()
	if err != nil {
		return "", "", err
	}
	if len(history) < 2 {
		return "", "", ErrNothingBefore
	}
	from, to = history[0], history[1]
	if _, err := d.read(to); err != nil {
		return from, to, err
	}
	if err := record(to); err != nil {
		return from, to, err
	}
	return from, to, d.note(history[1:])
}

// lock keeps other processes from changing what is in use until unlock is called, or this one ends. It does not wait: whoever has the
// lock is recording a choice, which may be another one. The file stays, since one that is removed can be locked twice.
func (d Dir) lock() (unlock func(), err error) {
	path := filepath.Join(string(d), lockName)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) // for writing, without which NFS gives no such lock
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close() // nothing was written
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s is locked", ErrBusy, path)
		}
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return func() {
		_ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN) // a child that is being started has a copy, which closing would leave locked
		_ = f.Close()
	}, nil
}

// InUse gives the version that is in use, without reading its file.
func (d Dir) InUse() (string, error) {
	history, err := d.history()
	if err != nil {
		return "", err
	}
	return history[0], nil
}

// history gives the versions that are noted, the one in use first: the shipped one where nothing is noted.
func (d Dir) history() ([]string, error) {
	path := filepath.Join(string(d), noteName)
	data, err := wholefile.Read(path, maxNote)
	if errors.Is(err, fs.ErrNotExist) {
		shipped, err := embed.Default()
		if err != nil {
			return nil, err
		}
		return []string{shipped.Version()}, nil
	}
	if err != nil {
		return nil, err
	}
	var history []string
	for line := range bytes.Lines(data) {
		version := string(bytes.TrimSpace(line))
		if !embed.IsVersion(version) || len(history) == maxHistory {
			return nil, fmt.Errorf("%s: line %d is no version of a model; plumbline model use writes this file", path, len(history)+1)
		}
		history = append(history, version)
	}
	if len(history) == 0 {
		return nil, fmt.Errorf("%s: says nothing; plumbline model use writes this file", path)
	}
	return history, nil
}

func (d Dir) note(history []string) error {
	return durable.Replace(filepath.Join(string(d), noteName), []byte(strings.Join(history, "\n")+"\n"))
}
