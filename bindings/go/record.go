package thalweg

import (
	"bytes"
	"time"
)

// Record is what is appended and read. A nil key or value is none, which is not the same as an empty one; a record
// with a key and no value is a tombstone.
type Record struct {
	// Chooses the partition, up to 1 MiB.
	Key []byte
	// Key, value and headers together take up to 16 MiB.
	Value   []byte
	Headers []Header
	// When it happened, in whole milliseconds; the zero time stands for when it is appended.
	Time time.Time
	// Where it was read; appends do not look at it.
	Offset    uint64
	Partition uint32
}

// Header is a name and bytes, kept with a record. Names may repeat.
type Header struct {
	Name  string
	Value []byte
}

// Clone is a copy that stays when its batch is released.
func (r Record) Clone() Record {
	r.Key, r.Value = bytes.Clone(r.Key), bytes.Clone(r.Value)
	if r.Headers != nil {
		headers := make([]Header, len(r.Headers))
		for i, header := range r.Headers {
			headers[i] = Header{string(append([]byte(nil), header.Name...)), bytes.Clone(header.Value)}
		}
		r.Headers = headers
	}
	return r
}

// Position is where a batch stands: Count records of a partition, from BaseOffset on.
type Position struct {
	BaseOffset uint64
	Partition  uint32
	Count      uint32
}
