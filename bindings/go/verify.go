package thalweg

// #include <thalweg.h>
import "C"

import (
	"context"
	"runtime"
)

// DamagedRange is offsets of a partition whose acknowledged records are damaged or cannot be read: up to and without
// End.
type DamagedRange struct {
	Topic      string
	Partition  uint32
	Start, End uint64
}

func damagedRange(from *C.thalweg_damaged_range) DamagedRange {
	return DamagedRange{text(from.topic[:]), uint32(from.partition), uint64(from.start), uint64(from.end)}
}

// VerifyReport is what verification found.
type VerifyReport struct {
	// Topics looked at.
	Topics uint64
	// Partitions that hold records.
	Partitions uint64
	// Segments read.
	Segments uint64
	// Batches that are whole.
	Batches uint64
	// Records in them.
	Records uint64
	// Bytes of everything that is whole, padding counted.
	Bytes uint64
	// Ranges of offsets that are damaged, or that the device refused to give.
	Damaged uint64
	// Partitions that the device did not let be read to their end when the store was opened.
	Unavailable uint64
	// Headers and footers of segments that are damaged. No record is lost by that: it is a copy less of what they say.
	DamagedCopies uint64
}

// Verify reads everything that is on the device, and checks every checksum and every offset. Damage is no error of
// this call: the report has the sums, and the ranges say where.
func (e *Engine) Verify(ctx context.Context) (VerifyReport, []DamagedRange, error) {
	type answer struct {
		report VerifyReport
		ranges []DamagedRange
	}
	got, err := detach(ctx, func() (answer, error) {
		from := C.thalweg_verify_report{size: C.sizeof_thalweg_verify_report}
		found, err := list(func(
			into *C.thalweg_damaged_range, capacity C.size_t, count *C.size_t, failure *C.thalweg_error,
		) C.thalweg_status {
			defer runtime.KeepAlive(e)
			return C.thalweg_engine_verify(e.handle, &from, into, capacity, count, failure)
		})
		return answer{VerifyReport{
			Topics:        uint64(from.topics),
			Partitions:    uint64(from.partitions),
			Segments:      uint64(from.segments),
			Batches:       uint64(from.batches),
			Records:       uint64(from.records),
			Bytes:         uint64(from.bytes),
			Damaged:       uint64(from.damaged),
			Unavailable:   uint64(from.unavailable),
			DamagedCopies: uint64(from.damaged_copies),
		}, convert(found, damagedRange)}, err
	}, nil)
	return got.report, got.ranges, err
}

// Damaged are acknowledged offsets that recovery found missing or damaged when the engine was opened.
func (e *Engine) Damaged(ctx context.Context) ([]DamagedRange, error) {
	return detach(ctx, func() ([]DamagedRange, error) {
		found, err := list(func(
			into *C.thalweg_damaged_range, capacity C.size_t, count *C.size_t, failure *C.thalweg_error,
		) C.thalweg_status {
			defer runtime.KeepAlive(e)
			return C.thalweg_engine_list_damaged(e.handle, into, capacity, count, failure)
		})
		return convert(found, damagedRange), err
	}, nil)
}

// Damaged are the damaged offsets that recovery found in a partition.
func (t *Topic) Damaged(partition uint32) ([]DamagedRange, error) {
	found, err := list(func(
		into *C.thalweg_damaged_range, capacity C.size_t, count *C.size_t, failure *C.thalweg_error,
	) C.thalweg_status {
		defer runtime.KeepAlive(t)
		return C.thalweg_topic_list_damaged(t.handle, C.uint32_t(partition), into, capacity, count, failure)
	})
	return convert(found, damagedRange), err
}
