package pgproc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// home is the folder in which a test program keeps its clusters, and how their programs are run.
type home struct {
	dir      string
	binaries string
	runAs    *syscall.Credential // nil to run as the test does
	lifeline io.Closer           // the folder goes when it is closed, at the latest by the end of the program
	mu       sync.Mutex
	clusters int
}

// sharedHome makes the home once, with the files of a cluster to copy from.
var sharedHome = sync.OnceValues(newHome)

func newHome() (*home, error) {
	binaries, err := findBinaries()
	if err != nil {
		return nil, err
	}
	h := &home{binaries: binaries}
	if h.runAs, err = unprivileged(); err != nil {
		return nil, err
	}
	// A short name: a socket's path has 108 bytes at most.
	if h.dir, err = os.MkdirTemp("", "pg-"); err != nil {
		return nil, err
	}
	if err := h.own(h.dir); err != nil {
		return nil, errors.Join(err, os.RemoveAll(h.dir))
	}
	if err := h.sweepAtEnd(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(h.dir))
	}
	// ICU's order of words differs from that of bytes: whoever forgets COLLATE "C" is found.
	return h, h.run(filepath.Join(binaries, "initdb"), "--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8",
		"--locale=C", "--locale-provider=icu", "--icu-locale=en", "-D", h.pristine())
}

// findBinaries gives the folder of initdb and postgres: PLUMBLINE_POSTGRES, else Debian's newest version, else PATH.
func findBinaries() (string, error) {
	if dir := os.Getenv("PLUMBLINE_POSTGRES"); dir != "" {
		return dir, nil
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	if len(found) > 0 {
		newest := slices.MaxFunc(found, func(a, b string) int { return cmp.Compare(versionOf(a), versionOf(b)) })
		return filepath.Dir(newest), nil
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return "", fmt.Errorf("it is missing: run `make test`, which installs it, or tools/apt-install postgresql, or name the folder of initdb in PLUMBLINE_POSTGRES: %w", err)
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", err
	}
	return filepath.Dir(path), nil
}

// versionOf is the number in /usr/lib/postgresql/15/bin/initdb.
func versionOf(path string) int {
	n, err := strconv.Atoi(strings.Split(path, "/")[4])
	if err != nil {
		return 0
	}
	return n
}

// unprivileged is whom Postgres runs as when the test runs as root, whom Postgres refuses.
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUID := strconv.ParseUint(u.Uid, 10, 32)
		gid, errGID := strconv.ParseUint(u.Gid, 10, 32)
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(errUID, errGID)
	}
	return nil, errors.New("it does not run as root, and there is neither a user postgres nor nobody: run the tests as another user")
}

// sweepAtEnd starts a shell that deletes the folder when this program has ended, however it ended.
func (h *home) sweepAtEnd() error {
	const sweep = `cat >/dev/null; for i in $(seq 100); do rm -rf "$1"; [ -e "$1" ] || exit; sleep 0.1; done`
	cmd := exec.CommandContext(context.Background(), "/bin/sh", "-c", sweep, "sweep", h.dir)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	lifeline, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	h.lifeline = lifeline
	return cmd.Start()
}

func (h *home) pristine() string { return filepath.Join(h.dir, "pristine") }

// copyCluster makes the folder of a new server.
func (h *home) copyCluster(o Options) (string, error) {
	h.mu.Lock()
	h.clusters++
	dir := filepath.Join(h.dir, strconv.Itoa(h.clusters))
	h.mu.Unlock()
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	if err := h.own(dir); err != nil {
		return "", err
	}
	if err := h.run("cp", "-a", h.pristine(), data); err != nil {
		return "", err
	}
	if err := appendTo(filepath.Join(data, "postgresql.conf"), settings(dir, o)); err != nil {
		return "", err
	}
	const hba = "local all postgres trust\nlocal all all scram-sha-256\n"
	return dir, os.WriteFile(filepath.Join(data, "pg_hba.conf"), []byte(hba), 0o600) // keeps its owner
}

func settings(dir string, o Options) string {
	lines := []string{
		"listen_addresses = ''", "port = 5432", "unix_socket_directories = '" + dir + "'", "max_connections = 100",
		"shared_buffers = 32MB", "jit = off", "log_checkpoints = off",
	}
	if !o.Fsync {
		lines = append(lines, "fsync = off", "synchronous_commit = off", "full_page_writes = off")
	}
	return "\n" + strings.Join(append(lines, o.Settings...), "\n") + "\n"
}

func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// command is a program that runs as Postgres does, apart from a terminal's Ctrl-C.
func (h *home) command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), name, args...)
	cmd.Dir = h.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: h.runAs}
	return cmd
}

func (h *home) run(name string, args ...string) error {
	if out, err := h.command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(name), err, out)
	}
	return nil
}

// own gives a file to the user that Postgres runs as.
func (h *home) own(path string) error {
	if h.runAs == nil {
		return nil
	}
	return os.Chown(path, int(h.runAs.Uid), int(h.runAs.Gid))
}
