package thalweg

// #include <thalweg.h>
import "C"

import (
	"sync"
	"syscall"
)

// Error is what a call tells that failed. errors.Is finds its [Status], and the operating system's error number:
// errors.Is(err, syscall.ENOSPC).
type Error struct {
	Status Status
	// The operating system's error number where it reported this, else 0.
	OSError syscall.Errno
	// A sentence to show.
	Message string
	// The topic and partition that it concerns, where it names one.
	Topic     string
	Partition uint32
}

func (e *Error) Error() string { return e.Message }

func (e *Error) Unwrap() []error {
	if e.OSError != 0 {
		return []error{e.Status, e.OSError}
	}
	return []error{e.Status}
}

// CorruptError names acknowledged offsets that are damaged: from Start, up to and without End. A seek to End reads on.
type CorruptError struct {
	Topic      string
	Partition  uint32
	Start, End uint64
	// What was told of it.
	Err *Error
}

func (e *CorruptError) Error() string { return e.Err.Message }

func (e *CorruptError) Unwrap() error { return e.Err }

// A call writes its error here only if it fails, so that one after the other may use it.
var failures = sync.Pool{New: func() any { return &C.thalweg_error{size: C.sizeof_thalweg_error} }}

// call makes one call of the library, which fetches status and message together.
func call(function func(*C.thalweg_error) C.thalweg_status) error {
	failure := failures.Get().(*C.thalweg_error)
	var err error
	if function(failure) != C.THALWEG_OK {
		err = readError(failure)
	}
	failures.Put(failure)
	return err
}

func readError(from *C.thalweg_error) error {
	err := &Error{
		Status: Status(from.status), OSError: syscall.Errno(from.os_error), Message: text(from.message[:]),
		Topic: text(from.topic[:]), Partition: uint32(from.partition),
	}
	if err.Status == ErrCorrupt && from.end > from.start {
		return &CorruptError{err.Topic, err.Partition, uint64(from.start), uint64(from.end), err}
	}
	return err
}

// closed is what a call on a closed object answers that does not go through the library.
func closed(what string) error { return &Error{Status: ErrClosed, Message: what + " is closed"} }
