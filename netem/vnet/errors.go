package vnet

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/thinlink/thinlink/netem/vnet/tcp"
)

// Sockets fail as package net's do: an *net.OpError around an
// *os.SyscallError around an errno, or around net.ErrClosed or
// os.ErrDeadlineExceeded. io.EOF stays bare.

// errnos are what the kernel says for TCP's ways to end.
var errnos = []struct {
	err   error
	errno syscall.Errno
}{
	{tcp.ErrReset, syscall.ECONNRESET},
	{tcp.ErrRefused, syscall.ECONNREFUSED},
	{tcp.ErrTimeout, syscall.ETIMEDOUT},
	{tcp.ErrAborted, syscall.ECONNABORTED},
	{tcp.ErrClosed, syscall.EPIPE},
}

// kernelError translates an error of package tcp met during a system call.
func kernelError(call string, err error) error {
	for _, e := range errnos {
		if errors.Is(err, e.err) {
			return os.NewSyscallError(call, e.errno)
		}
	}
	return err
}

// opError wraps err as package net does.
func opError(op, network string, local, remote net.Addr, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: network, Source: local, Addr: remote, Err: err}
}
