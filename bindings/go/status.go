package thalweg

// #include <thalweg.h>
import "C"

// Status is why a call did nothing. It is an error, so that errors.Is(err, thalweg.ErrNotFound) tells kinds apart. Its
// numbers never change their meaning, and more may come.
type Status int32

// The kinds of errors.
const (
	ErrInvalidArgument  Status = C.THALWEG_INVALID_ARGUMENT
	ErrNotFound         Status = C.THALWEG_NOT_FOUND
	ErrAlreadyExists    Status = C.THALWEG_ALREADY_EXISTS
	ErrAlreadyOpen      Status = C.THALWEG_ALREADY_OPEN
	ErrWouldBlock       Status = C.THALWEG_WOULD_BLOCK
	ErrTimedOut         Status = C.THALWEG_TIMED_OUT
	ErrOutOfRange       Status = C.THALWEG_OUT_OF_RANGE
	ErrCorrupt          Status = C.THALWEG_CORRUPT
	ErrUnsupported      Status = C.THALWEG_UNSUPPORTED
	ErrIO               Status = C.THALWEG_IO
	ErrNoSpace          Status = C.THALWEG_NO_SPACE
	ErrPermissionDenied Status = C.THALWEG_PERMISSION_DENIED
	ErrPartitionFailed  Status = C.THALWEG_PARTITION_FAILED
	ErrClosed           Status = C.THALWEG_CLOSED
	ErrTooLarge         Status = C.THALWEG_TOO_LARGE
	ErrNoMemory         Status = C.THALWEG_NO_MEMORY
	ErrForked           Status = C.THALWEG_FORKED
	ErrPanic            Status = C.THALWEG_PANIC
	ErrDeleted          Status = C.THALWEG_DELETED
	ErrReadOnly         Status = C.THALWEG_READ_ONLY
	ErrOffsetMismatch   Status = C.THALWEG_OFFSET_MISMATCH
	ErrTruncated        Status = C.THALWEG_TRUNCATED
)

// String is the name of the status, such as NOT_FOUND.
func (s Status) String() string { return C.GoString(C.thalweg_status_name(C.thalweg_status(s))) }

// Error is a few words on what the status means.
func (s Status) Error() string { return C.GoString(C.thalweg_status_text(C.thalweg_status(s))) }
