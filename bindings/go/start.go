package thalweg

// #include <thalweg.h>
import "C"

import "time"

// Start is where reading begins in a partition.
type Start struct {
	at    C.uint32_t
	value C.uint64_t
}

var (
	// Earliest is the oldest record that is kept.
	Earliest = Start{at: C.THALWEG_START_EARLIEST}
	// Latest is what becomes visible from now on.
	Latest = Start{at: C.THALWEG_START_LATEST}
	// Committed is the position committed under the consumer's name, or where its options say.
	Committed = Start{at: C.THALWEG_START_COMMITTED}
)

// AtOffset is the record with the offset.
func AtOffset(offset uint64) Start {
	return Start{C.THALWEG_START_OFFSET, C.uint64_t(offset)}
}

// AtTime is the first record whose timestamp is the time or later.
func AtTime(when time.Time) Start {
	return Start{C.THALWEG_START_TIME, C.uint64_t(when.UnixMilli())}
}

// AtAppendTime is the first record that was appended at the time or later.
func AtAppendTime(when time.Time) Start {
	return Start{C.THALWEG_START_APPEND_TIME, C.uint64_t(when.UnixMilli())}
}
