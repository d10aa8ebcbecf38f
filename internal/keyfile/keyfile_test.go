package keyfile_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/plumbline/plumbline/internal/keyfile"
	"github.com/plumbline/plumbline/internal/wholefile"
)

const (
	secret = "a secret of the file"
	// childFile has this test program read a file as another user, and say what came of it: see TestVolumeOfAGroup.
	childFile = "PLUMBLINE_TEST_KEYFILE"
	nobody    = 65534
	fsGroup   = 4242
)

func TestMain(m *testing.M) {
	path := os.Getenv(childFile)
	if path == "" {
		os.Exit(m.Run())
	}
	data, err := keyfile.Read(path, 100)
	if err != nil {
		_, _ = io.WriteString(os.Stdout, err.Error())
		return
	}
	_, _ = os.Stdout.Write(data)
}

// TestModes: who may do what with a file that is read, and what to run where it is not.
func TestModes(t *testing.T) {
	dir := t.TempDir()
	for mode, want := range map[os.FileMode]string{
		0o400: "", 0o600: "", 0o440: "", 0o640: "", 0o700: "",
		0o660: "", // its group is one of this process
		0o644: "run chmod o= on it", 0o604: "run chmod o= on it", 0o602: "run chmod o= on it", 0o601: "run chmod o= on it",
		0o666: "run chmod o= on it",
	} {
		path := filepath.Join(dir, mode.String())
		write(t, path, mode)
		judge(t, path, mode, want)
	}
}

func judge(t *testing.T, path string, mode os.FileMode, want string) {
	t.Helper()
	data, err := keyfile.Read(path, 100)
	switch {
	case want == "" && (err != nil || string(data) != secret):
		t.Errorf("%04o: %q, %v", mode, data, err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path)):
		t.Errorf("%04o: %v, want %q", mode, err, want)
	case err != nil && (data != nil || strings.Contains(err.Error(), secret)):
		t.Errorf("%04o: what is refused is given: %v", mode, err)
	}
}

func write(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := errors.Join(os.WriteFile(path, []byte(secret), 0o600), os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
}

// TestStrangersGroup: a group that this process is not in may read, and not write.
func TestStrangersGroup(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give a file to a group it is not in")
	}
	for mode, want := range map[os.FileMode]string{0o640: "", 0o660: "run chmod g-w on it", 0o620: "run chmod g-w on it"} {
		path := filepath.Join(t.TempDir(), "key")
		write(t, path, mode)
		if err := os.Chown(path, 0, fsGroup); err != nil {
			t.Fatal(err)
		}
		judge(t, path, mode, want)
	}
}

// TestVolumeOfAGroup: a process that is not root reads its key as Kubernetes mounts it with fsGroup, through ..data, and
// through another ..data after the secret was changed.
func TestVolumeOfAGroup(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can run a program as another user")
	}
	dir, program := volume(t)
	key := filepath.Join(dir, "key")
	for _, c := range []struct {
		name   string
		mode   os.FileMode
		groups []uint32
		want   string
	}{
		{"secret", 0o440, []uint32{fsGroup}, secret},
		{"data", 0o660, []uint32{fsGroup}, secret},
		{"everybody", 0o444, []uint32{fsGroup}, "chmod o="},
		{"another group", 0o440, nil, "permission denied"},
	} {
		version := filepath.Join(dir, "..2026_"+c.name)
		file := filepath.Join(version, "key")
		if err := os.Mkdir(version, 0o755); err != nil { // as Kubernetes makes it: the user below must get through
			t.Fatal(err)
		}
		write(t, file, c.mode)
		next := filepath.Join(dir, "..data_tmp")
		err := errors.Join(os.Chown(file, 0, fsGroup), os.Symlink(filepath.Base(version), next), os.Rename(next, filepath.Join(dir, "..data")))
		if err != nil {
			t.Fatal(err)
		}
		child := exec.CommandContext(t.Context(), program)
		child.Env = append(os.Environ(), childFile+"="+key)
		child.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody, Groups: c.groups}}
		child.Dir = dir
		if out, err := child.CombinedOutput(); err != nil || !strings.Contains(string(out), c.want) {
			t.Errorf("%s: %s, %v, want %q", c.name, out, err, c.want)
		}
	}
}

// volume is a directory that every user can get to, with key as a link through ..data, and this test program beside it.
func volume(t *testing.T) (dir, program string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "keyfile")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	program = filepath.Join(dir, "program")
	self, err := os.ReadFile(os.Args[0])
	if err = errors.Join(err, os.Chmod(dir, 0o755), os.WriteFile(program, self, 0o600), os.Chmod(program, 0o755),
		os.Symlink(filepath.Join("..data", "key"), filepath.Join(dir, "key"))); err != nil {
		t.Fatal(err)
	}
	return dir, program
}

// TestNoKeyFile: what is not a file of the size of a key is refused at once, a pipe that nobody writes to as well.
func TestNoKeyFile(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, pipe} {
		if _, err := keyfile.Read(path, 100); err == nil || !strings.Contains(err.Error(), "is not a regular file") {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := keyfile.Read(filepath.Join(dir, "none"), 100); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	path := filepath.Join(dir, "key")
	write(t, path, 0o600)
	if data, err := keyfile.Read(path, int64(len(secret))); err != nil || string(data) != secret {
		t.Errorf("%q, %v", data, err)
	}
	if _, err := keyfile.Read(path, int64(len(secret)-1)); !errors.Is(err, wholefile.ErrTooLarge) {
		t.Errorf("one byte too many: %v", err)
	}
}
