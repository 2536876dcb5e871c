package thalweg

/*
#cgo noescape thalweg_go_partitions
#cgo nocallback thalweg_go_partitions

#include <thalweg.h>

// The partition of each key, out of keys that lie one behind the other.
static thalweg_status thalweg_go_partitions(
    thalweg_topic *topic, const uint8_t *keys, const uint32_t *sizes, size_t count, uint32_t *partitions,
    thalweg_error *error
) {
    for (size_t i = 0; i < count; keys += sizes[i++]) {
        thalweg_status status = thalweg_topic_partition_of(topic, keys, sizes[i], &partitions[i], error);
        if (status != THALWEG_OK) return status;
    }
    return THALWEG_OK;
}
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"unsafe"
)

// What one batch of [Topic.Append] takes at most, so that the library's limits are kept.
const (
	batchBytesMax   = 16 << 20
	batchRecordsMax = C.THALWEG_BATCH_RECORDS_MAX
)

// Append appends records, and returns when they are as durable as their topic asks for, which by default is for good.
// Records with keys go to the partitions of their keys, in batches; those without go together to the next partition
// by turns. It tells where each batch stands.
//
// Where some batches fail, positions are those of the others, and the error has a [PartError] for each. Where the
// context ends, an error that is [ErrWouldBlock] says that nothing was appended, and one that is [ErrTimedOut] that
// records were, and are not acknowledged yet: they may become durable, and a second try may append them twice.
func (t *Topic) Append(ctx context.Context, records ...Record) ([]Position, error) {
	if len(records) == 1 {
		ticket, err := t.Submit(ctx, records[0])
		if err != nil {
			return nil, err
		}
		position, err := ticket.Wait(ctx)
		if err != nil {
			return nil, err
		}
		return []Position{position}, nil
	}
	parts, tickets, failed, err := t.submitParts(ctx, records)
	if err != nil {
		return nil, err
	}
	var positions []Position
	for i, part := range parts {
		var position Position
		if failed[i] == nil {
			position, failed[i] = tickets[i].Wait(ctx)
		}
		if failed[i] != nil {
			failed[i] = &PartError{part.indexes, failed[i]}
			continue
		}
		positions = append(positions, position)
	}
	return positions, errors.Join(failed...)
}

// submitParts submits records as batches by their partitions. Of each batch there is a ticket, or an error.
func (t *Topic) submitParts(
	ctx context.Context, records []Record,
) (parts []*part, tickets []*Ticket, failed []error, err error) {
	if parts, err = t.divide(records); err != nil {
		return nil, nil, nil, err
	}
	tickets, failed = make([]*Ticket, len(parts)), make([]error, len(parts))
	for i, part := range parts {
		tickets[i], failed[i] = t.SubmitBatch(ctx, part.records(records), ToPartition(part.partition))
	}
	return parts, tickets, failed, nil
}

// AppendBatch appends records as one batch, which is there whole or not at all, and returns when it is acknowledged.
// They all go to one partition: that of the first record's key, unless an option names one.
func (t *Topic) AppendBatch(ctx context.Context, records []Record, opts ...AppendOption) (Position, error) {
	ticket, err := t.SubmitBatch(ctx, records, opts...)
	if err != nil {
		return Position{}, err
	}
	return ticket.Wait(ctx)
}

// PartError is why a batch of [Topic.Append] failed.
type PartError struct {
	// Which of the records it had, from 0.
	Records []int
	Err     error
}

func (e *PartError) Error() string {
	return fmt.Sprintf("%d records, from number %d on: %v", len(e.Records), e.Records[0], e.Err)
}

func (e *PartError) Unwrap() error { return e.Err }

// part is which records become one batch.
type part struct {
	partition uint32
	indexes   []int
	size      int
}

func (p *part) records(of []Record) []Record {
	if len(p.indexes) == len(of) {
		return of
	}
	records := make([]Record, len(p.indexes))
	for i, index := range p.indexes {
		records[i] = of[index]
	}
	return records
}

// divide puts records into batches, in the order of their first records.
func (t *Topic) divide(records []Record) ([]*part, error) {
	partitions, err := t.partitions(records)
	if err != nil {
		return nil, err
	}
	var parts []*part
	open := map[uint32]*part{}
	for i := range records {
		partition, size := partitions[i], records[i].size()
		into := open[partition]
		if into == nil || into.size+size > batchBytesMax || len(into.indexes) == batchRecordsMax {
			into = &part{partition: partition}
			open[partition] = into
			parts = append(parts, into)
		}
		into.indexes = append(into.indexes, i)
		into.size += size
	}
	return parts, nil
}

// partitions are those that the records belong to, by one call.
func (t *Topic) partitions(records []Record) ([]uint32, error) {
	partitions := make([]uint32, len(records))
	var keys []byte
	var keyed []int
	var sizes []uint32
	for i := range records {
		if key := records[i].Key; key == nil {
			partitions[i] = C.THALWEG_PARTITION_ROUND_ROBIN
		} else {
			keys, keyed, sizes = append(keys, key...), append(keyed, i), append(sizes, uint32(len(key)))
		}
	}
	if len(keyed) == 0 {
		return partitions, nil
	}
	found := make([]uint32, len(keyed))
	// Where all keys are empty there are no bytes, and they are read as such.
	keys = append(keys, 0)
	err := t.call(func(topic *C.thalweg_topic, failure *C.thalweg_error) C.thalweg_status {
		return C.thalweg_go_partitions(
			topic, (*C.uint8_t)(unsafe.SliceData(keys)), (*C.uint32_t)(unsafe.SliceData(sizes)), C.size_t(len(sizes)),
			(*C.uint32_t)(unsafe.SliceData(found)), failure,
		)
	})
	for i, index := range keyed {
		partitions[index] = found[i]
	}
	return partitions, err
}

func (r *Record) size() int {
	size := len(r.Key) + len(r.Value)
	for _, header := range r.Headers {
		size += len(header.Name) + len(header.Value)
	}
	return size
}
