package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
// It changes nothing.

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

// newLocal opens the admin socket. It is no part of governing: a Plumbline that cannot open it serves without.
func newLocal(ctx context.Context, path string, a asker, log *slog.Logger) *local {
	lis, err := listenPrivately(ctx, path)
	if err != nil {
		log.Warn("commands cannot ask this process for the use of limits", "socket", path, "error", err)
		return nil
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+standingsPath, a.standings)
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

func (a asker) standings(w http.ResponseWriter, r *http.Request) {
	var q standingsQuestion
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxQuestion))
	if err := d.Decode(&q); err != nil || len(q.Subjects) > maxAsked {
		http.Error(w, "not a question about limits", http.StatusBadRequest)
		return
	}
	// What the command has just read in the control data is in force before it is answered.
	if err := a.refresh(r.Context()); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	now := time.Now()
	all, err := quota.AskLedger(a.ledger, a.limits(), now)(r.Context(), q.Subjects...)
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(standingsAnswer{now, all}) // whoever asked may be gone
}

// errNotRunning says that nobody answers on the admin socket.
var errNotRunning = errors.New("no Plumbline runs on this data directory")

// askRunning asks the process that serves a data directory.
func askRunning(dataDir string) quota.Ask {
	client := &http.Client{
		Timeout: time.Minute,
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", AdminSocket(dataDir))
		}},
	}
	return func(ctx context.Context, subjects ...quota.Subject) ([][]quota.Standing, error) {
		var all [][]quota.Standing
		for first := 0; first < max(len(subjects), 1); first += maxAsked { // at least once, to see whether it runs
			some, err := askOnce(ctx, client, subjects[first:min(first+maxAsked, len(subjects))])
			if err != nil {
				return nil, err
			}
			all = append(all, some...)
		}
		return all, nil
	}
}

func askOnce(ctx context.Context, client *http.Client, subjects []quota.Subject) ([][]quota.Standing, error) {
	body, err := json.Marshal(standingsQuestion{subjects})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://admin"+standingsPath, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	res, err := client.Do(req)
	switch {
	case errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED):
		return nil, errNotRunning
	case err != nil:
		return nil, fmt.Errorf("asking the running Plumbline: %w", err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("asking the running Plumbline: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the running Plumbline cannot say: %s", bytes.TrimSpace(answer))
	}
	var said standingsAnswer
	if err := json.Unmarshal(answer, &said); err != nil {
		return nil, fmt.Errorf("asking the running Plumbline: %w", err)
	}
	return said.Standings, nil
}
