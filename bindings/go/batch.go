package thalweg

/*
#cgo noescape thalweg_batch_append_time
#cgo nocallback thalweg_batch_append_time
#cgo noescape thalweg_batch_term
#cgo nocallback thalweg_batch_term

#include <thalweg.h>
*/
import "C"

import (
	"encoding/binary"
	"iter"
	"math"
	"sync/atomic"
	"time"
	"unsafe"
)

// Batch is records that were read, in order, in memory that is shared with the engine until [Batch.Release].
type Batch struct {
	handle     *C.thalweg_batch
	data       []byte
	entries    []C.thalweg_entry
	nextOffset uint64
	topic      string
	partition  uint32
	released   atomic.Bool
}

func newBatch(handle *C.thalweg_batch, view *C.thalweg_batch_view) *Batch {
	return &Batch{
		handle: handle, data: unsafe.Slice((*byte)(view.data), view.data_size),
		entries: unsafe.Slice((*C.thalweg_entry)(view.entries), view.count), nextOffset: uint64(view.next_offset),
		topic: C.GoString(view.topic), partition: uint32(view.partition),
	}
}

// Len is the number of records.
func (b *Batch) Len() int { return len(b.entries) }

// Topic is the topic that the records are of.
func (b *Batch) Topic() string { return b.topic }

// Partition is the partition that the records are of.
func (b *Batch) Partition() uint32 { return b.partition }

// NextOffset is where to read on: behind the last record. Offsets may skip, so that it is not the number of records.
func (b *Batch) NextOffset() uint64 { return b.nextOffset }

// All is the records, whose keys, values and headers are valid until [Batch.Release]. It panics if the batch was
// released.
func (b *Batch) All() iter.Seq[Record] {
	return func(yield func(Record) bool) {
		b.check()
		data, partition := b.data, b.partition
		for i := range b.entries {
			entry := &b.entries[i]
			var key, value []byte
			var headers []Header
			// Slices have no room to grow, so that nobody appends to what is behind them.
			if entry.flags&C.THALWEG_ENTRY_KEY != 0 {
				key = data[entry.key_position:][:entry.key_size:entry.key_size]
			}
			if entry.flags&C.THALWEG_ENTRY_VALUE != 0 {
				value = data[entry.value_position:][:entry.value_size:entry.value_size]
			}
			if entry.header_count != 0 {
				headers = b.headers(uint(entry.headers_position), int(entry.header_count))
			}
			// The record is made where it is handed over: if a function returned it, it would be copied once more,
			// which takes longer than all the rest.
			when := time.UnixMilli(int64(entry.timestamp))
			if !yield(Record{key, value, headers, when, uint64(entry.offset), partition}) {
				return
			}
		}
	}
}

// At is one of the records, from 0, as [Batch.All] gives it.
func (b *Batch) At(index int) Record {
	b.check()
	one := Batch{data: b.data, entries: b.entries[index : index+1], partition: b.partition}
	for record := range one.All() {
		return record
	}
	panic("one entry is one record")
}

// Clone is the records, in memory of their own.
func (b *Batch) Clone() []Record {
	records := make([]Record, 0, b.Len())
	for record := range b.All() {
		records = append(records, record.Clone())
	}
	return records
}

// AppendTime is when a record was appended, which never falls within a partition.
func (b *Batch) AppendTime(index int) (time.Time, error) {
	var ms C.int64_t
	err := call(func(failure *C.thalweg_error) C.thalweg_status {
		return C.thalweg_batch_append_time(b.handle, C.size_t(index), &ms, failure)
	})
	return time.UnixMilli(int64(ms)), err
}

// Term is the term that a record's batch was appended with. [ErrNotFound]: without one.
func (b *Batch) Term(index int) (uint64, error) {
	var term C.uint64_t
	err := call(func(failure *C.thalweg_error) C.thalweg_status {
		return C.thalweg_batch_term(b.handle, C.size_t(index), &term, failure)
	})
	return uint64(term), err
}

// Release gives the memory back to the engine. Nothing of the batch may be looked at from then on. It may be called
// again, and after everything else is closed.
func (b *Batch) Release() {
	if !b.released.Swap(true) {
		C.thalweg_batch_release(b.handle, nil)
		b.data, b.entries = nil, nil
	}
}

func (b *Batch) check() {
	if b.released.Load() {
		panic("thalweg: a batch was used that is released")
	}
}

// headers reads headers where they lie: docs/ABI.md tells how.
func (b *Batch) headers(position uint, count int) []Header {
	headers := make([]Header, count)
	for i := range headers {
		nameSize := uint(binary.LittleEndian.Uint16(b.data[position:]))
		valueSize := binary.LittleEndian.Uint32(b.data[position+2:])
		position += 6
		headers[i].Name = unsafe.String(unsafe.SliceData(b.data[position:][:nameSize]), nameSize)
		position += nameSize
		if valueSize != math.MaxUint32 {
			headers[i].Value = b.data[position:][:valueSize:valueSize]
			position += uint(valueSize)
		}
	}
	return headers
}
