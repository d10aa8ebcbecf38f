package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/plumbline/plumbline/internal/quota"
)

// The admin socket is how commands on the same machine ask the process that serves what only it knows: what calls in flight
// hold. It lies in the data directory and opens for its owner alone, who can read the audit and the control data anyway.
// What it changes is in admin.go: it has the ledger repaired.

// AdminSocket is the path of the admin socket.
func AdminSocket(dataDir string) string { return filepath.Join(dataDir, "admin.sock") }

const (
	standingsPath = "/quota/standings"
	// maxAsked is how many subjects one question may name.
	maxAsked = 500
	// maxQuestion bounds a question, in bytes: ids are short.
	maxQuestion = 1 << 20
	// maxAnswer bounds an answer that a command reads.
	maxAnswer = 256 << 20
)

// standingsQuestion asks how the limits stand that match each of some subjects.
type standingsQuestion struct {
	Subjects []quota.Subject `json:"subjects"`
}

type standingsAnswer struct {
	At        time.Time          `json:"at"`
	Standings [][]quota.Standing `json:"standings"`
}

// local serves the admin socket. The nil local serves nothing.
type local struct {
	listener net.Listener
	server   *http.Server
	log      *slog.Logger
}

// asker answers questions about limits from what is in force.
type asker struct {
	refresh func(context.Context) error
	limits  func() *quota.LimitSet
	ledger  quota.Ledger
}

// newLocal opens the admin socket, behind which handlers answer. It is no part of governing: a Plumbline that cannot open it serves without.
func newLocal(ctx context.Context, path string, log *slog.Logger, handlers ...func(*http.ServeMux)) *local {
	lis, err := listenPrivately(ctx, path)
	if err != nil {
		log.Warn("commands cannot ask this process for the use of limits", "socket", path, "error", err)
		return nil
	}
	mux := http.NewServeMux()
	for _, handle := range handlers {
		handle(mux)
	}
	return &local{lis, &http.Server{Handler: mux, ReadTimeout: 10 * time.Second, WriteTimeout: time.Minute}, log}
}

// listenPrivately replaces the socket of a Plumbline that died. There is no other that lives: this one holds the lock of the
// audit in the same directory.
func listenPrivately(ctx context.Context, path string) (net.Listener, error) {
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != fs.ModeSocket {
		return nil, fmt.Errorf("%s exists and is no socket", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	// The socket must never be open to others, not even before its mode is set.
	old := syscall.Umask(0o177)
	lis, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	syscall.Umask(old)
	return lis, err
}

// serve answers until ctx ends. What goes wrong with it ends no governing.
func (l *local) serve(ctx context.Context) error {
	if l == nil {
		return nil
	}
	stop := context.AfterFunc(ctx, l.close)
	defer stop()
	if err := l.server.Serve(l.listener); !errors.Is(err, http.ErrServerClosed) {
		l.log.Error("the admin socket is closed", "error", err)
	}
	return nil
}

func (l *local) close() {
	if l != nil {
		l.server.Close()
		l.listener.Close()
	}
}

func (a asker) standings(ctx context.Context, q standingsQuestion) (standingsAnswer, error) {
	if len(q.Subjects) > maxAsked {
		return standingsAnswer{}, fmt.Errorf("%w: too many subjects", errQuestion)
	}
	// What the command has just read in the control data is in force before it is answered.
	if err := a.refresh(ctx); err != nil {
		return standingsAnswer{}, err
	}
	limits, now := a.limits(), time.Now()
	all, err := quota.AskLedger(a.ledger, limits, now)(ctx, q.Subjects...)
	if err != nil {
		return standingsAnswer{}, err
	}
	for i, s := range q.Subjects {
		if len(all[i]) < len(limits.AppendMatches(nil, s, now)) {
			return standingsAnswer{}, errApart
		}
	}
	return standingsAnswer{now, all}, nil
}

// errApart is the answer while this process counts some limits alone and others not at all.
var errApart = errors.New("the shared quota ledger cannot be asked now, so how much of the limits is used is not known; " +
	"the log says what is wrong with it, and plumbline limit list shows the limits")

// askRunning asks the process that serves a data directory.
func askRunning(dataDir string) quota.Ask {
	client := newAdminClient(dataDir)
	return func(ctx context.Context, subjects ...quota.Subject) ([][]quota.Standing, error) {
		var all [][]quota.Standing
		for first := 0; first < max(len(subjects), 1); first += maxAsked { // at least once, to see whether it runs
			var some standingsAnswer
			q := standingsQuestion{subjects[first:min(first+maxAsked, len(subjects))]}
			if err := client.ask(ctx, standingsPath, q, &some); err != nil {
				return nil, err
			}
			all = append(all, some.Standings...)
		}
		return all, nil
	}
}
