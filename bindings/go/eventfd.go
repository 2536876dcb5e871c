package thalweg

/*
#cgo noescape thalweg_go_readable
#cgo nocallback thalweg_go_readable

#include <poll.h>
#include <stdint.h>

static int thalweg_go_readable(int fd) {
    struct pollfd one = {.fd = fd, .events = POLLIN};
    return poll(&one, 1, 0) == 1;
}
*/
import "C"

import (
	"context"
	"errors"
	"os"
	"runtime"
	"syscall"
	"time"
)

// eventfd waits for a descriptor of the library in the runtime's poller, so that no thread does.
type eventfd struct {
	// A copy, which os.File owns. The library's own lives as long as its handle.
	file *os.File
	raw  syscall.RawConn
}

func newEventfd(of int32) (*eventfd, error) {
	fd, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(of), syscall.F_DUPFD_CLOEXEC, 0)
	if errno != 0 {
		return nil, &Error{Status: ErrIO, OSError: errno, Message: "cannot copy a descriptor: " + errno.Error()}
	}
	file := os.NewFile(fd, "thalweg")
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &eventfd{file, raw}, nil
}

// wait calls try until it answers true, each time that the descriptor has become readable. One goroutine at a time.
func (e *eventfd) wait(ctx context.Context, try func() bool) error {
	if ctx.Done() != nil {
		interrupted := make(chan struct{})
		stop := context.AfterFunc(ctx, func() {
			// It fails only if the file is closed, which ends the wait, too.
			_ = e.file.SetReadDeadline(time.Unix(1, 0))
			close(interrupted)
		})
		defer func() {
			if !stop() {
				<-interrupted
				_ = e.file.SetReadDeadline(time.Time{})
			}
		}()
	}
	done := false
	_ = e.raw.Read(func(fd uintptr) bool {
		for done = try(); !done; done = try() {
			// The poller tells edges: what came between the try and the library's look at its descriptor has none.
			if C.thalweg_go_readable(C.int(fd)) == 0 {
				return false
			}
			if ctx.Err() != nil {
				return true
			}
			runtime.Gosched()
		}
		return true
	})
	switch {
	case done:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		// The file was closed: there is nothing else that can end it.
		return closed("what was waited for")
	}
}

func (e *eventfd) close() { _ = e.file.Close() }
