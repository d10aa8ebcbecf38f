//go:build !linux

package redisproc

import "syscall"

// childAttributes keep a terminal's Ctrl-C from the child: who started it stops it, in the right order.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
