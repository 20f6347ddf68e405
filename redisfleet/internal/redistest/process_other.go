//go:build !linux

package redistest

import "syscall"

func endsWithThread() *syscall.SysProcAttr { return nil }
