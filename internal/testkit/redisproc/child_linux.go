package redisproc

import "syscall"

// childAttributes have the kernel end the child together with this program, and keep a terminal's Ctrl-C from it: who
// started it stops it, in the right order.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
