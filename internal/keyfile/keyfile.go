// Package keyfile reads files that hold secret keys, and refuses those that too many can reach. Of Plumbline it
// imports wholefile alone, and it names no content of a file in an error.
//
// One rule holds for every key. Its file is its owner's; the file's group may read it, as a secret's volume in Kubernetes
// needs with fsGroup (0440, owned by root and that group); others may do nothing. The group may write it only when the
// process itself is in that group: with fsGroup, Kubernetes makes what lies in a volume for data writable by the group
// at each mount, a key that was made there with mode 0600 as well.
package keyfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"syscall"

	"github.com/plumbline/plumbline/internal/wholefile"
)

const (
	byOthers = 0o007
	byGroup  = 0o020 // writable by the group
)

// Read gives what is in a file of at most limit bytes. Symbolic links are followed, as Kubernetes' ..data is one; what they
// lead to is judged. The error of a file that is not there wraps fs.ErrNotExist. See wholefile.Read.
func Read(path string, limit int64) ([]byte, error) { return wholefile.Read(path, limit, check) }

// check reports what lets too many reach a key, with what to run.
func check(info fs.FileInfo) error {
	mode := info.Mode()
	switch {
	case mode.Perm()&byOthers != 0:
		return fmt.Errorf("has mode %04o, so that every user can reach it: run chmod o= on it, or give the secret's volume defaultMode 0440; if others had access, make a new key", mode.Perm())
	case mode.Perm()&byGroup != 0:
		group, ours, err := groupOf(info)
		if err != nil {
			return err
		}
		if !ours {
			return fmt.Errorf("has mode %04o, so that the group %d can write it, in which this process is not: run chmod g-w on it", mode.Perm(), group)
		}
	}
	return nil
}

// groupOf gives a file's group, and whether this process is in it.
func groupOf(info fs.FileInfo) (group uint32, ours bool, err error) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false, errors.New("does not say its group")
	}
	more, err := os.Getgroups()
	if err != nil {
		return 0, false, err
	}
	return stat.Gid, slices.Contains(append(more, os.Getegid()), int(stat.Gid)), nil
}
