package audit

import (
	"os"
	"syscall"
)

// datasync forces what was written to the disk, without the file's times.
func datasync(f *os.File) error {
	for {
		if err := syscall.Fdatasync(int(f.Fd())); err != syscall.EINTR {
			return err
		}
	}
}
