package hugepage

import "golang.org/x/sys/unix"

// collapse asks for huge pages in place of those that memory has (MADV_COLLAPSE, Linux 6.1). Without them all works as well,
// only slower, so that an error is none.
func collapse(memory []byte) { _ = unix.Madvise(memory, unix.MADV_COLLAPSE) }
