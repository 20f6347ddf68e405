package redistest

import "syscall"

// endsWithThread makes a process end with the thread that started it.
func endsWithThread() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
