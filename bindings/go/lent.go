package thalweg

/*
#include <stdlib.h>
#include <thalweg.h>
*/
import "C"

import (
	"runtime"
	"sync"
	"unsafe"
)

// Memory beyond this is not kept for the next append.
const lentMax = 4 << 20

// lent is records as the library takes them, in memory of C. To copy them there costs less than to pin each of them,
// and records that were read may be appended, too, which lie in memory that cannot be pinned.
type lent struct {
	records, headers, bytes *memory
}

// memory is of C, and as long as its Go object.
type memory struct {
	memory unsafe.Pointer
	size   uintptr
}

// What thalweg_record and thalweg_header are, without pointers, which Go would look after.
type (
	lentBytes  struct{ data, size uintptr }
	lentHeader struct{ name, value lentBytes }
	lentRecord struct {
		key, value           lentBytes
		headers, headerCount uintptr
		timestamp            int64
		flags, reserved      uint32
	}
)

// A difference in size does not compile.
var (
	_ [C.sizeof_thalweg_record]byte = [unsafe.Sizeof(lentRecord{})]byte{}
	_ [C.sizeof_thalweg_header]byte = [unsafe.Sizeof(lentHeader{})]byte{}
)

var lents = sync.Pool{New: func() any { return &lent{&memory{}, &memory{}, &memory{}} }}

// reserve is at least so many bytes; what was there is gone.
func (m *memory) reserve(size uintptr) *memory {
	if size <= m.size && m.size > 0 {
		return m
	}
	// malloc of cgo ends the process where there is no memory, as Go does.
	made := &memory{C.malloc(C.size_t(max(size, 4096))), max(size, 4096)}
	runtime.AddCleanup(made, func(memory unsafe.Pointer) { C.free(memory) }, made.memory)
	return made
}

// lend copies records to where the library may read them, until giveBack.
func lend(records []Record) *lent {
	var bytes, headers uintptr
	for i := range records {
		record := &records[i]
		bytes += uintptr(len(record.Key) + len(record.Value))
		headers += uintptr(len(record.Headers))
		for _, header := range record.Headers {
			bytes += uintptr(len(header.Name) + len(header.Value))
		}
	}
	l := lents.Get().(*lent)
	l.records = l.records.reserve(uintptr(len(records)) * unsafe.Sizeof(lentRecord{}))
	l.headers = l.headers.reserve(headers * unsafe.Sizeof(lentHeader{}))
	l.bytes = l.bytes.reserve(bytes)
	writer := lentWriter{
		unsafe.Slice((*lentHeader)(l.headers.memory), headers), unsafe.Slice((*byte)(l.bytes.memory), bytes),
		uintptr(l.bytes.memory),
	}
	into := unsafe.Slice((*lentRecord)(l.records.memory), len(records))
	for i := range records {
		writer.record(&into[i], &records[i])
	}
	return l
}

func (l *lent) giveBack() {
	if l.records.size+l.headers.size+l.bytes.size <= lentMax {
		lents.Put(l)
	}
	// Else the memory goes with it.
	runtime.KeepAlive(l)
}

// lentWriter writes where there is room for it all.
type lentWriter struct {
	headers []lentHeader
	bytes   []byte
	address uintptr
}

func (w *lentWriter) record(into *lentRecord, from *Record) {
	timestamp, flags := timestamp(from)
	*into = lentRecord{key: w.optional(from.Key), value: w.optional(from.Value), timestamp: timestamp, flags: flags}
	if count := len(from.Headers); count > 0 {
		into.headers, into.headerCount = uintptr(unsafe.Pointer(unsafe.SliceData(w.headers))), uintptr(count)
		for i, header := range from.Headers {
			size := copy(w.bytes, header.Name)
			w.headers[i] = lentHeader{w.take(size), w.optional(header.Value)}
		}
		w.headers = w.headers[count:]
	}
}

// optional copies bytes; nil is none.
func (w *lentWriter) optional(from []byte) lentBytes {
	if from == nil {
		return lentBytes{}
	}
	return w.take(copy(w.bytes, from))
}

// take is what was copied.
func (w *lentWriter) take(size int) lentBytes {
	taken := lentBytes{w.address, uintptr(size)}
	w.bytes, w.address = w.bytes[size:], w.address+uintptr(size)
	return taken
}

// timestamp is the time of a record as the library takes it.
func timestamp(record *Record) (int64, uint32) {
	if record.Time.IsZero() {
		return 0, 0
	}
	return record.Time.UnixMilli(), C.THALWEG_RECORD_TIMESTAMP
}
